//! What a log shows at a glance: runs of admitted requests, the instants at which refusing began and ended.
//!
//! A limit is nearly always the length of a run, a window the distance of two instants.

use super::seen::Log;
use crucible_core::Rng;

/// A run of admitted requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub from: f64,
    pub to: f64,
    pub count: u64,
    /// A refusal came at its end.
    pub ended: bool,
}

/// What a log shows at a glance.
#[derive(Debug, Default)]
pub(crate) struct Features {
    pub runs: Vec<Run>,
    /// Refused at the first instant, the next one admitted at the second.
    pub edges: Vec<(f64, f64)>,
    /// First refusals.
    pub falls: Vec<f64>,
    pub end: f64,
    pub total: u64,
}

impl Features {
    pub(crate) fn new(log: &Log) -> Features {
        let mut features = Features::default();
        let mut before: Option<(f64, bool)> = None;
        for event in log.events.iter().filter(|event| event.key == 0) {
            match (before, event.passed) {
                (Some((at, false)), true) => features.edges.push((at, event.at)),
                (Some((_, true)) | None, false) => {
                    features.falls.push(event.at);
                    if let Some(run) = features.runs.last_mut() {
                        run.ended = true;
                    }
                }
                _ => {}
            }
            if event.passed {
                match features.runs.last_mut() {
                    Some(run) if !run.ended => (run.to, run.count) = (event.at, run.count + 1),
                    _ => features.runs.push(Run { from: event.at, to: event.at, count: 1, ended: false }),
                }
                features.total += 1;
            }
            features.end = event.at;
            before = Some((event.at, event.passed));
        }
        features
    }

    /// Whether anything was ever refused.
    pub(crate) fn refused(&self) -> bool {
        !self.falls.is_empty()
    }

    pub(crate) fn edge(&self, rng: &mut Rng) -> Option<f64> {
        let (from, to) = *pick(&self.edges, rng)?;
        Some(from + (to - from) * rng.unit())
    }

    /// The distance of two instants that may be a window.
    pub(crate) fn span(&self, rng: &mut Rng) -> f64 {
        let far = (self.end - self.falls.first().copied().unwrap_or(0.0)).max(1e-3);
        let Some(edge) = self.edge(rng).filter(|_| rng.unit() < 0.95) else {
            return far * (rng.unit() * 3.0).exp();
        };
        let reference = match rng.between(0, 3) {
            0 => self.edge(rng),
            1 => pick(&self.falls, rng).copied(),
            2 => pick(&self.runs, rng).map(|run| run.from),
            _ => pick(&self.runs, rng).map(|run| run.to),
        };
        let span = (edge - reference.unwrap_or(0.0)).abs();
        if rng.unit() < 0.1 { span / rng.between(2, 3) as f64 } else { span }.max(1e-4)
    }

    pub(crate) fn count(&self, rng: &mut Rng) -> u64 {
        let ended: Vec<&Run> = self.runs.iter().filter(|run| run.ended).collect();
        let run = match (ended.first(), rng.unit() < 0.3) {
            (Some(first), true) => Some(*first),
            _ => pick(&ended, rng).copied(),
        };
        let count = run.map_or(self.total, |run| run.count);
        let shift = if rng.unit() < 0.15 { rng.between(0, 4) as i64 - 2 } else { 0 };
        count.saturating_add_signed(shift).max(1)
    }

    /// The time from the begin of a run to somewhere between two later requests: one of them may have begun a new window.
    pub(crate) fn lapse(&self, log: &Log, rng: &mut Rng) -> Option<f64> {
        let begin = pick(&self.runs, rng)?.from;
        let after = log.events.partition_point(|event| event.at <= begin);
        let index = rng.between(after as u64, (log.events.len() as u64).checked_sub(1)?) as usize;
        let (to, from) = (log.events.get(index)?.at, log.events.get(index.checked_sub(1)?)?.at);
        Some((from + (to - from) * rng.unit() - begin).max(1e-4))
    }

    /// Refusals that last longer than `window`: the last refusal, the first one that passed, the first refusal.
    pub(crate) fn refusals(&self, window: f64) -> Vec<(f64, f64, f64)> {
        let refusal = |fall: &f64| {
            let edge = self.edges.iter().find(|edge| edge.1 > *fall)?;
            (edge.1 - fall > 1.1 * window).then_some((edge.0, edge.1, *fall))
        };
        self.falls.iter().filter_map(refusal).collect()
    }

    /// First refusal and middle of the end of refusals that last longer than `window`.
    pub(crate) fn long(&self, window: f64) -> Vec<(f64, f64)> {
        self.refusals(window).into_iter().map(|(from, to, fall)| (fall, 0.5 * (from + to))).collect()
    }

    /// Requests admitted between two instants.
    pub(crate) fn admitted(&self, log: &Log, from: f64, to: f64) -> u64 {
        let inside = |at: f64| at >= from && at < to;
        log.events.iter().filter(|event| event.key == 0 && event.passed && inside(event.at)).count() as u64
    }
}

pub(crate) fn pick<'a, T>(list: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    list.get(rng.between(0, (list.len() as u64).saturating_sub(1)) as usize)
}
