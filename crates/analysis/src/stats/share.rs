//! Bounds on a share, and how many operations it takes to have any.

use super::special::{beta_quantile, normal_quantile};

/// One-sided bounds on a share: each holds with the confidence that was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareBounds {
    /// The share is at least this.
    pub low: f64,
    /// The share is at most this.
    pub high: f64,
}

/// Counts beyond which both sides are normal enough.
const MANY: f64 = 2_000.0;

impl ShareBounds {
    /// Bounds on the share behind `k` of `n` independent trials (real numbers: effective ones), each with one-sided
    /// error `tail`. Source: Clopper and Pearson, Biometrika 26 (1934), by beta quantiles; Wilson, JASA 22 (1927), where
    /// hits and misses are both above 2,000.
    pub fn new(k: f64, n: f64, tail: f64) -> ShareBounds {
        if n.is_nan() || n <= 0.0 {
            return ShareBounds { low: 0.0, high: 1.0 };
        }
        let k = k.clamp(0.0, n);
        if k > MANY && n - k > MANY {
            let (z, p) = (normal_quantile(tail), k / n);
            let centre = p + z * z / (2.0 * n);
            let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
            let scale = 1.0 + z * z / n;
            return ShareBounds { low: (centre - half) / scale, high: (centre + half) / scale };
        }
        ShareBounds {
            low: if k > 0.0 { beta_quantile(k, n - k + 1.0, tail) } else { 0.0 },
            high: if n - k > 0.0 { beta_quantile(k + 1.0, n - k, 1.0 - tail) } else { 1.0 },
        }
    }
}

/// The fewest operations, none of which is beyond the limit, that show with 95 % confidence that no more than the share
/// `allowed` is: `ceil(ln 0.05 / ln (1 - allowed))`. For p99: 299. `u64::MAX` where nothing is allowed.
pub fn smallest_sample(allowed: f64) -> u64 {
    if allowed.is_nan() || allowed <= 0.0 {
        return u64::MAX;
    }
    if allowed >= 1.0 {
        return 1;
    }
    // the shares of percentiles are not exact in binary: 1 - 0.99 is a hair more than 0.01
    let exact = 0.05_f64.ln() / (-allowed).ln_1p();
    (exact - 1e-6).ceil().max(1.0) as u64
}

/// How many times more effective operations it takes until `settled` holds for the bounds, if hits go on as they do;
/// `None` beyond a factor of 100,000.
pub fn factor_until(k: f64, n: f64, tail: f64, settled: impl Fn(ShareBounds) -> bool) -> Option<f64> {
    if n.is_nan() || n <= 0.0 {
        return None;
    }
    let holds = |factor: f64| settled(ShareBounds::new(k * factor, n * factor, tail));
    let mut high = 2.0;
    while !holds(high) {
        high *= 2.0;
        if high > 1e5 {
            return None;
        }
    }
    let mut low = high / 2.0;
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        if holds(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_samples_are_the_known_ones() {
        let check = |percentile: f64, expected: u64| assert_eq!(smallest_sample(1.0 - percentile), expected);
        check(0.5, 5);
        check(0.9, 29);
        check(0.95, 59);
        check(0.99, 299);
        check(0.999, 2_995);
        check(0.9999, 29_956);
        assert_eq!(smallest_sample(0.0), u64::MAX);
        assert_eq!(smallest_sample(1.0), 1);
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        let near =
            |got: f64, expected: f64| assert!((got - expected).abs() < 2e-5, "{got} is not {expected}");
        // R: binom.test(5, 100, alternative = "less" / "greater")
        let bounds = ShareBounds::new(5.0, 100.0, 0.05);
        near(bounds.low, 0.019_914);
        near(bounds.high, 0.102_253);
        let none = ShareBounds::new(0.0, 299.0, 0.05);
        assert_eq!(none.low, 0.0);
        assert!(none.high <= 0.01 && ShareBounds::new(0.0, 298.0, 0.05).high > 0.01);
        assert_eq!(ShareBounds::new(7.0, 7.0, 0.05).high, 1.0);
        assert_eq!(ShareBounds::new(0.0, 0.0, 0.05), ShareBounds { low: 0.0, high: 1.0 });
        // the two methods meet
        let (exact, normal) = (ShareBounds::new(2_000.0, 1e5, 0.05), ShareBounds::new(2_001.0, 1e5, 0.05));
        near(exact.low, normal.low);
        near(exact.high, normal.high);
    }

    #[test]
    fn tells_how_much_more_it_takes() {
        let factor = factor_until(1.0, 200.0, 0.05, |b| b.high <= 0.01);
        assert!(factor.is_some_and(|f| f > 5.0 && f < 20.0), "{factor:?}");
        assert_eq!(factor_until(10.0, 1_000.0, 0.05, |b| b.high <= 0.01), None);
    }
}
