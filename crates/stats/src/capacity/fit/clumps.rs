//! How much the counts near the edge vary: the overdispersion of bad operations, which come in clumps.
//!
//! In a few minutes there are few clumps, and their own counts hardly tell how large they are: worse, where by chance there were
//! fewer of them they seem smaller, too, so that an edge that is taken too high seems sure. A queue that is beyond a high level
//! stays there about as long whatever the level (excursions have no memory: Aldous, "Probability Approximations via the Poisson
//! Clumping Heuristic", 1989, chapter A), so that operations near the limit, of which there are several times as many, come in
//! clumps of the same size: over the queues of the claims within a third.

use super::super::Limit;
use super::super::evidence::{Evidence, Piece};
use super::super::noise::{Noise, long_run};
use super::super::trial::NEAR;
use super::{BEND, Fit, extremes, growth, logistic};

/// Clumps of operations that make one degree of freedom: their sizes vary as exponential ones do.
const CLUMPS: f64 = 0.9;
/// Variance of the logarithm of what clumps near the limit say of those beyond it, halved: as much as this many degrees of
/// freedom leave open, inverted.
const MODEL: f64 = 0.03;
/// By so much over their number the size of few clumps is taken to be larger than they tell of themselves, as a share: a search
/// whose clumps were small by chance would seem sure.
const FEW: f64 = 2.0;
/// Least degrees of freedom.
const FREEDOM: f64 = 5.0;
/// Operations near the limit tell more than bad ones if there are so many times as many, and tell of the queue's upper end if they
/// are no more than this share at the edge.
const MORE: f64 = 1.5;
const UPPER: f64 = 0.4;
/// Operations that are near the limit whatever the load come one by one: they may be this share of those near it at the edge.
const IDLE: f64 = 0.5;
/// Windows that tell how much they vary.
const WINDOWS: f64 = 8.0;

/// The variance of windows in units of what counts without clumps have, and what was counted.
struct Variation {
    noise: Noise,
    told: f64,
    /// What the clumps near the limit leave open of those beyond it.
    open: f64,
}

impl Fit {
    /// Overdispersion from the windows near the edge, and from it the weight of each trial.
    pub(super) fn measure_noise(&mut self) {
        let found = self.near_limit().or_else(|| self.beyond_limit());
        self.measured = found.is_some();
        let dispersion = match found {
            Some(Variation { noise, told, open }) => {
                let blocks = noise.windows / (2.0 * noise.time);
                let dispersion = noise.variance.max(extremes(self.limit).0);
                let clumps = match self.limit {
                    Limit::Share(_) => (told / dispersion).max(0.5),
                    Limit::Level(_) => blocks,
                };
                self.time = noise.time;
                self.freedom = (1.0 / (1.0 / blocks + CLUMPS / clumps + open)).max(FREEDOM);
                dispersion
            }
            None => extremes(self.limit).1,
        };
        let tells: Vec<f64> = self.trials.iter().map(|trial| self.tells(trial)).collect();
        let weigh = |(trial, tells): (&Evidence, &f64)| {
            let x = trial.load / self.best - 1.0;
            // how far the logit may lie off the line: the line bends the more the steeper it is
            let bend = 0.5 * (self.slope * (1.0 + self.slope / 30.0)).max(BEND) * x * x;
            dispersion + bend * bend * tells
        };
        self.spread = self.trials.iter().zip(&tells).map(weigh).collect();
        self.clumps = tells.iter().zip(&self.spread).map(|(tells, spread)| tells / spread).sum();
    }

    /// Whether a trial is close enough to the edge to tell how much windows vary there.
    fn beside(&self, trial: &Evidence) -> bool {
        let x = trial.load / self.best - 1.0;
        (self.slope * x).abs() < 2.5 && x.abs() < 0.15
    }

    /// From the bad operations themselves, or the levels.
    fn beyond_limit(&self) -> Option<Variation> {
        let (mut stretches, mut told) = (Vec::new(), 0.0);
        for trial in self.trials.iter().filter(|trial| self.beside(trial)) {
            let expected = self.expected(trial.load);
            let scale = self.scale(expected).0;
            stretches.push(residuals(&trial.windows, |one| one.sum, expected, scale));
            // what was seen, without what a trial that was cut short is taken for
            told += self.tells(trial) * amount(trial) / trial.all;
        }
        let noise = long_run(&stretches).filter(|noise| noise.windows >= WINDOWS)?;
        // operations that are always bad vary less than those in clumps, and hide how much those vary
        let variance = noise.variance / (1.0 - self.floor).powi(3);
        let variance = match self.limit {
            Limit::Share(_) => variance * (1.0 + FEW / (told / variance).max(1.0)),
            Limit::Level(_) => variance,
        };
        Some(Variation { noise: Noise { variance, ..noise }, told, open: 0.0 })
    }

