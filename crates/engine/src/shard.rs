//! One shard: a thread's worth of users, their frames, and the sequence of tests and phases.

use crate::around;
use crate::control::{Control, Signal};
use crate::errors::ErrorBook;
use crate::frames::{FrameSet, ShardReport};
use crate::phase;
use crate::rows::Rows;
use crate::user::User;
use crucible_core::{Clock, Ns, Share, Slot, Value, Worker};
use crucible_plan::Plan;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use tokio::sync::Barrier;

/// Where a shard's reports go.
pub trait Reports {
    /// Takes a report; called a few times a second.
    fn send(&self, report: ShardReport);
    /// A cleared frame set, if one came back.
    fn spare(&self) -> Option<FrameSet>;
}

/// What users begin with.
pub(crate) type Initial = Arc<[(Slot, Value)]>;

/// Where shards agree on the instant at which a phase begins, and share what is the whole run's.
pub struct Meeting {
    barrier: Barrier,
    start: AtomicU64,
    lead: Ns,
    rows: Arc<Rows>,
    /// What the setup of the present test has saved. Written by the first shard before the others are met.
    initial: Mutex<Initial>,
    /// Whether the present test cannot be done.
    called_off: AtomicBool,
}

impl Meeting {
    /// A meeting of `shards`; phases begin `lead` after the last shard is ready.
    pub fn new(shards: u32, lead: Ns) -> Meeting {
        Meeting {
            barrier: Barrier::new(shards as usize),
            start: AtomicU64::new(0),
            lead,
            rows: Arc::new(Rows::new(0, 0)),
            initial: Mutex::new(Arc::new([])),
            called_off: AtomicBool::new(false),
        }
    }

    /// The same for a run of so many tests with so many feeders.
    pub fn with_rows(self, tests: usize, feeders: usize) -> Meeting {
        Meeting { rows: Arc::new(Rows::new(tests, feeders)), ..self }
    }

    /// A test is about to begin; told by the first shard.
    pub(crate) fn prepare(&self, initial: Initial, called_off: bool) {
        *self.initial.lock().unwrap_or_else(PoisonError::into_inner) = initial;
        self.called_off.store(called_off, Ordering::SeqCst);
    }

    /// What users of the present test begin with; `None` if it cannot be done.
    pub(crate) fn initial(&self) -> Option<Initial> {
        let initial = Arc::clone(&self.initial.lock().unwrap_or_else(PoisonError::into_inner));
        (!self.called_off.load(Ordering::SeqCst)).then_some(initial)
    }

    /// Waits until every shard is here.
    pub(crate) async fn everybody(&self) {
        self.barrier.wait().await;
    }

    async fn agree(&self, now: Ns) -> Ns {
        self.start.fetch_max((now + self.lead).0, Ordering::SeqCst);
        self.barrier.wait().await;
        let start = Ns(self.start.load(Ordering::SeqCst));
        // Nobody may propose the next instant before everybody has read this one.
        self.barrier.wait().await;
        start
    }
}

/// What a shard is to do.
pub struct ShardJob {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Indices of the tests to run, in order.
    pub tests: Vec<usize>,
    /// Which part of the work is this shard's.
    pub share: Share,
    /// Where the shards agree on instants.
    pub meeting: Arc<Meeting>,
    /// How the run is stopped.
    pub control: Control,
    /// Length of a window.
    pub window: Ns,
    /// The run clock's zero, as time since the Unix epoch: for values in requests.
    pub unix_start: Ns,
}

/// How far the present phase has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Iterations begin.
    Running,
    /// None begins; those under way go on.
    Over,
    /// Those under way are cut off.
    Aborting,
}

/// The state that a shard's tasks share. Single-threaded: no borrow is held across an await.
pub(crate) struct Shard<C: Clock, W: Worker> {
    pub(crate) clock: C,
    pub(crate) worker: W,
    pub(crate) plan: Arc<Plan>,
    pub(crate) share: Share,
    /// The run clock's zero, as time since the Unix epoch.
    pub(crate) unix_start: Ns,
    pub(crate) frames: RefCell<FrameSet>,
    pub(crate) stage: Cell<Stage>,
    pub(crate) signal: Cell<Signal>,
    /// Set when the shard's own background tasks are to end.
    pub(crate) finished: Cell<bool>,
    /// Something on this shard had to wait since this was last looked at.
    pub(crate) suspended: Cell<bool>,
    /// Since when nothing had to wait.
    pub(crate) turn_since: Cell<Ns>,
    pub(crate) in_flight: Cell<u64>,
    pub(crate) active: Cell<u64>,
    pub(crate) busy: Cell<u64>,
    /// User tasks that have not ended.
    pub(crate) tasks: Cell<u64>,
    /// The phase's driver, which waits for `tasks` to become 0 or the signal to change.
    pub(crate) driver: RefCell<Option<Waker>>,
    /// One place per user task: how it is woken when the stage changes or it is called.
    pub(crate) places: RefCell<Vec<Place>>,
    pub(crate) free_places: RefCell<Vec<usize>>,
    pub(crate) errors: RefCell<ErrorBook>,
    /// Users between phases of one test, by number.
    pub(crate) parked: RefCell<HashMap<u64, User<W::Session>>>,
    /// Number of users made in this test beside those of closed load that are there from the begin.
    pub(crate) made: Cell<u64>,
    /// Users of closed load that have left this test for good.
    pub(crate) gone: RefCell<HashSet<u64>>,
    /// The user that does a test's own setup and teardown, and whether it did the last of them well.
    pub(crate) lone: RefCell<Option<(User<W::Session>, bool)>>,
    pub(crate) rows: Arc<Rows>,
    /// What users of the present test begin with.
    pub(crate) initial: RefCell<Initial>,
    /// Number of the present test in the run.
    pub(crate) test: Cell<usize>,
}

