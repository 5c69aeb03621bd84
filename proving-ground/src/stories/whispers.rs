//! Whispers: short public messages.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Whisper {
    id: i64,
    author: String,
    body: String,
    created_ms: i64,
}

#[derive(Deserialize)]
struct NewWhisper {
    body: String,
}

/// GET /api/whispers
pub(crate) async fn list(state: Shared) -> Answer {
    state
        .cached("whispers".into(), |db| {
            let mut statement = db.prepare_cached(
                "SELECT whispers.id, handle, body, whispers.created_ms FROM whispers
                 JOIN users ON users.id = user_id ORDER BY whispers.id DESC LIMIT 20",
            )?;
            let all: Vec<Whisper> = statement
                .query_map([], |row| {
                    Ok(Whisper {
                        id: row.get(0)?,
                        author: row.get(1)?,
                        body: row.get(2)?,
                        created_ms: row.get(3)?,
                    })
                })?
                .collect::<Result<_, _>>()?;
            Ok(Some(serde_json::json!({"count": all.len(), "results": all})))
        })
        .await
}

/// POST /api/whispers
pub(crate) async fn create(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let new: NewWhisper = read_body(&body)?;
    let text = text_of("body", &new.body, 1, 500)?;
    let stored = text.clone();
    let (id, created_ms) = state
        .writer
        .run(move |db| {
            let now = unix_ms() as i64;
            db.prepare_cached(
                "INSERT INTO whispers(user_id, body, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?3)",
            )?
            .execute(params![user.id, stored, now])?;
            Ok((db.last_insert_rowid(), now))
        })
        .await?;
    state.cache.forget(&["whispers"]);
    Ok(created(&Whisper { id, author: user.handle, body: text, created_ms }))
}

/// PATCH /api/whispers/{id}
pub(crate) async fn change(state: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let id: i64 = id.parse().map_err(|_| Refusal::NotFound("there is no whisper with this number"))?;
    let new: NewWhisper = read_body(&body)?;
    let text = text_of("body", &new.body, 1, 500)?;
    let stored = text.clone();
    let owner = state
        .writer
        .run(move |db| {
            let changed = db
                .prepare_cached(
                    "UPDATE whispers SET body = ?3, updated_ms = ?4 WHERE id = ?1 AND user_id = ?2
                     RETURNING created_ms",
                )?
                .query_row(params![id, user.id, stored, unix_ms() as i64], |row| row.get::<_, i64>(0))
                .optional()?;
            let exists: bool =
                db.query_row("SELECT EXISTS (SELECT 1 FROM whispers WHERE id = ?1)", [id], |row| row.get(0))?;
            Ok((changed, exists))
        })
        .await?;
    match owner {
        (Some(created_ms), _) => {
            state.cache.forget(&["whispers"]);
            Ok(ok(&Whisper { id, author: user.handle, body: text, created_ms }))
        }
        (None, true) => Err(Refusal::Forbidden),
        (None, false) => Err(Refusal::NotFound("there is no whisper with this number")),
    }
}
