//! How throughput grows with load, instances or cores: measured levels, the scalability law over them, and what one
//! operation costs each component.
//!
//! Place in the flow: `RunView` (phases of a step test, trials of a capacity search) or one figure for each of several
//! runs -> [`Level`]s -> [`Scaling`] -> the `scaling` overview. Invariants: pure; a level that says nothing about steady
//! work (overload, too short) is left out and named; nothing is predicted that [`crucible_stats::usl`] refuses.

mod demand;
mod fitted;
mod levels;

pub use demand::{Demand, demands};
pub use fitted::{LINEAR, Scaling, scaling};
pub use levels::{Level, Levels, Over, ladders};
