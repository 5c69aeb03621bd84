//! Who asks: accounts, sessions, tokens, keys of workers.

use super::app::{App, Shared};
use super::envelope::{Answer, Refusal, created, ok, read, stamp, text};
use super::tokens::{Claims, hash_password, hash_secret, same, sign, verify};
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::PoisonError;

/// How long an access token is valid, seconds.
const ACCESS_SECS: u64 = 15 * 60;
/// How long a refresh token is valid, milliseconds.
const REFRESH_MS: i64 = 7 * 24 * 3_600_000;

/// The present, Unix milliseconds, as rows hold it.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}

/// The user of an access token.
pub(crate) fn user_of_token(app: &App, token: &str) -> Option<Claims> {
    let claims = verify(&app.secret, token, unix_ms() / 1_000)?;
    let revoked = app.revoked.lock().unwrap_or_else(PoisonError::into_inner);
    (!revoked.contains_key(&claims.sid)).then_some(claims)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The user behind the `Authorization` header, or 401.
pub(crate) fn user(app: &App, headers: &HeaderMap) -> Result<Claims, Refusal> {
    let token = bearer(headers).ok_or_else(|| Refusal::unauthorized("a bearer token is needed"))?;
    user_of_token(app, token).ok_or_else(|| Refusal::unauthorized("the token is not valid, or no longer"))
}

/// A user or a worker's key (`X-Worker-API-Key`), or 401.
pub(crate) async fn anybody(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(key) = headers.get("x-worker-api-key").and_then(|key| key.to_str().ok()) {
        return match key_is_known(app, key).await? {
            true => Ok(()),
            false => Err(Refusal::unauthorized("the worker's key is not valid")),
        };
    }
    user(app, headers).map(drop)
}

/// Whether a worker's key is one of ours.
pub(crate) async fn key_is_known(app: &App, key: &str) -> Result<bool, Refusal> {
    let hash = hash_secret(key);
    let find = move |db: &mut Connection| {
        db.prepare_cached("SELECT 1 FROM api_keys WHERE hash = ?1")?.exists([hash])
    };
    Ok(app.readers.run(find).await?)
}

/// Sessions whose access tokens could still be valid but must not be.
pub(crate) fn revoked(db: &Connection) -> rusqlite::Result<HashMap<i64, u64>> {
    let since = now_ms() - ACCESS_SECS as i64 * 1_000;
    let mut rows = db.prepare("SELECT id, revoked_ms FROM sessions WHERE revoked_ms > ?1")?;
    let rows = rows.query_map([since], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
    rows.map(|row| row.map(|(id, ms)| (id, u64::try_from(ms / 1_000).unwrap_or(0)))).collect()
}

fn revoke(app: &App, session: i64) {
    let now = unix_ms() / 1_000;
    let mut revoked = app.revoked.lock().unwrap_or_else(PoisonError::into_inner);
    // the access tokens of older ones have run out
    revoked.retain(|_, at| *at + ACCESS_SECS >= now);
    revoked.insert(session, now);
}

/// Opens a session; user id, name and refresh token.
fn open_session(db: &Connection, user: i64) -> rusqlite::Result<(i64, String)> {
    let secret: String = db.query_row("SELECT lower(hex(randomblob(32)))", [], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO sessions(user_id, refresh, expires_ms) VALUES (?1, ?2, ?3)")?
        .execute(params![user, hash_secret(&secret), now_ms() + REFRESH_MS])?;
    Ok((db.last_insert_rowid(), secret))
}

/// With `slot-per-session` a session keeps a connection of the pool; the answer to whom waited for one in vain.
async fn take_slot(app: &App, session: i64) -> Result<(), axum::response::Response> {
    app.gate.open_session(&session.to_string()).await
}

fn tokens(app: &App, (user, name): (i64, &str), (session, refresh): (i64, String)) -> Value {
    let exp = unix_ms() / 1_000 + ACCESS_SECS;
    let claims = Claims { sub: user, name: name.to_owned(), sid: session, exp };
    json!({"access_token": sign(&app.secret, &claims), "refresh_token": refresh, "token_type": "bearer",
        "expires_in": ACCESS_SECS})
}

#[derive(Deserialize)]
struct Register {
    username: String,
    email: String,
    password: String,
}

/// POST /auth/register
pub(crate) async fn register(app: Shared, body: Bytes) -> Answer {
    let asked: Register = read(&body)?;
    let username = text("username", &asked.username, 3, 50)?;
    let email = text("email", &asked.email, 3, 200)?;
    if !email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.')) {
        return Err(Refusal::invalid("email", "this is no mail address"));
    }
    text("password", &asked.password, 8, 200)?;
    let salt = app.ids.next();
    let password = hash_password(&asked.password, &salt);
    let (name, mail, at) = (username.clone(), email.clone(), now_ms());
    let made = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let added = transaction.execute(
                "INSERT INTO users(username, email, salt, password, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
                params![name, mail, salt, password, at],
            )?;
            if added == 0 {
                return Ok(None);
            }
            let user = transaction.last_insert_rowid();
            let session = open_session(&transaction, user)?;
            transaction.commit()?;
            Ok(Some((user, session)))
        })
        .await?;
    let (id, session) = made.ok_or_else(|| Refusal::invalid("username", "name or address are taken"))?;
    if let Err(busy) = take_slot(&app, session.0).await {
        return Ok(busy);
    }
    let tokens = tokens(&app, (id, &username), session);
    let user = json!({"id": id, "username": username, "email": email, "created_at": stamp(at)});
    Ok(created(json!({"user": user, "tokens": tokens})))
}

