//! The way from evidence to a comparison.

use super::arms::{Arms, Joint};
use super::check::check;
use super::evidence::{Evidence, Settings};
use super::outcome::{Caveat, Comparison, Problem, Unit};
use super::{itself, judge, shift};

/// Loads that differ by more than this are told.
const UNEQUAL_LOAD: f64 = 0.02;

/// Compares B with A.
///
/// # Errors
/// All that is wrong with the evidence or the settings.
pub fn compare(evidence: &Evidence, settings: &Settings) -> Result<Comparison, Vec<Problem>> {
    let problems = check(evidence, settings);
    if !problems.is_empty() {
        return Err(problems);
    }
    let arms = Arms::new(evidence, settings.run_spread);
    let metrics = judge::settle(judge::metrics(&arms, evidence, settings), &arms, settings);
    let self_check = itself::self_check(&arms, settings);
    let shift = if settings.shift { shift::shift(&arms, settings) } else { Vec::new() };
    let mut caveats = Vec::new();
    if matches!(arms.joint, Joint::Windows(spread) if spread <= 0.0) {
        caveats.push(Caveat::SingleRun);
    }
    if arms.unit == Unit::Pairs {
        caveats.push(Caveat::SingleStart);
    }
    if self_check.is_some_and(|check| itself::too_often(check, settings.alpha)) {
        caveats.push(Caveat::UnequalToItself);
    }
    if let Some(ratio) = load_ratio(&arms).filter(|ratio| ratio.ln().abs() > UNEQUAL_LOAD) {
        caveats.push(Caveat::UnequalLoad(ratio));
    }
    Ok(Comparison {
        unit: arms.unit,
        units: arms.units(),
        seconds: arms.seconds(),
        metrics,
        caveats,
        self_check,
        shift,
    })
}

/// Operations a second of B by those of A.
fn load_ratio(arms: &Arms) -> Option<f64> {
    let rate = |cells: &[super::arms::Cell]| {
        let sum = cells.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.operations, sum.1 + cell.seconds));
        sum.0 / sum.1
    };
    Some(rate(&arms.b) / rate(&arms.a)).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
}
