//! The edge of one predicate, from all trials at once.
//!
//! Model: the logit of the share of bad operations rises linearly with load near the edge,
//! `logit p = logit p0 + b (load / edge - 1)`; for a level its logarithm does. Windows depend on each other, so a
//! trial's counts weigh by an overdispersion that is measured, grows with the share itself, and is the same for all
//! trials near the edge (an own one for each would make lucky trials look sure). Trials far from the edge weigh less, as
//! the line is only local. What is known of the edge is the signed root of the profile quasi-likelihood ratio on
//! Student's t (McCullagh and Nelder, "Generalized Linear Models", 1989, chapter 9), moved by as much as the median of a few
//! clumps lies below their mean.

use super::Limit;
use super::evidence::{Ceiling, Evidence};
use super::trial::{beyond_chance, so_few};
use crate::special::beta_inc;

mod clumps;

/// Up to this share of the edge the floor is looked for.
const LEVEL: f64 = 0.93;
/// Operations that may be bad from which on a floor is measured.
const ENOUGH: f64 = 5.0;
/// Standard errors by which more has to be bad than further below for it to be no floor any more.
const SURE: f64 = 2.5;
/// Least and largest floor, as a share of what is allowed. With none, one bad operation far below the edge would be impossible for
/// a steep curve, and outweigh all that was seen beside the edge.
const FLOORS: (f64, f64) = (0.01, 0.8);
/// Overdispersion grows with the share to this power: up to 0.85 for queues of many servers, which need it most.
const GROWTH: f64 = 0.8;
/// Least overdispersion of counts (nothing is quite deterministic), and the one before any is measured.
const COUNTS: (f64, f64) = (0.02, 30.0);
/// The same for levels: relative variance of one window.
const LEVELS: (f64, f64) = (1e-6, 0.01);
/// The slope expected before anything is seen, and the variance of its logarithm: a factor of four either way.
const SLOPE: (f64, f64) = (30.0, 2.0);
/// Variance of the logarithm of the slope where the ceiling is known.
const STRAIGHT: f64 = 0.1;
/// Around the load that parts what held from what failed, an edge is looked for this closely: a share either way.
const AROUND: f64 = 0.15;
/// The slope that is begun with there.
const STEEP: f64 = 100.0;
/// An edge is taken to lie at least this share of the ceiling below it.
const LEAST_GAP: f64 = 0.004;
/// The line's bend is at least this, in logits per squared relative distance.
const BEND: f64 = 10.0;
/// The median of a gamma distribution of shape K, as the sum over K clumps has it, is less than its mean by about this over K, as
/// a share: by this over the root of K in standard deviations (Berg and Pedersen, "The Chen-Rubin conjecture", 2006).
const MEDIAN: f64 = 1.0 / 3.0;
/// Slopes that are thought of.
const SLOPES: (f64, f64) = (3.0, 3e4);

/// What is known of the edge of one predicate.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    limit: Limit,
    trials: Vec<Evidence>,
    ceiling: Option<Ceiling>,
    /// Whether the overdispersion has been measured.
    measured: bool,
    /// Overdispersion of each trial.
    spread: Vec<f64>,
    /// Ratio to the allowed share far below the edge: operations that are bad whatever the load.
    floor: f64,
    best: f64,
    least: f64,
    /// Rise of the logit (or logarithm) per relative rise of the load, at the edge.
    pub(super) slope: f64,
    /// Degrees of freedom of the overdispersion.
    pub(super) freedom: f64,
    /// Clumps of bad operations that the trials tell of.
    clumps: f64,
    /// Integrated autocorrelation time in windows near the edge.
    pub(super) time: f64,
}

impl Fit {
    /// Of at least one trial; `None` without.
    ///
    /// `ceiling` is the throughput of the system when it has more to do than it can. It counts only in the end, when the noise
    /// of the trials is known: before, a wrong edge would find a slope that suits it.
    pub(super) fn new(limit: Limit, trials: Vec<Evidence>, ceiling: Option<Ceiling>) -> Option<Fit> {
        if trials.is_empty() {
            return None;
        }
        let spread = vec![extremes(limit).1; trials.len()];
        let mut fit = Fit {
            limit,
            trials,
            ceiling: None,
            measured: false,
            spread,
            floor: if matches!(limit, Limit::Share(_)) { FLOORS.0 } else { 0.0 },
            best: 1.0,
            least: 0.0,
            slope: 20.0,
            freedom: 2.0,
            clumps: 1.0,
            time: 1.0,
        };
        fit.settle();
        if let Some(most) = ceiling.filter(|most| fit.measured && fit.best < most.rate * (1.0 - LEAST_GAP)) {
            fit.ceiling = Some(most);
            fit.climb((fit.best * 0.97).ln(), (fit.best * 1.03).ln());
        }
        Some(fit)
    }

