//! Leaks, trends and change points in series of readings or of runs.
//!
//! Readings follow each other: memory now is memory a second ago and a little. Every test here carries a model of that
//! dependence; a test that does not (Mann-Kendall, t) finds leaks in half of the systems that have none.

pub(crate) mod change;
#[doc(hidden)]
pub mod known;
mod leak;
mod model;

pub use change::{ChangePoint, Changes, changes};
pub use leak::{Leak, LeakSettings, Slope, leak};
