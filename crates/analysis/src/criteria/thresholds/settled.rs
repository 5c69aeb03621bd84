//! Steady figures are judged without the warm-up: percentiles and means of response time, and throughput.
//!
//! Where that changes the answer both are told, so that no failure becomes a pass in silence (see
//! `docs/adr/0013-verdicts-on-limits-and-what-the-warm-up-has-to-do-with-them.md`):
//!
//! | whole test | without the warm-up | verdict |
//! |---|---|---|
//! | decided | decided | that without it |
//! | pass | too little left, figure no worse | pass: the warm-up could only have spoilt it |
//! | any | nothing left of this subject | that of the whole test |
//! | fail or pass | too little left otherwise | inconclusive |

use super::{TAILS, judge_one};
use crate::bands::meets;
use crate::tracker::Tracker;
use crate::verdict::{Judgement, Verdict, WithWarmUp};
use crate::view::RunView;
use crate::warmup::Cut;
use crucible_core::threshold::Measure;

pub(super) fn judge(view: &RunView, test: usize, tracker: &Tracker, cut: &Cut) -> Judgement {
    let whole = judge_one(view, test, tracker, TAILS, &Cut::default());
    if cut.is_empty() || !is_steady_figure(tracker) {
        return whole;
    }
    let mut judgement = judge_one(view, test, tracker, TAILS, cut);
    let beside = WithWarmUp { verdict: whole.verdict, value: whole.value, judged: false };
    if judgement.verdict == Verdict::Inconclusive && whole.verdict != Verdict::Inconclusive {
        let no_worse = |value: f64| {
            whole.value.is_some_and(|with| meets(value, with, tracker.threshold.measure.better()))
        };
        let stands = match judgement.value {
            None => true,
            Some(value) => whole.verdict == Verdict::Pass && no_worse(value),
        };
        if stands {
            judgement = whole;
            judgement.with_warm_up = Some(WithWarmUp { judged: true, ..beside });
            return judgement;
        }
    }
    judgement.with_warm_up = Some(beside);
    judgement
}

/// Whether a figure is one of a steady state: not a count, an extreme or a demand on every stretch.
fn is_steady_figure(tracker: &Tracker) -> bool {
    let measure = matches!(
        tracker.threshold.measure,
        Measure::Percentile(_) | Measure::ServicePercentile(_) | Measure::Average | Measure::Throughput
    );
    measure && tracker.stretches.is_none()
}
