//! Exact facts of the run: smallest and largest response time; and its standard deviation as it was.

use super::Case;
use crate::bands::meets;
use crate::verdict::{Judgement, Verdict};
use crucible_core::Ns;
use crucible_core::threshold::{Better, Measure};

/// Fewest operations whose standard deviation is worth a verdict.
const FEWEST: u64 = 30;

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    if let Some(nothing) = case.nothing() {
        return nothing;
    }
    let (latency, cut) = case.latency();
    let n = latency.count();
    let value = match case.tracker.threshold.measure {
        // what was cut off gives no smallest time: its own is longer than what is known of it
        Measure::Min => case.frames().filter_map(|frame| frame.response.min()).min(),
        Measure::Max => latency.max(),
        _ => latency.stddev(),
    };
    let Some(value) = value.map(|Ns(ns)| ns as f64) else {
        return case
            .say(Verdict::Inconclusive, format!("{n} operations are too few for this figure"))
            .evidence(n)
            .remedy("run it longer");
    };
    let counted = format!(
        "{} in {}, against {}",
        case.unit.show(value),
        crate::verdict::counted(n, "operation"),
        case.limit_shown()
    );
    let holds = meets(value, case.limit, Better::Lower);
    let below = latency.count().saturating_sub(latency.count_above(Ns(case.limit.max(0.0) as u64)));
    let (verdict, why, remedy) = match case.tracker.threshold.measure {
        _ if !holds => (Verdict::Fail, counted, "see the timeline for when it happened"),
        Measure::Max if cut > 0 && below > 0 => (
            Verdict::Inconclusive,
            format!("{counted}, but {cut} were cut off before it could be known"),
            "give operations more time than the limit (time limit, graceful stop)",
        ),
        Measure::Stddev if n < FEWEST => (
            Verdict::Inconclusive,
            format!("{counted}: it takes at least {FEWEST} operations"),
            "run it longer",
        ),
        _ => (Verdict::Pass, counted, ""),
    };
    case.with(verdict, why, value, n).remedy(remedy)
}
