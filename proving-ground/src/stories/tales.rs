//! Stories: the feed, the list, one of them, writing, search.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use super::seed::GENRES;
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// Most stories in one answer.
const PAGE: u64 = 50;

#[derive(Serialize)]
struct Summary {
    id: i64,
    slug: String,
    title: String,
    blurb: String,
    genre: String,
    author: String,
    reads: i64,
    likes: i64,
    created_ms: i64,
}

#[derive(Serialize)]
struct Story {
    #[serde(flatten)]
    summary: Summary,
    body: String,
    status: String,
    updated_ms: i64,
}

#[derive(Serialize)]
struct List {
    results: Vec<Summary>,
    count: usize,
    page: u64,
}

const SUMMARY: &str = "SELECT stories.id, slug, title, blurb, genre, users.handle, reads, likes, \
     stories.created_ms, body, status, updated_ms FROM stories JOIN users ON users.id = author_id";

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        slug: row.get(1)?,
        title: row.get(2)?,
        blurb: row.get(3)?,
        genre: row.get(4)?,
        author: row.get(5)?,
        reads: row.get(6)?,
        likes: row.get(7)?,
        created_ms: row.get(8)?,
    })
}

fn story(row: &Row<'_>) -> rusqlite::Result<Story> {
    Ok(Story { summary: summary(row)?, body: row.get(9)?, status: row.get(10)?, updated_ms: row.get(11)? })
}

fn list_of(
    db: &Connection,
    tail: &str,
    values: impl rusqlite::Params,
    page: u64,
) -> rusqlite::Result<Option<List>> {
    let mut statement = db.prepare_cached(&format!("{SUMMARY} {tail}"))?;
    let results: Vec<Summary> = statement.query_map(values, summary)?.collect::<Result<_, _>>()?;
    Ok(Some(List { count: results.len(), results, page }))
}

/// What may stand behind the `?` of lists.
#[derive(Deserialize)]
pub(crate) struct Asked {
    limit: Option<u64>,
    page: Option<u64>,
    genre: Option<String>,
    q: Option<String>,
}

type Question = Result<Query<Asked>, axum::extract::rejection::QueryRejection>;

impl Asked {
    fn read(question: Question) -> Result<Asked, Refusal> {
        let Query(asked) = question.map_err(|e| Refusal::Malformed(e.body_text()))?;
        if asked.limit.is_some_and(|limit| limit == 0 || limit > PAGE) {
            return Err(Refusal::Malformed(format!("limit lies from 1 to {PAGE}")));
        }
        if asked.page.is_some_and(|page| page == 0 || page > 1_000_000) {
            return Err(Refusal::Malformed("page lies from 1 to 1000000".into()));
        }
        Ok(asked)
    }

    fn limit(&self) -> u64 {
        self.limit.unwrap_or(20)
    }

    fn page(&self) -> u64 {
        self.page.unwrap_or(1)
    }

    fn offset(&self) -> i64 {
        ((self.page() - 1) * self.limit()) as i64
    }
}

/// GET /api/discovery/trending
pub(crate) async fn trending(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let (limit, page, offset) = (asked.limit() as i64, asked.page(), asked.offset());
    let tail = "WHERE status = 'published' ORDER BY reads + 20 * likes DESC, stories.id LIMIT ?1 OFFSET ?2";
    let key = format!("feed/{limit}/{page}");
    state.cached(key, move |db| list_of(db, tail, params![limit, offset], page)).await
}

/// GET /api/stories
pub(crate) async fn list(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let (limit, page, offset) = (asked.limit() as i64, asked.page(), asked.offset());
    let genre = asked.genre;
    if genre.as_deref().is_some_and(|genre| !GENRES.contains(&genre)) {
        return Err(Refusal::Malformed(format!("genre is one of {}", GENRES.join(", "))));
    }
    let key = format!("list/{}/{limit}/{page}", genre.as_deref().unwrap_or("all"));
    state
        .cached(key, move |db| match genre {
            Some(genre) => {
                let tail = "WHERE genre = ?3 ORDER BY stories.id DESC LIMIT ?1 OFFSET ?2";
                list_of(db, tail, params![limit, offset, genre], page)
            }
            None => list_of(db, "ORDER BY stories.id DESC LIMIT ?1 OFFSET ?2", params![limit, offset], page),
        })
        .await
}

/// GET /api/stories/mine
pub(crate) async fn mine(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let tail = "WHERE author_id = ?1 ORDER BY stories.id DESC LIMIT 50";
    let found = state.readers.run(move |db| list_of(db, tail, [user.id], 1)).await?;
    Ok(ok(&found))
}

/// GET /api/stories/{slug}
pub(crate) async fn one(state: Shared, Path(slug): Path<String>) -> Answer {
    state
        .cached(format!("story/{slug}"), move |db| {
            db.prepare_cached(&format!("{SUMMARY} WHERE slug = ?1"))?.query_row([slug], story).optional()
        })
        .await
}

