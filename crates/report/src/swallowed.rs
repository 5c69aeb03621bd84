//! Arrivals that a stall swallowed.
//!
//! A closed-model user that waits for a slow answer sends nothing meanwhile, so the requests that would have met
//! the stall are missing from the figures ("coordinated omission", Tene). How many: a user's usual cycle from
//! request to request is (all user time - time in stalled requests) / (requests - stalled requests), and a stalled
//! request of length L has taken the place of (L - median) / cycle others. A request counts as stalled when it took
//! more than ten times the median. Under open load nothing is swallowed: arrivals wait instead (pool lag), are timed
//! from their planned instant, or are dropped.

use crate::figures;
use crucible_analysis::RunView;
use crucible_core::{Ns, Outcome};
use crucible_record::Model;

/// What stalls or a lack of free users did to the arrivals of one test.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Swallowed {
    /// Requests of closed phases that took more than ten times the median.
    pub stalled: u64,
    /// About how many requests they kept from being sent.
    pub requests: f64,
    /// `requests` as a share of those that were sent.
    pub share: f64,
    /// The longest of them.
    pub longest: Ns,
    /// Arrivals of open phases that waited for a free user for more than 1 ms.
    pub waited: u64,
    /// p99 of that wait over all arrivals.
    pub wait_p99: Ns,
    /// Longest wait.
    pub wait_max: Ns,
    /// Arrivals that were never sent.
    pub dropped: u64,
}

impl Swallowed {
    /// Whether a reader should be told: more than 1 % of the requests, or anything dropped.
    pub fn notable(&self, sent: u64) -> bool {
        self.share >= 0.01 || self.dropped > 0 || self.waited as f64 >= 0.01 * sent.max(1) as f64
    }
}

/// Counts for test `test` (index). Zeroes where nothing was measured.
pub fn swallowed(view: &RunView, test: usize) -> Swallowed {
    let mut found = Swallowed::default();
    let Some(totals) = view.tests.get(test) else { return found };
    found.dropped = totals.all.of(Outcome::Dropped);
    let mut sent = 0;
    for (index, (meta, phase)) in view.started.phases.iter().zip(&view.phases).enumerate() {
        if usize::from(meta.test) != test {
            continue;
        }
        match meta.model {
            Model::Open => {
                let lag = &phase.lag.pool;
                found.waited += lag.count_above(Ns::from_millis(1));
                found.wait_p99 = found.wait_p99.max(lag.quantile(0.99).unwrap_or_default());
                found.wait_max = found.wait_max.max(lag.max().unwrap_or_default());
            }
            Model::Closed => closed(view, index, &mut found, &mut sent),
        }
    }
    if sent > 0 {
        found.share = found.requests / sent as f64;
    }
    found
}

fn closed(view: &RunView, phase: usize, found: &mut Swallowed, sent: &mut u64) {
    let times = figures::everything(&view.phases[phase].all);
    let Some(median) = times.quantile(0.5) else { return };
    let (mut count, mut time) = (0, 0.0);
    let edge = Ns(median.0.saturating_mul(10));
    for (took, times) in times.buckets().filter(|(took, _)| *took > edge) {
        count += times;
        time += took.since(median).as_secs_f64() * times as f64;
        found.longest = found.longest.max(took);
    }
    let user_time: f64 = view
        .timeline
        .points()
        .iter()
        .filter(|point| usize::from(point.phase) == phase)
        .map(|point| point.users_active as f64 * point.seconds())
        .sum();
    *sent += times.count();
    let usual = times.count() - count;
    let cycle = (user_time - time) / usual.max(1) as f64;
    if count > 0 && cycle > 0.0 {
        found.stalled += count;
        found.requests += time / cycle;
    }
}
