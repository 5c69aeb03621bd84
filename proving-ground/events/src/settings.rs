//! What can be set.

use crate::strategy::Strategy;
use crucible_core::Ns;

/// What happens to an event that finds its queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The publisher waits for room, up to the event timeout; then the event is refused for that service. An event
    /// with several targets goes first to all that have room. Protects events, at the price of the publisher.
    #[default]
    Block,
    /// The event is refused for that service at once. Protects the publisher.
    Reject,
    /// The oldest event of the least priority in that queue, if not more urgent than the new one, makes room and
    /// is counted as dropped. Protects the newest news.
    DropOldest,
}

/// Settings of a bus. The defaults are those of the original.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Events that may wait. The coordinator grants them to each service (it has no common queue); the router has
    /// them once for all: half of them in equal parts kept for each service, the rest for whoever needs it.
    pub queue: usize,
    /// What happens when that is not enough.
    pub when_full: WhenFull,
    /// Further attempts after a failed one, made at once so that order is kept.
    pub retries: u32,
    /// Failed events in a row that open a service's circuit breaker.
    pub breaker_failures: u32,
    /// How long it stays open before one event may try again.
    pub breaker_pause: Ns,
    /// An event that waits longer fails unhandled; one whose handling takes longer counts as failed.
    pub event_timeout: Ns,
    /// Events that the router handles at once, at most.
    pub concurrency: usize,
    /// How one of several is chosen.
    pub strategy: Strategy,
    /// How long an id is remembered; zero switches deduplication off.
    pub dedup_window: Ns,
    /// Ids remembered at most (per service in the coordinator, in all in the router); what is forgotten before its
    /// time is counted.
    pub dedup_ids: usize,
    /// Seed of random choices.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            queue: 1_000,
            when_full: WhenFull::Block,
            retries: 3,
            breaker_failures: 5,
            breaker_pause: Ns::from_secs(30),
            event_timeout: Ns::from_secs(30),
            concurrency: 100,
            strategy: Strategy::RoundRobin,
            dedup_window: Ns::from_secs(60),
            dedup_ids: 100_000,
            seed: 1,
        }
    }
}
