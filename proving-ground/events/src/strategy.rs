//! Choosing one of several services.

use crate::service::Service;
use crate::statistics::Health;
use crucible_core::{Ns, Rng};
use std::sync::Arc;

/// How one of several services is chosen. None chooses a service that is unhealthy or whose circuit breaker is
/// open; if none is left, the event is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one with the fewest pending events; in turn among equals.
    LeastConnections,
    /// At random in proportion to the weights.
    WeightedRandom,
    /// In turn among the healthy, else among the degraded.
    HealthBased,
    /// The highest rank; in turn among equals.
    Priority,
}

impl Strategy {
    /// All of them, with the words for settings.
    pub const ALL: [(&'static str, Strategy); 5] = [
        ("round-robin", Strategy::RoundRobin),
        ("least-connections", Strategy::LeastConnections),
        ("weighted-random", Strategy::WeightedRandom),
        ("health-based", Strategy::HealthBased),
        ("priority", Strategy::Priority),
    ];
}

/// Chooses among `members`; `turn` is a number that grows by one with every choice.
pub(crate) fn choose<'a>(
    members: &[&'a Arc<Service>],
    strategy: Strategy,
    (turn, seed): (u64, u64),
    now: Ns,
) -> Option<&'a Arc<Service>> {
    let available = |service: &&&'a Arc<Service>| {
        service.health() != Health::Unhealthy && service.breaker_open_until() <= now
    };
    // in turn among those that pass: the turn-th of them
    let in_turn = |pass: &dyn Fn(&&&'a Arc<Service>) -> bool| {
        let count = members.iter().filter(|s| available(s) && pass(s)).count() as u64;
        let nth = usize::try_from(turn.checked_rem(count)?).ok()?;
        members.iter().filter(|s| available(s) && pass(s)).nth(nth).copied()
    };
    match strategy {
        Strategy::RoundRobin => in_turn(&|_| true),
        Strategy::LeastConnections => {
            let least = members.iter().filter(available).map(|s| s.pending()).min()?;
            in_turn(&|s| s.pending() <= least).or_else(|| in_turn(&|_| true))
        }
        Strategy::WeightedRandom => {
            let total: u64 = members.iter().filter(available).map(|s| u64::from(s.weight)).sum();
            let mut point = Rng::new(seed, "route", turn).between(0, total.checked_sub(1)?);
            members.iter().filter(available).copied().find(|service| {
                let weight = u64::from(service.weight);
                let found = point < weight;
                point = point.wrapping_sub(weight);
                found
            })
        }
        Strategy::HealthBased => in_turn(&|s| s.health() == Health::Healthy).or_else(|| in_turn(&|_| true)),
        Strategy::Priority => {
            let best = members.iter().filter(available).map(|s| s.rank).max()?;
            in_turn(&|s| s.rank == best)
        }
    }
}
