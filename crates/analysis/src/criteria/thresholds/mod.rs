//! What the plan demands, decided only on enough evidence.
//!
//! Each kind of measure has its file: percentiles by exceedance, shares (errors, checks, dropped), means (average,
//! throughput), facts (minimum, maximum, deviation), stretches (`over`). All of them follow one rule: pass only if the
//! bound on the bad side meets the last limit, fail only if the bound on the good side does not, else inconclusive
//! with what would settle it. Bounds are one-sided: at 99.5 % for percentiles and shares of operations (see
//! [`crucible_stats::slo`]), at 95 % for means.

mod bounds;
mod fact;
mod leak;
mod mean;
mod percentile;
mod settled;
mod share;
mod split;
mod stretches;
mod value;

use super::evidence::attempted;
use crate::bands;
use crate::groups::Sums;
use crate::totals::Totals;
use crate::tracker::{Tracker, latency_of};
use crate::verdict::{Judgement, Unit, Verdict, counted};
use crate::view::RunView;
use crate::warmup::{self, Cut};
use crucible_core::threshold::{LimitUnit, Measure};
use crucible_core::{Frame, Histogram, Ns, Outcome};
use crucible_stats::slo;

/// One-sided errors of the bounds that verdicts rest on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tails {
    /// Of percentiles and shares.
    share: f64,
    /// Of those for a pass, where bad operations are seldom.
    seldom: f64,
    /// Of means.
    mean: f64,
}

/// Of the verdict on a whole test. That on a percentile or a share is wrong in at most one of a hundred tests, however near
/// to its limit the figure lies.
const TAILS: Tails = Tails { share: 0.005, seldom: 0.05, mean: 0.05 };
/// Of the question that is asked after every window.
pub(crate) const ABORT_TAILS: Tails = Tails { share: 0.001, seldom: 0.001, mean: 0.001 };

const NAME: &str = "thresholds";
const TOO_CLOSE: &str =
    "the figure lies too close to the limit for a longer run to settle it: move the limit or the figure";

pub(crate) fn judge(view: &RunView, test: usize) -> Vec<Judgement> {
    let cut = warmup::cut(view, &warmup::settled(view, test));
    let mut out: Vec<Judgement> =
        view.trackers[test].iter().map(|tracker| settled::judge(view, test, tracker, &cut)).collect();
    for (text, why) in &view.unreadable[test] {
        let why = format!("the threshold `{text}` cannot be read: {why}");
        let mut judgement = Judgement::new(NAME, "thresholds", "text", Verdict::Inconclusive, why)
            .remedy("read the record with the version that wrote it, or with a newer one");
        judgement.threshold = Some(text.clone());
        out.push(judgement);
    }
    out
}

/// Judges one threshold on one subject with bounds of these errors, without what is cut.
pub(crate) fn judge_one(
    view: &RunView,
    test: usize,
    tracker: &Tracker,
    tails: Tails,
    cut: &Cut,
) -> Judgement {
    let case = Case::new(view, test, tracker, tails, cut);
    let mut judgement = match (&tracker.stretches, &tracker.threshold.measure) {
        (Some(_), Measure::Value(..)) => {
            case.say(Verdict::Inconclusive, "stretches of values are not judged by this version")
        }
        (Some(found), _) => stretches::judge(&case, found),
        (None, Measure::Percentile(p) | Measure::ServicePercentile(p)) => percentile::judge(&case, *p),
        (None, Measure::Errors | Measure::ErrorsOf(_) | Measure::Checks | Measure::Dropped) => {
            share::judge(&case)
        }
        (None, Measure::Average | Measure::Throughput) => mean::judge(&case),
        (None, Measure::Min | Measure::Max | Measure::Stddev) => fact::judge(&case),
        (None, Measure::Value(measure, _)) => value::judge(&case, measure),
    };
    case.settle_band(&mut judgement);
    judgement
}

/// One threshold, its subject's totals, and what all kinds of measures need.
struct Case<'a> {
    view: &'a RunView,
    test: usize,
    tracker: &'a Tracker,
    totals: &'a Totals,
    /// What is left out of steady figures.
    cut: &'a Cut,
    tails: Tails,
    /// What the windows add up to.
    sums: Sums,
    unit: Unit,
    /// The last acceptable limit.
    limit: f64,
}

