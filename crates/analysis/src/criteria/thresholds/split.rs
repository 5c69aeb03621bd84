//! Whether marks are shared out as the plan expects: the check on a traffic split.
//!
//! For each mark with an expected share the share that was seen has an interval, from as many independent values as the
//! values are worth (see [`crate::stats::RatioSums`]). A mark passes if the interval lies within the tolerance, or
//! holds the expected share and is no wider than the tolerance on either side: then a deviation of the tolerance would
//! have shown. It fails if the interval lies beyond the tolerance. A value without a known mark counts as another mark;
//! its share is told, and any is an expectation broken if the expected shares make up the whole.

use super::Case;
use crate::source::Source;
use crate::stats::{RatioSums, ShareBounds};
use crate::verdict::{Judgement, Verdict, counted, whole};
use crucible_core::units::show_share;

/// The expected shares are the whole if they add up to it within this.
const WHOLE: f64 = 1e-6;

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let sums = &case.tracker.values;
    let Source::Measure(index) = case.tracker.source else {
        return case.say(Verdict::Inconclusive, "only a tally is split among marks");
    };
    let Some(frame) = case.totals.measures.get(index) else {
        return case.say(Verdict::Inconclusive, "no evidence: no value came");
    };
    let expected: Vec<(&str, f64, &RatioSums)> = sums
        .marks
        .iter()
        .zip(&sums.shares)
        .filter_map(|((name, share), sums)| Some((name.as_str(), (*share)?, sums)))
        .collect();
    if expected.is_empty() {
        return case
            .say(Verdict::Inconclusive, "the plan expects no share of any mark")
            .remedy("say which share each mark is expected to have");
    }
    // as many chances to be wrong as there are marks (Bonferroni)
    let tail = case.tails.mean / expected.len() as f64;
    let (mut verdict, mut told, mut furthest) = (Verdict::Pass, Vec::new(), 0.0f64);
    for (name, wanted, sums) in &expected {
        let (seen, effective) = (sums.ratio().unwrap_or(0.0), sums.effective_n(tail));
        let bounds = ShareBounds::new(seen * effective, effective, tail);
        furthest = furthest.max((seen - wanted).abs());
        verdict = verdict.max(one(bounds, seen, *wanted, case.limit));
        told.push(format!(
            "{name} {} of {} expected ({} to {})",
            show_share(seen),
            show_share(*wanted),
            show_share(bounds.low),
            show_share(bounds.high)
        ));
    }
    let other = frame.tallies.last().copied().unwrap_or(0);
    let missing = case.unmarked(index, frame.count);
    if other > 0 {
        told.push(format!("{} other", whole(other as f64)));
    }
    if missing > 0 {
        told.push(format!("{} without a mark", counted(missing, "operation")));
    }
    let total: f64 = expected.iter().map(|(_, wanted, _)| wanted).sum();
    if other + missing == 0 {
        told.push("nothing dropped: every operation ended with a mark".into());
    } else if other > 0 && (total - 1.0).abs() < WHOLE {
        verdict = verdict.max(Verdict::Fail);
    }
    let why = format!("of {}: {}", counted(frame.count, "value"), told.join(", "));
    let remedy = match verdict {
        Verdict::Pass => "",
        Verdict::Fail => {
            "the split is not the one that was asked for: look at whoever shares the traffic out"
        }
        _ => "run it longer, or allow more tolerance",
    };
    case.with(verdict, why, furthest, frame.count).remedy(remedy)
}

/// The answer for one mark; `tolerance` is a share, as 0.05 for five points each way.
fn one(bounds: ShareBounds, seen: f64, wanted: f64, tolerance: f64) -> Verdict {
    let within = wanted - tolerance <= bounds.low && bounds.high <= wanted + tolerance;
    let holds = bounds.low <= wanted && wanted <= bounds.high;
    let narrow = seen - bounds.low <= tolerance && bounds.high - seen <= tolerance;
    if within || (holds && narrow) {
        Verdict::Pass
    } else if bounds.high < wanted - tolerance || bounds.low > wanted + tolerance {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}
