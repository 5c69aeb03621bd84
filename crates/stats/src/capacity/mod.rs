//! The highest load at which predicates hold, by an adaptive search with noisy trials.
//!
//! Place in the flow: a caller asks [`Search::propose`], puts that load on the system (real or simulated) for that
//! long, gives the windows to [`Search::observe`], and asks again until the search is done:
//!
//! ```text
//! loop {
//!     match search.propose() {
//!         Proposal::Done(finding) => break finding,
//!         Proposal::Trial(trial) => {
//!             // apply trial.load without a pause; after each window, with what came so far:
//!             //   stop when search.hopeless(&partial) or search.recovered(&partial)
//!             search.observe(result);
//!         }
//!     }
//! }
//! ```
//!
//! Invariants: no clock and no randomness: the same observations give the same proposals and the same finding. A load at
//! which a predicate was not seen to hold is never reported as held; no edge is claimed that was not crossed. The unit of
//! replication is the window or, where windows depend on each other, the block of windows; never the request.

mod crisp;
mod design;
mod evidence;
mod extra;
mod finding;
mod fit;
mod known;
mod noise;
mod report;
mod search;
mod settings;
mod trial;

pub use finding::{
    Answer, Confidence, CurvePoint, Edge, Finding, Hysteresis, Knee, Progress, Recovery, Shape,
};
pub use search::{Proposal, Search};
pub use settings::{Limit, Predicate, Role, Scale, Settings};
pub use trial::{Purpose, Reading, Trial, TrialResult, Window, near};
