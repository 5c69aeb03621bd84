//! A queue as a process: hands out jobs, keeps leases, tells storage what is new.

use super::client::Client;
use super::database::Database;
use super::job::{Closing, Ending, QueueName, Return, Task};
use super::part::Config;
use super::queue_store::{self as store, Next};
use crate::clock::{self, Watch, unix_us};
use crate::gate::refuse;
use crate::serve::Application;
use crate::truth::Truth;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use crucible_core::Ns;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

struct Queue {
    name: QueueName,
    database: Database,
    truth: Truth,
    /// Jobs that are acknowledged and not committed: a bug on demand.
    early: Mutex<Vec<Task>>,
    /// There may be something to deliver.
    arrived: Notify,
    /// There may be something to tell storage.
    news: Notify,
    /// When each worker was heard of last.
    workers: Mutex<BTreeMap<String, u64>>,
    storage: Client,
}

type Shared = State<Arc<Queue>>;

/// Opens the queue and builds its routes.
pub(crate) fn build(name: QueueName, config: &Config, truth: Truth) -> Result<Application, String> {
    let file = config.data.join(format!("{}.sqlite", name.as_str()));
    let queue = Arc::new(Queue {
        name,
        database: Database::open(&file, store::SCHEMA)?,
        truth,
        early: Mutex::default(),
        arrived: Notify::new(),
        news: Notify::new(),
        workers: Mutex::default(),
        storage: Client::new(config.storage, &config.key),
    });
    tokio::spawn(keep_leases(Arc::clone(&queue)));
    tokio::spawn(tell_storage(Arc::clone(&queue)));
    if let Some(every) = queue.truth.bugs.ack_before_commit {
        tokio::spawn(commit_late(Arc::clone(&queue), every.into()));
    }
    let router = Router::new()
        .route("/tasks", post(push))
        .route("/tasks/next", post(next))
        .route("/tasks/{id}", get(one))
        .route("/tasks/{id}/extend", post(extend))
        .route("/tasks/{id}/complete", post(complete))
        .route("/tasks/{id}/fail", post(fail))
        .route("/tasks/{id}/cancel", post(cancel))
        .route("/status", get(status))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(queue);
    Ok(Application { router, draining: Arc::default() })
}

fn broken(why: String) -> Response {
    refuse(StatusCode::INTERNAL_SERVER_ERROR, "database", &why)
}

async fn push(State(queue): Shared, Json(tasks): Json<Vec<Task>>) -> Result<Json<Value>, Response> {
    let position = if queue.truth.bugs.ack_before_commit.is_some() {
        let mut early = queue.early.lock().unwrap_or_else(PoisonError::into_inner);
        early.extend(tasks);
        early.len() as u64
    } else {
        commit(&queue, tasks).await.map_err(broken)?
    };
    Ok(Json(json!({"position": position})))
}

async fn commit(queue: &Queue, tasks: Vec<Task>) -> Result<u64, String> {
    let truth = queue.truth.clone();
    let waiting = queue.database.run(move |db| store::push(db, &tasks, &truth, unix_us())).await?;
    // one for each worker that may wait
    queue.arrived.notify_waiters();
    queue.news.notify_one();
    Ok(waiting)
}

async fn commit_late(queue: Arc<Queue>, every: Duration) {
    loop {
        clock::about(every).await;
        let tasks = std::mem::take(&mut *queue.early.lock().unwrap_or_else(PoisonError::into_inner));
        if !tasks.is_empty() {
            let _ = commit(&queue, tasks).await;
        }
    }
}

#[derive(Deserialize)]
struct Want {
    worker: String,
    incarnation: String,
    /// How long to wait for a job.
    wait_ms: u64,
}

