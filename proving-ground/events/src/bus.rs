//! The trait that both architectures are behind, and what goes in and out of it.

use crate::directory::Interest;
use crate::event::Event;
use crate::statistics::{Health, Statistics};
use std::fmt;
use std::time::Duration;

/// Identity of a registered service; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

/// Why handling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// What a service does with its events. Called by one thread at a time, in order.
pub trait Handler: Send {
    /// Handles one event. An error or a panic is a failed attempt.
    fn handle(&mut self, event: &Event) -> Result<(), Failure>;
}

impl<F: FnMut(&Event) -> Result<(), Failure> + Send> Handler for F {
    fn handle(&mut self, event: &Event) -> Result<(), Failure> {
        self(event)
    }
}

/// What a service is.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Name, unique among the registered.
    pub name: String,
    /// Which events it wants.
    pub interest: Interest,
    /// Share when one of several is chosen by weight; zero: never.
    pub weight: u32,
    /// Rank when one of several is chosen by priority; the highest available wins.
    pub rank: u32,
}

impl ServiceSpec {
    /// A service of weight 1 and rank 0.
    pub fn new(name: impl Into<String>, interest: Interest) -> ServiceSpec {
        ServiceSpec { name: name.into(), interest, weight: 1, rank: 0 }
    }
}

/// What became of a published event at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Services whose queue took it.
    pub accepted: u32,
    /// Services whose queue had no room, or a choice for which nobody was available.
    pub refused: u32,
    /// Whether its id was known; then nobody was asked. (The coordinator has no common memory: there each service
    /// finds its own duplicates, later.)
    pub duplicate: bool,
}

/// Why a service cannot be registered or a bus not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusError {
    /// There is one of this name.
    NameTaken(String),
    /// The bus is closed.
    Closed,
    /// The machine gives no thread.
    Threads(String),
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusError::NameTaken(name) => write!(f, "a service named {name:?} is registered already"),
            BusError::Closed => f.write_str("the bus is closed"),
            BusError::Threads(why) => write!(f, "cannot start a thread: {why}"),
        }
    }
}

impl std::error::Error for BusError {}

/// An event bus. See the crate's text for what every implementation promises.
///
/// Dropping a bus closes it: nothing more is taken, what was accepted is still handled, and its threads end on
/// their own; a handler that never returns keeps only its own thread.
pub trait EventBus: Send + Sync {
    /// Name of the architecture, for tables.
    fn architecture(&self) -> &'static str;

    /// Adds a service. Events published after the return reach it.
    fn register(&self, spec: ServiceSpec, handler: Box<dyn Handler>) -> Result<ServiceId, BusError>;

    /// Removes a service: it takes nothing more and still handles what it had accepted. False if there is none.
    fn unregister(&self, id: ServiceId) -> bool;

    /// Tells how a service is. False if there is none.
    fn set_health(&self, id: ServiceId, health: Health) -> bool;

    /// Publishes one event. Waits only under [`crate::WhenFull::Block`].
    fn publish(&self, event: Event) -> Receipt;

    /// Waits until everything accepted has been dealt with, at most for `limit` of real time; whether it has.
    fn drain(&self, limit: Duration) -> bool;

    /// All counts now. Services that were removed keep their row until the bus ends or a later one of the same
    /// name replaces it.
    fn statistics(&self) -> Statistics;
}
