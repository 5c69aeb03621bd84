//! How well a rule explains what was seen.
//!
//! A verdict that differs from the model's costs the more, the further its instant is from the edge: arrivals are blurred
//! by the network with heavy tails, P(error beyond m) = (1 + |m| / noise)^-3 / 2, and never below [`SURPRISE`], so that
//! one wild answer does not decide. Requests of variants that have a count of their own are told apart by `keys`.

use super::rule::Rule;
use super::seen::{Event, Log};
use super::state::State;

/// Least probability of any verdict.
const SURPRISE: f64 = 1e-6;

/// Logarithm of the probability of a verdict at this margin.
pub(crate) fn log_probability(margin: f64, passed: bool, noise: f64) -> f64 {
    let blur = 1.0 + margin.abs() / noise;
    let wrong = (0.5 / (blur * blur * blur)).max(SURPRISE);
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

/// A verdict that is further than this many times the noise from the edge is a surprise.
const EDGE: f64 = 8.0;

/// Logarithm of the likelihood of the log of the plain request; given up below `floor`.
pub(crate) fn explain(rule: &Rule, log: &Log, floor: f64) -> Particle {
    let mut state = State::new(rule);
    let (mut fit, mut surprises) = (0.0, 0);
    for event in log.events.iter().filter(|event| event.key == 0) {
        fit += step(rule, &mut state, event, &mut surprises);
        if fit < floor {
            return Particle { rule: *rule, fit: f64::NEG_INFINITY, surprises };
        }
    }
    Particle { rule: *rule, fit, surprises }
}

fn step(rule: &Rule, state: &mut State, event: &Event, surprises: &mut u32) -> f64 {
    let margin = state.margin(rule, event.at);
    *surprises += u32::from((margin >= 0.0) != event.passed && margin.abs() > EDGE * event.noise);
    if event.passed {
        state.admit(rule, event.at);
    } else {
        state.refuse(rule, event.at);
    }
    log_probability(margin, event.passed, event.noise)
}

/// What the rule remembers after the log.
pub(crate) fn state_after(rule: &Rule, log: &Log) -> State {
    let mut state = State::new(rule);
    for event in log.events.iter().filter(|event| event.key == 0) {
        step(rule, &mut state, event, &mut 0);
    }
    state
}

/// For each event of the plain request: what the rule expects of it, as a margin, and requests that it would still have
/// let through after it, at most `most` of them.
pub(crate) fn margins(rule: &Rule, log: &Log) -> Vec<(Event, f64)> {
    let mut state = State::new(rule);
    let plain = log.events.iter().filter(|event| event.key == 0);
    plain
        .map(|event| {
            let margin = state.margin(rule, event.at);
            step(rule, &mut state, event, &mut 0);
            (*event, margin)
        })
        .collect()
}

/// Logarithm of the likelihood that `key` has a count of its own, less that it shares that of the plain request.
pub(crate) fn own_count(rule: &Rule, log: &Log, key: u8) -> f64 {
    let (mut plain, mut own, mut shared) = (State::new(rule), State::new(rule), State::new(rule));
    let mut difference = 0.0;
    for event in log.events.iter().filter(|event| event.key == 0 || event.key == key) {
        let apart = if event.key == 0 { &mut plain } else { &mut own };
        difference += step(rule, apart, event, &mut 0);
        difference -= step(rule, &mut shared, event, &mut 0);
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
