//! Drives Rust code in this process by a plan: a router, a cache or a queue gets the same loads, records, verdicts and
//! reports as a service behind a socket.
//!
//! Place in the flow: beside the command line, over engine, record and analysis. A program names its operations, a plan
//! says how often they are called ([`Harness`]); `call: NAME` is the only word that the plan's grammar gains.
//! Invariants: an operation is one sample, however it ends; a panic of an operation is a failed operation; an operation
//! without an await point does not keep the shard from its clock for longer than it runs itself.

pub mod allocator;
mod grammar;
pub mod machine;
mod operation;
mod protocol;
mod run;
pub mod sources;

pub use operation::{Context, Done, Ended};
pub use run::{Harness, HarnessError, Outcome};
