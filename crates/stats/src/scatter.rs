//! How far a sum over neighbouring units (slices, windows, runs) can be trusted when neighbours hang together.
//!
//! Place in the flow: comparison and verdicts on limits hand in one residual for each unit, in the order of time, and get
//! the distribution of their sum's error. How much neighbours hang together is not known and cannot be estimated well
//! from some sixty units, so it is not estimated but averaged over: for each of a few shapes of spectrum (white noise, noise
//! of negative correlation, a first-order process, and that with white noise on top) the error of the sum is Student's t with
//! a scale of its own, and the shapes are weighted by their likelihood. The answer is the mixture.
//!
//! Sources: the cosine coefficients of a stationary series are nearly independent, with the spectrum as variance (Müller,
//! Econometrica 82 (2014); Lazarus, Lewis, Stock and Watson, J. Business & Economic Statistics 36 (2018)); the likelihood of a
//! spectrum is Whittle's (1953), with its level integrated out; averaging over models: Hoeting et al., Statistical Science 14
//! (1999). Measured size of nominal 5 % for 60 units (Gaussian): white noise 4 %, AR(.5) 7 %, AR(.9) 9 %, half white and half
//! AR(.8) 16 %; plain Student's t has 5, 28 and 69 % for the first three.
//!
//! Invariants: at least two units, else there is no answer; more than [`MOST`] units are summed in neighbouring groups first,
//! so the cost is bounded; the same input gives the same answer.

use crate::special::{t_density, t_quantile, t_two_sided};
use std::f64::consts::PI;

/// Most units that the spectrum is looked at with.
pub const MOST: usize = 128;

/// Fewer units than this say nothing on how they hang together; they are taken as independent.
const FEWEST: usize = 8;
/// Weights below this are dropped.
const SMALL: f64 = 1e-5;

/// The error of a sum: a mixture of Student's t distributions around 0. See the module text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    weight: f64,
    scale: f64,
    freedom: f64,
}

impl Part {
    fn two_sided(&self, distance: f64) -> f64 {
        if self.scale > 0.0 { t_two_sided(self.freedom, distance / self.scale) } else { 0.0 }
    }

    fn density(&self, distance: f64) -> f64 {
        if self.scale > 0.0 { t_density(self.freedom, distance / self.scale) / self.scale } else { 0.0 }
    }
}

impl Scatter {
    /// The error of a sum of independent units whose residuals (deviations that sum to nothing) are given. `None` below
    /// two units.
    pub fn independent(residuals: &[f64]) -> Option<Scatter> {
        let n = residuals.len() as f64;
        let squares: f64 = residuals.iter().map(|z| z * z).sum();
        (residuals.len() >= 2).then(|| Scatter {
            parts: vec![Part { weight: 1.0, scale: (squares * n / (n - 1.0)).sqrt(), freedom: n - 1.0 }],
        })
    }

    /// The error of a sum of units in the order of time, whose neighbours may hang together.
    pub fn serial(residuals: &[f64]) -> Option<Scatter> {
        let grouped = grouped(residuals);
        let series = grouped.as_deref().unwrap_or(residuals);
        let n = series.len();
        let squares: f64 = series.iter().map(|z| z * z).sum();
        if n < FEWEST || squares <= 0.0 {
            return Scatter::independent(series);
        }
        let powers = cosine_powers(series);
        let freedom = (n - 1) as f64;
        let mut parts: Vec<Part> = Vec::with_capacity(16);
        let mut best = f64::NEG_INFINITY;
        for shape in shapes() {
            let (mut fit, mut logs) = (0.0, 0.0);
            for (index, power) in powers.iter().enumerate() {
                let level = shape.at((PI * (index + 1) as f64 / n as f64).cos());
                fit += power / level;
                logs += level.ln();
            }
            let likelihood = shape.prior.ln() - 0.5 * logs - 0.5 * freedom * fit.ln();
            best = best.max(likelihood);
            let variance = fit / freedom * shape.at(1.0) * n as f64;
            parts.push(Part { weight: likelihood, scale: variance.sqrt(), freedom });
        }
        parts.iter_mut().for_each(|part| part.weight = (part.weight - best).exp());
        Some(Scatter { parts }.normalised())
    }

