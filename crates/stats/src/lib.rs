//! The mathematics of judgement, on plain series: no record, no I/O, no clock; randomness comes as a seed.
//!
//! Place in the flow: `analysis` and the commands turn records into series (counts and histograms by window, pairs of
//! slices, readings over time) and ask here. Invariants: every answer carries its uncertainty or says that it has none; the
//! same input and seed give the same answer; the unit of replication is the window, the slice or the run, never the request.

pub mod capacity;
pub mod compare;
pub mod history;
pub mod limits;
#[doc(hidden)]
pub mod processes;
#[doc(hidden)]
pub mod queues;
pub mod scatter;
pub mod slo;
pub mod special;
pub mod steady;
pub mod trend;
pub mod usl;
