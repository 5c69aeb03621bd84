//! Workers: registration, heartbeat, lists.

use super::app::{App, Shared};
use super::auth::{anybody, now_ms};
use super::envelope::{Answer, Refusal, ok, one_of, read, stamp, text};
use super::hub::Hub;
use super::subtasks::requeue;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const STATUSES: [&str; 4] = ["online", "offline", "busy", "idle"];
const COLUMNS: &str = "id, machine_id, machine_name, system_info, tools, status, resources, current_task,
    registered_ms, heartbeat_ms";

/// Pages of a list, as all lists take them.
#[derive(Deserialize)]
pub(crate) struct Page {
    page: Option<u32>,
    #[serde(alias = "limit")]
    page_size: Option<u32>,
    offset: Option<u32>,
    /// Filter.
    pub(crate) status: Option<String>,
    /// Filter of task lists.
    pub(crate) task_type: Option<String>,
}

impl Page {
    /// Page number from 1, rows of a page, rows before it; 422 beyond 100 rows.
    pub(crate) fn rows(&self) -> Result<(u32, u32, u32), Refusal> {
        let size = self.page_size.unwrap_or(20);
        let page = self.page.unwrap_or(1);
        if !(1..=100).contains(&size) {
            return Err(Refusal::invalid("page_size", "1 to 100 are allowed"));
        }
        if page == 0 {
            return Err(Refusal::invalid("page", "pages begin with 1"));
        }
        Ok((page, size, self.offset.unwrap_or_else(|| (page - 1).saturating_mul(size))))
    }
}

fn parsed(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    Ok(serde_json::from_str(&row.get::<_, String>(column)?).unwrap_or_default())
}

fn worker(row: &Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({"worker_id": row.get::<_, String>(0)?, "machine_id": row.get::<_, String>(1)?,
        "machine_name": row.get::<_, String>(2)?, "system_info": parsed(row, 3)?, "tools": parsed(row, 4)?,
        "status": row.get::<_, String>(5)?, "resources": parsed(row, 6)?,
        "current_task": row.get::<_, Option<String>>(7)?, "registered_at": stamp(row.get(8)?),
        "last_heartbeat": stamp(row.get(9)?)}))
}

fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<Value>> {
    let query = format!("SELECT {COLUMNS} FROM workers WHERE id = ?1");
    db.prepare_cached(&query)?.query_row([id], worker).optional()
}

/// Tells a change of a worker to all who listen.
pub(crate) fn tell(hub: &Hub, id: &str, kind: &str, status: &str) {
    let data = json!({"worker_id": id, "status": status});
    hub.publish("workers", kind, &data);
    hub.publish(&format!("worker:{id}"), kind, &data);
}

/// Whether there is such a worker.
pub(crate) async fn exists(app: &App, id: &str) -> Result<bool, Refusal> {
    let id = id.to_owned();
    Ok(app
        .readers
        .run(move |db| db.prepare_cached("SELECT 1 FROM workers WHERE id = ?1")?.exists([id]))
        .await?)
}

#[derive(Deserialize)]
struct Register {
    machine_id: String,
    machine_name: String,
    #[serde(default)]
    system_info: Map<String, Value>,
    #[serde(default)]
    tools: Vec<String>,
}

/// POST /workers/register: a machine that is known keeps its worker.
pub(crate) async fn register(app: Shared, body: Bytes) -> Answer {
    let asked: Register = read(&body)?;
    let machine = text("machine_id", &asked.machine_id, 1, 100)?;
    let name = text("machine_name", &asked.machine_name, 1, 200)?;
    if asked.tools.len() > 100 || asked.tools.iter().any(|tool| tool.chars().count() > 100) {
        return Err(Refusal::invalid("tools", "100 names of 100 characters are allowed"));
    }
    let (info, tools) = (Value::from(asked.system_info).to_string(), json!(asked.tools).to_string());
    let (fresh, hub) = (app.ids.next(), Arc::clone(&app.hub));
    let id = fresh.clone();
    let id: String = app
        .writer
        .run(move |db| {
            let id: String = db
                .prepare_cached(
                    "INSERT INTO workers(id, machine_id, machine_name, system_info, tools, status, resources,
                        registered_ms, heartbeat_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, 'online', '{}', ?6, ?6)
                     ON CONFLICT(machine_id) DO UPDATE SET machine_name = ?3, system_info = ?4, tools = ?5,
                        status = 'online', heartbeat_ms = ?6
                     RETURNING id",
                )?
                .query_row(params![id, machine, name, info, tools, now_ms()], |row| row.get(0))?;
            tell(&hub, &id, "worker_online", "online");
            Ok(id)
        })
        .await?;
    let (status, message) = if id == fresh {
        ("registered", "worker registered")
    } else {
        ("updated", "worker known, data updated")
    };
    let answer = json!({"status": status, "worker_id": id, "message": message});
    Ok(ok(answer))
}

