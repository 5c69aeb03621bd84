//! Shelves: lists of stories that a user keeps.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::http::HeaderMap;
use rusqlite::{Connection, ErrorCode, params};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Shelf {
    id: i64,
    name: String,
    created_ms: i64,
    stories: Vec<String>,
}

#[derive(Deserialize)]
struct NewShelf {
    name: String,
    #[serde(default)]
    stories: Vec<String>,
}

fn shelves_of(db: &Connection, user: i64) -> rusqlite::Result<Vec<Shelf>> {
    let mut shelves =
        db.prepare_cached("SELECT id, name, created_ms FROM shelves WHERE user_id = ?1 ORDER BY id")?;
    let mut items = db.prepare_cached(
        "SELECT slug FROM shelf_items JOIN stories ON stories.id = story_id WHERE shelf_id = ?1 ORDER BY story_id",
    )?;
    let heads = shelves.query_map([user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    heads
        .map(|head| {
            let (id, name, created_ms) = head?;
            let stories = items.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(Shelf { id, name, created_ms, stories })
        })
        .collect()
}

/// GET /api/library/shelves
pub(crate) async fn list(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let shelves = state.readers.run(move |db| shelves_of(db, user.id)).await?;
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
    let made = state
        .writer
        .run(move |db| {
            let now = unix_ms() as i64;
            let transaction = db.savepoint()?;
            let insert = "INSERT INTO shelves(user_id, name, created_ms) VALUES (?1, ?2, ?3)";
            match transaction.execute(insert, params![user.id, name, now]) {
                Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == ErrorCode::ConstraintViolation => {
                    return Ok(Err(Refusal::Conflict("there is a shelf of this name already")));
                }
                other => other?,
            };
            let id = transaction.last_insert_rowid();
            for slug in &new.stories {
                let added = transaction.execute(
                    "INSERT OR IGNORE INTO shelf_items(shelf_id, story_id) SELECT ?1, id FROM stories WHERE slug = ?2",
                    params![id, slug],
                )?;
                if added == 0 && !new.stories.is_empty() && !known(&transaction, slug)? {
                    return Ok(Err(Refusal::Invalid("a story on the shelf does not exist".into())));
                }
            }
            transaction.commit()?;
            Ok(Ok(Shelf { id, name, created_ms: now, stories: new.stories }))
        })
        .await??;
    state.cache.forget(&["user/"]);
    Ok(created(&made))
}

fn known(db: &Connection, slug: &str) -> rusqlite::Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM stories WHERE slug = ?1)", [slug], |row| row.get(0))
}
