//! The middle of a probing: experiments chosen by what they settle, until nothing is left to settle; then pressing on for
//! a second limit, and asking as somebody else.

use super::acts::Act;
use super::belief::Belief;
use super::design::{Experiment, Means, choose, refine};
use super::finding::Outcome;
use super::likelihood::surprises_after;
use super::locks::brackets;
use super::opening::LOCK_STEP;
use super::prober::{Prober, Stage, Todo};
use super::rule::{Class, LOCKS, Rule};
use super::search::middle;
use super::seen::Log;
use super::spread::LADDER;
use crucible_core::Rng;

/// Windows that are pressed on at a time.
const PRESSED: u64 = 4;
/// Probability of a class at which only figures are looked for.
const SURE: f64 = 0.999;
/// Doubt at which it is decided.
const DECIDED: f64 = 0.02;
/// As many times the windows that it may take are allowed if it is not known by then.
const LATER: f64 = 4.0;
/// Times of a rule below this many times the noise of the network are not seen.
const FINEST: f64 = 4.0;
/// What must be left of the time within which it is to be known, in windows.
const LEAST_LEFT: f64 = 0.3;
/// Shortest and longest rest of a confirmation, in windows.
const RESTS: (f64, f64) = (2.1, 2.6);
/// Share of the time between two instants at which more is let through, for which a confirmation waits at a time.
const GRAIN: f64 = 0.08;
/// Ladders after which something else is looked at.
const LADDERS: u32 = 4;
/// Experiments of one search.
const ROUNDS: u32 = 24;

impl Prober {
    /// Learns from all that was seen and chooses the next experiment; `None` when the stage has changed.
    pub(super) fn seek(&mut self, now: f64) -> Option<Experiment> {
        let log = Log::new(&self.seen);
        self.belief.update(&log, &mut self.rng);
        let Some(best) = self.belief.best().map(|best| best.rule) else {
            self.outcome = Some(Outcome::Unknown("refused, and no rule comes near"));
            self.stage = Stage::Over;
            return None;
        };
        self.belief.share = (4.0 * log.noise / best.window.max(1e-6)).clamp(0.02, 0.1);
        let favourite = self.belief.classes().first().copied();
        if let Some(step) = self.steps.last_mut() {
            step.favourite = favourite;
        }
        let doubt = self.belief.doubt();
        // what comes otherwise than was believed is to be confirmed anew
        let share = 2.0 * self.belief.share;
        let news = self.believed.replace(best).is_some_and(|believed| !believed.agrees(&best, share));
        let foreseen = self.confirmed == 0 || self.foreseen(&log, &best);
        let searching = self.stage != Stage::Press || doubt > 5.0 * DECIDED || news || !foreseen;
        if searching && self.stage == Stage::Press {
            self.rounds = 0;
        }
        self.stage = Stage::Seek;
        if doubt > DECIDED {
            (self.confirmed, self.decided) = (0, None);
        } else if news {
            (self.confirmed, self.decided) = (1, Some(now - self.begun));
        } else {
            // the same rule, but it did not foresee the last answers: confirmed anew, too
            self.confirmed = if foreseen { self.confirmed + 1 } else { 1 };
            self.decided.get_or_insert(now - self.begun);
        }
        // a lock-out that grows is known when it has stopped growing, and not before
        let more = match best.class {
            Class::GrowingLock => !stays(&best),
            _ => self.confirmed <= confirmations(&best),
        };
        if searching && more && self.rounds < ROUNDS {
            self.rounds += 1;
            if let Some(experiment) = self.experiment(&log, &best, doubt, now) {
                return Some(experiment);
            }
        }
        if searching && self.rounds < ROUNDS && self.rivals(&log, &best, share) {
            // another rule explains as much, and is looked at with the next experiment
            self.rounds += 1;
            let doubt = self.belief.doubt();
            if let Some(experiment) = self.experiment(&log, &best, doubt, now) {
                return Some(experiment);
            }
        }
        self.settle(now);
        if let Some(experiment) = self.press(now) {
            return Some(experiment);
        }
        self.stage = if self.outcome.is_some() { Stage::Over } else { Stage::Keys(0) };
        None
    }

    /// What settles most within the windows that it may take, or else within more: better late than wrong.
    fn experiment(&mut self, log: &Log, best: &Rule, doubt: f64, now: f64) -> Option<Experiment> {
        let (within, memory) = (self.begun + self.options.within, best.memory());
        let budget = self.options.windows * self.belief.memory();
        let [soon, late] = [budget, LATER * budget].map(|budget| within.min(self.begun + budget));
        let again = self.again();
        if best.class == Class::GrowingLock {
            // no lock is shorter than the one before
            let last = best.seen_locks().last().unwrap_or(0.0);
            return (within - now > last).then(|| next_lock(best, within));
        }
        for end in [soon, late] {
            if doubt <= DECIDED || end - now < LEAST_LEFT * memory || self.pressed > 0 && end < late {
                continue;
            }
            let means = Means { begun: self.begun, now, end, trip: self.trip(), lanes: self.lanes, again };
            // asking a log that counts refusals costs a window: only what measures it is worth that
            let sure = self.belief.classes().first().is_some_and(|(_, share)| *share > SURE);
            let measured = match best.class {
                Class::LogWithRejects => true,
                Class::Lockout => again.0 != LADDER || !again.1.is_multiple_of(LADDERS),
                _ => false,
            };
            let chosen = if sure && measured {
                refine(&self.belief, log, &means)
            } else {
                choose(&self.belief, log, &means).or_else(|| refine(&self.belief, log, &means))
            };
            if chosen.is_some() {
                return chosen;
            }
        }
        let (times, lanes) = (self.confirmed, self.lanes);
        let trip = self.trip();
        (late - now > LEAST_LEFT * memory).then(|| confirm(best, times, (lanes, trip), late, &mut self.rng))
    }

