//! What the platform says about itself: health, queues, workers, processes, layers of the sandbox, metrics.

use super::api::{App, Reply, Shared, unavailable};
use super::job::QueueName;
use super::reading::time;
use super::storage_store::Statistics;
use super::supervisor::{Parts, parts_file};
use crate::clock::unix_us;
use crate::metrics;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// How long a part may take to say that it is well.
const LIMIT: Duration = Duration::from_millis(500);
/// A worker that was not heard of for so long is not counted. A question for work stays open for five seconds,
/// and a job may take longer: then its signs of life go to the lease, not here.
const HEARD: u64 = 30_000;

/// The list of processes that the supervisor keeps.
fn parts(app: &App) -> Parts {
    let text = std::fs::read(parts_file(&app.config.data)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

async fn queue_status(app: &App, name: QueueName) -> Result<Value, String> {
    let answer = app.queue(name).call("GET", "/status", None, LIMIT).await?;
    if answer.status == 200 { answer.read() } else { Err(format!("the queue answers {}", answer.status)) }
}

/// `ok` or `down` for each service.
pub(super) async fn services(app: &App) -> Value {
    let (legacy, broker, storage) = tokio::join!(
        queue_status(app, QueueName::Legacy),
        queue_status(app, QueueName::Broker),
        app.storage.call("GET", "/health", None, LIMIT),
    );
    let word = |well: bool| if well { "ok" } else { "down" };
    json!({"api": "ok", "legacy": word(legacy.is_ok()), "broker": word(broker.is_ok()),
        "storage": word(storage.is_ok_and(|answer| answer.status == 200))})
}

/// Workers that have been heard of.
fn workers(queue: &Value) -> u64 {
    let list = queue["workers"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter(|worker| worker["heard_ms_ago"].as_u64().is_some_and(|ago| ago < HEARD)).count() as u64
}

/// 200 always; `degraded` if any service is down.
pub(super) async fn health(State(app): Shared) -> Json<Value> {
    let (services, legacy, broker) = tokio::join!(
        services(&app),
        queue_status(&app, QueueName::Legacy),
        queue_status(&app, QueueName::Broker)
    );
    let well = services.as_object().is_some_and(|all| all.values().all(|state| state == "ok"));
    let count = [legacy, broker].iter().flatten().map(workers).sum::<u64>();
    let status = if well { "ok" } else { "degraded" };
    Json(json!({"status": status, "services": services, "workers": count, "timestamp": time(unix_us())}))
}

/// The old queue.
pub(super) async fn legacy(State(app): Shared) -> Reply {
    queue_status(&app, QueueName::Legacy)
        .await
        .map(|value| Json(summary(value)).into_response())
        .map_err(|why| unavailable(&why))
}

/// The new queue and its workers.
pub(super) async fn broker(State(app): Shared) -> Reply {
    queue_status(&app, QueueName::Broker)
        .await
        .map(|value| Json(summary(value)).into_response())
        .map_err(|why| unavailable(&why))
}

fn summary(queue: Value) -> Value {
    let jobs = &queue["jobs"];
    json!({"queue": queue["name"], "status": "ok", "queued": jobs["waiting"], "running": jobs["leased"],
        "done": jobs["done"], "dead": jobs["dead"], "cancelled": jobs["cancelled"],
        "oldest_waiting_ms": queue["oldest_waiting_ms"], "redelivered": queue["redelivered"],
        "failures": queue["failures"], "workers": queue["workers"]})
}

/// Everything: services, processes, sandbox, traffic split.
pub(super) async fn full(State(app): Shared) -> Json<Value> {
    let services = services(&app).await;
    let parts: Vec<Value> = parts(&app)
        .into_iter()
        .map(|(name, alive)| {
            json!({"name": name, "pid": alive.pid, "restarts": alive.restarts, "since": time(alive.since_us)})
        })
        .collect();
    let layers: Vec<Value> = app
        .config
        .layers
        .iter()
        .map(|(name, active, detail)| json!({"name": name, "active": active, "detail": detail}))
        .collect();
    Json(json!({
        "services": services, "supervisor": app.config.supervisor, "parts": parts,
        "sandbox": {"python": app.config.python, "layers": layers},
        "split": {"broker": app.truth.bugs.split, "legacy": 1.0 - app.truth.bugs.split},
        "truth": app.config.truth, "timestamp": time(unix_us()),
    }))
}

async fn sums(app: &App) -> Result<Statistics, String> {
    app.storage.get("/statistics").await?.read()
}

/// Sums over all jobs.
pub(super) async fn statistics(State(app): Shared) -> Reply {
    let sums = sums(&app).await.map_err(|why| unavailable(&why))?;
    Ok(Json(sums).into_response())
}

/// Prometheus text. What does not answer is left out, and `up` says so.
pub(super) async fn metrics(State(app): Shared) -> Response {
    let mut out = String::new();
    app.gate.write(&mut out);
    metrics::gauge(&mut out, "websocket_clients", "Clients of the WebSocket.", app.hub.clients() as u64);
    let (legacy, broker, sums) = tokio::join!(
        queue_status(&app, QueueName::Legacy),
        queue_status(&app, QueueName::Broker),
        sums(&app)
    );
    metrics::head(&mut out, "up", "gauge", "Whether a service answers.");
    let states = [("legacy", legacy.is_ok()), ("broker", broker.is_ok()), ("storage", sums.is_ok())];
    for (name, well) in states {
        // writing to a String cannot fail
        let _ = writeln!(out, "up{{service=\"{name}\"}} {}", u8::from(well));
    }
    metrics::head(&mut out, "queue_jobs", "gauge", "Jobs in a queue by state.");
    for queue in [&legacy, &broker].into_iter().flatten() {
        let name = queue["name"].as_str().unwrap_or_default();
        for (state, count) in queue["jobs"].as_object().into_iter().flatten() {
            let _ = writeln!(out, "queue_jobs{{queue=\"{name}\",state=\"{state}\"}} {count}");
        }
    }
    if let Ok(sums) = sums {
        metrics::head(&mut out, "evaluations", "gauge", "Evaluations by status.");
        for (status, count) in &sums.by_status {
            let _ = writeln!(out, "evaluations{{status=\"{status}\"}} {count}");
        }
        metrics::counter(&mut out, "executions_total", "Executions that began.", sums.executions);
        metrics::counter(&mut out, "effects_total", "Executions that had an effect.", sums.effects);
    }
    metrics::head(&mut out, "part_restarts_total", "counter", "How often a part was started again.");
    for (name, alive) in parts(&app) {
        let _ = writeln!(out, "part_restarts_total{{part=\"{name}\"}} {}", alive.restarts);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out).into_response()
}
