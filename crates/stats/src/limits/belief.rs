//! What is believed after all that was seen: rules of every class with their weights.

use super::features::Features;
use super::likelihood::{Particle, at_random};
use super::rule::{Class, Rule};
use super::search::{BEHIND, improve, thin};
use super::seen::Log;
use crucible_core::Rng;

/// Classes that are told apart by when requests pass; the others are told apart by delays and by requests at once.
const BY_TIME: &[Class] = &[
    Class::FixedFirst,
    Class::SlidingLog,
    Class::LogWithRejects,
    Class::FixedWall,
    Class::SlidingCounter,
    Class::TokenBucket,
    Class::Spacing,
    Class::IntervalRefill,
    Class::Lockout,
    Class::GrowingLock,
    Class::TwoTier,
];

/// Most searches of one log beyond the first.
const PASSES: u32 = 8;

/// What a class pays for its free figures, as a logarithm: of two that explain alike, the plainer one is believed.
const fn price(class: Class) -> f64 {
    match class {
        Class::FixedFirst | Class::Spacing => 0.0,
        Class::SlidingLog | Class::TokenBucket => 0.5,
        Class::LogWithRejects | Class::FixedWall => 1.0,
        Class::SlidingCounter => 2.0,
        Class::Lockout | Class::IntervalRefill => 3.0,
        Class::GrowingLock => 5.0,
        _ => 11.0,
    }
}

/// See the module text.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    populations: Vec<(Class, Vec<Particle>)>,
    /// How well pure chance explains the verdicts.
    pub random: f64,
    /// Times that differ by less than this share are the same.
    pub share: f64,
}

/// A rule and how much it is believed; weights sum to 1.
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    pub rule: Rule,
    pub weight: f64,
}

impl Belief {
    pub(crate) fn new() -> Belief {
        Belief {
            populations: BY_TIME.iter().map(|class| (*class, Vec::new())).collect(),
            random: 0.0,
            share: 0.015,
        }
    }

    /// Takes all of a log into account.
    pub(crate) fn update(&mut self, log: &Log, rng: &mut Rng) {
        let features = Features::new(log);
        self.random = at_random(log);
        if !features.refused() {
            return;
        }
        let mut single: Vec<Particle> = Vec::new();
        for (class, population) in &mut self.populations {
            improve(*class, population, log, &features, &single, rng);
            if *class == Class::FixedWall {
                single = population.iter().take(6).cloned().collect();
            }
        }
        // those that may be it are looked at twice, and all of them as long as nothing explains everything
        for _ in 0..PASSES {
            let surprised = self.best().is_none_or(|best| best.surprises > 0);
            let likely = self.best().map_or(0.0, Belief::score) - 4.0 * BEHIND;
            for (class, population) in &mut self.populations {
                if surprised || population.first().is_some_and(|best| Belief::score(best) > likely) {
                    improve(*class, population, log, &features, &single, rng);
                }
            }
            if !surprised {
                break;
            }
        }
    }

    /// Takes what another search of the same log has found.
    pub(crate) fn join(&mut self, other: Belief) {
        for (class, found) in other.populations {
            if let Some((_, population)) = self.populations.iter_mut().find(|(own, _)| *own == class) {
                population.extend(found);
                thin(population);
            }
        }
    }

    fn score(particle: &Particle) -> f64 {
        particle.fit - price(particle.rule.class)
    }

    /// The rule that explains best.
    pub(crate) fn best(&self) -> Option<&Particle> {
        let all = self.populations.iter().filter_map(|(_, population)| population.first());
        all.max_by(|a, b| Belief::score(a).total_cmp(&Belief::score(b)))
    }

    /// Probability of each class, the most probable first.
    pub(crate) fn classes(&self) -> Vec<(Class, f64)> {
        let best = self.best().map_or(0.0, Belief::score);
        let mut classes: Vec<(Class, f64)> = self
            .populations
            .iter()
            .filter_map(|(class, population)| {
                Some((*class, (Belief::score(population.first()?) - best).exp()))
            })
            .collect();
        let total: f64 = classes.iter().map(|(_, weight)| weight).sum();
        classes.iter_mut().for_each(|(_, weight)| *weight /= total);
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        classes
    }

    /// Rules that stand for all that is believed, at most `most`: of each likely class the best ones and a spread.
    /// Weights are drawn together a little (`cool` above 1), so that nothing is ruled out early.
    pub(crate) fn sample(&self, most: usize, cool: f64) -> Vec<Weighted> {
        let Some(best) = self.best().map(Belief::score) else { return Vec::new() };
        let near = |particle: &&Particle| Belief::score(particle) > best - cool * BEHIND;
        let likely = self.populations.iter().filter(|(_, p)| p.first().is_some_and(|p| near(&p))).count();
        let each = (most / likely.max(1)).max(2);
        let mut sample = Vec::new();
        for (_, population) in &self.populations {
            let good: Vec<&Particle> = population.iter().filter(near).collect();
            let step = good.len().div_ceil(each).max(1);
            for particle in good.iter().step_by(step) {
                let weight = ((Belief::score(particle) - best) / cool).exp();
                sample.push(Weighted { rule: particle.rule, weight });
            }
        }
        let total: f64 = sample.iter().map(|w| w.weight).sum();
        sample.iter_mut().for_each(|w| w.weight /= total);
        sample
    }

    /// The longest memory among the best rules of the classes that are likely, seconds.
    pub(crate) fn memory(&self) -> f64 {
        let best = self.best().map_or(0.0, Belief::score);
        let first = self.populations.iter().filter_map(|(_, population)| population.first());
        let likely = first.filter(|particle| Belief::score(particle) > best - 1.0);
        likely.map(|particle| particle.rule.memory()).fold(0.0, f64::max)
    }

    /// Probability that two rules drawn from what is believed say different things.
    pub(crate) fn doubt(&self) -> f64 {
        let sample = self.sample(60, 1.0);
        let same: f64 = sample
            .iter()
            .flat_map(|a| sample.iter().map(move |b| (a, b)))
            .filter(|(a, b)| a.rule.agrees(&b.rule, self.share))
            .map(|(a, b)| a.weight * b.weight)
            .sum();
        1.0 - same
    }

    /// Windows of the rules of the best class that explain about as well as the best one, in order.
    pub(crate) fn windows(&self) -> Vec<f64> {
        let Some(best) = self.best() else { return Vec::new() };
        let population = self.populations.iter().find(|(class, _)| *class == best.rule.class);
        let near = population.iter().flat_map(|(_, p)| p).filter(|p| p.fit > best.fit - 3.0);
        let mut windows: Vec<f64> = near.map(|p| p.rule.window).collect();
        windows.sort_by(f64::total_cmp);
        windows
    }
}
