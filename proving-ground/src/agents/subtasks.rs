//! Subtasks: a task is cut into four; the second and third need the first, the fourth needs both.

use super::app::Shared;
use super::auth::{anybody, now_ms, user};
use super::envelope::{Answer, Refusal, ok, one_of, read, stamp};
use super::tasks::{Change, head, is_final, set_status};
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Title and the places of those that must be completed before, as bits.
const PARTS: [(&str, i64); 4] =
    [("analyse", 0b000), ("implement", 0b001), ("test", 0b001), ("review", 0b110)];

const COLUMNS: &str = "id, task_id, place, needs, title, status, worker_id, attempts, result, updated_ms";

/// Subtasks that wait and whose needs are completed.
pub(crate) const READY: &str = "subtasks.status = 'pending' AND NOT EXISTS (SELECT 1 FROM subtasks other
    WHERE other.task_id = subtasks.task_id AND (subtasks.needs >> other.place) & 1 AND other.status <> 'completed')";

fn subtask(row: &Row<'_>) -> rusqlite::Result<Value> {
    let needs: i64 = row.get(3)?;
    let result: Option<String> = row.get(8)?;
    Ok(json!({"subtask_id": row.get::<_, String>(0)?, "task_id": row.get::<_, String>(1)?,
        "place": row.get::<_, i64>(2)?, "needs": (0..4).filter(|bit| needs >> bit & 1 == 1).collect::<Vec<i64>>(),
        "title": row.get::<_, String>(4)?, "status": row.get::<_, String>(5)?,
        "worker_id": row.get::<_, Option<String>>(6)?, "attempts": row.get::<_, i64>(7)?,
        "result": result.map(|text| serde_json::from_str::<Value>(&text).unwrap_or_default()),
        "updated_at": stamp(row.get(9)?)}))
}

/// The subtasks of a task, by place.
pub(crate) fn of_task(db: &Connection, task: &str) -> rusqlite::Result<Vec<Value>> {
    let query = format!("SELECT {COLUMNS} FROM subtasks WHERE task_id = ?1 ORDER BY place");
    db.prepare_cached(&query)?.query_map([task], subtask)?.collect()
}

/// What is told about a change of a subtask.
pub(crate) fn change(user: i64, task: &str, id: &str, status: &str, worker: Option<&str>) -> Change {
    let data = json!({"task_id": task, "subtask_id": id, "status": status, "worker_id": worker});
    Change { user, task: task.to_owned(), kind: "subtask_updated", data }
}

/// Puts back what a worker has in hand.
pub(crate) fn requeue(db: &Connection, worker: &str) -> rusqlite::Result<Vec<Change>> {
    db.prepare_cached(
        "UPDATE subtasks SET status = 'pending', worker_id = NULL, updated_ms = ?2
         WHERE worker_id = ?1 AND status IN ('in_progress', 'checkpoint')
         RETURNING id, task_id, (SELECT user_id FROM tasks WHERE tasks.id = task_id)",
    )?
    .query_map(params![worker, now_ms()], |row| {
        let (id, task): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(change(row.get(2)?, &task, &id, "pending", None))
    })?
    .collect()
}

/// POST /tasks/{id}/decompose: makes the four subtasks; a task that has them keeps them.
pub(crate) async fn decompose(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let (hub, own) = (Arc::clone(&app.hub), id.clone());
    let fresh: Vec<String> = PARTS.iter().map(|_| app.ids.next()).collect();
    let done = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let Some((owner, status)) = head(&transaction, &own)?.filter(|(owner, _)| *owner == claims.sub)
            else {
                return Ok(None);
            };
            let there = of_task(&transaction, &own)?;
            if !there.is_empty() || is_final(&status) {
                return Ok(Some((status, there)));
            }
            for (place, ((title, needs), id)) in PARTS.iter().zip(&fresh).enumerate() {
                transaction
                    .prepare_cached(
                        "INSERT INTO subtasks(id, task_id, place, needs, title, status, attempts, updated_ms)
                         VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 0, ?6)",
                    )?
                    .execute(params![id, own, place as i64, needs, title, now_ms()])?;
            }
            let change = set_status(&transaction, &own, owner, "initializing")?;
            let made = of_task(&transaction, &own)?;
            transaction.commit()?;
            change.tell(&hub);
            Ok(Some(("initializing".to_owned(), made)))
        })
        .await?;
    match done {
        None => Err(Refusal::not_found("task")),
        Some((status, made)) if made.is_empty() => Err(Refusal::conflict(format!("the task is {status}"))),
        Some((status, made)) => Ok(ok(json!({"task_id": id, "status": status, "subtasks": made}))),
    }
}

