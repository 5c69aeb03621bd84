//! Who asks: bearer tokens, login, users.
//!
//! Tokens: `demo-token-N` is `reader-N` for ever (so that plans need no login), and `POST /api/auth/login` gives
//! a new one for any user. The password of every user is `crucible`: this is a demonstration, not a vault.

use super::app::{App, Shared};
use super::reply::{Answer, Refusal, ok, read_body};
use super::repository::User;
use super::seed::READERS;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use serde::Deserialize;

/// Password of every user.
const PASSWORD: &str = "crucible";

#[derive(Deserialize)]
struct Login {
    #[serde(alias = "username")]
    handle: String,
    password: String,
}

fn demo(token: &str) -> Option<u64> {
    token.strip_prefix("demo-token-")?.parse().ok()
}

/// Whose a demo token is, whether he exists or not.
pub(super) fn demo_user(token: &str) -> Option<String> {
    demo(token).map(|number| format!("reader-{number}"))
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
    if let Some(number) = demo(token) {
        if !(1..=READERS).contains(&number) {
            return Err(Refusal::Unauthorized);
        }
        return Ok(User { id: number as i64, handle: format!("reader-{number}") });
    }
    let shown = token.to_owned();
    let found = app.read(move |db| db.user_of(&shown)).await?;
    let user = found.ok_or(Refusal::Unauthorized)?;
    app.gate.users.knows(token, &user.handle);
    Ok(user)
}

/// POST /api/auth/login
pub(crate) async fn login(state: Shared, body: Bytes) -> Answer {
    let asked: Login = read_body(&body)?;
    if asked.password != PASSWORD {
        return Err(Refusal::Unauthorized);
    }
    let handle = asked.handle.clone();
    let token = state.write(move |db| db.open_session(&handle)).await?;
    let token = token.ok_or(Refusal::Unauthorized)?;
    state.gate.users.knows(&token, &asked.handle);
    if let Err(answer) = state.gate.open_session(&token).await {
        return Ok(answer);
    }
    Ok(ok(&serde_json::json!({"token": token, "token_type": "Bearer", "user": {"handle": asked.handle}})))
}

/// GET /api/users/me
pub(crate) async fn me(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let found = state.read(move |db| db.profile(&user.handle)).await?;
    Ok(ok(&found.ok_or(Refusal::Unauthorized)?))
}

/// GET /api/users/{handle}
pub(crate) async fn user(state: Shared, Path(handle): Path<String>) -> Answer {
    state.cached(format!("user/{handle}"), move |db| db.profile(&handle)).await
}
