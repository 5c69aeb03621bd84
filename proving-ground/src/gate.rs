//! What stands in front of every request: counting, and for API routes the switches of known truth.
//!
//! Order for an API request: rate limit, then a place among the workers (first come, first served), then the
//! drawn service time, then either the injected error or the real work. The place is held until the answer is
//! made, so that with `workers=c` and a service distribution the system is a queue with c servers.

use crate::clock::{Timer, Watch, unix_ms};
use crate::limit::{Decision, Limiter};
use crate::metrics::{self, Requests};
use crate::truth::Truth;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// State that every request passes.
pub(crate) struct Gate {
    /// The server's counts.
    pub(crate) requests: Requests,
    truth: Truth,
    timer: Timer,
    limiter: Option<Limiter>,
    workers: Option<Semaphore>,
    waiting: AtomicU64,
    refused: AtomicU64,
    injected: AtomicU64,
    number: AtomicU64,
}

impl Gate {
    /// A gate with these switches.
    pub(crate) fn new(truth: Truth) -> Result<Arc<Gate>, String> {
        Ok(Arc::new(Gate {
            requests: Requests::default(),
            timer: Timer::start()?,
            limiter: truth.limit.map(Limiter::new),
            workers: truth.workers.map(Semaphore::new),
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            number: AtomicU64::new(0),
            truth,
        }))
    }

    /// Appends what the gate counts.
    pub(crate) fn write(&self, out: &mut String) {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        self.requests.write(out);
        metrics::gauge(out, "workers_waiting", "Requests that wait for a worker.", get(&self.waiting));
        if let (Some(workers), Some(size)) = (&self.workers, self.truth.workers) {
            let busy = size.saturating_sub(workers.available_permits());
            metrics::gauge(out, "workers_size", "Requests that are worked on at once.", size as u64);
            metrics::gauge(out, "workers_busy", "Workers that are busy.", busy as u64);
        }
        metrics::counter(out, "rate_limited_total", "Requests refused by the limiter.", get(&self.refused));
        metrics::counter(
            out,
            "injected_errors_total",
            "Requests that failed on purpose.",
            get(&self.injected),
        );
    }

    async fn work(&self, request: Request, next: Next) -> Response {
        let _place = match &self.workers {
            Some(workers) => {
                let waiting = Waiting::new(&self.waiting);
                let place = workers.acquire().await.ok();
                drop(waiting);
                place
            }
            None => None,
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.timer.hold(self.truth.service.draw(self.truth.seed, number)).await;
        if self.truth.fails(number) {
            self.injected.fetch_add(1, Ordering::Relaxed);
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "injected", "this request failed on purpose");
        }
        next.run(request).await
    }
}

struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Waiting<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An error answer: `{"error": {"code", "message"}}`.
pub(crate) fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": {"code": code, "message": message}});
    (status, axum::Json(body)).into_response()
}

/// Middleware for all routes: counts.
pub(crate) async fn count(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let watch = Watch::start();
    let _flight = gate.requests.begin();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let answer = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    gate.requests.end(route, method.as_str(), answer.status().as_u16(), watch.elapsed());
    answer
}

/// Middleware for API routes: the switches.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Some(limiter) = &gate.limiter else {
        return gate.work(request, next).await;
    };
    let decision = limiter.ask(&key(&request), unix_ms());
    let mut answer = if decision.allowed {
        gate.work(request, next).await
    } else {
        gate.refused.fetch_add(1, Ordering::Relaxed);
        let mut answer =
            refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests in this window");
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(decision.retry_after));
        answer
    };
    tell(answer.headers_mut(), decision);
    answer
}

fn tell(headers: &mut HeaderMap, decision: Decision) {
    headers.insert("x-ratelimit-limit", HeaderValue::from(decision.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(decision.remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(decision.reset));
}

/// The user's token, or the address of anonymous users.
fn key(request: &Request) -> String {
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match token {
        Some(token) if token.len() <= 128 => format!("token {token}"),
        _ => match request.extensions().get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) => format!("address {}", peer.ip()),
            None => "unknown".into(),
        },
    }
}
