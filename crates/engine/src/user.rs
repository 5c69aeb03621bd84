//! The virtual user: the one loop around [`Session::run`], whatever the protocol and the pattern.

use crate::shard::{Shard, Stage};
use crucible_core::{
    Call, Clock, ErrorClass, Ns, Outcome, Probe, Rng, Sample, ScenarioId, Scope, Session, SessionContext,
    StepId, VuId, Worker,
};
use crucible_plan::program::Op;
use crucible_plan::{Plan, Program, Think};
use std::future::Future;
use std::pin::Pin;
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
    rng: Rng,
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
    /// The pause that is due after it.
    pub(crate) think: Ns,
}

/// How long a user may go on before others of its shard get their turn.
const TURN: Ns = Ns::from_micros(200);

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
        User {
            vu,
            scenario,
            session: self.worker.session(SessionContext { vu, seed }),
            scope: Scope::new(vu, seed),
            iteration: 0,
            ready: self.plan.scenarios[usize::from(scenario.0)].setup.is_empty(),
            rng: Rng::new(seed, "user", vu.0),
        }
    }

    /// Does one step.
    async fn operation(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
        step: StepId,
        mut start: Start,
    ) -> (Outcome, Ns) {
        if self.turn_is_over(start.started) {
            start = self.let_others_go_on(start).await;
        }
        self.frames.borrow_mut().steps[usize::from(step.0)].planned += 1;
        self.in_flight.set(self.in_flight.get() + 1);
        probe.begin(start.started, self.errors.borrow().wants());
        user.scope.iteration = user.iteration.saturating_sub(1);
        user.scope.unix = self.unix_start + start.started;
        let call = Call { step, scope: &mut user.scope };
        let outcome = {
            let running = std::pin::pin!(operate(&mut user.session, call, probe));
            CutOff { shard: self, place, inner: running }.await
        };
        let finished = self.clock.now();
        let outcome = outcome.unwrap_or(Outcome::Aborted);
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
            outcome,
            class: if outcome == Outcome::Ok { ErrorClass::None } else { probe.class },
        };
        if !probe.detail.is_empty() && outcome != Outcome::Ok {
            self.errors.borrow_mut().note(step, sample.class, &probe.detail);
        }
        (user.scope.status, user.scope.outcome) = (probe.code, outcome);
        self.in_flight.set(self.in_flight.get() - 1);
        let frames = &mut *self.frames.borrow_mut();
        for (index, value) in &probe.measures {
            if let Some(id) = self.plan.steps[usize::from(step.0)].measures.get(usize::from(*index)) {
                let measure = usize::from(id.0);
                frames.measures[measure].record(&self.plan.measures[measure].kind, *value);
            }
        }
        frames.steps[usize::from(step.0)].record(&sample, probe);
        if start.timed {
            frames.lag.generator.record(sample.gen_lag());
            frames.lag.pool.record(sample.pool_lag());
        }
        (outcome, finished)
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

    /// Does one iteration of the user's scenario, think times between its steps included.
    pub(crate) async fn iterate(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
        start: Start,
    ) -> Ended {
        let scenario = &self.plan.scenarios[usize::from(user.scenario.0)];
        self.frames.borrow_mut().iterations[usize::from(user.scenario.0)].planned += 1;
        self.busy.set(self.busy.get() + 1);
        user.session.iteration(user.iteration);
        user.iteration += 1;
        let steps = draw(&scenario.flow, &mut user.rng);
        let mut next = start;
        let mut all_ok = true;
        let mut aborted = false;
        let mut think = Ns::ZERO;
        for (index, step) in steps.into_iter().enumerate() {
            if index > 0 && think > Ns::ZERO {
                let at = next.intended;
                if !self.pause(place, at, Stage::Aborting).await {
                    aborted = true;
                    break;
                }
                next.started = self.clock.now();
            }
            let (outcome, finished) = self.operation(user, probe, place, step, next).await;
            all_ok &= outcome == Outcome::Ok;
            think = self.draw_think(user, step);
            let due = finished + think;
            next = Start { intended: due, ready: due, started: finished, timed: think > Ns::ZERO };
            if outcome == Outcome::Aborted {
                aborted = true;
                next = Start::at_once(finished);
                break;
            }
        }
        let at = next.intended.since(think);
        let at = if aborted { self.clock.now() } else { at };
        self.busy.set(self.busy.get() - 1);
        let frame = &mut self.frames.borrow_mut().iterations[usize::from(user.scenario.0)];
        if aborted {
            frame.aborted += 1;
        } else if all_ok {
            frame.completed += 1;
            frame.duration.record(at.since(start.intended));
        } else {
            frame.failed += 1;
        }
        Ended { at, aborted, think }
    }

    /// Does the user's setup until it succeeds. `false` if the phase ended before.
    pub(crate) async fn set_up(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
    ) -> bool {
        while !user.ready {
            let steps = self.plan.scenarios[usize::from(user.scenario.0)].setup.steps();
            if self.in_order(user, probe, place, &steps).await {
                user.ready = true;
                break;
            }
            let again = self.clock.now() + SETUP_RETRY;
            if !self.pause(place, again, Stage::Over).await {
                return false;
            }
        }
        true
    }

    /// Does steps outside of an iteration, one behind the other; stops at the first that is not ok.
    pub(crate) async fn in_order(
        &self,
        user: &mut User<W::Session>,
        probe: &mut Probe<'_>,
        place: usize,
        steps: &[StepId],
    ) -> bool {
        for step in steps {
            let start = Start::at_once(self.clock.now());
            let (outcome, _) = self.operation(user, probe, place, *step, start).await;
            if outcome != Outcome::Ok {
                return false;
            }
        }
        true
    }

    fn draw_think(&self, user: &mut User<W::Session>, step: StepId) -> Ns {
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
        let steps = draw(&plan.scenarios[usize::from(scenario.0)].flow, &mut rng);
        let Some(step) = steps.first() else { return };
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
            step: *step,
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

    fn remember(&self, place: usize, cx: &Context<'_>) {
        remember(&mut self.places.borrow_mut()[place].waker, cx);
    }
}

