//! Tasks: create, list, read, progress, cancel. A task belongs to its user; to all others it does not exist.

use super::app::Shared;
use super::auth::{now_ms, user};
use super::envelope::{Answer, Refusal, created, ok, one_of, read, stamp, text};
use super::hub::Hub;
use super::workers::Page;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const TYPES: [&str; 8] = [
    "develop_feature",
    "bug_fix",
    "refactor",
    "code_review",
    "documentation",
    "testing",
    "deployment",
    "analysis",
];
const STATUSES: [&str; 7] =
    ["pending", "initializing", "in_progress", "checkpoint", "completed", "failed", "cancelled"];
const COLUMNS: &str =
    "id, user_id, description, task_type, options, status, created_ms, updated_ms, completed_ms,
    (SELECT count(*) FROM subtasks WHERE task_id = tasks.id),
    (SELECT count(*) FROM subtasks WHERE task_id = tasks.id AND status = 'completed')";

/// Whether a status is for ever.
pub(crate) fn is_final(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}

/// A change of a task or subtask, told once it is committed.
pub(crate) struct Change {
    pub(crate) user: i64,
    pub(crate) task: String,
    pub(crate) kind: &'static str,
    pub(crate) data: Value,
}

impl Change {
    /// Tells it on the user's and the task's channel.
    pub(crate) fn tell(&self, hub: &Hub) {
        hub.publish(&format!("tasks:{}", self.user), self.kind, &self.data);
        hub.publish(&format!("task:{}", self.task), self.kind, &self.data);
    }
}