#[derive(Deserialize)]
struct Login {
    #[serde(alias = "email")]
    username: String,
    password: String,
}

type Account = (i64, String, String, String, String, i64);

fn account(db: &Connection, by: &str, key: &dyn rusqlite::ToSql) -> rusqlite::Result<Option<Account>> {
    let query = format!("SELECT id, username, email, salt, password, created_ms FROM users WHERE {by} = ?1");
    db.prepare_cached(&query)?
        .query_row([key], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)))
        .optional()
}

/// POST /auth/login
pub(crate) async fn login(app: Shared, body: Bytes) -> Answer {
    let asked: Login = read(&body)?;
    let by = if asked.username.contains('@') { "email" } else { "username" };
    let name = asked.username;
    let found = app.readers.run(move |db| account(db, by, &name)).await?;
    let refused = || Refusal::unauthorized("name or password are wrong");
    let (id, username, email, salt, password, at) = found.ok_or_else(refused)?;
    if !same(&hash_password(&asked.password, &salt), &password) {
        return Err(refused());
    }
    let session = app.writer.run(move |db| open_session(db, id)).await?;
    if let Err(busy) = take_slot(&app, session.0).await {
        return Ok(busy);
    }
    let tokens = tokens(&app, (id, &username), session);
    let user = json!({"id": id, "username": username, "email": email, "created_at": stamp(at)});
    Ok(ok(json!({"user": user, "tokens": tokens})))
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

/// POST /auth/refresh: a new pair; the old refresh token is used up.
pub(crate) async fn refresh(app: Shared, body: Bytes) -> Answer {
    let asked: Refresh = read(&body)?;
    let hash = hash_secret(&asked.refresh_token);
    let found = app
        .writer
        .run(move |db| {
            let transaction = db.transaction()?;
            let found: Option<(i64, i64, String)> = transaction
                .prepare_cached(
                    "UPDATE sessions SET revoked_ms = ?2 WHERE refresh = ?1 AND revoked_ms IS NULL AND expires_ms > ?2
                     RETURNING id, user_id, (SELECT username FROM users WHERE users.id = user_id)",
                )?
                .query_row(params![hash, now_ms()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((old, user, name)) = found else { return Ok(None) };
            let session = open_session(&transaction, user)?;
            transaction.commit()?;
            Ok(Some((old, user, name, session)))
        })
        .await?;
    let (old, user, name, session) =
        found.ok_or_else(|| Refusal::unauthorized("the refresh token is not valid, or no longer"))?;
    revoke(&app, old);
    app.gate.close_session(&old.to_string());
    if let Err(busy) = take_slot(&app, session.0).await {
        return Ok(busy);
    }
    Ok(ok(json!({"tokens": tokens(&app, (user, &name), session)})))
}

/// POST /auth/logout: ends the session; its tokens are void.
pub(crate) async fn logout(app: Shared, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    app.writer
        .run(move |db| {
            let end = "UPDATE sessions SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms IS NULL";
            db.prepare_cached(end)?.execute(params![claims.sid, now_ms()])
        })
        .await?;
    revoke(&app, claims.sid);
    app.gate.close_session(&claims.sid.to_string());
    Ok(ok(json!({"message": "logged out"})))
}

/// GET /auth/me
pub(crate) async fn me(app: Shared, headers: HeaderMap) -> Answer {
    let claims = user(&app, &headers)?;
    let found = app.readers.run(move |db| account(db, "id", &claims.sub)).await?;
    let (id, username, email, _, _, at) =
        found.ok_or_else(|| Refusal::unauthorized("the account is gone"))?;
    Ok(ok(json!({"id": id, "username": username, "email": email, "created_at": stamp(at)})))
}

#[derive(Deserialize)]
struct KeyWanted {
    name: Option<String>,
}

/// POST /workers/api-keys: a key for the header `X-Worker-API-Key`, shown this once.
pub(crate) async fn api_key(app: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let claims = user(&app, &headers)?;
    let asked: KeyWanted = if body.is_empty() { KeyWanted { name: None } } else { read(&body)? };
    let name = text("name", asked.name.as_deref().unwrap_or("worker"), 1, 100)?;
    let (label, at) = (name.clone(), now_ms());
    let key = app
        .writer
        .run(move |db| {
            let key: String =
                db.query_row("SELECT 'wk_' || lower(hex(randomblob(24)))", [], |row| row.get(0))?;
            db.prepare_cached(
                "INSERT INTO api_keys(hash, name, user_id, created_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![hash_secret(&key), label, claims.sub, at])?;
            Ok(key)
        })
        .await?;
    Ok(created(json!({"api_key": key, "name": name, "created_at": stamp(at)})))
}
