//! Thresholds that every stretch of the test must hold (`over`).

use super::Case;
use crate::stretch::{Stretches, Worst};
use crate::verdict::{Judgement, Verdict};
use crucible_core::threshold::Measure;
use crucible_core::units::show_share;

pub(super) fn judge(case: &Case<'_>, found: &Stretches) -> Judgement {
    let threshold = &case.tracker.threshold;
    let shares = matches!(threshold.measure, Measure::Errors | Measure::ErrorsOf(_) | Measure::Dropped);
    if !shares && let Some(nothing) = case.nothing() {
        return nothing;
    }
    let skipped = match found.too_few {
        0 => String::new(),
        few => format!("; {} more had too few samples to be judged", stretches(few)),
    };
    let Some(worst) = &found.worst else {
        let why = format!("no stretch of this length could be judged{skipped}");
        return case
            .say(Verdict::Inconclusive, why)
            .remedy("run it longer than the stretch, or at a higher rate");
    };
    let told = tell(case, worst);
    let (verdict, why, remedy) = if found.broken > 0 {
        let why =
            format!("{} of {} broke it; the worst: {told}{skipped}", found.broken, stretches(found.judged));
        (Verdict::Fail, why, "see the timeline for what happened then")
    } else if found.undecided > 0 {
        let why = format!(
            "{} of {} could not be decided, as operations were cut off before the limit; the worst: {told}{skipped}",
            found.undecided,
            stretches(found.judged)
        );
        (Verdict::Inconclusive, why, "give operations more time than the limit (time limit, graceful stop)")
    } else if found.judged <= found.too_few {
        let why = format!("only {} could be judged{skipped}", stretches(found.judged));
        (Verdict::Inconclusive, why, "use longer stretches or a higher rate")
    } else {
        (Verdict::Pass, format!("it held over {}; the worst: {told}{skipped}", stretches(found.judged)), "")
    };
    let mut judgement = case.say(verdict, why).evidence(found.judged).remedy(remedy);
    if !matches!(threshold.measure, Measure::Percentile(_) | Measure::ServicePercentile(_)) {
        judgement.value = Some(worst.value);
    }
    judgement.band = worst.band.map(|index| threshold.bands[index].name.clone());
    judgement
}

fn stretches(count: u64) -> String {
    if count == 1 { "1 stretch".to_owned() } else { format!("{count} stretches") }
}

fn tell(case: &Case<'_>, worst: &Worst) -> String {
    let figure = match case.tracker.threshold.measure {
        Measure::Percentile(_) | Measure::ServicePercentile(_) => {
            format!("{} of {} operations above {}", show_share(worst.value), worst.n, case.limit_shown())
        }
        _ => case.unit.show(worst.value),
    };
    format!("{figure} from {} to {}", worst.from, worst.to)
}
