//! Stories: the feed, the list, one of them, writing, search.

use super::app::Shared;
use super::auth::user_of;
use super::reply::{Answer, Refusal, created, ok, read_body, text_of};
use super::repository::{Change, Changed, Draft, Found, Page, Pick, Repository, Summary};
use super::seed::GENRES;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

/// Most stories in one answer.
const PAGE: u64 = 50;

#[derive(Serialize)]
struct List {
    results: Vec<Summary>,
    count: usize,
    page: u64,
}

fn listed(db: &mut dyn Repository, pick: &Pick, rows: Page, page: u64) -> Found<Option<List>> {
    let results = db.stories(pick, rows)?;
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

    fn rows(&self) -> Page {
        let limit = self.limit();
        Page { limit: limit as i64, offset: ((self.page() - 1) * limit) as i64 }
    }
}

/// GET /api/discovery/trending
pub(crate) async fn trending(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let (rows, page) = (asked.rows(), asked.page());
    let key = format!("feed/{}/{page}", rows.limit);
    state.cached(key, move |db| listed(db, &Pick::Trending, rows, page)).await
}

/// GET /api/stories
pub(crate) async fn list(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let (rows, page) = (asked.rows(), asked.page());
    let genre = asked.genre;
    if genre.as_deref().is_some_and(|genre| !GENRES.contains(&genre)) {
        return Err(Refusal::Malformed(format!("genre is one of {}", GENRES.join(", "))));
    }
    let key = format!("list/{}/{}/{page}", genre.as_deref().unwrap_or("all"), rows.limit);
    let pick = genre.map_or(Pick::Newest, Pick::Genre);
    state.cached(key, move |db| listed(db, &pick, rows, page)).await
}

/// GET /api/stories/mine
pub(crate) async fn mine(state: Shared, headers: HeaderMap) -> Answer {
    let user = user_of(&state, &headers).await?;
    let rows = Page { limit: PAGE as i64, offset: 0 };
    Ok(ok(&state.read(move |db| listed(db, &Pick::Author(user.id), rows, 1)).await?))
}

/// GET /api/stories/{slug}
pub(crate) async fn one(state: Shared, Path(slug): Path<String>) -> Answer {
    state.cached(format!("story/{slug}"), move |db| db.story(&slug)).await
}

/// GET /api/search/stories?q=
pub(crate) async fn search(state: Shared, question: Question) -> Answer {
    let asked = Asked::read(question)?;
    let words = asked.q.as_deref().unwrap_or("").trim();
    if words.is_empty() || words.len() > 200 {
        return Err(Refusal::Malformed("q holds 1 to 200 bytes of words to search for".into()));
    }
    // a zero byte ends no word that anybody wrote, and PostgreSQL takes none
    let words: Vec<String> = words.replace('\0', " ").split_whitespace().take(8).map(str::to_owned).collect();
    let (rows, page) = (asked.rows(), asked.page());
    let key = format!("search/{}/{}/{page}", words.join(" "), rows.limit);
    let pick = Pick::Words(words);
    state.cached(key, move |db| listed(db, &pick, rows, page)).await
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
    let draft = Draft { author: user.id, title, blurb, body: text, genre };
    let made = state.write(move |db| db.add_story(&draft)).await?;
    state.cache.forget(&["feed/", "list/", "search/", "user/", "story/"]).await;
    Ok(created(&made))
}

#[derive(Deserialize)]
struct Edit {
    title: Option<String>,
    body: Option<String>,
    blurb: Option<String>,
}

/// PATCH /api/stories/{id}
pub(crate) async fn change(state: Shared, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    let user = user_of(&state, &headers).await?;
    let id: i64 = id.parse().map_err(|_| Refusal::NotFound("there is no story with this number"))?;
    let asked: Edit = read_body(&body)?;
    let title = asked.title.map(|t| text_of("title", &t, 1, 200)).transpose()?;
    let body = asked.body.map(|t| text_of("body", &t, 1, 100_000)).transpose()?;
    let blurb = asked.blurb.map(|t| text_of("blurb", &t, 0, 1_000)).transpose()?;
    let change = Change { title, blurb, body };
    match state.write(move |db| db.change_story(id, user.id, &change)).await? {
        Changed::Done(changed) => {
            state.cache.forget(&["feed/", "list/", "search/", "story/"]).await;
            Ok(ok(&changed))
        }
        Changed::Foreign => Err(Refusal::Forbidden),
        Changed::Missing => Err(Refusal::NotFound("there is no story with this number")),
    }
}
