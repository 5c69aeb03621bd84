//! Time: the only place of this crate that reads a clock, and a clock for tests.

use crucible_core::{Ns, clock::Now};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A clock that threads share.
pub type SharedClock = Arc<dyn Now + Send + Sync>;

/// The machine's monotonic clock; zero is its creation.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(Instant);

impl MonotonicClock {
    /// Starts at zero now.
    pub fn start() -> MonotonicClock {
        MonotonicClock(instant())
    }
}

#[expect(clippy::disallowed_methods, reason = "a live bus times its own events; tests inject a ManualClock")]
fn instant() -> Instant {
    Instant::now()
}

impl Now for MonotonicClock {
    fn now(&self) -> Ns {
        instant().duration_since(self.0).into()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Moves it forward by `span`.
    pub fn advance(&self, span: Ns) {
        self.0.fetch_add(span.0, Ordering::SeqCst);
    }
}

impl Now for ManualClock {
    fn now(&self) -> Ns {
        Ns(self.0.load(Ordering::SeqCst))
    }
}
