//! Thresholds on values: the plan's own measures, and what monitors read.
//!
//! Sums, extremes and last values are facts of the run. Means, shares and percentiles of measures are judged by bounds, as
//! those of operations are. Of a series they are facts too: monitors read a component from the beginning of the test to
//! its end, not a sample of it; where they did not, nothing passes. A series or measure without values shows nothing, whatever is demanded of it.

use super::Case;
use crate::bands::meets;
use crate::series::SeriesTotals;
use crate::source::Source;
use crate::stats::share::factor_until;
use crate::stats::{RatioSums, ShareBounds, smallest_sample};
use crate::verdict::{Judgement, Verdict, counted, whole};
use crucible_core::threshold::{Better, ValueMeasure};
use crucible_core::units::show_share;
use crucible_core::{MeasureFrame, Ns};

/// Share of a test that may pass without a reading.
const UNSEEN: f64 = 0.1;

pub(super) fn judge(case: &Case<'_>, measure: &ValueMeasure) -> Judgement {
    let values = Values::of(case);
    let Some(values) = values.filter(|values| values.count() > 0) else {
        let (why, remedy) = match case.tracker.source {
            Source::Series(_) => ("no evidence: it was never read", "see the gaps for what stood in the way"),
            Source::Measure(_) => {
                ("no evidence: no value came", "see that the steps that feed it succeed and that it applies")
            }
            _ => ("no evidence: the run has nothing of this name", "see the plan's components and measures"),
        };
        return case.say(Verdict::Inconclusive, why).remedy(remedy);
    };
    let judgement = match measure {
        ValueMeasure::Total => fact(case, values.sum(), &values),
        ValueMeasure::Last => fact(case, Some(values.last()), &values),
        ValueMeasure::Min => fact(case, Some(values.min()), &values),
        ValueMeasure::Max => fact(case, Some(values.max()), &values),
        ValueMeasure::Average | ValueMeasure::Rate => match values {
            Values::Series(totals) => fact(case, totals.mean(), &values),
            Values::Measure(_) => mean(case, measure, &values),
        },
        ValueMeasure::Percentile(p) => match values {
            Values::Series(totals) => share_of_time(case, *p, totals),
            Values::Measure(frame) => percentile(case, *p, frame),
        },
        ValueMeasure::Share | ValueMeasure::Mark(_) => share(case, &values),
        ValueMeasure::Split => super::split::judge(case),
        ValueMeasure::Above(_) | ValueMeasure::Below(_) => longest(case, &values),
        ValueMeasure::Leak => super::leak::judge(case),
    };
    values.seen(case, judgement)
}

