//! Ratios of quotients of sums: means, rates, levels; and shares of errors.

use super::arms::{Arms, Cell, Contrast, Joint};
use super::outcome::Interval;
use crate::scatter::Scatter;
use crate::special::{beta_inc, beta_quantile};

/// A quotient of sums over cells: what is divided by what in each. `NaN` in a cell drops it (in a pair: the pair).
pub(super) type Quotient<'q> = &'q dyn Fn(&Cell) -> (f64, f64);

/// A quotient in both arms.
pub(super) struct Sums {
    pub(super) a: f64,
    pub(super) b: f64,
    top: (f64, f64),
    bottom: (f64, f64),
    arms: [Vec<(f64, f64)>; 2],
}

impl Sums {
    /// `None` if an arm has nothing to divide by.
    pub(super) fn new(arms: &Arms, quotient: Quotient<'_>) -> Option<Sums> {
        let mut a: Vec<(f64, f64)> = arms.a.iter().map(quotient).collect();
        let mut b: Vec<(f64, f64)> = arms.b.iter().map(quotient).collect();
        let known = |cell: &(f64, f64)| cell.0.is_finite() && cell.1.is_finite();
        if arms.joint == Joint::Paired {
            let whole: Vec<bool> = a.iter().zip(&b).map(|(a, b)| known(a) && known(b)).collect();
            for cells in [&mut a, &mut b] {
                let mut keep = whole.iter();
                cells.retain(|_| keep.next().copied().unwrap_or(false));
            }
        } else {
            a.retain(known);
            b.retain(known);
        }
        let sum = |cells: &[(f64, f64)]| cells.iter().fold((0.0, 0.0), |s, c| (s.0 + c.0, s.1 + c.1));
        let (sum_a, sum_b) = (sum(&a), sum(&b));
        (sum_a.1 > 0.0 && sum_b.1 > 0.0).then(|| Sums {
            a: sum_a.0 / sum_a.1,
            b: sum_b.0 / sum_b.1,
            top: (sum_a.0, sum_b.0),
            bottom: (sum_a.1, sum_b.1),
            arms: [a, b],
        })
    }

    fn residuals(&self, value: f64, cells: &[(f64, f64)], by: f64) -> Vec<f64> {
        cells.iter().map(|(top, bottom)| (top - value * bottom) / by).collect()
    }

    /// The difference of the logarithms, linearised. `None` unless both quotients are above 0.
    pub(super) fn log_contrast(&self) -> Option<Contrast> {
        (self.a > 0.0 && self.b > 0.0).then(|| Contrast {
            difference: (self.b / self.a).ln(),
            a: self.residuals(self.a, &self.arms[0], self.top.0),
            b: self.residuals(self.b, &self.arms[1], self.top.1),
        })
    }

    /// The difference itself.
    pub(super) fn contrast(&self) -> Contrast {
        Contrast {
            difference: self.b - self.a,
            a: self.residuals(self.a, &self.arms[0], self.bottom.0),
            b: self.residuals(self.b, &self.arms[1], self.bottom.1),
        }
    }

    /// What is known if the tops are counts of independent events: given their sum, B's part is binomial.
    pub(super) fn events(&self) -> Events {
        Events { a: self.top.0, b: self.top.1, weight: self.bottom.1 / (self.bottom.0 + self.bottom.1) }
    }

    /// The share that would have shown at least one event in each arm but for this error: what no events at all exclude.
    pub(super) fn most_unseen(&self, error: f64) -> f64 {
        -(0.5 * error).ln() / self.bottom.0.min(self.bottom.1)
    }

    /// How many times the variance of the difference of two shares is that of as many independent operations; at least 1.
    pub(super) fn inflation(&self, scatter: &Scatter) -> f64 {
        let share = (self.top.0 + self.top.1) / (self.bottom.0 + self.bottom.1);
        let binomial = share * (1.0 - share) * (1.0 / self.bottom.0 + 1.0 / self.bottom.1);
        if binomial > 0.0 { (scatter.deviation().powi(2) / binomial).max(1.0) } else { 1.0 }
    }
}

/// Events of two arms; `weight` is the part that B has in what both are counted of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events {
    pub(super) a: f64,
    pub(super) b: f64,
    weight: f64,
}

impl Events {
    /// The chance of as uneven a split, either way, if the shares are equal (twice the smaller tail of the conditional
    /// binomial; Przyborowski and Wilenski, Biometrika 31 (1940)).
    pub(super) fn p(&self) -> f64 {
        let n = self.a + self.b;
        // P(X >= k) = I_w(k, n - k + 1)
        let at_least = |k: f64, w: f64| if k <= 0.0 { 1.0 } else { beta_inc(k, n - k + 1.0, w) };
        (2.0 * at_least(self.b, self.weight).min(at_least(self.a, 1.0 - self.weight))).min(1.0)
    }

    /// Interval of the ratio of the shares, B / A, at this error, if the events are worth `1 / inflation` of their number
    /// (Clopper and Pearson on B's part).
    pub(super) fn interval(&self, error: f64, inflation: f64) -> Interval {
        let (a, b) = (self.a / inflation, self.b / inflation);
        let tail = 0.5 * error;
        let low = if b > 0.0 { beta_quantile(b, a + 1.0, tail) } else { 0.0 };
        let high = if a > 0.0 { beta_quantile(b + 1.0, a, 1.0 - tail) } else { 1.0 };
        let odds = |part: f64| part / (1.0 - part) * (1.0 - self.weight) / self.weight;
        Interval { low: odds(low), high: odds(high) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_judged_as_by_the_exact_test() {
        // R: poisson.test(c(4, 15)): p = 0.01921, ratio 0.06 to 0.86 (of the first to the second)
        let events = Events { a: 15.0, b: 4.0, weight: 0.5 };
        assert!((events.p() - 0.019_21).abs() < 1e-5, "{}", events.p());
        let interval = events.interval(0.05, 1.0);
        assert!(
            (interval.low - 0.064_4).abs() < 5e-4 && (interval.high - 0.836_6).abs() < 5e-2,
            "{interval:?}"
        );
        assert_eq!(Events { a: 0.0, b: 0.0, weight: 0.5 }.p(), 1.0);
        let none = Events { a: 0.0, b: 3.0, weight: 0.5 }.interval(0.05, 1.0);
        assert!(none.low > 0.0 && none.high.is_infinite());
    }
}
