//! The story platform: feeds, stories, search, shelves, whispers.
//!
//! A request passes the gate, then the cache, then a connection of the database pool, each on a thread of its
//! own. The database is SQLite in the process or PostgreSQL, the cache is in the process or in Redis. Invariants:
//! whatever was acknowledged is durable, so a killed process loses nothing; without the cache everything still
//! works; without the database, what was read before is still served, marked as stale, and the readiness route
//! says so.

mod app;
mod auth;
mod cache;
mod health;
mod library;
mod postgres;
mod reply;
mod repository;
mod seed;
mod sqlite;
mod store;
mod tales;
mod whispers;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "stories",
    about: "story platform: feeds, search, shelves, whispers; SQLite or PostgreSQL, a cache or Redis in front",
    suite: "stories",
    build: Build::One(app::build),
};
