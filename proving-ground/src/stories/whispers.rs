//! Whispers: short public messages.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use super::repository::{Changed, Whisper};
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize)]
struct NewWhisper {
    body: String,
}

/// GET /api/whispers
pub(crate) async fn list(state: Shared) -> Answer {
    state
        .cached("whispers".into(), |db| {
            let all = db.whispers(20)?;
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
    let (id, created_ms) = state.write(move |db| db.add_whisper(user.id, &stored)).await?;
    state.cache.forget(&["whispers"]).await;
    Ok(created(&Whisper { id, author: user.handle, body: text, created_ms }))
}

/// PATCH /api/whispers/{id}
pub(crate) async fn change(state: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let id: i64 = id.parse().map_err(|_| Refusal::NotFound("there is no whisper with this number"))?;
    let new: NewWhisper = read_body(&body)?;
    let text = text_of("body", &new.body, 1, 500)?;
    let stored = text.clone();
    match state.write(move |db| db.change_whisper(id, user.id, &stored)).await? {
        Changed::Done(created_ms) => {
            state.cache.forget(&["whispers"]).await;
            Ok(ok(&Whisper { id, author: user.handle, body: text, created_ms }))
        }
        Changed::Foreign => Err(Refusal::Forbidden),
        Changed::Missing => Err(Refusal::NotFound("there is no whisper with this number")),
    }
}
