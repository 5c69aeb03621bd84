//! What happened to one figure.

use super::drift::{self, Drift};
use super::family::{Chance, FEWEST, Figure, Settings, present};
use super::levels;
use super::ranks::{SHORTEST, correlation, median, place, scores};
use crucible_core::threshold::Better;

/// From a run on, the figure is another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The first run of the new level.
    pub at: usize,
    /// Runs that can be the first as well (95 %), both ends included.
    pub from: usize,
    /// See `from`.
    pub to: usize,
    /// Median before, back to the change before.
    pub before: f64,
    /// Median after, up to the next change.
    pub after: f64,
    /// How far it stands out, in standard errors.
    pub strength: f64,
    /// How often chance shows something as strong in any figure of the history.
    pub p: f64,
}

/// Where a figure is now: since its last change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// First run.
    pub from: usize,
    /// The values since then.
    pub values: Vec<f64>,
    /// Their median; `NaN` without any.
    pub median: f64,
    /// Standard deviation between runs, by the median distance from the median.
    pub scatter: f64,
}

/// What happened to one figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finding {
    /// Runs that tell it.
    pub runs: usize,
    /// Changes, in order.
    pub steps: Vec<Step>,
    /// A drift since the last change, if any.
    pub drift: Option<Drift>,
    /// Where it is now.
    pub level: Level,
    /// Correlation of neighbouring runs within levels.
    pub correlation: f64,
    /// For a drift that levels explain nearly as well: the finding with them. Other figures may know better.
    pub otherwise: Option<Box<Finding>>,
}

impl Finding {
    /// Changes for the worse that stand: the figure has not come back to where it was before them. Differences up to `least`,
    /// or up to a share of `margin`, do not matter.
    pub fn standing(&self, better: Better, least: f64, margin: f64) -> impl Iterator<Item = &Step> {
        let now = self.level.median;
        self.steps.iter().filter(move |step| {
            is_worse(better, step.before, step.after)
                && is_worse(better, step.before, now)
                && matters(step.before, now, least, margin)
        })
    }

    /// Whether it drifts for the worse.
    pub fn drifts_worse(&self, better: Better) -> bool {
        self.drift.is_some_and(|drift| is_worse(better, drift.first, drift.last))
    }
}

/// A lead up to this is no very strong evidence for a line (Kass and Raftery, JASA 90, 1995, on twice the logarithm).
const CLOSE: f64 = 10.0;

/// Whether `after` is on the bad side of `before`.
pub(super) fn is_worse(better: Better, before: f64, after: f64) -> bool {
    match better {
        Better::Lower => after > before,
        Better::Higher => after < before,
    }
}

fn matters(before: f64, after: f64, least: f64, margin: f64) -> bool {
    (after - before).abs() > least.max(margin * before.abs())
}

pub(super) fn look(figure: &Figure<'_>, chance: &Chance, settings: &Settings) -> Finding {
    let (places, values) = present(figure.values);
    let finding = |steps: Vec<Step>, start: usize, drift, correlation| {
        let level = level(&places[start..], &values[start..]);
        Finding { runs: values.len(), steps, drift, level, correlation, otherwise: None }
    };
    if values.len() < FEWEST || !chance.critical.is_finite() {
        return finding(Vec::new(), 0, None, 0.0);
    }
    let scores = scores(&values);
    let whole = drift_in(0, &places, &values, figure, chance, settings);
    let (mut splits, within) = levels::levels(&scores, chance.critical);
    // that it is not one level is shown as well by a line; whether it is one is another question
    if let (true, Some(line)) = (splits.is_empty(), &whole) {
        let single = levels::single(&scores);
        splits.extend(
            single.map(|split| levels::Split { strength: split.strength.max(line.strength), ..split }),
        );
    }
    let splits = kept(&values, placed(&values, splits), figure.least, settings.margin);
    let starts: Vec<usize> = splits.iter().map(|split| split.at).collect();
    let last = starts.last().copied();
    let later = last.and_then(|start| drift_in(start, &places, &values, figure, chance, settings));
    let steps = (0..splits.len()).map(|index| {
        let bounds = bounds(&splits, values.len(), index);
        let shown =
            levels::worth(splits[index].strength, within).max(whole.map_or(0.0, |line| line.strength));
        step(&splits[index], bounds, &places, &values, &scores, chance.p(shown))
    });
    let stepped = finding(steps.collect(), last.unwrap_or(0), later, within);
    let Some(whole) = whole else { return stepped };
    let ahead = if starts.is_empty() { f64::INFINITY } else { line_ahead(&places, &values, &starts) };
    if ahead <= 0.0 {
        return stepped;
    }
    let drifting = finding(Vec::new(), 0, Some(whole), correlation(&drift::residuals(&scores), &[]));
    Finding { otherwise: (ahead < CLOSE).then(|| Box::new(stepped)), ..drifting }
}

/// Where the level before a split begins and the one after it ends.
fn bounds(splits: &[levels::Split], n: usize, index: usize) -> (usize, usize) {
    let before = index.checked_sub(1).map_or(0, |before| splits[before].at);
    (before, splits.get(index + 1).map_or(n, |after| after.at))
}

