//! Health and metrics; never limited, never slowed by the switches.

use super::app::{App, Shared};
use super::schedule::by_status;
use crate::clock::Watch;
use crate::metrics::{counter, gauge, head};
use crate::pool::PoolStatus;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::Ordering;

fn answer(healthy: bool, body: Value) -> Response {
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

fn word(healthy: bool) -> &'static str {
    if healthy { "healthy" } else { "unhealthy" }
}

/// Asks both kinds of connections.
async fn ask_database(app: &App) -> (bool, Value) {
    let watch = Watch::start();
    let query = |db: &mut rusqlite::Connection| {
        db.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0))
    };
    let (read, write) = tokio::join!(app.readers.run(query), app.writer.run(query));
    let healthy = read.is_ok() && write.is_ok();
    (healthy, json!({"status": word(healthy), "latency_ms": watch.elapsed().as_millis_f64()}))
}

/// GET /health: the process answers and is not going down.
pub(crate) async fn brief(app: Shared) -> Response {
    let there = !app.draining.load(Ordering::Relaxed);
    answer(there, json!({"status": if there { "healthy" } else { "draining" }}))
}

/// GET /health/database
pub(crate) async fn database(app: Shared) -> Response {
    let (healthy, body) = ask_database(&app).await;
    answer(healthy, body)
}

/// GET /health/redis: the broker of live events, which is part of this process.
pub(crate) async fn broker(app: Shared) -> Response {
    let status = app.hub.status();
    answer(true, json!({"status": "healthy", "backend": "in-process", "clients": status.clients}))
}

/// GET /health/detailed
pub(crate) async fn detailed(app: Shared) -> Response {
    let (healthy, database) = ask_database(&app).await;
    let hub = app.hub.status();
    let workers = app.readers.run(|db| by_status(db, "workers")).await.unwrap_or_default();
    let body = json!({"status": word(healthy), "checks": {"database": database,
        "redis": {"status": "healthy", "backend": "in-process"}, "websockets": {"clients": hub.clients},
        "workers": workers, "pools": pools_value(&app)}});
    answer(healthy, body)
}

fn pools_value(app: &App) -> Value {
    let taken = app.taken.load(Ordering::Relaxed);
    let row = |s: PoolStatus| json!({"size": s.size, "busy": s.busy, "waiting": s.waiting});
    json!({"size": app.places, "in_use": taken, "usage_percent": 100.0 * taken as f64 / app.places as f64,
        "refused": app.overloaded.load(Ordering::Relaxed), "readers": row(app.readers.status()),
        "writer": row(app.writer.status())})
}

/// GET /health/pools: 503 when new requests would be refused.
pub(crate) async fn pools(app: Shared) -> Response {
    let value = pools_value(&app);
    let healthy = value["usage_percent"].as_f64().is_some_and(|usage| usage <= 85.0);
    answer(healthy, json!({"status": if healthy { "healthy" } else { "overloaded" }, "database": value}))
}

/// GET /metrics
pub(crate) async fn metrics(app: Shared) -> Response {
    let mut out = String::with_capacity(16 * 1024);
    app.gate.write(&mut out);
    let hub = app.hub.status();
    gauge(&mut out, "db_places", "Requests that may be at the database.", app.places);
    gauge(&mut out, "db_places_taken", "Requests that are.", app.taken.load(Ordering::Relaxed));
    let refused = app.overloaded.load(Ordering::Relaxed);
    counter(&mut out, "overload_refused_total", "Requests refused above 85 % of the places.", refused);
    gauge(&mut out, "websocket_clients", "Clients that listen.", hub.clients);
    counter(&mut out, "websocket_messages_total", "Live events put into queues of clients.", hub.sent);
    counter(&mut out, "websocket_slow_total", "Clients let go because they did not read.", hub.slow);
    let counts = app.readers.run(|db| {
        Ok([
            ("tasks", by_status(db, "tasks")?),
            ("subtasks", by_status(db, "subtasks")?),
            ("workers", by_status(db, "workers")?),
        ])
    });
    for (name, rows) in counts.await.into_iter().flatten() {
        head(&mut out, name, "gauge", "Rows by status.");
        for (status, count) in rows {
            // writing to a String cannot fail
            let _ = writeln!(out, "{name}{{status=\"{status}\"}} {count}");
        }
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], out).into_response()
}
