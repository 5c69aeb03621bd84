//! A simulator of each class, led by what was seen: it says how far a request is from the other verdict, and is then told
//! the verdict that there was.
//!
//! The distance is a time, its *margin*: at 0.3 the request would have been admitted up to 0.3 s earlier, too; at -0.3 it
//! is refused, and would be admitted 0.3 s later if nobody else asked. Because the state follows the verdicts that were
//! seen and not its own, one surprise does not spoil everything behind it.
//! Invariant: instants do not go back.

use super::rule::{Class, Rule, Tier};

/// A margin that no delay of the network explains.
pub(crate) const FAR: f64 = 1e9;

/// What one limiter remembers of one key.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Wall(Wall),
    Two(Wall, Wall),
    First {
        begin: f64,
        used: u64,
    },
    Lock {
        begin: f64,
        used: u64,
        until: Option<f64>,
    },
    Grow {
        used: u64,
        until: f64,
    },
    Log {
        counted: Vec<f64>,
    },
    Counter {
        index: i64,
        before: u64,
        now: u64,
    },
    /// `from`: the last request that found it full.
    Bucket {
        full_at: f64,
        from: f64,
    },
    Refill {
        index: i64,
        tokens: u64,
        begun: bool,
    },
    Always,
}

/// A window of the server's clock.
#[derive(Clone, Debug)]
pub(crate) struct Wall {
    index: i64,
    used: u64,
}

impl Wall {
    const NEW: Wall = Wall { index: i64::MIN / 2, used: 0 };

    fn margin(&self, tier: &Tier, at: f64) -> f64 {
        if self.used < tier.limit { FAR } else { at - (tier.phase + (self.index + 1) as f64 * tier.window) }
    }

    /// A request at `at` was refused although there seemed to be room: the window is used up, whatever used it.
    pub(crate) fn exhaust(&mut self, rule: &Rule, at: f64) {
        let index = index(at, rule.phase, rule.window).max(self.index);
        *self = Wall { index, used: rule.limit };
    }

    fn admit(&mut self, tier: &Tier, at: f64) {
        let mut index = index(at, tier.phase, tier.window).max(self.index);
        if index == self.index && self.used >= tier.limit {
            // the server's window has begun, whatever our estimate of its begin says
            index += 1;
        }
        if index != self.index {
            *self = Wall { index, used: 0 };
        }
        self.used += 1;
    }
}

fn index(at: f64, phase: f64, window: f64) -> i64 {
    ((at - phase) / window).floor() as i64
}

fn first_tier(rule: &Rule) -> Tier {
    Tier { limit: rule.limit, window: rule.window, phase: rule.phase }
}

impl State {
    pub(crate) fn new(rule: &Rule) -> State {
        match rule.class {
            Class::FixedWall => State::Wall(Wall::NEW),
            Class::TwoTier => State::Two(Wall::NEW, Wall::NEW),
            Class::FixedFirst => State::First { begin: -FAR, used: 0 },
            Class::Lockout => State::Lock { begin: -FAR, used: 0, until: None },
            Class::GrowingLock => State::Grow { used: 0, until: -FAR },
            Class::SlidingLog | Class::LogWithRejects => State::Log { counted: Vec::new() },
            Class::SlidingCounter => State::Counter { index: i64::MIN / 2, before: 0, now: 0 },
            Class::TokenBucket | Class::Spacing => State::Bucket { full_at: -FAR, from: -FAR },
            Class::IntervalRefill => State::Refill { index: 0, tokens: rule.limit, begun: false },
            Class::LeakyQueue | Class::Concurrency => State::Always,
        }
    }

    /// How far a request at `at` is from the other verdict: not negative if it is admitted.
    pub(crate) fn margin(&self, rule: &Rule, at: f64) -> f64 {
        match self {
            State::Always => FAR,
            State::Wall(wall) => wall.margin(&first_tier(rule), at),
            State::Two(a, b) => a.margin(&first_tier(rule), at).min(b.margin(&rule.second, at)),
            State::First { begin, used } => {
                if *used < rule.limit {
                    FAR
                } else {
                    at - (begin + rule.window)
                }
            }
            State::Lock { begin, used, until } => match until {
                Some(until) => at - until,
                None if *used < rule.limit => FAR,
                None => at - (begin + rule.window),
            },
            State::Grow { used, until } => {
                if *used < rule.limit {
                    FAR
                } else {
                    at - until
                }
            }
            State::Log { counted } => match counted.len().checked_sub(rule.limit as usize) {
                None => FAR,
                Some(oldest) => at - (counted[oldest] + rule.window),
            },
            State::Counter { index, before, now } => counter_margin(rule, (*index, *before, *now), at),
            State::Bucket { full_at, .. } => {
                let interval = rule.window / rule.limit as f64;
                (at - (full_at - (rule.limit - 1) as f64 * interval)).min(FAR)
            }
            State::Refill { index, tokens, begun } => {
                if *tokens > 0 || !begun {
                    return FAR;
                }
                at - (rule.phase + (index + 1) as f64 * lump_interval(rule))
            }
        }
    }

