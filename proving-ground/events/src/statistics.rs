//! What a bus counts.
//!
//! Conservation, at rest and for every instant of one lane: per service `received = processed + failed + dropped +
//! duplicates + pending`; in total `received = accepted + refused + duplicates + unrouted`.

use crate::breaker::BreakerState;
use crate::bus::ServiceId;
use crucible_core::Histogram;

/// How a service is, as told by whoever watches it. Used when one of several is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Takes its share.
    #[default]
    Healthy,
    /// Taken by the health strategy only if no healthy one is there.
    Degraded,
    /// Not chosen.
    Unhealthy,
}

impl Health {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unhealthy => "unhealthy",
        }
    }

    /// The health of this name.
    pub fn named(name: &str) -> Option<Health> {
        [Health::Healthy, Health::Degraded, Health::Unhealthy].into_iter().find(|h| h.name() == name)
    }

    pub(crate) fn from_u8(value: u8) -> Health {
        match value {
            0 => Health::Healthy,
            1 => Health::Degraded,
            _ => Health::Unhealthy,
        }
    }
}

/// Counts of one service; each counts events of this service.
#[derive(Clone, Debug)]
pub struct ServiceStatistics {
    /// Identity.
    pub id: ServiceId,
    /// Name.
    pub name: String,
    /// Told health.
    pub health: Health,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// Put into its queue.
    pub received: u64,
    /// Handled with success.
    pub processed: u64,
    /// Given up: the sum of handling that failed after all retries, [`Self::expired`] and
    /// [`Self::short_circuited`].
    pub failed: u64,
    /// Thrown out of the queue for a newer one.
    pub dropped: u64,
    /// Not handled because its id had been (coordinator; the router finds duplicates before it queues).
    pub duplicates: u64,
    /// Refused because there was no room; these are not in `received`.
    pub refused: u64,
    /// Further attempts.
    pub retried: u64,
    /// Of the failed: waited or were handled for longer than the event timeout.
    pub expired: u64,
    /// Of the failed: not tried because the circuit breaker was open.
    pub short_circuited: u64,
    /// Attempts that ended in a panic of the handler.
    pub panicked: u64,
    /// In the queue or in hand.
    pub pending: u64,
    /// From acceptance to the end of successful handling.
    pub latency: Histogram,
}

/// Counts of a bus.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Which architecture.
    pub architecture: &'static str,
    /// Events published.
    pub received: u64,
    /// Events that at least one service's queue took.
    pub accepted: u64,
    /// Events that had targets, none of which had room or could be chosen.
    pub refused: u64,
    /// Events whose id was known (router).
    pub duplicates: u64,
    /// Events that nobody wanted, or that a rule discards.
    pub unrouted: u64,
    /// Ids that deduplication forgot before their time for want of room.
    pub forgotten_early: u64,
    /// By service, in order of registration.
    pub services: Vec<ServiceStatistics>,
}

impl Statistics {
    /// Sum of one count over all services.
    pub fn sum(&self, of: impl Fn(&ServiceStatistics) -> u64) -> u64 {
        self.services.iter().map(of).sum()
    }

    /// Latency over all services.
    pub fn latency(&self) -> Histogram {
        let mut all = Histogram::default();
        self.services.iter().for_each(|service| all.merge(&service.latency));
        all
    }
}
