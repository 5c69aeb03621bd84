//! The middle of a probing: experiments chosen by what they settle, until nothing is left to settle; then pressing on for
//! a second limit, and asking as somebody else.

use super::acts::Act;
use super::design::{Experiment, Means, choose};
use super::finding::Outcome;
use super::prober::{Prober, Stage, Todo};
use super::rule::{Class, Rule};
use super::seen::Log;
use crucible_core::Rng;

/// Windows that are pressed on at a time.
const PRESSED: u64 = 4;
/// Doubt at which it is decided.
const DECIDED: f64 = 0.01;
/// What must be left of the time within which it is to be known, in windows; else more is allowed.
const LEAST_LEFT: f64 = 0.3;
/// Experiments of one search.
const ROUNDS: u32 = 24;

impl Prober {
    /// Learns from all that was seen and chooses the next experiment; `None` when the stage has changed.
    pub(super) fn seek(&mut self, now: f64) -> Option<Experiment> {
        let log = Log::new(&self.seen);
        self.belief.update(&log, &mut self.rng);
        let best = self.belief.best()?.rule;
        self.belief.share = (4.0 * log.noise / best.window.max(1e-6)).clamp(0.015, 0.1);
        let favourite = self.belief.classes().first().copied();
        if let Some(step) = self.steps.last_mut() {
            step.favourite = favourite;
        }
        let doubt = self.belief.doubt();
        if self.stage == Stage::Press && doubt > 5.0 * DECIDED {
            // what pressed on brought is new: look again
            self.rounds = 0;
        }
        let searching = self.stage != Stage::Press || doubt > 5.0 * DECIDED;
        self.stage = Stage::Seek;
        if doubt > DECIDED {
            (self.confirmed, self.decided) = (0, None);
        } else {
            self.confirmed += 1;
            self.decided.get_or_insert(now - self.begun);
        }
        if searching && self.confirmed <= confirmations(&best) && self.rounds < ROUNDS {
            self.rounds += 1;
            let end = self.begun + self.options.within;
            let mut budget = self.begun + self.options.windows * self.belief.memory();
            if self.pressed > 0 || now + LEAST_LEFT * best.memory() >= budget {
                // better late than wrong
                budget = self.begun + 4.0 * (budget - self.begun);
            }
            let means = Means {
                begun: self.begun,
                now,
                end: end.min(budget.max(now)),
                trip: self.trip(),
                lanes: self.lanes,
                again: self.again(),
            };
            if now + 0.02 * best.memory() < means.end {
                let chosen = if doubt > DECIDED { choose(&self.belief, &log, &means) } else { None };
                return Some(chosen.unwrap_or_else(|| confirm(&best, self.lanes, means.end, &mut self.rng)));
            }
        }
        self.settle(now);
        if let Some(experiment) = self.press(now) {
            return Some(experiment);
        }
        self.stage = if self.outcome.is_some() { Stage::Over } else { Stage::Keys(0) };
        None
    }

    /// Why the last experiments were made, and how often in a row for that reason.
    fn again(&self) -> (&'static str, u32) {
        let last = self.steps.last().map_or("", |step| step.about);
        let times = self.steps.iter().rev().take_while(|step| step.about == last).count();
        (last, times as u32)
    }

    /// Takes what is believed now for what is found.
    pub(super) fn settle(&mut self, now: f64) {
        let log = Log::new(&self.seen);
        let classes = self.belief.classes();
        let Some((best, (_, share))) = self.belief.best().zip(classes.first()) else {
            self.outcome = Some(Outcome::Unknown("refused, and nothing passed again"));
            return;
        };
        if self.belief.random > best.fit + 3.0 || best.surprises * 50 > log.events.len() as u32 + 100 {
            self.outcome = Some(Outcome::Unknown("refusals come by no rule that is known here"));
            return;
        }
        self.decided.get_or_insert(now - self.begun);
        self.rule = Some((best.rule, *share));
    }

    /// Presses on for some windows: a second limit shows only under lasting pressure.
    fn press(&mut self, now: f64) -> Option<Experiment> {
        let (rule, _) = self.rule?;
        let pressable = matches!(
            rule.class,
            Class::FixedWall
                | Class::FixedFirst
                | Class::SlidingLog
                | Class::SlidingCounter
                | Class::TokenBucket
                | Class::IntervalRefill
        );
        if self.pressed >= self.options.press || !pressable || self.outcome.is_some() {
            return None;
        }
        let end = self.begun + self.options.within;
        let left = ((end - now) / (1.02 * rule.window)).floor().max(0.0) as u64;
        let times = (self.options.press - self.pressed).min(PRESSED).min(left);
        if times == 0 {
            return None;
        }
        self.pressed += times;
        let all = Act::Burst { most: 2 * rule.limit + 5, refusals: 2, lanes: self.lanes };
        let acts: Vec<Act> = (0..times).flat_map(|_| [Act::Wait(1.02 * rule.window), all]).collect();
        self.stage = Stage::Press;
        Some(Experiment { acts, end, about: "pressing on, for a second limit" })
    }

    /// Uses up the plain request's allowance, then asks with each variant that is not decided yet.
    pub(super) fn after_keys(&mut self, round: u32) -> Todo {
        let open: Vec<u8> =
            self.keys().into_iter().filter(|(_, told)| told.abs() < 5.0).map(|(key, _)| key).collect();
        let Some((rule, _)) = self.rule.filter(|_| !open.is_empty() && round < 4) else {
            return (Stage::Over, Vec::new(), "");
        };
        let mut acts = vec![Act::As(0)];
        let lanes = if rule.class == Class::Concurrency { 2 * rule.limit } else { self.lanes };
        match rule.class {
            Class::Concurrency | Class::LeakyQueue => return (Stage::Over, Vec::new(), ""),
            _ => acts.push(Act::Burst { most: 2 * rule.limit + 5, refusals: 2, lanes }),
        }
        for key in open {
            acts.extend([Act::As(key), Act::Burst { most: 3, refusals: 2, lanes: 1 }]);
            acts.extend([Act::As(0), Act::Singles { count: 1, every: 0.0 }]);
        }
        (Stage::Keys(round + 1), acts, "all that is left, then at once as somebody else")
    }
}

/// Experiments that must come out as expected, after the doubt is gone.
fn confirmations(rule: &Rule) -> u32 {
    if rule.class == Class::TwoTier { 2 } else { 1 }
}

/// An experiment that no belief has chosen: what is believed must foresee it.
fn confirm(rule: &Rule, lanes: u64, end: f64, rng: &mut Rng) -> Experiment {
    let scale = rule.memory();
    let all = Act::Burst { most: 2 * rule.limit + 5, refusals: 2, lanes };
    let mut acts = vec![Act::Wait((0.3 + 0.6 * rng.unit()) * scale)];
    if rule.class == Class::TwoTier {
        let times = rule.second.limit.div_ceil(rule.limit).min(40);
        acts.extend((0..times).flat_map(|_| [all, Act::Wait(1.03 * rule.window)]));
    }
    let watch = Act::Watch { first: 0.02 * scale, growth: 0.0, longest: 1.2 * scale };
    acts.extend([all, watch, all]);
    Experiment { acts, end, about: "whether it comes as expected" }
}