    /// Noise and curve in turn, until they go together: begun from nowhere, and as a steep curve where the trials part. A curve far
    /// off explains all that it cannot with noise, and goes together with so much of it; the weights of the two do not compare, so
    /// that what parts the trials better is taken.
    fn settle(&mut self) {
        let mut steep = self.clone();
        self.go_together();
        let Some(around) = steep.parting() else { return };
        (steep.best, steep.slope) = (around, STEEP);
        steep.measure_floor();
        steep.measure_noise();
        steep.go_together();
        if steep.wrong(steep.best) < self.wrong(self.best) {
            *self = steep;
        }
    }

    fn go_together(&mut self) {
        for _ in 0..4 {
            self.climb_all();
            self.measure_floor();
            self.measure_noise();
        }
        self.climb_all();
    }

    /// The load that parts best what held from what failed, without any curve.
    fn parting(&self) -> Option<f64> {
        if matches!(self.limit, Limit::Level(_)) {
            return None;
        }
        let mut loads: Vec<f64> = self.trials.iter().map(|trial| trial.load).collect();
        loads.sort_by(f64::total_cmp);
        let between = loads.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
        between.map(|edge| (self.wrong(edge), edge)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|found| found.1)
    }

    /// Operations of trials that failed below this load or held above it, each by how clearly.
    fn wrong(&self, edge: f64) -> f64 {
        let Limit::Share(allowed) = self.limit else { return 0.0 };
        let of = |trial: &Evidence| {
            let off = (trial.sum / trial.all / allowed).max(0.01).ln().clamp(-3.0, 3.0);
            if (trial.load < edge) == (off > 0.0) { trial.all * off.abs() } else { 0.0 }
        };
        self.trials.iter().map(of).sum()
    }

    /// The most likely edge.
    pub(super) fn estimate(&self) -> f64 {
        self.best
    }

    /// Probability that the edge is below `load`.
    pub(super) fn below(&self, load: f64) -> f64 {
        if let Some(chance) = self.unseen(load) {
            return chance;
        }
        let excess = 2.0 * (self.misfit(load, self.slope).0 - self.least).max(0.0);
        let root = if load < self.best { -excess.sqrt() } else { excess.sqrt() };
        let root = root + self.skew();
        let tail = 0.5 * beta_inc(self.freedom / 2.0, 0.5, self.freedom / (self.freedom + root * root));
        if root < 0.0 { tail } else { 1.0 - tail }
    }

    /// By how much the signed root lies too low on average: what comes in few clumps is more often less than its mean than more, so
    /// that the edge seems too high.
    fn skew(&self) -> f64 {
        match self.limit {
            Limit::Share(_) => MEDIAN / self.clumps.max(1.0).sqrt(),
            Limit::Level(_) => 0.0,
        }
    }

    /// The same where no trial missed the target by more than chance: a bound on the chance that so few were bad at this load and
    /// above although at least the allowed share of them should have been, in clumps as large as is assumed where none are seen
    /// (see [`so_few`]). The line says nothing there: its edge lies somewhere far above, and a few that were bad,
    /// as when a trial was cut short, would bend it anywhere.
    fn unseen(&self, load: f64) -> Option<f64> {
        let Limit::Share(allowed) = self.limit else { return None };
        if self.trials.iter().any(|trial| beyond_chance(trial.sum, trial.all * allowed)) {
            return None;
        }
        let above = || self.trials.iter().filter(|trial| trial.load >= load);
        let due = above().map(|trial| trial.all).sum::<f64>() * allowed / COUNTS.1;
        let seen = above().map(|trial| trial.sum).sum::<f64>() / COUNTS.1;
        Some(so_few(seen, due))
    }

    /// Half of the negative quasi-log-likelihood ratio at this edge with the best slope there, and that slope.
    fn misfit(&self, edge: f64, slope: f64) -> (f64, f64) {
        let mut slope = slope;
        let mut last = self.at(edge, slope);
        for _ in 0..25 {
            let (value, gradient, bend) = last;
            let mut next = (slope - gradient / bend.max(1e-300)).clamp(slope / 8.0, slope * 8.0);
            next = next.clamp(if matches!(self.limit, Limit::Level(_)) { 0.2 } else { SLOPES.0 }, SLOPES.1);
            let mut there = self.at(edge, next);
            let mut tries = 0;
            while there.0 > value && tries < 8 {
                next = f64::midpoint(next, slope);
                there = self.at(edge, next);
                tries += 1;
            }
            let done = (next - slope).abs() <= 1e-5 * slope;
            if there.0 <= value {
                (slope, last) = (next, there);
            }
            if done || there.0 > value {
                break;
            }
        }
        (last.0, slope)
    }

