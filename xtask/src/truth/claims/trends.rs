//! T17: change points in a history; T18: leaks.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Rng;
use crucible_stats::trend::known::{Benign, History};
use crucible_stats::trend::{Leak, LeakSettings, changes, leak};

pub(super) const CHANGES: Claim =
    Claim { id: "T17", about: "change points in a history", needs: Needs::Nothing, rows: change_rows };

pub(super) const LEAKS: Claim =
    Claim { id: "T18", about: "leaks, and none where there is none", needs: Needs::Nothing, rows: leak_rows };

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Runs in a history, and where it changes: 20 runs before its end.
const RUNS: usize = 100;
const CHANGE: usize = 80;
/// Standard deviations by which it changes.
const SHIFT: f64 = 1.5;

fn change_rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let tries = if settings.fast { 200 } else { 2_000 };
    let mut rows = Vec::new();
    for (kind, name) in History::ALL {
        let count = |found: &dyn Fn(&mut Rng) -> bool| {
            let hits = (0..tries).filter(|seed| found(&mut Rng::new(*seed, name, 1))).count();
            hits as f64 / tries as f64
        };
        let invented = count(&|rng| !changes(&kind.series(RUNS, RUNS, 0.0, rng)).points.is_empty());
        let measured = percent(invented);
        rows.push(Row::new(format!("{name}: invented"), measured, "<= 1 % of series", invented <= 0.01));
        if kind == History::Remembering {
            continue;
        }
        let near = |rng: &mut Rng, reach: usize| {
            let points = changes(&kind.series(RUNS, CHANGE, SHIFT, rng)).points;
            points.iter().any(|point| point.at.abs_diff(CHANGE) <= reach)
        };
        let found = count(&|rng| near(rng, 1));
        let wider = count(&|rng| near(rng, 5));
        let oracle = count(&|rng| oracle(&kind.series(RUNS, CHANGE, SHIFT, rng)).abs_diff(CHANGE) <= 1);
        let measured = format!(
            "{} (within 5: {}; who knows both levels: {})",
            percent(found),
            percent(wider),
            percent(oracle)
        );
        rows.push(Row::new(format!("{name}: 1.5 sigma within one run"), measured, ">= 95 %", found >= 0.95));
    }
    Ok(rows)
}

/// Where a change is that is known to exist, with both levels and the scatter known: no method can place it better.
fn oracle(values: &[f64]) -> usize {
    let (before, after) = (100.0, 100.0 + 2.0 * SHIFT);
    let cost = |k: usize| {
        let of = |part: &[f64], level: f64| part.iter().map(|v| (v - level).powi(2)).sum::<f64>();
        of(&values[..k], before) + of(&values[k..], after)
    };
    (1..values.len()).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(0)
}

fn leak_rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let tries = if settings.fast { 20 } else { 200 };
    let mut rows = Vec::new();
    for (family, name, cycle) in Benign::ALL {
        let due = (6.0 * cycle).max(600.0) as usize;
        // shares of series in which a leak is said, and in which nothing is decided
        let said = |growth: f64| {
            let (mut found, mut undecided) = (0, 0);
            for seed in 0..tries {
                let series = family.series(due, growth, &mut Rng::new(seed, name, due as u64));
                match leak(&series, &LeakSettings::default()) {
                    Leak::Found { .. } => found += 1,
                    Leak::Undecided { .. } => undecided += 1,
                    Leak::None { .. } => {}
                }
            }
            (f64::from(found) / tries as f64, f64::from(undecided) / tries as f64)
        };
        let ((alarms, _), (found, undecided)) = (said(0.0), said(1.0));
        let minutes = due as f64 / 60.0;
        let title = format!("{name}, {minutes:.0} min: false alarms");
        rows.push(Row::new(title, percent(alarms), "< 1 %", alarms < 0.01));
        let title = format!("{name}, {minutes:.0} min: 1 % a minute found");
        let denied = (1.0 - found - undecided).max(0.0);
        let measured = match found < 1.0 {
            true => format!(
                "{}; undecided {}, called something else {}",
                percent(found),
                percent(undecided),
                percent(denied)
            ),
            false => percent(found),
        };
        rows.push(Row::new(title, measured, ">= 95 %", found >= 0.95));
    }
    Ok(rows)
}
