//! Running sums for a ratio of totals over windows, and how far it can be trusted.
//!
//! For each window two figures come in: `n` (operations, seconds) and `y` (of these: exceedances, errors; or a sum of
//! response times). The ratio is sum y / sum n. Neighbouring operations are not independent, so the variance is
//! that between windows (a ratio estimate over clusters; Cochran, "Sampling Techniques", 3rd ed. 1977, eq. 6.9 and
//! 9.30); neighbouring windows are not independent either, and how much they hang together is averaged over by
//! [`Scatter`].
//!
//! Invariant: memory is constant: windows are kept apart as long as there are few, then in groups of 2, 4, 8, ...

use super::special::{normal_quantile, t_quantile};
use crucible_stats::scatter::Scatter;

/// Groups that are kept apart; twice as many are summed in pairs.
const MOST: usize = 256;

/// See the module text.
#[derive(Clone, Debug, Default)]
pub struct RatioSums {
    n: f64,
    y: f64,
    windows: u64,
    /// (n, y) of each group, in the order of time; the last may be part of one.
    groups: Vec<(f64, f64)>,
    /// Windows in a full group, as a power of two.
    size: u32,
    /// Windows in the last group; 0 if it is full.
    filled: u64,
}

impl RatioSums {
    /// Takes in one window; one without `n` says nothing and is passed over.
    pub fn push(&mut self, n: f64, y: f64) {
        if n.is_nan() || n <= 0.0 {
            return;
        }
        self.n += n;
        self.y += y;
        self.windows += 1;
        match self.groups.last_mut().filter(|_| self.filled > 0) {
            Some(last) => *last = (last.0 + n, last.1 + y),
            None => self.groups.push((n, y)),
        }
        self.filled = (self.filled + 1) % (1 << self.size);
        if self.filled == 0 && self.groups.len() == 2 * MOST {
            self.size += 1;
            let sum =
                |two: &[(f64, f64)]| two.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            self.groups = self.groups.chunks(2).map(sum).collect();
        }
    }

    /// Sum of `n`.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// Sum of `y`.
    pub fn y(&self) -> f64 {
        self.y
    }

    /// The ratio; `None` without any `n`.
    pub fn ratio(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.y / self.n)
    }

    /// Windows that said something.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// The error of the ratio; `None` below two windows.
    fn scatter(&self) -> Option<Scatter> {
        let r = self.ratio()?;
        let residuals: Vec<f64> = self.groups.iter().map(|(n, y)| (y - r * n) / self.n).collect();
        Scatter::serial(&residuals)
    }

    /// Variance of the ratio if the operations were independent and `y` counted some of `n`; `None` where nothing, or
    /// everything, was counted.
    fn binomial(&self) -> Option<f64> {
        self.ratio().map(|r| r * (1.0 - r) / self.n).filter(|variance| *variance > 0.0)
    }

    /// How many independent operations these are worth for an interval on a share (`y` counts some of `n`) whose
    /// one-sided error is `tail`; between 0 and `n`.
    ///
    /// Source: effective sample size with a correction for the few windows that the variance was estimated from,
    /// Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
    /// estimated from survey data", Survey Methodology 24 (1998). Where nothing, or everything, was counted the
    /// variance says nothing and `n` is taken as it is.
    pub fn effective_n(&self, tail: f64) -> f64 {
        let Some(binomial) = self.binomial() else { return self.n };
        let z = normal_quantile(tail);
        match self.scatter() {
            // one window: its inner dependence is unknown; as if it were two
            None => self.n * (z / t_quantile(1.0, tail)).powi(2),
            Some(scatter) => {
                let variance = (scatter.half_width(2.0 * tail) / z).powi(2);
                self.n / (variance / binomial).max(1.0)
            }
        }
    }

    /// How many times the variance of the ratio is that of as many independent operations; at least 1.
    pub fn inflation(&self) -> f64 {
        let Some((binomial, scatter)) = self.binomial().zip(self.scatter()) else { return 1.0 };
        (scatter.deviation().powi(2) / binomial).max(1.0)
    }

    /// Half the width of the interval on the ratio whose one-sided error is `tail`; `None` below two windows.
    pub fn half_width(&self, tail: f64) -> Option<f64> {
        self.scatter().map(|scatter| scatter.half_width(2.0 * tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Rng;

    #[test]
    fn independent_windows_are_worth_about_what_they_count() {
        let mut rng = Rng::new(1, "ratio", 0);
        let mut sums = RatioSums::default();
        for _ in 0..400 {
            let y = (0..100).filter(|_| rng.unit() < 0.1).count();
            sums.push(100.0, y as f64);
        }
        let inflation = sums.inflation();
        assert!((1.0..2.2).contains(&inflation), "{inflation}");
        assert!(sums.effective_n(0.05) > 0.4 * 40_000.0);
    }

    #[test]
    fn what_comes_in_clumps_is_worth_less_even_when_the_clumps_are_longer_than_a_window() {
        let mut sums = RatioSums::default();
        for window in 0..640 {
            // 16 windows all bad, then 144 all good
            sums.push(100.0, if window % 160 < 16 { 100.0 } else { 0.0 });
        }
        // at most the windows' number, in truth about 640 / 16
        assert!(sums.inflation() > 700.0, "{}", sums.inflation());
        assert!(sums.effective_n(0.05) < 100.0, "{}", sums.effective_n(0.05));
    }

    #[test]
    fn memory_is_logarithmic_and_empty_windows_say_nothing() {
        let mut sums = RatioSums::default();
        for _ in 0..100_000 {
            sums.push(1.0, 0.0);
            sums.push(0.0, 0.0);
        }
        assert!(sums.groups.capacity() <= 4 * MOST);
        assert_eq!((sums.windows(), sums.n()), (100_000, 100_000.0));
        assert_eq!(sums.effective_n(0.05), 100_000.0);
        assert_eq!(RatioSums::default().effective_n(0.05), 0.0);
        assert_eq!(RatioSums::default().half_width(0.05), None);
    }
}
