//! Limiters that remember instants: logs, the lock-out, two tiers.

use super::windows::Window;
use super::{Decision, Kind, Rule};
use crucible_core::Ns;
use std::collections::VecDeque;

/// Instants that count, oldest first; at most L of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    instants: VecDeque<u64>,
}

impl Log {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        while self.instants.front().is_some_and(|at| at + rule.window.0 <= now) {
            self.instants.pop_front();
        }
        let used = self.instants.len() as u64;
        let pass = used + cost <= rule.requests;
        if pass || rule.kind == Kind::LogWithRejects {
            for _ in 0..cost {
                self.instants.push_back(now);
            }
            // with L younger ones, an older one decides nothing
            while self.instants.len() as u64 > rule.requests {
                self.instants.pop_front();
            }
        }
        let used = self.instants.len() as u64;
        let until = |at: Option<&u64>| at.map_or(rule.window.0, |at| at + rule.window.0 - now);
        // that many must leave before it passes
        let leaving = (used + cost).saturating_sub(rule.requests).saturating_sub(1);
        let retry = until(self.instants.get(usize::try_from(leaving).unwrap_or(usize::MAX)));
        let reset = self.instants.back().map_or(0, |at| at + rule.window.0 - now);
        Decision::of(pass, (rule.requests - used) / cost.max(1), reset, retry)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        self.instants.back().is_none_or(|at| at + rule.window.0 <= now)
    }
}

/// A window from the first request that locks when it is exceeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lock {
    window: Window,
    until: Option<u64>,
}

impl Lock {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let Kind::Lockout { lock } = rule.kind else { return Decision::of(true, 0, 0, 0) };
        if let Some(until) = self.until {
            if now < until {
                return Decision::of(false, 0, until - now, until - now);
            }
            *self = Lock::default();
        }
        let decision = self.window.ask_first(rule, now, cost);
        if decision.passes() {
            return decision;
        }
        self.until = Some(now + lock.0);
        Decision::of(false, 0, lock.0, lock.0)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        match self.until {
            Some(until) => now >= until,
            None => self.window.is_idle(rule, now),
        }
    }
}

/// Two fixed windows; a request counts in both or in none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Two {
    first: Window,
    second: Window,
}

impl Two {
    pub(super) fn ask(&mut self, rule: &Rule, now: u64, cost: u64) -> Decision {
        let second_rule = second(rule);
        let (mut first, mut second) = (self.first.clone(), self.second.clone());
        let one = first.ask_wall(rule, now, cost);
        let two = second.ask_wall(&second_rule, now, cost);
        let pass = one.passes() && two.passes();
        if pass {
            *self = Two { first, second };
            let tight = if two.remaining < one.remaining { two } else { one };
            return Decision::of(true, tight.remaining, tight.reset.0, 0);
        }
        let retry = one.retry_after.max(two.retry_after);
        let reset = if one.passes() { two.reset } else { one.reset };
        Decision::of(false, 0, reset.0, retry.0)
    }

    pub(super) fn is_idle(&self, rule: &Rule, now: u64) -> bool {
        self.first.is_idle(rule, now) && self.second.is_idle(&second(rule), now)
    }
}

fn second(rule: &Rule) -> Rule {
    let (requests, window) = match rule.kind {
        Kind::TwoTier { requests, window } => (requests, window),
        _ => (rule.requests, Ns(rule.window.0)),
    };
    Rule { kind: Kind::FixedWall, requests, window }
}