/// The values of one test.
enum Values<'a> {
    Measure(&'a MeasureFrame),
    Series(&'a SeriesTotals),
}

impl<'a> Values<'a> {
    fn of(case: &Case<'a>) -> Option<Values<'a>> {
        match case.tracker.source {
            Source::Measure(index) => case.totals.measures.get(index).map(Values::Measure),
            Source::Series(index) => case.totals.series.get(index).map(Values::Series),
            _ => None,
        }
    }

    fn count(&self) -> u64 {
        match self {
            Values::Measure(frame) => frame.count,
            Values::Series(totals) => totals.count,
        }
    }

    fn sum(&self) -> Option<f64> {
        match self {
            Values::Measure(frame) => Some(frame.sum),
            Values::Series(_) => None,
        }
    }

    fn last(&self) -> f64 {
        match self {
            Values::Measure(frame) => frame.last,
            Values::Series(totals) => totals.last,
        }
    }

    fn min(&self) -> f64 {
        match self {
            Values::Measure(frame) => frame.min,
            Values::Series(totals) => totals.min,
        }
    }

    fn max(&self) -> f64 {
        match self {
            Values::Measure(frame) => frame.max,
            Values::Series(totals) => totals.max,
        }
    }

    fn counted(&self) -> String {
        match self {
            Values::Measure(frame) => counted(frame.count, "value"),
            Values::Series(totals) => counted(totals.count, "reading"),
        }
    }

    /// What was not read for a long time cannot pass: it may have been anything meanwhile.
    fn seen(&self, case: &Case<'_>, mut judgement: Judgement) -> Judgement {
        let (Values::Series(totals), Some(begin)) = (self, case.totals.from) else { return judgement };
        let before = totals.from.map_or(Ns::ZERO, |from| from.since(begin));
        let unseen = totals.widest.max(before).max(case.totals.to.since(totals.to));
        let usual = totals.to.since(totals.from.unwrap_or_default()).0 / (totals.count - 1).max(1);
        let allowed =
            (case.totals.covered.as_secs_f64() * UNSEEN).max(3.0 * Ns(usual).as_secs_f64()).max(3.0);
        if judgement.verdict == Verdict::Pass && unseen.as_secs_f64() > allowed {
            judgement.verdict = Verdict::Inconclusive;
            judgement.why = format!("{}, but it was not read for {unseen}", judgement.why);
            judgement.remedy = "see the gaps for what stood in the way".into();
        }
        judgement
    }
}

fn against(case: &Case<'_>) -> String {
    let side = match case.tracker.threshold.measure.better() {
        Better::Lower => "at most",
        Better::Higher => "at least",
    };
    format!("{side} {} demanded", case.limit_shown())
}

fn fact(case: &Case<'_>, value: Option<f64>, values: &Values<'_>) -> Judgement {
    let Some(value) = value else {
        return case.say(Verdict::Inconclusive, "readings do not add up, so they have no total");
    };
    let holds = meets(value, case.limit, case.tracker.threshold.measure.better());
    let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
    let why = format!("{} in {}, {}", case.unit.show(value), values.counted(), against(case));
    let remedy = if holds { "" } else { "see it over time for when it happened" };
    case.with(verdict, why, value, values.count()).remedy(remedy)
}

fn mean(case: &Case<'_>, measure: &ValueMeasure, values: &Values<'_>) -> Judgement {
    let sums = &case.tracker.values.mean;
    let (value, half) = (sums.ratio(), sums.half_width(case.tails.mean));
    let better = case.tracker.threshold.measure.better();
    let Some(value) = value else {
        return case.say(Verdict::Inconclusive, "no evidence: no window tells of it");
    };
    let told = format!("{} over {}, {}", case.unit.show(value), values.counted(), against(case));
    let Some(half) = half else {
        let why = format!("{told}: one value shows nothing about its own spread");
        return case
            .with(Verdict::Inconclusive, why, value, values.count())
            .remedy("run it for at least ten seconds");
    };
    // a rate of events and a mean of values that are never negative are not negative either
    let floor =
        if values.min() >= 0.0 || matches!(measure, ValueMeasure::Rate) { 0.0 } else { f64::NEG_INFINITY };
    let (low, high) = ((value - half).max(floor.min(value)), value + half);
    let verdict = decide(low, high, case.limit, better);
    let (why, remedy) = match verdict {
        Verdict::Inconclusive => {
            let distance = (value - case.limit).abs();
            let factor = (distance > 0.0).then(|| (half / distance).powi(2)).filter(|factor| *factor < 1e5);
            let (low, high) = (case.unit.show(low), case.unit.show(high));
            (
                format!("{told}: the mean lies between {low} and {high}, at 95 % each way"),
                case.more_time(factor),
            )
        }
        Verdict::Fail => (told, "see it over time for when it happened".into()),
        _ => (told, String::new()),
    };
    let mut judgement = case.with(verdict, why, value, values.count()).remedy(remedy);
    judgement.interval = Some((low, high));
    judgement
}

/// Pass only if the bad bound holds, fail only if the good one does not.
pub(super) fn decide(low: f64, high: f64, limit: f64, better: Better) -> Verdict {
    let (worst, best) = match better {
        Better::Lower => (high, low),
        Better::Higher => (low, high),
    };
    if meets(worst, limit, better) {
        Verdict::Pass
    } else if meets(best, limit, better) {
        Verdict::Inconclusive
    } else {
        Verdict::Fail
    }
}

fn bounds_of(sums: &RatioSums, tail: f64) -> (ShareBounds, f64, f64) {
    let (share, effective) = (sums.ratio().unwrap_or(0.0), sums.effective_n(tail));
    (ShareBounds::new(share * effective, effective, tail), share, effective)
}

fn share(case: &Case<'_>, values: &Values<'_>) -> Judgement {
    let Some(sums) = case.tracker.values.shares.first().filter(|sums| sums.n() > 0.0) else {
        return case.say(Verdict::Inconclusive, "no evidence: no window tells of it");
    };
    let better = case.tracker.threshold.measure.better();
    let (bounds, share, effective) = bounds_of(sums, case.tails.mean);
    let verdict = decide(bounds.low, bounds.high, case.limit, better);
    let told =
        format!("{} of {} ({}), {}", whole(sums.y()), values.counted(), show_share(share), against(case));
    let (why, remedy) = match verdict {
        Verdict::Inconclusive => {
            let settled = |b: ShareBounds| decide(b.low, b.high, case.limit, better) != Verdict::Inconclusive;
            let factor = factor_until(share * effective, effective, case.tails.mean, settled);
            let (low, high) = (show_share(bounds.low), show_share(bounds.high));
            (
                format!("{told}: the share lies between {low} and {high}, at 95 % each way"),
                case.more_time(factor),
            )
        }
        Verdict::Fail => (told, "look into what the values stand for".into()),
        _ => (told, String::new()),
    };
    let mut judgement = case.with(verdict, why, share, values.count()).remedy(remedy);
    judgement.interval = Some((bounds.low, bounds.high));
    judgement
}

/// The share that may lie beyond the limit, and on which side.
fn allowed(case: &Case<'_>, p: f64) -> (f64, &'static str) {
    match case.tracker.threshold.measure.better() {
        Better::Lower => (1.0 - p, "above"),
        Better::Higher => (p, "below"),
    }
}

fn percentile(case: &Case<'_>, p: f64, frame: &MeasureFrame) -> Judgement {
    let Some(sums) = case.tracker.values.shares.last().filter(|sums| sums.n() > 0.0) else {
        return case.say(Verdict::Inconclusive, "no evidence: no window tells of it");
    };
    let (allowed, side) = allowed(case, p);
    let (bounds, share, effective) = bounds_of(sums, case.tails.mean);
    let (n, needed) = (frame.count, smallest_sample(allowed));
    let (beyond, of, limit) = (whole(sums.y()), counted(n, "value"), case.limit_shown());
    let told = format!("{beyond} of {of} lay {side} {limit} ({} allowed)", show_share(allowed));
    let verdict = match decide(bounds.low, bounds.high, allowed, Better::Lower) {
        Verdict::Pass if n < needed => Verdict::Inconclusive,
        verdict => verdict,
    };
    let why = match verdict {
        Verdict::Inconclusive if n < needed => {
            format!("{told}: it takes at least {} to tell this percentile", counted(needed, "value"))
        }
        Verdict::Inconclusive => {
            let (low, high) = (show_share(bounds.low), show_share(bounds.high));
            format!("{told}: the true share lies between {low} and {high}, at 95 % each way")
        }
        _ => told,
    };
    let remedy = match verdict {
        Verdict::Inconclusive => {
            let settled = |b: ShareBounds| b.high <= allowed || b.low > allowed;
            case.more_time(factor_until(share * effective, effective, case.tails.mean, settled))
        }
        Verdict::Fail => "see it over time for when it happened".into(),
        _ => String::new(),
    };
    match frame.quantile(p) {
        Some(value) => case.with(verdict, why, value, n).remedy(remedy),
        None => case.say(verdict, why).evidence(n).remedy(remedy),
    }
}

/// A percentile of a series: the share of readings beyond the limit. It takes one reading in that share to tell it from
/// the extreme.
fn share_of_time(case: &Case<'_>, p: f64, totals: &SeriesTotals) -> Judgement {
    let (allowed, side) = allowed(case, p);
    let beyond = case.tracker.values.shares.last().map_or(0.0, RatioSums::y);
    let n = totals.count;
    let (of, limit) = (counted(n, "reading"), case.limit_shown());
    let told = format!("{} of {of} lay {side} {limit} ({} allowed)", whole(beyond), show_share(allowed));
    let (verdict, why, remedy) = if beyond > allowed * n as f64 + 1e-9 {
        (Verdict::Fail, told, "see it over time for when it happened")
    } else if allowed * (n as f64) < 1.0 - 1e-9 {
        let why = format!("{told}: of so few there is no such percentile");
        (Verdict::Inconclusive, why, "run it longer, read more often, or demand it of the extreme")
    } else {
        (Verdict::Pass, told, "")
    };
    case.say(verdict, why).evidence(n).remedy(remedy)
}

fn longest(case: &Case<'_>, values: &Values<'_>) -> Judgement {
    let longest = &case.tracker.values.longest;
    let limit = Ns(case.limit.max(0.0) as u64);
    let told = format!("{} at a stretch in {}, {}", longest.known, values.counted(), against(case));
    let (verdict, why, remedy) = if longest.known > limit {
        (Verdict::Fail, told, "see it over time for when it happened")
    } else if longest.possible > limit {
        let why =
            format!("{told}; with the time in which it was not read it may have been {}", longest.possible);
        (Verdict::Inconclusive, why, "see the gaps for what stood in the way")
    } else {
        (Verdict::Pass, told, "")
    };
    case.with(verdict, why, longest.known.0 as f64, values.count()).remedy(remedy)
}
