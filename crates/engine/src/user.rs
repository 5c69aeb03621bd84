//! The virtual user: the one loop around [`Session::run`], whatever the protocol and the pattern.

use crate::follow::Follow;
use crate::lanes::Lane;
use crate::rows::Lack;
use crate::shard::{Shard, Stage};
use crate::wait::{Cut, CutOff, Pause, remember};
use crate::walk::{Act, Level, Walk, Way, first_step};
use crucible_core::{
    Call, Clock, ErrorClass, Ns, Outcome, Probe, Rng, Sample, ScenarioId, Scope, Session, SessionContext,
    StepId, Value, VuId, Worker,
};
use crucible_plan::program::Lifetime;
use crucible_plan::{Plan, Program, StepRole, Think};
use std::future::Future;
use std::task::{Context, Poll};

/// A virtual user between two things that it does.
pub(crate) struct User<S> {
    pub(crate) vu: VuId,
    pub(crate) scenario: ScenarioId,
    pub(crate) session: S,
    pub(crate) scope: Scope,
    /// Iterations begun so far.
    pub(crate) iteration: u64,
    /// Whether its setup has succeeded (or there is none).
    pub(crate) ready: bool,
    pub(crate) rng: Rng,
    /// Loops and spans that it is in.
    pub(crate) stack: Vec<Level>,
    /// What it acts with beside its own session.
    pub(crate) lanes: Vec<Lane<S>>,
    /// Values of a final state that is to be read again.
    pub(crate) kept: Vec<Value>,
    /// An answer asked for a refresh.
    pub(crate) refresh: bool,
    /// When it was last refreshed.
    pub(crate) refreshed: Ns,
    /// When its life is over, if it ends by time.
    pub(crate) until: Option<Ns>,
    /// What it lacks for good: rows of a feeder that has run dry.
    pub(crate) lacks: Option<Lack>,
}

/// Who does an operation.
pub(crate) struct Actor<'u, S> {
    pub(crate) session: &'u mut S,
    pub(crate) scope: &'u mut Scope,
    pub(crate) rng: &'u mut Rng,
}

/// An operation that is to be done.
#[derive(Clone, Copy)]
pub(crate) struct Todo {
    pub(crate) place: usize,
    pub(crate) step: StepId,
    pub(crate) start: Start,
    /// Cut off at this instant: a question after a job that is late.
    pub(crate) deadline: Option<Ns>,
}

/// The instants of one operation or iteration that is about to begin.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) intended: Ns,
    pub(crate) ready: Ns,
    pub(crate) started: Ns,
    /// Whether somebody waited for `intended` on the clock: only then is lateness a measurement.
    pub(crate) timed: bool,
}

impl Start {
    /// Begins at once because nothing was planned in between.
    pub(crate) fn at_once(now: Ns) -> Start {
        Start { intended: now, ready: now, started: now, timed: false }
    }
}

/// How an iteration ended and when its last operation did.
pub(crate) struct Ended {
    pub(crate) at: Ns,
    pub(crate) aborted: bool,
    /// The user is to leave.
    pub(crate) stop: bool,
    /// It lacked rows that nobody will ever have.
    pub(crate) dry: bool,
    /// It did nothing and took no time.
    pub(crate) idle: bool,
    /// The pause that is due after it.
    pub(crate) think: Ns,
}

/// How long a user may go on before others of its shard get their turn.
const TURN: Ns = Ns::from_micros(200);

/// A pass that does nothing at all takes so long, so that the shard is not kept busy by it.
pub(crate) const IDLE: Ns = Ns::from_millis(1);

/// Sessions of failed setups are tried again after this long.
const SETUP_RETRY: Ns = Ns::from_secs(1);

/// The only place where a session runs.
#[inline]
pub(crate) fn operate<'a, 'p: 'a, S: Session>(
    session: &'a mut S,
    call: Call<'a>,
    probe: &'a mut Probe<'p>,
) -> impl Future<Output = Outcome> + use<'a, 'p, S> {
    session.run(call, probe)
}

impl<C: Clock, W: Worker> Shard<C, W> {
    pub(crate) fn new_user(&self, vu: VuId, scenario: ScenarioId) -> User<W::Session> {
        let seed = self.plan.seed;
        let row = &self.plan.scenarios[usize::from(scenario.0)];
        let now = self.clock.now();
        let mut rng = Rng::new(seed, "user", vu.0);
        let until = match row.lifetime {
            Some(Lifetime::Time(time)) => Some(now + draw_pause(time, &mut rng)),
            _ => None,
        };
        let mut user = User {
            vu,
            scenario,
            session: self.worker.session(SessionContext { vu, seed }),
            scope: Scope::new(vu, seed),
            iteration: 0,
            ready: row.setup.is_empty(),
            rng,
            stack: Vec::new(),
            lanes: Vec::new(),
            kept: Vec::new(),
            refresh: false,
            refreshed: now,
            until,
            lacks: None,
        };
        for (slot, value) in self.initial.borrow().iter() {
            user.scope.set(*slot, value.clone());
        }
        user.lacks = self.deal(&mut user, true).err();
        user
    }

