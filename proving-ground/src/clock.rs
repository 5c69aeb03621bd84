//! The server's own time: the only place of this crate that reads clocks.
//!
//! Holding a request for an exact time needs finer instants than the runtime's timer (1 ms ticks) gives, so one
//! thread waits on a condition variable for the earliest of all deadlines and wakes the requests from there.

use crucible_core::Ns;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU64;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a server stamps its rows with the wall clock")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Microseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a server stamps its rows with the wall clock")]
pub(crate) fn unix_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "a server measures its own latency and waits for deadlines")]
fn now() -> Instant {
    Instant::now()
}

/// A point in time to measure from.
#[derive(Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    /// Starts now.
    pub(crate) fn start() -> Watch {
        Watch(now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Ns {
        now().duration_since(self.0).into()
    }
}

/// Nanoseconds since the Unix epoch on a clock that never goes back: read once, then counted on.
pub(crate) struct WallClock {
    began: Ns,
    since: Watch,
}

impl WallClock {
    /// Reads the wall clock.
    pub(crate) fn start() -> WallClock {
        WallClock { began: Ns::from_millis(unix_ms()), since: Watch::start() }
    }

    /// Now.
    pub(crate) fn now(&self) -> Ns {
        self.began + self.since.elapsed()
    }

    /// Time since the start.
    pub(crate) fn age(&self) -> Ns {
        self.since.elapsed()
    }
}

/// Burns processor time of this thread. Blocks.
pub(crate) fn burn(time: Ns) {
    let used = || {
        let spec = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Ns(spec.tv_sec.unsigned_abs() * 1_000_000_000 + spec.tv_nsec.unsigned_abs())
    };
    let end = used() + time;
    while used() < end {
        std::hint::spin_loop();
    }
}

/// Blocks this thread for about `length`.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread whose work is the time that passes has nothing to wait for"
)]
pub(crate) fn nap(length: Duration) {
    std::thread::sleep(length);
}

struct Waiting {
    at: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.at == other.at
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[derive(Default)]
struct Queue {
    waiting: BinaryHeap<Reverse<Waiting>>,
    closed: bool,
}

/// Wakes tasks at instants. Dropping it ends its thread; tasks that still wait are woken at once.
pub(crate) struct Timer {
    shared: Arc<(Mutex<Queue>, Condvar)>,
}

impl Timer {
    /// Starts the thread. Errors if the machine has no thread to give.
    pub(crate) fn start() -> Result<Timer, String> {
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("timer".into())
            .spawn(move || {
                // by default the kernel may wake us 50 us late to save power; if it keeps that, we are that late
                let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
                wait_for_deadlines(&theirs);
            })
            .map_err(|e| format!("cannot start the timer thread: {e}"))?;
        Ok(Timer { shared })
    }

    /// Resolves `length` from now.
    pub(crate) async fn hold(&self, length: Ns) {
        if length == Ns::ZERO {
            return;
        }
        let (wake, woken) = oneshot::channel();
        let at = now() + Duration::from(length);
        {
            let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waiting.push(Reverse(Waiting { at, wake }));
        }
        self.shared.1.notify_one();
        // an error means that the timer is gone, which ends the wait
        let _ = woken.await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.1.notify_one();
    }
}

fn wait_for_deadlines((queue, changed): &(Mutex<Queue>, Condvar)) {
    let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
    while !guard.closed {
        let Some(Reverse(next)) = guard.waiting.peek() else {
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = next.at.saturating_duration_since(now());
        if left.is_zero() {
            if let Some(Reverse(due)) = guard.waiting.pop() {
                // the request may have been given up meanwhile
                let _ = due.wake.send(());
            }
        } else {
            guard = changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
    guard.waiting.clear();
}

/// Resolves after about `length`, to the runtime's granularity; for limits, not for measurement.
#[expect(clippy::disallowed_methods, reason = "the bound on draining needs no precision")]
pub(crate) async fn about(length: Duration) {
    tokio::time::sleep(length).await;
}
