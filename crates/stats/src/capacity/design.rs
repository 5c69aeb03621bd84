//! Which trial next: growing, closing in, measuring beside the edge.

use super::crisp::crisp;
use super::evidence::Ceiling;
use super::known::Known;
use super::{Limit, Purpose, Scale, Search, Trial, TrialResult, extra};
use crucible_core::Ns;

/// Growth of the load while nothing has failed.
const GROWTH: f64 = 3.0;
/// Growth once a target is used up by a fifth.
const CAREFUL: f64 = 1.4;
/// A bracket this narrow is left to the model.
const NARROW: f64 = 1.25;
/// An edge known less well than this (one sigma) is looked for with short trials.
const VAGUE: f64 = 0.03;
/// A target of which less than this share is used holds with ease.
const EASE: f64 = 0.5;
/// An overload, as a multiple of the lowest load that failed, and the least one that shows what is done at most.
const OVERLOAD: f64 = 1.4;
const CLEARLY: f64 = 1.1;
/// Least ratio of what failed to what held for which no overload is made yet, and the share of a load that is done at most where
/// it is more than can be done.
const WIDE: f64 = 2.0;
const BEHIND: f64 = 0.85;
/// Where an edge is looked for first, as a share of what the system does at most, and the most that is worth a measurement beside
/// what may be bad.
const BELOW: f64 = 0.93;
const UTMOST: f64 = 0.975;
/// How far beyond what held and what failed a measurement may go, as a share: either may have been chance.
const ASTRAY: f64 = 0.1;
/// Recoveries that may fail in a row.
const ATTEMPTS: u32 = 4;

/// The next trial; `None` when the search is over.
pub(super) fn next(search: &Search) -> Option<Trial> {
    if search.unwell {
        return recover(search);
    }
    if let Some(trial) = extra::under_way(search) {
        return Some(trial);
    }
    if search.left() < Ns(extra::reserve(search).0 + search.settings.shortest.0 / 2) {
        return extra::next(search);
    }
    let (held, failed) = search.bracket();
    let (purpose, load) = match (held, failed) {
        (None, None) => (Purpose::Grow, search.settings.start),
        (Some(held), None) => (Purpose::Grow, grow(search, held)?),
        (None, Some(failed)) => (Purpose::Grow, lowest(search, failed)?),
        (Some(held), Some(failed)) if failed / held > NARROW && apart(search, held, failed) => {
            let plain = crisp(search).is_some();
            if let Some(trial) = overload(search).filter(|_| !plain) {
                return Some(trial);
            }
            (Purpose::Narrow, search.snap(between(search, held, failed)))
        }
        _ => match crisp(search) {
            Some(found) if found.closed(search.settings.scale) => return extra::next(search),
            Some(found) => (Purpose::Narrow, search.snap(f64::midpoint(found.held, found.failed))),
            None => return overload(search).or_else(|| measure(search)).or_else(|| extra::next(search)),
        },
    };
    let length = if purpose == Purpose::Grow { short(search) } else { search.settings.shortest };
    Some(make(search, purpose, load, length))
}

/// Length of trials that only show whether a load is beyond the system.
fn short(search: &Search) -> Ns {
    Ns(search.settings.shortest.0 / 5 * 3)
}

/// A trial of this load and length, not longer than the time left.
pub(super) fn make(search: &Search, purpose: Purpose, load: f64, length: Ns) -> Trial {
    let length = length.min(search.left());
    let settle = Ns(length.0 / 5);
    Trial { number: search.results.len() as u32 + 1, purpose, load, length, settle }
}

/// The next higher load while nothing has failed.
fn grow(search: &Search, held: f64) -> Option<f64> {
    if held >= search.settings.most {
        return None;
    }
    let last = search.results.iter().rev().find(|result| result.trial.load >= held);
    let used = last.and_then(|result| search.worst(result, super::Role::Target)).unwrap_or(0.0);
    let load = search.snap(held * if used > 0.2 { CAREFUL } else { GROWTH });
    Some(load.max(if search.settings.scale == Scale::Users { held + 1.0 } else { load }))
}

/// Nothing has held yet: the lowest load again, three times in all.
fn lowest(search: &Search, failed: f64) -> Option<f64> {
    let tried = search.results.iter().filter(|result| result.trial.purpose == Purpose::Grow).count();
    (tried < 3 && failed <= search.settings.start).then_some(search.settings.start)
}

/// Whether there is a load between the two.
fn apart(search: &Search, held: f64, failed: f64) -> bool {
    search.settings.scale == Scale::Rate || failed - held > 1.5
}

/// A load between one that held and one that failed: a little below what the system does at most, where that is known and lies
/// between the two.
fn between(search: &Search, held: f64, failed: f64) -> f64 {
    let below = Ceiling::of(&search.results, search.settings.scale).map(|most| BELOW * most.rate);
    let apart = |load: &f64| *load > 1.02 * held && *load < 0.98 * failed;
    below.filter(apart).unwrap_or((held * failed).sqrt())
}

/// A low load until the system is well; a quarter of it where that was not low enough.
fn recover(search: &Search) -> Option<Trial> {
    if search.stuck >= ATTEMPTS || search.left() < Ns::from_secs(1) {
        return None;
    }
    let (held, failed) = search.bracket();
    let low = match held {
        Some(held) => held.min(failed.unwrap_or(held)) / 2.0,
        None => search.settings.start,
    };
    // where it did not recover before, it need not be tried again
    let low = search.extra.stuck_at().map_or(low, |stuck| low.min(stuck / 4.0));
    let load = search.snap(low);
    Some(Trial { settle: Ns::ZERO, ..make(search, Purpose::Recover, load, search.settings.patience) })
}