    /// The number of a user that is made while the load runs; `above` are taken.
    pub(crate) fn next_vu(&self, above: u64) -> VuId {
        let number = self.made.get();
        self.made.set(number + 1);
        VuId(above + number * u64::from(self.share.of) + u64::from(self.share.index))
    }

    /// Does one step.
    pub(crate) async fn operation(
        &self,
        actor: Actor<'_, W::Session>,
        probe: &mut Probe<'_>,
        todo: Todo,
    ) -> (Outcome, Ns) {
        let Todo { place, step, mut start, deadline } = todo;
        if self.turn_is_over(start.started) {
            start = self.let_others_go_on(start).await;
        }
        let row = &self.plan.steps[usize::from(step.0)];
        self.frames.borrow_mut().steps[usize::from(step.0)].planned += 1;
        self.in_flight.set(self.in_flight.get() + 1);
        probe.begin(start.started, self.errors.borrow().wants());
        actor.scope.unix = self.unix_start + start.started;
        let outcome = if row.fail > 0.0 && actor.rng.unit() < row.fail {
            probe.class = ErrorClass::Injected;
            Outcome::Failed
        } else {
            let call = Call { step, scope: actor.scope };
            let cut = {
                let running = std::pin::pin!(operate(actor.session, call, probe));
                let late = std::pin::pin!(deadline.map(|at| self.clock.sleep_until(at)));
                CutOff { shard: self, place, inner: running, late }.await
            };
            match cut {
                Cut::Through(outcome) => outcome,
                Cut::Off => Outcome::Aborted,
                Cut::Late => {
                    probe.fail(ErrorClass::Timeout, || "no end of the job in time".into());
                    Outcome::TimedOut
                }
            }
        };
        let finished = self.clock.now();
        (actor.scope.status, actor.scope.outcome) = (probe.code, outcome);
        // an answer that says "not yet" is a good answer to the question
        let waits = row.role == StepRole::Follow && probe.class == ErrorClass::Check;
        let told = if waits { Outcome::Ok } else { outcome };
        let sample = Sample {
            intended: start.intended,
            ready: start.ready,
            started: start.started,
            first_byte: probe.first_byte,
            finished,
            bytes_in: u32::try_from(probe.bytes_in).unwrap_or(u32::MAX),
            bytes_out: u32::try_from(probe.bytes_out).unwrap_or(u32::MAX),
            step,
            code: probe.code,
            outcome: told,
            class: if told == Outcome::Ok { ErrorClass::None } else { probe.class },
        };
        self.count(&sample, probe, start.timed);
        (outcome, finished)
    }

    /// Counts an operation that has ended.
    fn count(&self, sample: &Sample, probe: &Probe<'_>, timed: bool) {
        let step = usize::from(sample.step.0);
        if !probe.detail.is_empty() && sample.outcome != Outcome::Ok {
            self.errors.borrow_mut().note(sample.step, sample.class, &probe.detail);
        }
        self.in_flight.set(self.in_flight.get() - 1);
        let frames = &mut *self.frames.borrow_mut();
        for (index, value) in &probe.measures {
            if let Some(id) = self.plan.steps[step].measures.get(usize::from(*index)) {
                let measure = usize::from(id.0);
                frames.measures[measure].record(&self.plan.measures[measure].kind, *value);
            }
        }
        frames.steps[step].record(sample, probe);
        if timed {
            frames.lag.generator.record(sample.gen_lag());
            frames.lag.pool.record(sample.pool_lag());
        }
    }

    /// Whether a user has gone on for a turn without anything on this shard having had to wait.
    #[inline]
    fn turn_is_over(&self, now: Ns) -> bool {
        if self.suspended.replace(false) {
            self.turn_since.set(now);
        }
        now.since(self.turn_since.get()) >= TURN
    }

    /// Operations that never wait (code in this process) would otherwise keep the shard from its clock and other users. The
    /// pause is nobody's response time: what was not planned for an instant begins after it.
    async fn let_others_go_on(&self, start: Start) -> Start {
        let mut went = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut went, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let now = self.clock.now();
        self.turn_since.set(now);
        if start.timed { Start { started: now, ..start } } else { Start::at_once(now) }
    }

