//! Giving ready subtasks to free workers.

use super::app::Shared;
use super::auth::{now_ms, user};
use super::envelope::{Answer, Refusal, ok};
use super::hub::Hub;
use super::subtasks::{READY, change};
use super::tasks::{Change, head, set_status};
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::sync::Arc;

/// Subtasks given out in one run.
const MOST: usize = 100;

struct Given {
    rows: Vec<Value>,
    changes: Vec<Change>,
}

/// Gives ready subtasks (of one task or of all, the oldest first) to workers that are online or idle and have
/// nothing in hand, the one heard from last first.
fn give(db: &Connection, task: Option<&str>) -> rusqlite::Result<Given> {
    let free: Vec<String> = db
        .prepare_cached(
            "SELECT id FROM workers WHERE status IN ('online', 'idle') AND NOT EXISTS
                (SELECT 1 FROM subtasks WHERE worker_id = workers.id AND status = 'in_progress')
             ORDER BY heartbeat_ms DESC, id LIMIT ?1",
        )?
        .query_map([MOST as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let query = format!(
        "SELECT subtasks.id, subtasks.task_id, tasks.user_id, tasks.status FROM subtasks
         JOIN tasks ON tasks.id = subtasks.task_id
         WHERE (?1 IS NULL OR subtasks.task_id = ?1) AND {READY} ORDER BY subtasks.number LIMIT ?2"
    );
    let ready: Vec<(String, String, i64, String)> = db
        .prepare_cached(&query)?
        .query_map(params![task, free.len() as i64], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut given = Given { rows: Vec::new(), changes: Vec::new() };
    let mut started: Vec<String> = Vec::new();
    for ((id, task, user, status), worker) in ready.into_iter().zip(free) {
        db.prepare_cached(
            "UPDATE subtasks SET status = 'in_progress', worker_id = ?2, attempts = attempts + 1, updated_ms = ?3
             WHERE id = ?1",
        )?
        .execute(params![id, worker, now_ms()])?;
        given.changes.push(change(user, &task, &id, "in_progress", Some(&worker)));
        given.rows.push(json!({"subtask_id": id, "task_id": task, "worker_id": worker}));
        if status != "in_progress" && !started.contains(&task) {
            given.changes.push(set_status(db, &task, user, "in_progress")?);
            started.push(task);
        }
    }
    Ok(given)
}

fn tell(hub: &Hub, given: &Given) {
    given.changes.iter().for_each(|change| change.tell(hub));
    for row in &given.rows {
        if let Some(worker) = row["worker_id"].as_str() {
            hub.publish(&format!("worker:{worker}"), "subtask_assigned", row);
        }
    }
}

/// POST /tasks/{id}/allocate
pub(crate) async fn allocate(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let (hub, own) = (Arc::clone(&app.hub), id.clone());
    let given = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            if head(&transaction, &own)?.is_none_or(|(owner, _)| owner != claims.sub) {
                return Ok(None);
            }
            let given = give(&transaction, Some(&own))?;
            transaction.commit()?;
            tell(&hub, &given);
            Ok(Some(given.rows))
        })
        .await?;
    let rows = given.ok_or_else(|| Refusal::not_found("task"))?;
    Ok(ok(json!({"task_id": id, "allocated": rows.len(), "allocations": rows})))
}

/// POST /scheduler/run
pub(crate) async fn run(app: Shared, headers: HeaderMap) -> Answer {
    user(&app, &headers)?;
    let hub = Arc::clone(&app.hub);
    let rows = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let given = give(&transaction, None)?;
            transaction.commit()?;
            tell(&hub, &given);
            Ok(given.rows)
        })
        .await?;
    Ok(ok(json!({"allocated": rows.len(), "allocations": rows})))
}

/// Rows of a table by status.
pub(crate) fn by_status(db: &Connection, table: &str) -> rusqlite::Result<serde_json::Map<String, Value>> {
    db.prepare_cached(&format!("SELECT status, count(*) FROM {table} GROUP BY status"))?
        .query_map([], |row| Ok((row.get(0)?, Value::from(row.get::<_, i64>(1)?))))?
        .collect()
}

/// GET /scheduler/stats
pub(crate) async fn stats(app: Shared, headers: HeaderMap) -> Answer {
    user(&app, &headers)?;
    let value = app
        .readers
        .run(|db| {
            let ready: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM subtasks WHERE {READY}"))?
                .query_row([], |row| row.get(0))?;
            Ok(json!({"tasks": by_status(db, "tasks")?, "subtasks": by_status(db, "subtasks")?,
                "workers": by_status(db, "workers")?, "ready_subtasks": ready}))
        })
        .await?;
    Ok(ok(value))
}
