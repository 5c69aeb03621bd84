//! The router's workers and the list of lanes that have events.

use crate::bus::BusError;
use crate::clock::SharedClock;
use crate::room::lock;
use crate::service::{Scratch, Service};
use crate::settings::Settings;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long lanes may stand ready without any being taken before a worker is added.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long an additional worker waits for work before it ends.
const SPARE: Duration = Duration::from_secs(1);

/// How often a worker without work looks again before it sleeps, each time giving way to others: some 5 us on an
/// idle machine. (Measured: 1.9 million events/s with 16 to 60 against 1.0 million without.)
const SPINS: u32 = 16;

#[derive(Default)]
struct Ready {
    lanes: VecDeque<Arc<Service>>,
    idle: usize,
    workers: usize,
    taken: u64,
    closed: bool,
    /// One worker looks for work without sleeping; nobody needs to be woken.
    spinning: bool,
    /// The overseer waits for the first lane.
    overseer_rests: bool,
}

struct Shared {
    ready: Mutex<Ready>,
    /// Lanes came, or the end.
    came: Condvar,
    /// The overseer waits here: for the first lane, and for the end.
    overseer: Condvar,
    /// Number of ready lanes, for the worker that looks without the lock.
    lanes: AtomicUsize,
    base: usize,
    clock: SharedClock,
    settings: Settings,
}

impl Shared {
    /// Looks for ready lanes for a moment: under load it is far cheaper to be awake when the next event comes than to
    /// be woken for it.
    fn spin(&self) {
        for _ in 0..SPINS {
            if self.lanes.load(Ordering::Acquire) > 0 {
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// The workers.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// Starts one worker per core and one that adds more when they are all held up.
    pub(crate) fn start(clock: SharedClock, settings: Settings) -> Result<Pool, BusError> {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Arc::new(Shared {
            ready: Mutex::default(),
            came: Condvar::new(),
            overseer: Condvar::new(),
            lanes: AtomicUsize::new(0),
            base: cores.min(settings.concurrency.max(1)),
            clock,
            settings,
        });
        let pool = Pool { shared: Arc::clone(&shared) };
        for _ in 0..shared.base {
            lock(&shared.ready).workers += 1;
            spawn(&shared, work)?;
        }
        spawn(&shared, oversee)?;
        Ok(pool)
    }

    /// Puts a lane that has become non-empty into the list.
    pub(crate) fn ready(&self, service: &Arc<Service>) {
        let mut ready = lock(&self.shared.ready);
        ready.lanes.push_back(Arc::clone(service));
        self.shared.lanes.store(ready.lanes.len(), Ordering::Release);
        let (idle, rests) = (ready.idle > 0 && !ready.spinning, ready.overseer_rests);
        drop(ready);
        if idle {
            self.shared.came.notify_one();
        } else if rests {
            self.shared.overseer.notify_one();
        }
    }

    /// Workers end when nothing is left.
    pub(crate) fn close(&self) {
        lock(&self.shared.ready).closed = true;
        self.shared.came.notify_all();
        self.shared.overseer.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(shared: &Arc<Shared>, run: fn(&Shared, &Arc<Shared>)) -> Result<(), BusError> {
    let theirs = Arc::clone(shared);
    std::thread::Builder::new()
        .name("router".into())
        .spawn(move || run(&theirs, &theirs))
        .map(drop)
        .map_err(|e| BusError::Threads(e.to_string()))
}

fn work(shared: &Shared, _: &Arc<Shared>) {
    let mut scratch = Scratch::default();
    let mut back: Option<Arc<Service>> = None;
    while let Some(service) = next(shared, back.take()) {
        let more = service.run_batch(&shared.clock, &shared.settings, &mut scratch);
        back = more.then_some(service);
    }
}

/// Puts a lane back and takes the next; `None` ends the worker.
fn next(shared: &Shared, back: Option<Arc<Service>>) -> Option<Arc<Service>> {
    let mut ready = lock(&shared.ready);
    ready.lanes.extend(back);
    loop {
        if let Some(service) = ready.lanes.pop_front() {
            ready.taken += 1;
            shared.lanes.store(ready.lanes.len(), Ordering::Release);
            if !ready.lanes.is_empty() {
                if ready.idle > 0 && !ready.spinning {
                    shared.came.notify_one();
                }
                // this worker may be held up by what it has taken
                if ready.overseer_rests {
                    shared.overseer.notify_one();
                }
            }
            return Some(service);
        }
        if ready.closed {
            ready.workers -= 1;
            return None;
        }
        if !ready.spinning {
            ready.spinning = true;
            drop(ready);
            shared.spin();
            ready = lock(&shared.ready);
            ready.spinning = false;
            if !ready.lanes.is_empty() {
                continue;
            }
        }
        ready.idle += 1;
        let (guard, waited) = if ready.workers > shared.base {
            let result = shared.came.wait_timeout(ready, SPARE).unwrap_or_else(PoisonError::into_inner);
            (result.0, result.1.timed_out())
        } else {
            (shared.came.wait(ready).unwrap_or_else(PoisonError::into_inner), false)
        };
        ready = guard;
        ready.idle -= 1;
        if waited && ready.lanes.is_empty() && ready.workers > shared.base {
            ready.workers -= 1;
            return None;
        }
    }
}

/// Adds a worker whenever lanes have stood ready for a while and none was taken: then all are held up by handlers.
fn oversee(shared: &Shared, own: &Arc<Shared>) {
    let mut ready = lock(&shared.ready);
    while !ready.closed || !ready.lanes.is_empty() {
        if ready.lanes.is_empty() {
            ready.overseer_rests = true;
            ready = shared.overseer.wait(ready).unwrap_or_else(PoisonError::into_inner);
            ready.overseer_rests = false;
            continue;
        }
        let taken = ready.taken;
        let same = |ready: &mut Ready| ready.taken == taken;
        let waited = shared.overseer.wait_timeout_while(ready, PATIENCE, same);
        ready = waited.unwrap_or_else(PoisonError::into_inner).0;
        let stuck = !ready.lanes.is_empty() && ready.taken == taken && ready.idle == 0;
        if stuck && ready.workers < shared.settings.concurrency {
            ready.workers += 1;
            drop(ready);
            let started = spawn(own, work).is_ok();
            ready = lock(&shared.ready);
            // without a thread to give, the workers that there are go on
            ready.workers -= usize::from(!started);
        }
    }
}