    /// A request at `at` was admitted.
    pub(crate) fn admit(&mut self, rule: &Rule, at: f64) {
        match self {
            State::Always => {}
            State::Wall(wall) => wall.admit(&first_tier(rule), at),
            State::Two(a, b) => {
                a.admit(&first_tier(rule), at);
                b.admit(&rule.second, at);
            }
            State::First { begin, used } => {
                if *used >= rule.limit || at >= *begin + rule.window {
                    (*begin, *used) = (at, 0);
                }
                *used += 1;
            }
            State::Lock { begin, used, until } => {
                if until.take().is_some() || *used >= rule.limit || at >= *begin + rule.window {
                    (*begin, *used) = (at, 0);
                }
                *used += 1;
            }
            State::Grow { used, until } => {
                *used += 1;
                if let Some(step) = used.checked_sub(rule.limit) {
                    // of a lock that was not seen it is known that it did not end
                    let step = (step as usize).min(rule.locks.len() - 1);
                    let lock = rule.locks.get(step).copied().filter(|lock| *lock > 0.0);
                    *until = lock.map_or(FAR, |lock| at + lock);
                }
            }
            State::Log { counted } => log(counted, rule, at),
            State::Counter { index: last, before, now } => {
                let index = index(at, rule.phase, rule.window).max(*last);
                (*before, *now) = counts(index, *last, *before, *now);
                *last = index;
                *now += 1;
            }
            State::Bucket { full_at, from } => {
                if *full_at <= at {
                    *from = at;
                }
                *full_at = full_at.max(at) + rule.window / rule.limit as f64;
            }
            State::Refill { index: last, tokens, begun } => {
                let mut index = index(at, rule.phase, lump_interval(rule));
                if *begun {
                    index = index.max(*last);
                    if *tokens == 0 && index == *last {
                        index += 1;
                    }
                    let lumps = (index - *last) as u64;
                    *tokens = rule.limit.min(tokens.saturating_add(lumps.saturating_mul(rule.lump)));
                }
                (*begun, *last) = (true, index);
                *tokens -= 1;
            }
        }
    }

    /// A request at `at` was refused.
    pub(crate) fn refuse(&mut self, rule: &Rule, at: f64) {
        match self {
            State::Log { counted } if rule.class == Class::LogWithRejects => log(counted, rule, at),
            State::Lock { until, .. } if until.is_none() || rule.extends => *until = Some(at + rule.lock),
            _ => {}
        }
    }
}

/// Counts an instant; those behind the limit-th decide nothing any more.
fn log(counted: &mut Vec<f64>, rule: &Rule, at: f64) {
    counted.push(at);
    let keep = rule.limit as usize;
    if counted.len() > 2 * keep + 64 {
        counted.drain(..counted.len() - keep);
    }
}

fn lump_interval(rule: &Rule) -> f64 {
    rule.window * rule.lump as f64 / rule.limit as f64
}

fn counts(index: i64, last: i64, before: u64, now: u64) -> (u64, u64) {
    match index - last {
        0 => (before, now),
        1 => (now, 0),
        _ => (0, 0),
    }
}

fn counter_margin(rule: &Rule, (last, before, now): (i64, u64, u64), at: f64) -> f64 {
    let index = index(at, rule.phase, rule.window).max(last);
    let (before, now) = counts(index, last, before, now);
    let begin = rule.phase + index as f64 * rule.window;
    let Some(free) = rule.limit.checked_sub(now + 1) else {
        // only in the next window, where `now` is the count before
        let share = 1.0 - (rule.limit as f64 - 1.0) / now as f64;
        return at - (begin + rule.window * (1.0 + share.max(0.0)));
    };
    if before <= free {
        return FAR;
    }
    at - (begin + rule.window * (1.0 - free as f64 / before as f64))
}
