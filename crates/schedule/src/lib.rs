//! Load profiles to arrivals. Pure: no clock, no runtime, no global randomness.
//!
//! Place in the flow: the plan reader hands a test's table to [`Load::read`], which gives phases; the engine turns
//! the phases into [`Arrivals`] (open load) or [`user_spans`] (closed load) and lives them.
//!
//! Invariants: everything here is a pure function of the load and the seed, bit for bit the same on every platform;
//! item `k` belongs to the share that owns `k`, and the union of all shares is the whole.

pub mod arrivals;
pub mod curve;
pub mod describe;
pub mod load;
pub mod mix;
pub mod poisson;
pub mod profiles;
pub mod users;
mod words;

pub use arrivals::{Arrivals, expected, phase_seed};
pub use load::{
    Arrival, ArrivalProcess, Curve, Iterations, Load, LoadPhase, Pacing, Piece, Spacing, UserSpan,
};
pub use mix::Mix;
pub use profiles::{Files, PROFILES, Profile};
pub use users::user_spans;
