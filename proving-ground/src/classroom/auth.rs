//! Who asks: login, sessions in a cookie, the token against foreign sites.

use super::app::{App, Shared};
use super::reply::{Answer, Refusal, ok, read_body};
use super::store::{self, Role};
use crate::clock::unix_ms;
use crate::gate::{refuse, token_of};
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use crucible_core::Ns;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// How long a session lasts, seconds.
const SESSION_SECS: u64 = 8 * 3_600;

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Row.
    pub(crate) id: i64,
    /// Login name.
    pub(crate) username: String,
    /// Full name.
    pub(crate) name: String,
    /// What he may do.
    pub(crate) role: Role,
    token: String,
    csrf: String,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// The user of the session cookie, or 401. Writing requests must show the session's token, or get 403.
pub(crate) async fn user_of(app: &App, headers: &HeaderMap, writes: bool) -> Result<User, Refusal> {
    let none = Refusal::Unauthorized("log in first");
    let Some(token) = token_of(headers).filter(|t| t.len() <= 64) else { return Err(none) };
    let token = token.to_owned();
    let found = app.readers.run(move |db| session(db, token)).await?;
    let user = found.ok_or(none)?;
    app.gate.users.knows(&user.token, &user.username);
    if writes {
        let shown = headers.get("x-csrf-token").map(HeaderValue::as_bytes);
        if shown != Some(user.csrf.as_bytes()) {
            app.counts.csrf_refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::Forbidden("X-CSRF-Token is missing or wrong; GET /api/auth/me tells it"));
        }
    }
    Ok(user)
}

fn session(db: &mut Connection, token: String) -> rusqlite::Result<Option<User>> {
    db.prepare_cached(
        "SELECT users.id, username, name, role, token, csrf FROM sessions JOIN users ON users.id = user_id
         WHERE token = ?1 AND expires_ms > ?2 AND active = 1",
    )?
    .query_row(params![token, unix_ms() as i64], |row| {
        Ok(User {
            id: row.get(0)?,
            username: row.get(1)?,
            name: row.get(2)?,
            role: Role::read(&row.get::<_, String>(3)?),
            token: row.get(4)?,
            csrf: row.get(5)?,
        })
    })
    .optional()
}

impl User {
    /// 403 unless he is at least a teacher.
    pub(crate) fn teaches(&self) -> Result<(), Refusal> {
        if self.role == Role::Pupil { Err(Refusal::Forbidden("for teachers")) } else { Ok(()) }
    }

    /// 403 unless he is an admin.
    pub(crate) fn administers(&self) -> Result<(), Refusal> {
        if self.role == Role::Admin { Ok(()) } else { Err(Refusal::Forbidden("for admins")) }
    }
}

fn rests(app: &App, left: Ns) -> Refusal {
    app.counts.locked_out.fetch_add(1, Ordering::Relaxed);
    let why = "too many wrong passwords; this account rests";
    let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, "locked_out", why);
    let secs = left.0.div_ceil(1_000_000_000).max(1);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    answer.into()
}

/// POST /api/auth/login
pub(crate) async fn login(state: Shared, ConnectInfo(peer): ConnectInfo<SocketAddr>, body: Bytes) -> Answer {
    let app = &*state;
    let asked: Login = read_body(&body)?;
    if asked.username.is_empty() || asked.username.len() > 64 || asked.password.len() > 256 {
        return Err(Refusal::Malformed("username has 1 to 64 bytes, password at most 256".into()));
    }
    let name = asked.username.to_lowercase();
    if let Some(left) = app.lockouts.rest(&name, app.gate.now()) {
        return Err(rests(app, left));
    }
    let (looked, password) = (name.clone(), asked.password);
    let found = app.readers.run(move |db| store::check_password(db, &looked, &password)).await?;
    let now = app.gate.now();
    let Some(found) = found else {
        app.counts.wrong_passwords.fetch_add(1, Ordering::Relaxed);
        if let Some(left) = app.lockouts.wrong(&name, now) {
            return Err(rests(app, left));
        }
        app.allow(&app.limits.wrong_by_address, &peer.ip().to_string())?;
        return Err(Refusal::Unauthorized("username or password is wrong"));
    };
    if let Some(left) = app.lockouts.right(&name, now) {
        return Err(rests(app, left));
    }
    if !found.active {
        return Err(Refusal::Forbidden("this account is closed"));
    }
    let id = found.id;
    let audited = name.clone();
    let token = app
        .writer
        .run(move |db| {
            let step = db.savepoint()?;
            let now = unix_ms() as i64;
            step.execute("DELETE FROM sessions WHERE user_id = ?1 AND expires_ms <= ?2", params![id, now])?;
            let token: String = step.query_row(
                "INSERT INTO sessions(token, csrf, user_id, created_ms, expires_ms)
                 VALUES (lower(hex(randomblob(16))), lower(hex(randomblob(16))), ?1, ?2, ?3) RETURNING token",
                params![id, now, now + SESSION_SECS as i64 * 1_000],
                |row| row.get(0),
            )?;
            store::audit(&step, &audited, "login", "")?;
            step.commit()?;
            Ok(token)
        })
        .await?;
    app.gate.open_session(&token).await?;
    app.gate.users.knows(&token, &name);
    app.counts.logins.fetch_add(1, Ordering::Relaxed);
    let user = json!({"username": name, "name": found.name, "role": found.role.word()});
    let mut answer = ok(&json!({"ok": true, "user": user}));
    set_cookie(&mut answer, &token, SESSION_SECS);
    Ok(answer)
}

fn set_cookie(answer: &mut Response, token: &str, secs: u64) {
    let text = format!("session={token}; Path=/; Max-Age={secs}; Secure; HttpOnly; SameSite=Lax");
    // hexadecimal digits are always a header's value
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// GET /api/auth/me
pub(crate) async fn me(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers, false).await?;
    let told = json!({"username": user.username, "name": user.name, "role": user.role.word()});
    Ok(ok(&json!({"ok": true, "user": told, "csrf_token": user.csrf})))
}

/// POST /api/auth/logout
pub(crate) async fn logout(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers, true).await?;
    let token = user.token.clone();
    state
        .writer
        .run(move |db| {
            let step = db.savepoint()?;
            step.execute("DELETE FROM sessions WHERE token = ?1", [token])?;
            store::audit(&step, &user.username, "logout", "")?;
            step.commit()
        })
        .await?;
    state.gate.close_session(&user.token);
    let mut answer = ok(&json!({"ok": true}));
    set_cookie(&mut answer, "", 0);
    Ok(answer)
}
