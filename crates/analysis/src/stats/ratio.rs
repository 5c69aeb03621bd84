//! Running sums for a ratio of totals over windows, and how far it can be trusted.
//!
//! For each window two figures come in: `n` (operations, seconds) and `y` (of these: exceedances, errors; or a sum of
//! response times). The ratio is sum y / sum n. Neighbouring operations are not independent, so the variance is
//! that between windows (a ratio estimate over clusters; Cochran, "Sampling Techniques", 3rd ed. 1977, eq. 6.9 and
//! 9.30), and because neighbouring windows are not independent either, also between batches of 2, 4, 8, ... windows
//! (batch means; Schmeiser 1982, who advises no more than about 30 batches and no fewer than 10). What neighbouring
//! batches still share is put on top as for a process with exponential memory, (1 + rho) / (1 - rho), with rho
//! freed of its small-sample bias (Marriott and Pope, Biometrika 41 (1954)). The largest of all levels counts.
//!
//! Invariant: memory is logarithmic in the number of windows: one set of sums for each doubling, at most 64.

use super::special::{normal_quantile, t_quantile};

/// Batches that a coarser level must have before it is listened to.
const FEWEST_BATCHES: u64 = 10;
/// Largest correlation of neighbouring batches that is believed.
const MOST_SHARED: f64 = 0.95;

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    batches: u64,
    n: f64,
    y: f64,
    nn: f64,
    yy: f64,
    ny: f64,
    /// Products of neighbours: n n', y y', n y' + y n'.
    next: (f64, f64, f64),
    last: Option<(f64, f64)>,
    /// The first half of the next batch of the level above.
    half: Option<(f64, f64)>,
}

impl Level {
    fn push(&mut self, n: f64, y: f64) {
        self.batches += 1;
        self.n += n;
        self.y += y;
        self.nn += n * n;
        self.yy += y * y;
        self.ny += n * y;
        if let Some((before_n, before_y)) = self.last.replace((n, y)) {
            self.next.0 += n * before_n;
            self.next.1 += y * before_y;
            self.next.2 += n * before_y + y * before_n;
        }
    }

    /// Variance of the ratio `r`: that between batches, enlarged by what neighbouring batches still share.
    fn variance(&self, r: f64) -> f64 {
        let m = self.batches as f64;
        let squares = (self.yy - 2.0 * r * self.ny + r * r * self.nn).max(0.0);
        let apart = m / (m - 1.0) * squares / (self.n * self.n);
        if self.batches < FEWEST_BATCHES || squares <= 0.0 {
            return apart;
        }
        let shared = (self.next.1 - r * self.next.2 + r * r * self.next.0) / squares;
        // the estimate is too small by (1 + 3 rho) / m, as its mean was taken from the same data
        let rho = (shared + (1.0 + 3.0 * shared) / m).clamp(0.0, MOST_SHARED);
        apart * (1.0 + rho) / (1.0 - rho)
    }
}

/// See the module text.
#[derive(Clone, Debug, Default)]
pub struct RatioSums {
    n: f64,
    y: f64,
    levels: Vec<Level>,
}

impl RatioSums {
    /// Takes in one window; one without `n` says nothing and is passed over.
    pub fn push(&mut self, n: f64, y: f64) {
        if n.is_nan() || n <= 0.0 {
            return;
        }
        self.n += n;
        self.y += y;
        let (mut n, mut y) = (n, y);
        for index in 0..64 {
            if index == self.levels.len() {
                self.levels.push(Level::default());
            }
            let level = &mut self.levels[index];
            level.push(n, y);
            match level.half.take() {
                None => {
                    level.half = Some((n, y));
                    return;
                }
                Some((first_n, first_y)) => (n, y) = (n + first_n, y + first_y),
            }
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
        self.levels.first().map_or(0, |level| level.batches)
    }

    /// Levels that have batches enough, with their number of batches and the variance of the ratio.
    fn variances(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        let r = self.ratio().unwrap_or(0.0);
        self.levels
            .iter()
            .enumerate()
            .filter(|(index, level)| level.batches >= if *index == 0 { 2 } else { FEWEST_BATCHES })
            .map(move |(_, level)| (level.batches, level.variance(r)))
    }

    /// How many independent operations these are worth for an interval on a share (`y` counts some of `n`) whose
    /// one-sided error is `tail`; between 0 and `n`.
    ///
    /// Source: effective sample size with a correction for the few windows that the variance was estimated from,
    /// Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
    /// estimated from survey data", Survey Methodology 24 (1998). Where nothing, or everything, was counted the
    /// variance says nothing and `n` is taken as it is.
    pub fn effective_n(&self, tail: f64) -> f64 {
        let Some(r) = self.ratio() else { return 0.0 };
        let binomial = r * (1.0 - r) / self.n;
        if binomial.is_nan() || binomial <= 0.0 {
            return self.n;
        }
        let z = normal_quantile(tail);
        let few = |freedom: u64| (z / t_quantile(freedom as f64, tail)).powi(2);
        self.variances()
            .map(|(batches, variance)| self.n / (variance / binomial).max(1.0) * few(batches - 1))
            // one window: its inner dependence is unknown; as if it were two
            .fold(if self.windows() < 2 { self.n * few(1) } else { self.n }, f64::min)
    }

    /// How many times the variance of the ratio is that of as many independent operations; at least 1.
    pub fn inflation(&self) -> f64 {
        let binomial = self.ratio().map_or(0.0, |r| r * (1.0 - r) / self.n);
        if binomial.is_nan() || binomial <= 0.0 {
            return 1.0;
        }
        self.variances().map(|(_, variance)| variance / binomial).fold(1.0, f64::max)
    }

    /// Half the width of the interval on the ratio whose one-sided error is `tail`; `None` below two windows.
    pub fn half_width(&self, tail: f64) -> Option<f64> {
        self.variances()
            .map(|(batches, variance)| variance.sqrt() * t_quantile((batches - 1) as f64, tail))
            .fold(None, |widest, width| Some(widest.map_or(width, |w: f64| w.max(width))))
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
        assert!(sums.levels.len() <= 18);
        assert_eq!((sums.windows(), sums.n()), (100_000, 100_000.0));
        assert_eq!(sums.effective_n(0.05), 100_000.0);
        assert_eq!(RatioSums::default().effective_n(0.05), 0.0);
        assert_eq!(RatioSums::default().half_width(0.05), None);
    }
}
