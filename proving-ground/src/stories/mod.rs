//! The story platform: feeds, stories, search, shelves, whispers.
//!
//! A request passes the gate, then the cache, then a connection of the database pool. Reads come from SQLite
//! through several connections on threads of their own; one further connection writes. Invariant: whatever was
//! acknowledged is in the write-ahead log, so a killed process loses nothing that it has acknowledged.

mod app;
mod auth;
mod cache;
mod health;
mod library;
mod reply;
mod seed;
mod store;
mod tales;
mod whispers;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "stories",
    about: "story platform: feeds, full-text search, shelves and whispers over SQLite with a cache in front",
    suite: "stories",
    build: Build::One(app::build),
};
