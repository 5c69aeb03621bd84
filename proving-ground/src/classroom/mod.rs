//! The classroom: pupils who save what they do and run Python, teachers who mark it, an admin who watches.
//!
//! A request comes over TLS, passes the gate, shows its session cookie and, if it writes, the token that other
//! sites cannot know. Reads and writes go to SQLite through a pool; programs run in the sandbox, two at once, in
//! order of arrival. Invariants: what was acknowledged survives a kill; a revision is never changed or removed;
//! at most five wrong passwords are looked at before an account rests.

mod activity;
mod admin;
mod app;
mod auth;
mod health;
mod limits;
mod lockout;
mod pages;
mod reply;
mod runner;
mod seed;
mod store;
mod teacher;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "classroom",
    about: "classroom behind TLS: sessions with CSRF, lock-out, limits, saves with revisions, a Python runner",
    suite: "classroom",
    build: Build::Secure(app::build),
};
