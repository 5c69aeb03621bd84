//! What admins see and do: users, the audit, figures.

use super::app::{App, Shared};
use super::auth::{User, user_of};
use super::reply::{Answer, Refusal, json as answer, ok, read_body, text_of};
use super::store::{self, Role, hash};
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, StatusCode};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn admin(app: &App, headers: &HeaderMap, writes: bool) -> Result<User, Refusal> {
    let user = user_of(app, headers, writes).await?;
    user.administers()?;
    Ok(user)
}

const SELECT: &str = "SELECT id, username, name, role, active, created_ms FROM users";

fn user(row: &Row<'_>) -> rusqlite::Result<Value> {
    let (id, username, name): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (role, active, created): (String, bool, i64) = (row.get(3)?, row.get(4)?, row.get(5)?);
    Ok(json!({
        "id": id, "username": username, "name": name, "role": role, "active": active, "created_at": created,
    }))
}

fn one_user(db: &Connection, id: i64) -> rusqlite::Result<Option<Value>> {
    db.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], user).optional()
}

/// What may stand behind the `?` of lists.
#[derive(Deserialize)]
pub(crate) struct Page {
    limit: Option<u32>,
    offset: Option<u32>,
}

type Question = Result<Query<Page>, axum::extract::rejection::QueryRejection>;

fn page(question: Question) -> Result<(u32, u32), Refusal> {
    let Query(page) = question.map_err(|e| Refusal::Malformed(e.body_text()))?;
    let limit = page.limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Refusal::Malformed("limit lies from 1 to 200".into()));
    }
    Ok((limit, page.offset.unwrap_or(0)))
}

/// GET /api/admin/users
pub(crate) async fn list(state: Shared, headers: HeaderMap, question: Question) -> Answer {
    admin(&state, &headers, false).await?;
    let (limit, offset) = page(question)?;
    let found = state.readers.run(move |db| {
        let all = db
            .prepare_cached(&format!("{SELECT} ORDER BY id LIMIT ?1 OFFSET ?2"))?
            .query_map(params![limit, offset], user)?
            .collect::<rusqlite::Result<Vec<Value>>>()?;
        let total: i64 = db.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
        Ok((all, total))
    });
    let (all, total) = found.await?;
    Ok(ok(&json!({"ok": true, "count": all.len(), "total": total, "users": all})))
}

/// GET /api/admin/users/{id}
pub(crate) async fn one(state: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    admin(&state, &headers, false).await?;
    let id = number(&id)?;
    let found = state.readers.run(move |db| one_user(db, id)).await?;
    Ok(ok(&json!({"ok": true, "user": found.ok_or(NOBODY)?})))
}

const NOBODY: Refusal = Refusal::NotFound("there is no user of this number");

fn number(id: &str) -> Result<i64, Refusal> {
    id.parse().map_err(|_| NOBODY)
}

#[derive(Deserialize)]
struct New {
    username: String,
    password: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    role: Option<String>,
}

fn role_of(word: Option<&str>) -> Result<Option<&'static str>, Refusal> {
    match word {
        None => Ok(None),
        Some("pupil" | "teacher" | "admin") => Ok(word.map(|w| Role::read(w).word())),
        Some(_) => Err(Refusal::Malformed("role is pupil, teacher or admin".into())),
    }
}

fn password_of(text: &str) -> Result<&str, Refusal> {
    let fits = (8..=256).contains(&text.len());
    if fits { Ok(text) } else { Err(Refusal::Malformed("a password has 8 to 256 bytes".into())) }
}

/// POST /api/admin/users
pub(crate) async fn create(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let by = admin(&state, &headers, true).await?;
    let new: New = read_body(&body)?;
    let username = text_of("username", &new.username, 1, 64)?.to_lowercase();
    let name = text_of("name", &new.name, 0, 200)?;
    let role = role_of(new.role.as_deref())?.unwrap_or("pupil");
    let password = password_of(&new.password)?.to_owned();
    let made = state.writer.run(move |db| {
        let step = db.savepoint()?;
        let salt: String = step.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
        let inserted = step.execute(
            "INSERT INTO users(username, name, role, salt, hash, active, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
            params![username, name, role, salt, hash(&salt, &password), unix_ms() as i64],
        );
        match inserted {
            Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == ErrorCode::ConstraintViolation => {
                return Ok(None);
            }
            other => other?,
        };
        let id = step.last_insert_rowid();
        store::audit(&step, &by.username, "create user", &username)?;
        let made = one_user(&step, id)?;
        step.commit()?;
        Ok(made)
    });
    let made = made.await?.ok_or(Refusal::Conflict("there is a user of this name already"))?;
    Ok(answer(StatusCode::CREATED, &json!({"ok": true, "user": made})))
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    role: Option<String>,
    active: Option<bool>,
    password: Option<String>,
}

