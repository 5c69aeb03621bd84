//! The course of a probing: what to send next, until it is known what limits the server, or that nothing does.
//!
//! First all that is there is asked for, one request behind the other. What comes back decides where it goes on: refusals
//! lead to a watch for their end, then to experiments chosen by what they settle ([`super::design`]); growing delays to
//! the queue that makes them; neither to more and more requests at once. Pure: the caller sends, and tells what it saw.

use super::acts::Act;
use super::belief::Belief;
use super::design::Experiment;
use super::finding::{Finding, Outcome, Step};
use super::likelihood::own_count;
use super::places;
use super::rule::{Class, Rule};
use super::seen::{Log, Seen, Verdict};
use crucible_core::Rng;

/// Bounds of a probing.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest time, seconds.
    pub within: f64,
    /// Requests that are sent before it is said that nothing limits them.
    pub most: u64,
    /// Requests under way at once, at most.
    pub lanes: u64,
    /// Further variants of the request: each differs from the plain one in one thing.
    pub keys: Vec<u8>,
    /// Windows within which the class is to be found.
    pub windows: f64,
    /// Windows for which it is pressed on afterwards, to find a second limit; 0 leaves it out.
    pub press: u64,
    /// The request is a login that fails: locks may grow, so that the first one must be measured when it is seen.
    pub login: bool,
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            within: 300.0,
            most: 2_000,
            lanes: 64,
            keys: Vec::new(),
            windows: 5.8,
            press: 12,
            login: false,
            seed: 1,
        }
    }
}

/// The first requests, sent one behind the other.
const SAMPLE: u64 = 12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Start,
    Sample,
    First,
    Idle,
    Queue,
    Crowd,
    Waves,
    Recovery,
    Again,
    Seek,
    Keys(u32),
    Press,
    Over,
}

