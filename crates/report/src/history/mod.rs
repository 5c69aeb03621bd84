//! What is said of a history of runs: 80 columns, JSON, and thresholds for a plan. Pure, like the formats of runs.

mod json;
mod limits;
mod spark;
mod tell;

pub use json::json;
pub use limits::thresholds;
pub use tell::text;

use crucible_analysis::Unit;
use crucible_analysis::history::{History, Series};
use crucible_stats::history::{FEWEST, Step};

/// A change as people read it: relative, or in percentage points where there was nothing before.
fn change(unit: Unit, before: f64, after: f64) -> String {
    if unit == Unit::Share && (before < 0.01 || after < 0.01) {
        return format!("{:+.2}pp", (after - before) * 100.0);
    }
    let percent = (after / before - 1.0) * 100.0;
    if percent.is_finite() { format!("{percent:+.1}%") } else { "from 0".into() }
}

fn word(series: &Series, before: f64, after: f64) -> &'static str {
    if series.is_worse(before, after) { "WORSE" } else { "better" }
}

/// How sure a change is.
fn chance(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p {p:.3}") }
}

/// Whether a step stands as a regression.
fn stands(history: &History, series: &Series, step: &Step) -> bool {
    history.regressions().iter().any(|found| {
        std::ptr::eq(found.series, series) && found.step.is_some_and(|standing| standing == step)
    })
}

/// A share that somebody gave, with as many digits as were given.
fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// How many more runs a group needs.
fn missing(runs: usize) -> usize {
    FEWEST.saturating_sub(runs)
}
