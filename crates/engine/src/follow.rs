//! Follows the job of a transaction to its end.
//!
//! The end is a state that some answer told. It was reached after the last question that was answered "not yet" was
//! sent, and before the answer that tells it came: that bracket is on our own clock and certain. Where the answers tell
//! how long the job took by their own clock, the end is put at that distance from the acknowledgement, but never outside
//! of the bracket: so a clock that lies or is another machine's cannot make the target look better or worse than what was
//! seen, and how rarely we ask is not charged to it. What lies between that end and the answer is counted in a row of
//! its own. Without timestamps the end is the answer's arrival.

use crate::shard::Shard;
use crate::stamp;
use crate::user::{Start, User};
use crate::walk::{Act, Level, Walk};
use crucible_core::{Clock, ErrorClass, Ns, Outcome, Probe, Template, Worker};
use crucible_plan::program::{Op, Transaction};

/// The state of a job that is being followed.
#[derive(Debug)]
pub(crate) struct Follow {
    /// When the submission was really begun.
    begun_at: Ns,
    /// When it was acknowledged; zero as long as it is under way.
    acknowledged: Ns,
    /// When the job is late.
    deadline: Ns,
    /// When to ask next.
    due: Ns,
    /// Distance to the question after that.
    gap: Ns,
    /// When it was not over yet, for certain.
    not_yet: Ns,
    /// Whether it was seen to have begun.
    begun: bool,
    /// When its end was told, if it is to be read again.
    ended: Option<(Ns, Ns)>,
}

/// A question that is asked at the deadline may still take so long: the job may have ended in time.
const LAST_ANSWER: Ns = Ns::from_secs(1);

impl Follow {
    /// Of a submission that begins at `begun_at`.
    pub(crate) fn new(transaction: &Transaction, begun_at: Ns) -> Follow {
        Follow {
            begun_at,
            acknowledged: Ns::ZERO,
            deadline: Ns::MAX,
            due: Ns::ZERO,
            gap: transaction.every.first,
            not_yet: begun_at,
            begun: false,
            ended: None,
        }
    }

    /// Whether the submission was acknowledged.
    pub(crate) fn is_asking(&self) -> bool {
        self.acknowledged > Ns::ZERO
    }
}

