//! Where warm-up ends, and whether there is a steady state at all.
//!
//! Place in the flow: a run gives one figure per window (median response time, throughput); [`find`] says from which window
//! on it is steady, or why it is not. Invariants: spikes are no change of level; dependence between windows is measured and
//! never taken for a change; a change too late to be followed is no steady state.

mod find;
mod pelt;
mod shape;

pub use find::{Settings, State, Steady, Why, find, mser5};
