//! A rule led along a log: the state follows the verdicts that were seen, also where they contradict the rule.
//!
//! An answer that took long says little about when its request arrived, and all that is counted from that request is as
//! uncertain: a bucket that was full then, a window that began with it. So its lateness stays with what hangs on it, and
//! a late request may have been counted in the window beside its own. Without this one answer that a busy machine held
//! up makes everything behind it contradict the true rule, and a wrong one with more free figures is believed. A verdict
//! that contradicts all the same is paid for once: the state is then set so that it had to come.

use super::likelihood::{SURPRISE, log_probability};
use super::rule::{Class, Rule};
use super::seen::Event;
use super::state::State;

/// A verdict that is further than this many times the noise from the edge is a surprise.
const EDGE: f64 = 8.0;
/// Largest probability of a verdict that contradicts everything.
const LOOSEST: f64 = 0.1;
/// Share of its lateness within a window by which a request may be counted in another one.
const ASTRAY: f64 = 0.25;

/// See the module text.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub state: State,
    /// Verdicts that no blur of the network explains.
    pub surprises: u32,
    /// Requests that came late, and how late they may have been, in order.
    late: Vec<(f64, f64)>,
    /// Lateness within the time that the rule remembers, seconds.
    astray: f64,
    last: f64,
}

impl Walk {
    pub(crate) fn new(rule: &Rule) -> Walk {
        Walk { state: State::new(rule), surprises: 0, late: Vec::new(), astray: 0.0, last: 0.0 }
    }

    /// Takes the next event; gives the logarithm of its probability.
    pub(crate) fn step(&mut self, rule: &Rule, event: &Event) -> f64 {
        let margin = self.state.margin(rule, event.at);
        let slack = self.state.hangs_on(rule).map_or(0.0, |at| self.lateness(at));
        let noise = event.noise + slack;
        self.astray = self.astray * (-(event.at - self.last).max(0.0) / rule.memory()).exp() + event.late;
        self.last = event.at;
        let least = (ASTRAY * self.astray / rule.grain()).clamp(SURPRISE, LOOSEST);
        let probability = log_probability(margin, event.passed, noise, least);
        if (margin >= 0.0) != event.passed {
            let surprise = margin.abs() > EDGE * noise;
            self.surprises += u32::from(surprise);
            let shift = if surprise { margin.abs() } else { margin.abs().min(slack) };
            self.state.yields(rule, event.at, event.passed, shift, surprise);
        }
        if event.passed {
            self.state.admit(rule, event.at);
        } else {
            self.state.refuse(rule, event.at);
        }
        if event.late > 0.0 {
            self.late.push((event.at, event.late));
        }
        probability
    }

    /// How late the request of an instant may have been.
    fn lateness(&self, at: f64) -> f64 {
        let index = self.late.partition_point(|(other, _)| *other < at - 1e-6);
        self.late.get(index).filter(|(other, _)| *other < at + 1e-6).map_or(0.0, |(_, late)| *late)
    }
}

impl State {
    /// The request from which on the present margin is counted.
    fn hangs_on(&self, rule: &Rule) -> Option<f64> {
        match self {
            State::First { begin, .. } => Some(*begin),
            State::Lock { begin, until, .. } => Some(until.map_or(*begin, |until| until - rule.lock)),
            State::Bucket { from, .. } => Some(*from),
            State::Log { counted } => counted.get(counted.len().checked_sub(rule.limit as usize)?).copied(),
            _ => None,
        }
    }

    /// Follows a verdict that contradicts: what is counted from an instant is shifted by `shift`, what is counted in
    /// numbers is taken as it must have been, if there is no other explanation (`surprise`).
    fn yields(&mut self, rule: &Rule, at: f64, passed: bool, shift: f64, surprise: bool) {
        match self {
            State::Bucket { full_at, .. } => {
                let empty = at + (rule.limit - 1) as f64 * rule.window / rule.limit as f64;
                // of a full bucket it is not known when it was emptied
                *full_at = if *full_at < at && !passed {
                    if surprise { empty } else { *full_at }
                } else if passed {
                    *full_at - shift
                } else {
                    *full_at + shift
                };
            }
            State::First { begin, used } if surprise && !passed => {
                *used = (*used).max(rule.limit);
                *begin = begin.max(at - rule.window);
            }
            State::Log { counted } if surprise && !passed && rule.class != Class::LogWithRejects => {
                // one was counted that is not known of
                counted.push(at);
            }
            State::Refill { index, tokens, begun } if surprise && !passed => {
                let now = index_of(rule, at);
                *index = if *begun { now.max(*index) } else { now };
                (*tokens, *begun) = (0, true);
            }
            State::Wall(wall) | State::Two(wall, _) if surprise && !passed => wall.exhaust(rule, at),
            State::Counter { .. } if surprise && !passed => self.admit(rule, at),
            _ => {}
        }
    }
}

fn index_of(rule: &Rule, at: f64) -> i64 {
    ((at - rule.phase) / (rule.window * rule.lump as f64 / rule.limit as f64)).floor() as i64
}
