//! One phase on one shard: users are started, windows are reported, and at its end everybody is drained.

use crate::control::Signal;
use crate::frames::{FrameSet, ShardReport, ShardWindow};
use crate::open::Pool;
use crate::shard::{self, Reports, Shard, ShardJob, Stage};
use crate::system;
use crate::user::{IDLE, Start, User};
use crucible_core::{Clock, LagFrame, Ns, Probe, ScenarioId, Share, VuId, Worker};
use crucible_plan::Test;
use crucible_record::PhaseStarted;
use crucible_schedule::{
    Arrivals, Curve, Iterations, LoadPhase, Mix, Pacing, Spacing, phase_seed, user_spans,
};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::task::Poll;

/// Arrivals at the very end of a phase may be begun this much later before they count as dropped: they fall due at
/// the same instant at which the phase ends.
const LAST_ARRIVALS: Ns = Ns::from_millis(20);

/// The part of a shard's work that lies in one phase.
struct Running<'a, C: Clock, W: Worker> {
    shard: &'a Rc<Shard<C, W>>,
    reports: &'a dyn Reports,
    index: u16,
    window: Ns,
    start: Ns,
    /// Number of the present window and its begin.
    number: Cell<u32>,
    from: Cell<Ns>,
    pools: Vec<Rc<Pool>>,
    thread_times: Cell<(Ns, Ns)>,
}

/// Where a phase has ended: its index, the number of the window that would be next, and its begin.
pub(crate) type Last = (u16, u32, Ns);

/// Lives through phase `number` of a test; `index` counts phases over all tests. `None` if it did not begin.
#[expect(clippy::too_many_arguments, reason = "called once, by the shard's sequence of phases")]
pub(crate) async fn run<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    job: &ShardJob,
    test: usize,
    number: usize,
    index: u16,
    delay: Ns,
    is_last: bool,
    reports: &dyn Reports,
) -> Option<Last> {
    let test = &job.plan.tests[test];
    let phase = &test.load.phases[number];
    let agreed = shard::agree(shard, job).await;
    *shard.initial.borrow_mut() = job.meeting.initial()?;
    if shard.signal.get() != Signal::Run {
        return None;
    }
    let start = agreed + delay;
    if job.share.index == 0 {
        reports.send(ShardReport::Phase(PhaseStarted { phase: index, at: start }));
    }
    shard.stage.set(Stage::Running);
    // Sleeping to the start on the phase's own clock keeps the first arrivals from paying for the set-up of users.
    let seed = phase_seed(shard.plan.seed, number as u64);
    let pools = start_users(shard, test, phase, start, seed);
    shard.clock.spawn(shard::beat_once(Rc::clone(shard), start));
    let running = Running {
        shard,
        reports,
        index,
        window: job.window,
        start,
        number: Cell::new(0),
        from: Cell::new(start),
        pools,
        thread_times: Cell::new(system::thread_times()),
    };
    running.until_over(phase).await;
    running.drain(test.load.graceful_stop).await;
    if is_last {
        running.tear_down(test.load.graceful_stop).await;
    }
    running.report(shard.clock.now(), true);
    Some((index, running.number.get(), running.from.get()))
}

/// Hands over what was counted after the last phase of a test, as one more window of it.
pub(crate) fn report_after<C: Clock, W: Worker>(shard: &Rc<Shard<C, W>>, reports: &dyn Reports, last: Last) {
    let (index, number, from) = last;
    let running = Running {
        shard,
        reports,
        index,
        window: Ns::ZERO,
        start: from,
        number: Cell::new(number),
        from: Cell::new(from),
        pools: Vec::new(),
        thread_times: Cell::new(system::thread_times()),
    };
    running.report(shard.clock.now(), true);
}