fn step(
    split: &levels::Split,
    (from, to): (usize, usize),
    places: &[usize],
    values: &[f64],
    scores: &[f64],
    p: f64,
) -> Step {
    let (low, high) = place(&scores[from..to], split.at - from);
    Step {
        at: places[split.at],
        from: places[(from + low).min(split.at)],
        to: places[(from + high).clamp(split.at, places.len() - 1)],
        before: median(&values[from..split.at]),
        after: median(&values[split.at..to]),
        strength: split.strength,
        p,
    }
}

/// Each split where the values themselves lie closest to the levels on both sides; ranks tell that there is a change better
/// than where. Distances count by their square as far as runs usually scatter, and as they are beyond (Huber, Annals of
/// Mathematical Statistics 35, 1964), so that a few runs far off decide nothing.
fn placed(values: &[f64], mut splits: Vec<levels::Split>) -> Vec<levels::Split> {
    for index in 0..splits.len() {
        let (from, to) = bounds(&splits, values.len(), index);
        let at = splits[index].at;
        let near = DISTANT * spread(&[&values[from..at], &values[at..to]]);
        let distance = |at: &usize| around(&values[from..*at], near) + around(&values[*at..to], near);
        // as far from its neighbours as it was asked to be
        let shortest = SHORTEST.min(at - from).min(to - at);
        let best = (from + shortest..=to - shortest).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        splits[index].at = best.unwrap_or(at);
    }
    splits
}

/// Standard deviations from which on a distance counts as it is.
const DISTANT: f64 = 2.0;

/// Standard deviation of runs around the medians of their levels, by the median distance.
fn spread(levels: &[&[f64]]) -> f64 {
    let of = |level: &&[f64]| {
        let middle = median(level);
        level.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>()
    };
    1.4826 * median(&levels.iter().flat_map(of).collect::<Vec<_>>())
}

/// How far values lie from their median, distances up to `near` squared (Huber's loss over `near`).
fn around(part: &[f64], near: f64) -> f64 {
    let middle = median(part);
    let loss = |value: &f64| match (value - middle).abs() {
        off if off < near => off * off / (2.0 * near),
        off => off - near / 2.0,
    };
    part.iter().map(loss).sum()
}

/// Splits that matter: the smallest that does not is taken out, its neighbours' levels are joined, until all do.
fn kept(values: &[f64], mut splits: Vec<levels::Split>, least: f64, margin: f64) -> Vec<levels::Split> {
    loop {
        let sides = |index: usize| {
            let (from, to) = bounds(&splits, values.len(), index);
            (median(&values[from..splits[index].at]), median(&values[splits[index].at..to]))
        };
        let size = |index: usize| {
            let (before, after) = sides(index);
            (after - before).abs() / before.abs().max(1e-300)
        };
        let matters = |index: &usize| {
            let (before, after) = sides(*index);
            matters(before, after, least, margin)
        };
        let small = (0..splits.len()).filter(|index| !matters(index));
        match small.min_by(|a, b| size(*a).total_cmp(&size(*b))) {
            Some(index) => splits.remove(index),
            None => return splits,
        };
    }
}

/// A drift from the value with this index on, if it is one that matters.
fn drift_in(
    start: usize,
    places: &[usize],
    values: &[f64],
    figure: &Figure<'_>,
    chance: &Chance,
    settings: &Settings,
) -> Option<Drift> {
    let (places, values) = (&places[start..], &values[start..]);
    if values.len() < FEWEST {
        return None;
    }
    let scores = scores(values);
    let correlation = correlation(&drift::residuals(&scores), &[]);
    let strength = drift::strength(&scores, correlation);
    if strength <= chance.critical {
        return None;
    }
    let (slope, low, high) = drift::line(places, values, correlation);
    let middle = median(&places.iter().map(|place| *place as f64).collect::<Vec<_>>());
    let at = |place: usize| median(values) + slope * (place as f64 - middle);
    let (first, last) = (at(places[0]), at(places[places.len() - 1]));
    let p = chance.p(strength);
    let from = places[0];
    matters(first, last, figure.least, settings.margin).then_some(Drift {
        from,
        slope,
        low,
        high,
        first,
        last,
        strength,
        p,
    })
}

/// By how much a straight line lies closer to the values than levels that begin at `starts`, after what each needs to be told
/// (Schwarz, Annals of Statistics 6, 1978; a change needs its place and its height). Distances are taken as they are, not
/// squared, so that a few runs far off decide nothing.
fn line_ahead(places: &[usize], values: &[f64], starts: &[usize]) -> f64 {
    let n = values.len() as f64;
    let mut bounds = vec![0];
    bounds.extend(starts);
    bounds.push(values.len());
    let around = |part: &[f64]| {
        let middle = median(part);
        part.iter().map(|value| (value - middle).abs()).sum::<f64>()
    };
    let levels: f64 = bounds.windows(2).map(|pair| around(&values[pair[0]..pair[1]])).sum();
    let (slope, _, _) = drift::line(places, values, 0.0);
    let flat: Vec<f64> = values.iter().zip(places).map(|(value, at)| value - slope * *at as f64).collect();
    let told = |distance: f64, figures: usize| 2.0 * n * distance.max(1e-300).ln() + figures as f64 * n.ln();
    told(levels, 2 * starts.len() + 1) - told(around(&flat), 2)
}

fn level(places: &[usize], values: &[f64]) -> Level {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let scatter = if values.len() > 1 { 1.4826 * median(&distances) } else { 0.0 };
    Level { from: places.first().copied().unwrap_or(0), values: values.to_vec(), median: middle, scatter }
}
