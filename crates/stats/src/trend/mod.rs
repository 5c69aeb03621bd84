//! Leaks and trends in series of readings.
//!
//! Readings follow each other: memory now is memory a second ago and a little. Every test here carries a model of that
//! dependence; a test that does not (Mann-Kendall, t) finds leaks in half of the systems that have none.

#[doc(hidden)]
pub mod known;
mod leak;
mod model;

pub use leak::{Leak, LeakSettings, Slope, leak};
