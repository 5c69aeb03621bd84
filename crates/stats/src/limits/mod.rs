//! Rate limiters from outside: explicit models, the likelihood of what was seen under each, the next experiment to make.
//!
//! Place in the flow: `crucible limits` sends what a [`Prober`] asks for and tells it what came back; at the end there is
//! a [`Finding`]. Times are seconds since the begin of the probing. Invariants: a server that merely fails is never
//! called limited; the same answers and seed give the same finding.

mod acts;
mod belief;
mod change;
mod design;
mod features;
mod finding;
mod headers;
mod honesty;
mod likelihood;
mod locks;
mod opening;
mod places;
mod prober;
mod propose;
mod rule;
mod search;
mod seek;
mod seen;
pub mod sim;
mod spread;
mod state;
mod walk;

pub use acts::{Act, Next, Player};
pub use design::Experiment;
pub use finding::{Finding, Outcome, Step};
pub use headers::Hints;
pub use honesty::Told;
pub use prober::{Options, Prober};
pub use rule::{Class, Rule, Tier};
pub use seen::{Seen, Verdict};
