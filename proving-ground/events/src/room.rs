//! Places in queues that several lanes share, and waiting for one.
//!
//! A lane fills its reserved places first; what it holds beyond them is counted here. Invariants: `used` is the sum
//! of what the lanes hold beyond their reserved places; a push never takes it above `size`; a publisher that waits is
//! woken by every departure after its last attempt.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Locks, also after a panic of another holder: all data behind these locks is valid between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shared places.
#[derive(Debug, Default)]
pub(crate) struct Room {
    used: AtomicI64,
    size: AtomicI64,
    waiters: AtomicUsize,
    door: Mutex<()>,
    freed: Condvar,
}

impl Room {
    /// Takes one place if there is one.
    pub(crate) fn take(&self) -> bool {
        let size = self.size.load(Ordering::SeqCst);
        let one_more = |used: i64| (used < size).then_some(used + 1);
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Gives places back and wakes those who wait; called after every departure, also of none beyond the reserved.
    pub(crate) fn give(&self, places: usize) {
        if places > 0 {
            self.used.fetch_sub(places as i64, Ordering::SeqCst);
        }
        self.wake();
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake(&self) {
        if self.waiters.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.door));
            self.freed.notify_all();
        }
    }

    /// Counts places as used whatever the size, after a lane's reserve has changed.
    pub(crate) fn correct(&self, change: i64) {
        self.used.fetch_add(change, Ordering::SeqCst);
    }

    /// Sets the number of places.
    pub(crate) fn resize(&self, size: usize) {
        self.size.store(size as i64, Ordering::SeqCst);
        self.wake();
    }

    /// Calls `attempt` until it is done with or `give_up` says so; waits in between for a departure.
    pub(crate) fn wait<T>(
        &self,
        mut attempt: impl FnMut() -> Option<T>,
        mut give_up: impl FnMut() -> bool,
    ) -> Option<T> {
        // counted before the attempt: a departure after it sees the waiter
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let mut door = lock(&self.door);
        let result = loop {
            if let Some(done) = attempt() {
                break Some(done);
            }
            if give_up() {
                break None;
            }
            // the limit only bounds how late `give_up` is asked
            let limit = Duration::from_millis(20);
            door = self.freed.wait_timeout(door, limit).unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(door);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        result
    }
}
