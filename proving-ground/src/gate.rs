//! What stands in front of every request: counting, and for API routes the switches of known truth.
//!
//! Order for an API request: rate limit; a place among the workers (first come, first served); a connection of
//! the pool and the time that it is held; the one lock; processor time; the drawn service time and the delay
//! downstream; then either the injected error or the real work. Place and connection are held until the answer
//! is made, so that with `workers=c` and a service distribution the system is a queue with c servers.
//!
//! Every route, health included, stands still during a pause. Opening a WebSocket passes neither the limit nor the
//! workers; with `slot-per-session` it takes a connection and keeps it.

mod burden;
mod slots;
mod who;
mod workers;

use crate::clock::{Timer, WallClock, Watch};
use crate::limit::{Decision, Limiter, Pass};
use crate::metrics::{self, Requests};
use crate::truth::Truth;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use burden::Weight;
use crucible_core::Ns;
pub(crate) use slots::Slot;
use slots::Slots;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use who::Users;
pub(crate) use who::token_of;
use workers::Workers;

/// State that every request passes.
pub(crate) struct Gate {
    /// The server's counts.
    pub(crate) requests: Requests,
    /// The switches.
    pub(crate) truth: Truth,
    /// Tokens and whose they are, as far as a system has told.
    pub(crate) users: Users,
    timer: Timer,
    clock: WallClock,
    limiter: Option<Limiter>,
    workers: Option<Workers>,
    slots: Slots,
    weight: Weight,
    waiting: AtomicU64,
    refused: AtomicU64,
    injected: AtomicU64,
    unanswered: AtomicU64,
    number: AtomicU64,
    writes: AtomicU64,
}

impl Gate {
    /// A gate with these switches.
    pub(crate) fn new(truth: Truth) -> Result<Arc<Gate>, String> {
        let rule = truth.limit.rule()?;
        Ok(Arc::new(Gate {
            requests: Requests::default(),
            users: Users::default(),
            timer: Timer::start()?,
            clock: WallClock::start(),
            limiter: rule.map(|rule| Limiter::new(rule, truth.limit.cost())),
            workers: truth.workers.map(Workers::new),
            slots: Slots::new(truth.pool_size()),
            weight: Weight::new(&truth)?,
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            injected: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            number: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            truth,
        }))
    }

    /// Nanoseconds since the Unix epoch, on a clock that never goes back.
    pub(crate) fn now(&self) -> Ns {
        self.clock.now()
    }

    /// Appends what the gate counts.
    pub(crate) fn write(&self, out: &mut String) {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        self.requests.write(out);
        metrics::gauge(out, "workers_waiting", "Requests that wait for a worker.", get(&self.waiting));
        if let Some((size, busy)) = self.workers.as_ref().map(Workers::load) {
            metrics::gauge(out, "workers_size", "Requests that are worked on at once.", size as u64);
            metrics::gauge(out, "workers_busy", "Workers that are busy.", busy as u64);
        }
        self.slots.write(out);
        metrics::counter(out, "rate_limited_total", "Requests refused by the limiter.", get(&self.refused));
        metrics::counter(
            out,
            "injected_errors_total",
            "Requests that failed on purpose.",
            get(&self.injected),
        );
        let (name, help) = ("stored_but_500_total", "Writes stored and answered 500 on purpose.");
        metrics::counter(out, name, help, get(&self.unanswered));
        metrics::gauge(out, "leaked_bytes", "Memory lost on purpose.", self.weight.leaked());
    }

    /// A session begins: with `slot-per-session` it takes a connection. Errors after `connection-wait`.
    pub(crate) async fn open_session(&self, id: &str) -> Result<(), Response> {
        if !self.truth.connections.per_session {
            return Ok(());
        }
        let slot = self.slot().await?;
        self.slots.keep(id, slot);
        Ok(())
    }

    /// A session ends.
    pub(crate) fn close_session(&self, id: &str) {
        self.slots.give_back(id);
    }

    /// A connection of the pool, or the answer to whom waited in vain.
    pub(crate) async fn slot(&self) -> Result<Slot, Response> {
        self.slots.take(&self.timer, self.truth.connections.patience).await.ok_or_else(|| {
            refuse(StatusCode::SERVICE_UNAVAILABLE, "pool_exhausted", "no connection became free in time")
        })
    }

    /// Time for `work` if it begins now, pauses included.
    fn stretched(&self, work: Ns) -> Ns {
        match &self.truth.pauses {
            Some(pauses) => pauses.stretch(self.clock.age(), work),
            None => work,
        }
    }

    /// The time that request `number` is to take, without downstream and pauses.
    fn service(&self, request: &Request, number: u64) -> Ns {
        let pattern = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let service = self.truth.service_of(request.method().as_str(), request.uri().path(), pattern);
        let time = service.draw(self.truth.seed, number);
        match &self.truth.warm_up {
            Some(warm_up) => Ns::from_secs_f64(time.as_secs_f64() * warm_up.factor_at(self.clock.age())),
            None => time,
        }
    }