    /// Does a walk to its end.
    async fn perform(
        &self,
        walk: &mut Walk<'_>,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
    ) {
        loop {
            match self.advance(walk, user) {
                Act::Do(step, deadline) => {
                    let asks = walk.follow.as_ref().is_some_and(Follow::is_asking);
                    let actor =
                        Actor { session: &mut user.session, scope: &mut user.scope, rng: &mut user.rng };
                    let todo = Todo { place, step, start: walk.next, deadline };
                    let (outcome, finished) = self.operation(actor, probe, todo).await;
                    if asks {
                        self.answered(walk, user, probe, outcome, finished);
                    } else {
                        self.done(walk, user, probe, step, outcome, finished);
                    }
                }
                Act::Together(block) => {
                    let whole = Box::pin(self.together(user, place, block, walk.next)).await;
                    self.together_done(walk, user, block, &whole);
                }
                Act::Wait(at) => {
                    if !self.pause(place, at, Stage::Aborting).await {
                        self.cut(walk, user);
                        return;
                    }
                    walk.waited(self.clock.now());
                }
                Act::Yield => {
                    self.let_others_go_on(walk.next).await;
                    if self.stage.get() == Stage::Aborting {
                        self.cut(walk, user);
                        return;
                    }
                }
                Act::End => {
                    self.close_spans(user, walk.last, Outcome::Ok, ErrorClass::None);
                    return;
                }
            }
        }
    }

    /// Does one iteration of the user's scenario, think times between its steps included. With `whole_life` it is not
    /// over before the user's life is.
    pub(crate) async fn iterate(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
        start: Start,
        whole_life: bool,
    ) -> Ended {
        let scenario = &self.plan.scenarios[usize::from(user.scenario.0)];
        self.frames.borrow_mut().iterations[usize::from(user.scenario.0)].planned += 1;
        self.busy.set(self.busy.get() + 1);
        let mut walk = Walk::new(&scenario.flow, start, false, scenario.refresh.as_ref());
        let mut lacks = self.begin_iteration(user);
        let mut dry = false;
        loop {
            if let Some(lack) = lacks {
                self.cannot_begin(&mut walk, &scenario.flow, &lack);
                dry = lack.dry;
                break;
            }
            let before = walk.done;
            self.perform(&mut walk, user, probe, place).await;
            let over = walk.way != Way::Through || self.stage.get() > Stage::Running;
            if !whole_life || over || self.is_over(user, self.clock.now()) {
                break;
            }
            let idle = walk.done == before && walk.pause == Ns::ZERO;
            if idle && !self.pause(place, self.clock.now() + IDLE, Stage::Aborting).await {
                self.cut(&mut walk, user);
                break;
            }
            walk.again();
            lacks = self.begin_iteration(user);
        }
        let at = walk.next.intended.since(walk.pause);
        self.busy.set(self.busy.get() - 1);
        let frame = &mut self.frames.borrow_mut().iterations[usize::from(user.scenario.0)];
        let aborted = walk.way == Way::Aborted;
        if aborted {
            frame.aborted += 1;
        } else if walk.all_ok {
            frame.completed += 1;
            frame.duration.record(at.since(start.intended));
        } else {
            frame.failed += 1;
        }
        let idle = walk.done == 0 && walk.pause == Ns::ZERO;
        Ended { at, aborted, stop: walk.way == Way::Stop, dry, idle, think: walk.pause }
    }

    /// The session and the scope learn of a new iteration. Says what it cannot be done without.
    fn begin_iteration(&self, user: &mut User<W::Session>) -> Option<Lack> {
        user.session.iteration(user.iteration);
        user.scope.iteration = user.iteration;
        user.iteration += 1;
        let dealt = self.deal(user, false).err();
        dealt.or_else(|| user.lacks.clone())
    }

    /// An iteration that lacks its data: its first step is planned and fails unsent.
    fn cannot_begin(&self, walk: &mut Walk<'_>, flow: &Program, lack: &Lack) {
        if let Some(step) = first_step(flow, &mut Rng::new(self.plan.seed, "lacks", 0)) {
            self.count_unsent(step, walk.next, Ns::ZERO, Outcome::Failed, ErrorClass::Value);
            self.errors.borrow_mut().note(step, ErrorClass::Value, &lack.why);
        }
        (walk.all_ok, walk.way) = (false, Way::Broken);
    }

    /// Whether the user's life is over.
    pub(crate) fn is_over(&self, user: &User<W::Session>, now: Ns) -> bool {
        match self.plan.scenarios[usize::from(user.scenario.0)].lifetime {
            Some(Lifetime::Iterations(most)) => user.iteration >= most,
            Some(Lifetime::Time(_)) => user.until.is_some_and(|until| now >= until),
            None => false,
        }
    }

