//! Models of a series: how windows depend on each other, an exponential approach, a straight line.

/// Noise around a moving level: a few steps and slow trends do not disturb it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise {
    /// Correlation of neighbours, as of an AR(1) process; 0 to 0.97.
    pub(super) keep: f64,
    /// Variance of one value.
    pub(super) variance: f64,
    /// The variance of a mean of n values is this over n.
    pub(super) long_run: f64,
}

/// Median of a copy; 0 of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// From the spread of second differences, which steps disturb little and straight slopes not at all: over a lag k, those
/// of an AR(1) process have the variance `v (6 - 8 r^k + 2 r^2k)`, so that the ratio of lags 4 and 8 to lag 1 tells r.
pub(super) fn noise(series: &[f64]) -> Noise {
    // a normal variable's median absolute deviation is 0.6745 of its standard deviation
    let spread = |lag: usize| {
        let bends = series.windows(2 * lag + 1).map(|part| (part[0] - 2.0 * part[lag] + part[2 * lag]).abs());
        (median(bends) / 0.6745).powi(2)
    };
    let theory = |keep: f64, lag: i32| 6.0 - 8.0 * keep.powi(lag) + 2.0 * keep.powi(2 * lag);
    let one = spread(1);
    if one <= 0.0 {
        return Noise { keep: 0.0, variance: 0.0, long_run: 0.0 };
    }
    let told = |lag: i32| {
        let seen = spread(lag as usize) / one;
        let (mut low, mut high) = (0.0, 0.97);
        for _ in 0..30 {
            let middle = f64::midpoint(low, high);
            if theory(middle, lag) / theory(middle, 1) < seen { low = middle } else { high = middle }
        }
        low
    };
    let keep = if series.len() >= 60 { f64::midpoint(told(4), told(8)) } else { told(4) };
    let variance = one / theory(keep, 1);
    // the closer to 1, the less a finite series says of it
    let doubt = 1.0 + keep * keep;
    Noise { keep, variance, long_run: doubt * variance * (1.0 + keep) / (1.0 - keep) }
}

/// `level + rise e^(-t / time)` with its sum of squared residuals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Approach {
    pub(super) level: f64,
    pub(super) rise: f64,
    pub(super) time: f64,
    pub(super) squares: f64,
}

/// The best exponential approach: linear least squares for each of a range of time constants, then closer around the best.
pub(super) fn approach(series: &[f64]) -> Option<Approach> {
    let n = series.len();
    if n < 12 {
        return None;
    }
    let at = |time: f64| {
        let (mut s, mut ss, mut sy, mut sum) = (0.0, 0.0, 0.0, 0.0);
        for (index, value) in series.iter().enumerate() {
            let e = (-(index as f64) / time).exp();
            (s, ss, sy, sum) = (s + e, ss + e * e, sy + e * value, sum + value);
        }
        let count = n as f64;
        let determinant = ss - s * s / count;
        let rise = if determinant > 1e-12 { (sy - s * sum / count) / determinant } else { 0.0 };
        let level = (sum - rise * s) / count;
        let model = |index: usize| level + rise * (-(index as f64) / time).exp();
        let squares = series.iter().enumerate().map(|(index, value)| (value - model(index)).powi(2)).sum();
        Approach { level, rise, time, squares }
    };
    let better = |a: Approach, b: Approach| if b.squares < a.squares { b } else { a };
    let mut best =
        (0..=40).map(|step| at((n as f64).powf(f64::from(step) / 40.0).max(1.0))).reduce(better)?;
    let mut width = 1.0 / 40.0;
    for _ in 0..5 {
        let centre = best.time.ln() / (n as f64).ln();
        let around = (-4..=4).map(|step| at((n as f64).powf(centre + width * f64::from(step) / 4.0)));
        best = around.reduce(better).map_or(best, |found| better(best, found));
        width /= 4.0;
    }
    Some(best)
}

/// Slope per step of a straight line by least squares.
pub(super) fn slope(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = series.iter().sum::<f64>() / n;
    let (mut across, mut square) = (0.0, 0.0);
    for (index, value) in series.iter().enumerate() {
        let x = index as f64 - middle;
        (across, square) = (across + x * (value - mean), square + x * x);
    }
    if square > 0.0 { across / square } else { 0.0 }
}
