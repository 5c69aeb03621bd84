//! Whether we ourselves were late in a trial, by the question that the trial is to answer.
//!
//! A run is invalid when it was late by more than a tenth of a median response: its figures are times. A search only asks
//! which operations took longer than a limit. Lateness changes the answer in two ways, and both are bounded here against that
//! limit, not against a fixed time:
//!
//! * An operation that was begun late may be counted as too slow; none is counted as fast for it. Where a trial is to measure
//!   (beside the edge), those that were late by more than a tenth of the limit are at most a tenth of the operations that were,
//!   or may be, too slow. (The others would have had to come within a tenth of the limit.) Where it is only to say whether a
//!   load holds (growing, closing in), a trial that held did so in spite of lateness, and one that did not is void only if it
//!   would hold without the late operations. Never may they be more than a twentieth of all: that would not be the load.
//! * All operations may be shifted. The median of lateness is at most a hundredth of the limit; even where the tail falls to 1 %
//!   at the limit (as that of a queue does: `exp(-4.6 t / limit)`) that changes the share of bad ones by 5 % and, as this share
//!   changes e-fold within some percent of load, the capacity by some tenths of a percent.
//!
//! Where no latency is asked for, lateness only has to leave the load as it is: the limit is a second. A generator that is too
//! slow is late by more with each second of a trial, and meets neither.

use super::load::Target;
use crucible_core::{Histogram, Ns};
use crucible_record::Window;
use crucible_stats::capacity::{Limit, Purpose, Role, TrialResult};

/// The limit where no latency is asked for.
const NO_LIMIT: Ns = Ns::from_secs(1);
/// What an operation may be late by, and what the median may, as shares of the limit.
const LATE: f64 = 0.1;
const SHIFT: f64 = 0.01;
/// So much of what may be bad may be late.
const PART: f64 = 0.1;
/// So much of all may be late at the most.
const MOST: f64 = 0.05;
/// Of fewer operations nothing is said.
const FEWEST: u64 = 200;
/// The clock and the timer are not finer than this.
const FINEST: Ns = Ns::from_millis(1);

/// Why a trial says nothing about the target: our own lateness was more than the question bears.
pub(super) fn late(windows: &[Window], target: &Target, result: &TrialResult) -> Option<String> {
    let mut lag = Histogram::default();
    windows.iter().for_each(|window| lag.merge(&window.lag.generator));
    let limits = target.predicates.iter().enumerate().filter(|(_, one)| one.role == Role::Target);
    // the share of bad operations as a multiple of what is allowed, and what is allowed
    let told = limits.map(|(index, one)| match one.limit {
        Limit::Share(share) => (share, result.ratio(index, one).unwrap_or(0.0)),
        Limit::Level(_) => (0.01, 0.0),
    });
    let (allowed, seen) =
        told.fold((MOST, 0.0_f64), |all, one| (f64::min(all.0, one.0), f64::max(all.1, one.1)));
    // of users only whether they fit is asked for, beside the edge as elsewhere
    let measures = result.trial.purpose == Purpose::Measure && !target.users;
    judge(&lag, target.limit().unwrap_or(NO_LIMIT), Question { allowed, seen, measures })
}

/// What a trial is to say.
#[derive(Clone, Copy)]
struct Question {
    /// The least share of operations that may be bad.
    allowed: f64,
    /// The largest multiple of what is allowed that was seen.
    seen: f64,
    /// Whether the share itself is asked for, or only whether it is allowed.
    measures: bool,
}

impl Question {
    /// The share of operations that may be late.
    fn bears(self) -> f64 {
        let share = match self.measures {
            true => PART * self.allowed * self.seen.max(1.0),
            false if self.seen <= 1.0 => MOST,
            false => (self.seen - 1.0) * self.allowed,
        };
        share.clamp(PART * self.allowed, MOST)
    }
}

fn judge(lag: &Histogram, limit: Ns, question: Question) -> Option<String> {
    let count = lag.count();
    if count < FEWEST {
        return None;
    }
    let part = |share: f64| Ns((limit.0 as f64 * share) as u64).max(FINEST);
    let (by, shift) = (part(LATE), part(SHIFT));
    let late = lag.count_above(by);
    // three of a chance that small are still chance
    let most = (count as f64 * question.bears()).max(3.0);
    let median = lag.quantile(0.5).unwrap_or(Ns::ZERO);
    if late as f64 > most {
        Some(format!("{late} of {count} operations began more than {by} late, {most:.0} may"))
    } else if median > shift {
        Some(format!("half of the operations began more than {median} late, {shift} are allowed"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(parts: &[(u64, Ns)]) -> Histogram {
        let mut lag = Histogram::default();
        parts.iter().for_each(|(times, value)| lag.record_many(*value, *times));
        lag
    }

    const MEASURE: Question = Question { allowed: 0.01, seen: 1.0, measures: true };

    #[test]
    fn lateness_counts_by_the_limit_that_is_judged() {
        let limit = Ns::from_millis(100);
        let busy = [(9_900, Ns::from_micros(80)), (95, Ns::from_millis(6)), (5, Ns::from_millis(30))];
        assert_eq!(judge(&lag(&busy), limit, MEASURE), None);
        // the same is too much where 10 ms are asked for
        let told = judge(&lag(&busy), Ns::from_millis(10), MEASURE).unwrap();
        assert!(told.contains("100 of 10000 operations began more than 1.00ms late, 10 may"), "{told}");
        // all are shifted, none by much
        let shifted = judge(&lag(&[(10_000, Ns::from_millis(5))]), limit, MEASURE).unwrap();
        assert!(shifted.contains("1.00ms are allowed"), "{shifted}");
        assert_eq!(judge(&lag(&[(199, Ns::from_secs(1))]), limit, MEASURE), None);
    }

    #[test]
    fn only_what_could_change_the_answer_voids_a_trial() {
        let limit = Ns::from_millis(100);
        // one in a hundred is late
        let lag = lag(&[(9_900, Ns::from_micros(80)), (100, Ns::from_millis(30))]);
        let void = |seen, measures| judge(&lag, limit, Question { allowed: 0.01, seen, measures }).is_some();
        assert!(!void(0.9, false), "it held all the same");
        assert!(void(1.5, false), "without them it might hold");
        assert!(!void(20.0, false), "it fails without them as well");
        assert!(void(0.9, true) && void(1.5, true), "the share is asked for");
    }

    #[test]
    fn a_generator_that_cannot_make_the_load_is_late_whatever_is_asked() {
        let behind = lag(&[(2_000, Ns::from_millis(500)), (2_000, Ns::from_millis(2_500))]);
        for (seen, measures) in [(0.0, false), (50.0, false), (50.0, true)] {
            assert!(judge(&behind, NO_LIMIT, Question { allowed: 0.05, seen, measures }).is_some());
        }
    }
}
