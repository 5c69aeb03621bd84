//! The real clock of a shard: CLOCK_MONOTONIC and one timerfd that carries all of the shard's sleeps.
//!
//! Tokio's own timers tick in milliseconds. A timerfd in the shard's epoll set, with the thread's timer slack set to
//! 1 ns, wakes within tens of microseconds and costs one system call for a wait that becomes the earliest. Instants
//! that latency is measured from are met more closely: the timer is set a little early and the rest is spent polling
//! the shard's sockets, as long as that takes no more than a fifth of the wait.
//! Invariant: sleeps of one shard are served in the order of their instants, equal ones in the order of their begin.

use crucible_core::{Clock, Histogram, Now, Ns};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// The timer could not be made; the operating system's reason.
#[derive(Debug)]
pub struct TimerError(pub std::io::Error);

impl std::fmt::Display for TimerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to make a timer: {}", self.0)
    }
}

impl std::error::Error for TimerError {}

/// The instant that a run counts from; the only reader of the machine's clock in the doing tower.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// An epoch that begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the run's clock is read")]
    pub fn start() -> Epoch {
        Epoch(Instant::now())
    }
}

impl Now for Epoch {
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the run's clock is read")]
    fn now(&self) -> Ns {
        Ns(Instant::now().duration_since(self.0).as_nanos() as u64)
    }
}

struct Slot {
    generation: u32,
    fired: bool,
    waker: Option<Waker>,
}

/// Polling takes at most one part in so many of a wait.
pub const POLL_SHARE: u64 = 5;

/// A sleep in the heap: instant, order of begin, slot, generation of the slot.
type Entry = (Ns, u64, u32, u32);

struct Timers {
    epoch: Epoch,
    heap: RefCell<BinaryHeap<Reverse<Entry>>>,
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    begun: Cell<u64>,
    /// What the timerfd is set to; `Ns::MAX` when it is not.
    armed: Cell<Ns>,
    driver: AsyncFd<OwnedFd>,
    /// How much before a measured instant the polling begins; zero: never.
    early: Ns,
    started: Cell<bool>,
}

/// The clock of one shard. Made inside the shard's runtime, on its thread.
#[derive(Clone)]
pub struct RealClock(Rc<Timers>);

impl RealClock {
    /// A clock that counts from `epoch` and polls for the last `early` of a wait for a measured instant. Must be called within a tokio runtime with I/O on a `LocalSet`.
    pub fn new(epoch: Epoch, early: Ns) -> Result<RealClock, TimerError> {
        // SAFETY: prctl with PR_SET_TIMERSLACK takes one integer and changes only this thread's slack.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
        let fd = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )
        .map_err(|e| TimerError(e.into()))?;
        // SAFETY: the descriptor is owned by the AsyncFd and is neither replaced nor closed before it.
        let driver = unsafe { AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) }
            .map_err(|e| TimerError(e.into()))?;
        Ok(RealClock(Rc::new(Timers {
            epoch,
            heap: RefCell::default(),
            slots: RefCell::default(),
            free: RefCell::default(),
            begun: Cell::new(0),
            armed: Cell::new(Ns::MAX),
            driver,
            early,
            started: Cell::new(false),
        })))
    }

    /// Serves this clock's sleeps; runs until dropped. Started by the first sleep.
    async fn drive(timers: Rc<Timers>) {
        loop {
            match timers.driver.readable().await {
                // Re-arming resets the expiry count, and each expiry is a new edge: the timer need not be read.
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => return,
            }
            timers.armed.set(Ns::MAX);
            timers.fire();
        }
    }
}

impl Timers {
    /// Wakes all sleeps that are due and sets the timer to the next one.
    fn fire(&self) {
        let mut now = self.epoch.now();
        loop {
            let next = self.heap.borrow().peek().map(|Reverse(entry)| *entry);
            let Some((at, _, slot, generation)) = next else { return };
            if at > now {
                now = self.epoch.now();
                if at > now {
                    self.arm(at, now);
                    return;
                }
            }
            self.heap.borrow_mut().pop();
            let waker = {
                let mut slots = self.slots.borrow_mut();
                let slot = &mut slots[slot as usize];
                if slot.generation != generation {
                    continue;
                }
                slot.fired = true;
                slot.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn arm(&self, at: Ns, now: Ns) {
        if self.armed.get() <= at {
            return;
        }
        let wait = at.since(now).0.max(1);
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: (wait / 1_000_000_000) as i64,
                tv_nsec: (wait % 1_000_000_000) as _,
            },
        };
        // Cannot fail: the descriptor is a timer and the value is in range.
        let _ = rustix::time::timerfd_settime(self.driver.get_ref(), TimerfdTimerFlags::empty(), &spec);
        self.armed.set(at);
    }

    fn enter(&self, at: Ns, now: Ns, waker: Waker) -> (u32, u32) {
        let mut slots = self.slots.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => index,
            None => {
                slots.push(Slot { generation: 0, fired: false, waker: None });
                (slots.len() - 1) as u32
            }
        };
        let slot = &mut slots[index as usize];
        slot.fired = false;
        slot.waker = Some(waker);
        let order = self.begun.get();
        self.begun.set(order + 1);
        self.heap.borrow_mut().push(Reverse((at, order, index, slot.generation)));
        self.arm(at, now);
        (index, slot.generation)
    }

