//! Levels: where a figure is another one from a run on.
//!
//! Seeded binary segmentation (Kovács, Bühlmann, Li and Munk, Biometrika 110, 2023) on normal scores: the best split is
//! looked for in stretches of all lengths, so that a change that was undone is seen as well as one that stays. The scatter is
//! that of neighbours (von Neumann, Annals of Mathematical Statistics 12, 1941), which levels do not widen; where runs depend
//! on each other it is too small, and what is found is worth less by as much.

use super::ranks::{DEPENDENT, Neighbours, SHORTEST};

/// A run from which on the level is another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    /// The first value of the new level.
    pub(super) at: usize,
    /// How far it stands out, as if runs were independent.
    pub(super) strength: f64,
}

/// Stretches of `n` runs in which splits are looked for: layers of lengths that shrink by the square root of 2, the
/// stretches of a layer overlap by about half.
pub(super) fn stretches(n: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut length, mut layer) = (n as f64, 0);
    while length >= (2 * SHORTEST) as f64 {
        let count = 2 * 2f64.powf(f64::from(layer) / 2.0).ceil() as usize - 1;
        let shift = if count > 1 { (n as f64 - length) / (count - 1) as f64 } else { 0.0 };
        found.extend((0..count).map(|index| {
            let from = index as f64 * shift;
            (from.floor() as usize, ((from + length).ceil() as usize).min(n))
        }));
        length /= std::f64::consts::SQRT_2;
        layer += 1;
    }
    found
}

/// Standard deviation of neighbours around their level; 0 where nothing varies.
fn scatter(scores: &[f64]) -> f64 {
    let squares: f64 = scores.windows(2).map(|pair| (pair[1] - pair[0]) * (pair[1] - pair[0])).sum();
    (squares / (2.0 * (scores.len() as f64 - 1.0))).sqrt()
}

/// The best split within a stretch of sums (`sums[k]` is that of the first `k`), not yet by the scatter.
fn best(sums: &[f64], from: usize, to: usize) -> (usize, f64) {
    let total = sums[to] - sums[from];
    let mut found = (from + SHORTEST, 0.0);
    for at in from + SHORTEST..=to - SHORTEST {
        let (a, b) = ((at - from) as f64, (to - at) as f64);
        let left = sums[at] - sums[from];
        let distance = (left / a - (total - left) / b).abs() * (a * b / (a + b)).sqrt();
        if distance > found.1 {
            found = (at, distance);
        }
    }
    found
}

fn sums(scores: &[f64], out: &mut Vec<f64>) {
    let mut sum = 0.0;
    out.clear();
    out.push(0.0);
    out.extend(scores.iter().map(|score| {
        sum += score;
        sum
    }));
}

/// The strongest split in any stretch; `room` is room to work in.
pub(super) fn strongest(scores: &[f64], stretches: &[(usize, usize)], room: &mut Vec<f64>) -> f64 {
    sums(scores, room);
    let most = stretches.iter().map(|(from, to)| best(room, *from, *to).1).fold(0.0, f64::max);
    let scatter = scatter(scores);
    if scatter > 0.0 { most / scatter } else { 0.0 }
}

/// The best split of the whole, however strong.
pub(super) fn single(scores: &[f64]) -> Option<Split> {
    let scatter = scatter(scores);
    if scores.len() < 2 * SHORTEST || scatter <= 0.0 {
        return None;
    }
    let mut room = Vec::new();
    sums(scores, &mut room);
    let (at, distance) = best(&room, 0, scores.len());
    Some(Split { at, strength: distance / scatter })
}

/// What a strength is worth where neighbours within levels hang together.
pub(super) fn worth(strength: f64, correlation: f64) -> f64 {
    // the scatter of neighbours is too small by sqrt(1 - r), means scatter more by sqrt((1 + r) / (1 - r))
    strength * (1.0 - correlation) / (1.0 + correlation).sqrt() - DEPENDENT * correlation
}

/// All splits worth more than `critical`, in order, and the correlation of neighbours within levels.
pub(super) fn levels(scores: &[f64], critical: f64) -> (Vec<Split>, f64) {
    let mut candidates = Vec::new();
    let (mut room, scatter) = (Vec::new(), scatter(scores));
    if scatter <= 0.0 {
        return (Vec::new(), 0.0);
    }
    sums(scores, &mut room);
    for (from, to) in stretches(scores.len()) {
        let (at, distance) = best(&room, from, to);
        candidates.push((from, to, Split { at, strength: distance / scatter }));
    }
    candidates.sort_by(|a, b| b.2.strength.total_cmp(&a.2.strength));
    // once as if independent, to know the levels; then with the dependence that stays within them
    let rough = chosen(&candidates, |strength| strength > critical);
    let correlation = dependence(scores, rough);
    let splits = chosen(&candidates, |strength| worth(strength, correlation) > critical);
    (splits, correlation)
}

/// The correlation of neighbours around the levels that are needed to explain the runs, of those that begin at `splits`: the
/// strongest first, as many as cost least. More of them would pass for levels what only hangs together.
fn dependence(scores: &[f64], mut splits: Vec<Split>) -> f64 {
    splits.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    let with = |count: usize| {
        let mut starts: Vec<usize> = splits[..count].iter().map(|split| split.at).collect();
        starts.sort_unstable();
        Neighbours::of(scores, &starts)
    };
    let all = (0..=splits.len()).map(with);
    all.min_by(|a, b| a.cost().total_cmp(&b.cost())).map_or(0.0, |best| best.correlation())
}

/// The strongest first; a stretch that holds a split already is done with.
fn chosen(candidates: &[(usize, usize, Split)], enough: impl Fn(f64) -> bool) -> Vec<Split> {
    let mut splits: Vec<Split> = Vec::new();
    for (from, to, split) in candidates.iter().take_while(|(_, _, split)| enough(split.strength)) {
        if splits.iter().all(|known| known.at <= *from || known.at >= *to) {
            splits.push(*split);
        }
    }
    splits.sort_by_key(|split| split.at);
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_whole_and_stay_in_it() {
        for n in [10, 11, 24, 100, 999] {
            let all = stretches(n);
            assert_eq!(all[0], (0, n));
            assert!(all.iter().all(|(from, to)| *to <= n && to - from >= 2 * SHORTEST), "{all:?}");
            assert!(all.len() < 4 * n, "{} of {n}", all.len());
        }
        assert!(stretches(9).is_empty());
    }

    #[test]
    fn nothing_varies_and_nothing_is_found() {
        assert_eq!(levels(&[1.0; 30], 3.0), (Vec::new(), 0.0));
        assert_eq!(levels(&[1.0; 3], 3.0).0, []);
        assert_eq!(strongest(&[], &stretches(0), &mut Vec::new()), 0.0);
    }
}
