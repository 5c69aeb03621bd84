//! `leak: none`: what a component uses up does not grow without end.

use super::Case;
use crate::growth;
use crate::source::Source;
use crate::verdict::{Judgement, Verdict};
use crucible_core::Ns;
use crucible_stats::trend::Leak;

pub(super) fn judge(case: &Case<'_>) -> Judgement {
    let Source::Series(series) = case.tracker.source else {
        return case.say(Verdict::Inconclusive, "only what is read of a component is looked at for leaks");
    };
    let readings = case.totals.series.get(series).map_or(0, |totals| totals.count);
    let found = growth::of_series(case.view, case.test, series);
    let (verdict, remedy) = match &found.leak {
        Leak::Found { .. } => {
            (Verdict::Fail, "find what keeps it: compare what is held early in the test and late".to_owned())
        }
        Leak::None { .. } => (Verdict::Pass, String::new()),
        Leak::Undecided { seconds, .. } => {
            let more = Ns::from_secs_f64(seconds.clamp(1.0, 1e9).ceil());
            (Verdict::Inconclusive, format!("run about {more} longer"))
        }
    };
    let mut judgement = case.say(verdict, found.words()).evidence(readings).remedy(remedy);
    judgement.limit = None;
    if let Leak::Undecided { seconds, .. } = found.leak {
        judgement.more_seconds = Some(seconds);
    }
    if let Leak::Found { slope, .. } = &found.leak {
        judgement.value = Some(60.0 * slope.value);
        judgement.interval = Some((60.0 * slope.low, 60.0 * slope.high));
    }
    judgement
}