    async fn work(&self, mut request: Request, next: Next) -> Response {
        let mut place = match &self.workers {
            Some(workers) => {
                let waiting = Waiting::new(&self.waiting);
                let place = workers.take(&self.clock).await;
                drop(waiting);
                place
            }
            None => None,
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let _slot = if self.slots.exist() {
            let slot = match self.slot().await {
                Ok(slot) => slot,
                Err(answer) => return answer,
            };
            self.timer.hold(self.stretched(self.truth.connections.hold)).await;
            if self.truth.connections.per_session {
                // a handler that opens a WebSocket keeps this for as long as the socket is open
                request.extensions_mut().insert(slot.clone());
            }
            Some(slot)
        } else {
            None
        };
        self.weight.carry(&self.timer, is_write(request.method())).await;
        let service = self.service(&request, number);
        let downstream = self.truth.downstream.draw_for("downstream", self.truth.seed, number);
        let length = self.stretched(service + downstream);
        match &mut place {
            Some(place) => place.serve(&self.timer, length).await,
            None => self.timer.hold(length).await,
        }
        if self.truth.fails(number) {
            self.injected.fetch_add(1, Ordering::Relaxed);
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "injected", "this request failed on purpose");
        }
        next.run(request).await
    }
}

fn is_write(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
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

/// Gives a place back, also when the request is given up.
struct Leaving<'a> {
    limiter: &'a Limiter,
    key: String,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.limiter.leave(&self.key);
    }
}

/// An error in the shape that all routes use.
pub(crate) fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Middleware for all routes: counts, stands still during pauses, and lies about health if told to.
pub(crate) async fn count(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let watch = Watch::start();
    let _flight = gate.requests.begin();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    gate.timer.hold(gate.stretched(Ns::ZERO)).await;
    let answer = if gate.truth.health_always_ok && is_health(request.uri().path()) {
        let body = serde_json::json!({"status": "ok", "db_ok": true}).to_string();
        (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    } else {
        next.run(request).await
    };
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    gate.requests.end(route, method.as_str(), answer.status().as_u16(), watch.elapsed());
    answer
}

fn is_health(path: &str) -> bool {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path == "/health" || path.starts_with("/health/")
}

/// Middleware for API routes: the switches.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Some(limiter) = &gate.limiter else {
        return gate.work(request, next).await;
    };
    let key = gate.users.key(gate.truth.limit.key, &request);
    let decision = limiter.ask(&key, gate.clock.now());
    let mut answer = match decision.pass {
        Pass::No => {
            gate.refused.fetch_add(1, Ordering::Relaxed);
            let why = "too many requests in this window";
            refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limited", why)
        }
        Pass::Now | Pass::After(_) => {
            let _leaving = Leaving { limiter, key };
            if let Pass::After(delay) = decision.pass {
                gate.timer.hold(delay).await;
            }
            gate.work(request, next).await
        }
    };
    gate.tell(answer.headers_mut(), limiter, decision);
    answer
}

/// Middleware for routes that store: one write in N is done and answered 500.
pub(crate) async fn store(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let writes = is_write(request.method());
    let answer = next.run(request).await;
    let Some(of) = gate.truth.bugs.stored_but_500.filter(|_| writes && answer.status().is_success()) else {
        return answer;
    };
    let number = gate.writes.fetch_add(1, Ordering::Relaxed);
    if !crate::truth::chosen(gate.truth.seed, "stored-but-500", of, number) {
        return answer;
    }
    gate.unanswered.fetch_add(1, Ordering::Relaxed);
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong")
}

impl Gate {
    /// Says in headers what a limiter decided, as truthfully as the switches ask for.
    pub(crate) fn tell(&self, headers: &mut HeaderMap, limiter: &Limiter, decision: Decision) {
        let style = self.truth.limit.headers;
        let stated = |figure: u64| (figure as f64 * style.lie).round() as u64;
        let limit = stated(limiter.rule().requests);
        // who counts twice says what an honest limiter would say
        let remaining = stated(decision.remaining * self.truth.limit.cost()).min(limit);
        let reset = decision.reset.0.div_ceil(1_000_000_000);
        let mut set = |name: &'static str, value: u64| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        };
        if style.x {
            set("x-ratelimit-limit", limit);
            set("x-ratelimit-remaining", remaining);
            set("x-ratelimit-reset", (self.clock.now() + decision.reset).0.div_ceil(1_000_000_000));
        }
        if style.draft {
            set("ratelimit-limit", limit);
            set("ratelimit-remaining", remaining);
            set("ratelimit-reset", reset);
        }
        if !decision.passes() && (style.x || style.draft) {
            let wait = decision.retry_after.as_secs_f64() / style.lie;
            set("retry-after", (wait.ceil() as u64).max(1));
        }
        if style.draft {
            let window = limiter.rule().window.0.div_ceil(1_000_000_000);
            if let Ok(policy) = HeaderValue::try_from(format!("{limit};w={window}")) {
                headers.insert("ratelimit-policy", policy);
            }
        }
    }
}
