//! Limiters that count in windows: fixed ones, the sliding counter, refills at intervals.

use super::{Decision, Kind, Rule};

/// A fixed window, of the wall clock or from the first request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// Begin of the window, nanoseconds; `None` before the first request.
    begin: Option<u64>,
    used: u64,
}

impl Window {
    pub(super) fn ask_wall(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let begin = now - now % rule.window.0;
        if self.begin != Some(begin) {
            *self = Window { begin: Some(begin), used: 0 };
        }
        self.take(rule, now, cost)
    }

    pub(super) fn ask_first(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        if self.begin.is_none_or(|begin| now >= begin + rule.window.0) {
            *self = Window { begin: Some(now), used: 0 };
        }
        self.take(rule, now, cost)
    }

    fn take(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let pass = self.used + cost <= rule.requests;
        self.used += if pass { cost } else { 0 };
        let left = self.begin.unwrap_or(now) + rule.window.0 - now;
        Decision::of(pass, (rule.requests - self.used) / cost.max(1), left, left)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        self.begin.is_none_or(|begin| now >= begin + rule.window.0)
    }
}

/// Counts of this wall-clock window and of the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    index: u64,
    before: u64,
    now: u64,
}

impl Counter {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let window = u128::from(rule.window.0);
        let (index, inside) = (now / rule.window.0, now % rule.window.0);
        if index != self.index {
            let before = if index == self.index + 1 { self.now } else { 0 };
            *self = Counter { index, before, now: 0 };
        }
        let limit = u128::from(rule.requests) * window;
        // both sides times W, so that nothing is rounded
        let weighted = |counter: &Counter| {
            u128::from(counter.before) * (window - u128::from(inside)) + u128::from(counter.now) * window
        };
        let pass = weighted(self) + u128::from(cost) * window <= limit;
        let retry = if pass { 0 } else { self.wait(rule, inside, cost) };
        self.now += if pass { cost } else { 0 };
        let free = limit.saturating_sub(weighted(self)) / (window * u128::from(cost.max(1)));
        let reset = if self.now > 0 { 2 * rule.window.0 - inside } else { rule.window.0 - inside };
        Decision::of(pass, u64::try_from(free).unwrap_or(u64::MAX), reset, retry)
    }

    /// Time until a request passes: in this window, or else in the next, where this one is "before".
    fn wait(&self, rule: &Rule, inside: u64, cost: u64) -> u64 {
        let window = u128::from(rule.window.0);
        let place = |count: u64, free: u64| {
            // count * (W - e) <= free * W
            let rest =
                (u128::from(free) * window).checked_div(u128::from(count)).map_or(window, |r| r.min(window));
            u64::try_from(window - rest).unwrap_or(u64::MAX)
        };
        if let Some(free) = rule.requests.checked_sub(self.now + cost) {
            let at = place(self.before, free);
            if at >= inside && at < rule.window.0 {
                return at - inside;
            }
        }
        let rest = rule.window.0 - inside;
        match rule.requests.checked_sub(cost) {
            Some(free) => rest + place(self.now, free),
            None => 2 * rule.window.0,
        }
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        now / rule.window.0 > self.index + 1
    }
}

/// Tokens that are added in lumps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refill {
    first: Option<u64>,
    ticks: u64,
    tokens: u64,
}

impl Refill {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let steps = match rule.kind {
            Kind::IntervalRefill { steps } => steps.clamp(1, rule.requests),
            _ => 1,
        };
        let (interval, lump) = (rule.window.0 / steps, rule.requests / steps);
        let first = *self.first.get_or_insert_with(|| {
            self.tokens = rule.requests;
            now
        });
        let ticks = (now - first) / interval;
        self.tokens = rule.requests.min(self.tokens.saturating_add(lump.saturating_mul(ticks - self.ticks)));
        self.ticks = ticks;
        let pass = self.tokens >= cost;
        self.tokens -= if pass { cost } else { 0 };
        let next = first + (ticks + 1) * interval - now;
        let lumps = |missing: u64| missing.div_ceil(lump);
        let until = |missing: u64| if missing == 0 { 0 } else { next + (lumps(missing) - 1) * interval };
        let reset = until(rule.requests - self.tokens);
        Decision::of(pass, self.tokens / cost.max(1), reset, until(cost.saturating_sub(self.tokens)))
    }
}
