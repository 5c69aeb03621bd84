//! The passes after the search proper: the way down (hysteresis), and the breaking point.

use super::crisp::crisp;
use super::known::Known;
use super::{Hysteresis, Purpose, Role, Search, Settings, Trial, TrialResult, design};
use crucible_core::Ns;

/// How the extra passes stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    /// On the way down: what held and what failed after overload, and whether the last trial was the overload.
    held: Option<f64>,
    failed: Option<f64>,
    overloaded: bool,
    tried_down: u32,
    /// Lowest load at which the system did not recover from an overload, and the highest below it at which it did.
    stuck: Option<f64>,
    recovered: Option<f64>,
    /// Highest load tried for the breaking point, and whether it broke.
    tried_break: u32,
    broken: bool,
}

/// Load of the overload before each trial on the way down, as a multiple of the capacity.
const OVERLOAD: f64 = 1.5;
/// The first load on the way down, as a share of the capacity's safe end: a backlog drains there in a few trials' time.
const FIRST: f64 = 0.9;
/// Bracket of the way down at which to stop.
const CLOSE: f64 = 1.04;
/// Most trials on the way down and for the breaking point.
const TRIALS: u32 = 10;

impl Extra {
    pub(super) fn observe(&mut self, settings: &Settings, result: &TrialResult, well: Option<bool>) {
        match result.trial.purpose {
            Purpose::Recover => {
                let load = result.trial.load;
                match well {
                    Some(false) => self.stuck = Some(self.stuck.map_or(load, |stuck| stuck.min(load))),
                    _ => self.recovered = Some(self.recovered.map_or(load, |before| before.max(load))),
                }
            }
            Purpose::Descend if result.trial.settle == Ns::ZERO => self.overloaded = true,
            Purpose::Descend => {
                self.overloaded = false;
                let load = result.trial.load;
                let held = settings
                    .of_role(Role::Target)
                    .filter_map(|(index, one)| result.ratio(index, one))
                    .all(|ratio| ratio <= 1.0);
                if held && !result.silent(settings.scale) {
                    self.held = Some(self.held.map_or(load, |held| held.max(load)));
                } else {
                    self.failed = Some(self.failed.map_or(load, |failed| failed.min(load)));
                }
                self.tried_down += 1;
            }
            Purpose::Break => {
                let broken = |index: usize| {
                    result.ratio(index, &settings.predicates[index]).is_some_and(|it| it > 1.0)
                };
                let breaking = |index: &usize| settings.predicates[*index].role == Role::Breaking;
                self.broken = (0..settings.predicates.len()).filter(breaking).any(broken);
                self.tried_break += 1;
            }
            _ => {}
        }
    }

    /// Lowest load at which the system did not recover.
    pub(super) fn stuck_at(&self) -> Option<f64> {
        self.stuck
    }

    /// What held and what failed after an overload: on the way down, or while recovering where that failed.
    fn after_overload(&self) -> (Option<f64>, Option<f64>) {
        // a short overload and a long recovery are not the same: what was looked for on purpose counts first
        if self.tried_down > 0 {
            return (self.held, self.failed);
        }
        let failed = self.stuck;
        let held = self.recovered.filter(|load| failed.is_some_and(|failed| *load < failed));
        (held, failed)
    }

    /// The way down, as far as it was seen.
    pub(super) fn hysteresis(&self) -> Option<Hysteresis> {
        let (held, failed) = self.after_overload();
        if self.tried_down == 0 && failed.is_none() {
            return None;
        }
        let (down, still_failing) = (held.unwrap_or(0.0), failed.unwrap_or(f64::INFINITY));
        Some(Hysteresis { down, still_failing, differs: failed.is_some() })
    }
}

/// Time kept for the extra passes.
pub(super) fn reserve(search: &Search) -> Ns {
    let breaking = search.settings.predicates.iter().any(|one| one.role == Role::Breaking);
    let share = if search.settings.downward { 0.3 } else { 0.0 } + if breaking { 0.15 } else { 0.0 };
    Ns::from_secs_f64(search.settings.within.as_secs_f64() * share)
}

/// The second half of a pair: the load after its overload.
pub(super) fn under_way(search: &Search) -> Option<Trial> {
    if !search.extra.overloaded {
        return None;
    }
    let known = search.known.as_ref()?;
    let low = match crisp(search) {
        Some(found) => found.held,
        None => known.quantile(0.025).max(0.8 * middle(search, known)),
    };
    let load = match search.extra.after_overload() {
        _ if search.extra.tried_down == 0 => FIRST * low,
        (_, None) => FIRST * low,
        (held, Some(failed)) => (held.unwrap_or(search.settings.start) * failed).sqrt(),
    };
    let length = Ns(search.settings.shortest.0.saturating_mul(3));
    if search.left() < search.settings.shortest {
        return None;
    }
    let trial = design::make(search, Purpose::Descend, search.snap(load), length);
    // it has until the last third to drain what the overload left
    Some(Trial { settle: Ns(trial.length.0 / 3 * 2), ..trial })
}

/// The next trial of the extra passes; `None` when there is none to make.
pub(super) fn next(search: &Search) -> Option<Trial> {
    let known = search.known.as_ref()?;
    let (held, failed) = search.bracket();
    held.and(failed)?;
    let shortest = search.settings.shortest;
    if search.left() < Ns(shortest.0.saturating_mul(2)) {
        return None;
    }
    breaking(search, known).or_else(|| {
        let extra = &search.extra;
        let open = match extra.after_overload() {
            (Some(held), Some(failed)) => failed / held > CLOSE,
            (Some(_), None) => false,
            _ => true,
        };
        if !search.settings.downward || !open || extra.tried_down >= TRIALS {
            return None;
        }
        let edge = crisp(search).map_or_else(|| middle(search, known), |found| found.held);
        let load = search.snap(edge * OVERLOAD);
        Some(Trial { settle: Ns::ZERO, ..design::make(search, Purpose::Descend, load, shortest) })
    })
}

/// The capacity as far as it is known; where the model does not say, what held.
fn middle(search: &Search, known: &Known) -> f64 {
    let told = Some(known.quantile(0.5)).filter(|load| *load > 0.0 && load.is_finite());
    told.or(search.bracket().0).unwrap_or(search.settings.start)
}

/// Upwards from the capacity until a breaking predicate gives way.
fn breaking(search: &Search, known: &Known) -> Option<Trial> {
    let extra = &search.extra;
    if extra.broken
        || extra.tried_break >= TRIALS
        || !search.settings.predicates.iter().any(|one| one.role == Role::Breaking)
    {
        return None;
    }
    let highest = search.results.iter().filter(|result| result.trial.purpose == Purpose::Break);
    // a cliff is known from its two sides alone
    let edge = crisp(search).map_or_else(|| middle(search, known), |found| found.failed);
    let from = highest.map(|result| result.trial.load).fold(edge, f64::max);
    let load = search.snap(from * 1.1);
    (load > from).then(|| design::make(search, Purpose::Break, load, search.settings.shortest))
}
