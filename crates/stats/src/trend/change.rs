//! Change points in a history: runs from which on a figure is another one.
//!
//! Binary segmentation (Vostrikova, Soviet Mathematics Doklady 24, 1981) on normal scores (van der Waerden), so that heavy
//! tails and two modes do not pass for changes; the scatter is that of neighbours within segments, widened where runs
//! depend on each other. A point is kept if it stands at an error that covers the whole series.

use crate::special::normal_quantile;

/// A point from which on the figure is another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value of the new level.
    pub at: usize,
    /// Where it can lie as well (95 %), both ends included.
    pub from: usize,
    /// See `from`.
    pub to: usize,
    /// Median before, back to the change before.
    pub before: f64,
    /// Median after, up to the next change.
    pub after: f64,
    /// How far it stands out, in standard errors.
    pub strength: f64,
}

/// All changes of a series.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Changes {
    /// In order.
    pub points: Vec<ChangePoint>,
    /// Correlation of neighbouring runs within segments.
    pub correlation: f64,
}

/// Shortest segment.
pub(crate) const SHORTEST: usize = 5;
/// Strength that a point must have: 1 % for a whole series of 100 (by simulation of independent series; truth T17).
const STRENGTH: f64 = 3.9;
/// What is added to it where neighbours depend on each other wholly: the inflation is itself an estimate.
pub(crate) const DEPENDENT: f64 = 1.2;

/// Change points of `values`, in the order of the runs. Fewer than ten values have none.
pub fn changes(values: &[f64]) -> Changes {
    if values.len() < 2 * SHORTEST || values.iter().any(|value| !value.is_finite()) {
        return Changes::default();
    }
    let scores = scores(values);
    // once as if independent, to know the segments; then with the dependence that stays within them
    let rough = segments(&scores, 0.0);
    let correlation = correlation(&scores, &rough);
    let found = segments(&scores, correlation);
    let points = found.iter().map(|at| point(values, &scores, &found, *at, correlation)).collect();
    Changes { points, correlation }
}

/// Normal scores of the ranks; ties share the mean rank.
pub(crate) fn scores(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut scores = vec![0.0; n];
    let mut i = 0;
    while i < n {
        let mut j = i;
        while j + 1 < n && values[order[j + 1]] == values[order[i]] {
            j += 1;
        }
        let rank = (i + j) as f64 / 2.0 + 1.0;
        let score = normal_score(rank / (n as f64 + 1.0));
        order[i..=j].iter().for_each(|index| scores[*index] = score);
        i = j + 1;
    }
    scores
}

fn normal_score(share: f64) -> f64 {
    match share {
        s if s < 0.5 => -normal_quantile(s),
        s if s > 0.5 => normal_quantile(1.0 - s),
        _ => 0.0,
    }
}

/// The change points at which segments begin.
fn segments(scores: &[f64], correlation: f64) -> Vec<usize> {
    let mut points = Vec::new();
    let mut open = vec![(0, scores.len())];
    while let Some((from, to)) = open.pop() {
        if let Some((at, strength)) = split(&scores[from..to], correlation)
            && strength > STRENGTH + DEPENDENT * correlation
        {
            points.push(from + at);
            open.extend([(from, from + at), (from + at, to)]);
        }
    }
    points.sort_unstable();
    points
}

/// The best split of a segment and its strength.
fn split(scores: &[f64], correlation: f64) -> Option<(usize, f64)> {
    let n = scores.len();
    if n < 2 * SHORTEST {
        return None;
    }
    let inflation = (1.0 + correlation) / (1.0 - correlation);
    let (total, squares) = scores.iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    let (mut sum, mut best) = (0.0, None);
    for k in 1..n {
        sum += scores[k - 1];
        if k < SHORTEST || n - k < SHORTEST {
            continue;
        }
        let (a, b) = (k as f64, (n - k) as f64);
        let (mean_a, mean_b) = (sum / a, (total - sum) / b);
        let within = (squares - a * mean_a * mean_a - b * mean_b * mean_b).max(1e-12) / (n as f64 - 2.0);
        let strength = (mean_a - mean_b).abs() / (within * inflation * (1.0 / a + 1.0 / b)).sqrt();
        if best.is_none_or(|(_, most)| strength > most) {
            best = Some((k, strength));
        }
    }
    best
}

/// Lag-one correlation within segments, corrected for its bias; 0 unless it is beyond what independent runs show.
pub(crate) fn correlation(scores: &[f64], points: &[usize]) -> f64 {
    let mut bounds = vec![0];
    bounds.extend(points);
    bounds.push(scores.len());
    let (mut products, mut squares, mut n) = (0.0, 0.0, 0.0);
    for pair in bounds.windows(2) {
        let segment = &scores[pair[0]..pair[1]];
        let mean = segment.iter().sum::<f64>() / segment.len() as f64;
        squares += segment.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        products += segment.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
        n += segment.len() as f64;
    }
    if squares <= 0.0 {
        return 0.0;
    }
    let raw = products / squares;
    let segments = bounds.len() as f64 - 1.0;
    let corrected = raw + (1.0 + 3.0 * raw.max(0.0)) * segments / n;
    if corrected > 1.6 / n.sqrt() { corrected.min(0.95) } else { 0.0 }
}

fn point(values: &[f64], scores: &[f64], points: &[usize], at: usize, correlation: f64) -> ChangePoint {
    let from = points.iter().copied().filter(|p| *p < at).max().unwrap_or(0);
    let to = points.iter().copied().filter(|p| *p > at).min().unwrap_or(values.len());
    let strength = split(&scores[from..to], correlation).map_or(0.0, |(_, strength)| strength);
    let (low, high) = place(&scores[from..to], at - from);
    ChangePoint {
        at,
        from: from + low,
        to: from + high,
        before: median(&values[from..at]),
        after: median(&values[at..to]),
        strength,
    }
}

/// Places that the likelihood does not exclude: the squares with the split there are less than 3.84 / 2 scatters worse.
pub(crate) fn place(scores: &[f64], at: usize) -> (usize, usize) {
    let squares = |k: usize| {
        let of = |part: &[f64]| {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        of(&scores[..k]) + of(&scores[k..])
    };
    let best = squares(at);
    let allowed = best + 3.84 * best / (scores.len() as f64 - 2.0);
    let inside: Vec<usize> = (1..scores.len()).filter(|k| squares(*k) <= allowed).collect();
    (inside.first().copied().unwrap_or(at), inside.last().copied().unwrap_or(at))
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
