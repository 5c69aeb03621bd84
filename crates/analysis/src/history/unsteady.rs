//! Thresholds that cannot be relied on: their verdict goes back and forth although nothing changed, or runs differ from each
//! other by more than the threshold leaves room for.

use super::figures::TestFigures;
use super::{Series, least};
use crate::verdict::Verdict;
use crucible_core::threshold::Better;
use crucible_stats::special::t_two_sided;

/// A threshold over the runs of a group.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its canonical text.
    pub threshold: String,
    /// What it is of.
    pub subject: String,
    /// Which figure.
    pub measure: String,
    /// Index of the figure in the group, if it has values.
    pub series: Option<usize>,
    /// The newest limit.
    pub limit: Option<f64>,
    /// By run of the group; `None` where the run has no such threshold.
    pub verdicts: Vec<Option<Verdict>>,
    /// Place of the first run that is looked at: since the last change of the figure.
    pub since: usize,
    /// Why it cannot be relied on, if so.
    pub unsteady: Option<Unsteady>,
}

/// Why a threshold cannot be relied on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsteady {
    /// Its verdict goes back and forth.
    Flips {
        /// How often it differs from the run before.
        flips: usize,
        /// Runs that passed.
        passed: usize,
        /// Of so many.
        runs: usize,
    },
    /// It holds, but runs scatter by more than is left.
    Tight {
        /// Distance of the level from the limit, as a share of the level.
        room: f64,
        /// Standard deviation between runs, as a share of the level.
        scatter: f64,
        /// Chance that the next run breaks it although nothing changed.
        chance: f64,
    },
}

/// Fewest runs of a level that say something about its scatter.
const FEWEST: usize = 10;
/// Fewest flips, and fewest runs with the rarer outcome: one bad run, or one bad spell, is no flicker.
const FLIPS: usize = 3;
const RARER: usize = 2;
/// A chance above this is too much for a gate.
const CHANCE: f64 = 0.02;

/// The thresholds of a group's runs.
pub(super) fn watched(tests: &[&TestFigures], series: &[Series]) -> Vec<Watched> {
    let mut all: Vec<Watched> = Vec::new();
    for (at, test) in tests.iter().enumerate() {
        for held in &test.thresholds {
            let same = |w: &Watched| {
                w.threshold == held.threshold && w.subject == held.subject && w.measure == held.measure
            };
            let index = all.iter().position(same).unwrap_or_else(|| {
                let own = |s: &Series| s.subject == held.subject && s.measure == held.measure;
                let index = series.iter().position(own);
                let last = index.and_then(|index| series[index].finding.steps.last());
                all.push(Watched {
                    threshold: held.threshold.clone(),
                    subject: held.subject.clone(),
                    measure: held.measure.clone(),
                    series: index,
                    limit: None,
                    verdicts: vec![None; tests.len()],
                    since: last.map_or(0, |step| step.at),
                    unsteady: None,
                });
                all.len() - 1
            });
            all[index].verdicts[at] = Some(held.verdict);
            all[index].limit = held.limit;
        }
    }
    // a threshold that the newest run does not have is history
    all.retain(|watched| watched.verdicts.last().is_some_and(Option::is_some));
    for watched in &mut all {
        watched.unsteady = flips(watched).or_else(|| tight(watched, series.get(watched.series?)?));
    }
    all
}

fn flips(watched: &Watched) -> Option<Unsteady> {
    let verdicts: Vec<Verdict> = watched.verdicts[watched.since..].iter().copied().flatten().collect();
    let flips = verdicts.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let (runs, passed) = (verdicts.len(), verdicts.iter().filter(|v| **v == Verdict::Pass).count());
    let often = flips >= FLIPS && passed.min(runs - passed) >= RARER;
    often.then_some(Unsteady::Flips { flips, passed, runs })
}

fn tight(watched: &Watched, series: &Series) -> Option<Unsteady> {
    let (limit, level) = (watched.limit?, &series.finding.level);
    let n = level.values.len();
    let good = !series.is_worse(limit, level.median);
    if n < FEWEST || !good || series.finding.drift.is_some() {
        return None;
    }
    let mean = level.values.iter().sum::<f64>() / n as f64;
    let squares: f64 = level.values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let scatter = (squares / (n as f64 - 1.0)).sqrt();
    let room = match series.better {
        Better::Lower => limit - mean,
        Better::Higher => mean - limit,
    };
    if scatter <= 0.0 {
        return None;
    }
    let distance = room / (scatter * (1.0 + 1.0 / n as f64).sqrt());
    let both = t_two_sided(n as f64 - 1.0, distance.abs());
    let chance = if distance >= 0.0 { both / 2.0 } else { 1.0 - both / 2.0 };
    let small = mean.abs().max(least(series.unit)).max(1e-300);
    (chance > CHANCE).then_some(Unsteady::Tight { room: room / small, scatter: scatter / small, chance })
}
