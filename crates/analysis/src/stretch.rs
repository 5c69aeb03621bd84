//! Thresholds that every stretch of a given length must hold (`p95 < 300ms over any 30s`).
//!
//! A stretch is made of neighbouring whole windows and is as short as it can be without being shorter than the length
//! demanded. Stretches slide by one window. Each is judged by its point estimate; a stretch with too few samples for
//! its percentile is counted, not judged.
//!
//! Invariant: memory is one small entry for each window of one stretch, at most [`MOST_WINDOWS`].

use crate::bands;
use crate::groups::Beyond;
use crate::stats::smallest_sample;
use crate::tracker::{Observation, bad_limit};
use crucible_core::Ns;
use crucible_core::threshold::{Measure, Threshold};
use std::collections::VecDeque;

/// Most windows that a stretch may be made of: a day of seconds.
const MOST_WINDOWS: usize = 86_400;

/// What is known of all stretches so far.
#[derive(Clone, Debug)]
pub(crate) struct Stretches {
    length: Ns,
    ring: VecDeque<Observation>,
    n: f64,
    beyond: Vec<Beyond>,
    mean: (f64, f64),
    sums: (f64, f64),
    /// Stretches that could be judged.
    pub(crate) judged: u64,
    /// Of these: beyond the last band.
    pub(crate) broken: u64,
    /// Neither held nor broken for certain: operations were cut off before the limit.
    pub(crate) undecided: u64,
    /// With too few samples.
    pub(crate) too_few: u64,
    /// The worst one that could be judged.
    pub(crate) worst: Option<Worst>,
    /// Whether the last one is broken.
    pub(crate) broken_now: bool,
}

/// The worst stretch.
#[derive(Clone, Debug)]
pub(crate) struct Worst {
    /// The larger the worse.
    badness: f64,
    pub(crate) from: Ns,
    pub(crate) to: Ns,
    /// The measure's value; for percentiles, the share of operations above the last limit.
    pub(crate) value: f64,
    pub(crate) n: f64,
    /// Index of the band that it lies in; `None` beyond the last.
    pub(crate) band: Option<usize>,
}

impl Stretches {
    pub(crate) fn new(length: Ns) -> Stretches {
        Stretches {
            length,
            ring: VecDeque::new(),
            n: 0.0,
            beyond: Vec::new(),
            mean: (0.0, 0.0),
            sums: (0.0, 0.0),
            judged: 0,
            broken: 0,
            undecided: 0,
            too_few: 0,
            worst: None,
            broken_now: false,
        }
    }

    pub(crate) fn push(&mut self, seen: Observation, threshold: &Threshold) {
        self.add(&seen, 1.0);
        self.ring.push_back(seen);
        while self.ring.len() > 1 && self.spans_without_first() {
            self.drop_first();
        }
        if self.ring.len() > MOST_WINDOWS {
            self.drop_first();
        }
        self.broken_now = false;
        if self.span() >= self.length {
            self.judge(threshold);
        }
    }

    fn span(&self) -> Ns {
        match (self.ring.front(), self.ring.back()) {
            (Some(first), Some(last)) => last.to.since(first.from),
            _ => Ns::ZERO,
        }
    }

    fn spans_without_first(&self) -> bool {
        match (self.ring.get(1), self.ring.back()) {
            (Some(second), Some(last)) => last.to.since(second.from) >= self.length,
            _ => false,
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.ring.pop_front() {
            self.add(&first, -1.0);
        }
    }

    fn add(&mut self, seen: &Observation, sign: f64) {
        if self.beyond.len() < seen.beyond.len() {
            self.beyond.resize(seen.beyond.len(), Beyond::default());
        }
        self.beyond.iter_mut().zip(&seen.beyond).for_each(|(sum, one)| sum.add(one, sign));
        self.n += sign * seen.n;
        self.mean = (self.mean.0 + sign * seen.mean.0, self.mean.1 + sign * seen.mean.1);
        self.sums = (self.sums.0 + sign * seen.sums.0, self.sums.1 + sign * seen.sums.1);
    }

    fn judge(&mut self, threshold: &Threshold) {
        let measure = &threshold.measure;
        if self.n < 1.0 && !matches!(measure, Measure::Throughput) {
            self.too_few += 1;
            return;
        }
        let (value, band, certain) = match measure {
            Measure::Percentile(p) | Measure::ServicePercentile(p) => {
                let allowed = 1.0 - p;
                if self.n < smallest_sample(allowed) as f64 {
                    self.too_few += 1;
                    return;
                }
                // as the verdict on the whole test: what was cut off may have been beyond the limit
                let holds = |count: &dyn Fn(&Beyond) -> f64| {
                    self.beyond.iter().position(|beyond| count(beyond) / self.n <= allowed + 1e-12)
                };
                let known = self.beyond.last().map_or(0.0, |beyond| beyond.known) / self.n;
                let (certain, possible) = (holds(&|beyond| beyond.known), holds(&|beyond| beyond.possible));
                (known, certain, certain == possible)
            }
            _ => {
                let value = self.value(measure);
                (value, bands::owner(value, &threshold.bands, measure.better()), true)
            }
        };
        self.judged += 1;
        if band.is_none() {
            self.broken += 1;
            self.broken_now = true;
        } else if !certain {
            self.undecided += 1;
        }
        let badness = match measure {
            Measure::Throughput | Measure::Checks => -value,
            _ => value,
        };
        let worse = self.worst.as_ref().is_none_or(|worst| badness > worst.badness);
        if worse && let (Some(first), Some(last)) = (self.ring.front(), self.ring.back()) {
            let (from, to) = (first.from, last.to);
            self.worst = Some(Worst { badness, from, to, value, n: self.n, band });
        }
    }

    fn value(&self, measure: &Measure) -> f64 {
        match measure {
            Measure::Average | Measure::Throughput => {
                if self.mean.0 > 0.0 {
                    self.mean.1 / self.mean.0
                } else {
                    0.0
                }
            }
            Measure::Min => self.ring.iter().filter_map(|o| o.min).min().map_or(0.0, |ns| ns.0 as f64),
            Measure::Max => self.ring.iter().filter_map(|o| o.max).max().map_or(0.0, |ns| ns.0 as f64),
            Measure::Stddev => {
                let mean = self.sums.0 / self.n;
                let squares = (self.sums.1 - self.n * mean * mean).max(0.0);
                (squares / (self.n - 1.0).max(1.0)).sqrt()
            }
            _ => {
                let bad = self.beyond.first().map_or(0.0, |beyond| beyond.known) / self.n;
                bad_limit(measure, bad)
            }
        }
    }
}
