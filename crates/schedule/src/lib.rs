//! Load profiles to arrivals. Pure: no clock, no runtime, no global randomness.

pub mod load;

pub use load::{Arrival, ArrivalProcess, Curve, Iterations, Load, LoadPhase, Pacing, Piece, Spacing, UserSpan};
