//! What the platform asks of its database, and what it gets: one trait, one implementation per database.
//!
//! Invariants: an operation is all or nothing; what it returned as done is durable; [`PoolError::Gone`] means
//! that the database cannot be reached, and that the next call tries again.

use crate::pool::PoolError;
use serde::Serialize;

/// What an operation gives.
pub(super) type Found<T> = Result<T, PoolError>;

/// A user who has shown a token.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Row.
    pub(crate) id: i64,
    /// Public name.
    pub(crate) handle: String,
}

/// What everybody may know of a user.
#[derive(Serialize)]
pub(super) struct Profile {
    pub(super) id: i64,
    pub(super) handle: String,
    pub(super) name: String,
    pub(super) bio: String,
    pub(super) role: String,
    pub(super) created_ms: i64,
    pub(super) stories: i64,
    pub(super) shelves: i64,
}

/// A story in a list.
#[derive(Serialize)]
pub(super) struct Summary {
    pub(super) id: i64,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) blurb: String,
    pub(super) genre: String,
    pub(super) author: String,
    pub(super) reads: i64,
    pub(super) likes: i64,
    pub(super) created_ms: i64,
}

/// A whole story.
#[derive(Serialize)]
pub(super) struct Story {
    #[serde(flatten)]
    pub(super) summary: Summary,
    pub(super) body: String,
    pub(super) status: String,
    pub(super) updated_ms: i64,
}

/// A story to be written.
pub(super) struct Draft {
    pub(super) author: i64,
    pub(super) title: String,
    pub(super) blurb: String,
    pub(super) body: String,
    pub(super) genre: String,
}

/// What changes in a story; `None` stays.
pub(super) struct Change {
    pub(super) title: Option<String>,
    pub(super) blurb: Option<String>,
    pub(super) body: Option<String>,
}

/// A shelf with the slugs of its stories.
#[derive(Serialize)]
pub(super) struct Shelf {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) created_ms: i64,
    pub(super) stories: Vec<String>,
}

/// A short public message.
#[derive(Serialize)]
pub(super) struct Whisper {
    pub(super) id: i64,
    pub(super) author: String,
    pub(super) body: String,
    pub(super) created_ms: i64,
}

/// What came of a change.
pub(super) enum Changed<T> {
    /// Done.
    Done(T),
    /// It belongs to somebody else.
    Foreign,
    /// There is no such thing.
    Missing,
}

/// What came of a new shelf.
pub(super) enum Shelved {
    /// Done.
    Made(Shelf),
    /// The user has a shelf of this name.
    Taken,
    /// One of the stories does not exist.
    NoStory,
}

/// Which stories a list holds, and in which order.
pub(super) enum Pick {
    /// The most read and liked first.
    Trending,
    /// The newest first.
    Newest,
    /// Those of one genre, the newest first.
    Genre(String),
    /// Those of one author, the newest first.
    Author(i64),
    /// Those with all of these words, the best match first.
    Words(Vec<String>),
}

/// A page of a list.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) limit: i64,
    pub(super) offset: i64,
}

/// One connection to a database.
pub(super) trait Repository: Send {
    /// Looks whether the database answers.
    fn ping(&mut self) -> Found<()>;
    /// The user of a session.
    fn user_of(&mut self, token: &str) -> Found<Option<User>>;
    /// A new session for the user of this name: its token.
    fn open_session(&mut self, handle: &str) -> Found<Option<String>>;
    /// The user of this name.
    fn profile(&mut self, handle: &str) -> Found<Option<Profile>>;
    /// Stories.
    fn stories(&mut self, pick: &Pick, page: Page) -> Found<Vec<Summary>>;
    /// One story.
    fn story(&mut self, slug: &str) -> Found<Option<Story>>;
    /// Writes a story.
    fn add_story(&mut self, draft: &Draft) -> Found<Story>;
    /// Changes a story of `author`.
    fn change_story(&mut self, id: i64, author: i64, change: &Change) -> Found<Changed<Story>>;
    /// The shelves of a user.
    fn shelves(&mut self, user: i64) -> Found<Vec<Shelf>>;
    /// Puts up a shelf.
    fn add_shelf(&mut self, user: i64, name: &str, stories: &[String]) -> Found<Shelved>;
    /// The newest whispers.
    fn whispers(&mut self, limit: i64) -> Found<Vec<Whisper>>;
    /// Writes a whisper: its number and time.
    fn add_whisper(&mut self, user: i64, body: &str) -> Found<(i64, i64)>;
    /// Changes a whisper of `user`: when it was written.
    fn change_whisper(&mut self, id: i64, user: i64, body: &str) -> Found<Changed<i64>>;
    /// Opens a transaction around the operations that follow, for the bug of acknowledging before committing.
    fn begin(&mut self) -> Found<()>;
    /// Ends it.
    fn commit(&mut self) -> Found<()>;
}

/// A connection of either kind.
pub(super) type Connection = Box<dyn Repository>;
