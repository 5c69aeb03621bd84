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
    let spread = gaps.iter().map(|gap| (gap - interval).abs()).fold(0.0, f64::max);
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

/// The number under way at once beyond which requests are refused, and how much of all verdicts it explains; `None` if
/// the number under way does not explain them.
pub(crate) fn concurrency(seen: &[Seen]) -> Option<(u64, f64)> {
    let trip = seen.iter().map(Seen::took).fold(f64::INFINITY, f64::min);
    let mut known: Vec<&Seen> = seen.iter().filter(|seen| seen.verdict != Verdict::Broken).collect();
    // of those sent at once, those that passed came first
    known.sort_by(|a, b| {
        a.sent.total_cmp(&b.sent).then((a.verdict == Verdict::Refused).cmp(&(b.verdict == Verdict::Refused)))
    });
    let mut busy: Vec<f64> = Vec::new();
    let mut under_way: Vec<(u64, bool)> = Vec::new();
    for seen in known {
        busy.retain(|end| *end > seen.sent + trip);
        let passed = seen.verdict == Verdict::Passed;
        under_way.push((busy.len() as u64, passed));
        if passed {
            busy.push(seen.answered);
        }
    }
    let refused = under_way.iter().filter(|(_, passed)| !passed).count();
    let explained = |limit: u64| under_way.iter().filter(|(busy, passed)| (*busy < limit) == *passed).count();
    let most = under_way.iter().map(|(busy, _)| busy + 1).max()?;
    let limit = (1..=most).max_by_key(|limit| explained(*limit))?;
    let alone = under_way.iter().filter(|(busy, passed)| *busy == 0 && !passed).count();
    let wrong = under_way.len() - explained(limit);
    (refused > 0 && alone == 0 && wrong * 20 <= refused)
        .then(|| (limit, 1.0 - (wrong as f64 + 0.05) / under_way.len() as f64))
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
