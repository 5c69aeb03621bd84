//! From counts to an answer.
//!
//! The share of bad operations is judged by exact binomial bounds on as many independent operations as the windows are
//! worth: the share's own variance, as its scatter between windows shows it ([`Scatter`]), against that of a binomial
//! count (Korn and Graubard, Survey Methodology 24 (1998)). So the bounds are right for rare events, where a normal interval
//! is not, and for clumped ones, where a binomial one is not.

use super::answer::{Answer, Judged, More, Settings};
use super::tally::{Count, Tally, WIDE};
use crate::scatter::Scatter;
use crate::special::{beta_quantile, normal_quantile, t_quantile};

/// Groups that must have bad operations before these tell their own clumping.
pub const FEW: usize = 12;
/// Counts beyond which both sides are normal enough for Wilson's bounds.
const MANY: f64 = 2_000.0;
/// Longer than this is no answer: 30 days.
const LONGEST: f64 = 30.0 * 86_400.0;
/// How much wider the mixture of a [`Scatter`] is than the normal distribution it tends to.
const DOUBT: f64 = 1.08;

/// One-sided bounds on the share behind `k` of `n` independent trials (real numbers: effective ones), each with error
/// `tail`. Source: Clopper and Pearson, Biometrika 26 (1934); Wilson, JASA 22 (1927), where hits and misses are both above
/// 2,000.
pub fn share_bounds(k: f64, n: f64, tail: f64) -> (f64, f64) {
    if n.is_nan() || n <= 0.0 {
        return (0.0, 1.0);
    }
    let k = k.clamp(0.0, n);
    if k > MANY && n - k > MANY {
        let (z, p) = (normal_quantile(tail), k / n);
        let centre = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        return ((centre - half) / scale, (centre + half) / scale);
    }
    let low = if k > 0.0 { beta_quantile(k, n - k + 1.0, tail) } else { 0.0 };
    let high = if n - k > 0.0 { beta_quantile(k + 1.0, n - k, 1.0 - tail) } else { 1.0 };
    (low, high)
}

/// Judges "at most `allowed` of the operations are bad". For a percentile `p` with its limit, `allowed` is `1 - p` and the
/// counts are those of [`Count::latency`].
pub fn judge(tally: &Tally, allowed: f64, settings: &Settings) -> Judged {
    judge_bounded(tally, tally, allowed, settings)
}

/// The same where not all is known: operations that were cut off before the limit are bad in `possible` and not in
/// `known`. A pass must hold if all of them were bad, a fail if none was.
pub fn judge_bounded(known: &Tally, possible: &Tally, allowed: f64, settings: &Settings) -> Judged {
    let n = possible.total().operations;
    let (least, most) = (known.total().bad / n, possible.total().bad / n);
    if n.is_nan() || n <= 0.0 {
        return Judged {
            answer: Answer::Inconclusive,
            operations: 0.0,
            bad: 0.0,
            share: f64::NAN,
            low: 0.0,
            high: 1.0,
            allowed,
            effective: 0.0,
            more: None,
        };
    }
    let worth = Worth::new(possible, settings.tail);
    let (low, _) = share_bounds(least * worth.surely, worth.surely, settings.tail);
    let (_, high) = share_bounds(most * worth.surely, worth.surely, settings.tail);
    let answer = if low > allowed {
        Answer::Fail
    } else if high <= allowed {
        Answer::Pass
    } else {
        Answer::Inconclusive
    };
    let more = (answer == Answer::Inconclusive).then(|| more(possible, most, &worth, allowed, settings));
    Judged {
        answer,
        operations: n,
        bad: known.total().bad,
        share: most,
        low,
        high,
        allowed,
        effective: worth.surely,
        more: more.flatten(),
    }
}

/// How many independent operations all of them are worth.
struct Worth {
    /// For bounds: with what is not known of the scatter counted against them.
    surely: f64,
    /// As an estimate.
    likely: f64,
}

impl Worth {
    fn new(tally: &Tally, tail: f64) -> Worth {
        let own = Worth::of(tally, tail, |count| count.bad);
        if tally.hit() >= FEW {
            return own;
        }
        let near = Worth::of(tally, tail, |count| count.near);
        Worth { surely: own.surely.min(near.surely), likely: own.likely.min(near.likely) }
    }

    fn of(tally: &Tally, tail: f64, bad: impl Fn(&Count) -> f64) -> Worth {
        let n = tally.total().operations;
        let share = tally.groups().map(&bad).sum::<f64>() / n;
        let residuals: Vec<f64> =
            tally.groups().map(|count| (bad(count) - share * count.operations) / n).collect();
        let Some(scatter) = Scatter::serial(&residuals) else {
            // one window: its inner dependence is unknown; as if it were two
            let worth = n * (normal_quantile(tail) / t_quantile(1.0, tail)).powi(2);
            return Worth { surely: worth, likely: worth };
        };
        let binomial = share * (1.0 - share);
        let worth =
            |deviation: f64| if deviation > 0.0 { (binomial / (deviation * deviation)).min(n) } else { n };
        Worth {
            surely: worth(scatter.half_width(2.0 * tail) / normal_quantile(tail)),
            // the middle half of the mixture has little of its doubt
            likely: worth(scatter.half_width(0.5) / normal_quantile(0.25)),
        }
    }
}

