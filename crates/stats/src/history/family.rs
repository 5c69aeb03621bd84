//! All figures of a history at once.
//!
//! How far a change must stand out follows from the history itself: its runs are put in random orders, the same for all
//! figures, and the strongest change or drift that any figure shows by chance is noted. What stands out further than all
//! but a share of those is not chance (the single-step maximum of Westfall and Young, Resampling-Based Multiple Testing,
//! 1993). So figures that go together (p95 and p99) do not count as many, and no distribution is assumed.

use super::finding::{self, Finding};
use super::ranks::{SHORTEST, scores};
use super::{drift, levels};
use crucible_core::Rng;

/// One figure over the runs of a history.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// By run; `NaN` where the run does not tell it.
    pub values: &'a [f64],
    /// Differences up to this do not matter, in the unit of the values.
    pub least: f64,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How often, at most, a history without changes may show one: 0.01.
    pub alpha: f64,
    /// Differences up to this share of the level do not matter: 0.01.
    pub margin: f64,
    /// Seed of the orders.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { alpha: 0.01, margin: 0.01, seed: 1 }
    }
}

/// What a history came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Standard errors by which a change must stand out; infinite where there are too few runs.
    pub critical: f64,
    /// Orders that were tried.
    pub orders: usize,
    /// By figure.
    pub figures: Vec<Finding>,
}

/// Fewest runs in which a change can be seen.
pub const FEWEST: usize = 2 * SHORTEST;
/// Orders beyond the critical strength, so that it is known well enough, and bounds of their number.
const BEYOND: f64 = 30.0;
const ORDERS: (f64, f64) = (1_000.0, 30_000.0);
/// Most values that are put in order, over all figures and orders: bounds the time.
const MOST_WORK: f64 = 4e8;

/// Looks at the figures of one history together. All have one value for each run.
pub fn family(figures: &[Figure<'_>], settings: &Settings) -> Family {
    let runs = figures.iter().map(|figure| figure.values.len()).max().unwrap_or(0);
    let chance = Chance::of(figures, runs, settings);
    let look = |figure: &Figure<'_>| finding::look(figure, &chance, settings);
    Family {
        critical: chance.critical,
        orders: chance.strongest.len(),
        figures: figures.iter().map(look).collect(),
    }
}

/// What chance does.
pub(super) struct Chance {
    /// The strongest that any figure shows, by order, the strongest first.
    strongest: Vec<f64>,
    /// What must be exceeded.
    pub(super) critical: f64,
}

impl Chance {
    fn of(figures: &[Figure<'_>], runs: usize, settings: &Settings) -> Chance {
        let series: Vec<Vec<f64>> = figures.iter().filter_map(|figure| scored(figure, runs)).collect();
        // each value is looked at once a layer of stretches, twice over
        let work = (series.len() * runs) as f64 * (4.0 * (runs.max(2) as f64).log2() - 12.0).max(4.0);
        let orders =
            (BEYOND / settings.alpha).clamp(ORDERS.0, ORDERS.1).min((MOST_WORK / work).max(ORDERS.0));
        if series.is_empty() || !orders.is_finite() {
            return Chance { strongest: Vec::new(), critical: f64::INFINITY };
        }
        let counts = series.iter().map(|scores| scores.iter().filter(|score| score.is_finite()).count());
        let stretches: Vec<_> = counts.map(levels::stretches).collect();
        let mut rng = Rng::new(settings.seed, "orders of runs", runs as u64);
        let mut order: Vec<usize> = (0..runs).collect();
        let (mut arranged, mut room) = (Vec::with_capacity(runs), Vec::with_capacity(runs + 1));
        let mut strongest: Vec<f64> = (0..orders as usize)
            .map(|_| {
                shuffle(&mut order, &mut rng);
                let mut of = |(series, stretches): (&Vec<f64>, &Vec<(usize, usize)>)| {
                    arranged.clear();
                    arranged.extend(order.iter().map(|run| series[*run]).filter(|score| score.is_finite()));
                    let step = levels::strongest(&arranged, stretches, &mut room);
                    step.max(drift::strength(&arranged, 0.0))
                };
                series.iter().zip(&stretches).map(&mut of).fold(0.0, f64::max)
            })
            .collect();
        strongest.sort_by(|a, b| b.total_cmp(a));
        // beyond this there are at most alpha of all orders, the given one included
        let beyond = (settings.alpha * (strongest.len() + 1) as f64 - 1.0).floor().max(0.0) as usize;
        let critical = strongest.get(beyond).copied().unwrap_or(f64::INFINITY) + 1e-9;
        Chance { strongest, critical }
    }

    /// How often chance shows something as strong in any figure.
    pub(super) fn p(&self, strength: f64) -> f64 {
        let as_strong = self.strongest.partition_point(|chance| *chance >= strength - 1e-9);
        (as_strong + 1) as f64 / (self.strongest.len() + 1) as f64
    }
}

/// Scores by run, `NaN` where there is no value; `None` if there are too few to see a change.
fn scored(figure: &Figure<'_>, runs: usize) -> Option<Vec<f64>> {
    let (places, values) = present(figure.values);
    if values.len() < FEWEST || values.iter().all(|value| *value == values[0]) {
        return None;
    }
    let mut series = vec![f64::NAN; runs];
    places.iter().zip(scores(&values)).for_each(|(place, score)| series[*place] = score);
    Some(series)
}

/// The runs that have a value, and the values.
pub(super) fn present(values: &[f64]) -> (Vec<usize>, Vec<f64>) {
    values.iter().copied().enumerate().filter(|(_, value)| value.is_finite()).unzip()
}

fn shuffle(order: &mut [usize], rng: &mut Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, rng.between(0, last as u64) as usize);
    }
}