impl<'a> Case<'a> {
    fn new(view: &'a RunView, test: usize, tracker: &'a Tracker, tails: Tails, cut: &'a Cut) -> Case<'a> {
        let unit = match tracker.threshold.measure.unit() {
            LimitUnit::Duration => Unit::Duration,
            LimitUnit::Share => Unit::Share,
            LimitUnit::Rate => Unit::PerSecond,
            LimitUnit::Number => tracker.unit,
        };
        let limit = tracker.threshold.bands.last().map_or(f64::NAN, |band| band.limit);
        let (totals, sums) = (&view.tests[test], tracker.groups.sums(cut));
        Case { view, test, tracker, totals, cut, tails, sums, unit, limit }
    }

    /// How sure the bounds of a share are.
    fn sureness(&self) -> String {
        format!("at {} % each way", crucible_core::units::show_number(100.0 * (1.0 - self.tails.share)))
    }

    fn frames(&self) -> impl Iterator<Item = &'a Frame> + '_ {
        let frames = &self.totals.steps;
        self.tracker.steps.iter().filter_map(|index| frames.get(*index))
    }

    fn attempted(&self) -> u64 {
        self.frames().map(attempted).fold(0, u64::saturating_add)
    }

    fn ok(&self) -> u64 {
        self.frames().map(|frame| frame.of(Outcome::Ok)).fold(0, u64::saturating_add)
    }

    /// The distribution that is judged, and how much of it are lower bounds.
    fn latency(&self) -> (Histogram, u64) {
        if !self.cut.is_empty() {
            let service = matches!(self.tracker.threshold.measure, Measure::ServicePercentile(_));
            return warmup::later(self.view, self.test, self.cut, &self.tracker.steps, service);
        }
        let (mut all, mut cut) = (Histogram::default(), 0);
        for frame in self.frames() {
            let (answered, censored) = latency_of(&self.tracker.threshold.measure, frame);
            all.merge(answered);
            all.merge(censored);
            cut += censored.count();
        }
        (all, cut)
    }

    /// Operations that were ok and should have fed the measure with this index, without those that did.
    fn unmarked(&self, measure: usize, values: u64) -> u64 {
        let id = u16::try_from(measure).unwrap_or(u16::MAX);
        let fed = self.tracker.feeding.iter().filter(|(_, measures)| measures.contains(&id));
        let ok = fed.filter_map(|(step, _)| self.totals.steps.get(*step)).map(|frame| frame.of(Outcome::Ok));
        ok.fold(0, u64::saturating_add).saturating_sub(values)
    }

    fn measure(&self) -> String {
        let name = self.tracker.label();
        match self.tracker.threshold.over {
            Some(over) if over.0 % 1_000_000_000 == 0 => format!("{name} over {}s", over.0 / 1_000_000_000),
            Some(over) => format!("{name} over {over}"),
            None => name,
        }
    }

    fn say(&self, verdict: Verdict, why: impl Into<String>) -> Judgement {
        let mut judgement = Judgement::new(NAME, self.tracker.subject.clone(), self.measure(), verdict, why);
        judgement.unit = self.unit;
        judgement.limit = Some(self.limit);
        judgement.threshold = Some(self.tracker.text.clone());
        judgement.implied = self.tracker.threshold.implied;
        judgement
    }

    /// A judgement with its value and the band that the value lies in.
    fn with(&self, verdict: Verdict, why: impl Into<String>, value: f64, samples: u64) -> Judgement {
        let mut judgement = self.say(verdict, why);
        judgement.value = Some(value);
        judgement.evidence = samples;
        let threshold = &self.tracker.threshold;
        judgement.band = bands::owner(value, &threshold.bands, threshold.measure.better())
            .map(|index| threshold.bands[index].name.clone());
        judgement
    }

    /// The answer where there is nothing to judge: a subject that was tried and never worked fails, one that was never
    /// tried shows nothing. `None` if there were successes.
    fn nothing(&self) -> Option<Judgement> {
        let (ok, attempted) = (self.ok(), self.attempted());
        if ok > 0 {
            return None;
        }
        Some(if attempted > 0 {
            self.say(
                Verdict::Fail,
                format!(
                    "none of {} succeeded, so there is no figure to judge",
                    counted(attempted, "operation")
                ),
            )
            .evidence(0)
            .remedy("make the operation succeed first; see the judgement on its evidence")
        } else {
            self.say(Verdict::Inconclusive, "no evidence: it was never sent")
                .remedy("run it long enough to send it, or mend what stands before it")
        })
    }

    /// Value and verdict come from one set of counts but not by one computation (a percentile has the histogram's
    /// precision): where they differ by a hair, the verdict decides on which side of the last limit the value is told.
    fn settle_band(&self, judgement: &mut Judgement) {
        match judgement.verdict {
            Verdict::Pass if judgement.band.is_none() => {
                judgement.band = self.tracker.threshold.bands.last().map(|band| band.name.clone());
            }
            Verdict::Fail => judgement.band = None,
            _ => {}
        }
    }

    fn limit_shown(&self) -> String {
        self.unit.show(self.limit)
    }

    /// How much longer it takes until a percentile or share is decided.
    fn more_to_settle(&self, judged: &slo::Judged) -> String {
        let span = |seconds: f64| Ns::from_secs_f64(seconds.ceil().max(1.0));
        match judged.more {
            None => TOO_CLOSE.to_owned(),
            Some(slo::More { seconds, seconds_as_is: Some(as_is) }) if as_is < seconds => format!(
                "run about {} longer if it stays as it is; {} settle any figure that is 2 % from its limit",
                span(as_is),
                span(seconds)
            ),
            Some(more) => format!(
                "run about {} longer at this rate: that settles any figure that is 2 % from its limit",
                span(more.seconds)
            ),
        }
    }

    /// "about 40s more at this rate", or that no length of time will do.
    fn more_time(&self, factor: Option<f64>) -> String {
        let more = factor.map(|factor| (factor - 1.0).max(0.0) * self.sums.seconds);
        match more {
            Some(seconds) if seconds <= 86_400.0 => {
                let seconds = seconds.ceil().max(1.0);
                format!("run about {} longer at this rate", Ns::from_secs_f64(seconds))
            }
            _ => TOO_CLOSE.to_owned(),
        }
    }
}
