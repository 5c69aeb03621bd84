//! How well a rule explains what was seen.
//!
//! A verdict that differs from the model's costs the more, the further its instant is from the edge: arrivals are blurred
//! by the network with heavy tails, P(error beyond m) = (1 + |m| / noise)^-3 / 2, and never below [`SURPRISE`], more for
//! late answers ([`super::walk`]), so that one wild answer does not decide. Requests of variants that have a count of their own are told apart by `keys`.

use super::rule::Rule;
use super::seen::{Event, Log};
use super::state::State;
use super::walk::Walk;

/// Least probability of a verdict of an answer that came in time.
pub(crate) const SURPRISE: f64 = 1e-6;

/// Logarithm of the probability of a verdict at this margin; that of the wrong one is at least `least`.
pub(crate) fn log_probability(margin: f64, passed: bool, noise: f64, least: f64) -> f64 {
    let blur = 1.0 + margin.abs() / noise;
    let wrong = (0.5 / (blur * blur * blur)).max(least);
    if (margin >= 0.0) == passed { (1.0 - wrong).ln() } else { wrong.ln() }
}

/// A rule with what it remembers after a log.
#[derive(Clone, Debug)]
pub(crate) struct Particle {
    pub rule: Rule,
    /// Logarithm of the likelihood of the log.
    pub fit: f64,
    /// Verdicts that no blur of the network explains.
    pub surprises: u32,
}

/// Logarithm of the likelihood of the log of the plain request; given up below `floor`.
pub(crate) fn explain(rule: &Rule, log: &Log, floor: f64) -> Particle {
    let (mut walk, mut fit) = (Walk::new(rule), 0.0);
    for event in log.events.iter().filter(|event| event.key == 0) {
        fit += walk.step(rule, event);
        if fit < floor {
            return Particle { rule: *rule, fit: f64::NEG_INFINITY, surprises: walk.surprises };
        }
    }
    Particle { rule: *rule, fit, surprises: walk.surprises }
}

/// Verdicts of the plain request after `from` that nothing explains by this rule.
pub(crate) fn surprises_after(rule: &Rule, log: &Log, from: f64) -> u32 {
    let (mut walk, mut before) = (Walk::new(rule), 0);
    for event in log.events.iter().filter(|event| event.key == 0) {
        walk.step(rule, event);
        if event.at < from {
            before = walk.surprises;
        }
    }
    walk.surprises - before
}

/// What the rule remembers after the log.
pub(crate) fn state_after(rule: &Rule, log: &Log) -> State {
    let mut walk = Walk::new(rule);
    for event in log.events.iter().filter(|event| event.key == 0) {
        walk.step(rule, event);
    }
    walk.state
}

/// For each event of the plain request: what the rule expects of it, as a margin.
pub(crate) fn margins(rule: &Rule, log: &Log) -> Vec<(Event, f64)> {
    let mut walk = Walk::new(rule);
    let plain = log.events.iter().filter(|event| event.key == 0);
    plain
        .map(|event| {
            let margin = walk.state.margin(rule, event.at);
            walk.step(rule, event);
            (*event, margin)
        })
        .collect()
}

/// Logarithm of the likelihood that `key` has a count of its own, less that it shares that of the plain request.
pub(crate) fn own_count(rule: &Rule, log: &Log, key: u8) -> f64 {
    let (mut plain, mut own, mut shared) = (Walk::new(rule), Walk::new(rule), Walk::new(rule));
    let mut difference = 0.0;
    for event in log.events.iter().filter(|event| event.key == 0 || event.key == key) {
        let apart = if event.key == 0 { &mut plain } else { &mut own };
        difference += apart.step(rule, event);
        difference -= shared.step(rule, event);
    }
    difference
}

/// Logarithm of the likelihood if each request is refused at random: what no rule explains better is no rule.
pub(crate) fn at_random(log: &Log) -> f64 {
    let plain = || log.events.iter().filter(|event| event.key == 0);
    let (all, refused) = (plain().count() as f64, plain().filter(|event| !event.passed).count() as f64);
    let share = ((refused + 0.5) / (all + 1.0)).clamp(1e-3, 1.0 - 1e-3);
    refused * share.ln() + (all - refused) * (1.0 - share).ln()
}
