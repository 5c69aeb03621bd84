//! The event daemon: the event bus of `crucible-events` behind HTTP.
//!
//! Ten services, dealt out over the six families, read every payload. A request publishes one event or a batch and is
//! answered when the queues have taken it or refused; full queues refuse (503), they do not hold requests.

mod app;
mod backlog;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "events",
    about: "event daemon: central router or per-service coordinator (in process) behind HTTP",
    suite: "events",
    build: Build::One(app::build),
};