/// User and status of a task.
pub(crate) fn head(db: &Connection, id: &str) -> rusqlite::Result<Option<(i64, String)>> {
    db.prepare_cached("SELECT user_id, status FROM tasks WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Sets a task's status; what is to be told.
pub(crate) fn set_status(db: &Connection, id: &str, user: i64, status: &str) -> rusqlite::Result<Change> {
    let now = now_ms();
    db.prepare_cached(
        "UPDATE tasks SET status = ?2, updated_ms = ?3, completed_ms = CASE WHEN ?4 THEN ?3 END WHERE id = ?1",
    )?
    .execute(params![id, status, now, is_final(status)])?;
    let data = json!({"task_id": id, "status": status});
    Ok(Change { user, task: id.to_owned(), kind: "task_updated", data })
}

fn share(done: i64, all: i64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * done as f64 / all as f64 }
}

fn task(row: &Row<'_>) -> rusqlite::Result<Value> {
    let options: Value = serde_json::from_str(&row.get::<_, String>(4)?).unwrap_or_default();
    let (all, done) = (row.get(9)?, row.get(10)?);
    let status: String = row.get(5)?;
    let progress = if status == "completed" { 100.0 } else { share(done, all) };
    Ok(json!({"task_id": row.get::<_, String>(0)?, "user_id": row.get::<_, i64>(1)?,
        "description": row.get::<_, String>(2)?, "task_type": row.get::<_, String>(3)?, "options": options,
        "status": status, "progress": progress, "subtasks_total": all, "subtasks_completed": done,
        "created_at": stamp(row.get(6)?), "updated_at": stamp(row.get(7)?),
        "completed_at": row.get::<_, Option<i64>>(8)?.map(stamp)}))
}

#[derive(Deserialize)]
struct Create {
    description: String,
    task_type: String,
    #[serde(default)]
    requirements: Map<String, Value>,
    checkpoint_frequency: Option<String>,
    privacy_level: Option<String>,
    #[serde(default)]
    tool_preferences: Vec<String>,
}

/// POST /tasks
pub(crate) async fn create(app: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let claims = user(&app, &headers)?;
    let asked: Create = read(&body)?;
    let description = text("description", &asked.description, 10, 10_000)?;
    let kind = one_of("task_type", &asked.task_type, &TYPES)?;
    let often = asked.checkpoint_frequency.as_deref().unwrap_or("medium");
    let often = one_of("checkpoint_frequency", often, &["low", "medium", "high"])?;
    let privacy = asked.privacy_level.as_deref().unwrap_or("normal");
    let privacy = one_of("privacy_level", privacy, &["normal", "sensitive"])?;
    if asked.tool_preferences.len() > 20 {
        return Err(Refusal::invalid("tool_preferences", "20 are allowed"));
    }
    let options = json!({"requirements": asked.requirements, "checkpoint_frequency": often,
        "privacy_level": privacy, "tool_preferences": asked.tool_preferences})
    .to_string();
    let (id, hub, now) = (app.ids.next(), Arc::clone(&app.hub), now_ms());
    let data = json!({"task_id": id, "status": "pending", "task_type": kind});
    let change = Change { user: claims.sub, task: id.clone(), kind: "task_created", data };
    let own = id.clone();
    app.writer
        .run(move |db| {
            db.prepare_cached(
                "INSERT INTO tasks(id, user_id, description, task_type, options, status, created_ms, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?6)",
            )?
            .execute(params![own, claims.sub, description, kind, options, now])?;
            change.tell(&hub);
            Ok(())
        })
        .await?;
    Ok(created(
        json!({"task_id": id, "status": "pending", "created_at": stamp(now), "message": "task created"}),
    ))
}

/// GET /tasks?status&task_type&page&page_size
pub(crate) async fn list(app: Shared, headers: HeaderMap, Query(asked): Query<Page>) -> Answer {
    let claims = user(&app, &headers)?;
    let (page, size, offset) = asked.rows()?;
    let status = asked.status.map(|status| one_of("status", &status, &STATUSES)).transpose()?;
    let kind = asked.task_type.map(|kind| one_of("task_type", &kind, &TYPES)).transpose()?;
    let (total, tasks) = app
        .readers
        .run(move |db| {
            let filter =
                "WHERE user_id = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR task_type = ?3)";
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM tasks {filter}"))?
                .query_row(params![claims.sub, status, kind], |row| row.get(0))?;
            let query =
                format!("SELECT {COLUMNS} FROM tasks {filter} ORDER BY number DESC LIMIT ?4 OFFSET ?5");
            let rows = db
                .prepare_cached(&query)?
                .query_map(params![claims.sub, status, kind, size, offset], task)?
                .collect::<rusqlite::Result<Vec<Value>>>()?;
            Ok((total, rows))
        })
        .await?;
    Ok(ok(json!({"tasks": tasks, "total": total, "page": page, "page_size": size})))
}

/// GET /tasks/{id}
pub(crate) async fn one(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let found = app
        .readers
        .run(move |db| {
            let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1 AND user_id = ?2");
            let found = db.prepare_cached(&query)?.query_row(params![id, claims.sub], task).optional()?;
            let Some(mut found) = found else { return Ok(None) };
            found["subtasks"] = super::subtasks::of_task(db, &id)?.into();
            Ok(Some(found))
        })
        .await?;
    Ok(ok(found.ok_or_else(|| Refusal::not_found("task"))?))
}

/// GET /tasks/{id}/progress
pub(crate) async fn progress(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let found = app
        .readers
        .run(move |db| {
            let query = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1 AND user_id = ?2");
            db.prepare_cached(&query)?.query_row(params![id, claims.sub], task).optional()
        })
        .await?;
    let task = found.ok_or_else(|| Refusal::not_found("task"))?;
    let keep = ["task_id", "status", "progress", "subtasks_total", "subtasks_completed", "updated_at"];
    let kept: Map<String, Value> = keep.iter().map(|key| ((*key).to_owned(), task[*key].clone())).collect();
    Ok(ok(Value::from(kept)))
}

/// POST /tasks/{id}/cancel: final; subtasks that are not done are cancelled, too. Again: the same answer.
pub(crate) async fn cancel(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let (hub, own) = (Arc::clone(&app.hub), id.clone());
    let before = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let Some((owner, status)) = head(&transaction, &own)?.filter(|(owner, _)| *owner == claims.sub)
            else {
                return Ok(None);
            };
            if is_final(&status) {
                return Ok(Some(status));
            }
            transaction
                .prepare_cached(
                    "UPDATE subtasks SET status = 'cancelled', updated_ms = ?2
                     WHERE task_id = ?1 AND status IN ('pending', 'in_progress', 'checkpoint')",
                )?
                .execute(params![own, now_ms()])?;
            let change = set_status(&transaction, &own, owner, "cancelled")?;
            transaction.commit()?;
            change.tell(&hub);
            Ok(Some("cancelled".to_owned()))
        })
        .await?;
    match before.as_deref() {
        None => Err(Refusal::not_found("task")),
        Some("cancelled") => Ok(ok(json!({"task_id": id, "status": "cancelled"}))),
        Some(status) => Err(Refusal::conflict(format!("the task is {status}"))),
    }
}
