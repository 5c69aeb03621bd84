//! Means over windows: average response time and throughput, with batch-means intervals.

use super::Case;
use crate::bands::meets;
use crate::verdict::{Judgement, Verdict, counted};
use crucible_core::threshold::{Better, Measure};

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    if let Some(nothing) = case.nothing() {
        return nothing;
    }
    let (sums, threshold) = (&case.sums.means, &case.tracker.threshold);
    let Some(value) = sums.ratio() else {
        return case.say(Verdict::Inconclusive, "no evidence: no window tells of it").remedy("run it longer");
    };
    let throughput = matches!(threshold.measure, Measure::Throughput);
    let samples = if throughput { case.ok() } else { sums.n() as u64 };
    let better = threshold.measure.better();
    let (shown, limit) = (case.unit.show(value), case.limit_shown());
    let told = format!(
        "{shown} over {} and {}, against {limit}",
        counted(case.sums.windows, "window"),
        counted(samples, "operation")
    );
    let Some(half) = sums.half_width(case.tails.mean) else {
        let why = format!("{told}: one window shows nothing about its own spread");
        return case
            .with(Verdict::Inconclusive, why, value, samples)
            .remedy("run it for at least ten seconds");
    };
    let (low, high) = ((value - half).max(0.0), value + half);
    let (worst, best) = match better {
        Better::Lower => (high, low),
        Better::Higher => (low, high),
    };
    let verdict = if meets(worst, case.limit, better) {
        Verdict::Pass
    } else if meets(best, case.limit, better) {
        Verdict::Inconclusive
    } else {
        Verdict::Fail
    };
    let (why, remedy) = match verdict {
        Verdict::Pass => (told, String::new()),
        Verdict::Inconclusive => {
            let distance = (value - case.limit).abs();
            // the half width shrinks with the root of the time
            let factor = (distance > 0.0).then(|| (half / distance).powi(2)).filter(|f| *f < 1e5);
            let why = format!(
                "{told}: the mean lies between {} and {}, at 95 % each way",
                case.unit.show(low),
                case.unit.show(high)
            );
            (why, case.more_time(factor))
        }
        _ if throughput => (told, "ask for more load if the target had room, or make it faster".into()),
        _ => (told, "make it faster, or accept more by moving the limit".into()),
    };
    let mut judgement = case.with(verdict, why, value, samples).remedy(remedy);
    judgement.interval = Some((low, high));
    judgement
}
