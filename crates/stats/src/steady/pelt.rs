//! Changes of mean and variance.
//!
//! Source: Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational cost", JASA 107
//! (2012): exact, by dynamic programming with pruning. The penalty of 15 ln n is that of Barrett et al., "Virtual machine
//! warmup blows hot and cold", OOPSLA 2017.

/// Fewest values between two changes.
const APART: usize = 5;

/// Starts of the segments after the first, rising. `least` is the smallest variance thought of.
pub(super) fn changes(series: &[f64], penalty: f64, least: f64) -> Vec<usize> {
    let n = series.len();
    if n < 2 * APART {
        return Vec::new();
    }
    let mut sums = vec![(0.0, 0.0); n + 1];
    for (index, value) in series.iter().enumerate() {
        sums[index + 1] = (sums[index].0 + value, sums[index].1 + value * value);
    }
    let cost = |from: usize, to: usize| {
        let count = (to - from) as f64;
        let mean = (sums[to].0 - sums[from].0) / count;
        let variance = (sums[to].1 - sums[from].1) / count - mean * mean;
        count * variance.max(least).ln()
    };
    let mut best = vec![f64::INFINITY; n + 1];
    let mut before = vec![0; n + 1];
    best[0] = -penalty;
    let mut candidates = vec![0];
    for to in APART..=n {
        let values: Vec<f64> = candidates.iter().map(|from| best[*from] + cost(*from, to)).collect();
        for (from, value) in candidates.iter().zip(&values) {
            if value + penalty < best[to] {
                (best[to], before[to]) = (value + penalty, *from);
            }
        }
        let mut kept: Vec<usize> = candidates
            .iter()
            .zip(&values)
            .filter(|(_, value)| **value <= best[to])
            .map(|(from, _)| *from)
            .collect();
        // a segment may begin here once its own end can be far enough
        if to + 1 >= 2 * APART {
            kept.push(to + 1 - APART);
        }
        candidates = kept;
    }
    let mut found = Vec::new();
    let mut at = before[n];
    while at > 0 {
        found.push(at);
        at = before[at];
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Rng;

    #[test]
    fn changes_are_found_where_they_are_and_nowhere_else() {
        let mut rng = Rng::new(8, "pelt", 0);
        let level = |index: usize| {
            if index < 60 {
                10.0
            } else if index < 200 {
                7.0
            } else {
                8.0
            }
        };
        let series: Vec<f64> = (0..400).map(|index| level(index) + 0.3 * rng.normal()).collect();
        let found = changes(&series, 15.0 * 400.0_f64.ln(), 1e-9);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].abs_diff(60) <= 1 && found[1].abs_diff(200) <= 3, "{found:?}");
        let flat: Vec<f64> = (0..400).map(|_| rng.normal()).collect();
        assert_eq!(changes(&flat, 15.0 * 400.0_f64.ln(), 1e-9), Vec::<usize>::new());
        assert_eq!(changes(&[1.0; 3], 10.0, 1e-9), Vec::<usize>::new());
    }
}
