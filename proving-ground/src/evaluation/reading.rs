//! The routes that show jobs: one, its status, its output, its executions, lists.
//!
//! Storage is asked first: what it calls final is final. A job that it has not heard of yet is asked for at
//! its queue. Nothing is guessed: if one of the two does not answer, neither do we.

use super::api::{App, Reply, Shared, not_found, unavailable};
use super::job::{FINAL, QueueName};
use super::storage_store::{Execution, Record};
use crate::gate::refuse;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

/// What can stand in a path: ids have letters, digits and `-`; anything else is not an id of ours.
pub(super) fn escape(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(100).collect()
}

/// RFC 3339 in UTC.
pub(super) fn time(us: u64) -> String {
    let at = i64::try_from(us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.map_or_else(String::new, |at| at.to_string())
}

fn milliseconds(from: Option<u64>, to: Option<u64>) -> Option<f64> {
    Some(to?.saturating_sub(from?) as f64 / 1_000.0)
}

/// A job as clients see it.
fn show(record: &Record) -> Value {
    let queue = QueueName::of(&record.id).map(QueueName::as_str);
    let ended = FINAL.contains(&record.status.as_str());
    let at = |us: Option<u64>| us.map(time);
    json!({
        "eval_id": record.id, "status": record.status, "reason": record.reason, "reference": record.reference,
        "queue": queue, "worker": record.worker, "attempt": record.attempt,
        "executions": record.executions, "effects": record.effects,
        "created_at": time(record.created_us), "queued_at": time(record.queued_us),
        "started_at": at(record.started_us), "completed_at": at(record.completed_us),
        "timings": {
            "submission_ms": milliseconds(Some(record.created_us), Some(record.queued_us)),
            "queue_wait_ms": milliseconds(Some(record.queued_us), record.started_us),
            "execution_ms": milliseconds(record.started_us, record.completed_us),
            "sandbox_ms": record.execution_us.map(|us| us as f64 / 1_000.0),
            "total_ms": milliseconds(Some(record.created_us), record.completed_us),
        },
        "cpu_ms": record.cpu_us.map(|us| us as f64 / 1_000.0), "peak_memory_bytes": record.peak_memory,
        "output": record.output, "error": record.error.as_ref().filter(|text| !text.is_empty()),
        "success": ended.then(|| record.status == "completed"),
    })
}

/// The record of storage, or what the queue knows in its place; 404 and 503 as they are.
async fn find(app: &App, id: &str) -> Result<Record, Response> {
    let Some(queue) = QueueName::of(id).filter(|_| escape(id) == id) else {
        return Err(not_found("there is no such job"));
    };
    for _ in 0..2 {
        let path = format!("/evaluations/{id}");
        let answer = app.storage.get(&path).await.map_err(|why| unavailable(&why))?;
        match answer.status {
            200 => return answer.read().map_err(|why| unavailable(&why)),
            404 => {}
            other => return Err(unavailable(&format!("storage answers {other}"))),
        }
        let path = format!("/tasks/{id}");
        let answer = app.queue(queue).get(&path).await.map_err(|why| unavailable(&why))?;
        let state = answer.json();
        if answer.status == 404 {
            return Err(not_found("there is no such job"));
        }
        if answer.status != 200 {
            return Err(unavailable(&format!("the queue answers {}", answer.status)));
        }
        // a job that is done meanwhile is in storage by now
        if state["state"] == "waiting" {
            return Ok(waiting(id, &state["entry"]));
        }
    }
    Ok(waiting(id, &Value::Null))
}

fn waiting(id: &str, entry: &Value) -> Record {
    let number = |key: &str| entry[key].as_u64().unwrap_or(0);
    Record {
        id: id.to_owned(),
        number: number("number"),
        reference: entry["reference"].as_str().map(str::to_owned),
        created_us: number("created_us"),
        queued_us: number("queued_us"),
        started_us: None,
        completed_us: None,
        status: "queued".into(),
        reason: None,
        output: None,
        error: None,
        worker: None,
        attempt: 0,
        effects: 0,
        executions: 0,
        execution_us: None,
        cpu_us: None,
        peak_memory: None,
    }
}

/// 200 with the result, 202 while there is none.
pub(super) async fn one(State(app): Shared, Path(id): Path<String>) -> Reply {
    let record = find(&app, &id).await?;
    let ended = FINAL.contains(&record.status.as_str());
    let status = if ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(show(&record))).into_response())
}

