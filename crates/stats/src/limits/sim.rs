//! A network and a server in virtual time, to try the probing on: any limiter behind delays, jitter and errors.

use super::acts::{Next, Player};
use super::design::Experiment;
use super::headers::Hints;
use super::rule::Rule;
use super::seen::{Seen, Verdict};
use super::state::State;
use crucible_core::Rng;
use std::collections::HashMap;

/// What a server says to one request.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Status; 0 for a connection that broke.
    pub status: u16,
    /// Seconds that the limiter held it back.
    pub delay: f64,
    /// Headers about the limit.
    pub hints: Hints,
}

/// A server behind a network; all in seconds.
pub struct Range<F> {
    /// Answers a request of a variant that arrives at an instant, given the requests under way.
    pub server: F,
    /// Time from client to server and back without jitter.
    pub trip: f64,
    /// Most that the network adds on each way.
    pub jitter: f64,
    /// Time that the server works on a request that passes.
    pub service: f64,
    /// Share of requests that fail for reasons of their own.
    pub errors: f64,
    /// Share of requests that a busy machine holds up, and the longest time, before they arrive or on the way back.
    pub held_up: (f64, f64),
    /// Source of the jitter.
    pub rng: Rng,
    /// Requests under way: when they end at the server.
    busy: Vec<f64>,
}

impl<F: FnMut(u8, f64, usize) -> Said> Range<F> {
    /// A range with this server; no errors.
    pub fn new(server: F, trip: f64, jitter: f64, service: f64, seed: u64) -> Range<F> {
        Range {
            server,
            trip,
            jitter,
            service,
            errors: 0.0,
            held_up: (0.0, 0.0),
            rng: Rng::new(seed, "range", 0),
            busy: Vec::new(),
        }
    }

    /// Makes an experiment from `now`; gives what was seen and the instant at which it ended.
    pub fn play(&mut self, experiment: &Experiment, now: f64) -> (Vec<Seen>, f64) {
        let mut player = Player::new(experiment.acts.clone(), now, experiment.end);
        let (mut now, mut all) = (now, Vec::new());
        while let Next::Fire { at, count, key } = player.next(now) {
            let sent = at.max(now);
            let mut arrivals: Vec<f64> = (0..count)
                .map(|_| sent + 0.5 * self.trip + self.jitter * self.rng.unit() + self.hold())
                .collect();
            arrivals.sort_by(f64::total_cmp);
            let answers: Vec<Seen> = arrivals.into_iter().map(|at| self.request(key, sent, at)).collect();
            now = answers.iter().map(|seen| seen.answered).fold(now, f64::max);
            player.saw(&answers);
            all.extend(answers);
        }
        (all, now)
    }

    /// Nearly always nothing; else mostly short, at times up to the longest.
    fn hold(&mut self) -> f64 {
        let (share, longest) = self.held_up;
        if share == 0.0 || self.rng.unit() >= share {
            return 0.0;
        }
        longest * self.rng.unit().powi(2)
    }

    fn request(&mut self, key: u8, sent: f64, arrived: f64) -> Seen {
        self.busy.retain(|end| *end > arrived);
        let back = 0.5 * self.trip + self.jitter * self.rng.unit() + self.hold();
        let said = if self.rng.unit() < self.errors {
            Said { status: if self.rng.unit() < 0.5 { 0 } else { 500 }, ..Said::default() }
        } else {
            (self.server)(key, arrived, self.busy.len())
        };
        let verdict = verdict(said.status, &said.hints);
        let worked = if verdict == Verdict::Passed { said.delay + self.service } else { 0.0 };
        if verdict == Verdict::Passed {
            self.busy.push(arrived + worked);
        }
        Seen { sent, answered: arrived + worked + back, key, verdict, status: said.status, hints: said.hints }
    }
}

/// What a status means: below 400 a request passed; 429 refuses, and 503 if it says when to come back.
pub fn verdict(status: u16, hints: &Hints) -> Verdict {
    match status {
        100..=399 => Verdict::Passed,
        429 => Verdict::Refused,
        503 if hints.retry_after.is_some() => Verdict::Refused,
        _ => Verdict::Broken,
    }
}

/// A server that keeps to a rule, with a count of its own for each key. For classes that are told apart by time.
pub fn by_rule(rule: Rule, key_of: impl Fn(u8) -> u8) -> impl FnMut(u8, f64, usize) -> Said {
    let mut states: HashMap<u8, State> = HashMap::new();
    move |variant, at, _| {
        let state = states.entry(key_of(variant)).or_insert_with(|| State::new(&rule));
        let passes = state.margin(&rule, at) >= 0.0;
        if passes {
            state.admit(&rule, at);
        } else {
            state.refuse(&rule, at);
        }
        Said { status: if passes { 200 } else { 429 }, ..Said::default() }
    }
}
