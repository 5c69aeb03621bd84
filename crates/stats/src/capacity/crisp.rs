//! Systems without chance: a pool, a number of connections. Where every window says the same on both sides, the edge is
//! found by halving alone, and exactly for whole loads.

use super::trial::so_few;
use super::{Limit, Purpose, Reading, Role, Scale, Search, Shape, TrialResult};

/// What lies on both sides of an edge that chance has no part in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crisp {
    pub(super) held: f64,
    pub(super) failed: f64,
    /// How the system gives way: whether all was well below.
    pub(super) shape: Shape,
}

impl Crisp {
    /// Whether there is nothing left between the two: one user, or half a percent of a rate.
    pub(super) fn closed(&self, scale: Scale) -> bool {
        match scale {
            Scale::Users => self.failed - self.held < 1.5,
            Scale::Rate => self.failed / self.held < 1.005,
        }
    }

    /// Whether it is no chance that the lower side held: if as many operations were bad as may be, so few would have been seen
    /// in one of 40 trials at most, for every target.
    pub(super) fn is_sure(&self, search: &Search) -> bool {
        let targets = search.settings.of_role(Role::Target);
        let held = || search.results.iter().filter(|result| result.trial.load == self.held);
        let mut shares = targets.filter_map(|(index, target)| match target.limit {
            Limit::Share(share) => Some((index, target, share)),
            Limit::Level(_) => None,
        });
        shares.all(|(index, target, share)| {
            held().any(|result| {
                let may = share * result.amount(index);
                let bad = may * result.ratio(index, target).unwrap_or(f64::INFINITY);
                so_few(bad, may) <= 1.0 / 40.0
            })
        })
    }

    /// The target that was missed most on the upper side.
    pub(super) fn gives_way(&self, search: &Search) -> Option<usize> {
        let failed = search.results.iter().find(|result| result.trial.load == self.failed)?;
        let targets = search.settings.of_role(Role::Target);
        let ratios = targets.filter_map(|(index, target)| Some((index, failed.ratio(index, target)?)));
        ratios.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    }
}

/// Windows that a trial has to have for it to be plain.
const WINDOWS: usize = 3;
/// Variance over mean of counts up to which they are no clumps.
const CLUMPED: f64 = 2.0;

/// The highest load that plainly held and the lowest that plainly failed; `None` if a trial between them, or beyond, says
/// that chance has a part.
pub(super) fn crisp(search: &Search) -> Option<Crisp> {
    let (mut held, mut failed): (Option<(f64, f64)>, Option<f64>) = (None, None);
    let proper = |result: &&TrialResult| {
        matches!(result.trial.purpose, Purpose::Grow | Purpose::Narrow | Purpose::Measure)
    };
    for result in search.results.iter().filter(proper) {
        let load = result.trial.load;
        if search.holds(result) {
            let worst = search.worst(result, Role::Target).unwrap_or(0.0);
            if held.is_none_or(|(before, _)| load >= before) {
                held = Some((load, worst));
            }
        } else {
            failed = Some(failed.map_or(load, |failed| failed.min(load)));
        }
    }
    let ((held, worst), failed) = (held?, failed?);
    let plain = |load: f64| {
        let mut there = search.results.iter().filter(proper).filter(move |result| result.trial.load == load);
        there.all(|result| is_plain(search, result))
    };
    let shape = if worst < 0.2 { Shape::Cliff } else { Shape::Slope };
    (held < failed && plain(held) && plain(failed)).then_some(Crisp { held, failed, shape })
}

/// Whether all windows of a trial say the same, and what is bad does not come in clumps.
fn is_plain(search: &Search, result: &TrialResult) -> bool {
    if result.silent(search.settings.scale) {
        return true;
    }
    let windows = result.counted();
    let targets = || search.settings.of_role(Role::Target);
    let says = |window: &super::Window| {
        let one = std::slice::from_ref(window);
        targets()
            .all(|(index, target)| super::trial::ratio(one, index, target).is_none_or(|ratio| ratio <= 1.0))
    };
    let verdict = search.holds(result);
    let even = |(index, target): (usize, &super::Predicate)| {
        let counts: Vec<(f64, f64)> = windows
            .iter()
            .filter_map(|window| match (window.readings.get(index)?, target.limit) {
                (Reading::Share { of, bad, .. }, Limit::Share(_)) => Some((*of as f64, *bad as f64)),
                _ => None,
            })
            .collect();
        let (all, bad) = counts.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let share = if all > 0.0 { bad / all } else { 0.0 };
        let spread: f64 = counts.iter().map(|(of, bad)| (bad - of * share).powi(2)).sum();
        spread <= CLUMPED * (bad + 1.0)
    };
    // users that hang are plain at once, and were not seen to hang from the first window on; arrivals come in clumps
    if search.settings.scale == Scale::Users && result.ended_early && !verdict {
        return true;
    }
    windows.len() >= WINDOWS && windows.iter().all(|window| says(window) == verdict) && targets().all(even)
}