/// GET /api/search/stories?q=
pub(crate) async fn search(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let words = asked.q.as_deref().unwrap_or("").trim();
    if words.is_empty() || words.len() > 200 {
        return Err(Refusal::Malformed("q holds 1 to 200 bytes of words to search for".into()));
    }
    // each word as a quoted phrase: nothing that a user writes is an operator of the search language
    let phrases: Vec<String> =
        words.split_whitespace().take(8).map(|w| format!("\"{}\"", w.replace('"', "\"\""))).collect();
    let text = phrases.join(" ");
    let (limit, page, offset) = (asked.limit() as i64, asked.page(), asked.offset());
    let key = format!("search/{text}/{limit}/{page}");
    let tail = "JOIN stories_text ON stories_text.rowid = stories.id WHERE stories_text MATCH ?3 \
                ORDER BY stories_text.rank, stories.id LIMIT ?1 OFFSET ?2";
    state.cached(key, move |db| search_rows(db, tail, params![limit, offset, text], page)).await
}

fn search_rows(
    db: &Connection,
    tail: &str,
    values: impl rusqlite::Params,
    page: u64,
) -> rusqlite::Result<Option<List>> {
    // the text index has columns of the same names
    let select = SUMMARY
        .replace(" title, blurb,", " stories.title, stories.blurb,")
        .replace(" body,", " stories.body,");
    let mut statement = db.prepare_cached(&format!("{select} {tail}"))?;
    let results: Vec<Summary> = statement.query_map(values, summary)?.collect::<Result<_, _>>()?;
    Ok(Some(List { count: results.len(), results, page }))
}

#[derive(Deserialize)]
struct NewStory {
    title: String,
    body: String,
    #[serde(default)]
    blurb: String,
    genre: Option<String>,
}

/// POST /api/stories
pub(crate) async fn create(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let new: NewStory = read_body(&body)?;
    let title = text_of("title", &new.title, 1, 200)?;
    let text = text_of("body", &new.body, 1, 100_000)?;
    let blurb = text_of("blurb", &new.blurb, 0, 1_000)?;
    let genre = new.genre.unwrap_or_else(|| GENRES[0].to_owned());
    if !GENRES.contains(&genre.as_str()) {
        return Err(Refusal::Invalid(format!("genre is one of {}", GENRES.join(", "))));
    }
    let made = state
        .writer
        .run(move |db| {
            let transaction = db.savepoint()?;
            // the slug's number is the row's: unique without a second look
            transaction.execute(
                "INSERT INTO stories(id, slug, title, blurb, body, genre, author_id, status, reads, likes,
                 created_ms, updated_ms)
                 SELECT next, 'story-' || next, ?1, ?2, ?3, ?4, ?5, 'published', 0, 0, ?6, ?6
                 FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM stories)",
                params![title, blurb, text, genre, user.id, unix_ms() as i64],
            )?;
            let id = transaction.last_insert_rowid();
            let made = transaction
                .prepare_cached(&format!("{SUMMARY} WHERE stories.id = ?1"))?
                .query_row([id], story)?;
            transaction.commit()?;
            Ok(made)
        })
        .await?;
    state.cache.forget(&["feed/", "list/", "search/", "user/", "story/"]);
    Ok(created(&made))
}

#[derive(Deserialize)]
struct Change {
    title: Option<String>,
    body: Option<String>,
    blurb: Option<String>,
}

/// PATCH /api/stories/{id}
pub(crate) async fn change(state: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let id: i64 = id.parse().map_err(|_| Refusal::NotFound("there is no story with this number"))?;
    let asked: Change = read_body(&body)?;
    let title = asked.title.map(|t| text_of("title", &t, 1, 200)).transpose()?;
    let text = asked.body.map(|t| text_of("body", &t, 1, 100_000)).transpose()?;
    let blurb = asked.blurb.map(|t| text_of("blurb", &t, 0, 1_000)).transpose()?;
    let done = state
        .writer
        .run(move |db| {
            let transaction = db.savepoint()?;
            let author: Option<i64> = transaction
                .query_row("SELECT author_id FROM stories WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            if author != Some(user.id) {
                return Ok(Err(author.is_some()));
            }
            transaction.execute(
                "UPDATE stories SET title = coalesce(?2, title), body = coalesce(?3, body),
                 blurb = coalesce(?4, blurb), updated_ms = ?5 WHERE id = ?1",
                params![id, title, text, blurb, unix_ms() as i64],
            )?;
            let changed = transaction
                .prepare_cached(&format!("{SUMMARY} WHERE stories.id = ?1"))?
                .query_row([id], story)?;
            transaction.commit()?;
            Ok(Ok(changed))
        })
        .await?;
    match done {
        Ok(changed) => {
            state.cache.forget(&["feed/", "list/", "search/", "story/"]);
            Ok(ok(&changed))
        }
        Err(true) => Err(Refusal::Forbidden),
        Err(false) => Err(Refusal::NotFound("there is no story with this number")),
    }
}
