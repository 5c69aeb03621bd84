//! Shelves: lists of stories that a user keeps.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use super::repository::Shelved;
use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::Deserialize;

#[derive(Deserialize)]
struct NewShelf {
    name: String,
    #[serde(default)]
    stories: Vec<String>,
}

/// GET /api/library/shelves
pub(crate) async fn list(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let shelves = state.read(move |db| db.shelves(user.id)).await?;
    Ok(ok(&serde_json::json!({"count": shelves.len(), "results": shelves})))
}

/// POST /api/library/shelves
pub(crate) async fn create(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let new: NewShelf = read_body(&body)?;
    let name = text_of("name", &new.name, 1, 100)?;
    if new.stories.len() > 100 {
        return Err(Refusal::Invalid("a shelf begins with at most 100 stories".into()));
    }
    let made = state.write(move |db| db.add_shelf(user.id, &name, &new.stories)).await?;
    match made {
        Shelved::Made(shelf) => {
            state.cache.forget(&["user/"]).await;
            Ok(created(&shelf))
        }
        Shelved::Taken => Err(Refusal::Conflict("there is a shelf of this name already")),
        Shelved::NoStory => Err(Refusal::Invalid("a story on the shelf does not exist".into())),
    }
}
