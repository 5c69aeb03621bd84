//! Walks a user through a program: what is to be done next, and what it means that it was done.
//!
//! Nothing in here waits or does I/O: the loop in `user.rs` asks [`Shard::advance`] for the next [`Act`], does it, and
//! tells the walk. Loops, groups and the transaction under way are levels on a stack that the user keeps, so that
//! nothing is made anew in an iteration. Invariants: every span that is begun ends in exactly one outcome; a walk that
//! does nothing for a long time gives way, and in the end gives up.

use crate::follow::Follow;
use crate::lanes::Together;
use crate::preparation::give;
use crate::shard::Shard;
use crate::user::{Start, User, draw_pause};
use crucible_core::{Clock, ErrorClass, Ns, Outcome, Probe, Rng, StepId, Value, Worker};
use crucible_plan::Program;
use crucible_plan::program::{Draw, Op, Parallel, Refresh, Rounds};

/// A loop or a span that a walk is in.
pub(crate) enum Level {
    /// Rounds that are left after this one, and what they go over.
    Loop { left: u64, items: Value, next: usize },
    /// A timed span: its row, its begin, and the first thing in it that went wrong.
    Span { row: StepId, start: Start, outcome: Outcome, class: ErrorClass },
}

/// What is to be done next.
pub(crate) enum Act<'p> {
    /// An operation; one that asks after a job is cut off at an instant.
    Do(StepId, Option<Ns>),
    /// Operations at the same time.
    Together(&'p Parallel),
    /// A pause up to this instant.
    Wait(Ns),
    /// Let others go on.
    Yield,
    /// The walk is over.
    End,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// At the end of its program (or it was told to skip the rest).
    Through,
    /// Something was not ok and the rest makes no sense without it.
    Broken,
    /// The user is to leave.
    Stop,
    /// Cut off.
    Aborted,
}

/// One way through a program.
pub(crate) struct Walk<'p> {
    program: &'p Program,
    at: usize,
    /// When what comes next is due.
    pub(crate) next: Start,
    /// The part of the time up to then that is a pause nobody has made yet.
    pub(crate) pause: Ns,
    /// When the last thing ended.
    pub(crate) last: Ns,
    pub(crate) all_ok: bool,
    pub(crate) way: Way,
    /// Operations done.
    pub(crate) done: u64,
    /// Around an iteration, not in it: stops at the first failure, and nobody thinks.
    around: bool,
    pub(crate) follow: Option<Follow>,
    refresh: Option<&'p Refresh>,
    /// Where the program goes on after a refresh.
    back: Option<(&'p Program, usize)>,
    /// The present operation has been refreshed for.
    fresh: bool,
    idle: u32,
}

/// Steps of a program without any operation or pause after which others go on, and after which the walk gives up.
const IDLE_TURN: u32 = 1_000;
const IDLE_MOST: u32 = 100_000;

impl<'p> Walk<'p> {
    /// A walk that begins at `start`.
    pub(crate) fn new(
        program: &'p Program,
        start: Start,
        around: bool,
        refresh: Option<&'p Refresh>,
    ) -> Walk<'p> {
        Walk {
            program,
            at: 0,
            next: start,
            pause: Ns::ZERO,
            last: start.started,
            all_ok: true,
            way: Way::Through,
            done: 0,
            around,
            follow: None,
            refresh,
            back: None,
            fresh: false,
            idle: 0,
        }
    }

    /// The operation that it is at.
    pub(crate) fn op(&self) -> Option<&'p Op> {
        self.program.ops.get(self.at)
    }

    /// The program from its begin once more, for the same user.
    pub(crate) fn again(&mut self) {
        self.at = 0;
    }

    /// The pause was made.
    pub(crate) fn waited(&mut self, now: Ns) {
        self.pause = Ns::ZERO;
        self.next.started = now;
        self.idle = 0;
    }

    /// Goes on by a relative jump.
    fn jump(&mut self, by: i32) {
        self.at = self.at.saturating_add_signed(by as isize);
    }

    /// Something ended at `finished`; what comes next is due after `pause`.
    pub(crate) fn ended(&mut self, finished: Ns, pause: Ns) {
        self.last = finished;
        self.pause = pause;
        let due = finished + pause;
        self.next = Start { intended: due, ready: due, started: finished, timed: pause > Ns::ZERO };
        self.idle = 0;
        self.fresh = false;
    }

    /// Leaves the present operation behind.
    pub(crate) fn pass(&mut self) {
        self.at += 1;
    }

    fn stop(&mut self, way: Way) {
        self.way = way;
        self.at = usize::MAX;
        self.back = None;
    }
}

