//! Whether two systems differ: interleaved slices or repeated runs, paired, with intervals and multiplicity control.
//!
//! Place in the flow: commands turn records, or the slices of a duet, into [`Evidence`]; a [`Comparison`] comes back.
//! Invariants: the unit of replication is the pair of slices, the run, or (told as such) the window, never the
//! request; a difference is said at an error that covers all metrics together; every metric says the smallest difference
//! that could have been seen, or what it lacks.

mod arms;
mod cdf;
mod check;
mod evidence;
mod itself;
mod judge;
pub mod kpi;
mod outcome;
mod quantile;
mod shift;
mod sums;
mod whole;

pub use arms::FEWEST_ROUNDS;
pub use evidence::{Better, Evidence, Gauge, GaugeKind, Pair, Settings, Slice, Trials};
pub use outcome::{
    Caveat, Change, Compared, Comparison, Interval, Lack, Metric, Needs, Problem, SelfCheck, ShiftPoint,
    Unit, Verdict,
};
pub use whole::compare;