/// PATCH /api/admin/users/{id}. Who is closed or gets another password loses his sessions.
pub(crate) async fn change(state: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let by = admin(&state, &headers, true).await?;
    let id = number(&id)?;
    let asked: Change = read_body(&body)?;
    let name = asked.name.map(|n| text_of("name", &n, 0, 200)).transpose()?;
    let role = role_of(asked.role.as_deref())?;
    let password = asked.password.as_deref().map(password_of).transpose()?.map(str::to_owned);
    let active = asked.active;
    let done = state.writer.run(move |db| {
        let step = db.savepoint()?;
        let changed = step.execute(
            "UPDATE users SET name = coalesce(?2, name), role = coalesce(?3, role), active = coalesce(?4, active)
             WHERE id = ?1",
            params![id, name, role, active],
        )?;
        if changed == 0 {
            return Ok(None);
        }
        if let Some(password) = &password {
            let salt: String = step.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))?;
            let hash = hash(&salt, password);
            step.execute("UPDATE users SET salt = ?2, hash = ?3 WHERE id = ?1", params![id, salt, hash])?;
        }
        if password.is_some() || active == Some(false) {
            step.execute("DELETE FROM sessions WHERE user_id = ?1", [id])?;
        }
        store::audit(&step, &by.username, "change user", &id.to_string())?;
        let user = one_user(&step, id)?;
        step.commit()?;
        Ok(user)
    });
    Ok(ok(&json!({"ok": true, "user": done.await?.ok_or(NOBODY)?})))
}

/// DELETE /api/admin/users/{id}: with everything that is his.
pub(crate) async fn remove(state: Shared, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let by = admin(&state, &headers, true).await?;
    let id = number(&id)?;
    if id == by.id {
        return Err(Refusal::Conflict("an admin does not remove himself"));
    }
    let done = state.writer.run(move |db| {
        let step = db.savepoint()?;
        let removed = step.execute("DELETE FROM users WHERE id = ?1", [id])?;
        store::audit(&step, &by.username, "remove user", &id.to_string())?;
        step.commit()?;
        Ok(removed > 0)
    });
    if done.await? { Ok(ok(&json!({"ok": true}))) } else { Err(NOBODY) }
}

/// GET /api/admin/audit: the newest first.
pub(crate) async fn audit(state: Shared, headers: HeaderMap, question: Question) -> Answer {
    admin(&state, &headers, false).await?;
    let (limit, offset) = page(question)?;
    let all = state.readers.run(move |db| {
        db.prepare_cached(
            "SELECT id, at_ms, actor, action, detail FROM audit ORDER BY id DESC LIMIT ?1 OFFSET ?2",
        )?
        .query_map(params![limit, offset], |row| {
            let (id, at, actor): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (action, detail): (String, String) = (row.get(3)?, row.get(4)?);
            Ok(json!({"id": id, "at": at, "actor": actor, "action": action, "detail": detail}))
        })?
        .collect::<rusqlite::Result<Vec<Value>>>()
    });
    let all = all.await?;
    Ok(ok(&json!({"ok": true, "count": all.len(), "entries": all})))
}

/// GET /api/admin/metrics and /api/metrics
pub(crate) async fn metrics(state: Shared, headers: HeaderMap) -> Answer {
    admin(&state, &headers, false).await?;
    let now = unix_ms() as i64;
    let sql = "SELECT count(*) FROM sessions WHERE expires_ms > ?1";
    let open = state.readers.run(move |db| db.query_row(sql, [now], |row| row.get::<_, i64>(0)));
    let open = open.await?;
    let counts = &state.counts;
    let get = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
    let (runs, timeouts, failures) = state.runner.figures();
    let (readers, writer) = (state.readers.status(), state.writer.status());
    Ok(ok(&json!({
        "ok": true,
        "auth": {
            "logins": get(&counts.logins), "wrong_passwords": get(&counts.wrong_passwords),
            "locked_out": get(&counts.locked_out), "csrf_refused": get(&counts.csrf_refused),
            "open_sessions": open,
        },
        "activity": {"saves": get(&counts.saves), "marks": get(&counts.marks), "limited": get(&counts.limited)},
        "python": {"runs": runs, "timeouts": timeouts, "failures": failures},
        "database": {
            "readers": readers.size, "readers_busy": readers.busy, "readers_waiting": readers.waiting,
            "writer_waiting": writer.waiting, "queries": readers.queries + writer.queries,
            "errors": readers.failures + writer.failures,
        },
    })))
}