    /// The error of the difference of two independent sums (Welch, Biometrika 34 (1947), with Satterthwaite's degrees of
    /// freedom for each pair of parts).
    pub fn of_difference(&self, other: &Scatter) -> Scatter {
        let mut parts = Vec::with_capacity(self.parts.len() * other.parts.len());
        for one in &self.parts {
            for two in &other.parts {
                let (v, w) = (one.scale * one.scale, two.scale * two.scale);
                let sum = v + w;
                let freedom = if sum > 0.0 {
                    sum * sum / (v * v / one.freedom + w * w / two.freedom)
                } else {
                    one.freedom.min(two.freedom)
                };
                parts.push(Part { weight: one.weight * two.weight, scale: sum.sqrt(), freedom });
            }
        }
        Scatter { parts }.normalised()
    }

    /// The same with an independent normal error of this standard deviation on top.
    pub fn widened(&self, spread: f64) -> Scatter {
        let wider = |part: &Part| {
            let (own, more) = (part.scale * part.scale, spread * spread);
            let sum = own + more;
            let freedom = if own > 0.0 { part.freedom * (sum / own).powi(2) } else { f64::MAX };
            Part { scale: sum.sqrt(), freedom: freedom.min(1e6), ..*part }
        };
        Scatter { parts: self.parts.iter().map(wider).collect() }
    }

    /// The same error in another unit: all of it times `factor`.
    pub fn scaled(&self, factor: f64) -> Scatter {
        let scale = |part: &Part| Part { scale: part.scale * factor, ..*part };
        Scatter { parts: self.parts.iter().map(scale).collect() }
    }

    fn normalised(mut self) -> Scatter {
        let total: f64 = self.parts.iter().map(|part| part.weight).sum();
        self.parts.iter_mut().for_each(|part| part.weight /= total);
        self.parts.retain(|part| part.weight > SMALL);
        let kept: f64 = self.parts.iter().map(|part| part.weight).sum();
        self.parts.iter_mut().for_each(|part| part.weight /= kept);
        self
    }

    /// The chance of an error at least as large as `distance`, either way. 1 for no distance, also where nothing scatters.
    pub fn p(&self, distance: f64) -> f64 {
        if distance == 0.0 {
            return 1.0;
        }
        let tail = |part: &Part| part.weight * part.two_sided(distance);
        self.parts.iter().map(tail).sum::<f64>().min(1.0)
    }

    /// The distance that the error exceeds, either way, with probability `error` (0 to 1).
    pub fn half_width(&self, error: f64) -> f64 {
        if error >= 1.0 {
            return 0.0;
        }
        let mut last = (f64::NAN, f64::NAN);
        let mut quantile = |part: &Part| {
            if last.0 != part.freedom {
                last = (part.freedom, t_quantile(part.freedom, 0.5 * error));
            }
            part.scale * last.1
        };
        let mut ends = (f64::MAX, 0.0_f64);
        for part in &self.parts {
            let end = quantile(part);
            ends = (ends.0.min(end), ends.1.max(end));
        }
        let (mut low, mut high) = ends;
        let mut at = 0.5 * (low + high);
        // Newton's method on the logarithm of the chance, kept inside its bounds
        for _ in 0..60 {
            if high - low <= 1e-9 * high {
                break;
            }
            let above = self.p(at);
            if above > error {
                low = at
            } else {
                high = at
            }
            let density: f64 = self.parts.iter().map(|part| part.weight * part.density(at)).sum();
            let next = at + (above / error).ln() * above / (2.0 * density);
            let next = if next > low && next < high { next } else { 0.5 * (low + high) };
            let moved = (next - at).abs();
            at = next;
            if moved <= 1e-9 * at {
                break;
            }
        }
        at.min(high).max(low)
    }

