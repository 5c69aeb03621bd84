//! The event loop of a simulation. See the parent module.
//!
//! Hot path: a task that sleeps is woken by its number, without touching a reference count or a lock. Wakers
//! exist for everything else (channels, combinators); they go through a locked queue because `Waker` must be
//! `Send`, and that queue is only looked at when its flag is up.

use super::faults::WakeError;
use super::timers::{Key, Sleeper, Timers};
use crate::law::Stalls;
use crucible_core::{Clock, Now, Ns, Rng};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls without any advance of time after which a simulation is taken to be caught in a loop.
const POLLS_AT_ONE_INSTANT: u64 = 50_000_000;

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    future: Option<LocalFuture>,
    wake: Arc<TaskWake>,
    /// Taken out while the task is polled, which saves counting a reference up and down.
    waker: Option<Waker>,
}

struct TaskWake {
    id: u32,
    queued: AtomicBool,
    remote: Arc<Remote>,
}

#[derive(Default)]
struct Remote {
    waiting: AtomicBool,
    queue: Mutex<Vec<u32>>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.remote.queue.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
            self.remote.waiting.store(true, Ordering::Release);
        }
    }
}

struct Inner {
    now: Cell<Ns>,
    /// The task being polled, and what its waker points to.
    running: Cell<Option<(u32, *const ())>>,
    tasks: RefCell<Vec<Task>>,
    free: RefCell<Vec<u32>>,
    alive: Cell<usize>,
    ready: RefCell<VecDeque<u32>>,
    remote: Arc<Remote>,
    timers: RefCell<Timers>,
    late: Cell<WakeError>,
    stalls: Cell<Option<Stalls>>,
    rng: RefCell<Rng>,
}

thread_local! {
    static CURRENT: RefCell<Weak<Inner>> = const { RefCell::new(Weak::new()) };
}

/// A simulation: owns time and tasks. Not shared between threads.
pub struct Sim {
    inner: Rc<Inner>,
}

/// The clock of a [`Sim`].
#[derive(Clone)]
pub struct SimClock {
    inner: Rc<Inner>,
}

impl Sim {
    /// A simulation at instant 0. It becomes the thread's current one (see [`SimClock::current`]).
    pub fn new(seed: u64) -> Sim {
        let inner = Rc::new(Inner {
            now: Cell::new(Ns::ZERO),
            running: Cell::new(None),
            tasks: RefCell::default(),
            free: RefCell::default(),
            alive: Cell::new(0),
            ready: RefCell::default(),
            remote: Arc::default(),
            timers: RefCell::default(),
            late: Cell::default(),
            stalls: Cell::new(None),
            rng: RefCell::new(Rng::new(seed, "sim", 0)),
        });
        CURRENT.set(Rc::downgrade(&inner));
        Sim { inner }
    }

    /// From now on [`Clock::sleep_until`] wakes late by this much.
    pub fn wake_error(self, error: WakeError) -> Sim {
        self.inner.late.set(error);
        self
    }

    /// The generator's CPU is taken away in these stalls: whatever is due in one happens at its end.
    pub fn cpu_stalls(self, stalls: Stalls) -> Sim {
        self.inner.stalls.set(Some(stalls));
        self
    }

    /// Its clock.
    pub fn clock(&self) -> SimClock {
        SimClock { inner: self.inner.clone() }
    }

    /// Tasks that have not ended.
    pub fn alive(&self) -> usize {
        self.inner.alive.get()
    }

    /// Runs everything that happens up to and at `until`; the clock then stands there (or later, if a CPU stall
    /// reaches beyond it).
    pub fn run_until(&mut self, until: Ns) {
        self.run(until, || false);
        self.inner.now.set(self.inner.now.get().max(until));
    }

    /// Runs until nothing is ready and no timer is set. Returns the tasks that are still alive then: they wait
    /// for something that will never happen.
    pub fn run_to_end(&mut self) -> usize {
        self.run(Ns::MAX, || false);
        self.alive()
    }

    /// Runs until `future` has ended. `None` if it waits for something that will never happen.
    pub fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Option<T> {
        let slot = Rc::new(RefCell::new(None));
        let fill = slot.clone();
        self.clock().spawn(async move {
            let value = future.await;
            *fill.borrow_mut() = Some(value);
        });
        let done = slot.clone();
        self.run(Ns::MAX, move || done.borrow().is_some());
        slot.take()
    }

