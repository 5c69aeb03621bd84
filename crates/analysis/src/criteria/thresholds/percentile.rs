//! "p99 at most T" is "at most 1 % of the operations are above T": judged as that share, by bounds.

use super::{Case, bounds};
use crate::stats::smallest_sample;
use crate::verdict::{Judgement, Verdict, counted, whole};
use crucible_core::units::show_share;
use crucible_stats::slo::Judged;

pub(super) fn judge(case: &Case<'_>, p: f64) -> Judgement {
    if let Some(nothing) = case.nothing() {
        return nothing;
    }
    let (latency, cut) = case.latency();
    let tallies = case.sums.known.last().zip(case.sums.possible.last());
    let Some(((known, possible), value)) = tallies.zip(latency.quantile(p)) else {
        return case
            .say(Verdict::Inconclusive, "no evidence: no response time was recorded")
            .remedy("run it longer");
    };
    let (n, allowed) = (latency.count(), 1.0 - p);
    let (judged, verdict) = bounds::judge(known, possible, allowed, case.tails);
    let needed = smallest_sample(allowed);
    let limit = case.limit_shown();
    let beyond = format!(
        "{} of {} took longer than {limit} ({} allowed)",
        whole(judged.bad),
        counted(n, "operation"),
        show_share(allowed)
    );
    let verdict = if verdict == Verdict::Pass && n < needed { Verdict::Inconclusive } else { verdict };
    let why = match verdict {
        Verdict::Inconclusive if n < needed => {
            format!("{beyond}: it takes at least {} to tell this percentile", counted(needed, "operation"))
        }
        Verdict::Inconclusive if cut > 0 && judged.bad <= allowed * n as f64 && judged.share > allowed => {
            format!(
                "{beyond}, and {} more were cut off before it could be known",
                whole(possible.total().bad - judged.bad)
            )
        }
        Verdict::Inconclusive => {
            let clumps = if judged.effective < 0.9 * n as f64 {
                format!(
                    "; they come in clumps and are worth {} independent ones",
                    whole(judged.effective.floor())
                )
            } else {
                String::new()
            };
            let (low, high) = (show_share(judged.low), show_share(judged.high));
            format!("{beyond}: the true share lies between {low} and {high}, {}{clumps}", case.sureness())
        }
        _ => beyond,
    };
    let remedy = remedy(case, &judged, n, needed, verdict);
    let mut judgement = case.with(verdict, why, value.0 as f64, n).remedy(remedy);
    if verdict == Verdict::Inconclusive {
        judgement.more_seconds = judged.more.map(|more| more.seconds);
    }
    if n >= needed {
        let spread = crate::stats::special::normal_quantile(case.tails.share)
            * (p * allowed / judged.effective).sqrt();
        let bound = |share: f64| latency.quantile(share.clamp(0.0, 1.0)).map_or(0.0, |ns| ns.0 as f64);
        judgement.interval = Some((bound(p - spread), bound(p + spread)));
    }
    judgement
}

fn remedy(case: &Case<'_>, judged: &Judged, n: u64, needed: u64, verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => "make it faster, or accept more by moving the limit".into(),
        _ if n < needed => {
            let factor = needed as f64 / n.max(1) as f64;
            let more = whole((needed - n) as f64);
            format!("{} (about {more} more operations)", case.more_time(Some(factor)))
        }
        _ => case.more_to_settle(judged),
    }
}
