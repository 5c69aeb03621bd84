//! The API as a process: takes jobs in and changes them. It keeps nothing, so it can die at any moment.

use super::client::Client;
use super::events::{self, Hub};
use super::job::{QueueName, Task};
use super::part::Config;
use super::{reading, status};
use crate::clock::{self, Watch, unix_us};
use crate::gate::{self, Gate, refuse};
use crate::serve::Application;
use crate::truth::Truth;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use crucible_core::{Ns, Rng};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Largest request body, bytes.
const BODY_LIMIT: usize = 8 << 20;
/// Largest program, bytes.
const CODE_LIMIT: usize = 1 << 20;
/// Jobs in one batch.
const BATCH_LIMIT: usize = 1_000;
/// How long a submission waits for a queue that is away.
const PATIENCE: Ns = Ns::from_secs(5);

/// What every handler shares.
pub(super) struct App {
    pub(super) gate: Arc<Gate>,
    pub(super) config: Config,
    pub(super) truth: Truth,
    pub(super) legacy: Client,
    pub(super) broker: Client,
    pub(super) storage: Client,
    pub(super) hub: Hub,
    pub(super) draining: Arc<AtomicBool>,
    number: AtomicU64,
}

pub(super) type Shared = State<Arc<App>>;
/// What a handler gives.
pub(super) type Reply = Result<Response, Response>;

impl App {
    pub(super) fn queue(&self, name: QueueName) -> &Client {
        match name {
            QueueName::Legacy => &self.legacy,
            QueueName::Broker => &self.broker,
        }
    }
}

/// Builds the routes.
pub(super) fn build(config: &Config, mut truth: Truth) -> Result<Application, String> {
    truth.folder.clone_from(&config.data);
    let draining = Arc::new(AtomicBool::new(false));
    let app = Arc::new(App {
        gate: Gate::new(truth.clone())?,
        legacy: Client::new(config.legacy, &config.key),
        broker: Client::new(config.broker, &config.key),
        storage: Client::new(config.storage, &config.key),
        hub: Hub::new(),
        draining: Arc::clone(&draining),
        number: AtomicU64::new(0),
        config: config.clone(),
        truth,
    });
    tokio::spawn(events::pump(Arc::clone(&app)));
    Ok(Application { router: routes(app), draining })
}

fn routes(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/eval", post(submit))
        .route("/api/eval-batch", post(submit_batch))
        .route("/api/eval/{id}", get(reading::one).patch(change))
        .route("/api/eval/{id}/status", get(reading::state).patch(change))
        .route("/api/eval/{id}/logs", get(reading::logs))
        .route("/api/eval/{id}/executions", get(reading::executions))
        .route("/api/eval/{id}/kill", post(kill))
        .route("/api/eval/{id}/cancel", post(cancel))
        .route("/api/evaluations", get(reading::list))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::store))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::pass));
    Router::new()
        .merge(api)
        .route("/api/queue-status", get(status::legacy))
        .route("/api/celery-status", get(status::broker))
        .route("/api/status", get(status::full))
        .route("/api/statistics", get(status::statistics))
        .route("/api/health", get(status::health))
        .route("/health", get(status::health))
        .route("/metrics", get(status::metrics))
        .route("/ws", get(events::connect))
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&app.gate), gate::count))
        .with_state(app)
}

async fn missing() -> Response {
    not_found("there is no such route")
}

async fn wrong_method() -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not know the method")
}

/// 404 with this text.
pub(super) fn not_found(what: &str) -> Response {
    refuse(StatusCode::NOT_FOUND, "not_found", what)
}

/// 503 with this text.
pub(super) fn unavailable(why: &str) -> Response {
    let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

#[derive(Deserialize)]
struct Submission {
    code: String,
    #[serde(default = "python")]
    language: String,
    #[serde(default = "docker")]
    engine: String,
    #[serde(default = "half_a_minute")]
    timeout: f64,
    #[serde(default)]
    priority: bool,
    /// The submitter's own name for the job, given back wherever the job is shown.
    #[serde(default)]
    reference: Option<String>,
    /// A queue instead of the split's choice.
    #[serde(default)]
    queue: Option<QueueName>,
}

fn python() -> String {
    "python".into()
}

fn docker() -> String {
    "docker".into()
}

fn half_a_minute() -> f64 {
    30.0
}

#[expect(clippy::result_large_err, reason = "the error is the answer; it is made once for a refused request")]
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Response> {
    let invalid = |e: serde_json::Error| refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &e.to_string());
    serde_json::from_slice(body).map_err(invalid)
}