/// See [`Shard::places`].
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) waker: Option<Waker>,
    pub(crate) called: bool,
}

impl<C: Clock, W: Worker> Shard<C, W> {
    fn new(clock: C, worker: W, job: &ShardJob) -> Shard<C, W> {
        let (plan, share, unix_start) = (Arc::clone(&job.plan), job.share, job.unix_start);
        let frames = RefCell::new(FrameSet::new(&plan));
        Shard {
            clock,
            worker,
            plan,
            share,
            unix_start,
            frames,
            stage: Cell::new(Stage::Running),
            signal: Cell::new(Signal::Run),
            finished: Cell::new(false),
            suspended: Cell::new(false),
            turn_since: Cell::new(Ns::ZERO),
            in_flight: Cell::new(0),
            active: Cell::new(0),
            busy: Cell::new(0),
            tasks: Cell::new(0),
            driver: RefCell::default(),
            places: RefCell::default(),
            free_places: RefCell::default(),
            errors: RefCell::default(),
            parked: RefCell::default(),
            made: Cell::new(0),
            gone: RefCell::default(),
            lone: RefCell::default(),
            rows: Arc::clone(&job.meeting.rows),
            initial: RefCell::new(Arc::new([])),
            test: Cell::new(0),
        }
    }

    pub(crate) fn take_place(&self) -> usize {
        if let Some(place) = self.free_places.borrow_mut().pop() {
            return place;
        }
        let mut places = self.places.borrow_mut();
        places.push(Place::default());
        places.len() - 1
    }

    pub(crate) fn leave_place(&self, place: usize) {
        self.places.borrow_mut()[place] = Place::default();
        self.free_places.borrow_mut().push(place);
    }

    /// Moves to a later stage and wakes everybody who has to know.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        let wakers: Vec<Waker> =
            self.places.borrow_mut().iter_mut().filter_map(|place| place.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn wake_driver(&self) {
        if let Some(waker) = self.driver.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Lives through all tests of a job. The one future of a shard; everything else is spawned on its clock.
pub async fn run_shard<C: Clock, W: Worker>(job: ShardJob, clock: C, worker: W, reports: Rc<dyn Reports>) {
    let shard = Rc::new(Shard::new(clock, worker, &job));
    shard.signal.set(job.control.signal());
    shard.clock.spawn(listen(Rc::clone(&shard), job.control.clone()));
    shard.clock.spawn(beat(Rc::clone(&shard)));
    let mut index = 0u16;
    for (position, test) in job.tests.iter().enumerate() {
        shard.test.set(position);
        around::begin(&shard, &job, *test).await;
        let mut last = None;
        let load = &job.plan.tests[*test].load;
        for (number, _) in load.phases.iter().enumerate() {
            let delay = if number == 0 { load.start_delay } else { Ns::ZERO };
            let is_last = number + 1 == load.phases.len();
            let ended = phase::run(&shard, &job, *test, number, index, delay, is_last, &*reports).await;
            last = ended.or(last);
            index += 1;
        }
        around::end(&shard, &job, *test, last, &*reports).await;
        shard.parked.borrow_mut().clear();
        shard.gone.borrow_mut().clear();
        shard.made.set(0);
    }
    shard.finished.set(true);
    let errors = shard.errors.borrow_mut().take();
    reports.send(ShardReport::Done { errors });
}

pub(crate) async fn agree<C: Clock, W: Worker>(shard: &Shard<C, W>, job: &ShardJob) -> Ns {
    job.meeting.agree(shard.clock.now()).await
}

/// Follows the control handle.
async fn listen<C: Clock, W: Worker>(shard: Rc<Shard<C, W>>, control: Control) {
    let mut receiver = control.subscribe();
    drop(control);
    loop {
        let signal = *receiver.borrow_and_update();
        shard.signal.set(signal);
        shard.wake_driver();
        if receiver.changed().await.is_err() || shard.finished.get() {
            return;
        }
    }
}

/// Distance of the heartbeats.
const BEAT: Ns = Ns::from_millis(10);

/// One beat at an instant: a phase that is over before the next of the others would have none at all.
pub(crate) async fn beat_once<C: Clock, W: Worker>(shard: Rc<Shard<C, W>>, at: Ns) {
    shard.clock.sleep_until(at).await;
    let late = shard.clock.now().since(at);
    shard.frames.borrow_mut().lag.heartbeat.record(late);
}

/// Measures how long ready work waits inside the shard, by a task that is due every 10 ms. Beats that were missed
/// count with the lateness that each of them would have had, so that a long stall is not one late beat.
async fn beat<C: Clock, W: Worker>(shard: Rc<Shard<C, W>>) {
    let mut next = shard.clock.now() + BEAT;
    while !shard.finished.get() {
        shard.clock.sleep_until(next).await;
        let now = shard.clock.now();
        let missed = now.since(next).0 / BEAT.0;
        let mut frames = shard.frames.borrow_mut();
        for late in 0..=missed.min(10_000) {
            frames.lag.heartbeat.record(now.since(next + Ns(late * BEAT.0)));
        }
        next += Ns((missed + 1) * BEAT.0);
    }
}
