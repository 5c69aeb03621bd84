//! Statistics that know that requests are not independent.
//!
//! Place in the flow: the view feeds running sums window by window; the criteria ask them for bounds. Everything is
//! in constant memory. Bounds are one-sided: each holds with the confidence that is asked for.

pub mod ratio;
pub mod share;

pub use crucible_stats::special;
pub use ratio::RatioSums;
pub use share::{ShareBounds, smallest_sample};