impl Submission {
    fn mistake(&self) -> Option<String> {
        if self.code.trim().is_empty() {
            Some("code is empty".into())
        } else if self.code.len() > CODE_LIMIT {
            Some(format!("code has {} bytes; {CODE_LIMIT} are the most", self.code.len()))
        } else if self.language != "python" {
            Some(format!("language {:?} is not known; there is python", self.language))
        } else if !matches!(self.engine.as_str(), "docker" | "sandbox") {
            Some(format!(
                "engine {:?} is not known; there are docker and sandbox, which are the same",
                self.engine
            ))
        } else if !(0.1..=300.0).contains(&self.timeout) {
            Some("timeout lies from 0.1 to 300 seconds".into())
        } else if self.reference.as_ref().is_some_and(|text| text.len() > 200) {
            Some("reference has more than 200 bytes".into())
        } else {
            None
        }
    }
}

impl App {
    /// A job and its queue.
    fn admit(&self, wanted: Submission) -> (QueueName, Task) {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let queue = wanted.queue.unwrap_or_else(|| choose(self.truth.bugs.split, self.truth.seed, number));
        let now = unix_us();
        let id = format!("{}-{now:013x}{:08x}{:06x}", queue.as_str(), std::process::id(), number & 0xff_ffff);
        let timeout_ms = (wanted.timeout * 1e3) as u64;
        let (code, priority, reference) = (wanted.code, wanted.priority, wanted.reference);
        (queue, Task { id, code, timeout_ms, priority, reference, created_us: now })
    }

    /// Hands jobs to a queue; tries again for as long as the submitter may be expected to wait. The same job
    /// handed over twice is one job, so an answer that got lost does no harm.
    async fn hand_over(&self, queue: QueueName, tasks: &[Task]) -> Result<u64, String> {
        let watch = Watch::start();
        let mut pause = Duration::from_millis(5);
        loop {
            let limit = Duration::from_secs(2);
            let why = match self.queue(queue).post_within("/tasks", &tasks, limit).await {
                Ok(answer) if answer.status == 200 => {
                    return Ok(answer.json()["position"].as_u64().unwrap_or(0));
                }
                Ok(answer) => format!("the queue answers {}", answer.status),
                Err(why) => why,
            };
            if watch.elapsed() >= PATIENCE {
                return Err(why);
            }
            clock::about(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

/// The queue for submission `number`: in each block of a hundred exactly the wanted share goes to the new queue,
/// at places drawn from the seed.
fn choose(split: f64, seed: u64, number: u64) -> QueueName {
    let key = |place: u64| Rng::new(seed, "split", number / 100 * 100 + place).next_u64();
    let own = key(number % 100);
    let rank = (0..100).filter(|place| key(*place) < own).count();
    if rank < (split * 100.0).round() as usize { QueueName::Broker } else { QueueName::Legacy }
}

async fn submit(State(app): Shared, body: Bytes) -> Reply {
    let wanted: Submission = read(&body)?;
    if let Some(mistake) = wanted.mistake() {
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &mistake));
    }
    let (queue, task) = app.admit(wanted);
    let id = task.id.clone();
    match app.hand_over(queue, &[task]).await {
        Ok(position) => Ok(Json(receipt(&id, queue, position)).into_response()),
        Err(why) => Err(unavailable(&why)),
    }
}

fn receipt(id: &str, queue: QueueName, position: u64) -> Value {
    json!({"eval_id": id, "status": "queued", "message": "the job is queued", "queue_position": position,
        "queue": queue.as_str()})
}

#[derive(Deserialize)]
struct Batch {
    evaluations: Vec<Submission>,
}

async fn submit_batch(State(app): Shared, body: Bytes) -> Reply {
    let batch: Batch = read(&body)?;
    let total = batch.evaluations.len();
    if total == 0 || total > BATCH_LIMIT {
        let why = format!("{total} evaluations; 1 to {BATCH_LIMIT} are allowed");
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &why));
    }
    let mut answers: Vec<Value> = Vec::with_capacity(total);
    let mut of_queue: [Vec<(usize, Task)>; 2] = Default::default();
    for (index, wanted) in batch.evaluations.into_iter().enumerate() {
        match wanted.mistake() {
            Some(mistake) => answers.push(json!({"status": "failed", "error": mistake})),
            None => {
                let (queue, task) = app.admit(wanted);
                answers.push(Value::Null);
                of_queue[usize::from(queue == QueueName::Broker)].push((index, task));
            }
        }
    }
    for (queue, list) in QueueName::ALL.into_iter().zip(of_queue) {
        let (places, tasks): (Vec<usize>, Vec<Task>) = list.into_iter().unzip();
        let result = if tasks.is_empty() { Ok(0) } else { app.hand_over(queue, &tasks).await };
        for (place, task) in places.into_iter().zip(tasks) {
            answers[place] = match &result {
                Ok(position) => receipt(&task.id, queue, *position),
                Err(why) => json!({"status": "failed", "error": why}),
            };
        }
    }
    let queued = answers.iter().filter(|answer| answer["status"] == "queued").count();
    let body = json!({"evaluations": answers, "total": total, "queued": queued, "failed": total - queued});
    Ok(Json(body).into_response())
}

