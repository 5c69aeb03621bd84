//! How often an arm differs from itself: the same method on pseudo-pairs made of an arm's own neighbouring units.
//!
//! Which of the two is called A is drawn at random, for single pairs and for groups of two and four at a time, so that what
//! hangs together in the arm hangs together in the pseudo-pairs as well. The answer belongs beside every verdict: it is the
//! method's error as the data at hand show it, not as the theory promises it.

use super::arms::{Arms, Cell};
use super::evidence::Settings;
use super::outcome::SelfCheck;
use super::quantile::Quantiles;
use super::sums::Quotient;
use crate::scatter::Scatter;
use crucible_core::Rng;

/// Fewer pseudo-pairs than this say nothing.
const FEWEST: usize = 8;

/// `None` if not asked for, or if there are too few units.
pub(super) fn self_check(arms: &Arms, settings: &Settings) -> Option<SelfCheck> {
    let metrics = differences(arms, settings);
    let pairs = metrics.first().map_or(0, Vec::len);
    if settings.self_checks == 0 || pairs < FEWEST {
        return None;
    }
    let mut rng = Rng::new(settings.seed, "self-check", 0);
    let family = metrics.len() as f64;
    let mut differed = 0;
    for round in 0..settings.self_checks {
        let group = 1 << (round % 3);
        let mut sign = 1.0;
        let signs: Vec<f64> = (0..pairs)
            .map(|index| {
                if index % group == 0 {
                    sign = if rng.unit() < 0.5 { -1.0 } else { 1.0 };
                }
                sign
            })
            .collect();
        let differs = metrics.iter().any(|metric| {
            let signed: Vec<f64> = metric.iter().zip(&signs).map(|(z, sign)| z * sign).collect();
            let sum: f64 = signed.iter().sum();
            let residuals: Vec<f64> = signed.iter().map(|z| z - sum / pairs as f64).collect();
            // Bonferroni's bound is Holm's for the smallest p, and the smallest decides whether any differs
            Scatter::serial(&residuals).is_some_and(|scatter| scatter.p(sum) * family <= settings.alpha)
        });
        differed += u32::from(differs);
    }
    Some(SelfCheck { made: settings.self_checks, differed })
}

/// Whether that is more often than `alpha` explains, by three standard deviations.
pub(super) fn too_often(check: SelfCheck, alpha: f64) -> bool {
    let (made, differed) = (f64::from(check.made), f64::from(check.differed));
    differed > alpha * made + 3.0 * (alpha * (1.0 - alpha) * made).sqrt()
}

/// For each metric the differences of the pseudo-pairs, in the order of time; metrics that samples do not carry are
/// left out.
fn differences(arms: &Arms, settings: &Settings) -> Vec<Vec<f64>> {
    let mut out = Vec::new();
    let mut push = |a: Vec<f64>, b: Vec<f64>| {
        let pairs = |own: &[f64]| own.chunks_exact(2).map(|two| two[1] - two[0]).collect::<Vec<f64>>();
        let (of_a, of_b) = (pairs(&a), pairs(&b));
        // A and B ran side by side, so their pseudo-pairs take turns
        let mut both = Vec::with_capacity(of_a.len() + of_b.len());
        for index in 0..of_a.len().max(of_b.len()) {
            both.extend(of_a.get(index));
            both.extend(of_b.get(index));
        }
        if both.iter().any(|z| *z != 0.0) {
            out.push(both);
        }
    };
    let quotients: [Quotient<'_>; 3] =
        [&|cell| (cell.ok, cell.seconds), &|cell| (cell.errors, cell.operations), &|cell| {
            (cell.latency.sum() as f64, cell.latency.count() as f64)
        }];
    for quotient in quotients {
        push(residuals(&arms.a, quotient), residuals(&arms.b, quotient));
    }
    let quantiles = Quantiles::new(arms);
    for share in settings.percentiles.iter().filter(|share| quantiles.carried(**share)) {
        if let Some((at_a, at_b)) = quantiles.of_arms(*share) {
            let above = |cells: &[Cell], at: f64| {
                residuals(cells, |cell| (cell.cdf.total() - cell.cdf.below(at), cell.cdf.total()))
            };
            push(above(&arms.a, at_a), above(&arms.b, at_b));
        }
    }
    out
}

/// Deviations from the arm's own value, relative to it; nothing where that is 0.
fn residuals(cells: &[Cell], quotient: impl Fn(&Cell) -> (f64, f64)) -> Vec<f64> {
    let parts: Vec<(f64, f64)> = cells.iter().map(quotient).collect();
    let sum = parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    if sum.0 <= 0.0 || sum.1 <= 0.0 {
        return vec![0.0; parts.len()];
    }
    let value = sum.0 / sum.1;
    parts.iter().map(|(top, bottom)| (top - value * bottom) / sum.0).collect()
}