    /// From the operations near the limit; `None` where they do not tell more than the bad ones.
    fn near_limit(&self) -> Option<Variation> {
        let Limit::Share(allowed) = self.limit else { return None };
        let trials: Vec<&Evidence> = self.trials.iter().filter(|trial| self.beside(trial)).collect();
        let count =
            |of: fn(&Piece) -> f64| -> f64 { trials.iter().flat_map(|trial| &trial.windows).map(of).sum() };
        let seen = count(|one| one.near);
        let amounts: Vec<(f64, f64)> = trials.iter().map(|trial| (trial.load, amount(trial))).collect();
        let level = self.level(&amounts, seen);
        let edge = self.share_near(level, self.best);
        let idle = self.level_share(|trial| trial.near, allowed);
        if seen <= MORE * count(|one| one.sum) || edge > UPPER || idle > IDLE * edge {
            return None;
        }
        let (mut stretches, mut told) = (Vec::new(), 0.0);
        for (trial, (load, all)) in trials.iter().zip(&amounts) {
            let share = self.share_near(level, *load);
            let ratio = (self.expected(*load) / allowed).max(0.02);
            let clear = (1.0 - self.floor * allowed / share).max(0.1).powi(3);
            let scale = share * (1.0 - share) * ratio.powf(growth(allowed)) * clear;
            stretches.push(residuals(&trial.windows, |one| one.near, share, scale));
            told += share * all;
        }
        let noise = long_run(&stretches).filter(|noise| noise.windows >= WINDOWS)?;
        Some(Variation { noise, told, open: MODEL })
    }

    /// Share of operations near the limit at this load, of this logit at the edge: its slope is as much less than that of the bad
    /// ones as the level is lower, as the tail of a queue falls exponentially.
    fn share_near(&self, level: f64, load: f64) -> f64 {
        logistic(level + NEAR * self.slope * (load / self.best - 1.0))
    }

    /// The logit at the edge with which as many operations near the limit are due as were seen, of these loads and how many
    /// operations each had.
    fn level(&self, amounts: &[(f64, f64)], seen: f64) -> f64 {
        let due = |level: f64| -> f64 {
            amounts.iter().map(|(load, all)| self.share_near(level, *load) * all).sum()
        };
        let (mut low, mut high) = (-20.0, 20.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if due(middle) < seen { low = middle } else { high = middle }
        }
        f64::midpoint(low, high)
    }
}

/// What the windows of a trial are of.
fn amount(trial: &Evidence) -> f64 {
    trial.windows.iter().map(|one| one.all).sum()
}

/// Per window what was counted beyond what is expected, in units of the standard deviation of counts of this variance each.
fn residuals(windows: &[Piece], of: fn(&Piece) -> f64, expected: f64, variance: f64) -> Vec<f64> {
    windows.iter().map(|one| (of(one) - one.all * expected) / (one.all * variance).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Purpose, Scale, Trial};
    use crate::queues::{Running, Service, Station};
    use crucible_core::Ns;

    /// What three minutes at the edge of eight workers of 10 ms, so many seconds away, say of the overdispersion, from near the
    /// limit of 100 ms more and from beyond it.
    fn both(away: f64, seed: u64) -> Option<(f64, f64)> {
        let (settle, length) = (Ns::from_secs(10), Ns::from_secs(190));
        let trial = Trial { number: 1, purpose: Purpose::Measure, load: 749.0, length, settle };
        let station = Station { before: away, ..Station::new(8, Service::Exponential(0.010), away + 0.100) };
        let result = Running::new(station, seed, 1.0).trial(trial, |_| false);
        let limit = Limit::Share(0.01);
        let fit = Fit::new(limit, vec![Evidence::of(&result, 0, limit, Scale::Rate)?], None)?;
        Some((fit.near_limit()?.noise.variance, fit.beyond_limit()?.noise.variance))
    }

    #[test]
    fn operations_near_the_limit_tell_the_size_of_clumps_better_than_the_bad_ones() {
        told_better_beside_the_limit(0.0);
        // most of the time is spent on the way, and all of that lies beyond two thirds of the limit
        told_better_beside_the_limit(0.4);
    }

    fn told_better_beside_the_limit(away: f64) {
        let found: Vec<(f64, f64)> = (0..40).filter_map(|seed| both(away, seed)).collect();
        assert!(found.len() >= 36, "{}", found.len());
        let logs = |of: fn(&(f64, f64)) -> f64| -> (f64, f64) {
            let logs: Vec<f64> = found.iter().map(|one| of(one).ln()).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            let square = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / logs.len() as f64;
            (mean.exp(), square.sqrt())
        };
        let (near, beyond) = (logs(|one| one.0), logs(|one| one.1));
        assert!(near.1 < 0.8 * beyond.1, "{away}: {near:?} {beyond:?}");
        // 661 of bad ones in 100 minutes
        assert!((near.0 / 661.0).ln().abs() < 0.5, "{away}: {near:?} {beyond:?}");
    }
}