    /// Misfit, its derivative by the slope, and its second derivative.
    fn at(&self, edge: f64, slope: f64) -> (f64, f64, f64) {
        let (centre, wide) = self.expected_slope(edge);
        let pull = (slope / centre).ln() / wide;
        let mut out = (pull * (slope / centre).ln() / 2.0, pull / slope, 1.0 / (wide * slope * slope));
        for (trial, spread) in self.trials.iter().zip(&self.spread) {
            let x = trial.load / edge - 1.0;
            match self.limit {
                Limit::Share(allowed) => {
                    let logit = (allowed / (1.0 - allowed)).ln() + slope * x;
                    let share = logistic(logit);
                    let (excess, seen) =
                        ((1.0 - self.floor) * share / allowed, trial.sum / trial.all / allowed);
                    let ratio = self.floor + excess;
                    if trial.least && ratio >= seen {
                        continue;
                    }
                    let power = growth(allowed);
                    let weight = trial.all * allowed / spread;
                    let thinned = ratio.powf(-power);
                    // from the best that it could be, so that nothing jumps where a lower bound stops to count
                    out.0 += weight
                        * (quasi(seen, ratio, thinned, power) - quasi(seen, seen, seen.powf(-power), power));
                    let rise = excess * (1.0 - share) * x;
                    out.1 -= weight * (seen - ratio) * thinned / ratio * rise;
                    out.2 += weight * thinned / ratio * rise * rise;
                }
                Limit::Level(_) => {
                    let off = slope * x - (trial.sum / trial.all).max(1e-9).ln();
                    if trial.least && off >= 0.0 {
                        continue;
                    }
                    out.0 += off * off * trial.all / (2.0 * spread);
                    out.1 += x * off * trial.all / spread;
                    out.2 += x * x * trial.all / spread;
                }
            }
        }
        out
    }

    /// The slope that is expected at this edge before anything is seen beside it, and the variance of its logarithm.
    ///
    /// Where the ceiling is known: there the share of bad operations comes near 1, and its logarithm falls about in a straight
    /// line from there to the edge (large deviations of queues: the decay rate of the tail vanishes with the spare
    /// capacity). Erlang's queues and losses are within a sixth of that. Without it a few minutes of noisy trials hardly tell
    /// the slope, and an edge without a slope has no bounds.
    fn expected_slope(&self, edge: f64) -> (f64, f64) {
        match (self.limit, self.ceiling) {
            (Limit::Share(allowed), Some(ceiling)) => {
                let gap = (ceiling.rate - edge).max(LEAST_GAP * ceiling.rate);
                let doubt = ceiling.error * ceiling.rate / gap;
                (-allowed.ln() * edge / gap, (STRAIGHT + doubt * doubt).min(SLOPE.1))
            }
            (Limit::Share(_), None) => SLOPE,
            (Limit::Level(_), _) => (2.0, 4.0),
        }
    }

    /// The most likely edge and slope of all that was tried.
    fn climb_all(&mut self) {
        let loads = self.trials.iter().map(|trial| trial.load);
        let (low, high) = loads.fold((f64::INFINITY, 0.0_f64), |(a, b), load| (a.min(load), b.max(load)));
        self.climb((low / 2.0).ln(), (high * 2.0).ln());
        // from the lowest to the highest load tried is so far that a steep curve lies between two steps of the scan
        let Some(around) = self.parting() else { return };
        let gentle = (self.least, self.best, self.slope);
        self.slope = STEEP;
        self.climb((around * (1.0 - AROUND)).ln(), (around * (1.0 + AROUND)).ln());
        if gentle.0 <= self.least {
            (self.least, self.best, self.slope) = gentle;
        }
    }

