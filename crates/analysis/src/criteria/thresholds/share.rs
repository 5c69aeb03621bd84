//! Shares: errors, errors of one class, checks that held, dropped arrivals. Judged by the bad ones.

use super::Case;
use crate::stats::share::factor_until;
use crate::stats::{ShareBounds, smallest_sample};
use crate::tracker::bad_limit;
use crate::verdict::{Judgement, Verdict, whole};
use crucible_core::threshold::Measure;

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let measure = &case.tracker.threshold.measure;
    if matches!(measure, Measure::Checks)
        && let Some(nothing) = case.nothing()
    {
        return nothing;
    }
    let what = match measure {
        Measure::Checks => "checks did not hold",
        Measure::Dropped => "arrivals were dropped",
        Measure::ErrorsOf(_) => "operations ended in such an error",
        _ => "operations ended in an error",
    };
    let Some(sums) = case.tracker.bands.first().map(|band| &band.possible).filter(|sums| sums.n() > 0.0)
    else {
        let why = match measure {
            Measure::Checks => "no evidence: no check was ever made",
            _ => "no evidence: nothing ended",
        };
        return case.say(Verdict::Inconclusive, why).remedy("run it long enough to send it");
    };
    let (n, bad, limit) = (sums.n(), sums.y(), bad_limit(measure, case.limit));
    let share = bad / n;
    let effective = sums.effective_n(case.tail);
    let bounds = ShareBounds::new(share * effective, effective, case.tail);
    // "none at all" is a statement about this run, not about a rate
    let none_allowed = limit <= 0.0;
    let verdict = if bounds.low > limit || (none_allowed && bad > 0.0) {
        Verdict::Fail
    } else if bounds.high <= limit || none_allowed || (case.tracker.threshold.implied && share <= limit) {
        // What the plan did not ask for need not be shown: the implied limit objects, it does not hold up.
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    let counted = format!("{} of {} {what}", whole(bad), whole(n));
    let why = match verdict {
        Verdict::Inconclusive if bad == 0.0 => {
            format!(
                "{counted}: it takes {} without any to show this limit",
                whole(smallest_sample(limit) as f64)
            )
        }
        Verdict::Inconclusive => format!(
            "{counted}: the share lies between {} and {}, at 95 % each way",
            case.unit.show(bounds.low),
            case.unit.show(bounds.high)
        ),
        _ => counted,
    };
    let remedy = match verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => "see the error classes and texts of the steps concerned".into(),
        _ => {
            let settled = |b: ShareBounds| b.high <= limit || b.low > limit;
            let factor = factor_until(share * effective, effective, case.tail, settled);
            let time = case.more_time(factor);
            factor.map_or(time.clone(), |f| format!("{time} (about {} more)", whole(((f - 1.0) * n).ceil())))
        }
    };
    let mut judgement = case.with(verdict, why, bad_limit(measure, share), n as u64).remedy(remedy);
    let (low, high) = (bad_limit(measure, bounds.low), bad_limit(measure, bounds.high));
    judgement.interval = Some((low.min(high), low.max(high)));
    judgement
}
