//! Time limits at the price of one store: a coarse tick per shard, driven by one task.
//!
//! A limit needs no precision, but arming one must cost nothing beside a request. So time is counted in ticks of
//! 10 ms by a kernel timer, a session writes the tick at which it gives up into its own slot, and the sweeper wakes
//! whoever is overdue. A limit is never early and at most two ticks late. No clock is read. The timer runs only
//! while a slot is armed.

use crucible_core::Ns;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use tokio::io::unix::AsyncFd;

/// Length of a tick.
const TICK: Ns = Ns::from_millis(10);
/// Ticks between looks at whether anything is armed at all.
const IDLE_CHECK: u64 = 64;
/// A slot that waits for nothing.
const NEVER: u64 = u64::MAX;

/// The time limits of one shard. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Deadlines {
    shared: Arc<Shared>,
}

struct Shared {
    /// Ticks so far, while the timer ran.
    tick: AtomicU64,
    /// No slot is due before this tick.
    next_due: AtomicU64,
    running: AtomicBool,
    slots: Mutex<Vec<Weak<Inner>>>,
    timer: AsyncFd<OwnedFd>,
}

struct Inner {
    due: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// One session's time limit.
pub(crate) struct Slot {
    deadlines: Deadlines,
    inner: Arc<Inner>,
    /// The waker that `inner` holds, to notice a change without a lock.
    known: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deadlines {
    /// Sets up the timer; it does not run yet. Needs a runtime with I/O.
    pub(crate) fn new() -> io::Result<Deadlines> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // SAFETY: the timer owns its descriptor, which is neither replaced nor closed while it is registered.
        let timer = unsafe { AsyncFd::register_with_interest(timer, tokio::io::Interest::READABLE) }?;
        Ok(Deadlines {
            shared: Arc::new(Shared {
                tick: AtomicU64::new(0),
                next_due: AtomicU64::new(NEVER),
                running: AtomicBool::new(false),
                slots: Mutex::default(),
                timer,
            }),
        })
    }

    /// A slot that waits for nothing.
    pub(crate) fn slot(&self) -> Slot {
        let inner = Arc::new(Inner { due: AtomicU64::new(NEVER), waker: Mutex::default() });
        let mut slots = lock(&self.shared.slots);
        if slots.len() == slots.capacity() {
            slots.retain(|slot| slot.strong_count() > 0);
        }
        slots.push(Arc::downgrade(&inner));
        Slot { deadlines: self.clone(), inner, known: None }
    }

    #[cold]
    fn start(&self) {
        if self.shared.set_timer(TICK).is_ok() {
            self.shared.running.store(true, Relaxed);
            tokio::spawn(sweep(Arc::clone(&self.shared)));
        }
    }
}

impl Slot {
    /// Gives up `after` from now.
    #[inline]
    pub(crate) fn arm(&self, after: Ns) {
        let shared = &self.deadlines.shared;
        // one tick more: the current one has partly passed
        let due = shared.tick.load(Relaxed).saturating_add(after.0.div_ceil(TICK.0)).saturating_add(1);
        self.inner.due.store(due, Relaxed);
        if due < shared.next_due.load(Relaxed) {
            shared.next_due.store(due, Relaxed);
        }
        if !shared.running.load(Relaxed) {
            self.deadlines.start();
        }
    }

    /// Waits for nothing any more.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.inner.due.store(NEVER, Relaxed);
    }

    /// Whether the limit has passed.
    #[inline]
    pub(crate) fn fired(&self) -> bool {
        self.inner.due.load(Relaxed) <= self.deadlines.shared.tick.load(Relaxed)
    }

    /// Says whom to wake. Costs a comparison while that stays the same.
    #[inline]
    pub(crate) fn register(&mut self, waker: &Waker) {
        if !self.known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.known = Some(waker.clone());
            *lock(&self.inner.waker) = Some(waker.clone());
        }
    }
}

impl Shared {
    fn set_timer(&self, every: Ns) -> io::Result<()> {
        let span = Timespec { tv_sec: 0, tv_nsec: every.0 as _ };
        let value = Itimerspec { it_interval: span, it_value: span };
        rustix::time::timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }

    /// Wakes the overdue; tells whether anything is still armed.
    fn wake_overdue(&self, now: u64) -> bool {
        let mut next = NEVER;
        let mut slots = lock(&self.slots);
        slots.retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            let due = slot.due.load(Relaxed);
            if due <= now {
                if let Some(waker) = lock(&slot.waker).as_ref() {
                    waker.wake_by_ref();
                }
            } else {
                next = next.min(due);
            }
            true
        });
        self.next_due.store(next, Relaxed);
        next != NEVER
    }
}

async fn sweep(shared: Arc<Shared>) {
    let mut checked = shared.tick.load(Relaxed);
    loop {
        let Ok(mut ready) = shared.timer.readable().await else { break };
        let mut expirations = [0u8; 8];
        match rustix::io::read(shared.timer.get_ref(), &mut expirations) {
            Ok(_) => {}
            Err(error) if error == rustix::io::Errno::AGAIN => {
                ready.clear_ready();
                continue;
            }
            Err(_) => break,
        }
        ready.clear_ready();
        let now = shared.tick.load(Relaxed) + u64::from_ne_bytes(expirations);
        shared.tick.store(now, Relaxed);
        let due = now >= shared.next_due.load(Relaxed);
        if due || now >= checked + IDLE_CHECK {
            checked = now;
            if !shared.wake_overdue(now) && !due {
                break;
            }
        }
    }
    shared.running.store(false, Relaxed);
    // a timer that cannot be stopped only costs wake-ups that nobody hears
    let _ = shared.set_timer(Ns::ZERO);
}
