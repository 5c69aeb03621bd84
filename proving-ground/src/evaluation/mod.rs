//! The evaluation platform: submitted Python, two durable queues, workers with a sandbox, a store of results.
//!
//! Every part is a process of its own that can be killed at any moment; a supervisor starts it again:
//!
//! ```text
//! api --+--> legacy queue <--lease-- workers --+
//!       |                                      +--claim, result--> storage --events--> api
//!       +--> broker queue <--lease-- workers --+
//! ```
//!
//! Invariants. A job is acknowledged after it is committed to a queue. A queue delivers at least once: a
//! delivery is a lease with a number (the attempt), and a lease without a sign of life is given to somebody
//! else. Storage lets one effect through: a worker claims the job with its attempt before it runs it, results
//! of older attempts are refused, and the first final state stands for ever.

mod api;
mod client;
mod database;
mod events;
mod job;
mod part;
mod queue;
mod queue_store;
mod reading;
mod status;
mod storage;
mod storage_store;
mod supervisor;
pub(crate) mod switches;
mod worker;

pub use part::run_part;

use crate::system::{Build, System};

/// The row.
pub(crate) const SYSTEM: System = System {
    name: "evaluation",
    about: "evaluation platform: runs submitted Python in a sandbox; two durable queues, workers, storage",
    suite: "evaluation",
    build: Build::Parts(supervisor::run),
};
