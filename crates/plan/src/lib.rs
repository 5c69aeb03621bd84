//! Plan text to a validated [`Plan`]: the only crate that knows the syntax.
//!
//! Place in the flow: the cli reads a file and hands its text to [`read`]; the engine, the record and the judgement
//! work with the [`Plan`] that comes back.
//!
//! Invariants: pure (no I/O, no clock, no environment but [`ReadOptions::env`]); the text is hostile and never causes
//! a panic, a hang or unbounded memory; all mistakes are told at once, each with its place and a remedy.

mod components;
mod env;
mod feeds;
mod hash;
mod journey;
mod mask;
pub mod model;
mod names;
pub mod program;
pub mod read;
mod scenarios;
pub mod schema;
mod steps;
pub mod suites;
mod test_table;
#[cfg(test)]
mod testing;
mod think;
mod thresholds;
mod until;
mod yaml;

pub use components::MONITOR_EVERY;
pub use hash::digest;
pub use mask::{masked, without_credentials};
pub use model::{Ground, LatenessBudget, Plan, Scenario, Step, StepRole, Suite, Test, Think};
pub use program::{FeederSpec, OpenFeeder, Program};
pub use read::{DEFAULT_SEED, NO_FEEDERS, NO_FILES, ReadOptions, read};
pub use schema::schema;