    /// The most likely edge and slope between two logarithms of edges: a scan, four times closer each time.
    fn climb(&mut self, from: f64, to: f64) {
        let (mut from, mut to) = (from, to);
        for round in 0..7 {
            let steps = if round == 0 { 60 } else { 12 };
            let step = (to - from) / f64::from(steps);
            let mut best = (f64::INFINITY, 0.0, 20.0);
            for index in 0..=steps {
                let edge = from + step * f64::from(index);
                let (value, slope) = self.misfit(edge.exp(), self.slope);
                if value < best.0 {
                    best = (value, edge, slope);
                }
            }
            (self.least, self.best, self.slope) = (best.0, best.1.exp(), best.2);
            (from, to) = (best.1 - step, best.1 + step);
        }
    }

    /// Where the trials lie on the whole, each by what it tells, as a share of the edge: 0 is best for the estimate.
    pub(super) fn lean(&self) -> f64 {
        let (mut all, mut sum) = (0.0, 0.0);
        for (trial, spread) in self.trials.iter().zip(&self.spread) {
            let told = self.tells(trial) / spread;
            all += told;
            sum += told * (trial.load / self.best - 1.0);
        }
        if all > 0.0 { sum / all } else { 0.0 }
    }

    /// What the model expects of a trial: the share, or the level as a ratio of its limit.
    fn expected(&self, load: f64) -> f64 {
        let rise = self.slope * (load / self.best - 1.0);
        match self.limit {
            Limit::Share(allowed) => {
                let share = logistic((allowed / (1.0 - allowed)).ln() + rise);
                self.floor * allowed + (1.0 - self.floor) * share
            }
            Limit::Level(_) => rise.clamp(-50.0, 50.0).exp(),
        }
    }

    /// Variance of one operation in units of the overdispersion, and what one operation tells of the logit.
    fn scale(&self, expected: f64) -> (f64, f64) {
        match self.limit {
            Limit::Share(allowed) => {
                let ratio = (expected / allowed).max(0.02);
                let power = growth(allowed);
                let excess = (1.0 - self.floor / ratio).max(0.0);
                (allowed * ratio.powf(1.0 + power), allowed * ratio.powf(1.0 - power) * excess * excess)
            }
            Limit::Level(_) => (expected * expected, 1.0),
        }
    }

    /// What a trial tells of the logit, in operations that could be bad.
    fn tells(&self, trial: &Evidence) -> f64 {
        trial.all * self.scale(self.expected(trial.load)).1
    }

    /// The share of bad operations below the edge, as far up as it stays level: a trial in which clearly more was bad is on
    /// the way to the edge. Without it a share that is bad whatever the load looks like a gentle slope, and the edge is
    /// looked for too low.
    fn measure_floor(&mut self) {
        let Limit::Share(allowed) = self.limit else { return };
        let floor = self.level_share(|trial| trial.sum, allowed) / allowed;
        self.floor = floor.clamp(FLOORS.0, FLOORS.1);
    }

    /// The share of what is counted in the trials below the edge, as far up as it stays level; 0 where too little was done there.
    fn level_share(&self, of: fn(&Evidence) -> f64, allowed: f64) -> f64 {
        let below = |trial: &&Evidence| {
            !trial.least && trial.load < LEVEL * self.best && trial.load > 0.1 * self.best
        };
        let mut trials: Vec<&Evidence> = self.trials.iter().filter(below).collect();
        trials.sort_by(|a, b| a.load.total_cmp(&b.load));
        let (mut all, mut sum) = (0.0, 0.0);
        for trial in trials {
            // two counts, compared by what both together say of their rate
            let rate = (sum + of(trial)) / (all + trial.all);
            let doubt = (rate * trial.all * (1.0 + trial.all / f64::max(all, 1.0))).sqrt();
            if all * allowed > ENOUGH && of(trial) > sum / all * trial.all + SURE * doubt {
                break;
            }
            (all, sum) = (all + trial.all, sum + of(trial));
        }
        if all * allowed > ENOUGH { sum / all } else { 0.0 }
    }
}

fn extremes(limit: Limit) -> (f64, f64) {
    match limit {
        Limit::Share(_) => COUNTS,
        Limit::Level(_) => LEVELS,
    }
}

/// The share whose logit this is.
fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// How fast the overdispersion grows with the share.
fn growth(allowed: f64) -> f64 {
    GROWTH * (1.0 - allowed)
}

/// Negative quasi-likelihood of a ratio with variance `ratio^(1 + power)`: the integral of `(seen - u) / u^(1 + power)`.
/// `thinned` is `ratio^-power`.
fn quasi(seen: f64, ratio: f64, thinned: f64, power: f64) -> f64 {
    let pull = if seen > 0.0 { seen * thinned / power } else { 0.0 };
    let push = if ratio > 0.0 { ratio * thinned / (1.0 - power) } else { 0.0 };
    pull + push
}
