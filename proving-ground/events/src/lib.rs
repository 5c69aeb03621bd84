//! Event coordination in one process, twice: a coordinator in which every service keeps its own queue and thread,
//! and a central router with one bounded queue space and a shared pool of workers. Both stand behind
//! [`EventBus`], keep the same promises and pass the same tests, so that only the architecture is compared.
//!
//! Place in the flow: outside both towers; a subject to be measured. Uses the core's clock trait, seeded
//! randomness and histogram, and nothing else.
//!
//! Promises of both: an accepted event is handed to each of its services exactly once (again only by a counted
//! retry); events of one source and one priority reach a service in the order in which one publisher published
//! them; payloads are shared, never copied per subscriber; memory is bounded by the settings; a service that
//! fails, panics or hangs does not keep the others from their events; every event is counted exactly once.

mod breaker;
mod bus;
mod clock;
mod coordinator;
mod dedup;
mod directory;
mod event;
mod inject;
mod lane;
mod mix;
mod room;
mod router;
mod service;
mod settings;
mod statistics;
mod strategy;

pub use breaker::{Breaker, BreakerState};
pub use bus::{BusError, EventBus, Failure, Handler, Receipt, ServiceId, ServiceSpec};
pub use clock::{ManualClock, MonotonicClock, SharedClock};
pub use coordinator::Coordinator;
pub use dedup::Dedup;
pub use directory::Interest;
pub use event::{Event, Family, Name, Payload, Priority, Targets};
pub use inject::{Injected, Injection};
pub use mix::EventMix;
pub use router::{CentralRouter, Route, Rule};
pub use settings::{Settings, WhenFull};
pub use statistics::{Health, ServiceStatistics, Statistics};
pub use strategy::Strategy;