/// Seconds until it is decided.
fn more(tally: &Tally, share: f64, worth: &Worth, allowed: f64, settings: &Settings) -> Option<More> {
    let total = tally.total();
    if allowed <= 0.0 || allowed >= 1.0 || total.seconds <= 0.0 {
        return None;
    }
    let sure = DOUBT * (normal_quantile(settings.tail) + normal_quantile(1.0 - settings.power));
    // the operations that each effective one costs, and the seconds that each operation takes
    let cost = total.operations / worth.likely * total.seconds / total.operations;
    let seconds_for = |difference: f64| cost * allowed * (1.0 - allowed) * (sure / difference).powi(2);
    let planned = seconds_for(resolved(total, allowed, settings.resolution));
    let as_is = seconds_for((share - allowed).abs());
    // a plan that has been fulfilled without a decision is extended by a quarter
    let rest = |all: f64| (all - total.seconds).max(0.25 * total.seconds).ceil();
    let bounded = |all: f64| Some(all).filter(|all| all.is_finite() && *all < LONGEST).map(rest);
    let as_is = bounded(as_is);
    let seconds = bounded(planned).or(as_is)?;
    Some(More { seconds, seconds_as_is: as_is })
}

/// How far the share is from the allowed one when the figure is this far, relatively, from its limit.
fn resolved(total: &Count, allowed: f64, resolution: f64) -> f64 {
    let (inside, outside) = total.around;
    if (inside, outside) == (total.bad, total.bad) {
        // a share is its own figure
        return resolution * allowed;
    }
    let steepness = (inside.max(0.5) / outside.max(0.5)).ln() / (2.0 * WIDE.ln());
    allowed * -(-steepness * resolution.ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(windows: u32, bad: f64, operations: f64) -> Tally {
        let mut tally = Tally::default();
        (0..windows).for_each(|_| tally.push(Count::share(bad, operations, 1.0)));
        tally
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // R: binom.test(5, 100, alternative = "less" / "greater")
        let (low, high) = share_bounds(5.0, 100.0, 0.05);
        assert!((low - 0.019_914).abs() < 2e-5 && (high - 0.102_253).abs() < 2e-5, "{low} {high}");
        assert_eq!(share_bounds(0.0, 0.0, 0.05), (0.0, 1.0));
        let (exact, normal) = (share_bounds(2_000.0, 1e5, 0.005), share_bounds(2_001.0, 1e5, 0.005));
        assert!((exact.0 - normal.0).abs() < 3e-5 && (exact.1 - normal.1).abs() < 3e-5);
    }

    #[test]
    fn nothing_shows_nothing() {
        let judged = judge(&Tally::default(), 0.01, &Settings::default());
        assert_eq!((judged.answer, judged.more), (Answer::Inconclusive, None));
        assert_eq!((judged.low, judged.high), (0.0, 1.0));
    }

    #[test]
    fn a_pass_takes_evidence_even_without_a_single_bad_one() {
        let answer = |windows, n| judge(&tally(windows, 0.0, n), 0.01, &Settings::default()).answer;
        assert_eq!(answer(30, 10.0), Answer::Inconclusive);
        // ln 0.005 / ln 0.99 is 527.2
        assert_eq!((answer(52, 10.0), answer(53, 10.0)), (Answer::Inconclusive, Answer::Pass));
        assert_eq!(answer(1, 1_000.0), Answer::Inconclusive);
    }

    #[test]
    fn what_was_cut_off_counts_against_both_answers() {
        let settings = Settings::default();
        let (known, possible) = (tally(60, 1.0, 1_000.0), tally(60, 30.0, 1_000.0));
        assert_eq!(judge(&known, 0.01, &settings).answer, Answer::Pass);
        assert_eq!(judge(&possible, 0.01, &settings).answer, Answer::Fail);
        assert_eq!(judge_bounded(&known, &possible, 0.01, &settings).answer, Answer::Inconclusive);
    }

    #[test]
    fn on_the_limit_there_is_a_plan_all_the_same() {
        let judged = judge(&tally(60, 10.0, 1_000.0), 0.01, &Settings::default());
        let more = judged.more.unwrap();
        assert_eq!((judged.answer, more.seconds_as_is), (Answer::Inconclusive, None));
        assert!(more.seconds > 0.0);
        assert_eq!(judge(&tally(60, 10.0, 1_000.0), 0.0, &Settings::default()).more, None);
    }
}
