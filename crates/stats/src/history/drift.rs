//! Slow drifts: a figure that moves a little from run to run, without a step.

use super::ranks::DEPENDENT;
use crate::special::normal_quantile;

/// A drift over a stretch of runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// First run of the stretch; it ends with the last run that tells the figure.
    pub from: usize,
    /// Change a run, in the unit of the values: the median of all pairs (Theil, 1950; Sen, JASA 63, 1968).
    pub slope: f64,
    /// Its 95 % interval (Kendall's statistic, widened where runs depend on each other).
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// Where the line begins and ends.
    pub first: f64,
    /// See `first`.
    pub last: f64,
    /// How far it stands out, in standard errors.
    pub strength: f64,
    /// How often chance shows something as strong in any figure of the history.
    pub p: f64,
}

/// Strength of a straight line through scores, less the allowance for dependence. 0 where nothing can be said.
pub(super) fn strength(scores: &[f64], correlation: f64) -> f64 {
    let n = scores.len() as f64;
    if n < 5.0 {
        return 0.0;
    }
    let middle = (n - 1.0) / 2.0;
    let mean = scores.iter().sum::<f64>() / n;
    let (mut cross, mut squares) = (0.0, 0.0);
    for (at, score) in scores.iter().enumerate() {
        cross += (at as f64 - middle) * (score - mean);
        squares += (score - mean) * (score - mean);
    }
    let spread = n * (n * n - 1.0) / 12.0;
    let within = (squares - cross * cross / spread).max(1e-12) / (n - 2.0);
    let inflation = (1.0 + correlation) / (1.0 - correlation);
    (cross.abs() / (spread * within * inflation).sqrt() - DEPENDENT * correlation).max(0.0)
}

/// What remains of scores when the best straight line is taken off.
pub(super) fn residuals(scores: &[f64]) -> Vec<f64> {
    let n = scores.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = scores.iter().sum::<f64>() / n;
    let cross: f64 = scores.iter().enumerate().map(|(at, score)| (at as f64 - middle) * (score - mean)).sum();
    let slope = cross / (n * (n * n - 1.0) / 12.0);
    scores.iter().enumerate().map(|(at, score)| score - mean - slope * (at as f64 - middle)).collect()
}

/// Slope and interval of `values` at the runs `places`.
pub(super) fn line(places: &[usize], values: &[f64], correlation: f64) -> (f64, f64, f64) {
    let mut slopes = Vec::with_capacity(values.len() * values.len() / 2);
    for (i, value) in values.iter().enumerate() {
        let later = values[i + 1..].iter().zip(&places[i + 1..]);
        slopes.extend(later.map(|(next, place)| (next - value) / (place - places[i]) as f64));
    }
    slopes.sort_by(f64::total_cmp);
    let (n, pairs) = (values.len() as f64, slopes.len());
    if pairs == 0 {
        return (0.0, 0.0, 0.0);
    }
    let inflation = (1.0 + correlation) / (1.0 - correlation);
    let width = normal_quantile(0.025) * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * inflation).sqrt();
    let low = ((pairs as f64 - width) / 2.0).floor().max(0.0) as usize;
    let high = (((pairs as f64 + width) / 2.0).ceil() as usize).min(pairs - 1);
    let middle = super::ranks::median(&slopes);
    (middle, slopes[low.min(pairs - 1)], slopes[high])
}