fn remember(slot: &mut Option<std::task::Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        other => *other = Some(cx.waker().clone()),
    }
}

fn draw(flow: &Program, rng: &mut Rng) -> Vec<StepId> {
    let (mut steps, mut at) = (Vec::new(), 0i32);
    while let Some(op) = flow.ops.get(at as usize) {
        match op {
            Op::Step(step) => steps.push(*step),
            Op::Jump(by) => at += by - 1,
            Op::Draw(draw) => {
                let total = draw.ends.last().map_or(0.0, |end| end.0);
                let point = rng.unit() * total;
                at += draw.ends.iter().find(|end| point < end.0).map_or(1, |end| end.1) - 1;
            }
            _ => {}
        }
        at += 1;
    }
    steps
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

/// Runs an operation, and ends it when the shard aborts. The inner future is then dropped unfinished.
struct CutOff<'s, 'f, C: Clock, W: Worker, F> {
    shard: &'s Shard<C, W>,
    place: usize,
    inner: Pin<&'f mut F>,
}

impl<C: Clock, W: Worker, F: Future<Output = Outcome>> Future for CutOff<'_, '_, C, W, F> {
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.shard.stage.get() == Stage::Aborting {
            return Poll::Ready(None);
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => {
                self.shard.suspended.set(true);
                self.shard.remember(self.place, cx);
                Poll::Pending
            }
        }
    }
}

struct Pause<'s, 'f, C: Clock, W: Worker, F> {
    shard: &'s Shard<C, W>,
    place: usize,
    breaks: Stage,
    inner: Pin<&'f mut F>,
}

impl<C: Clock, W: Worker, F: Future<Output = ()>> Future for Pause<'_, '_, C, W, F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if self.shard.stage.get() >= self.breaks {
            return Poll::Ready(false);
        }
        match self.inner.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => {
                self.shard.suspended.set(true);
                self.shard.remember(self.place, cx);
                Poll::Pending
            }
        }
    }
}