impl<C: Clock, W: Worker> Running<'_, C, W> {
    /// To the end of the phase: by time, by count, or by the control handle.
    async fn until_over(&self, phase: &LoadPhase) {
        let end = self.start + phase.length;
        let by_count = matches!(phase.pacing, Pacing::Closed { iterations: Some(_), .. });
        self.attend(end, Signal::Drain, by_count).await;
        let slack = end + LAST_ARRIVALS;
        let waits = |pool: &Rc<Pool>| !pool.is_spent();
        if self.shard.signal.get() == Signal::Run
            && self.shard.clock.now() >= end
            && self.pools.iter().any(waits)
        {
            self.attend(slack, Signal::Drain, true).await;
        }
        self.shard.enter(Stage::Over);
        let now = self.shard.clock.now().min(slack);
        for pool in &self.pools {
            pool.drop_due(self.shard, now);
        }
    }

    /// Lets what is under way end, and cuts off what does not in time.
    async fn drain(&self, graceful_stop: Ns) {
        let patience = self.shard.clock.now() + graceful_stop;
        self.attend(patience, Signal::Abort, true).await;
        if self.shard.tasks.get() > 0 {
            self.shard.enter(Stage::Aborting);
            // An aborting shard wakes everybody, so all tasks end without further waiting.
            while self.shard.tasks.get() > 0 {
                std::future::poll_fn(|cx| {
                    *self.shard.driver.borrow_mut() = Some(cx.waker().clone());
                    if self.shard.tasks.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        }
    }

    /// Ends the users of the test.
    async fn tear_down(&self, limit: Ns) {
        let users: Vec<User<W::Session>> = {
            let mut parked = self.shard.parked.borrow_mut();
            let mut users: Vec<_> = parked.drain().map(|(_, user)| user).collect();
            users.sort_by_key(|user| user.vu);
            users
        };
        if self.shard.signal.get() == Signal::Abort {
            return;
        }
        self.shard.stage.set(Stage::Running);
        for mut user in users {
            let shard = Rc::clone(self.shard);
            if !user.ready || shard.plan.scenarios[usize::from(user.scenario.0)].teardown.is_empty() {
                continue;
            }
            shard.tasks.set(shard.tasks.get() + 1);
            let clock = shard.clock.clone();
            clock.clone().spawn(async move {
                let place = shard.take_place();
                let mut probe = Probe::new(&clock);
                let teardown = &shard.plan.scenarios[usize::from(user.scenario.0)].teardown;
                shard.around(&mut user, &mut probe, place, teardown).await;
                shard.leave_place(place);
                shard.tasks.set(shard.tasks.get() - 1);
                shard.wake_driver();
            });
        }
        self.drain(limit).await;
    }

    /// Reports windows until `until`, until the control handle has gone as far as `breaks`, or (`to_the_last`) until
    /// no user task is left.
    async fn attend(&self, until: Ns, breaks: Signal, to_the_last: bool) {
        loop {
            let tick = self.start + Ns((u64::from(self.number.get()) + 1) * self.window.0);
            let at = tick.min(until);
            let mut sleep = std::pin::pin!(self.shard.clock.sleep_until(at));
            let timed = std::future::poll_fn(|cx| {
                if (to_the_last && self.shard.tasks.get() == 0) || self.shard.signal.get() >= breaks {
                    return Poll::Ready(false);
                }
                *self.shard.driver.borrow_mut() = Some(cx.waker().clone());
                sleep.as_mut().poll(cx).map(|()| true)
            })
            .await;
            if !timed {
                return;
            }
            if at == tick {
                self.report(tick, false);
            }
            if at == until {
                return;
            }
        }
    }

    /// Hands over what was counted since the last report.
    fn report(&self, to: Ns, last: bool) {
        let shard = self.shard;
        let spare = self.reports.spare().unwrap_or_else(|| FrameSet::new(&shard.plan));
        let mut frames = shard.frames.replace(spare);
        let (cpu, wait) = system::thread_times();
        let (cpu_before, wait_before) = self.thread_times.replace((cpu, wait));
        let from = self.from.replace(to);
        let lag: &mut LagFrame = &mut frames.lag;
        lag.cpu = cpu.since(cpu_before);
        lag.cpu_wait = wait.since(wait_before);
        lag.wall = to.since(from);
        let number = self.number.get();
        self.number.set(number + 1);
        let due = self.pools.iter().map(|pool| pool.count_due(to)).sum();
        self.reports.send(ShardReport::Window(Box::new(ShardWindow {
            phase: self.index,
            number,
            last,
            from,
            to,
            frames,
            users_active: shard.active.get(),
            users_busy: shard.busy.get(),
            in_flight: shard.in_flight.get(),
            due,
        })));
    }
}

fn start_users<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    test: &Test,
    phase: &LoadPhase,
    start: Ns,
    seed: u64,
) -> Vec<Rc<Pool>> {
    let weights: Vec<f64> =
        test.scenarios.iter().map(|id| shard.plan.scenarios[usize::from(id.0)].weight).collect();
    let mix = Rc::new(Mix::new(&weights));
    match &phase.pacing {
        Pacing::Open { rate, spacing, max_users, patience } => {
            open_pools(shard, test, start, seed, &mix, rate, *spacing, *max_users, *patience)
        }
        Pacing::Closed { users, iterations } => {
            start_closed(shard, test, phase, start, users, *iterations);
            Vec::new()
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one enum variant")]
fn open_pools<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    test: &Test,
    start: Ns,
    seed: u64,
    mix: &Mix,
    rate: &Curve,
    spacing: Spacing,
    max_users: u64,
    patience: Option<Ns>,
) -> Vec<Rc<Pool>> {
    let share = shard.share;
    let total_weight: f64 =
        test.scenarios.iter().map(|id| shard.plan.scenarios[usize::from(id.0)].weight).sum();
    let peak = rate.pieces.iter().map(|piece| piece.from.max(piece.to)).fold(0.0, f64::max);
    let mut pools = Vec::new();
    for (index, id) in test.scenarios.iter().enumerate() {
        let scenario = &shard.plan.scenarios[usize::from(id.0)];
        let process = || Box::new(Arrivals::new(rate, spacing, seed, share, mix, Some(index)));
        let part = scenario.weight / total_weight;
        let limit = share.count_of(((max_users as f64 * part).ceil() as u64).max(u64::from(share.of)));
        let pool = Rc::new(Pool::new(*id, start, process(), process(), limit, patience));
        // Users that must log in first are made before they are needed: about as many as arrive in a second.
        let least =
            if scenario.setup.is_empty() { 1 } else { (peak * part / f64::from(share.of)).ceil() as u64 };
        pool.open(shard, least.max(1));
        pools.push(pool);
    }
    pools
}

/// What the users of a closed phase that ends by count may still begin.
enum Budget {
    Endless,
    Shared(Cell<u64>),
    PerUser(u64),
}

impl Budget {
    fn take(&self, begun: u64) -> bool {
        match self {
            Budget::Endless => true,
            Budget::PerUser(most) => begun < *most,
            Budget::Shared(left) => {
                let now = left.get();
                left.set(now.saturating_sub(1));
                now > 0
            }
        }
    }
}

fn start_closed<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    test: &Test,
    phase: &LoadPhase,
    start: Ns,
    users: &Curve,
    iterations: Option<Iterations>,
) {
    let spans = user_spans(users, shard.share);
    let budget = Rc::new(match iterations {
        None => Budget::Endless,
        Some(Iterations::PerUser(most)) => Budget::PerUser(most),
        Some(Iterations::Shared(total)) => {
            let everybody = user_spans(users, Share::ALL).iter().map(|span| span.user + 1).max().unwrap_or(0);
            let mine: std::collections::BTreeSet<u64> = spans.iter().map(|span| span.user).collect();
            let part = |user: &u64| total / everybody + u64::from(*user < total % everybody);
            Budget::Shared(Cell::new(mine.iter().map(part).sum()))
        }
    });
    let dealt = Dealt::new(shard, test);
    let by_count = iterations.is_some();
    let replacements = test.load.max_users();
    for span in spans {
        let scenario = dealt.scenario_of(span.user);
        shard.tasks.set(shard.tasks.get() + 1);
        // A phase that ends by count ends by time only through its length, which the phase's driver watches.
        let to = if by_count { start + phase.length } else { start + span.to };
        let life = ClosedLife { place: span.user, scenario, from: start + span.from, to, replacements };
        let place = shard.take_place();
        shard.clock.spawn(live(Rc::clone(shard), life, Rc::clone(&budget), place));
    }
}

/// Which user is of which scenario: fixed numbers first, then by weight.
struct Dealt {
    fixed: Vec<(u64, ScenarioId)>,
    scenarios: Vec<ScenarioId>,
    mix: Mix,
}

impl Dealt {
    fn new<C: Clock, W: Worker>(shard: &Shard<C, W>, test: &Test) -> Dealt {
        let of = |id: &ScenarioId| &shard.plan.scenarios[usize::from(id.0)];
        let mut sum = 0;
        let fixed = test.scenarios.iter().filter_map(|id| of(id).users.map(|users| (users, *id)));
        let fixed: Vec<(u64, ScenarioId)> = fixed
            .map(|(users, id)| {
                sum += users;
                (sum, id)
            })
            .collect();
        let all_fixed = fixed.len() == test.scenarios.len();
        let weight = |id: &ScenarioId| if of(id).users.is_some() && !all_fixed { 0.0 } else { of(id).weight };
        let weights: Vec<f64> = test.scenarios.iter().map(weight).collect();
        Dealt { fixed, scenarios: test.scenarios.clone(), mix: Mix::new(&weights) }
    }

    fn scenario_of(&self, user: u64) -> ScenarioId {
        if let Some((_, id)) = self.fixed.iter().find(|(end, _)| user < *end) {
            return *id;
        }
        let fixed = self.fixed.last().map_or(0, |(end, _)| *end);
        self.scenarios[self.mix.scenario_of_user(user - fixed)]
    }
}

/// A place among the users of closed load, which one user after another may take.
struct ClosedLife {
    place: u64,
    scenario: ScenarioId,
    from: Ns,
    to: Ns,
    /// Users that take the place of others are numbered from here on.
    replacements: u64,
}

/// The life of a user under closed load.
async fn live<C: Clock, W: Worker>(
    shard: Rc<Shard<C, W>>,
    life: ClosedLife,
    budget: Rc<Budget>,
    place: usize,
) {
    let clock = shard.clock.clone();
    let gone = shard.gone.borrow().contains(&life.place);
    if !gone && shard.pause(place, life.from, Stage::Over).await {
        shard.active.set(shard.active.get() + 1);
        let parked = shard.parked.borrow_mut().remove(&life.place);
        let mut user = parked.unwrap_or_else(|| shard.new_user(VuId(life.place), life.scenario));
        let mut probe = Probe::new(&clock);
        let mut begun = 0;
        loop {
            let ready = shard.set_up(&mut user, &mut probe, place).await;
            let fate = match ready {
                true => closed_loop(&shard, &life, &budget, place, &mut user, &mut probe, &mut begun).await,
                false => Fate::Gone,
            };
            if fate == Fate::Stays || (!ready && user.lacks.is_none()) || shard.stage.get() > Stage::Running {
                shard.parked.borrow_mut().insert(life.place, user);
                break;
            }
            if ready {
                let teardown = &shard.plan.scenarios[usize::from(life.scenario.0)].teardown;
                shard.around(&mut user, &mut probe, place, teardown).await;
            }
            let replaced = shard.plan.scenarios[usize::from(life.scenario.0)].lifetime.is_some();
            if !replaced || fate == Fate::Gone {
                shard.gone.borrow_mut().insert(life.place);
                break;
            }
            user = shard.new_user(shard.next_vu(life.replacements), life.scenario);
        }
        shard.active.set(shard.active.get() - 1);
    }
    shard.leave_place(place);
    shard.tasks.set(shard.tasks.get() - 1);
    shard.wake_driver();
}

/// What becomes of a user of closed load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has done what the phase asks of it.
    Stays,
    /// It leaves, and another may take its place.
    Leaves,
    /// It leaves, and nobody else could do better.
    Gone,
}

/// Iterations of a user.
async fn closed_loop<C: Clock, W: Worker>(
    shard: &Rc<Shard<C, W>>,
    life: &ClosedLife,
    budget: &Budget,
    place: usize,
    user: &mut User<W::Session>,
    probe: &mut Probe<'_>,
    begun: &mut u64,
) -> Fate {
    let pacing = shard.plan.scenarios[usize::from(life.scenario.0)].pacing;
    let mut start = Start::at_once(shard.clock.now());
    while shard.stage.get() == Stage::Running && start.started < life.to && budget.take(*begun) {
        *begun += 1;
        let ended = shard.iterate(user, probe, place, start, false).await;
        if ended.aborted {
            return Fate::Stays;
        }
        if ended.dry {
            return Fate::Gone;
        }
        if ended.idle && !shard.pause(place, shard.clock.now() + IDLE, Stage::Over).await {
            return Fate::Stays;
        }
        if ended.stop || shard.is_over(user, ended.at) {
            return Fate::Leaves;
        }
        let thought = ended.at + ended.think;
        let due = pacing.map_or(thought, |pacing| thought.max(start.intended + pacing));
        let timed = due > ended.at;
        if timed && !shard.pause(place, due.min(life.to), Stage::Over).await {
            return Fate::Stays;
        }
        let started = if timed { shard.clock.now() } else { due };
        start = Start { intended: due, ready: due, started, timed };
    }
    Fate::Stays
}
