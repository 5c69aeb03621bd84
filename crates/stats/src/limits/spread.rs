//! Single requests spread over the times at which something may end: how many pass tells at which of them it had.

use super::acts::Act;
use super::design::Means;
use super::rule::{Class, Rule};
use super::state::State;

pub(crate) const LADDER: &str = "singles where the window may end, then all that is left";

/// Most singles of one experiment.
const SINGLES: u64 = 40;
/// Most that a ladder reaches beyond its begin, as a share of the shortest window that may be: below 1, so that a window
/// that begins on it does not end on it, too, and is taken for a longer one.
const REACH: f64 = 0.9;
/// Share by which a window may differ from one that explains what was seen.
const MARGIN: f64 = 0.015;
/// Windows that differ by less than this share may be any in between.
const GAP: f64 = 0.08;

/// Single requests where the window of a lock-out may end, then all that is left: how many pass tells which of them
/// began a new window. Refusals cost a lock each, so that one pass must tell as much as it can. `windows` are all that
/// may be, in order.
pub(crate) fn ladder(
    best: &Rule,
    state: &State,
    means: &Means,
    windows: &[f64],
) -> Option<(Vec<Act>, &'static str)> {
    if best.class != Class::Lockout || best.limit < 3 {
        return None;
    }
    let locked = (-state.margin(best, means.now)).max(0.0);
    let steps = steps(windows, locked, (best.limit - 1).min(SINGLES) as usize);
    // the first one ends the lock, and tells its length once more, unless asking makes it longer
    let mut acts = if best.extends {
        vec![Act::Wait(locked * 1.02 + 2.0 * means.trip), Act::Singles { count: 1, every: 0.0 }]
    } else {
        let watch = Act::Watch { first: 0.008 * best.lock, growth: 0.0, longest: 0.3 * best.lock };
        vec![Act::Wait((locked - 0.06 * best.lock).max(0.0)), watch]
    };
    acts.push(Act::Mark);
    let (rest, singles) = steps.split_last()?;
    for at in singles {
        acts.extend([Act::Until(*at), Act::Singles { count: 1, every: 0.0 }]);
    }
    let all = Act::Burst { most: best.limit + 1, refusals: 1, lanes: means.lanes };
    acts.extend([Act::Until(*rest), all]);
    Some((acts, LADDER))
}

/// Instants that part what may be in `count` + 1 pieces of one length: as much of it as one ladder can reach for its
/// time, `before` of which passes before it begins. The last one is its end.
fn steps(windows: &[f64], before: f64, count: usize) -> Vec<f64> {
    let mut best: (f64, &[f64]) = (0.0, windows);
    let reach = REACH * windows.first().copied().unwrap_or_default();
    for (index, least) in windows.iter().enumerate() {
        let further = &windows[index..];
        let reached = &further[..further.partition_point(|window| *window < least + reach)];
        let most = reached.last().copied().unwrap_or(*least);
        let value = reached.len() as f64 / (before + most);
        if value > best.0 {
            best = (value, reached);
        }
    }
    let mut pieces: Vec<(f64, f64)> = Vec::new();
    for window in best.1 {
        let (from, to) = (window * (1.0 - MARGIN), window * (1.0 + MARGIN));
        match pieces.last_mut() {
            Some(piece) if from < piece.1 * (1.0 + GAP) => piece.1 = to,
            _ => pieces.push((from, to)),
        }
    }
    let length: f64 = pieces.iter().map(|(from, to)| to - from).sum();
    let step = length / (count + 1) as f64;
    let (mut at, mut left) = (pieces.first().map_or(0.0, |piece| piece.0), pieces.into_iter().peekable());
    let mut steps = Vec::new();
    for _ in 0..=count {
        at += step;
        while let Some((_, to)) = left.peek().copied()
            && at > to
        {
            left.next();
            let Some((from, _)) = left.peek() else { break };
            at += from - to;
        }
        steps.push(at);
    }
    steps
}

/// Requests spread over the range in which a log may forget, then all that pass: how many do tells which of them are
/// forgotten. That needs one window, and divides the range by as many as there are requests.
pub(crate) fn fan(best: &Rule, means: &Means, windows: &[f64]) -> Option<(Vec<Act>, &'static str)> {
    let (least, most) = (*windows.first()?, *windows.last()?);
    let log = matches!(best.class, Class::LogWithRejects | Class::SlidingLog);
    if !log || best.limit < 2 || most <= least {
        return None;
    }
    let (least, most) = (least * 0.99, most * 1.01);
    let count = best.limit.min(SINGLES);
    let every = ((most - least) / count as f64).max(means.trip);
    let rest = best.limit - count;
    let mut acts = Vec::new();
    if best.class == Class::SlidingLog {
        acts.push(Act::Wait(most));
    }
    if rest > 0 {
        acts.push(Act::Burst { most: rest, refusals: u64::MAX, lanes: means.lanes });
    }
    acts.push(Act::Singles { count, every });
    acts.push(Act::Wait((most - (count - 1) as f64 * every).max(0.0)));
    acts.push(Act::Burst { most: best.limit + 1, refusals: 1, lanes: means.lanes });
    Some((acts, "singles spread over what is not known, then all that is left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_is_parted_evenly_and_what_cannot_be_is_left_out() {
        // two stretches of windows with nothing between them
        let windows: Vec<f64> = (0..20).map(|i| 10.0 + 0.05 * f64::from(i)).chain([15.0, 15.1]).collect();
        let steps = steps(&windows, 5.0, 9);
        assert_eq!(steps.len(), 10);
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(steps.iter().all(|at| *at < 11.2 || (14.7..15.4).contains(at)), "{steps:?}");
        assert!(steps.iter().any(|at| *at > 14.7) && steps[1] < 11.2, "{steps:?}");
    }

    #[test]
    fn a_ladder_ends_before_the_window_that_begins_on_it() {
        let windows: Vec<f64> = (0..40).map(|i| 4.0 * 1.05_f64.powi(i)).collect();
        let steps = steps(&windows, 1.0, 4);
        assert!(steps[4] - steps[0] < 4.0, "{steps:?}");
    }

    #[test]
    fn one_window_is_looked_at_within_its_margin() {
        let steps = steps(&[8.0], 3.0, 3);
        assert!(steps.iter().all(|at| (at / 8.0 - 1.0).abs() <= MARGIN + 1e-9), "{steps:?}");
        assert!((steps[3] - 8.0 * (1.0 + MARGIN)).abs() < 1e-9);
    }
}