    /// Whether the last answers came as what is still believed says, but for one for each that came late.
    fn foreseen(&self, log: &Log, best: &Rule) -> bool {
        let first = self.batch().iter().map(|seen| seen.sent).fold(f64::INFINITY, f64::min);
        let late = log.events.iter().filter(|event| event.at >= first && event.late > 0.0).count();
        surprises_after(best, log, first) <= late as u32
    }

    /// Searches once more from the beginning, without what was believed on the way here, and takes what that finds
    /// into account; whether it doubts the best rule.
    fn rivals(&mut self, log: &Log, best: &Rule, share: f64) -> bool {
        if best.class == Class::GrowingLock {
            return false;
        }
        let mut fresh = Belief::new();
        fresh.share = self.belief.share;
        fresh.update(log, &mut self.rng);
        self.belief.join(fresh);
        let doubts = self.belief.doubt() > DECIDED
            || self.belief.best().is_some_and(|found| !found.rule.agrees(best, share));
        if doubts {
            (self.confirmed, self.decided, self.believed) = (0, None, None);
        }
        doubts
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
        if self.belief.random > best.fit + 3.0 || best.surprises * 200 > log.events.len() as u32 + 200 {
            self.outcome = Some(Outcome::Unknown("refusals come by no rule that is known here"));
            return;
        }
        if best.rule.grain() < FINEST * log.noise {
            self.outcome = Some(Outcome::Unknown("whatever limits is faster than the network lets us see"));
            return;
        }
        self.decided.get_or_insert(now - self.begun);
        let mut rule = middle(best, &log, &mut self.rng);
        if rule.class == Class::GrowingLock {
            for (lock, (low, high)) in rule.locks.iter_mut().zip(brackets(&self.seen)) {
                *lock = 0.5 * (low + high);
            }
            rule.window = rule.locks[0];
        }
        self.rule = Some((rule, *share));
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

/// Whether the locks of a rule have stopped growing, or all that can be told apart were seen.
fn stays(rule: &Rule) -> bool {
    let locks: Vec<f64> = rule.seen_locks().collect();
    match locks.as_slice() {
        [.., before, last] => locks.len() == LOCKS || locks.len() > 2 && *last < 1.05 * before,
        _ => false,
    }
}

/// The next lock of a lock-out that grows, to its end.
fn next_lock(rule: &Rule, end: f64) -> Experiment {
    let last = rule.seen_locks().last().unwrap_or(rule.window);
    let one = Act::Burst { most: 2, refusals: 1, lanes: 1 };
    let watch = Act::Watch { first: LOCK_STEP * last, growth: LOCK_STEP, longest: end };
    Experiment { acts: vec![one, watch], end, about: "the next lock, to its end" }
}

/// Experiments that must come out as expected, after the doubt is gone.
fn confirmations(rule: &Rule) -> u32 {
    match rule.class {
        Class::TwoTier => 2,
        // each rest begins what is counted from it anew
        Class::TokenBucket | Class::IntervalRefill => 3,
        Class::FixedWall | Class::FixedFirst | Class::SlidingLog | Class::SlidingCounter => 2,
        _ => 1,
    }
}

/// An experiment that no belief has chosen: what is believed must foresee it. The first ones rest for longer than is
/// believed to be necessary: whoever rests for the window of a wrong rule gets what it says, again and again.
fn confirm(rule: &Rule, times: u32, (lanes, trip): (u64, f64), end: f64, rng: &mut Rng) -> Experiment {
    let scale = rule.memory();
    let all = Act::Burst { most: 3 * rule.limit + 5, refusals: 2, lanes };
    let rests = confirmations(rule) > 1 && rule.class != Class::TwoTier && times < confirmations(rule);
    let rest = if rests { RESTS.0 + (RESTS.1 - RESTS.0) * rng.unit() } else { 0.3 + 0.6 * rng.unit() };
    let mut acts = vec![Act::Wait(rest * scale)];
    if rule.class == Class::TwoTier {
        let times = rule.second.limit.div_ceil(rule.limit).min(40);
        acts.extend((0..times).flat_map(|_| [all, Act::Wait(1.03 * rule.window)]));
    }
    // fine enough to tell at which instant of its pause the next one is let through
    let step = (0.02 * scale).min(GRAIN * rule.grain()).max(4.0 * trip);
    let watch = Act::Watch { first: step, growth: 0.0, longest: 1.2 * scale };
    acts.extend([all, watch, all]);
    if rests && rule.grain() < 0.5 * scale {
        acts.extend([Act::Wait(0.37 * scale), all, watch, all]);
    }
    Experiment { acts, end, about: "whether it comes as expected" }
}
