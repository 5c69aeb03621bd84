//! The law over levels, and what follows from the levels without it.

use super::levels::{Level, Levels};
use crucible_stats::usl::{self, Law, Point, Refusal};

/// How throughput grows.
#[derive(Clone, Debug)]
pub struct Scaling {
    /// The levels.
    pub levels: Levels,
    /// Throughput of one that efficiencies refer to; `None` without levels.
    pub one: Option<f64>,
    /// Where that comes from: `measured at 1`, `by the law`, or the lowest level.
    pub one_from: String,
    /// By level: `X(N) / (N X(1))`.
    pub efficiency: Vec<f64>,
    /// The law, or why there is none.
    pub law: Result<Law, Refusal>,
    /// The highest load up to which every level was within 5 % of proportional; `None` if none beyond the lowest was.
    pub linear_to: Option<f64>,
}

/// Efficiency down to which growth is called linear.
pub const LINEAR: f64 = 0.95;

/// Fits the law and works out efficiencies. Levels weigh by their time.
pub fn scaling(levels: Levels) -> Scaling {
    let mean =
        levels.levels.iter().map(|level| level.seconds).sum::<f64>() / levels.levels.len().max(1) as f64;
    let point = |level: &Level| Point {
        load: level.load,
        throughput: level.throughput,
        weight: if mean > 0.0 { level.seconds / mean } else { 1.0 },
    };
    let points: Vec<Point> = levels.levels.iter().map(point).collect();
    let law = usl::fit(&points);
    let (one, one_from) = one(&levels, &law);
    let efficiency: Vec<f64> = levels
        .levels
        .iter()
        .map(|level| one.map_or(0.0, |one| level.throughput / (level.load * one)))
        .collect();
    let linear_to = linear(&levels, &efficiency);
    Scaling { levels, one, one_from, efficiency, law, linear_to }
}

/// Throughput of one: measured if there is such a level, else by the law where that is sure of it, else the lowest
/// level's share.
fn one(levels: &Levels, law: &Result<Law, Refusal>) -> (Option<f64>, String) {
    let Some(lowest) = levels.levels.first() else { return (None, String::new()) };
    if lowest.load <= 1.02 {
        let same: Vec<&Level> = levels.levels.iter().filter(|level| level.load <= 1.02).collect();
        let mean = same.iter().map(|level| level.throughput / level.load).sum::<f64>() / same.len() as f64;
        return (Some(mean), "measured at 1".into());
    }
    if let Ok(law) = law {
        let (low, high) = (law.one.low / law.one.value, law.one.high / law.one.value);
        if low > 1.0 - Law::TOLERANCE && high < 1.0 + Law::TOLERANCE {
            return (Some(law.one.value), "by the law".into());
        }
    }
    let load = crucible_core::units::show_number(lowest.load);
    (Some(lowest.throughput / lowest.load), format!("the lowest level's throughput by its load, {load}"))
}

/// Levels at nearly the same load count together: one noisy level among several does not end the line.
fn linear(levels: &Levels, efficiency: &[f64]) -> Option<f64> {
    let pairs: Vec<(f64, f64)> =
        levels.levels.iter().zip(efficiency).map(|(level, share)| (level.load, *share)).collect();
    let groups = pairs.chunk_by(|a, b| b.0 <= a.0 * 1.02);
    let means = groups.map(|group| {
        let share = group.iter().map(|(_, share)| share).sum::<f64>() / group.len() as f64;
        (group.last().map_or(0.0, |(load, _)| *load), share)
    });
    let held: Vec<f64> = means.take_while(|(_, share)| *share >= LINEAR).map(|(load, _)| load).collect();
    (held.len() > 1).then(|| held.last().copied()).flatten()
}

impl Scaling {
    /// The law, if the levels tell contention or coherency at all; else they lie on no curve.
    pub fn lawful(&self) -> Option<&Law> {
        let open = |estimate: &usl::Estimate| !estimate.high.is_finite();
        self.law.as_ref().ok().filter(|law| !(open(&law.contention) && open(&law.coherency)))
    }

    /// The largest load measured; 0 without levels.
    pub fn largest(&self) -> f64 {
        self.levels.levels.last().map_or(0.0, |level| level.load)
    }

    /// The load at which the law's efficiency falls to `share`; `None` without a law, or if it never does.
    pub fn load_at_efficiency(&self, share: f64) -> Option<f64> {
        let law = self.law.as_ref().ok()?;
        let (a, b) = (law.contention.value, law.coherency.value);
        // a (N - 1) + b N (N - 1) = 1 / share - 1, with u = N - 1
        let c = 1.0 / share - 1.0;
        let u = if b > 0.0 {
            let p = a + b;
            (-p + (p * p + 4.0 * b * c).sqrt()) / (2.0 * b)
        } else if a > 0.0 {
            c / a
        } else {
            return None;
        };
        Some(1.0 + u)
    }
}
