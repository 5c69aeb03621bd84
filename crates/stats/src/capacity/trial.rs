//! Trials: what is proposed, and what came of it.

use super::{Limit, Predicate, Scale};
use crucible_core::{Histogram, Ns};

/// Why a trial is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Growing until something fails: no upper bound is known yet.
    Grow,
    /// Closing in between a load that held and one that did not.
    Narrow,
    /// More than the system can do, for a moment: how much that is tells how fast it gives way below.
    Overload,
    /// Measuring near the edge.
    Measure,
    /// A low load until the system is seen to be well again.
    Recover,
    /// On the way down from a failed load, without recovery.
    Descend,
    /// Looking for the breaking point above the capacity.
    Break,
}

/// One trial to make: `load` for `length`, without a pause after the trial before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// From 1.
    pub number: u32,
    /// Why.
    pub purpose: Purpose,
    /// Arrivals a second, or users (then a whole number).
    pub load: f64,
    /// How long, `settle` included. A caller may end a trial early when [`Search::hopeless`](super::Search::hopeless)
    /// or [`Search::recovered`](super::Search::recovered) says so.
    pub length: Ns,
    /// The part at its beginning that is not counted: the system goes over to the new load.
    pub settle: Ns,
}

/// Share of the way from what an operation takes at least to its limit, from which on it is near the limit.
pub(super) const NEAR: f64 = 2.0 / 3.0;

/// How slow an operation is that is near `limit`, of those that take `least` at least: what is on the way, or done elsewhere,
/// whatever the load, brings none of them near.
pub fn near(least: Ns, limit: Ns) -> Ns {
    let least = least.min(limit);
    Ns(least.0 + (NEAR * (limit.0 - least.0) as f64) as u64)
}

/// Whether of operations of which so many may be bad more are than chance explains, and more than a handful.
pub(super) fn beyond_chance(bad: f64, may: f64) -> bool {
    bad > may + 3.0 * may.sqrt() + 3.0
}

/// A bound on the chance that so few or fewer are bad although on average so many are `due`, each by itself. H. Chernoff, "A
/// measure of asymptotic efficiency", Annals of Mathematical Statistics 23 (1952), for a Poisson count.
pub(super) fn so_few(bad: f64, due: f64) -> f64 {
    if bad >= due {
        return 1.0;
    }
    let both = if bad > 0.0 { bad * (due / bad).ln() } else { 0.0 };
    (bad - due + both).exp()
}

/// What one window says about one predicate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// For [`Limit::Share`]: how many of how many operations were bad.
    Share {
        /// All operations that were due in the window.
        of: u64,
        /// The bad ones among them.
        bad: u64,
        /// Those that were slower than [`near`] says, the bad ones included: how they come in clumps tells how the bad
        /// ones do. The same as `bad` where there is nothing between good and bad, as with errors.
        near: u64,
    },
    /// For [`Limit::Level`]: the mean in the window.
    Level(f64),
    /// Nothing was seen.
    Missing,
}

impl Reading {
    /// Operations slower than `limit`, of those that take `least` at least. `unanswered` (timed out, failed, dropped) count as
    /// slower.
    pub fn slower_than(limit: Ns, least: Ns, answered: &Histogram, unanswered: u64) -> Reading {
        let of = answered.count() + unanswered;
        let slower = |limit| answered.count_above(limit) + unanswered;
        Reading::Share { of, bad: slower(limit), near: slower(near(least, limit)) }
    }
}

/// One window of a trial (about a second, or less where the load is high).
#[derive(Clone, Debug)]
pub struct Window {
    /// How long it is.
    pub length: Ns,
    /// One reading per predicate of the settings, in their order.
    pub readings: Vec<Reading>,
    /// Operations that ended well in it.
    pub done: u64,
    /// Their response times.
    pub response: Histogram,
}

/// What came of a trial, or of its part so far.
#[derive(Clone, Debug)]
pub struct TrialResult {
    /// The trial.
    pub trial: Trial,
    /// All windows from its start on, in order; those within `settle` included.
    pub windows: Vec<Window>,
    /// Whether it was ended before its length, because it was hopeless or all was well again.
    pub ended_early: bool,
}

impl TrialResult {
    /// Time that it took.
    pub fn took(&self) -> Ns {
        self.windows.iter().map(|window| window.length).sum()
    }

    /// Operations that ended well, per second, after the settling part.
    pub fn achieved(&self) -> Option<f64> {
        let counted = self.counted();
        let time: f64 = counted.iter().map(|window| window.length.as_secs_f64()).sum();
        (time > 0.0).then(|| counted.iter().map(|window| window.done).sum::<u64>() as f64 / time)
    }

    /// The windows after the settling part. A trial that was ended within it counts as a whole.
    pub fn counted(&self) -> &[Window] {
        match self.settled() {
            [] => &self.windows,
            settled => settled,
        }
    }

    /// The windows after the settling part: none if it was ended within it.
    pub(super) fn settled(&self) -> &[Window] {
        let mut at = Ns::ZERO;
        for (index, window) in self.windows.iter().enumerate() {
            if at >= self.trial.settle {
                return &self.windows[index..];
            }
            at += window.length;
        }
        &[]
    }

    /// Whether nothing at all ended although much was due: some 20 operations of an arrival rate, or ten windows of users.
    pub(super) fn silent(&self, scale: Scale) -> bool {
        let much = match scale {
            Scale::Rate => self.took().as_secs_f64() * self.trial.load >= 20.0,
            Scale::Users => self.windows.len() >= 10,
        };
        let nothing = |reading: &Reading| {
            matches!(reading, Reading::Missing | Reading::Share { of: 0, .. } | Reading::Level(_))
        };
        much && self.windows.iter().all(|window| window.done == 0 && window.readings.iter().all(nothing))
    }

    /// Ratio of what was seen to what the predicate allows (above 1 it does not hold), without its uncertainty.
    pub fn ratio(&self, index: usize, predicate: &Predicate) -> Option<f64> {
        ratio(self.counted(), index, predicate)
    }
}

impl TrialResult {
    /// Operations that the reading of this predicate is of, in the counted windows.
    pub(super) fn amount(&self, index: usize) -> f64 {
        let of = |window: &Window| match window.readings.get(index) {
            Some(Reading::Share { of, .. }) => *of as f64,
            _ => 0.0,
        };
        self.counted().iter().map(of).sum()
    }
}

/// See [`TrialResult::ratio`].
pub(super) fn ratio(windows: &[Window], index: usize, predicate: &Predicate) -> Option<f64> {
    let (mut all, mut sum) = (0.0, 0.0);
    for window in windows {
        match window.readings.get(index) {
            Some(Reading::Share { of, bad, .. }) => {
                all += *of as f64;
                sum += (*bad).min(*of) as f64;
            }
            Some(Reading::Level(value)) if value.is_finite() => {
                all += window.length.as_secs_f64();
                sum += value * window.length.as_secs_f64();
            }
            _ => {}
        }
    }
    let allowed = match predicate.limit {
        Limit::Share(share) => share,
        Limit::Level(level) => level,
    };
    (all > 0.0).then(|| sum / all / allowed)
}
