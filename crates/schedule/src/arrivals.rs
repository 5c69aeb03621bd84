//! Open load: the instants of arrivals under a rate that changes over time.
//!
//! The rate's integral `I(t)` is the schedule's own time, in which arrivals lie at distance 1 (even) or as a Poisson
//! process of rate 1; the inverse of `I` maps them to instants (time rescaling, as in D. L. Snyder and M. I. Miller,
//! "Random Point Processes in Time and Space", 1991). Each instant is computed from its number alone, so nothing drifts.
//!
//! Invariants: `seq` counts over all shares and scenarios; the streams of all shares and scenarios of one seed are a
//! partition of the whole stream; instants never fall and lie inside the curve.

use crate::poisson::PoissonPoints;
use crate::{Arrival, ArrivalProcess, Curve, Mix, Spacing};
use crucible_core::{Ns, Share, rng};

/// Integrals closer to a whole number than this are that number: 100/s for 10 s is 1,000 arrivals, whatever the
/// rounding of the product.
const NEAR: f64 = 1e-6;

/// See the module text.
#[derive(Clone, Debug)]
pub struct Arrivals {
    inverse: Inverse,
    points: Points,
    seed: u64,
    share: Share,
    mix: Mix,
    scenario: Option<usize>,
    /// Number over all shares of the next arrival that is looked at: of this share (even) or of all (Poisson).
    seq: u64,
}

#[derive(Clone, Debug)]
enum Points {
    Even { count: u64 },
    Poisson { points: PoissonPoints, end: f64 },
}

impl Arrivals {
    /// The arrivals under `rate` (operations per second) that belong to `share` and, if `scenario` is given, that
    /// `mix` gives to that scenario.
    ///
    /// Even: arrival `k` comes when the rate's integral passes `k`, for each `k` from 0 that is below the whole integral
    /// (100/s for 10 s: 1,000 arrivals at 0, 10 ms, ..., 9.99 s; 0.5/s for 3 s: two, at 0 and 2 s). Poisson: the first
    /// arrival comes one exponential gap after the begin.
    pub fn new(
        rate: &Curve,
        spacing: Spacing,
        seed: u64,
        share: Share,
        mix: &Mix,
        scenario: Option<usize>,
    ) -> Arrivals {
        let inverse = Inverse::new(rate);
        let (points, seq) = match spacing {
            Spacing::Even => (Points::Even { count: inverse.whole() }, u64::from(share.index)),
            Spacing::Poisson => (Points::Poisson { points: PoissonPoints::new(seed), end: inverse.total }, 0),
        };
        Arrivals { inverse, points, seed, share, mix: mix.clone(), scenario, seq }
    }
}

impl ArrivalProcess for Arrivals {
    fn next(&mut self) -> Option<Arrival> {
        let (of, index) = (u64::from(self.share.of.max(1)), u64::from(self.share.index));
        loop {
            let (seq, point) = match &mut self.points {
                Points::Even { count } => {
                    if self.seq >= *count {
                        return None;
                    }
                    let seq = self.seq;
                    self.seq += of;
                    (seq, seq as f64)
                }
                Points::Poisson { points, end } => {
                    let point = points.next_point();
                    if point >= *end {
                        // Stay behind the end, however often we are asked.
                        *end = f64::NEG_INFINITY;
                        return None;
                    }
                    let seq = self.seq;
                    self.seq += 1;
                    if seq % of != index {
                        continue;
                    }
                    (seq, point)
                }
            };
            if self.scenario.is_none_or(|wanted| self.mix.scenario_of_arrival(self.seed, seq) == wanted) {
                return Some(Arrival { seq, at: self.inverse.instant(point) });
            }
        }
    }
}

/// Exact number of arrivals that [`Arrivals`] gives over all shares and scenarios. Even: in closed form. Poisson: by
/// counting in blocks, about a tenth of a second for a billion.
pub fn expected(rate: &Curve, spacing: Spacing, seed: u64) -> u64 {
    let inverse = Inverse::new(rate);
    match spacing {
        Spacing::Even => inverse.whole(),
        Spacing::Poisson => PoissonPoints::count_below(seed, inverse.total),
    }
}

/// The seed of one phase's arrivals, from the plan's seed and the phase's index: phases are unrelated to each other.
pub const fn phase_seed(seed: u64, phase: u64) -> u64 {
    rng::mix(rng::mix(seed ^ 0x7068_6173_655f_7365).wrapping_add(phase))
}

/// The inverse of the rate's integral, asked at rising points.
#[derive(Clone, Debug)]
struct Inverse {
    stretches: Vec<Stretch>,
    total: f64,
    present: usize,
}

/// A piece with a rate above 0 and what lies before it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Integral before it.
    before: f64,
    /// Integral at its end.
    after: f64,
    /// Begin, nanoseconds.
    start: f64,
    /// Length, nanoseconds.
    length: f64,
    /// Rate at its begin, per nanosecond.
    rate: f64,
    /// Change of the rate, per square nanosecond.
    slope: f64,
}

impl Inverse {
    fn new(rate: &Curve) -> Inverse {
        let mut stretches = Vec::with_capacity(rate.pieces.len());
        let (mut total, mut start) = (0.0, Ns::ZERO);
        for piece in &rate.pieces {
            let clean = |value: f64| if value > 0.0 && value.is_finite() { value } else { 0.0 };
            let (from, to, length) = (clean(piece.from) / 1e9, clean(piece.to) / 1e9, piece.length.0 as f64);
            let area = (from + to) / 2.0 * length;
            if area > 0.0 {
                let (before, after) = (total, total + area);
                let slope = (to - from) / length;
                stretches.push(Stretch { before, after, start: start.0 as f64, length, rate: from, slope });
                total = after;
            }
            start += piece.length;
        }
        Inverse { stretches, total, present: 0 }
    }

    /// Number of whole `k` from 0 below the total.
    fn whole(&self) -> u64 {
        (self.total - self.near()).ceil().max(0.0) as u64
    }

    /// See [`NEAR`]; wider where the numbers themselves are coarser.
    fn near(&self) -> f64 {
        NEAR.max(self.total * 4e-16)
    }

    /// When the integral passes `point`. A point on the border of two stretches belongs to the later one: after a
    /// pause the load begins at the pause's end.
    fn instant(&mut self, point: f64) -> Ns {
        let near = self.near();
        while self.present + 1 < self.stretches.len() && point + near >= self.stretches[self.present].after {
            self.present += 1;
        }
        let Some(stretch) = self.stretches.get(self.present) else {
            return Ns::ZERO;
        };
        let area = (point - stretch.before).max(0.0);
        let offset = if stretch.slope == 0.0 {
            area / stretch.rate
        } else if area == 0.0 {
            0.0
        } else {
            // The root of rate t + slope t^2 / 2 = area, in the form that does not cancel.
            let discriminant = stretch.rate * stretch.rate + 2.0 * stretch.slope * area;
            2.0 * area / (stretch.rate + discriminant.max(0.0).sqrt())
        };
        Ns((stretch.start + offset.min(stretch.length)).round() as u64)
    }
}