/// The next stage, what to do until then, and why.
pub(super) type Todo = (Stage, Vec<Act>, &'static str);

/// See the module text. Call [`Prober::next`], make the experiment, tell [`Prober::observe`]; at the end
/// [`Prober::finding`].
pub struct Prober {
    pub(super) options: Options,
    pub(super) rng: Rng,
    pub(super) stage: Stage,
    pub(super) begun: f64,
    pub(super) seen: Vec<Seen>,
    /// Where the answers of the last experiment begin.
    pub(super) last: usize,
    pub(super) belief: Belief,
    pub(super) lanes: u64,
    pub(super) steps: Vec<Step>,
    pub(super) about: &'static str,
    pub(super) started: f64,
    pub(super) decided: Option<f64>,
    pub(super) rounds: u32,
    pub(super) rule: Option<(Rule, f64)>,
    pub(super) outcome: Option<Outcome>,
    /// A queue was looked for because those of a wave left one by one.
    pub(super) queued: bool,
    /// Windows for which it was pressed on.
    pub(super) pressed: u64,
    /// Experiments since the doubt was gone that came out as expected.
    pub(super) confirmed: u32,
    /// What explained best after the last experiment.
    pub(super) believed: Option<Rule>,
}

impl Prober {
    /// A probing that begins at `now`.
    pub fn new(options: Options, now: f64) -> Prober {
        Prober {
            rng: Rng::new(options.seed, "limits", 0),
            options,
            stage: Stage::Start,
            begun: now,
            seen: Vec::new(),
            last: 0,
            belief: Belief::new(),
            lanes: 1,
            steps: Vec::new(),
            about: "",
            started: now,
            decided: None,
            rounds: 0,
            rule: None,
            outcome: None,
            queued: false,
            pressed: 0,
            confirmed: 0,
            believed: None,
        }
    }

    /// Tells what the last experiment brought, and when it ended.
    pub fn observe(&mut self, seen: Vec<Seen>, now: f64) {
        self.last = self.seen.len();
        let count = |verdict| seen.iter().filter(|s| s.verdict == verdict).count() as u64;
        let refused = count(Verdict::Refused);
        self.steps.push(Step {
            about: self.about,
            at: self.started - self.begun,
            took: now - self.started,
            sent: seen.len() as u64,
            passed: count(Verdict::Passed),
            refused,
            favourite: None,
        });
        self.seen.extend(seen);
    }

    /// The next experiment; `None` when it is over.
    pub fn next(&mut self, now: f64) -> Option<Experiment> {
        loop {
            let end = self.begun + self.options.within;
            if now >= end && self.stage != Stage::Over {
                self.run_out(now);
            }
            let (stage, acts, about) = match self.stage {
                Stage::Over => return None,
                Stage::Start => {
                    let all = Act::Burst { most: SAMPLE, refusals: 3, lanes: 1 };
                    (Stage::Sample, vec![all], "one request behind the other, without pause")
                }
                Stage::Sample => self.after_sample(),
                Stage::First => self.after_first(),
                Stage::Idle => self.after_idle(),
                Stage::Queue => self.after_queue(),
                Stage::Crowd => self.after_crowd(),
                Stage::Waves => self.after_waves(),
                Stage::Recovery => self.after_recovery(),
                Stage::Again => self.after_again(),
                Stage::Seek | Stage::Press => match self.seek(now) {
                    Some(experiment) => return Some(self.begin(experiment, now)),
                    None => continue,
                },
                Stage::Keys(round) => self.after_keys(round),
            };
            self.stage = stage;
            if !acts.is_empty() {
                return Some(self.begin(Experiment { acts, end, about }, now));
            }
        }
    }

    fn begin(&mut self, experiment: Experiment, now: f64) -> Experiment {
        (self.about, self.started) = (experiment.about, now);
        experiment
    }

    pub(super) fn batch(&self) -> &[Seen] {
        &self.seen[self.last..]
    }

    pub(super) fn count(&self, verdict: Verdict) -> u64 {
        self.batch().iter().filter(|seen| seen.verdict == verdict).count() as u64
    }

    pub(super) fn trip(&self) -> f64 {
        let least = self.seen.iter().filter(|s| s.verdict != Verdict::Broken).map(Seen::took);
        least.fold(f64::INFINITY, f64::min).clamp(1e-5, 10.0)
    }

    pub(super) fn over(&mut self, outcome: Outcome) -> Todo {
        self.outcome = Some(outcome);
        (Stage::Over, Vec::new(), "")
    }

    fn run_out(&mut self, now: f64) {
        let refused = self.seen.iter().any(|seen| seen.verdict == Verdict::Refused);
        if refused && self.rule.is_none() {
            self.settle(now);
        }
        if self.rule.is_none() && self.outcome.is_none() {
            self.outcome = Some(Outcome::None);
        }
        self.stage = Stage::Over;
    }

    /// For each variant: how much speaks for a count of its own (above 0) or a shared one (below).
    pub(super) fn keys(&self) -> Vec<(u8, f64)> {
        let Some((rule, _)) = self.rule else { return Vec::new() };
        let log = Log::new(&self.seen);
        self.options.keys.iter().map(|key| (*key, own_count(&rule, &log, *key))).collect()
    }

    /// Whether what was sent to confirm it came as it says. Queues, caps and growing locks are read off directly.
    fn foretold(&self, rule: &Rule) -> bool {
        let needed = match rule.class {
            Class::Concurrency | Class::LeakyQueue | Class::GrowingLock => 0,
            Class::TokenBucket | Class::IntervalRefill => 3,
            _ => 2,
        };
        self.confirmed >= needed
    }

    /// What was found so far.
    pub fn finding(&self) -> Finding {
        let log = Log::new(&self.seen);
        let end = self.seen.last().map_or(self.begun, |seen| seen.answered);
        let outcome = self.outcome.clone().unwrap_or(if self.rule.is_some() {
            Outcome::Limiter
        } else {
            Outcome::Unknown("stopped before it was known")
        });
        let rule = self.rule.filter(|_| outcome == Outcome::Limiter);
        let windows = self.belief.windows();
        Finding {
            rule: rule.map(|(rule, _)| rule),
            probability: rule.map_or(0.0, |(_, share)| share),
            doubt: rule.map_or(0.0, |(rule, share)| match rule.class {
                Class::Concurrency | Class::LeakyQueue => 1.0 - share,
                _ => self.belief.doubt(),
            }),
            confirmed: rule.is_some_and(|(rule, _)| self.foretold(&rule)),
            others: if rule.is_some() { self.belief.classes() } else { Vec::new() },
            window: windows.first().zip(windows.last()).map_or((0.0, 0.0), |(least, most)| (*least, *most)),
            locks: rule
                .filter(|(rule, _)| rule.class == Class::GrowingLock)
                .map_or_else(Vec::new, |_| super::locks::brackets(&self.seen)),
            keys: if rule.is_some() { self.keys() } else { Vec::new() },
            decided: self.decided,
            elapsed: end - self.begun,
            requests: self.seen.len() as u64,
            rate: places::fastest(&self.seen),
            steps: self.steps.clone(),
            headers: super::honesty::check(rule.map(|(rule, _)| rule).as_ref(), &self.seen, &log),
            statuses: places::statuses(&self.seen),
            pressed: self.pressed > 0,
            outcome,
        }
    }
}
