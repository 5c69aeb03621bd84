//! The shift function: the ratio at each decile, with a band that holds for all of them at once.
//!
//! Source: Doksum, Annals of Statistics 2 (1974); Wilcox's shift function with simultaneous bands. The joint scatter of
//! the deciles is that of sums of the units' residuals with random signs (wild bootstrap of clustered data: Cameron, Gelbach
//! and Miller, Review of Economics and Statistics 90 (2008)); with few units by Bonferroni's bound.

use super::arms::{Arms, Joint};
use super::evidence::Settings;
use super::outcome::ShiftPoint;
use super::quantile::{QuantileRatio, Quantiles};
use crate::special::normal_quantile;
use crucible_core::Rng;

/// Fewer units than this are too few for random signs.
const FEWEST: usize = 20;
const DRAWS: usize = 2_000;

/// One point for each decile that samples carry.
pub(super) fn shift(arms: &Arms, settings: &Settings) -> Vec<ShiftPoint> {
    let quantiles = Quantiles::new(arms);
    let points: Vec<(f64, QuantileRatio)> = (1..10)
        .map(|tenth| f64::from(tenth) / 10.0)
        .filter(|share| quantiles.carried(*share))
        .filter_map(|share| Some((share, quantiles.ratio(share)?)))
        .collect();
    if points.is_empty() {
        return Vec::new();
    }
    let error = 1.0 - settings.confidence;
    let each = if arms.units() < FEWEST {
        error / points.len() as f64
    } else {
        let residuals = points.iter().map(|(share, found)| {
            let contrast = quantiles.contrast(*share, found.b / found.a);
            match arms.joint {
                Joint::Paired => contrast.joined(),
                _ => contrast.a.iter().map(|z| -z).chain(contrast.b.iter().copied()).collect(),
            }
        });
        joint_error(&residuals.collect::<Vec<_>>(), error, settings.seed)
    };
    points
        .into_iter()
        .map(|(share, found)| {
            let band = quantiles.interval(share, &found, found.scatter.half_width(each));
            ShiftPoint { share, a: found.a, b: found.b, ratio: found.b / found.a, band }
        })
        .collect()
}

/// The error for each of several sums that gives this error for all of them together.
fn joint_error(residuals: &[Vec<f64>], error: f64, seed: u64) -> f64 {
    let scales: Vec<f64> = residuals.iter().map(|z| z.iter().map(|z| z * z).sum::<f64>().sqrt()).collect();
    let units = residuals.first().map_or(0, Vec::len);
    let mut rng = Rng::new(seed, "shift", 0);
    let mut largest: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let signs: Vec<f64> = (0..units).map(|_| if rng.unit() < 0.5 { -1.0 } else { 1.0 }).collect();
            let sum = |z: &[f64]| z.iter().zip(&signs).map(|(z, sign)| z * sign).sum::<f64>().abs();
            let one = |(z, scale): (&Vec<f64>, &f64)| if *scale > 0.0 { sum(z) / scale } else { 0.0 };
            residuals.iter().zip(&scales).map(one).fold(0.0, f64::max)
        })
        .collect();
    largest.sort_by(f64::total_cmp);
    let at = (((1.0 - error) * DRAWS as f64).ceil() as usize).clamp(1, DRAWS) - 1;
    let critical = largest[at];
    let (mut low, mut high) = (error / residuals.len() as f64, error);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if normal_quantile(0.5 * middle) > critical { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_one_need_no_correction_and_unrelated_ones_need_all_of_it() {
        let mut rng = Rng::new(3, "shift", 1);
        let one: Vec<f64> = (0..60).map(|_| rng.normal()).collect();
        let same = joint_error(&vec![one; 9], 0.05, 1);
        assert!((0.035..=0.05).contains(&same), "{same}");
        let unrelated: Vec<Vec<f64>> = (0..9).map(|_| (0..60).map(|_| rng.normal()).collect()).collect();
        let apart = joint_error(&unrelated, 0.05, 1);
        assert!((0.0055..0.0085).contains(&apart), "{apart}");
    }
}