async fn next(State(queue): Shared, Json(want): Json<Want>) -> Result<Response, Response> {
    let watch = Watch::start();
    let limit = Ns::from_millis(want.wait_ms.min(30_000));
    let who = Arc::new((want.worker, want.incarnation));
    loop {
        queue.workers.lock().unwrap_or_else(PoisonError::into_inner).insert(who.0.clone(), unix_us());
        // asked for before the look, so that nothing that comes in between is missed
        let arrived = queue.arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        let (asking, truth) = (Arc::clone(&who), queue.truth.clone());
        let work =
            move |db: &rusqlite::Connection| store::next(db, (&asking.0, &asking.1), &truth, unix_us());
        let due = match queue.database.run(work).await.map_err(broken)? {
            Next::Found(delivery) => return Ok(Json(delivery).into_response()),
            Next::Later(due) => due,
        };
        let left = limit.since(watch.elapsed());
        if left == Ns::ZERO {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        // jobs that wait for their back-off come of age without a notice; a second covers those that another
        // worker's return has given back
        let until_due =
            due.map_or(Duration::MAX, |at| Duration::from_micros(at.saturating_sub(unix_us()) + 500));
        let pause = Duration::from(left).min(until_due).min(Duration::from_secs(1));
        tokio::select! {
            () = arrived => {}
            () = clock::about(pause) => {}
        }
    }
}

#[derive(Deserialize)]
struct Attempt {
    attempt: u64,
    #[serde(default)]
    why: Option<String>,
}

async fn extend(
    State(queue): Shared,
    Path(id): Path<String>,
    Json(of): Json<Attempt>,
) -> Result<Json<Value>, Response> {
    let truth = queue.truth.clone();
    let work = move |db: &rusqlite::Connection| store::extend(db, &id, of.attempt, &truth, unix_us());
    let (held, stop) = queue.database.run(work).await.map_err(broken)?;
    Ok(Json(json!({"held": held, "stop": stop})))
}

async fn complete(
    State(queue): Shared,
    Path(id): Path<String>,
    Json(of): Json<Attempt>,
) -> Result<Json<Value>, Response> {
    let truth = queue.truth.clone();
    let work = move |db: &rusqlite::Connection| store::complete(db, &id, of.attempt, &truth);
    let known = queue.database.run(work).await.map_err(broken)?;
    queue.arrived.notify_waiters();
    Ok(Json(json!({"known": known})))
}

async fn fail(
    State(queue): Shared,
    Path(id): Path<String>,
    Json(of): Json<Attempt>,
) -> Result<Json<Value>, Response> {
    let truth = queue.truth.clone();
    let work = move |db: &rusqlite::Connection| {
        store::hand_back(db, (&id, of.attempt), of.why.as_deref(), &truth, unix_us())
    };
    let held = queue.database.run(work).await.map_err(broken)?;
    queue.arrived.notify_waiters();
    queue.news.notify_one();
    Ok(Json(json!({"held": held})))
}

#[derive(Deserialize)]
struct Cancel {
    terminate: bool,
}

async fn cancel(
    State(queue): Shared,
    Path(id): Path<String>,
    Json(wish): Json<Cancel>,
) -> Result<Json<Value>, Response> {
    let work = move |db: &rusqlite::Connection| store::cancel(db, &id, wish.terminate);
    let state = queue.database.run(work).await.map_err(broken)?;
    queue.news.notify_one();
    Ok(Json(json!({"state": state})))
}

async fn one(State(queue): Shared, Path(id): Path<String>) -> Result<Response, Response> {
    {
        let early = queue.early.lock().unwrap_or_else(PoisonError::into_inner);
        if early.iter().any(|task| task.id == id) {
            return Ok(Json(json!({"state": "waiting", "attempt": 0})).into_response());
        }
    }
    let found = queue.database.run(move |db| store::get(db, &id)).await.map_err(broken)?;
    Ok(found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |value| Json(value).into_response()))
}

async fn status(State(queue): Shared) -> Result<Json<Value>, Response> {
    let mut value = queue.database.run(|db| store::statistics(db, unix_us())).await.map_err(broken)?;
    let now = unix_us();
    let workers = queue.workers.lock().unwrap_or_else(PoisonError::into_inner);
    let workers: Vec<Value> = workers
        .iter()
        .map(|(name, seen)| json!({"name": name, "heard_ms_ago": now.saturating_sub(*seen) / 1_000}))
        .collect();
    value["name"] = queue.name.as_str().into();
    value["workers"] = workers.into();
    Ok(Json(value))
}

async fn keep_leases(queue: Arc<Queue>) {
    let truth = queue.truth.clone();
    let _ = queue.database.run(move |db| store::grant_grace(db, &truth, unix_us())).await;
    loop {
        clock::about(Duration::from_millis(100)).await;
        let truth = queue.truth.clone();
        if queue.database.run(move |db| store::expire(db, &truth, unix_us())).await.is_ok_and(|late| late > 0)
        {
            queue.arrived.notify_waiters();
            queue.news.notify_one();
        }
    }
}

/// An outbox: what storage does not know is told until it does. Storage takes the same news twice.
async fn tell_storage(queue: Arc<Queue>) {
    loop {
        let Ok(news) = queue.database.run(store::news).await else {
            clock::about(Duration::from_millis(200)).await;
            continue;
        };
        if news.is_empty() {
            tokio::select! {
                () = queue.news.notified() => {}
                () = clock::about(Duration::from_secs(1)) => {}
            }
            continue;
        }
        let entries: Vec<_> = news.iter().map(|one| &one.entry).collect();
        let mut reached = accepted(&queue.storage, "/evaluations", &entries).await;
        for one in news.iter().filter(|one| matches!(one.state.as_str(), "dead" | "cancelled")) {
            reached = reached && accepted(&queue.storage, "/evaluations/close", &closing(one)).await;
        }
        for one in news.iter().filter(|one| one.state == "waiting" && one.attempt > 0) {
            let back = Return { id: one.entry.id.clone(), attempt: one.attempt };
            reached = reached && accepted(&queue.storage, "/evaluations/return", &back).await;
        }
        if reached {
            let _ = queue.database.run(move |db| store::told(db, &news)).await;
        } else {
            clock::about(Duration::from_millis(100)).await;
        }
    }
}

fn closing(news: &store::News) -> Closing {
    let (status, reason, error) = if news.state == "dead" {
        let why = news.why.as_deref().unwrap_or("unknown");
        ("failed", "dead_letter", format!("given up after {} deliveries: {why}", store::MOST_FAILURES))
    } else {
        ("cancelled", "cancelled", "cancelled before it began".to_owned())
    };
    let ending = Ending { status: status.into(), reason: reason.into(), error, ..Ending::default() };
    Closing { entry: news.entry.clone(), ending }
}

async fn accepted(storage: &Client, path: &str, body: &impl serde::Serialize) -> bool {
    storage.post(path, body).await.is_ok_and(|answer| answer.status == 200)
}
