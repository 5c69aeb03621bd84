//! Limiters without windows: token bucket, leaky queue, spacing, places.

use super::{Decision, Kind, Pass, Rule};
use crucible_core::Ns;

/// Tokens, kept as the time at which the bucket would be full: one number, no drift.
///
/// All figures are nanoseconds times L, so that W/L needs no rounding: one token weighs W.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bucket {
    /// Missing tokens times W at `at`.
    missing: u128,
    at: u64,
}

impl Bucket {
    fn size(rule: &Rule) -> u128 {
        let burst = match rule.kind {
            Kind::TokenBucket { burst } => burst,
            _ => rule.requests,
        };
        u128::from(burst) * u128::from(rule.window.0)
    }

    fn missing(&self, rule: &Rule, now: u64) -> u128 {
        self.missing.saturating_sub(u128::from(now - self.at.min(now)) * u128::from(rule.requests))
    }

    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let (token, rate) = (u128::from(rule.window.0), u128::from(rule.requests));
        let wanted = token * u128::from(cost);
        let size = Bucket::size(rule);
        *self = Bucket { missing: self.missing(rule, now), at: now };
        let pass = self.missing + wanted <= size;
        self.missing += if pass { wanted } else { 0 };
        let time = |amount: u128| u64::try_from(amount.div_ceil(rate)).unwrap_or(u64::MAX);
        let remaining = u64::try_from((size - self.missing) / wanted.max(1)).unwrap_or(u64::MAX);
        let retry = time((self.missing + wanted).saturating_sub(size));
        Decision::of(pass, remaining, time(self.missing), retry)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        self.missing(rule, now) == 0
    }
}

/// Requests leave at a fixed pace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaky {
    /// When the next one may leave.
    free: u64,
}

impl Leaky {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let queue = match rule.kind {
            Kind::Leaky { queue } => queue,
            _ => 0,
        };
        let interval = rule.interval();
        let leaves = self.free.max(now);
        let delay = leaves - now;
        let longest = queue.saturating_mul(interval);
        let pass = delay <= longest;
        if pass {
            self.free = leaves + interval * cost;
        }
        let backlog = self.free.saturating_sub(now);
        let places = if backlog > longest { 0 } else { (longest - backlog) / interval.max(1) + 1 };
        let mut decision = Decision::of(pass, places, backlog, delay.saturating_sub(longest));
        if pass && delay > 0 {
            decision.pass = Pass::After(Ns(delay));
        }
        decision
    }

    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.free <= now
    }
}

/// The last request that passed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spacing {
    last: Option<u64>,
}

impl Spacing {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let apart = rule.interval() * cost;
        let wait = self.last.map_or(0, |last| (last + apart).saturating_sub(now));
        if wait == 0 {
            self.last = Some(now);
        }
        Decision::of(wait == 0, 0, if wait == 0 { apart } else { wait }, wait)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        self.last.is_none_or(|last| last + 2 * rule.window.0 <= now)
    }
}

/// Requests under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    taken: u64,
}

impl Places {
    pub(super) fn ask(&mut self, rule: &Rule, cost: u64) -> Decision {
        let pass = self.taken + cost <= rule.requests;
        self.taken += if pass { cost } else { 0 };
        // nobody knows when a place gets free; a second is what servers say
        let second = Ns::from_secs(1).0;
        Decision::of(pass, (rule.requests - self.taken) / cost.max(1), second, second)
    }

    pub(super) fn leave(&mut self, cost: u64) {
        self.taken = self.taken.saturating_sub(cost);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.taken == 0
    }
}
