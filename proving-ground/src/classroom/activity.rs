//! What a pupil did in an activity: the newest state, and every one before it.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, numbered, ok, read_body};
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Lessons.
pub(crate) const LESSONS: u32 = 12;
/// Activities of each lesson.
pub(crate) const ACTIVITIES: u32 = 10;
/// Largest state, bytes of JSON.
const STATE: usize = 64 * 1024;

#[derive(Deserialize)]
struct Save {
    state: Value,
}

fn place(lesson: &str, activity: &str) -> Result<(u32, u32), Refusal> {
    Ok((numbered(lesson, "lesson-", LESSONS)?, numbered(activity, "a", ACTIVITIES)?))
}

/// Text that was written by us reads back; anything else shows as it is.
pub(super) fn value(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// GET /api/activity/state/{lesson}/{activity}
pub(crate) async fn load(
    state: Shared,
    Path((lesson, activity)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let user = user_of(&state, &headers, false).await?;
    let (lesson, activity) = place(&lesson, &activity)?;
    let found = state
        .readers
        .run(move |db| {
            db.prepare_cached(
                "SELECT id, state, created_ms FROM revisions WHERE user_id = ?1 AND lesson = ?2 AND activity = ?3
                 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![user.id, lesson, activity], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()
        })
        .await?;
    Ok(ok(&match found {
        Some((id, text, at)) => {
            json!({"ok": true, "state": value(text), "updated_at": at, "revision_id": id})
        }
        None => json!({"ok": true, "state": null, "updated_at": null, "revision_id": null}),
    }))
}

/// POST /api/activity/state/{lesson}/{activity}
pub(crate) async fn save(
    state: Shared,
    Path((lesson, activity)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let user = user_of(&state, &headers, true).await?;
    let (lesson, activity) = place(&lesson, &activity)?;
    let text = read_body::<Save>(&body)?.state.to_string();
    if text.len() > STATE {
        return Err(Refusal::Malformed(format!("a state has at most {STATE} bytes")));
    }
    let said = state.allow(&state.limits.saves, &user.username)?;
    let (id, at) = state
        .writer
        .run(move |db| {
            let now = unix_ms() as i64;
            db.prepare_cached(
                "INSERT INTO revisions(user_id, lesson, activity, state, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![user.id, lesson, activity, text, now])?;
            Ok((db.last_insert_rowid(), now))
        })
        .await?;
    state.counts.saves.fetch_add(1, Ordering::Relaxed);
    Ok(state.told(ok(&json!({"ok": true, "updated_at": at, "revision_id": id})), said))
}

/// GET /api/activity/state/{lesson}/{activity}/revisions: the newest hundred.
pub(crate) async fn revisions(
    state: Shared,
    Path((lesson, activity)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let user = user_of(&state, &headers, false).await?;
    let (lesson, activity) = place(&lesson, &activity)?;
    let rows = state
        .readers
        .run(move |db| {
            db.prepare_cached(
                "SELECT id, state, created_ms FROM revisions WHERE user_id = ?1 AND lesson = ?2 AND activity = ?3
                 ORDER BY id DESC LIMIT 100",
            )?
            .query_map(params![user.id, lesson, activity], |row| {
                let (id, text, at): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(json!({"revision_id": id, "state": value(text), "updated_at": at}))
            })?
            .collect::<rusqlite::Result<Vec<Value>>>()
        })
        .await?;
    Ok(ok(&json!({"ok": true, "count": rows.len(), "revisions": rows})))
}