    /// Does the user's setup until it succeeds. `false` if the phase ended before.
    pub(crate) async fn set_up(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
    ) -> bool {
        let setup = &self.plan.scenarios[usize::from(user.scenario.0)].setup;
        while !user.ready {
            if let Some(lack) = user.lacks.clone() {
                let mut walk = Walk::new(setup, Start::at_once(self.clock.now()), true, None);
                self.cannot_begin(&mut walk, setup, &lack);
                return false;
            }
            if self.around(user, probe, place, setup).await {
                user.ready = true;
                user.refreshed = self.clock.now();
                break;
            }
            let again = self.clock.now() + SETUP_RETRY;
            if !self.pause(place, again, Stage::Over).await {
                return false;
            }
        }
        true
    }

    /// Does a program outside of an iteration; stops at the first step that is not ok.
    pub(crate) async fn around(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
        program: &Program,
    ) -> bool {
        let mut walk = Walk::new(program, Start::at_once(self.clock.now()), true, None);
        self.perform(&mut walk, user, probe, place).await;
        matches!(walk.way, Way::Through | Way::Stop) && walk.all_ok
    }

    pub(crate) fn draw_think(&self, user: &mut User<W::Session>, step: StepId) -> Ns {
        let scenario = &self.plan.scenarios[usize::from(user.scenario.0)];
        let think = self.plan.steps[usize::from(step.0)].think.unwrap_or(scenario.think);
        draw_pause(think, &mut user.rng)
    }

    /// Counts an arrival that was never begun.
    pub(crate) fn drop_arrival(&self, scenario: ScenarioId, intended: Ns, now: Ns) {
        let plan: &Plan = &self.plan;
        let frames = &mut *self.frames.borrow_mut();
        let iterations = &mut frames.iterations[usize::from(scenario.0)];
        iterations.planned += 1;
        iterations.dropped += 1;
        // Which task it would have been is drawn like any other, so that every task bears its share of the drops.
        let mut rng = Rng::new(plan.seed, "dropped", intended.0);
        let first = first_step(&plan.scenarios[usize::from(scenario.0)].flow, &mut rng);
        let Some(step) = first else { return };
        let frame = &mut frames.steps[usize::from(step.0)];
        frame.planned += 1;
        frame.count(&Sample {
            intended,
            ready: now,
            started: now,
            first_byte: Ns::ZERO,
            finished: now,
            bytes_in: 0,
            bytes_out: 0,
            step,
            code: 0,
            outcome: Outcome::Dropped,
            class: ErrorClass::None,
        });
    }

    /// Sleeps until `at`; `false` as soon as the shard's stage has reached `breaks`.
    pub(crate) async fn pause(&self, place: usize, at: Ns, breaks: Stage) -> bool {
        if self.stage.get() >= breaks {
            return false;
        }
        if self.clock.now() >= at {
            return true;
        }
        let sleep = std::pin::pin!(self.clock.sleep_until(at));
        Pause { shard: self, place, breaks, inner: sleep }.await
    }

    /// As `pause` to the end of the phase, as closely to `at` as the clock can.
    pub(crate) async fn pause_exactly(&self, place: usize, at: Ns) -> bool {
        let sleep = std::pin::pin!(self.clock.sleep_exactly_until(at));
        Pause { shard: self, place, breaks: Stage::Over, inner: sleep }.await
    }

    /// Waits until the user in `place` is called; `false` if the phase ended before.
    pub(crate) async fn wait_for_call(&self, place: usize) -> bool {
        std::future::poll_fn(|cx| {
            if self.stage.get() > Stage::Running {
                return Poll::Ready(false);
            }
            let mut places = self.places.borrow_mut();
            if std::mem::take(&mut places[place].called) {
                return Poll::Ready(true);
            }
            remember(&mut places[place].waker, cx);
            Poll::Pending
        })
        .await
    }

    pub(crate) fn remember(&self, place: usize, cx: &Context<'_>) {
        remember(&mut self.places.borrow_mut()[place].waker, cx);
    }
}

pub(crate) fn draw_pause(think: Think, rng: &mut Rng) -> Ns {
    match think {
        Think::None => Ns::ZERO,
        Think::Constant(pause) => pause,
        Think::Uniform(low, high) => Ns(rng.between(low.0, high.0)),
        Think::Normal { mean, deviation } => {
            Ns::from_secs_f64(mean.as_secs_f64() + deviation.as_secs_f64() * rng.normal())
        }
        Think::Exponential { mean } => Ns::from_secs_f64(mean.as_secs_f64() * rng.exponential().min(20.0)),
    }
}