impl<C: Clock, W: Worker> Shard<C, W> {
    /// What the walk does next. Everything that takes no time is done on the way.
    pub(crate) fn advance<'p>(&self, walk: &mut Walk<'p>, user: &mut User<W::Session>) -> Act<'p> {
        if walk.follow.is_some() {
            return self.ask(walk, user);
        }
        loop {
            let program = walk.program;
            let Some(op) = program.ops.get(walk.at) else {
                let Some((program, at)) = walk.back.take() else { return Act::End };
                (walk.program, walk.at, walk.fresh) = (program, at, true);
                continue;
            };
            if let Op::Step(_) | Op::Transaction(_) | Op::Parallel(_) | Op::GroupBegin(_) = op {
                if walk.pause > Ns::ZERO {
                    return Act::Wait(walk.next.intended);
                }
                if self.needs_refresh(walk, user) {
                    continue;
                }
            } else {
                walk.idle += 1;
                if walk.idle >= IDLE_MOST {
                    return self.give_up(walk, user);
                }
                if let Op::LoopEnd(_) = op {
                    // a loop that only pauses goes on in time all the same
                    if walk.pause > Ns::ZERO {
                        return Act::Wait(walk.next.intended);
                    }
                }
            }
            match op {
                Op::Step(step) => return Act::Do(*step, None),
                Op::Parallel(parallel) => return Act::Together(parallel),
                Op::Transaction(transaction) => {
                    self.begin_span(user, transaction.whole, walk.next);
                    walk.follow = Some(Follow::new(transaction, walk.next.started));
                    return Act::Do(transaction.step, None);
                }
                Op::GroupBegin(row) => {
                    self.begin_span(user, *row, walk.next);
                    walk.last = walk.next.started;
                    walk.at += 1;
                }
                Op::GroupEnd => {
                    self.end_span(user, walk.last);
                    walk.at += 1;
                }
                op => self.small(walk, user, op),
            }
            if walk.idle % IDLE_TURN == IDLE_TURN - 1 {
                walk.idle += 1;
                return Act::Yield;
            }
        }
    }

    /// Operations that neither take time nor are timed.
    fn small<'p>(&self, walk: &mut Walk<'p>, user: &mut User<W::Session>, op: &'p Op) {
        match op {
            Op::Pause(think) => {
                let pause = draw_pause(*think, &mut user.rng);
                let due = walk.next.intended + pause;
                walk.pause += pause;
                let timed = walk.pause > Ns::ZERO || walk.next.timed;
                walk.next = Start { intended: due, ready: due, started: walk.next.started, timed };
            }
            Op::Set(..) => {
                if let Err(why) = give(&mut user.scope, op) {
                    self.unclear(walk, &why);
                }
            }
            Op::Jump(by) => return walk.jump(*by),
            Op::JumpUnless(condition, by) => {
                let holds = condition.value(&mut user.scope);
                if !self.truth(walk, holds) {
                    return walk.jump(*by);
                }
            }
            Op::Draw(draw) => return walk.jump(pick(draw, &mut user.rng)),
            Op::LoopBegin(rounds, by) => {
                if !self.enter_loop(walk, user, rounds) {
                    return walk.jump(*by);
                }
            }
            Op::LoopEnd(by) => {
                let begin = walk.at.saturating_add_signed(*by as isize).wrapping_sub(1);
                if self.next_round(walk, user, begin) {
                    return walk.jump(*by);
                }
                user.stack.pop();
            }
            Op::Skip => return walk.stop(Way::Through),
            Op::Stop => return walk.stop(Way::Stop),
            Op::Step(_) | Op::Transaction(_) | Op::Parallel(_) | Op::GroupBegin(_) | Op::GroupEnd => {}
        }
        walk.at += 1;
    }

    /// Puts a loop on the stack; `false` if it has no round.
    fn enter_loop(&self, walk: &mut Walk<'_>, user: &mut User<W::Session>, rounds: &Rounds) -> bool {
        let (rounds, items) = match rounds {
            Rounds::Times(times) => (*times, Value::Absent),
            Rounds::Value(value, most) => {
                let times = value.value(&mut user.scope).map(|value| value.number());
                match times {
                    Ok(Some(times)) if times >= 0.0 => ((times as u64).min(*most), Value::Absent),
                    Ok(_) => {
                        self.unclear(walk, "a loop is to go round so often that it is no number");
                        return false;
                    }
                    Err(why) => {
                        self.unclear(walk, &why);
                        return false;
                    }
                }
            }
            Rounds::While(condition, most) => {
                let holds = condition.value(&mut user.scope);
                (if self.truth(walk, holds) { *most } else { 0 }, Value::Absent)
            }
            Rounds::Each { slot, list, most } => match list.value(&mut user.scope) {
                Ok(Value::List(list)) => {
                    if let Some(first) = list.first() {
                        user.scope.set(*slot, first.clone());
                    }
                    ((list.len() as u64).min(*most), Value::List(list))
                }
                Ok(other) => {
                    self.unclear(walk, &format!("a loop is to go over {}, not a list", other.kind_name()));
                    return false;
                }
                Err(why) => {
                    self.unclear(walk, &why);
                    return false;
                }
            },
        };
        if rounds > 0 {
            user.stack.push(Level::Loop { left: rounds - 1, items, next: 1 });
        }
        rounds > 0
    }

    /// Whether the loop that begins at `begin` goes round once more.
    fn next_round(&self, walk: &mut Walk<'_>, user: &mut User<W::Session>, begin: usize) -> bool {
        let Some(Level::Loop { left, items, next }) = user.stack.last_mut() else { return false };
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match walk.program.ops.get(begin) {
            Some(Op::LoopBegin(Rounds::While(condition, _), _)) => {
                let holds = condition.value(&mut user.scope);
                self.truth(walk, holds)
            }
            Some(Op::LoopBegin(Rounds::Each { slot, .. }, _)) => {
                if let Value::List(list) = items {
                    user.scope.set(*slot, list.get(*next).cloned().unwrap_or_default());
                }
                *next += 1;
                true
            }
            _ => true,
        }
    }

    /// Whether a condition holds; one that cannot be told does not, and the iteration has failed.
    pub(crate) fn truth(&self, walk: &mut Walk<'_>, holds: Result<Value, String>) -> bool {
        match holds {
            Ok(value) => value.holds(),
            Err(why) => {
                self.unclear(walk, &why);
                false
            }
        }
    }

    /// Something between the steps could not be told.
    fn unclear(&self, walk: &mut Walk<'_>, why: &str) {
        walk.all_ok = false;
        if let Some(step) = first_step(walk.program, &mut Rng::new(0, "first", 0)) {
            let mut errors = self.errors.borrow_mut();
            if errors.wants() {
                errors.note(step, ErrorClass::Value, why);
            }
        }
    }

    fn give_up<'p>(&self, walk: &mut Walk<'p>, user: &mut User<W::Session>) -> Act<'p> {
        self.unclear(
            walk,
            "the steps go round and round without any operation or pause: the iteration ends here",
        );
        self.close_spans(user, walk.last, Outcome::Failed, ErrorClass::Value);
        walk.stop(Way::Broken);
        Act::End
    }

    /// Turns to the refresh first, if it is due.
    fn needs_refresh(&self, walk: &mut Walk<'_>, user: &mut User<W::Session>) -> bool {
        let Some(refresh) = walk.refresh else { return false };
        if walk.fresh || walk.back.is_some() {
            return false;
        }
        let now = walk.next.started;
        let due = refresh.every.is_some_and(|every| now.since(user.refreshed) >= every);
        if !due && !user.refresh {
            return false;
        }
        (user.refresh, user.refreshed) = (false, now);
        walk.back = Some((walk.program, walk.at));
        (walk.program, walk.at) = (&refresh.program, 0);
        true
    }

    /// An operation of the walk (no question after a job) has ended.
    pub(crate) fn done(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        probe: &Probe<'_>,
        step: StepId,
        outcome: Outcome,
        finished: Ns,
    ) {
        walk.done += 1;
        if outcome == Outcome::Aborted {
            return self.cut(walk, user);
        }
        if walk.refresh.is_some_and(|refresh| refresh.on.contains(&probe.code)) {
            user.refresh = true;
        }
        if outcome != Outcome::Ok {
            self.went_wrong(walk, user, outcome, probe.class);
        }
        if walk.follow.is_some() {
            return self.submitted(walk, user, outcome, finished);
        }
        self.go_on(walk, user, step, outcome, finished);
    }

    /// What comes next comes after the pause that is due.
    pub(crate) fn go_on(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        step: StepId,
        outcome: Outcome,
        finished: Ns,
    ) {
        if walk.around && outcome != Outcome::Ok {
            self.close_spans(user, finished, outcome, ErrorClass::None);
            walk.last = finished;
            return walk.stop(Way::Broken);
        }
        let pause = if walk.around { Ns::ZERO } else { self.draw_think(user, step) };
        walk.ended(finished, pause);
        walk.pass();
    }

    /// Steps at the same time have ended.
    pub(crate) fn together_done(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        block: &Parallel,
        whole: &Together,
    ) {
        walk.done += whole.done;
        if whole.outcome == Outcome::Aborted {
            return self.cut(walk, user);
        }
        if whole.outcome != Outcome::Ok {
            self.went_wrong(walk, user, whole.outcome, whole.class);
        }
        if let Some(last) = block.steps.last() {
            self.go_on(walk, user, *last, whole.outcome, whole.finished);
        }
    }

    /// Something in the walk was not ok: the spans around it are not, either.
    pub(crate) fn went_wrong(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        with: Outcome,
        why: ErrorClass,
    ) {
        walk.all_ok = false;
        for level in &mut user.stack {
            if let Level::Span { outcome: outcome @ Outcome::Ok, class, .. } = level {
                (*outcome, *class) = (with, why);
            }
        }
    }

    /// The walk is cut off.
    pub(crate) fn cut(&self, walk: &mut Walk<'_>, user: &mut User<W::Session>) {
        let now = self.clock.now();
        walk.follow = None;
        walk.all_ok = false;
        for level in &mut user.stack {
            if let Level::Span { outcome, class, .. } = level {
                (*outcome, *class) = (Outcome::Aborted, ErrorClass::None);
            }
        }
        self.close_spans(user, now, Outcome::Aborted, ErrorClass::None);
        walk.ended(now, Ns::ZERO);
        walk.stop(Way::Aborted);
    }
}

fn pick(draw: &Draw, rng: &mut Rng) -> i32 {
    let total = draw.ends.last().map_or(0.0, |end| end.0);
    let point = rng.unit() * total;
    // whatever the rounding, a draw falls to somebody
    let end = draw.ends.iter().find(|end| point < end.0).or(draw.ends.last());
    end.map_or(1, |end| end.1)
}

/// The step that a walk would begin with if every condition on the way held.
pub(crate) fn first_step(program: &Program, rng: &mut Rng) -> Option<StepId> {
    let mut at = 0usize;
    for _ in 0..=program.ops.len() {
        match program.ops.get(at)? {
            Op::Step(step) => return Some(*step),
            Op::Transaction(transaction) => return Some(transaction.step),
            Op::Parallel(parallel) => return parallel.steps.first().copied(),
            Op::Jump(by) => at = at.saturating_add_signed(*by as isize),
            Op::Draw(draw) => at = at.saturating_add_signed(pick(draw, rng) as isize),
            Op::Skip | Op::Stop => return None,
            _ => at += 1,
        }
    }
    None
}
