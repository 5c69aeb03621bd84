//! The multi-agent platform: workers, tasks, subtasks, live events.
//!
//! A request gets an id, is let in unless 85 % of the places at the database are taken, passes the gate and reaches
//! SQLite: reads through several connections, writes through one. Invariants: whatever was acknowledged is in the
//! write-ahead log; a live event is sent by the thread that committed what it tells, so that all clients see events
//! once and in the order of the commits; a client that does not read costs bounded memory and nobody else's time.

mod app;
mod auth;
mod envelope;
mod health;
mod hub;
mod logs;
mod schedule;
mod sockets;
mod stale;
mod store;
mod subtasks;
mod tasks;
mod tokens;
mod workers;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "agents",
    about: "multi-agent platform: workers, tasks, subtasks, scheduler and live events over WebSocket",
    suite: "agents",
    build: Build::One(app::build),
};
