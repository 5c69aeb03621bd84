//! Laws of service times and of stalls, shared by the simulated and the real servers so that both obey the
//! same theory.

use crucible_core::{Ns, Rng};

/// How long one operation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Always the same.
    Fixed(Ns),
    /// Exponential with this mean.
    Exponential(Ns),
    /// Log-normal: `median * exp(sigma * N(0, 1))`.
    LogNormal {
        /// Median.
        median: Ns,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Two values.
    TwoPoint {
        /// The usual one.
        low: Ns,
        /// The rare one.
        high: Ns,
        /// Share of the rare one, from 0 to 1.
        share: f64,
    },
}

impl Law {
    /// One draw.
    pub fn draw(&self, rng: &mut Rng) -> Ns {
        match *self {
            Law::Fixed(value) => value,
            Law::Exponential(mean) => Ns((mean.0 as f64 * rng.exponential()) as u64),
            Law::LogNormal { median, sigma } => Ns((median.0 as f64 * (sigma * rng.normal()).exp()) as u64),
            Law::TwoPoint { low, high, share } => {
                if rng.unit() < share {
                    high
                } else {
                    low
                }
            }
        }
    }

    /// Mean in seconds, exact.
    pub fn mean(&self) -> f64 {
        match *self {
            Law::Fixed(value) => value.as_secs_f64(),
            Law::Exponential(mean) => mean.as_secs_f64(),
            Law::LogNormal { median, sigma } => median.as_secs_f64() * (sigma * sigma / 2.0).exp(),
            Law::TwoPoint { low, high, share } => {
                low.as_secs_f64() * (1.0 - share) + high.as_secs_f64() * share
            }
        }
    }

    /// Second moment in square seconds, exact.
    pub fn second_moment(&self) -> f64 {
        match *self {
            Law::Fixed(value) => value.as_secs_f64().powi(2),
            Law::Exponential(mean) => 2.0 * mean.as_secs_f64().powi(2),
            Law::LogNormal { median, sigma } => median.as_secs_f64().powi(2) * (2.0 * sigma * sigma).exp(),
            Law::TwoPoint { low, high, share } => {
                low.as_secs_f64().powi(2) * (1.0 - share) + high.as_secs_f64().powi(2) * share
            }
        }
    }
}

/// Regular stalls: nothing moves in `[k * every, k * every + length)` for `k = 1, 2, ...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalls {
    /// From the start of one stall to the start of the next; longer than `length`.
    pub every: Ns,
    /// How long each lasts.
    pub length: Ns,
}

impl Stalls {
    /// The end of the stall in which `at` lies, or `at` itself.
    pub fn after(&self, at: Ns) -> Ns {
        let every = self.every.0.max(1);
        let into = at.0 % every;
        if at.0 >= every && into < self.length.0 { Ns(at.0 - into + self.length.0) } else { at }
    }

    /// When work of length `work` that begins at `from` is done, if no work is done in a stall.
    pub fn finish(&self, from: Ns, work: Ns) -> Ns {
        let every = self.every.0.max(1);
        let mut at = self.after(from).0;
        let mut left = work.0;
        loop {
            let next_stall = (at / every + 1) * every;
            let free = next_stall - at;
            if left <= free || self.length.0 >= every {
                return Ns(at.saturating_add(left));
            }
            left -= free;
            at = next_stall + self.length.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_drawn_values_are_those_of_the_formulas() {
        for law in [
            Law::Fixed(Ns::from_millis(5)),
            Law::Exponential(Ns::from_millis(5)),
            Law::LogNormal { median: Ns::from_millis(5), sigma: 0.5 },
            Law::TwoPoint { low: Ns::from_millis(5), high: Ns::from_millis(200), share: 0.01 },
        ] {
            let mut rng = Rng::new(1, "law", 0);
            let draws: Vec<f64> = (0..400_000).map(|_| law.draw(&mut rng).as_secs_f64()).collect();
            let n = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / n;
            let second = draws.iter().map(|v| v * v).sum::<f64>() / n;
            assert!((mean / law.mean() - 1.0).abs() < 0.02, "{law:?}: mean {mean}");
            assert!((second / law.second_moment() - 1.0).abs() < 0.04, "{law:?}: second moment {second}");
        }
    }

    #[test]
    fn stalls_move_ends_and_stretch_work() {
        let stalls = Stalls { every: Ns(10), length: Ns(2) };
        let check = |at: u64, after: u64| assert_eq!(stalls.after(Ns(at)), Ns(after), "at {at}");
        check(0, 0);
        check(1, 1);
        check(9, 9);
        check(10, 12);
        check(11, 12);
        check(12, 12);
        check(21, 22);
        let finish = |from: u64, work: u64, end: u64| {
            assert_eq!(stalls.finish(Ns(from), Ns(work)), Ns(end), "{work} from {from}");
        };
        finish(0, 5, 5);
        finish(8, 2, 10);
        finish(8, 3, 13);
        finish(11, 1, 13);
        finish(11, 9, 23);
    }
}
