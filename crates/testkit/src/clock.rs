//! The machine's monotonic clock as a [`Now`], for suites that drive protocols over real sockets.

use crucible_core::{Now, Ns};
use std::time::Instant;

/// Nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    origin: Instant,
}

impl WallClock {
    /// A clock that starts now.
    pub fn new() -> WallClock {
        WallClock { origin: instant() }
    }

    /// Where its zero lies.
    pub fn origin(&self) -> Instant {
        self.origin
    }
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

impl Now for WallClock {
    fn now(&self) -> Ns {
        instant().duration_since(self.origin).into()
    }
}

/// The one place of this crate that reads real time.
#[expect(
    clippy::disallowed_methods,
    reason = "real servers impose real delays and must time what they imposed"
)]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
