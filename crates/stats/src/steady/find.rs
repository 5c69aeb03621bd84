//! The decision: from which window on, or why not.

use super::pelt::changes;
use super::shape::{Noise, approach, median, noise, slope};
use crate::special::t_quantile;

/// What counts as steady.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A warm-up that fades ends when it is within this share of the level. Smaller changes of level are none.
    pub tolerance: f64,
    /// Smallest share of the series that has to be steady.
    pub tail: f64,
    /// Fewest windows.
    pub fewest: usize,
}

impl Default for Settings {
    /// 2 %, the last quarter, 20 windows.
    fn default() -> Settings {
        Settings { tolerance: 0.02, tail: 0.25, fewest: 20 }
    }
}

/// Why there is no steady state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It rises or falls to the end.
    Drifts,
    /// The last change of level is too near the end.
    ChangesLate,
    /// The level goes up and down.
    Wanders,
    /// It still approaches its level.
    Settling,
}

impl Why {
    /// A sentence for readers.
    pub fn words(self) -> &'static str {
        match self {
            Why::Drifts => "it rises or falls to the end",
            Why::ChangesLate => "its last change of level is too near the end",
            Why::Wanders => "its level goes up and down",
            Why::Settling => "it is still on its way to its level",
        }
    }
}

/// A steady state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// Index of its first window; 0 if there was no warm-up.
    pub from: usize,
    /// Mean from there on.
    pub level: f64,
    /// Mean before it as a ratio of the level; 1 without a warm-up. A slow-down is below 1 for response times.
    pub before: f64,
}

/// What a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// Steady from a window on.
    Steady(Steady),
    /// Not steady.
    Unsteady(Why),
    /// Too few windows to say.
    TooShort,
}

/// Most values that the models work on; longer series are averaged down.
const MOST: usize = 1000;
/// Changes of level are real if they are this many standard errors large.
const SIGMAS: f64 = 4.5;
/// Chance of a drift where there is none.
const DRIFT_TAIL: f64 = 0.0005;

/// Finds the steady state of one figure per window.
///
/// Spikes are cut to their neighbourhood's median; changes of mean and variance are found (see `pelt`) and kept if larger
/// than the tolerance and than 4.5 standard errors with dependence; an exponential approach takes their place
/// where it fits better by the Bayesian information criterion (Schwarz 1978); what is left has to be long enough and
/// without a drift.
pub fn find(series: &[f64], settings: &Settings) -> State {
    if series.len() < settings.fewest.max(12) || series.iter().any(|value| !value.is_finite()) {
        return State::TooShort;
    }
    let batch = series.len().div_ceil(MOST);
    let means: Vec<f64> =
        series.chunks_exact(batch).map(|chunk| chunk.iter().sum::<f64>() / batch as f64).collect();
    let calm = without_spikes(&means);
    let noise = noise(&calm);
    let scale = median(calm.iter().map(|value| value.abs())).max(1e-300);
    let steps = steps(&calm, &noise, scale, settings.tolerance);
    let step_squares = squares(&calm, &steps);
    let from = match fading(&calm, &noise, &steps, step_squares, scale, settings.tolerance) {
        Some(end) if end > last(calm.len(), settings) => return State::Unsteady(Why::Settling),
        Some(end) => end,
        None if wanders(&calm, &steps) => return State::Unsteady(Why::Wanders),
        None => steps.last().copied().unwrap_or(0),
    };
    if from > last(calm.len(), settings) {
        return State::Unsteady(Why::ChangesLate);
    }
    if drifts(&calm[from..], &noise, scale, settings.tolerance) {
        return State::Unsteady(Why::Drifts);
    }
    if wobbles(&calm[from..], &noise, scale, settings.tolerance) {
        return State::Unsteady(Why::Wanders);
    }
    let level = mean(&calm[from..]);
    let before = if from == 0 || level == 0.0 { 1.0 } else { mean(&calm[..from]) / level };
    State::Steady(Steady { from: (from * batch).min(series.len() - 1), level, before })
}

/// The number of values to cut so that the standard error of the mean of the rest is least, in batches of five; `None` if
/// that is more than half, which says that the series is too short. A starting point, not a verdict.
/// Source: White, "An effective truncation heuristic for bias reduction in simulation output", Simulation 69 (1997).
pub fn mser5(series: &[f64]) -> Option<usize> {
    let batches: Vec<f64> = series.chunks_exact(5).map(|chunk| chunk.iter().sum::<f64>() / 5.0).collect();
    let (mut sum, mut square, mut best) = (0.0, 0.0, (f64::INFINITY, 0));
    for (index, value) in batches.iter().enumerate().rev() {
        (sum, square) = (sum + value, square + value * value);
        let count = (batches.len() - index) as f64;
        let error = (square - sum * sum / count).max(0.0) / (count * count);
        // the last few batches alone say nothing
        if count >= 5.0 && error <= best.0 {
            best = (error, index);
        }
    }
    (batches.len() >= 10 && best.1 * 2 <= batches.len()).then_some(best.1 * 5)
}