/// GET /tasks/{id}/ready-subtasks
pub(crate) async fn ready(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let own = id.clone();
    let found = app
        .readers
        .run(move |db| {
            if head(db, &own)?.is_none_or(|(owner, _)| owner != claims.sub) {
                return Ok(None);
            }
            let query =
                format!("SELECT {COLUMNS} FROM subtasks WHERE task_id = ?1 AND {READY} ORDER BY place");
            let rows =
                db.prepare_cached(&query)?.query_map([&own], subtask)?.collect::<rusqlite::Result<Vec<_>>>();
            rows.map(Some)
        })
        .await?;
    let rows = found.ok_or_else(|| Refusal::not_found("task"))?;
    Ok(ok(json!({"task_id": id, "subtasks": rows, "total": rows.len()})))
}

/// How a report about a subtask ended.
enum Report {
    Unknown,
    /// It is final with another status, or in other hands.
    Refused(String),
    Done(Value),
}

#[derive(Deserialize)]
struct ResultTold {
    status: Option<String>,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    result: Value,
    error: Option<String>,
    worker_id: Option<String>,
}

/// POST /subtasks/{id}/result: `completed` (unless told), `failed` or `checkpoint`, and what came out.
pub(crate) async fn result(app: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    anybody(&app, &headers).await?;
    let told: ResultTold = read(&body)?;
    let status = told.status.as_deref().unwrap_or("completed");
    let status = one_of("status", status, &["completed", "failed", "checkpoint"])?;
    let output = if told.output.is_null() { told.result } else { told.output };
    let kept = json!({"output": output, "error": told.error}).to_string();
    report(&app, id, status, Some(kept), told.worker_id).await
}

/// POST /subtasks/{id}/complete: completed, with the result that is there.
pub(crate) async fn complete(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    anybody(&app, &headers).await?;
    report(&app, id, "completed".into(), None, None).await
}

async fn report(
    app: &Shared,
    id: String,
    status: String,
    result: Option<String>,
    worker: Option<String>,
) -> Answer {
    let hub = Arc::clone(&app.hub);
    let report = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let (report, changes) = apply(&transaction, &id, &status, result.as_deref(), worker.as_deref())?;
            transaction.commit()?;
            changes.iter().for_each(|change| change.tell(&hub));
            Ok(report)
        })
        .await?;
    match report {
        Report::Unknown => Err(Refusal::not_found("subtask")),
        Report::Refused(why) => Err(Refusal::conflict(why)),
        Report::Done(value) => Ok(ok(value)),
    }
}

fn apply(
    db: &Connection,
    id: &str,
    status: &str,
    result: Option<&str>,
    worker: Option<&str>,
) -> rusqlite::Result<(Report, Vec<Change>)> {
    let query = "SELECT subtasks.task_id, subtasks.status, subtasks.worker_id, tasks.user_id, tasks.status
        FROM subtasks JOIN tasks ON tasks.id = subtasks.task_id WHERE subtasks.id = ?1";
    let found: Option<(String, String, Option<String>, i64, String)> = db
        .prepare_cached(query)?
        .query_row([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
        .optional()?;
    let Some((task, before, assigned, user, task_status)) = found else {
        return Ok((Report::Unknown, Vec::new()));
    };
    let done = |task_status: &str| {
        Report::Done(json!({"subtask_id": id, "status": status, "task_id": task, "task_status": task_status}))
    };
    if is_final(&before) {
        // the same report again changes nothing; another one comes too late
        let report = if before == status {
            done(&task_status)
        } else {
            Report::Refused(format!("the subtask is {before}"))
        };
        return Ok((report, Vec::new()));
    }
    if worker.is_some() && assigned.is_some() && worker != assigned.as_deref() {
        return Ok((Report::Refused("the subtask is in other hands".into()), Vec::new()));
    }
    db.prepare_cached(
        "UPDATE subtasks SET status = ?2, result = coalesce(?3, result), updated_ms = ?4 WHERE id = ?1",
    )?
    .execute(params![id, status, result, now_ms()])?;
    let mut changes = vec![change(user, &task, id, status, assigned.as_deref())];
    let left: i64 = db
        .prepare_cached("SELECT count(*) FROM subtasks WHERE task_id = ?1 AND status <> 'completed'")?
        .query_row([&task], |row| row.get(0))?;
    let next = match status {
        "failed" => "failed",
        "checkpoint" => "checkpoint",
        _ if left == 0 => "completed",
        _ => "in_progress",
    };
    if next == "failed" {
        db.prepare_cached(
            "UPDATE subtasks SET status = 'cancelled' WHERE task_id = ?1 AND status = 'pending'",
        )?
        .execute([&task])?;
    }
    if next != task_status {
        changes.push(set_status(db, &task, user, next)?);
    }
    Ok((done(next), changes))
}
