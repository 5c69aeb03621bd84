//! The universal scalability law (Gunther 2007), fitted with profile-likelihood intervals.
//!
//! `X(N) = g N / (1 + a (N - 1) + b N (N - 1))`: throughput `X` at load `N` (users, workers, cores), with `g` the
//! throughput of one, `a` the share of work that waits for other work (contention) and `b` the share spent on agreement
//! (coherency). Place in the flow: the capacity command and step tests give points, a report shows the law. Invariants: a
//! and b are never negative; an end of an interval that the points do not close is open (infinite), not guessed; a
//! prediction that could err by more than [`Law::TOLERANCE`] is refused, with the load up to which one would have to measure.

mod fit;
mod law;

pub use law::{Estimate, Law, Peak, Point, Prediction, Refusal, fit};
