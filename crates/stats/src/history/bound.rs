//! What the next run of an unchanged system may show: prediction bounds.

use crate::special::{beta_quantile, t_quantile};
use crucible_core::threshold::Better;

/// A bound on the next value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The bound.
    pub value: f64,
    /// How it was found.
    pub how: How,
    /// Values that it rests on.
    pub n: usize,
}

/// How a bound was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// This is the k-th worst of the values: the next one is beyond it with chance `k / (n + 1)`, whatever the
    /// distribution.
    Rank(usize),
    /// Student's t on the logarithms: `mean + t(n - 1) s sqrt(1 + 1/n)`. Takes the values for log-normal.
    Logarithms,
    /// Student's t on the values, where some are not above 0. Takes them for normal.
    Values,
    /// Counts of rare events, all runs together.
    Counts,
}

/// Fewest values.
const FEWEST: usize = 5;

/// The bound on its bad side that the next value keeps with chance `coverage`, if runs go on as they were. `None` below
/// five values.
pub fn bound(values: &[f64], better: Better, coverage: f64) -> Option<Bound> {
    let n = values.len();
    if n < FEWEST || values.iter().any(|value| !value.is_finite()) || !(0.5..1.0).contains(&coverage) {
        return None;
    }
    let missed = 1.0 - coverage;
    let rank = (missed * (n + 1) as f64 + 1e-9).floor() as usize;
    if rank >= 1 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let value = match better {
            Better::Lower => sorted[n - rank],
            Better::Higher => sorted[rank - 1],
        };
        return Some(Bound { value, how: How::Rank(rank), n });
    }
    let positive = values.iter().all(|value| *value > 0.0);
    let told: Vec<f64> = values.iter().map(|value| if positive { value.ln() } else { *value }).collect();
    let mean = told.iter().sum::<f64>() / n as f64;
    let squares: f64 = told.iter().map(|value| (value - mean) * (value - mean)).sum();
    let freedom = (n - 1) as f64;
    let width = t_quantile(freedom, missed) * (squares / freedom * (1.0 + 1.0 / n as f64)).sqrt();
    let end = match better {
        Better::Lower => mean + width,
        Better::Higher => mean - width,
    };
    Some(match positive {
        true => Bound { value: end.exp(), how: How::Logarithms, n },
        false => Bound { value: end, how: How::Values, n },
    })
}

/// The share of errors that the next run, of `next` operations, keeps with chance `coverage`, when `errors` of `operations`
/// failed so far: the largest rate that fits (Clopper and Pearson, Biometrika 26, 1934), and the count that it gives
/// (Poisson). Each of the two takes half of what may be missed.
pub fn most_errors(errors: f64, operations: f64, next: f64, coverage: f64) -> f64 {
    if operations <= 0.0 || next <= 0.0 {
        return 1.0;
    }
    let half = (1.0 - coverage) / 2.0;
    let rate = beta_quantile(errors + 1.0, (operations - errors).max(1e-9), 1.0 - half);
    let mean = rate * next;
    let (mut count, mut chance) = (0.0, (-mean).exp());
    let mut sum = chance;
    // beyond a thousand the sum loses its first terms; the normal form is exact enough there
    if mean > 500.0 {
        let count = mean + crate::special::normal_quantile(half) * mean.sqrt();
        return (count.ceil() / next).min(1.0);
    }
    while sum < 1.0 - half && count < next {
        count += 1.0;
        chance *= mean / count;
        sum += chance;
    }
    (count / next).min(1.0)
}
