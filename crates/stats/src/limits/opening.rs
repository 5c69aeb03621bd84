//! The begin of a probing: one request behind the other, then what came back decides: refusals, delays, or more at once.

use super::acts::Act;
use super::finding::Outcome;
use super::places::{self, Queue};
use super::prober::{Prober, Stage, Todo};
use super::rule::{Class, Rule};
use super::seen::Verdict;

/// An answer that takes this long is looked into first, seconds.
const SLOW: f64 = 0.03;
/// Of a lock that comes but once: share of its time between two askings.
pub(super) const LOCK_STEP: f64 = 0.01;
/// A stated wait of so many seconds is no rounded up fraction of one.
const STATED: f64 = 3.0;
/// Requests sent one behind the other before more are sent at once.
const ALONE: u64 = 150;

impl Prober {
    /// Goes on at once, unless answers are so slow that it is worth asking why first.
    pub(super) fn after_sample(&mut self) -> Todo {
        let failed = self.count(Verdict::Refused) + self.count(Verdict::Broken) > 0;
        if failed || places::typical(self.batch()) > SLOW {
            return self.after_first();
        }
        let all = Act::Burst { most: ALONE, refusals: 3, lanes: 1 };
        (Stage::First, vec![all], "one request behind the other, without pause")
    }

    pub(super) fn after_first(&mut self) -> Todo {
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

    fn recovery(&mut self) -> Todo {
        let (first, longest) = ((2.0 * self.trip()).max(0.005), self.options.within);
        let growth = if self.options.login { LOCK_STEP } else { 0.2 };
        let mut watches = vec![Act::Watch { first, growth, longest }];
        // where an answer says when to come back, that is looked at closely, whether it is true or not
        let stated = self.batch().iter().rev().find_map(|seen| seen.hints.retry_after);
        if let Some(wait) = stated.filter(|wait| *wait >= STATED && *wait < longest) {
            watches = vec![
                Act::Watch { first, growth, longest: 0.9 * wait },
                Act::Watch { first: LOCK_STEP * wait, growth: 0.0, longest: 0.2 * wait },
                Act::Watch { first: 0.1 * wait, growth, longest },
            ];
        }
        (Stage::Recovery, watches, "asking again until one passes")
    }

    pub(super) fn after_idle(&mut self) -> Todo {
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

    pub(super) fn after_queue(&mut self) -> Todo {
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

    fn crowd(&mut self, lanes: u64) -> Todo {
        self.lanes = lanes;
        let most = if lanes >= self.options.lanes { self.options.most } else { 2 * lanes };
        let all = Act::Burst { most, refusals: lanes, lanes: lanes.min(self.options.lanes) };
        (Stage::Crowd, vec![all], "more and more at once")
    }

    pub(super) fn after_crowd(&mut self) -> Todo {
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

    pub(super) fn after_waves(&mut self) -> Todo {
        if let Some(interval) = places::one_by_one(self.batch()) {
            if self.queued {
                return self.over(Outcome::Unknown("those that pass leave one by one, but as of no queue"));
            }
            // a queue that was not seen as such, because something else held answers up, too
            self.queued = true;
            let many = self.options.lanes;
            let all = Act::Burst { most: many, refusals: many, lanes: many };
            let rest = Act::Wait(self.lanes as f64 * interval);
            return (Stage::Queue, vec![rest, all], "many at once, to fill the queue");
        }
        if let Some((limit, share)) = places::concurrency(&self.seen) {
            self.found(Rule::new(Class::Concurrency, limit, 1.0), share);
            self.decide_here();
            self.lanes = self.lanes.min(self.options.lanes);
            return (Stage::Keys(0), Vec::new(), "");
        }
        self.lanes = self.lanes.min(8);
        self.recovery()
    }

    pub(super) fn after_recovery(&mut self) -> Todo {
        if self.batch().is_empty() {
            return self.over(Outcome::Unknown("nothing passed again"));
        }
        let all = Act::Burst { most: 2 * ALONE.max(self.seen.len() as u64), refusals: 2, lanes: self.lanes };
        (Stage::Again, vec![all], "all that is left, once more")
    }

    /// Where all came back at once, the next end of refusing is looked for in even steps; where little did, asking may
    /// be what keeps it away.
    pub(super) fn after_again(&mut self) -> Todo {
        let passed = self.count(Verdict::Passed);
        let first = self.seen.iter().take_while(|seen| seen.verdict != Verdict::Refused).count() as u64;
        let refused = self.seen.iter().find(|seen| seen.verdict == Verdict::Refused);
        let now = self.batch().last();
        let (Some(from), Some(to)) = (refused, now) else { return (Stage::Seek, Vec::new(), "") };
        let took = (to.answered - from.sent).max(0.01);
        if 2 * passed < first && self.options.login {
            // a longer lock, perhaps, and it comes but once
            let watch =
                Act::Watch { first: LOCK_STEP * took, growth: LOCK_STEP, longest: self.options.within };
            return (Stage::Seek, vec![watch], "the next lock, to its end");
        }
        if 2 * passed < first {
            return (Stage::Seek, Vec::new(), "");
        }
        let watch = Act::Watch { first: 0.03 * took, growth: 0.03, longest: 12.0 * took };
        (Stage::Seek, vec![watch], "asking again in even steps")
    }

    fn found(&mut self, rule: Rule, share: f64) {
        self.rule = Some((rule, share));
    }
}