/// The status alone.
pub(super) async fn state(State(app): Shared, Path(id): Path<String>) -> Reply {
    let record = find(&app, &id).await?;
    let mut all = show(&record);
    let keys = [
        "eval_id",
        "status",
        "reason",
        "queue",
        "worker",
        "attempt",
        "created_at",
        "started_at",
        "completed_at",
    ];
    let short: serde_json::Map<String, Value> =
        keys.into_iter().map(|key| (key.to_owned(), all[key].take())).collect();
    Ok(Json(Value::from(short)).into_response())
}

/// What the program wrote. Empty until it has ended.
pub(super) async fn logs(State(app): Shared, Path(id): Path<String>) -> Reply {
    let record = find(&app, &id).await?;
    let ended = FINAL.contains(&record.status.as_str());
    let body = json!({"eval_id": record.id, "status": record.status, "stdout": record.output,
        "stderr": record.error, "complete": ended});
    Ok(Json(body).into_response())
}

/// The ledger of one job: every execution that began, and which one had the effect.
pub(super) async fn executions(State(app): Shared, Path(id): Path<String>) -> Reply {
    let record = find(&app, &id).await?;
    let path = format!("/executions/{}", record.id);
    let answer = app.storage.get(&path).await.map_err(|why| unavailable(&why))?;
    let list: Vec<Execution> = answer.read().map_err(|why| unavailable(&why))?;
    let shown: Vec<Value> = list
        .iter()
        .map(|e| {
            json!({"attempt": e.attempt, "worker": e.worker, "started_at": time(e.started_us),
                "ended_at": e.ended_us.map(time), "effect": e.effect})
        })
        .collect();
    Ok(Json(json!({"eval_id": record.id, "effects": record.effects, "executions": shown})).into_response())
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default = "hundred")]
    limit: u64,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    status: Option<String>,
}

fn hundred() -> u64 {
    100
}

/// A page of jobs in the order in which storage heard of them, their outputs left out.
pub(super) async fn list(State(app): Shared, Query(wanted): Query<Wanted>) -> Reply {
    let known = ["queued", "running"].iter().chain(&FINAL);
    let status = wanted.status.unwrap_or_default();
    if !status.is_empty() && !known.clone().any(|known| *known == status) {
        let why = format!(
            "status {status:?} is not known; there are {}",
            known.copied().collect::<Vec<_>>().join(", ")
        );
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &why));
    }
    let limit = wanted.limit.clamp(1, 1_000);
    let offset = wanted.offset.min(1 << 40);
    let filter = if status.is_empty() { String::new() } else { format!("&status={status}") };
    let path = format!("/evaluations?limit={limit}&offset={offset}{filter}");
    let answer = app.storage.get(&path).await.map_err(|why| unavailable(&why))?;
    let mut answer: Value = answer.read().map_err(|why| unavailable(&why))?;
    let records: Vec<Record> = serde_json::from_value(answer["records"].take()).unwrap_or_default();
    let shown: Vec<Value> = records
        .iter()
        .map(|record| {
            let mut value = show(record);
            if let Some(map) = value.as_object_mut() {
                map.remove("output");
                map.remove("error");
            }
            value
        })
        .collect();
    let body = json!({"evaluations": shown, "total": answer["total"], "limit": limit, "offset": offset});
    Ok(Json(body).into_response())
}
