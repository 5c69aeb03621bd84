//! The course of a probing: what to send next, until it is known what limits the server, or that nothing does.
//!
//! First all that is there is asked for, one request behind the other. What comes back decides where it goes on: refusals
//! lead to a watch for their end, then to experiments chosen by what they settle ([`super::design`]); growing delays to
//! the queue that makes them; neither to more and more requests at once. Pure: the caller sends, and tells what it saw.

use super::acts::Act;
use super::belief::Belief;
use super::design::{Experiment, Means, choose};
use super::finding::{Finding, Outcome, Step};
use super::likelihood::own_count;
use super::places::{self, Queue};
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
    /// Seed of everything drawn.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { within: 300.0, most: 2_000, lanes: 64, keys: Vec::new(), windows: 5.8, press: 12, seed: 1 }
    }
}

/// The first requests, sent one behind the other.
const SAMPLE: u64 = 12;
/// An answer that takes this long is looked into first, seconds.
const SLOW: f64 = 0.03;
/// Requests sent one behind the other before more are sent at once.
const ALONE: u64 = 150;
/// Windows that are pressed on at a time.
const PRESSED: u64 = 4;
/// Doubt at which it is decided.
const DECIDED: f64 = 0.01;
/// Experiments that must come out as expected, after the doubt is gone.
const CONFIRMATIONS: u32 = 1;
/// Experiments of one search.
const ROUNDS: u32 = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
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

