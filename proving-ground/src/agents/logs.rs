//! Log lines of subtasks: stored, and live to who listens.

use super::app::{App, Shared};
use super::auth::{anybody, now_ms};
use super::envelope::{Answer, Refusal, ok, one_of, read, stamp, text};
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lines of history that a client gets, the latest.
const HISTORY: i64 = 1_000;

/// The channel of a task's log lines.
pub(crate) fn channel(task: &str) -> String {
    format!("logs:{task}")
}

#[derive(Deserialize)]
struct Line {
    message: String,
    level: Option<String>,
}

/// POST /subtasks/{id}/log
pub(crate) async fn append(app: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    anybody(&app, &headers).await?;
    let line: Line = read(&body)?;
    let message = text("message", &line.message, 1, 10_000)?;
    let level =
        one_of("level", line.level.as_deref().unwrap_or("info"), &["debug", "info", "warning", "error"])?;
    let hub = Arc::clone(&app.hub);
    let row = app
        .writer
        .run(move |db| {
            let task: Option<String> = db
                .prepare_cached("SELECT task_id FROM subtasks WHERE id = ?1")?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            let Some(task) = task else { return Ok(None) };
            let at = now_ms();
            db.prepare_cached(
                "INSERT INTO logs(task_id, subtask_id, level, message, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![task, id, level, message, at])?;
            let row = db.last_insert_rowid();
            hub.publish_log(&channel(&task), row, &value(row, Some(&id), &level, &message, at));
            Ok(Some(row))
        })
        .await?;
    let row = row.ok_or_else(|| Refusal::not_found("subtask"))?;
    Ok(ok(json!({"acknowledged": true, "log_id": row})))
}

fn value(row: i64, subtask: Option<&str>, level: &str, message: &str, at: i64) -> Value {
    json!({"log_id": row, "subtask_id": subtask, "level": level, "message": message, "timestamp": stamp(at)})
}

/// The latest lines of a task, the oldest first, with their row numbers.
pub(crate) async fn history(app: &App, task: &str) -> Result<Vec<(i64, Value)>, Refusal> {
    let task = task.to_owned();
    let mut rows = app
        .readers
        .run(move |db| {
            db.prepare_cached(
                "SELECT id, subtask_id, level, message, at_ms FROM logs WHERE task_id = ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map(params![task, HISTORY], |row| {
                let (id, subtask): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
                let (level, message): (String, String) = (row.get(2)?, row.get(3)?);
                Ok((id, value(id, subtask.as_deref(), &level, &message, row.get(4)?)))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()
        })
        .await?;
    rows.reverse();
    Ok(rows)
}
