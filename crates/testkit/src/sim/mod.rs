//! Virtual time.
//!
//! [`Sim`] polls ready tasks until none is ready, then jumps to the next timer. Same program and seed, same
//! run: timers of equal instants fire in the order in which they were set.

mod executor;
mod faults;
mod timers;

pub mod protocol;
pub mod queue;
pub mod script;
pub mod theory;

pub use executor::{Sim, SimClock, Sleep};
pub use faults::WakeError;
pub use protocol::{SimBehaviour, SimProtocol, SimSession, SimWorker};
pub use queue::{Queue, QueueConfig, QueueTruth, Visit};
pub use script::{Answer, Question, ScriptProtocol};
