//! Whether a share keeps its limit: [`crucible_stats::slo`] with the errors that verdicts may have.

use super::Tails;
use crate::verdict::Verdict;
use crucible_stats::slo::{Answer, FEW, Judged, Settings, Tally, judge_bounded};

/// Judges "at most `allowed` are bad" where between `known` and `possible` are.
///
/// Where bad ones were seen in fewer than [`FEW`] windows, or in none, a pass takes 95 % of confidence instead of
/// 99.5 %: they come so seldom that much more certainty would take several times as long (of p99, 528 operations
/// without a single one instead of 299), and a figure near its limit would have them all the time.
pub(super) fn judge(known: &Tally, possible: &Tally, allowed: f64, tails: Tails) -> (Judged, Verdict) {
    let with = |tail| judge_bounded(known, possible, allowed, &Settings { tail, ..Settings::default() });
    let judged = with(tails.share);
    let verdict = match judged.answer {
        Answer::Pass => Verdict::Pass,
        Answer::Fail => Verdict::Fail,
        Answer::Inconclusive if nothing_near(possible, allowed, tails) => Verdict::Pass,
        Answer::Inconclusive if possible.hit() < FEW && with(tails.seldom).answer == Answer::Pass => {
            Verdict::Pass
        }
        Answer::Inconclusive => Verdict::Inconclusive,
    };
    (judged, verdict)
}

/// Whether not one came even near the limit, in as many as it takes to show that: what is nowhere cannot come in clumps.
fn nothing_near(possible: &Tally, allowed: f64, tails: Tails) -> bool {
    let total = possible.total();
    total.bad.max(total.near) <= 0.0 && (1.0 - allowed).powf(total.operations) <= tails.seldom * (1.0 + 1e-6)
}