impl<C: Clock, W: Worker> Shard<C, W> {
    /// What is to be done next for the job.
    pub(crate) fn ask<'p>(&self, walk: &mut Walk<'p>, user: &mut User<W::Session>) -> Act<'p> {
        let now = self.clock.now();
        let (Some(transaction), Some(follow)) = (walk.transaction(), &walk.follow) else { return Act::End };
        if now < follow.due {
            return Act::Wait(follow.due);
        }
        let last = if follow.ended.is_some() { Ns::MAX } else { follow.deadline.max(now + LAST_ANSWER) };
        walk.next = Start { intended: follow.due, ready: follow.due, started: now, timed: true };
        let _ = user;
        Act::Do(transaction.follow, Some(last))
    }

    /// The submission was answered.
    pub(crate) fn submitted(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        outcome: Outcome,
        finished: Ns,
    ) {
        let (Some(transaction), Some(follow)) = (walk.transaction(), &mut walk.follow) else { return };
        if outcome != Outcome::Ok {
            // the span has taken over what went wrong
            self.end_span(user, finished);
            walk.follow = None;
            return self.go_on(walk, user, transaction.step, outcome, finished);
        }
        transaction.forgets.iter().for_each(|slot| user.scope.set(*slot, Default::default()));
        follow.acknowledged = finished;
        follow.deadline = finished + transaction.within;
        follow.due = (finished + follow.gap).min(follow.deadline);
    }

    /// A question was answered, or was not.
    pub(crate) fn answered(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        probe: &Probe<'_>,
        outcome: Outcome,
        finished: Ns,
    ) {
        if outcome == Outcome::Aborted {
            return self.cut(walk, user);
        }
        walk.last = finished;
        let (Some(transaction), Some(follow)) = (walk.transaction(), &walk.follow) else { return };
        let (asked, ended) = (walk.next.started, follow.ended);
        if probe.code != 0 && transaction.lost.contains(&probe.code) {
            return self.conclude(walk, user, Outcome::Failed, ErrorClass::Lost, finished);
        }
        let told = outcome == Outcome::Ok || probe.class == ErrorClass::Check;
        let holds =
            |shard: &Self, walk: &mut Walk<'_>, user: &mut User<W::Session>, condition: &Option<Template>| {
                let value =
                    condition.as_ref().filter(|_| told).map(|condition| condition.value(&mut user.scope));
                value.map(|value| shard.truth(walk, value))
            };
        let failed = holds(self, walk, user, &transaction.failed).unwrap_or(false);
        let done =
            !failed && outcome == Outcome::Ok && holds(self, walk, user, &transaction.done).unwrap_or(true);
        if let Some((seen, not_yet)) = ended {
            if let Some(follow) = &mut walk.follow {
                follow.not_yet = not_yet;
            }
            let same = transaction.reread.as_ref().is_none_or(|reread| {
                reread.same.iter().zip(&user.kept).all(|(slot, before)| user.scope.get(*slot) == before)
            });
            // an answer that tells nothing (the target broke meanwhile) does not show that the state has changed
            let changed = told && !(done && same);
            return match changed {
                true => self.conclude(walk, user, Outcome::Failed, ErrorClass::Changed, seen),
                false => self.conclude(walk, user, Outcome::Ok, ErrorClass::None, seen),
            };
        }
        if failed {
            return self.conclude(walk, user, Outcome::Failed, ErrorClass::JobFailed, finished);
        }
        if done {
            let Some(reread) = &transaction.reread else {
                return self.conclude(walk, user, Outcome::Ok, ErrorClass::None, finished);
            };
            user.kept.clear();
            user.kept.extend(reread.same.iter().map(|slot| user.scope.get(*slot).clone()));
            if let Some(follow) = &mut walk.follow {
                follow.ended = Some((finished, follow.not_yet));
                follow.due = finished + reread.after;
            }
            return;
        }
        let begun = holds(self, walk, user, &transaction.begun).unwrap_or(false);
        let Some(follow) = &mut walk.follow else { return };
        follow.begun |= begun;
        if told {
            follow.not_yet = asked;
        }
        if finished >= follow.deadline {
            let stuck = transaction.begun.is_some() && !follow.begun;
            let class = if stuck { ErrorClass::Stuck } else { ErrorClass::Timeout };
            return self.conclude(walk, user, Outcome::TimedOut, class, finished);
        }
        let gap = follow.gap;
        follow.due = (finished + gap).min(follow.deadline);
        follow.gap = Ns((gap.0 as f64 * transaction.every.factor) as u64).min(transaction.every.most);
    }

    /// The job has come to an end, or we have given up on it; `seen` is when that was told.
    fn conclude(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        outcome: Outcome,
        class: ErrorClass,
        seen: Ns,
    ) {
        let (Some(transaction), Some(follow)) = (walk.transaction(), walk.follow.take()) else { return };
        if outcome != Outcome::Ok {
            self.went_wrong(walk, user, outcome, class);
        }
        let over = outcome == Outcome::Ok || class == ErrorClass::JobFailed;
        let intended = match user.stack.last() {
            Some(Level::Span { start, .. }) => start.intended,
            _ => follow.begun_at,
        };
        let mut end = seen;
        if let Some((made, ended)) = transaction.made_to_end.as_ref().filter(|_| over) {
            let took = self.between(user, made, ended);
            if let Ok(took) = took {
                end = Ns(follow.acknowledged.0.saturating_add(took.0)).max(follow.not_yet).min(seen);
            }
            if let Some(row) = transaction.delay {
                self.span(row, end, took.map(|_| seen.since(end)), outcome);
            }
        }
        for span in &transaction.spans {
            let took = self.between(user, &span.from, &span.to);
            if over || took.is_ok() {
                self.span(span.row, intended, took, outcome);
            }
        }
        self.end_span(user, end);
        self.go_on(walk, user, transaction.step, outcome, seen.max(walk.last));
    }

    /// The time between two timestamps that the user has saved.
    fn between(&self, user: &mut User<W::Session>, from: &Template, to: &Template) -> Result<Ns, String> {
        let from = stamp::instant(&from.value(&mut user.scope)?)?;
        let to = stamp::instant(&to.value(&mut user.scope)?)?;
        u64::try_from(to - from).map(Ns).map_err(|_| "a span ends before it begins, by its timestamps".into())
    }

    /// Counts a span that timestamps told; one that they should have told and did not is a failure where the job ended
    /// well, and nothing otherwise.
    fn span(&self, row: crucible_core::StepId, from: Ns, took: Result<Ns, String>, outcome: Outcome) {
        match took {
            Ok(took) => self.count_unsent(row, Start::at_once(from), took, Outcome::Ok, ErrorClass::None),
            Err(why) if outcome == Outcome::Ok => {
                let start = Start::at_once(from);
                self.count_unsent(row, start, Ns::ZERO, Outcome::Failed, ErrorClass::Value);
                let mut errors = self.errors.borrow_mut();
                if errors.wants() {
                    errors.note(row, ErrorClass::Value, &why);
                }
            }
            Err(_) => {}
        }
    }
}

impl<'p> Walk<'p> {
    /// The transaction that the walk is in.
    fn transaction(&self) -> Option<&'p Transaction> {
        match self.op() {
            Some(Op::Transaction(transaction)) => Some(transaction),
            _ => None,
        }
    }
}