    fn leave(&self, index: u32) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.waker = None;
        self.free.borrow_mut().push(index);
    }
}

impl Now for RealClock {
    #[inline]
    fn now(&self) -> Ns {
        self.0.epoch.now()
    }
}

impl Clock for RealClock {
    fn sleep_until(&self, at: Ns) -> impl Future<Output = ()> + 'static {
        if !self.0.started.replace(true) {
            tokio::task::spawn_local(RealClock::drive(Rc::clone(&self.0)));
        }
        Sleep { timers: Rc::clone(&self.0), at, entry: None }
    }

    fn sleep_exactly_until(&self, at: Ns) -> impl Future<Output = ()> + 'static {
        let early = self.0.early;
        let wait = at.since(self.now());
        let polls = early > Ns::ZERO && wait.0 >= early.0 * POLL_SHARE;
        let sleep = self.sleep_until(if polls { at - early } else { at });
        let timers = Rc::clone(&self.0);
        async move {
            sleep.await;
            while polls && timers.epoch.now() < at {
                // Lets the runtime look at its sockets before it comes back here.
                tokio::task::yield_now().await;
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }
}

struct Sleep {
    timers: Rc<Timers>,
    at: Ns,
    entry: Option<(u32, u32)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((index, _)) = self.entry {
            let mut slots = self.timers.slots.borrow_mut();
            let slot = &mut slots[index as usize];
            if slot.fired {
                drop(slots);
                self.timers.leave(index);
                self.entry = None;
                return Poll::Ready(());
            }
            match &mut slot.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                other => *other = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let now = self.timers.epoch.now();
        if now >= self.at {
            return Poll::Ready(());
        }
        let entry = self.timers.enter(self.at, now, cx.waker().clone());
        self.entry = Some(entry);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((index, _)) = self.entry {
            self.timers.leave(index);
        }
    }
}

/// Measures how late this machine wakes a sleeping shard: `times` sleeps of `gap` each, on the calling thread.
pub fn measure_wakeups(times: u32, gap: Ns) -> Result<Histogram, TimerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(TimerError)?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clock = RealClock::new(Epoch::start(), Ns::ZERO)?;
        let mut late = Histogram::default();
        let mut at = clock.now();
        for _ in 0..times {
            at = clock.now().max(at + gap);
            clock.sleep_until(at).await;
            late.record(clock.now().since(at));
        }
        Ok(late)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_end_in_the_order_of_their_instants_and_never_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let clock = RealClock::new(Epoch::start(), Ns::ZERO).unwrap();
            let order = Rc::new(RefCell::new(Vec::new()));
            let base = clock.now();
            for (name, millis) in [(3, 6), (1, 2), (2, 4), (0, 0)] {
                let (clock2, order) = (clock.clone(), Rc::clone(&order));
                let at = base + Ns::from_millis(millis);
                clock.spawn(async move {
                    clock2.sleep_until(at).await;
                    assert!(clock2.now() >= at);
                    order.borrow_mut().push(name);
                });
            }
            clock.sleep_until(base + Ns::from_millis(8)).await;
            assert_eq!(*order.borrow(), [0, 1, 2, 3]);
        });
    }

    #[test]
    fn a_measured_instant_is_never_met_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let clock = RealClock::new(Epoch::start(), Ns::from_micros(50)).unwrap();
            for micros in [10, 400, 900, 3000] {
                let at = clock.now() + Ns::from_micros(micros);
                clock.sleep_exactly_until(at).await;
                assert!(clock.now() >= at);
            }
        });
    }

    #[test]
    fn a_dropped_sleep_leaves_the_others_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let clock = RealClock::new(Epoch::start(), Ns::ZERO).unwrap();
            let base = clock.now();
            let mut first = Box::pin(clock.sleep_until(base + Ns::from_millis(1)));
            futures_util::future::poll_fn(|cx| {
                assert!(first.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(first);
            clock.sleep_until(base + Ns::from_millis(3)).await;
            assert!(clock.0.heap.borrow().is_empty());
        });
    }
}