/// The last index at which a steady state may begin.
fn last(length: usize, settings: &Settings) -> usize {
    ((1.0 - settings.tail) * length as f64) as usize
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Values farther from the median of their eleven neighbours than six of the usual distances become that median. At both
/// ends, where a steep warm-up would look like a spike, only what stands out from both sides does.
fn without_spikes(series: &[f64]) -> Vec<f64> {
    const SIDE: usize = 5;
    let n = series.len();
    let usual = median(series.windows(2).map(|pair| (pair[0] - pair[1]).abs())) / 0.6745;
    let cut = |(index, value): (usize, &f64)| {
        let side = SIDE.min(index).min(n - 1 - index);
        let around = &series[index - side..=index + side];
        let middle = median(around.iter().copied());
        if side > 0 && (value - middle).abs() > 6.0 * usual { middle } else { *value }
    };
    series.iter().enumerate().map(cut).collect()
}

/// Changes of level that are real: the least sure one is dropped until all are.
fn steps(series: &[f64], noise: &Noise, scale: f64, tolerance: f64) -> Vec<usize> {
    let n = series.len() as f64;
    let least = (noise.variance * 0.05).max(1e-18 * scale * scale);
    // dependent values hold less news than their number says
    let news = (1.0 + noise.keep) / (1.0 - noise.keep);
    let mut found = changes(series, 15.0 * n.ln() * news.sqrt(), least);
    loop {
        let bounds: Vec<usize> =
            std::iter::once(0).chain(found.iter().copied()).chain([series.len()]).collect();
        let sureness = |index: usize| {
            let (left, right) =
                (&series[bounds[index]..bounds[index + 1]], &series[bounds[index + 1]..bounds[index + 2]]);
            let change = (mean(right) - mean(left)).abs();
            let error = (noise.long_run * (1.0 / left.len() as f64 + 1.0 / right.len() as f64)).sqrt();
            let sure = change / (SIGMAS * error).max(1e-300);
            sure.min(change / (tolerance * scale))
        };
        let weakest =
            (0..found.len()).map(|index| (index, sureness(index))).min_by(|a, b| a.1.total_cmp(&b.1));
        match weakest {
            Some((index, sure)) if sure < 1.0 => drop(found.remove(index)),
            _ => return found,
        }
    }
}

/// Squared residuals around the levels between the steps.
fn squares(series: &[f64], steps: &[usize]) -> f64 {
    let bounds: Vec<usize> = std::iter::once(0).chain(steps.iter().copied()).chain([series.len()]).collect();
    let part = |pair: &[usize]| {
        let values = &series[pair[0]..pair[1]];
        let level = mean(values);
        values.iter().map(|value| (value - level).powi(2)).sum::<f64>()
    };
    bounds.windows(2).map(part).sum()
}

/// End of an exponential approach, if that describes the series better than steps do.
fn fading(
    series: &[f64],
    noise: &Noise,
    steps: &[usize],
    squares: f64,
    scale: f64,
    tolerance: f64,
) -> Option<usize> {
    let fit = approach(series)?;
    let n = series.len() as f64;
    let alone = n * (1.0 - noise.keep) / (1.0 + noise.keep);
    let floor = 1e-12 * scale * scale * n;
    let criterion =
        |squares: f64, unknowns: f64| alone * (squares.max(floor) / n).ln() + unknowns * alone.max(2.0).ln();
    let flat = series.iter().map(|value| (value - mean(series)).powi(2)).sum::<f64>();
    let bent = criterion(fit.squares, 3.0);
    let worth =
        fit.rise.abs() > 2.0 * tolerance * scale && fit.time > 1.5 && bent + 10.0 < criterion(flat, 1.0);
    if !worth || bent >= criterion(squares, 1.0 + 2.0 * steps.len() as f64) {
        return None;
    }
    let ratio = fit.rise.abs() / (tolerance * fit.level.abs().max(1e-300));
    Some((fit.time * ratio.max(1.0).ln()).ceil().min(n) as usize)
}

/// Whether three or more changes do not all go the same way.
fn wanders(series: &[f64], steps: &[usize]) -> bool {
    if steps.len() < 3 {
        return false;
    }
    let bounds: Vec<usize> = std::iter::once(0).chain(steps.iter().copied()).chain([series.len()]).collect();
    let levels: Vec<f64> = bounds.windows(2).map(|pair| mean(&series[pair[0]..pair[1]])).collect();
    let up = levels.windows(2).filter(|pair| pair[1] > pair[0]).count();
    up != 0 && up != steps.len()
}

/// Whether the means of ten parts of the rest differ by far more than noise lets them: a slow cycle, which has no step and
/// no slope. With noise alone the ratio is 1 on average and above 3.3 once in 2000; the noise itself is known to a factor
/// of two.
fn wobbles(rest: &[f64], noise: &Noise, scale: f64, tolerance: f64) -> bool {
    let size = rest.len() / 10;
    if size < 2 {
        return false;
    }
    let means: Vec<f64> = rest.chunks_exact(size).map(mean).collect();
    let middle = mean(&means);
    let variance = means.iter().map(|part| (part - middle).powi(2)).sum::<f64>() / (means.len() - 1) as f64;
    variance.sqrt() > tolerance * scale && variance > 6.6 * noise.long_run / size as f64
}

/// Whether a straight line through the rest rises or falls by more than the tolerance, and surely.
fn drifts(rest: &[f64], noise: &Noise, scale: f64, tolerance: f64) -> bool {
    let n = rest.len() as f64;
    let rise = slope(rest) * (n - 1.0);
    // the variance of a least-squares slope over n values is 12 v / n^3
    let error = (12.0 * noise.long_run / n).sqrt();
    let freedom = (n * (1.0 - noise.keep) / (1.0 + noise.keep) - 2.0).max(3.0);
    rise.abs() > 1.5 * tolerance * scale && rise.abs() > error * t_quantile(freedom, DRIFT_TAIL)
}
