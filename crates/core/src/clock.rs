//! Time as a parameter.

use crate::Ns;
use std::future::Future;

/// The present instant of the run; object-safe, so that a [`crate::Probe`] can carry it.
pub trait Now {
    /// Nanoseconds since the start of the run. Never goes backwards.
    fn now(&self) -> Ns;
}

/// A clock that one shard lives by. Cheap to clone; not shared between threads.
///
/// `spawn` belongs here because the simulator must own both time and tasks to advance them together.
pub trait Clock: Now + Clone + 'static {
    /// Resolves at `at` or as soon after as the implementation can; at once if `at` has passed.
    fn sleep_until(&self, at: Ns) -> impl Future<Output = ()> + 'static;

    /// As `sleep_until`, for instants that are measured from: an implementation may spend CPU time to be closer.
    fn sleep_exactly_until(&self, at: Ns) -> impl Future<Output = ()> + 'static {
        self.sleep_until(at)
    }

    /// Runs a future on this shard.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
}
