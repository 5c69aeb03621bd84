//! The law, its figures with their intervals, and what it may be asked.

use super::fit::{Best, Hold, best};
use crate::special::t_quantile;

/// One measured point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Users, workers or cores; at least 1.
    pub load: f64,
    /// Operations a second; above 0.
    pub throughput: f64,
    /// Its weight: 1, or the inverse of the square of its relative error if points differ.
    pub weight: f64,
}

impl Point {
    /// A point of weight 1.
    pub fn new(load: f64, throughput: f64) -> Point {
        Point { load, throughput, weight: 1.0 }
    }
}

/// A figure with its 95 % interval. An infinite end is open: the points do not close it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The most likely value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Where throughput is highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// `N* = sqrt((1 - a) / b)`.
    pub load: Estimate,
    /// `X(N*)`.
    pub throughput: Estimate,
}

/// What the law says about a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prediction {
    /// Throughput there.
    Throughput(Estimate),
    /// It could err by more than [`Law::TOLERANCE`].
    Refused {
        /// What it would have said.
        would: Estimate,
        /// The load up to which one would have to measure, with as many points again on the way; infinite if the points
        /// so far do not tell.
        load_to: f64,
    },
}

/// Why there is no law.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// A sentence with the remedy.
    pub why: String,
}

/// A fitted law.
#[derive(Clone, Debug)]
pub struct Law {
    points: Vec<Point>,
    best: Best,
    /// Squares at which a value is just not excluded at 95 %, and at 99 %.
    edge: f64,
    edge_99: f64,
    /// Throughput of one.
    pub one: Estimate,
    /// Contention a.
    pub contention: Estimate,
    /// Coherency b.
    pub coherency: Estimate,
    /// Standard deviation of the relative residuals.
    pub noise: f64,
    /// Where throughput is highest; `None` if the best fit has no coherency and so no peak.
    pub peak: Option<Peak>,
    /// `g / a`, the throughput that contention alone allows; `None` if the best fit has no contention.
    pub ceiling: Option<Estimate>,
}

/// Fits the law.
///
/// Intervals are those of the profile likelihood with the noise unknown: a value is within if the squares with it held fast
/// are at most `1 + t^2 / (n - k)` times the least (Bates and Watts, "Nonlinear Regression Analysis", 1988, chapter 6);
/// k counts g and those of a and b that are off their bound.
///
/// # Errors
/// Fewer than four different loads, or a point that is not a load of at least 1 with a throughput above 0.
pub fn fit(points: &[Point]) -> Result<Law, Refusal> {
    let fine = |point: &Point| {
        point.load >= 1.0
            && point.load.is_finite()
            && point.throughput > 0.0
            && point.throughput.is_finite()
            && point.weight > 0.0
            && point.weight.is_finite()
    };
    if let Some(wrong) = points.iter().find(|point| !fine(point)) {
        let (load, throughput) = (wrong.load, wrong.throughput);
        let why =
            format!("throughput {throughput} at load {load}: both must be numbers, the load at least 1");
        return Err(Refusal { why });
    }
    let mut loads: Vec<f64> = points.iter().map(|point| point.load).collect();
    loads.sort_by(f64::total_cmp);
    loads.dedup();
    if loads.len() < 4 {
        let why = format!("{} different loads; three unknowns need at least four", loads.len());
        return Err(Refusal { why });
    }
    let best = best(points, Hold::Free, None);
    let free = 1 + usize::from(best.contention > 0.0) + usize::from(best.coherency > 0.0);
    let freedom = (points.len() - free) as f64;
    // points without any noise: the arithmetic's own
    let unit = best.squares.max(1e-20) / freedom;
    let edge = |tail: f64| best.squares.max(1e-20) + unit * t_quantile(freedom, tail).powi(2);
    let mean_weight = points.iter().map(|point| point.weight).sum::<f64>() / points.len() as f64;
    let nothing = Estimate { value: 0.0, low: 0.0, high: 0.0 };
    let mut law = Law {
        points: points.to_vec(),
        best,
        edge: edge(0.025),
        edge_99: edge(0.005),
        one: nothing,
        contention: nothing,
        coherency: nothing,
        noise: (unit / mean_weight).sqrt(),
        peak: None,
        ceiling: None,
    };
    law.one = law.at(1.0, law.edge);
    law.contention = law.profile(best.contention, Hold::Contention, law.edge);
    law.coherency = law.profile(best.coherency, Hold::Coherency, law.edge);
    law.peak = law.find_peak();
    law.ceiling = (best.contention > 0.0).then(|| {
        let value = best.ln_one.exp() / best.contention;
        law.interval(value, &Hold::Ceiling, law.edge)
    });
    Ok(law)
}