/// Once, where growing has not shown how much the system does at most, and it has recovered from all that it was put to. Not
/// before it is known about where that lies: much more would take long to recover from, and be more than we can put on.
fn overload(search: &Search) -> Option<Trial> {
    let known = search.overloaded || Ceiling::of(&search.results, search.settings.scale).is_some();
    let (held, failed) = search.bracket();
    let failed = failed?;
    // what failed may have been more than can be done already, ended too soon to tell how much that is
    let behind = |one: &TrialResult| {
        one.trial.load == failed && one.achieved().is_some_and(|done| done < BEHIND * failed)
    };
    let behind = search.results.iter().any(behind);
    let load = search.snap(if behind { failed } else { OVERLOAD * failed });
    let sound = search.settings.scale == Scale::Rate && search.extra.stuck_at().is_none();
    let apt = sound && !known && failed <= WIDE * held? && (behind || load > failed * CLEARLY);
    apt.then(|| make(search, Purpose::Overload, load, short(search)))
}

/// A trial beside the edge, where it tells most.
fn measure(search: &Search) -> Option<Trial> {
    let known = search.known.as_ref()?;
    let (index, fit) = known.first();
    let middle = known.quantile(0.5);
    let blur = known.blur();
    let measured = search.results.iter().filter(|result| result.trial.purpose == Purpose::Measure).count();
    if enough(search, known, measured) {
        return None;
    }
    let aside = (0.8 / fit.slope).min(0.02);
    let load = if !blur.is_finite() || !middle.is_finite() {
        let (held, failed) = search.bracket();
        between(search, held?, failed?)
    } else if blur > aside.max(0.01) {
        // more is to be learnt in the middle; a little below it, as failing costs a recovery
        known.quantile(0.45)
    } else if fit.lean() > 0.0 {
        middle * (1.0 - aside)
    } else {
        middle * (1.0 + aside)
    };
    let (held, failed) = search.bracket();
    // a system may do less where it is asked for too much (retries) than it holds
    let most =
        utmost(search, index).unwrap_or(f64::INFINITY).min((1.0 + ASTRAY) * failed.unwrap_or(f64::INFINITY));
    let load = load.min(most).max((1.0 - ASTRAY) * held.unwrap_or(0.0));
    let load = match search.settings.scale {
        Scale::Rate => search.snap(load.max(ahead(search, failed).unwrap_or(0.0))),
        Scale::Users => whole(search, middle, load),
    };
    let window =
        search.results.last().and_then(|result| result.windows.first()).map(|window| window.length)?;
    let memory = fit.time * window.as_secs_f64();
    let shortest = search.settings.shortest.as_secs_f64();
    let usable = Ns(search.left().0 - extra::reserve(search).0).as_secs_f64();
    let length = if blur > VAGUE {
        (2.0 * shortest).max(usable / 10.0)
    } else {
        (15.0 * memory).max(usable / 5.0).max(2.0 * shortest)
    };
    let length = length.min(usable);
    // what would be left is too short for a trial of its own
    let length = if usable - length < 1.5 * shortest { usable } else { length };
    let cold = search.results.last().is_some_and(|result| result.trial.load < 0.9 * load);
    let settle = (if cold { 5.0 } else { 3.0 } * memory).max(0.2 * shortest).min(length / 3.0);
    let trial = make(search, Purpose::Measure, load, Ns::from_secs_f64(length));
    Some(Trial { settle: Ns::from_secs_f64(settle), ..trial })
}

/// The highest load that is worth a measurement: what the system cannot do in the long run misses the target without a trial.
fn utmost(search: &Search, index: usize) -> Option<f64> {
    let most = Ceiling::of(&search.results, search.settings.scale)?;
    match search.settings.predicates.get(index)?.limit {
        Limit::Share(allowed) => Some(UTMOST * most.rate / (1.0 - allowed)),
        Limit::Level(_) => None,
    }
}

/// Where the last two measurements held with ease, below a load that failed: half of the way up to that. A model that one
/// unlucky trial has led astray would go there in ever so small steps.
fn ahead(search: &Search, failed: Option<f64>) -> Option<f64> {
    let mut last =
        search.results.iter().rev().filter(|result| result.trial.purpose != Purpose::Recover).take(2);
    let eased = |result: &&TrialResult| {
        let worst = search.worst(result, super::Role::Target);
        result.trial.purpose == Purpose::Measure && worst.is_some_and(|worst| worst < EASE)
    };
    let (one, other) = (last.next().filter(eased)?, last.next().filter(eased)?);
    let load = one.trial.load.max(other.trial.load);
    failed.filter(|failed| *failed > load).map(|failed| f64::midpoint(load, failed))
}

/// Whole loads: the two beside the edge in turn, the one that was measured for a shorter time first.
fn whole(search: &Search, middle: f64, load: f64) -> f64 {
    let (below, above) = (middle.floor().max(1.0), middle.floor() + 1.0);
    if (load - middle).abs() > 1.0 {
        return search.snap(load);
    }
    let time = |load: f64| -> f64 {
        let there = search.results.iter().filter(|result| result.trial.load == load);
        there.map(|result| result.took().as_secs_f64()).sum()
    };
    search.snap(if time(below) <= time(above) { below } else { above })
}

/// Whether the answer is precise enough to stop before the time is over.
fn enough(search: &Search, known: &Known, measured: usize) -> bool {
    let (low, high) = (known.quantile(0.025), known.quantile(0.975));
    match search.settings.scale {
        Scale::Users if low.floor() == high.floor() && measured >= 2 => true,
        _ => measured >= 4 && (high - low) / 2.0 <= search.settings.precision * known.quantile(0.5),
    }
}
