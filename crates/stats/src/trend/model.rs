//! Mean curves with noise of first-order autoregression, fitted by maximum likelihood.
//!
//! For a given correlation r of neighbours the series `y[i] - r y[i-1]` has independent noise (Cochrane and Orcutt, JASA 44,
//! 1949; with the first point kept as Prais and Winsten do), so that each fit is least squares on two columns; r is searched
//! on a grid.

/// Correlations of neighbours that are tried.
const CORRELATIONS: [f64; 16] =
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985, 0.993, 0.998];

/// A fitted curve `base + heights[0] * shapes[0] + ...`.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// Log-likelihood, up to a constant that all fits of a series share.
    pub(super) likelihood: f64,
    pub(super) base: f64,
    /// Height of the last shape; 0 without shapes.
    pub(super) height: f64,
    /// Standard error of `height`.
    pub(super) error: f64,
    /// Correlation of neighbours.
    pub(super) correlation: f64,
}

impl Fit {
    /// Independent readings that the series is worth: `n (1 - r) / (1 + r)`.
    pub(super) fn worth(&self, n: usize) -> f64 {
        n as f64 * (1.0 - self.correlation) / (1.0 + self.correlation)
    }
}

/// The best fit over all correlations; without shapes the curve is flat. At most two shapes.
pub(super) fn fit(values: &[f64], shapes: &[&[f64]]) -> Fit {
    let fits = CORRELATIONS.iter().map(|r| at(values, shapes, *r));
    let none = Fit { likelihood: f64::MIN, base: 0.0, height: 0.0, error: f64::INFINITY, correlation: 0.0 };
    fits.fold(none, |best, fit| if fit.likelihood > best.likelihood { fit } else { best })
}

/// Most columns: the base and two shapes.
const COLUMNS: usize = 3;

fn at(values: &[f64], shapes: &[&[f64]], r: f64) -> Fit {
    let first = (1.0 - r * r).sqrt();
    let k = (1 + shapes.len()).min(COLUMNS);
    // the normal equations, the right side in the last column
    let mut normal = [[0.0; COLUMNS + 1]; COLUMNS];
    let mut total = 0.0;
    for (i, value) in values.iter().enumerate() {
        let of = |series: &[f64]| if i == 0 { first * series[0] } else { series[i] - r * series[i - 1] };
        let y = if i == 0 { first * value } else { value - r * values[i - 1] };
        let mut row = [if i == 0 { first } else { 1.0 - r }, 0.0, 0.0];
        shapes.iter().zip(&mut row[1..]).for_each(|(shape, cell)| *cell = of(shape));
        for a in 0..k {
            (0..k).for_each(|b| normal[a][b] += row[a] * row[b]);
            normal[a][COLUMNS] += row[a] * y;
        }
        total += y * y;
    }
    let right: [f64; COLUMNS] = [normal[0][COLUMNS], normal[1][COLUMNS], normal[2][COLUMNS]];
    let Some((heights, variance)) = solve(normal, k) else {
        return Fit { likelihood: f64::MIN, base: 0.0, height: 0.0, error: f64::INFINITY, correlation: r };
    };
    let explained: f64 = (0..k).map(|a| heights[a] * right[a]).sum();
    let n = values.len() as f64;
    let squares = (total - explained).max(1e-12 * total.max(1e-300));
    let error = (squares / (n - k as f64).max(1.0) * variance).sqrt();
    let height = if k > 1 { heights[k - 1] } else { 0.0 };
    Fit {
        likelihood: -0.5 * n * (squares / n).ln() + first.ln(),
        base: heights[0],
        height,
        error,
        correlation: r,
    }
}

/// Solves `k` equations by Gauss and Jordan; also gives the last diagonal element of the inverse. `None` where columns
/// cannot be told apart.
fn solve(mut m: [[f64; COLUMNS + 1]; COLUMNS], k: usize) -> Option<([f64; COLUMNS], f64)> {
    let scale: Vec<f64> = (0..k).map(|a| m[a][a]).collect();
    let mut last = [0.0; COLUMNS];
    last[k - 1] = 1.0;
    for pivot in 0..k {
        if m[pivot][pivot] <= 1e-10 * scale[pivot] {
            return None;
        }
        let by = m[pivot][pivot];
        m[pivot].iter_mut().for_each(|cell| *cell /= by);
        last[pivot] /= by;
        for row in (0..k).filter(|row| *row != pivot) {
            let (times, by) = (m[row][pivot], m[pivot]);
            m[row].iter_mut().zip(by).for_each(|(cell, by)| *cell -= times * by);
            last[row] -= times * last[pivot];
        }
    }
    let mut heights = [0.0; COLUMNS];
    (0..k).for_each(|a| heights[a] = m[a][COLUMNS]);
    Some((heights, last[k - 1]))
}