    /// Degrees of freedom of the single t distribution whose 95 % and 99.8 % points have the same ratio: what the
    /// scatter rests on, in one figure.
    pub fn freedom(&self) -> f64 {
        match &*self.parts {
            [only] => only.freedom,
            parts => {
                let least = parts.iter().map(|part| part.freedom).fold(f64::MAX, f64::min);
                let ratio = self.half_width(0.002) / self.half_width(0.05);
                let (mut low, mut high) = (1.0, least.max(1.0));
                for _ in 0..14 {
                    let middle = f64::sqrt(low * high);
                    if t_quantile(middle, 0.001) / t_quantile(middle, 0.025) > ratio {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                high
            }
        }
    }

    /// One standard deviation, as far as one figure tells: the half width at 68.3 %.
    pub fn deviation(&self) -> f64 {
        self.half_width(0.317_310_5)
    }
}

/// A shape of spectrum: white noise of variance `1 - share` and a first-order process of variance `share`.
#[derive(Clone, Copy)]
struct Shape {
    prior: f64,
    memory: f64,
    share: f64,
}

impl Shape {
    /// The spectrum, relative to white noise of the same variance, where the frequency has this cosine.
    fn at(&self, cosine: f64) -> f64 {
        let square = self.memory * self.memory;
        1.0 - self.share + self.share * (1.0 - square) / (1.0 - 2.0 * self.memory * cosine + square)
    }
}

/// Weight, memory and share of each shape; white noise has the rest. Chosen so that 30 to 120 units give near their nominal
/// error for memories from none to 0.9, without paying much for the doubt when there is none.
const SHAPES: [(f64, f64, f64); 9] = [
    (0.03, -0.2, 1.0),
    (0.03, -0.4, 1.0),
    (0.085, 0.3, 1.0),
    (0.045, 0.4, 0.5),
    (0.018, 0.5, 1.0),
    (0.018, 0.7, 1.0),
    (0.025, 0.8, 0.5),
    (0.015, 0.9, 0.3),
    (0.018, 0.9, 1.0),
];

fn shapes() -> impl Iterator<Item = Shape> {
    let rest = 1.0 - SHAPES.iter().map(|shape| shape.0).sum::<f64>();
    let white = Shape { prior: rest, memory: 0.0, share: 0.0 };
    let others = SHAPES.into_iter().map(|(prior, memory, share)| Shape { prior, memory, share });
    std::iter::once(white).chain(others)
}

/// Sums of neighbouring groups of equal size, at most [`MOST`] of them; `None` if there are no more units than that.
fn grouped(series: &[f64]) -> Option<Vec<f64>> {
    if series.len() <= MOST {
        return None;
    }
    // as even as whole numbers allow, so that no group weighs less than half of another
    let groups = MOST;
    let edge = |index: usize| index * series.len() / groups;
    Some((0..groups).map(|index| series[edge(index)..edge(index + 1)].iter().sum()).collect())
}

/// Squares of the orthonormal cosine coefficients of order 1 to n - 1 (the discrete cosine transform of type II).
fn cosine_powers(series: &[f64]) -> Vec<f64> {
    let n = series.len();
    // cos(pi j (2 i + 1) / 2n) has the period 4n in j (2 i + 1)
    let table: Vec<f64> = (0..4 * n).map(|k| (PI * k as f64 / (2 * n) as f64).cos()).collect();
    (1..n)
        .map(|j| {
            let sum: f64 = series.iter().enumerate().map(|(i, z)| z * table[j * (2 * i + 1) % (4 * n)]).sum();
            sum * sum * 2.0 / n as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Rng;

    fn residuals(n: usize, memory: f64, seed: u64) -> (f64, Vec<f64>) {
        let mut rng = Rng::new(seed, "scatter", 0);
        let mut level = rng.normal();
        let step = |_| {
            level = memory * level + (1.0 - memory * memory).sqrt() * rng.normal();
            level / n as f64
        };
        let series: Vec<f64> = (0..n).map(step).collect();
        let sum: f64 = series.iter().sum();
        (sum, series.iter().map(|x| x - sum / n as f64).collect())
    }

    #[test]
    fn chance_and_width_are_inverse() {
        let scatter = Scatter::serial(&residuals(60, 0.5, 1).1).unwrap();
        for error in [0.5, 0.05, 0.01, 0.001] {
            assert!((scatter.p(scatter.half_width(error)) / error - 1.0).abs() < 1e-6);
        }
        assert_eq!((scatter.p(0.0), Scatter::serial(&[1.0])), (1.0, None));
        assert!(scatter.widened(0.5).half_width(0.05) > scatter.half_width(0.05));
    }

    #[test]
    fn sums_of_what_hangs_together_are_not_trusted_too_much() {
        for (memory, most) in [(0.0, 22), (0.5, 34), (0.9, 45)] {
            let beyond = (0..400).filter(|seed| {
                let (sum, residuals) = residuals(60, memory, *seed);
                Scatter::serial(&residuals).unwrap().p(sum) <= 0.05
            });
            let count = beyond.count();
            assert!(count <= most, "memory {memory}: {count} of 400");
        }
    }
}
