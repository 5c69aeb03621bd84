//! Shares: errors, errors of one class, checks that held, dropped arrivals. Judged by the bad ones.

use super::{Case, bounds};
use crate::stats::smallest_sample;
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
    let Some(tally) = case.sums.possible.first().filter(|tally| tally.total().operations > 0.0) else {
        let why = match measure {
            Measure::Checks => "no evidence: no check was ever made",
            _ => "no evidence: nothing ended",
        };
        return case.say(Verdict::Inconclusive, why).remedy("run it long enough to send it");
    };
    let limit = bad_limit(measure, case.limit);
    let (judged, verdict) = bounds::judge(tally, tally, limit, case.tails);
    let (n, bad, share) = (judged.operations, judged.bad, judged.share);
    // "none at all" is a statement about this run, not about a rate
    let none_allowed = limit <= 0.0;
    let verdict = if none_allowed && bad > 0.0 {
        Verdict::Fail
    } else if verdict == Verdict::Inconclusive
        && (none_allowed || (case.tracker.threshold.implied && share <= limit))
    {
        // What the plan did not ask for need not be shown: the implied limit objects, it does not hold up.
        Verdict::Pass
    } else {
        verdict
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
            "{counted}: the share lies between {} and {}, {}",
            case.unit.show(judged.low),
            case.unit.show(judged.high),
            case.sureness()
        ),
        _ => counted,
    };
    let remedy = match verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => "see the error classes and texts of the steps concerned".into(),
        _ if bad <= 0.0 => {
            let needed = smallest_sample(limit) as f64;
            let time = case.more_time(Some(needed / judged.effective.max(1.0)));
            format!("{time} (about {} more)", whole((needed - n).max(1.0)))
        }
        _ => case.more_to_settle(&judged),
    };
    let mut judgement = case.with(verdict, why, bad_limit(measure, share), n as u64).remedy(remedy);
    if verdict == Verdict::Inconclusive {
        judgement.more_seconds = judged.more.map(|more| more.seconds);
    }
    let (low, high) = (bad_limit(measure, judged.low), bad_limit(measure, judged.high));
    judgement.interval = Some((low.min(high), low.max(high)));
    judgement
}
