//! What one trial says about one predicate, and what overload says of the throughput.

use super::{Limit, Reading, Scale, TrialResult};
use crucible_core::Ns;

/// What one window says about one predicate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The amount: operations, or 1.
    pub(super) all: f64,
    /// Bad ones, or the level as a ratio of its limit.
    pub(super) sum: f64,
    /// Those near the limit, the bad ones included.
    pub(super) near: f64,
}

/// What one trial says about one predicate.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) load: f64,
    /// Per window.
    pub(super) windows: Vec<Piece>,
    pub(super) all: f64,
    pub(super) sum: f64,
    /// As `sum` of those near the limit.
    pub(super) near: f64,
    /// Whether it only says that the share is at least what was seen: it was ended while things got worse.
    pub(super) least: bool,
}

impl Evidence {
    /// Of the counted windows of a trial; `None` if they say nothing. A trial in which nothing ended although much was
    /// due says that all of it was bad.
    pub(super) fn of(result: &TrialResult, index: usize, limit: Limit, scale: Scale) -> Option<Evidence> {
        let windows: Vec<Piece> = result
            .counted()
            .iter()
            .filter_map(|window| match (window.readings.get(index)?, limit) {
                (Reading::Share { of, bad, near }, Limit::Share(_)) if *of > 0 => {
                    let least = |count: &u64| (*count).min(*of) as f64;
                    Some(Piece { all: *of as f64, sum: least(bad), near: least(near) })
                }
                (Reading::Level(value), Limit::Level(most)) if value.is_finite() => {
                    let sum = value.max(0.0) / most;
                    Some(Piece { all: 1.0, sum, near: sum })
                }
                _ => None,
            })
            .collect();
        let windows = match limit {
            Limit::Share(_) if windows.is_empty() && result.silent(scale) => {
                vec![Piece { all: SILENT, sum: SILENT, near: SILENT }]
            }
            _ => windows,
        };
        let total = |of: fn(&Piece) -> f64| -> f64 { windows.iter().map(of).sum() };
        let (mut all, sum, near) = (total(|one| one.all), total(|one| one.sum), total(|one| one.near));
        if matches!(limit, Limit::Share(_)) && result.ended_early {
            all *= longer(result);
        }
        (all > 0.0).then_some(Evidence {
            load: result.trial.load,
            windows,
            all,
            sum,
            near,
            least: result.ended_early,
        })
    }
}

/// How many times as long as its counted windows the trial should have been, of one that was ended because so much was bad: all
/// the rest of its time counts as good. It was ended in the worst of moments, and what was seen until then is more than the load
/// would do to the system on the whole.
fn longer(result: &TrialResult) -> f64 {
    let counted = result.counted();
    let length = |windows: &[super::Window]| windows.iter().map(|one| one.length.as_secs_f64()).sum::<f64>();
    let whole = counted.len() == result.windows.len();
    let planned = result.trial.length.as_secs_f64()
        - if whole { 0.0 } else { length(&result.windows) - length(counted) };
    (planned / length(counted).max(1e-9)).max(1.0)
}

/// Operations that a silent trial counts for.
const SILENT: f64 = 1000.0;

/// The throughput of a system that has more to do than it can, in operations a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ceiling {
    pub(super) rate: f64,
    /// Its standard error, as a share.
    pub(super) error: f64,
}

impl Ceiling {
    /// Of the trials in which clearly less was done than asked for; `None` if there are none, or for users. Only of the time
    /// after a trial's begin: until what was asked for first is done, less is done than can be.
    pub(super) fn of(trials: &[TrialResult], scale: Scale) -> Option<Ceiling> {
        let (mut done, mut time) = (0.0, 0.0);
        for trial in trials.iter().filter(|one| scale == Scale::Rate && one.trial.settle > Ns::ZERO) {
            let windows = trial.settled();
            let here: f64 = windows.iter().map(|window| window.done as f64).sum();
            let took: f64 = windows.iter().map(|window| window.length.as_secs_f64()).sum();
            let asked = trial.trial.load * took;
            if here > 0.0 && took >= ENOUGH && here < asked - 4.0 * asked.sqrt() && here < BUSY * asked {
                (done, time) = (done + here, time + took);
            }
        }
        (done > 0.0).then(|| Ceiling { rate: done / time, error: (1.0 / done + ENDING * ENDING).sqrt() })
    }
}

/// Seconds of overload that tell the throughput.
const ENOUGH: f64 = 1.0;

/// Share of the throughput by which a short overload may be off: it ends with operations under way.
const ENDING: f64 = 0.01;

/// Less than this share of what was asked for is done only where the system is busy all the time.
const BUSY: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Purpose, Trial, Window};

    fn trial(load: f64, settle: Ns, done: &[u64]) -> TrialResult {
        let window = |done: &u64| Window {
            length: Ns::from_millis(500),
            readings: Vec::new(),
            done: *done,
            response: crucible_core::Histogram::default(),
        };
        let length = Ns::from_secs(3);
        TrialResult {
            trial: Trial { number: 1, purpose: Purpose::Overload, load, length, settle },
            windows: done.iter().map(window).collect(),
            ended_early: false,
        }
    }

    #[test]
    fn only_what_is_done_after_the_begin_of_an_overload_is_a_ceiling() {
        let of = |trial: TrialResult| Ceiling::of(&[trial], Scale::Rate);
        let begin = Ns::from_millis(600);
        let found = of(trial(1120.0, begin, &[250, 390, 400, 400, 400, 400])).unwrap();
        assert!((found.rate - 800.0).abs() < 1e-9, "{found:?}");
        // ended in its beginning, ended soon behind it, and one whose beginning is not known
        assert_eq!(of(trial(1120.0, begin, &[250])), None);
        assert_eq!(of(trial(1120.0, begin, &[250, 390, 400])), None);
        assert_eq!(of(trial(1120.0, Ns::ZERO, &[250, 390, 400, 400])), None);
        // as much was done as was asked for
        assert_eq!(of(trial(780.0, begin, &[380, 390, 390, 390, 390])), None);
    }
}
