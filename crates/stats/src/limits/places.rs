//! What is told by delays and by requests at once: queues that hold requests back, caps on those under way.

use super::seen::{Seen, Verdict};
use std::collections::BTreeMap;

fn passed(batch: &[Seen]) -> impl Iterator<Item = &Seen> {
    batch.iter().filter(|seen| seen.verdict == Verdict::Passed)
}

/// Median time of those that passed, seconds.
pub(crate) fn typical(batch: &[Seen]) -> f64 {
    median(passed(batch).map(Seen::took).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Requests that follow a rest at the begin of a batch, each alone.
const RESTED: usize = 2;
/// A delay below this is nobody's policy, seconds.
const LEAST_DELAY: f64 = 0.004;

/// The time between two requests that leave, if those that follow at once are held back and those after a rest are not.
/// A slow server takes as long for both, as long as one request is under way at a time.
pub(crate) fn shaped(batch: &[Seen]) -> Option<f64> {
    let times: Vec<&Seen> = passed(batch).collect();
    if times.len() < RESTED + 4 {
        return None;
    }
    let (rested, hurried) = times.split_at(RESTED);
    let quick = rested.iter().map(|seen| seen.took()).fold(f64::INFINITY, f64::min);
    // the first of them follows a rest, too
    let gaps: Vec<f64> = hurried.windows(2).map(|pair| pair[1].answered - pair[0].answered).collect();
    let interval = median(gaps.clone());
    // but one, which something else may have delayed
    let mut off: Vec<f64> = gaps.iter().map(|gap| (gap - interval).abs()).collect();
    off.sort_by(f64::total_cmp);
    let spread = off.len().checked_sub(2).and_then(|index| off.get(index)).copied().unwrap_or(f64::INFINITY);
    let slowest_rested = rested.iter().map(|seen| seen.took()).fold(0.0, f64::max);
    let held = interval > 2.0 * slowest_rested && interval - quick > LEAST_DELAY;
    (held && spread < 0.3 * interval).then_some(interval)
}

/// What a queue looks like after many requests at once.
pub(crate) enum Queue {
    /// Time between two that leave; those that may wait.
    Known(f64, u64),
    /// Nobody was refused: it is longer.
    Longer(f64),
    /// They did not leave one by one.
    None,
}

/// Reads a batch of requests sent at once.
pub(crate) fn queue(batch: &[Seen]) -> Queue {
    let mut ends: Vec<f64> = passed(batch).map(|seen| seen.answered).collect();
    ends.sort_by(f64::total_cmp);
    let refused = batch.iter().any(|seen| seen.verdict == Verdict::Refused);
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return Queue::None };
    if ends.len() < 2 {
        return Queue::None;
    }
    let interval = (last - first) / (ends.len() - 1) as f64;
    let gaps: Vec<f64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let even = gaps.iter().filter(|gap| (*gap - interval).abs() < 0.4 * interval + 0.003).count();
    match (even * 10 >= gaps.len() * 7, refused) {
        (false, _) => Queue::None,
        (true, true) => Queue::Known(interval, ends.len() as u64 - 1),
        (true, false) => Queue::Longer(interval),
    }
}

/// The time between two that leave, if those of most waves left one by one: so does a queue, while a cap on those under
/// way lets them run together.
pub(crate) fn one_by_one(batch: &[Seen]) -> Option<f64> {
    let mut waves: Vec<Vec<Seen>> = Vec::new();
    for seen in batch.iter().filter(|seen| seen.verdict != Verdict::Broken) {
        match waves.last_mut() {
            // sent before the first of them was answered that had to wait
            Some(wave) if wave.iter().all(|other| other.answered > seen.sent || refused(other)) => {
                wave.push(seen.clone());
            }
            _ => waves.push(vec![seen.clone()]),
        }
    }
    waves.retain(|wave| passed(wave).count() >= LEAVING);
    let even = waves.iter().filter_map(|wave| match queue(wave) {
        Queue::Known(interval, _) | Queue::Longer(interval) => Some(interval),
        Queue::None => None,
    });
    let even: Vec<f64> = even.filter(|interval| *interval > LEAST_DELAY).collect();
    (!even.is_empty() && 2 * even.len() > waves.len()).then(|| median(even))
}

fn refused(seen: &Seen) -> bool {
    seen.verdict == Verdict::Refused
}

/// Fewest of a wave that passed, to see how they left.
const LEAVING: usize = 4;
/// Fewest waves that were refused in part.
const WAVES: usize = 3;

/// The number under way at once beyond which requests are refused, and how much of all waves it explains; `None` if the
/// number under way does not explain them.
///
/// A wave is all that was sent before the first of it was answered. Within it nobody knows who came first; but if any was
/// refused, as many passed as may be under way.
pub(crate) fn concurrency(seen: &[Seen]) -> Option<(u64, f64)> {
    let mut known: Vec<&Seen> = seen.iter().filter(|seen| seen.verdict != Verdict::Broken).collect();
    known.sort_by(|a, b| a.sent.total_cmp(&b.sent));
    // requests that passed, those that were refused, and when the first was answered
    let mut waves: Vec<(u64, u64, f64)> = Vec::new();
    for seen in known {
        let passed = u64::from(seen.verdict == Verdict::Passed);
        match waves.last_mut() {
            Some((all, refused, first)) if seen.sent < *first => {
                (*all, *refused, *first) = (*all + passed, *refused + 1 - passed, first.min(seen.answered));
            }
            _ => waves.push((passed, 1 - passed, seen.answered)),
        }
    }
    let full: Vec<u64> = waves.iter().filter(|wave| wave.1 > 0).map(|wave| wave.0).collect();
    let limit = *full.iter().max_by_key(|limit| full.iter().filter(|other| other == limit).count())?;
    let wrong = waves.iter().filter(|(passed, refused, _)| match refused {
        0 => *passed > limit,
        _ => *passed != limit,
    });
    let wrong = wrong.count();
    let known = full.len() >= WAVES && limit > 0 && wrong * 5 <= full.len();
    known.then(|| (limit, 1.0 - (wrong as f64 + 0.05) / (waves.len() as f64 + 1.0)))
}

/// Requests in a stretch over which a rate is said.
const STRETCH: usize = 20;

/// The fastest that requests passed, in requests a second: over [`STRETCH`] of them, or all if there are fewer.
pub(crate) fn fastest(seen: &[Seen]) -> f64 {
    let mut ends: Vec<f64> = passed(seen).map(|seen| seen.answered).collect();
    ends.sort_by(f64::total_cmp);
    let stretch = STRETCH.min(ends.len().saturating_sub(1));
    if stretch == 0 {
        return 0.0;
    }
    ends.windows(stretch + 1)
        .map(|window| stretch as f64 / (window[stretch] - window[0]).max(1e-6))
        .fold(0.0, f64::max)
}

/// How often each status came.
pub(crate) fn statuses(seen: &[Seen]) -> Vec<(u16, u64)> {
    let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
    seen.iter().for_each(|seen| *counts.entry(seen.status).or_default() += 1);
    counts.into_iter().collect()
}
