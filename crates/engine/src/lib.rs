//! The doing tower's heart: shards that make virtual users live through the plan, the clock they live by, and the
//! collector that turns what they counted into run events.
//!
//! Flow: `Plan` + seed -> schedule -> users -> [`crucible_core::Session::run`] -> `Sample` -> `Frame` per shard
//! and window -> merged `Window` event. Invariants: one loop for every protocol and pattern (`user.rs`); nothing is
//! allocated, locked across shards, formatted or sent for a single operation; a window's frames are swapped, not
//! copied; every planned operation ends in exactly one outcome.

mod around;
pub mod clock;
mod collector;
mod control;
mod describe;
mod errors;
mod follow;
mod frames;
mod lanes;
mod open;
mod phase;
mod preparation;
mod rows;
mod run;
mod shard;
mod shots;
mod single;
mod spans;
mod stamp;
pub mod system;
mod user;
mod wait;
mod walk;

pub use clock::{POLL_SHARE, RealClock, TimerError, measure_wakeups};
pub use collector::Collector;
pub use control::{Control, Signal};
pub use describe::{describe, footprint};
pub use frames::{FrameSet, ShardReport};
pub use preparation::Preparation;
pub use run::{EngineError, Job, Options, run};
pub use shard::{Meeting, Reports, ShardJob, run_shard};
pub use shots::{Shooter, Shot};
pub use single::spawn_on;
