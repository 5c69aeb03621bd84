//! Points and spans of run time in nanoseconds.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// A point on the run's clock, or a span between two such points, in nanoseconds.
///
/// Zero is the start of the run. Subtraction saturates: lateness is never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ns(pub u64);

impl Ns {
    /// The start of the run, or an empty span.
    pub const ZERO: Ns = Ns(0);
    /// Later than any run.
    pub const MAX: Ns = Ns(u64::MAX);

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Ns {
        Ns(secs * 1_000_000_000)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Ns {
        Ns(millis * 1_000_000)
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Ns {
        Ns(micros * 1_000)
    }

    /// A span of fractional seconds, rounded to the nearest nanosecond; negative or NaN becomes zero.
    pub fn from_secs_f64(secs: f64) -> Ns {
        let ns = secs * 1e9;
        if ns > 0.0 { Ns(ns.round() as u64) } else { Ns::ZERO }
    }

    /// The span in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span in milliseconds.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// `self - earlier`, or zero if `earlier` is later.
    pub const fn since(self, earlier: Ns) -> Ns {
        Ns(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Ns {
    type Output = Ns;
    fn add(self, other: Ns) -> Ns {
        Ns(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Ns {
    fn add_assign(&mut self, other: Ns) {
        *self = *self + other;
    }
}

impl Sub for Ns {
    type Output = Ns;
    fn sub(self, other: Ns) -> Ns {
        self.since(other)
    }
}

impl Sum for Ns {
    fn sum<I: Iterator<Item = Ns>>(iter: I) -> Ns {
        iter.fold(Ns::ZERO, Add::add)
    }
}

impl From<std::time::Duration> for Ns {
    fn from(duration: std::time::Duration) -> Ns {
        Ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Ns> for std::time::Duration {
    fn from(ns: Ns) -> std::time::Duration {
        std::time::Duration::from_nanos(ns.0)
    }
}

/// Three significant digits in the unit that reads best: `840ns`, `12.5us`, `3.40ms`, `1.20s`, `2m05s`.
impl fmt::Display for Ns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&crate::units::show_duration(*self))
    }
}
