//! Workers: requests are worked on by so many at once, first come, first served.
//!
//! A timer wakes and a place is handed on some tenths of a millisecond late. Were the next service counted from then, a
//! busy worker would take longer than the drawn times and the system carry less than its switches say. So a place knows
//! since when it is free, and what waited for it is taken to have begun then.

use crate::clock::{Timer, WallClock};
use crucible_core::Ns;
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// All workers.
pub(super) struct Workers {
    places: Semaphore,
    size: usize,
    free: Mutex<Free>,
}

/// A worker that is taken; free again when dropped.
pub(super) struct Place<'a> {
    workers: &'a Workers,
    clock: &'a WallClock,
    _permit: SemaphorePermit<'a>,
    /// How far we are behind the time of the worker.
    late: Ns,
}

impl Workers {
    pub(super) fn new(size: usize) -> Workers {
        Workers { places: Semaphore::new(size), size, free: Mutex::default() }
    }

    /// One of them, when one is free.
    pub(super) async fn take<'a>(&'a self, clock: &'a WallClock) -> Option<Place<'a>> {
        let arrived = clock.now();
        let permit = self.places.acquire().await.ok()?;
        let begin = self.free.lock().unwrap_or_else(PoisonError::into_inner).begin(arrived);
        let late = Ns(clock.now().0.saturating_sub(begin.0));
        Some(Place { workers: self, clock, _permit: permit, late })
    }

    /// Workers, and those that are busy.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.size, self.size.saturating_sub(self.places.available_permits()))
    }
}

impl Place<'_> {
    /// Passes when a service of this length, begun in the worker's time, is done.
    pub(super) async fn serve(&mut self, timer: &Timer, service: Ns) {
        let due = (self.clock.now() + service).0.saturating_sub(self.late.0);
        timer.hold(Ns(service.0.saturating_sub(self.late.0))).await;
        self.late = Ns(self.clock.now().0.saturating_sub(due));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let since = Ns(self.clock.now().0.saturating_sub(self.late.0));
        self.workers.free.lock().unwrap_or_else(PoisonError::into_inner).since.push(since);
    }
}

/// Since when workers are free, as far as they were ever busy.
#[derive(Default)]
struct Free {
    since: Vec<Ns>,
}

impl Free {
    /// When the service of what arrived then begins: the worker that is free for longest takes it.
    fn begin(&mut self, arrived: Ns) -> Ns {
        let longest = self.since.iter().enumerate().min_by_key(|(_, since)| **since).map(|(index, _)| index);
        longest.map_or(arrived, |index| self.since.swap_remove(index).max(arrived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_begins_when_a_worker_became_free_and_what_comes_later_when_it_comes() {
        let mut free = Free { since: vec![Ns(70), Ns(40)] };
        assert_eq!(free.begin(Ns(10)), Ns(40));
        assert_eq!(free.begin(Ns(90)), Ns(90));
        assert_eq!(free.begin(Ns(5)), Ns(5), "one that was never busy");
    }
}