#[derive(Deserialize, Default)]
struct Resources {
    cpu_percent: Option<f64>,
    memory_percent: Option<f64>,
    disk_percent: Option<f64>,
}

#[derive(Deserialize)]
struct Heartbeat {
    status: String,
    #[serde(default)]
    resources: Resources,
    current_task: Option<String>,
}

/// Takes a heartbeat, from a request or from the worker's WebSocket.
pub(crate) async fn beat(app: &App, id: String, body: &Bytes) -> Result<Value, Refusal> {
    let asked: Heartbeat = read(body)?;
    let status = one_of("status", &asked.status, &STATUSES)?;
    let mut resources = Map::new();
    let told = [
        ("cpu_percent", asked.resources.cpu_percent),
        ("memory_percent", asked.resources.memory_percent),
        ("disk_percent", asked.resources.disk_percent),
    ];
    for (name, value) in told {
        let Some(value) = value else { continue };
        if !(0.0..=100.0).contains(&value) {
            return Err(Refusal::invalid(name, "0 to 100 percent are possible"));
        }
        resources.insert(name.to_owned(), value.into());
    }
    if let Some(task) = &asked.current_task {
        text("current_task", task, 0, 100)?;
    }
    let (hub, resources, task) =
        (Arc::clone(&app.hub), Value::from(resources).to_string(), asked.current_task);
    let (new, at) = (status.clone(), now_ms());
    let known = app
        .writer
        .run(move |db| {
            let before: Option<String> = db
                .prepare_cached("SELECT status FROM workers WHERE id = ?1")?
                .query_row([&id], |row| row.get(0))
                .optional()?;
            let Some(before) = before else { return Ok(false) };
            db.prepare_cached(
                "UPDATE workers SET status = ?2, resources = ?3, current_task = ?4, heartbeat_ms = ?5 WHERE id = ?1",
            )?
            .execute(params![id, new, resources, task, at])?;
            if before != new {
                let kind = if before == "offline" { "worker_online" } else { "worker_updated" };
                tell(&hub, &id, kind, &new);
            }
            Ok(true)
        })
        .await?;
    if !known {
        return Err(Refusal::not_found("worker"));
    }
    Ok(json!({"acknowledged": true, "status": status, "timestamp": stamp(at)}))
}

/// POST /workers/{id}/heartbeat
pub(crate) async fn heartbeat(
    app: Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    anybody(&app, &headers).await?;
    Ok(ok(beat(&app, id, &body).await?))
}

/// POST /workers/{id}/unregister: offline; its work goes back to the queue.
pub(crate) async fn unregister(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    anybody(&app, &headers).await?;
    let (hub, worker) = (Arc::clone(&app.hub), id.clone());
    let known = app.writer.run(move |db| take_off(db, &hub, &worker, "unregistered")).await?;
    if known {
        Ok(ok(json!({"status": "offline", "worker_id": id})))
    } else {
        Err(Refusal::not_found("worker"))
    }
}

/// Puts a worker offline and its subtasks back; false if there is none.
pub(crate) fn take_off(db: &mut Connection, hub: &Hub, id: &str, why: &str) -> rusqlite::Result<bool> {
    let transaction = db.transaction()?;
    let set = "UPDATE workers SET status = 'offline', current_task = NULL WHERE id = ?1";
    let known = transaction.prepare_cached(set)?.execute([id])? > 0;
    let back = requeue(&transaction, id)?;
    transaction.commit()?;
    if known {
        tell(hub, id, if why == "stale" { "worker_stale" } else { "worker_offline" }, "offline");
    }
    back.iter().for_each(|change| change.tell(hub));
    Ok(known)
}

/// GET /workers?status&page&page_size
pub(crate) async fn list(app: Shared, headers: HeaderMap, Query(asked): Query<Page>) -> Answer {
    anybody(&app, &headers).await?;
    let (page, size, offset) = asked.rows()?;
    let status = asked.status.map(|status| one_of("status", &status, &STATUSES)).transpose()?;
    let (total, workers) = app
        .readers
        .run(move |db| {
            let filter = "WHERE (?1 IS NULL OR status = ?1)";
            let total: i64 = db
                .prepare_cached(&format!("SELECT count(*) FROM workers {filter}"))?
                .query_row([&status], |row| row.get(0))?;
            let query = format!(
                "SELECT {COLUMNS} FROM workers {filter} ORDER BY registered_ms DESC, id LIMIT ?2 OFFSET ?3"
            );
            let rows = db
                .prepare_cached(&query)?
                .query_map(params![status, size, offset], worker)?
                .collect::<rusqlite::Result<Vec<Value>>>()?;
            Ok((total, rows))
        })
        .await?;
    Ok(ok(json!({"workers": workers, "total": total, "page": page, "page_size": size})))
}

/// GET /workers/{id}
pub(crate) async fn one(app: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    anybody(&app, &headers).await?;
    let found = app.readers.run(move |db| find(db, &id)).await?;
    Ok(ok(found.ok_or_else(|| Refusal::not_found("worker"))?))
}
