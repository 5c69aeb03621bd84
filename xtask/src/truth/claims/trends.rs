//! T17: change points in a history; T18: leaks.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Rng;
use crucible_stats::history::{Figure, Finding, Settings as Asked, family};
use crucible_stats::trend::known::{Benign, History};
use crucible_stats::trend::{Leak, LeakSettings, leak};

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

/// What `runs history` says of a history of one figure, at 1 % and with every difference of weight.
fn look(values: &[f64]) -> Finding {
    let asked = Asked { margin: 0.0, ..Asked::default() };
    family(&[Figure { values, least: 0.0 }], &asked).figures.pop().unwrap_or_default()
}

fn change_rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let tries = if settings.fast { 100 } else { 2_000 };
    let share = |hits: u64| hits as f64 / tries as f64;
    let mut rows = Vec::new();
    for (kind, name) in History::ALL {
        let draw = |seed, change, shift| kind.series(RUNS, change, shift, &mut Rng::new(seed, name, 1));
        let quiet = (0..tries).map(|seed| look(&draw(seed, RUNS, 0.0)));
        let invented = share(quiet.filter(|f| !f.steps.is_empty() || f.drift.is_some()).count() as u64);
        rows.push(Row::new(
            format!("{name}: invented"),
            percent(invented),
            "<= 1 % of series",
            invented <= 0.01,
        ));
        if kind == History::Remembering {
            continue;
        }
        let (mut found, mut wider, mut held, mut best) = (0, 0, 0, 0);
        for seed in 0..tries {
            let values = draw(seed, CHANGE, SHIFT);
            let steps = look(&values).steps;
            let near = |reach| u64::from(steps.iter().any(|step| step.at.abs_diff(CHANGE) <= reach));
            (found, wider) = (found + near(1), wider + near(5));
            held += u64::from(steps.iter().any(|step| step.from <= CHANGE && CHANGE <= step.to));
            best += u64::from(oracle(&values).abs_diff(CHANGE) <= 1);
        }
        let measured = format!(
            "{} (within 5: {}; in the range that it states: {}; who knows both levels: {})",
            percent(share(found)),
            percent(share(wider)),
            percent(share(held)),
            percent(share(best))
        );
        let holds = share(found) >= 0.95;
        rows.push(Row::new(format!("{name}: 1.5 sigma within one run"), measured, ">= 95 %", holds));
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
