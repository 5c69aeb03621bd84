//! Ratios of quantiles of all of an arm's operations.
//!
//! For a ratio `r` B's times are divided by `r`, and the quantile of both arms together is taken. If `r` is the true ratio
//! both arms have the same share of operations above it, up to chance; how far the shares are apart, against how much they
//! scatter between units, tests `r` (the quantile test of Mood, 1950, with clustered counts). The interval holds all `r` that
//! are not rejected. This needs no density at the quantile, so it works in gaps and tails as well, and where the arms
//! are equal the statistic is symmetric whatever the distribution, which is what keeps small samples honest.

use super::arms::{Arms, Cell, Contrast, Joint};
use super::cdf::Cdf;
use super::outcome::Interval;
use crate::scatter::Scatter;
use crucible_core::Histogram;

/// Operations beyond the quantile that an arm needs.
const FEWEST_BEYOND: f64 = 20.0;
/// Units in which an arm needs to have operations beyond the quantile.
const FEWEST_UNITS_BEYOND: usize = 8;
/// An end of an interval further away than this factor is no end.
const FURTHEST: f64 = 1e3;

/// Both arms as wholes.
pub(super) struct Quantiles<'a> {
    arms: &'a Arms,
    a: Cdf,
    b: Cdf,
}

/// What is known of one quantile.
pub(super) struct QuantileRatio {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) p: f64,
    /// Error of the share difference at the ratio.
    pub(super) scatter: Scatter,
    plain: f64,
}

impl<'a> Quantiles<'a> {
    pub(super) fn new(arms: &'a Arms) -> Quantiles<'a> {
        let pooled = |cells: &[Cell]| {
            let mut all = Histogram::default();
            cells.iter().for_each(|cell| all.merge(&cell.latency));
            Cdf::new(&all)
        };
        Quantiles { arms, a: pooled(&arms.a), b: pooled(&arms.b) }
    }

    /// The quantile of each arm; `None` when either is empty.
    pub(super) fn of_arms(&self, share: f64) -> Option<(f64, f64)> {
        Some((self.a.quantile(share)?, self.b.quantile(share)?))
    }

    /// Whether samples carry this quantile: enough operations beyond it, in enough units.
    pub(super) fn carried(&self, share: f64) -> bool {
        let rare = share.min(1.0 - share);
        let Some((at_a, at_b)) = self.of_arms(share) else { return false };
        let enough = |cells: &[Cell], whole: &Cdf, at: f64| {
            let beyond = |cell: &&Cell| {
                let below = cell.cdf.below(at);
                if share < 0.5 { below >= 1.0 } else { cell.cdf.total() - below >= 1.0 }
            };
            let units = cells.iter().filter(beyond).count();
            let needed = if self.arms.joint == Joint::Runs { cells.len() } else { FEWEST_UNITS_BEYOND };
            whole.total() * rare >= FEWEST_BEYOND && units >= needed
        };
        enough(&self.arms.a, &self.a, at_a) && enough(&self.arms.b, &self.b, at_b)
    }

    /// Where the share of both arms together lies when B is divided by `ratio`, on A's scale.
    fn common(&self, share: f64, ratio: f64) -> f64 {
        let wanted = share * (self.a.total() + self.b.total());
        // it lies between the quantiles of the two
        let (a, b) = self.of_arms(share).unwrap_or_default();
        let (mut low, mut high) = (a.min(b / ratio), a.max(b / ratio));
        for _ in 0..30 {
            if high - low <= 1e-9 * high {
                break;
            }
            let middle = 0.5 * (low + high);
            if self.a.below(middle) + self.b.below(middle * ratio) < wanted {
                low = middle
            } else {
                high = middle
            }
        }
        0.5 * (low + high)
    }

    /// Share of B / `ratio` above the common quantile less that of A.
    pub(super) fn contrast(&self, share: f64, ratio: f64) -> Contrast {
        let at = self.common(share, ratio);
        let arm = |cells: &[Cell], whole: &Cdf, at: f64| {
            let total = whole.total();
            let above = cells.iter().map(|cell| cell.cdf.total() - cell.cdf.below(at)).collect::<Vec<_>>();
            let rate = above.iter().sum::<f64>() / total;
            let residuals: Vec<f64> =
                cells.iter().zip(above).map(|(cell, y)| (y - rate * cell.cdf.total()) / total).collect();
            (rate, residuals)
        };
        let (rate_a, a) = arm(&self.arms.a, &self.a, at);
        let (rate_b, b) = arm(&self.arms.b, &self.b, at * ratio);
        Contrast { difference: rate_b - rate_a, a, b }
    }

    /// How much the share changes when B's scale changes by the factor e.
    fn slope(&self, share: f64, ratio: f64) -> f64 {
        let step = 0.02_f64;
        let at = |factor: f64| self.contrast(share, ratio * factor).difference;
        ((at((-step).exp()) - at(step.exp())) / (2.0 * step)).abs()
    }

    /// The ratio of one quantile; `None` when an arm is empty or has too few units.
    pub(super) fn ratio(&self, share: f64) -> Option<QuantileRatio> {
        let (a, b) = self.of_arms(share).filter(|(a, b)| *a > 0.0 && *b > 0.0)?;
        let ratio = b / a;
        let slope = if matches!(self.arms.joint, Joint::Windows(spread) if spread > 0.0) {
            self.slope(share, ratio)
        } else {
            0.0
        };
        let equal = self.contrast(share, 1.0);
        let p = self.arms.scatter(&equal, slope)?.p(equal.difference);
        let found = self.contrast(share, ratio);
        let scatter = self.arms.scatter(&found, slope)?;
        Some(QuantileRatio { a, b, p, scatter, plain: found.plain(self.arms.joint) })
    }

    /// All ratios that are not rejected at the error for which `width` is the half width of the share difference.
    /// An end may be 0 or infinite.
    pub(super) fn interval(&self, share: f64, found: &QuantileRatio, width: f64) -> Interval {
        let ratio = found.b / found.a;
        if found.plain <= 0.0 {
            return Interval { low: ratio, high: ratio };
        }
        let strict = width / found.plain;
        // above 0 where the ratio is rejected
        let excess = |log: f64| {
            let contrast = self.contrast(share, ratio * log.exp());
            contrast.difference.abs() - strict * contrast.plain(self.arms.joint)
        };
        let end = |sign: f64| {
            let mut outer = 0.01;
            let mut at_outer = excess(sign * outer);
            let (mut inner, mut at_inner) = (0.0, -width);
            while at_outer <= 0.0 {
                (inner, at_inner) = (outer, at_outer);
                outer *= 2.0;
                if outer > FURTHEST.ln() {
                    return sign * f64::INFINITY;
                }
                at_outer = excess(sign * outer);
            }
            // false position with the Illinois rule (Dowell and Jarratt, BIT 11 (1971))
            for _ in 0..20 {
                let middle = (inner * at_outer - outer * at_inner) / (at_outer - at_inner);
                let at = excess(sign * middle);
                if at > 0.0 {
                    (outer, at_outer, at_inner) = (middle, at, 0.5 * at_inner);
                } else {
                    (inner, at_inner, at_outer) = (middle, at, 0.5 * at_outer);
                }
                if outer - inner <= 1e-3 * outer || at.abs() <= 1e-3 * width {
                    return sign * middle;
                }
            }
            sign * outer
        };
        Interval { low: ratio * end(-1.0).exp(), high: ratio * end(1.0).exp() }
    }
}
