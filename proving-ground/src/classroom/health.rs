//! Health and metrics. Never limited, never slowed by the switches: they must tell the truth under load.

use super::app::Shared;
use super::reply::json as answer;
use crate::clock::unix_ms;
use crate::metrics::{counter, gauge};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::atomic::Ordering;

/// GET /api/health: 200 always, as its suite expects; `db_ok` tells the truth, `status` sums up.
pub(crate) async fn health(state: Shared) -> Response {
    let read = state.readers.run(|db| db.query_row("SELECT count(*) FROM users", [], |r| r.get::<_, i64>(0)));
    let db_ok = read.await.is_ok();
    let status = match (db_ok, state.draining.load(Ordering::Relaxed)) {
        (_, true) => "draining",
        (true, false) => "ok",
        (false, false) => "degraded",
    };
    answer(StatusCode::OK, &json!({"status": status, "db_ok": db_ok, "time": unix_ms()}))
}

/// GET /metrics
pub(crate) async fn metrics(state: Shared) -> Response {
    let mut out = String::with_capacity(16 * 1024);
    state.gate.write(&mut out);
    state.runner.write(&mut out);
    let counts = &state.counts;
    for (name, help, value) in [
        ("logins_total", "Logins.", &counts.logins),
        ("login_failures_total", "Wrong passwords.", &counts.wrong_passwords),
        ("login_locked_total", "Logins refused during a lock.", &counts.locked_out),
        ("csrf_refused_total", "Writes without the token.", &counts.csrf_refused),
        ("saves_total", "States saved.", &counts.saves),
        ("marks_total", "Marks given.", &counts.marks),
        ("user_limited_total", "Requests beyond the limits of one user.", &counts.limited),
    ] {
        counter(&mut out, name, help, value.load(Ordering::Relaxed));
    }
    let (readers, writer) = (state.readers.status(), state.writer.status());
    gauge(&mut out, "db_pool_size", "Connections that read.", readers.size);
    gauge(&mut out, "db_pool_busy", "Connections at work.", readers.busy);
    gauge(&mut out, "db_pool_waiting", "Queries that wait for a connection.", readers.waiting);
    gauge(&mut out, "db_writer_waiting", "Writes that wait for the connection.", writer.waiting);
    counter(&mut out, "db_queries_total", "Queries done.", readers.queries + writer.queries);
    counter(&mut out, "db_query_errors_total", "Queries that failed.", readers.failures + writer.failures);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], out).into_response()
}
