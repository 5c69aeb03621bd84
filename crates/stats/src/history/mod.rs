//! Histories of runs: many figures of the same runs, their changes, their drifts, and what the next run may show.
//!
//! Place in the flow: whoever has a history hands in one series for each figure and gets back what happened to it.
//! Invariants: the unit is the run; the error covers all figures of the history together; a history in which nothing
//! happened shows something at most as often as was asked for, whatever the distribution of its figures and however they
//! hang together, as long as runs are exchangeable (where neighbours hang together, an allowance is made that was found
//! by simulation).

mod bound;
mod drift;
mod family;
mod finding;
mod levels;
mod ranks;

pub use bound::{Bound, How, bound, most_errors};
pub use drift::Drift;
pub use family::{FEWEST, Family, Figure, Settings, family};
pub use finding::{Finding, Level, Step};