    fn run(&mut self, until: Ns, done: impl Fn() -> bool) {
        CURRENT.set(Rc::downgrade(&self.inner));
        let inner = &*self.inner;
        loop {
            inner.poll_ready();
            if done() || !inner.advance(until) {
                return;
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // tasks hold clocks and clocks hold tasks: let go of the futures first
        let tasks = std::mem::take(&mut *self.inner.tasks.borrow_mut());
        drop(tasks);
    }
}

impl Inner {
    fn poll_ready(&self) {
        let mut polls = 0u64;
        loop {
            if self.remote.waiting.load(Ordering::Acquire) {
                self.remote.waiting.store(false, Ordering::Release);
                let mut queue = self.remote.queue.lock().unwrap_or_else(PoisonError::into_inner);
                self.ready.borrow_mut().extend(queue.drain(..));
            }
            let Some(id) = self.ready.borrow_mut().pop_front() else {
                return;
            };
            self.poll(id);
            polls += 1;
            assert!(
                polls < POLLS_AT_ONE_INSTANT,
                "tasks keep waking each other and time stands still at {}",
                self.now.get()
            );
        }
    }

    fn poll(&self, id: u32) {
        let (mut future, waker) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(id as usize) else {
                return;
            };
            task.wake.queued.store(false, Ordering::Release);
            let Some(future) = task.future.take() else {
                return;
            };
            let waker = task.waker.take().unwrap_or_else(|| task.wake.clone().into());
            (future, waker)
        };
        self.running.set(Some((id, waker.data())));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        self.running.set(None);
        if let Some(task) = self.tasks.borrow_mut().get_mut(id as usize) {
            task.waker = Some(waker);
        }
        match polled {
            Poll::Pending => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(id as usize) {
                    task.future = Some(future);
                }
            }
            Poll::Ready(()) => {
                drop(future);
                self.free.borrow_mut().push(id);
                self.alive.set(self.alive.get() - 1);
            }
        }
    }

    /// Jumps to the next timer, unless it lies beyond `until`. False if nothing happened.
    fn advance(&self, until: Ns) -> bool {
        let Some(at) = self.timers.borrow_mut().next_at().filter(|at| *at <= until) else {
            return false;
        };
        let mut now = at.max(self.now.get());
        if let Some(stalls) = self.stalls.get() {
            now = stalls.after(now);
        }
        self.now.set(now);
        loop {
            // borrowed anew each time: a foreign waker may drop a future that cancels its timer
            let due = self.timers.borrow_mut().pop_due(now);
            match due {
                Some(Sleeper::Task(id)) => self.ready_task(id),
                Some(Sleeper::Foreign(waker)) => waker.wake(),
                None => return true,
            }
        }
    }

    fn ready_task(&self, id: u32) {
        if let Some(task) = self.tasks.borrow().get(id as usize)
            && !task.wake.queued.swap(true, Ordering::AcqRel)
        {
            self.ready.borrow_mut().push_back(id);
        }
    }

    fn spawn(&self, future: LocalFuture) {
        self.alive.set(self.alive.get() + 1);
        let reused = self.free.borrow_mut().pop();
        let id = {
            let mut tasks = self.tasks.borrow_mut();
            match reused {
                Some(id) => {
                    tasks[id as usize].future = Some(future);
                    id
                }
                None => {
                    let id = tasks.len() as u32;
                    let wake = Arc::new(TaskWake {
                        id,
                        queued: AtomicBool::new(false),
                        remote: self.remote.clone(),
                    });
                    tasks.push(Task { future: Some(future), waker: None, wake });
                    id
                }
            }
        };
        self.ready_task(id);
    }

    /// The task to wake by number, if `context` is that of the running task itself.
    fn sleeper(&self, context: &Context<'_>) -> Sleeper {
        if let Some((id, data)) = self.running.get()
            && std::ptr::eq(data, context.waker().data())
        {
            return Sleeper::Task(id);
        }
        Sleeper::Foreign(context.waker().clone())
    }
}

impl SimClock {
    /// The clock of the simulation that was last made or run on this thread, while it lives. Protocols under
    /// simulation find their clock here: they are shared between shards and cannot hold it.
    pub fn current() -> Option<SimClock> {
        CURRENT.with_borrow(Weak::upgrade).map(|inner| SimClock { inner })
    }

    /// Resolves exactly at `at`, whatever the wake-up error is: for what happens in the simulated world, not in
    /// the generator. CPU stalls still delay it.
    pub fn event_at(&self, at: Ns) -> Sleep {
        Sleep { clock: self.clone(), at, key: None }
    }
}

impl Now for SimClock {
    fn now(&self) -> Ns {
        self.inner.now.get()
    }
}

impl Clock for SimClock {
    fn sleep_until(&self, at: Ns) -> impl Future<Output = ()> + 'static {
        let late = match self.inner.late.get() {
            WakeError::None => Ns::ZERO,
            error if at > self.now() => error.draw(&mut self.inner.rng.borrow_mut()),
            _ => Ns::ZERO,
        };
        self.event_at(at + late)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.inner.spawn(Box::pin(task));
    }
}

/// A sleep in virtual time.
pub struct Sleep {
    clock: SimClock,
    at: Ns,
    key: Option<Key>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let inner = self.clock.inner.clone();
        let mut timers = inner.timers.borrow_mut();
        match self.key {
            None if self.at <= inner.now.get() => Poll::Ready(()),
            None => {
                self.key = Some(timers.set(self.at, inner.sleeper(context)));
                Poll::Pending
            }
            Some(key) if timers.is_set(key) => {
                if let Some(sleeper) = timers.sleeper_mut(key) {
                    *sleeper = inner.sleeper(context);
                }
                Poll::Pending
            }
            Some(_) => {
                self.key = None;
                self.at = Ns::ZERO;
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.inner.timers.borrow_mut().cancel(key);
        }
    }
}
