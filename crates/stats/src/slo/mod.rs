//! Whether a figure keeps its limit: pass, fail or inconclusive, and how much more time would settle it.
//!
//! Place in the flow: counts of bad operations by window go in; [`Judged`] comes out. "p99 at most T" is "at most 1 % of
//! the operations are above T". Invariants: neither answer is given on a point value; what decides is how much the
//! windows scatter, not how many requests there were; memory is constant.

mod answer;
mod judge;
mod tally;

pub use answer::{Answer, Judged, More, Settings};
pub use judge::{FEW, judge, judge_bounded, share_bounds};
pub use tally::{Count, Tally, above};
