//! What levels and drifts are told by: normal scores of ranks (van der Waerden), so that heavy tails and two modes do not
//! pass for changes, and how neighbouring runs hang together.

use crate::special::normal_quantile;

/// Shortest level.
pub(super) const SHORTEST: usize = 5;
/// What is taken off a strength where neighbours depend on each other wholly: how much they do is itself an estimate.
pub(super) const DEPENDENT: f64 = 1.8;

/// Normal scores of the ranks; ties share the mean rank.
pub(super) fn scores(values: &[f64]) -> Vec<f64> {
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

/// Neighbouring runs around levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbours {
    /// Their lag-one correlation as it is; 0 where nothing varies.
    raw: f64,
    /// Sum of the squared distances from the means of the levels.
    squares: f64,
    runs: f64,
    levels: f64,
}

impl Neighbours {
    /// Around levels that begin at the first value and at `points`.
    pub(super) fn of(scores: &[f64], points: &[usize]) -> Neighbours {
        let mut bounds = vec![0];
        bounds.extend(points);
        bounds.push(scores.len());
        let (mut products, mut squares) = (0.0, 0.0);
        for pair in bounds.windows(2) {
            let level = &scores[pair[0]..pair[1]];
            let mean = level.iter().sum::<f64>() / level.len().max(1) as f64;
            squares += level.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            products += level.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
        }
        let raw = if squares > 0.0 { products / squares } else { 0.0 };
        Neighbours { raw, squares, runs: scores.len() as f64, levels: bounds.len() as f64 - 1.0 }
    }

    /// The correlation, corrected for its bias; 0 unless it is beyond what independent runs show.
    pub(super) fn correlation(&self) -> f64 {
        let corrected = self.raw + (1.0 + 3.0 * self.raw.max(0.0)) * self.levels / self.runs;
        if self.squares > 0.0 && corrected > 1.6 / self.runs.sqrt() { corrected.min(0.95) } else { 0.0 }
    }

    /// What the levels and this dependence leave unexplained, and what telling each change costs (Schwarz, Annals of
    /// Statistics 6, 1978; a place and a height).
    pub(super) fn cost(&self) -> f64 {
        let kept = self.raw.max(0.0);
        let left = (self.squares / self.runs * (1.0 - kept * kept)).max(1e-300);
        self.runs * left.ln() + 2.0 * (self.levels - 1.0) * self.runs.ln()
    }
}

/// Lag-one correlation within levels that begin at the first value and at `points`.
pub(super) fn correlation(scores: &[f64], points: &[usize]) -> f64 {
    Neighbours::of(scores, points).correlation()
}

/// Places that the likelihood does not exclude: the squares with the split there are less than 3.84 / 2 scatters worse.
pub(super) fn place(scores: &[f64], at: usize) -> (usize, usize) {
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

/// The middle one, or the mean of the two; `NaN` of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
