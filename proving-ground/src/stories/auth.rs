//! Who asks: bearer tokens, login, users.
//!
//! Tokens: `demo-token-N` is `reader-N` for ever (so that plans need no login), and `POST /api/auth/login` gives
//! a new one for any user. The password of every user is `crucible`: this is a demonstration, not a vault.

use super::app::{App, Shared};
use super::reply::{Answer, Refusal, ok, read_body};
use super::seed::READERS;
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// Password of every user.
const PASSWORD: &str = "crucible";

/// A user who has shown a token.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Row.
    pub(crate) id: i64,
    /// Public name.
    pub(crate) handle: String,
}

#[derive(Serialize)]
struct Profile {
    id: i64,
    handle: String,
    name: String,
    bio: String,
    role: String,
    created_ms: i64,
    stories: i64,
    shelves: i64,
}

#[derive(Deserialize)]
struct Login {
    #[serde(alias = "username")]
    handle: String,
    password: String,
}

/// The user behind the `Authorization` header, or 401.
pub(crate) async fn user_of(app: &App, headers: &HeaderMap) -> Result<User, Refusal> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = value
        .and_then(|v| v.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| token.len() <= 100)
        .ok_or(Refusal::Unauthorized)?;
    if let Some(number) = token.strip_prefix("demo-token-").and_then(|n| n.parse::<u64>().ok()) {
        if !(1..=READERS).contains(&number) {
            return Err(Refusal::Unauthorized);
        }
        return Ok(User { id: number as i64, handle: format!("reader-{number}") });
    }
    let token = token.to_owned();
    let found = app
        .readers
        .run(move |db| {
            db.prepare_cached(
                "SELECT users.id, users.handle FROM sessions JOIN users ON users.id = sessions.user_id
                 WHERE token = ?1",
            )?
            .query_row([token], |row| Ok(User { id: row.get(0)?, handle: row.get(1)? }))
            .optional()
        })
        .await?;
    found.ok_or(Refusal::Unauthorized)
}

/// POST /api/auth/login
pub(crate) async fn login(state: Shared, body: Bytes) -> Answer {
    let asked: Login = read_body(&body)?;
    if asked.password != PASSWORD {
        return Err(Refusal::Unauthorized);
    }
    let handle = asked.handle.clone();
    let token = state
        .writer
        .run(move |db| {
            db.prepare_cached(
                "INSERT INTO sessions(token, user_id, created_ms)
                 SELECT 'session-' || lower(hex(randomblob(16))), id, ?2 FROM users WHERE handle = ?1
                 RETURNING token",
            )?
            .query_row(params![handle, unix_ms() as i64], |row| row.get::<_, String>(0))
            .optional()
        })
        .await?;
    let token = token.ok_or(Refusal::Unauthorized)?;
    Ok(ok(&serde_json::json!({"token": token, "token_type": "Bearer", "user": {"handle": asked.handle}})))
}

fn profile(db: &Connection, handle: &str) -> rusqlite::Result<Option<Profile>> {
    db.prepare_cached(
        "SELECT id, handle, name, bio, role, created_ms,
                (SELECT count(*) FROM stories WHERE author_id = users.id),
                (SELECT count(*) FROM shelves WHERE user_id = users.id)
         FROM users WHERE handle = ?1",
    )?
    .query_row([handle], |row| {
        Ok(Profile {
            id: row.get(0)?,
            handle: row.get(1)?,
            name: row.get(2)?,
            bio: row.get(3)?,
            role: row.get(4)?,
            created_ms: row.get(5)?,
            stories: row.get(6)?,
            shelves: row.get(7)?,
        })
    })
    .optional()
}

/// GET /api/users/me
pub(crate) async fn me(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let found = state.readers.run(move |db| profile(db, &user.handle)).await?;
    Ok(ok(&found.ok_or(Refusal::Unauthorized)?))
}

/// GET /api/users/{handle}
pub(crate) async fn user(state: Shared, Path(handle): Path<String>) -> Answer {
    state.cached(format!("user/{handle}"), move |db| profile(db, &handle)).await
}