#[derive(Deserialize)]
struct Terminate {
    #[serde(default)]
    terminate: bool,
}

async fn cancel(State(app): Shared, Path(id): Path<String>, Query(how): Query<Terminate>) -> Reply {
    end(&app, &id, how.terminate, false).await
}

async fn kill(State(app): Shared, Path(id): Path<String>) -> Reply {
    end(&app, &id, true, true).await
}

#[derive(Deserialize)]
struct Change {
    status: String,
}

/// The one change that a client may make: to cancel.
async fn change(State(app): Shared, Path(id): Path<String>, body: Bytes) -> Reply {
    let change: Change = read(&body)?;
    if change.status != "cancelled" {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "invalid",
            "the only status that can be set is cancelled",
        ));
    }
    end(&app, &id, true, false).await
}

/// Ends a job: at once if it waits; if it runs, only when `terminate` says so. `running_only`: not if it waits.
#[expect(clippy::result_large_err, reason = "both are the answer")]
async fn end(app: &App, id: &str, terminate: bool, running_only: bool) -> Reply {
    let queue = QueueName::of(id).ok_or_else(|| not_found("there is no such job"))?;
    let client = app.queue(queue);
    let bad = |why: &str| Err(refuse(StatusCode::BAD_REQUEST, "not_possible", why));
    if running_only {
        let found =
            client.get(&format!("/tasks/{}", reading::escape(id))).await.map_err(|why| unavailable(&why))?;
        if found.json()["state"] == "waiting" {
            return bad("the job does not run yet; cancel it");
        }
    }
    let path = format!("/tasks/{}/cancel", reading::escape(id));
    let answer =
        client.post(&path, &json!({"terminate": terminate})).await.map_err(|why| unavailable(&why))?;
    let told = |status: &str, message: &str| {
        Ok(Json(json!({"eval_id": id, "status": status, "message": message})).into_response())
    };
    match answer.json()["state"].as_str() {
        None => Err(not_found("there is no such job")),
        Some("waiting") => told("cancelled", "the job will not run"),
        Some("leased") if terminate => told("cancelling", "the job runs and will be ended"),
        Some("leased") => bad("the job runs; say terminate=true to end it"),
        Some(_) => bad("the job has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_exact_in_each_hundred() {
        for share in [0.0, 0.01, 0.3, 0.5, 1.0] {
            for block in 0..5 {
                let new = (0..100).filter(|n| choose(share, 7, block * 100 + n) == QueueName::Broker).count();
                assert_eq!(new, (share * 100.0) as usize, "share {share}, block {block}");
            }
        }
        let first: Vec<bool> = (0..100).map(|n| choose(0.5, 7, n) == QueueName::Broker).collect();
        let second: Vec<bool> = (100..200).map(|n| choose(0.5, 7, n) == QueueName::Broker).collect();
        assert_ne!(first, second);
    }
}
