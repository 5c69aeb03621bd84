//! The points of a Poisson process of rate 1, in seeded blocks.
//!
//! A block is 2,048 consecutive points. Its length is drawn first, from the Gamma distribution with shape
//! 2,048 that the sum of as many exponential gaps has; then the gaps are drawn and scaled to that length.
//! This is exact: the shares of the gaps in their sum are independent of the sum (E. Lukacs, "A
//! characterization of the gamma distribution", 1955). What it buys: counting the points below an end takes
//! one draw per block, so that a day of load is counted at once.
//!
//! Only operations that IEEE 754 defines to the last bit are used, so that a seed gives the same points everywhere.

use crucible_core::Rng;

/// Points in a block.
const BLOCK: usize = 2048;

/// The points in rising order. Memory: one block.
#[derive(Clone, Debug)]
pub struct PoissonPoints {
    seed: u64,
    block: u64,
    /// Where the present block begins.
    base: f64,
    points: Box<[f64; BLOCK]>,
    next: usize,
}

impl PoissonPoints {
    /// The points of a seed, from the first.
    pub fn new(seed: u64) -> PoissonPoints {
        let mut points = PoissonPoints { seed, block: 0, base: 0.0, points: Box::new([0.0; BLOCK]), next: 0 };
        points.fill();
        points
    }

    /// The next point, in units of the mean gap. There is always one.
    pub fn next_point(&mut self) -> f64 {
        if self.next == BLOCK {
            self.base = self.points[BLOCK - 1];
            self.block += 1;
            self.fill();
        }
        self.next += 1;
        self.points[self.next - 1]
    }

    fn fill(&mut self) {
        let mut rng = Rng::new(self.seed, "arrivals", self.block);
        let length = gamma(&mut rng, BLOCK as f64);
        let mut sum = 0.0;
        for point in self.points.iter_mut() {
            sum += exponential(&mut rng);
            *point = sum;
        }
        let scale = length / sum;
        for point in self.points.iter_mut() {
            *point = self.base + *point * scale;
        }
        // The same sum that `count_below` makes, to the last bit.
        self.points[BLOCK - 1] = self.base + length;
        self.next = 0;
    }

    /// How many points of the seed lie below `end`. One draw per block.
    pub fn count_below(seed: u64, end: f64) -> u64 {
        let (mut base, mut block) = (0.0, 0u64);
        loop {
            let after = base + gamma(&mut Rng::new(seed, "arrivals", block), BLOCK as f64);
            if after >= end {
                break;
            }
            base = after;
            block += 1;
        }
        let mut points = PoissonPoints { seed, block, base, points: Box::new([0.0; BLOCK]), next: 0 };
        points.fill();
        block * BLOCK as u64 + points.points.iter().filter(|point| **point < end).count() as u64
    }
}

/// Exponential with mean 1, by inversion.
fn exponential(rng: &mut Rng) -> f64 {
    -ln(1.0 - rng.unit())
}

/// Gamma with shape `shape` (at least 1) and scale 1. Source: G. Marsaglia and W. W. Tsang, "A simple method for
/// generating gamma variables", ACM TOMS 26 (2000).
fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        let v = root * root * root;
        let u = 1.0 - rng.unit();
        if ln(u) < 0.5 * x * x + d - d * v + d * ln(v) {
            return d * v;
        }
    }
}

/// Standard normal, by the polar method (Marsaglia and Bray 1964), one of the pair.
fn normal(rng: &mut Rng) -> f64 {
    loop {
        let (x, y) = (2.0 * rng.unit() - 1.0, 2.0 * rng.unit() - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * ln(square) / square).sqrt();
        }
    }
}

/// Natural logarithm of a positive normal number, to about one unit in the last place, by the series of the inverse
/// hyperbolic tangent: `ln m = 2 atanh((m - 1) / (m + 1))`. The standard library's may differ between platforms.
fn ln(x: f64) -> f64 {
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits((bits & FRACTION) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let z = (m - 1.0) / (m + 1.0);
    let w = z * z;
    // |z| <= 0.172, so the first term left out is below 1e-18 of the sum.
    let tail =
        1.0 / 13.0 + w * (1.0 / 15.0 + w * (1.0 / 17.0 + w * (1.0 / 19.0 + w * (1.0 / 21.0 + w / 23.0))));
    let sum =
        w * (1.0 / 3.0 + w * (1.0 / 5.0 + w * (1.0 / 7.0 + w * (1.0 / 9.0 + w * (1.0 / 11.0 + w * tail)))));
    exponent as f64 * std::f64::consts::LN_2 + (2.0 * z + 2.0 * z * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right_to_the_last_digits() {
        let mut rng = Rng::new(1, "test", 0);
        let far = (-1022..1023).map(|e| 2f64.powi(e) * (1.0 + rng.unit())).collect::<Vec<f64>>();
        let near = (0..100_000).map(|_| 1.0 - rng.unit());
        for x in near.chain(far).chain([1.0, 0.5, 2.0, 1.0 - f64::EPSILON, 1.0 + f64::EPSILON]) {
            let (ours, theirs) = (ln(x), x.ln());
            assert!((ours - theirs).abs() <= 4.0 * f64::EPSILON * theirs.abs(), "{x}: {ours} {theirs}");
        }
    }

    #[test]
    fn counting_agrees_with_walking() {
        for (seed, end) in [(1, 0.0), (2, 0.5), (3, 2047.9), (4, 2048.0), (5, 10_000.0), (6, 123_456.7)] {
            let mut points = PoissonPoints::new(seed);
            let walked =
                std::iter::repeat_with(|| points.next_point()).take_while(|point| *point < end).count();
            assert_eq!(PoissonPoints::count_below(seed, end), walked as u64, "{seed} {end}");
        }
    }
}
