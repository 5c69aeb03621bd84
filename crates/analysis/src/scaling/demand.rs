//! What one operation costs a component: the utilisation law, `U = U0 + X D`.

use super::levels::Levels;
use crucible_record::RunStarted;
use crucible_stats::special::t_quantile;

/// A component's CPU against throughput.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Index of the series.
    pub series: usize,
    /// CPU seconds of one operation (for the share of a whole machine: share-seconds).
    pub each: f64,
    /// Its 95 % interval; `None` from fewer than three levels.
    pub interval: Option<(f64, f64)>,
    /// Used without any load.
    pub idle: f64,
    /// Mean and largest at the level of the highest throughput.
    pub at_most: (f64, f64),
    /// That throughput.
    pub throughput: f64,
}

impl Demand {
    /// What it comes to at a throughput.
    pub fn at(&self, throughput: f64) -> f64 {
        self.idle + self.each * throughput
    }

    /// Throughput at which it reaches `limit`; `None` if it does not grow.
    pub fn reaches(&self, limit: f64) -> Option<f64> {
        (self.each > 0.0 && limit > self.idle).then(|| (limit - self.idle) / self.each)
    }
}

/// CPU of every component but the generator. Source: Denning and Buzen, "The operational analysis of queueing network
/// models", 1978; the line by least squares, through the origin where levels are too few or too alike for an intercept.
pub fn demands(started: &RunStarted, levels: &Levels) -> Vec<Demand> {
    let cpu = |index: &usize| {
        let meta = &started.series[*index];
        meta.name == "cpu" && meta.component != "generator"
    };
    (0..started.series.len()).filter(cpu).filter_map(|series| demand(series, levels)).collect()
}

fn demand(series: usize, levels: &Levels) -> Option<Demand> {
    let read = |level: &super::Level| {
        let (mean, max) = level.series.get(series).copied().flatten()?;
        Some((level.throughput, mean, max))
    };
    let points: Vec<(f64, f64, f64)> = levels.levels.iter().filter_map(read).collect();
    let top = points.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let least = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let (x, u): (Vec<f64>, Vec<f64>) = points.iter().map(|point| (point.0, point.1)).unzip();
    let spread = points.len() >= 3 && top.0 >= 1.5 * least;
    let (idle, each, interval) = match spread.then(|| line(&x, &u)).flatten() {
        Some((idle, each, half)) if idle >= 0.0 => (idle, each, Some((each - half, each + half))),
        _ => (0.0, through_origin(&x, &u), None),
    };
    (each > 0.0).then_some(Demand {
        series,
        each,
        interval,
        idle,
        at_most: (top.1, top.2),
        throughput: top.0,
    })
}

fn through_origin(x: &[f64], u: &[f64]) -> f64 {
    let across: f64 = x.iter().zip(u).map(|(x, u)| x * u).sum();
    let square: f64 = x.iter().map(|x| x * x).sum();
    if square > 0.0 { across / square } else { 0.0 }
}

/// Intercept, slope and half of the slope's 95 % interval.
fn line(x: &[f64], u: &[f64]) -> Option<(f64, f64, f64)> {
    let n = x.len() as f64;
    let (mean_x, mean_u) = (x.iter().sum::<f64>() / n, u.iter().sum::<f64>() / n);
    let square: f64 = x.iter().map(|x| (x - mean_x).powi(2)).sum();
    if square <= 0.0 || x.len() < 3 {
        return None;
    }
    let slope = x.iter().zip(u).map(|(x, u)| (x - mean_x) * (u - mean_u)).sum::<f64>() / square;
    let idle = mean_u - slope * mean_x;
    let rest: f64 = x.iter().zip(u).map(|(x, u)| (u - idle - slope * x).powi(2)).sum();
    let half = t_quantile(n - 2.0, 0.025) * (rest / (n - 2.0) / square).sqrt();
    Some((idle, slope, half))
}
