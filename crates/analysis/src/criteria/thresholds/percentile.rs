//! "p99 at most T" is "at most 1 % of the operations are above T": judged as that share.

use super::Case;
use crate::stats::share::factor_until;
use crate::stats::{ShareBounds, smallest_sample};
use crate::tracker::BandSums;
use crate::verdict::{Judgement, Verdict, counted, whole};
use crucible_core::units::show_share;

/// Fewer exceedances than this say too little about their own clumping.
const FEW: f64 = 10.0;

pub(super) fn judge(case: &Case<'_>, p: f64) -> Judgement {
    if let Some(nothing) = case.nothing() {
        return nothing;
    }
    let (latency, cut) = case.latency();
    let Some((sums, value)) = case.tracker.bands.last().zip(latency.quantile(p)) else {
        return case
            .say(Verdict::Inconclusive, "no evidence: no response time was recorded")
            .remedy("run it longer");
    };
    let (n, allowed) = (latency.count(), 1.0 - p);
    let effective = effective_n(sums, case.tail);
    let known = ShareBounds::new(sums.known / n as f64 * effective, effective, case.tail);
    let share = sums.possible.ratio().unwrap_or(1.0);
    let possible = ShareBounds::new(share * effective, effective, case.tail);
    let needed = smallest_sample(allowed);
    let limit = case.limit_shown();
    let beyond = format!(
        "{} of {} took longer than {limit} ({} allowed)",
        whole(sums.known),
        counted(n, "operation"),
        show_share(allowed)
    );
    let verdict = if known.low > allowed {
        Verdict::Fail
    } else if n >= needed && possible.high <= allowed {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    let why = match verdict {
        Verdict::Inconclusive if n < needed => {
            format!("{beyond}: it takes at least {} to tell this percentile", counted(needed, "operation"))
        }
        Verdict::Inconclusive if cut > 0 && known_holds(sums, n, allowed) && share > allowed => {
            format!(
                "{beyond}, and {} more were cut off before it could be known",
                whole(sums.possible.y() - sums.known)
            )
        }
        Verdict::Inconclusive => {
            let clumps = if effective < 0.9 * n as f64 {
                format!("; they come in clumps and are worth {} independent ones", whole(effective.floor()))
            } else {
                String::new()
            };
            let (low, high) = (show_share(known.low), show_share(possible.high));
            format!("{beyond}: the true share lies between {low} and {high}, at 95 % each way{clumps}")
        }
        _ => beyond,
    };
    let remedy = remedy(case, sums, n, needed, effective, allowed, verdict);
    let mut judgement = case.with(verdict, why, value.0 as f64, n).remedy(remedy);
    if n >= needed {
        let spread = crate::stats::special::normal_quantile(case.tail) * (p * allowed / effective).sqrt();
        let bound = |share: f64| latency.quantile(share.clamp(0.0, 1.0)).map_or(0.0, |ns| ns.0 as f64);
        judgement.interval = Some((bound(p - spread), bound(p + spread)));
    }
    judgement
}

fn known_holds(sums: &BandSums, n: u64, allowed: f64) -> bool {
    sums.known <= allowed * n as f64
}

/// How many independent operations the exceedances are worth. Where there are few, their own clumping cannot be seen;
/// then that of the operations above half the limit speaks for them.
pub(super) fn effective_n(sums: &BandSums, tail: f64) -> f64 {
    let own = sums.possible.effective_n(tail);
    if sums.possible.y() < FEW { own.min(sums.near.effective_n(tail)) } else { own }
}

fn remedy(
    case: &Case<'_>,
    sums: &BandSums,
    n: u64,
    needed: u64,
    effective: f64,
    allowed: f64,
    verdict: Verdict,
) -> String {
    match verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => "make it faster, or accept more by moving the limit".into(),
        _ => {
            let share = sums.possible.ratio().unwrap_or(0.0);
            let settled = |bounds: ShareBounds| bounds.high <= allowed || bounds.low > allowed;
            let factor = factor_until(share * effective, effective, case.tail, settled);
            let few = (n < needed).then(|| needed as f64 / n.max(1) as f64);
            let factor = match (factor, few) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, _) => a,
            };
            let time = case.more_time(factor);
            match factor {
                Some(factor) if factor.is_finite() => {
                    format!("{time} (about {} more operations)", whole(((factor - 1.0) * n as f64).ceil()))
                }
                _ => time,
            }
        }
    }
}