impl Law {
    /// The largest error that a prediction may have: 20 %.
    pub const TOLERANCE: f64 = 0.2;

    /// Throughput of the best fit at a load.
    pub fn throughput(&self, load: f64) -> f64 {
        let (a, b) = (self.best.contention, self.best.coherency);
        self.best.ln_one.exp() * load / (1.0 + a * (load - 1.0) + b * load * (load - 1.0))
    }

    /// The scalability factor `X(N) / (N X(1))`: 1 is linear.
    pub fn efficiency(&self, load: f64) -> f64 {
        self.throughput(load) / (load * self.throughput(1.0))
    }

    /// Throughput at a load with its interval, or a refusal. Within the loads measured it is never refused.
    pub fn predict(&self, load: f64) -> Prediction {
        let would = self.at(load, self.edge);
        if load <= self.largest() || self.sound(load) {
            return Prediction::Throughput(would);
        }
        Prediction::Refused { would, load_to: self.load_to(load) }
    }

    /// The highest throughput with its interval, or a refusal if the peak lies beyond the loads measured and could be
    /// missed by more than [`Law::TOLERANCE`].
    pub fn predict_peak(&self) -> Prediction {
        match &self.peak {
            Some(peak) if peak.load.value <= self.largest() => Prediction::Throughput(peak.throughput),
            Some(peak) => match self.predict(peak.load.value) {
                // the height is only as sure as the place
                Prediction::Throughput(_) if self.place_matters() => {
                    // one has to pass it to be sure of its place
                    let sure =
                        if peak.load.high.is_finite() { peak.load.high } else { 2.0 * peak.load.value };
                    Prediction::Refused { would: peak.throughput, load_to: sure }
                }
                Prediction::Throughput(_) => Prediction::Throughput(peak.throughput),
                refused @ Prediction::Refused { .. } => refused,
            },
            None => {
                let would = Estimate {
                    value: f64::INFINITY,
                    low: self.throughput(self.largest()),
                    high: f64::INFINITY,
                };
                Prediction::Refused { would, load_to: self.load_to(2.0 * self.largest()) }
            }
        }
    }

    fn largest(&self) -> f64 {
        self.points.iter().map(|point| point.load).fold(1.0, f64::max)
    }

    /// Whether the 99 % interval at a load is within the tolerance of the value.
    fn sound(&self, load: f64) -> bool {
        let wide = self.at(load, self.edge_99);
        wide.high <= wide.value * (1.0 + Law::TOLERANCE) && wide.low >= wide.value * (1.0 - Law::TOLERANCE)
    }

    /// Whether the peak's height moves by more than the tolerance while its place moves within its 99 % interval.
    fn place_matters(&self) -> bool {
        let Some(peak) = &self.peak else { return true };
        let place = self.interval(peak.load.value, &|ln: f64| Hold::Peak(ln.exp()), self.edge_99);
        let height = |load: f64| {
            let there = best(&self.points, Hold::Peak(load), Some(&self.best));
            let (a, b) = (there.contention, there.coherency);
            there.ln_one.exp() * load / (1.0 + a * (load - 1.0) + b * load * (load - 1.0))
        };
        let far = |load: f64| {
            !load.is_finite() || (height(load) / peak.throughput.value - 1.0).abs() > Law::TOLERANCE
        };
        far(place.high) || far(place.low)
    }