/// See the module text. Call [`Prober::next`], make the experiment, tell [`Prober::observe`]; at the end
/// [`Prober::finding`].
pub struct Prober {
    options: Options,
    rng: Rng,
    stage: Stage,
    begun: f64,
    seen: Vec<Seen>,
    /// Where the answers of the last experiment begin.
    last: usize,
    belief: Belief,
    lanes: u64,
    steps: Vec<Step>,
    about: &'static str,
    started: f64,
    decided: Option<f64>,
    rounds: u32,
    rule: Option<(Rule, f64)>,
    outcome: Option<Outcome>,
    /// Windows for which it was pressed on.
    pressed: u64,
    /// Experiments since the doubt was gone that came out as expected.
    confirmed: u32,
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
            pressed: 0,
            confirmed: 0,
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
                Stage::Again | Stage::Seek | Stage::Press => match self.seek(now) {
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

    fn batch(&self) -> &[Seen] {
        &self.seen[self.last..]
    }

    fn count(&self, verdict: Verdict) -> u64 {
        self.batch().iter().filter(|seen| seen.verdict == verdict).count() as u64
    }

    fn trip(&self) -> f64 {
        let least = self.seen.iter().filter(|s| s.verdict != Verdict::Broken).map(Seen::took);
        least.fold(f64::INFINITY, f64::min).clamp(1e-5, 10.0)
    }

    fn over(&mut self, outcome: Outcome) -> (Stage, Vec<Act>, &'static str) {
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

    /// Goes on at once, unless answers are so slow that it is worth asking why first.
    fn after_sample(&mut self) -> (Stage, Vec<Act>, &'static str) {
        let failed = self.count(Verdict::Refused) + self.count(Verdict::Broken) > 0;
        if failed || places::typical(self.batch()) > SLOW {
            return self.after_first();
        }
        let all = Act::Burst { most: ALONE, refusals: 3, lanes: 1 };
        (Stage::First, vec![all], "one request behind the other, without pause")
    }

    fn after_first(&mut self) -> (Stage, Vec<Act>, &'static str) {
        let (passed, refused) = (self.count(Verdict::Passed), self.count(Verdict::Refused));
        let broken = self.count(Verdict::Broken);
        if passed + refused == 0 {
            return self.over(Outcome::Untestable);
        }
        if broken * 3 > passed + refused {
            return self.over(Outcome::Overload);
        }
        if refused > 0 {
            return self.recovery();
        }
        let typical = places::typical(self.batch());
        let rest = Act::Wait((8.0 * typical).max(0.05));
        let one = Act::Singles { count: 1, every: 0.0 };
        let some = Act::Burst { most: 6, refusals: 1, lanes: 1 };
        (Stage::Idle, vec![rest, one, rest, one, rest, some], "after a rest, and at once behind another")
    }

    fn recovery(&mut self) -> (Stage, Vec<Act>, &'static str) {
        let first = (2.0 * self.trip()).max(0.005);
        let watch = Act::Watch { first, growth: 0.2, longest: self.options.within };
        (Stage::Recovery, vec![watch], "asking again until one passes")
    }

    fn after_idle(&mut self) -> (Stage, Vec<Act>, &'static str) {
        if self.count(Verdict::Refused) > 0 {
            return self.recovery();
        }
        if let Some(interval) = places::shaped(self.batch()) {
            let rest = Act::Wait(3.0 * interval);
            let many = self.options.lanes;
            let all = Act::Burst { most: many, refusals: many, lanes: many };
            return (Stage::Queue, vec![rest, all], "many at once, to fill the queue");
        }
        self.crowd(8)
    }

    fn after_queue(&mut self) -> (Stage, Vec<Act>, &'static str) {
        match places::queue(self.batch()) {
            Queue::Known(interval, waiting) => {
                let rule = Rule { lump: waiting, ..Rule::new(Class::LeakyQueue, 1, interval) };
                self.found(rule, 0.999);
                self.decide_here();
                (Stage::Keys(0), Vec::new(), "")
            }
            Queue::Longer(_) if self.lanes < 16 * self.options.lanes => {
                self.lanes = 4 * self.options.lanes.max(self.lanes);
                let all = Act::Burst { most: self.lanes, refusals: self.lanes, lanes: self.lanes };
                (Stage::Queue, vec![all], "more at once, to fill the queue")
            }
            Queue::Longer(interval) => {
                self.lanes = 1;
                let rule = Rule { lump: u64::MAX - 1, ..Rule::new(Class::LeakyQueue, 1, interval) };
                self.found(rule, 0.95);
                self.decide_here();
                (Stage::Keys(0), Vec::new(), "")
            }
            Queue::None => self.crowd(8),
        }
    }

    fn decide_here(&mut self) {
        let last = self.seen.last().map_or(self.begun, |seen| seen.answered);
        self.decided = Some(last - self.begun);
    }

    fn crowd(&mut self, lanes: u64) -> (Stage, Vec<Act>, &'static str) {
        self.lanes = lanes;
        let most = if lanes >= self.options.lanes { self.options.most } else { 2 * lanes };
        let all = Act::Burst { most, refusals: lanes, lanes: lanes.min(self.options.lanes) };
        (Stage::Crowd, vec![all], "more and more at once")
    }

    fn after_crowd(&mut self) -> (Stage, Vec<Act>, &'static str) {
        let (passed, refused) = (self.count(Verdict::Passed), self.count(Verdict::Refused));
        let broken = self.count(Verdict::Broken);
        if broken * 3 > passed + refused {
            return self.over(Outcome::Overload);
        }
        if refused == 0 && self.lanes >= self.options.lanes {
            return self.over(Outcome::None);
        }
        if refused == 0 {
            return self.crowd((4 * self.lanes).min(self.options.lanes));
        }
        let lanes = self.lanes.min(self.options.lanes);
        let wave = Act::Burst { most: lanes, refusals: lanes, lanes };
        let alone = Act::Burst { most: 4, refusals: 2, lanes: 1 };
        (Stage::Waves, vec![alone, wave, alone, wave, alone, wave], "alone and at once, in turn")
    }

    fn after_waves(&mut self) -> (Stage, Vec<Act>, &'static str) {
        if let Some((limit, share)) = places::concurrency(&self.seen) {
            self.found(Rule::new(Class::Concurrency, limit, 1.0), share);
            self.decide_here();
            self.lanes = self.lanes.min(self.options.lanes);
            return (Stage::Keys(0), Vec::new(), "");
        }
        self.lanes = self.lanes.min(8);
        self.recovery()
    }

    fn after_recovery(&mut self) -> (Stage, Vec<Act>, &'static str) {
        let (Some(first), Some(last)) = (self.batch().first(), self.batch().last()) else {
            return self.over(Outcome::Unknown("nothing passed again"));
        };
        let took = (last.answered - first.sent).max(4.0 * self.trip()).max(0.01);
        let all = Act::Burst { most: 2 * ALONE.max(self.seen.len() as u64), refusals: 2, lanes: self.lanes };
        let watch = Act::Watch { first: 0.03 * took, growth: 0.0, longest: 1.4 * took };
        (Stage::Again, vec![all, watch], "all that is left, then asking again in even steps")
    }

    /// Learns from all that was seen and chooses the next experiment; `None` when the stage has changed.
    fn seek(&mut self, now: f64) -> Option<Experiment> {
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
        if searching && self.confirmed <= CONFIRMATIONS && self.rounds < ROUNDS {
            self.rounds += 1;
            let end = self.begun + self.options.within;
            let more = if self.pressed > 0 { 4.0 } else { 1.0 };
            let budget = self.begun + self.options.windows * self.belief.memory() * more;
            let means = Means {
                begun: self.begun,
                now,
                end: end.min(budget.max(now)),
                trip: self.trip(),
                lanes: self.lanes,
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

    /// Takes what is believed now for what is found.
    fn settle(&mut self, now: f64) {
        let log = Log::new(&self.seen);
        let classes = self.belief.classes();
        let Some((best, (_, share))) = self.belief.best().zip(classes.first()) else {
            self.outcome = Some(Outcome::Unknown("refused, and nothing passed again"));
            return;
        };
        let refused = log.events.iter().filter(|event| !event.passed).count() as u32;
        if self.belief.random > best.fit + 3.0 || best.surprises * 8 > refused + 16 {
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

    fn found(&mut self, rule: Rule, share: f64) {
        self.rule = Some((rule, share));
    }

    /// Uses up the plain request's allowance, then asks with each variant that is not decided yet.
    fn after_keys(&mut self, round: u32) -> (Stage, Vec<Act>, &'static str) {
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

    /// For each variant: how much speaks for a count of its own (above 0) or a shared one (below).
    fn keys(&self) -> Vec<(u8, f64)> {
        let Some((rule, _)) = self.rule else { return Vec::new() };
        let log = Log::new(&self.seen);
        self.options.keys.iter().map(|key| (*key, own_count(&rule, &log, *key))).collect()
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
        Finding {
            rule: rule.map(|(rule, _)| rule),
            probability: rule.map_or(0.0, |(_, share)| share),
            others: if rule.is_some() { self.belief.classes() } else { Vec::new() },
            window: self.belief.range(|rule| rule.window),
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

/// An experiment that no belief has chosen: what is believed must foresee it.
fn confirm(rule: &Rule, lanes: u64, end: f64, rng: &mut Rng) -> Experiment {
    let scale = rule.memory();
    let all = Act::Burst { most: 2 * rule.limit + 5, refusals: 2, lanes };
    let watch = Act::Watch { first: 0.02 * scale, growth: 0.0, longest: 1.2 * scale };
    let acts = vec![Act::Wait((0.3 + 0.6 * rng.unit()) * scale), all, watch, all];
    Experiment { acts, end, about: "whether it comes as expected" }
}
