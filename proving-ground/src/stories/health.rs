//! Health and metrics. Never limited, never slowed by the switches: they must tell the truth under load.

use super::app::{App, Shared};
use super::reply::{json_answer, json_bytes, ok};
use crate::clock::Watch;
use crate::metrics::{counter, gauge, head};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Write;
use std::sync::atomic::Ordering;

#[derive(Serialize)]
struct Part {
    status: &'static str,
    detail: String,
}

impl Part {
    fn of(result: Result<String, String>) -> Part {
        match result {
            Ok(detail) => Part { status: "healthy", detail },
            Err(detail) => Part { status: "unhealthy", detail },
        }
    }
}

async fn database(app: &App) -> Part {
    let watch = Watch::start();
    Part::of(match app.read(|db| db.ping()).await {
        Ok(_) => Ok(format!("answers in {}", watch.elapsed())),
        Err(error) => Err(error.to_string()),
    })
}

fn disk(app: &App) -> Part {
    let probe = app.data.join("health-probe");
    let written = std::fs::write(&probe, b"ok").and_then(|()| std::fs::remove_file(&probe));
    Part::of(written.map(|()| "writable".to_owned()).map_err(|e| e.to_string()))
}

/// GET /health: 200 if every part is healthy, else 503.
pub(crate) async fn full(state: Shared) -> Response {
    let parts = [
        ("database", database(&state).await),
        ("cache", Part::of(state.cache.health().await)),
        ("disk", disk(&state)),
    ];
    let healthy = parts.iter().all(|(_, part)| part.status == "healthy");
    let (code, status) =
        if healthy { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "unhealthy") };
    let checks: serde_json::Map<String, serde_json::Value> = parts
        .into_iter()
        .map(|(name, part)| {
            (name.to_owned(), serde_json::json!({"status": part.status, "detail": part.detail}))
        })
        .collect();
    json_answer(code, json_bytes(&serde_json::json!({"status": status, "checks": checks})))
}

/// GET /health/ready: 503 while going down or while the database does not answer.
pub(crate) async fn ready(state: Shared) -> Response {
    let ready = !state.draining.load(Ordering::Relaxed) && database(&state).await.status == "healthy";
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    json_answer(code, json_bytes(&serde_json::json!({"status": status})))
}

/// GET /health/live: 200 while the process lives.
pub(crate) async fn live() -> Response {
    ok(&serde_json::json!({"status": "alive"}))
}

/// GET /metrics
pub(crate) async fn metrics(state: Shared) -> Response {
    let mut out = String::with_capacity(16 * 1024);
    state.gate.write(&mut out);
    pools(&state, &mut out);
    let cache = state.cache.status();
    counter(&mut out, "cache_hits_total", "Questions that the cache answered.", cache.hits);
    counter(&mut out, "cache_misses_total", "Questions that went to the database.", cache.misses);
    counter(&mut out, "cache_evictions_total", "Answers thrown out for lack of room.", cache.evictions);
    counter(&mut out, "cache_stale_total", "Old answers given while the database was gone.", cache.stale);
    counter(&mut out, "cache_errors_total", "Times that the cache did not answer.", cache.errors);
    gauge(&mut out, "cache_entries", "Answers kept.", cache.entries);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], out).into_response()
}

fn pools(app: &App, out: &mut String) {
    let pools = [("reader", app.readers.status()), ("writer", app.writer.status())];
    let mut rows = |name: &str, kind: &str, help: &str, value: fn(&crate::pool::PoolStatus) -> f64| {
        head(out, name, kind, help);
        for (pool, status) in &pools {
            // writing to a String cannot fail
            let _ = writeln!(out, "{name}{{pool=\"{pool}\"}} {}", value(status));
        }
    };
    rows("db_pool_size", "gauge", "Connections.", |s| s.size as f64);
    rows("db_pool_busy", "gauge", "Connections at work.", |s| s.busy as f64);
    rows("db_pool_waiting", "gauge", "Queries that wait for a connection.", |s| s.waiting as f64);
    rows("db_queries_total", "counter", "Queries done.", |s| s.queries as f64);
    rows("db_query_errors_total", "counter", "Queries that failed.", |s| s.failures as f64);
    rows("db_query_seconds_total", "counter", "Time spent in queries.", |s| s.query_secs);
}