    /// How far one would have to measure for a prediction at `load` to be sound: as many points again between the largest
    /// load and that one, with the same noise, by the linear theory at the best fit.
    fn load_to(&self, load: f64) -> f64 {
        let (a, b) = (self.best.contention, self.best.coherency);
        let gradient = |n: f64| {
            let d = 1.0 + a * (n - 1.0) + b * n * (n - 1.0);
            [1.0, -(n - 1.0) / d, -n * (n - 1.0) / d]
        };
        let (from, count) = (self.largest(), self.points.len());
        let mut reach = from;
        while reach < load {
            reach = (reach * 1.1).min(load);
            let more = (1..=count).map(|index| from + (reach - from) * index as f64 / count as f64);
            let loads = self.points.iter().map(|point| point.load).chain(more);
            let information = loads.map(gradient).fold([[0.0; 3]; 3], |mut sum, g| {
                for (row, own) in g.iter().enumerate() {
                    for (column, other) in g.iter().enumerate() {
                        sum[row][column] += own * other;
                    }
                }
                sum
            });
            let Some(variance) = quadratic(information, gradient(load)) else { continue };
            if 2.6 * self.noise * variance.sqrt() <= Law::TOLERANCE {
                return reach;
            }
        }
        if reach.is_finite() { load } else { f64::INFINITY }
    }

    fn at(&self, load: f64, edge: f64) -> Estimate {
        self.interval(self.throughput(load), &|ln| Hold::Throughput { load, ln }, edge)
    }

    fn find_peak(&self) -> Option<Peak> {
        let (a, b) = (self.best.contention, self.best.coherency);
        if b <= 0.0 || a >= 1.0 {
            return None;
        }
        let value = ((1.0 - a) / b).sqrt();
        let load = self.interval(value, &|ln: f64| Hold::Peak(ln.exp()), self.edge);
        // the height at the most likely place; the place's own doubt is in `predict_peak`
        Some(Peak { load, throughput: self.at(value, self.edge) })
    }

    /// Interval of a figure above 0, looked for on its logarithm.
    fn interval(&self, value: f64, hold: &dyn Fn(f64) -> Hold, edge: f64) -> Estimate {
        let outside = |ln: f64| best(&self.points, hold(ln), Some(&self.best)).squares > edge;
        let end = |sign: f64| {
            let (mut inside, mut step) = (value.ln(), 0.01 * sign);
            for _ in 0..40 {
                if outside(inside + step) {
                    let mut out = inside + step;
                    for _ in 0..30 {
                        let middle = f64::midpoint(inside, out);
                        if outside(middle) { out = middle } else { inside = middle }
                    }
                    return inside.exp();
                }
                inside += step;
                if inside.abs() > 60.0 {
                    break;
                }
                step *= 1.6;
            }
            if sign > 0.0 { f64::INFINITY } else { 0.0 }
        };
        Estimate { value, low: end(-1.0), high: end(1.0) }
    }

    /// Interval of a coefficient that may be 0.
    fn profile(&self, value: f64, hold: impl Fn(f64) -> Hold, edge: f64) -> Estimate {
        let outside = |at: f64| best(&self.points, hold(at), Some(&self.best)).squares > edge;
        let between = |mut inside: f64, mut out: f64| {
            for _ in 0..50 {
                let middle = f64::midpoint(inside, out);
                if outside(middle) { out = middle } else { inside = middle }
            }
            inside
        };
        let low = if value > 0.0 && outside(0.0) { between(value, 0.0) } else { 0.0 };
        let (mut inside, mut step) = (value, (value * 0.1).max(1e-9));
        for _ in 0..80 {
            if outside(inside + step) {
                return Estimate { value, low, high: between(inside, inside + step) };
            }
            inside += step;
            step *= 1.6;
            if inside > 1e6 {
                break;
            }
        }
        Estimate { value, low, high: f64::INFINITY }
    }
}

/// `v' M^-1 v` by elimination; `None` if M is singular.
fn quadratic(mut m: [[f64; 3]; 3], v: [f64; 3]) -> Option<f64> {
    let mut x = v;
    for pivot in 0..3 {
        if m[pivot][pivot].abs() < 1e-300 {
            return None;
        }
        for row in pivot + 1..3 {
            let factor = m[row][pivot] / m[pivot][pivot];
            let lead = m[pivot];
            m[row].iter_mut().zip(lead).skip(pivot).for_each(|(own, above)| *own -= factor * above);
            x[row] -= factor * x[pivot];
        }
    }
    // M is symmetric: after elimination v' M^-1 v is the sum of squares over the pivots
    let sum: f64 = (0..3).map(|row| x[row] * x[row] / m[row][row]).sum();
    (sum >= 0.0 && sum.is_finite()).then_some(sum)
}
