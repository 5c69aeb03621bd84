//! Measures of the user's own: a value taken from an answer becomes a series with thresholds.

use crate::Histogram;
use crate::Ns;
use crate::histogram::Precision;

/// Index of a measure in the plan's table of measures; also the index of its [`MeasureFrame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeasureId(pub u16);

/// How values become a series.
#[derive(Clone, Debug, PartialEq)]
pub enum MeasureKind {
    /// Values add up.
    Counter,
    /// The last value counts.
    Gauge,
    /// The share of values that hold (are not 0).
    Rate,
    /// The distribution of the values.
    Trend,
    /// How often each of these marks was seen; a value is the index of its mark, beyond them it counts as `other`.
    /// With the share that each is expected to have, if the plan says.
    Tally(Vec<(String, Option<f64>)>),
}

impl MeasureKind {
    /// The word used in plans, records and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            MeasureKind::Counter => "counter",
            MeasureKind::Gauge => "gauge",
            MeasureKind::Rate => "rate",
            MeasureKind::Trend => "trend",
            MeasureKind::Tally(_) => "tally",
        }
    }
}

/// A measure that a step feeds. Steps that name the same measure feed one series; they must agree on the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureSpec {
    /// Its name, unique among measures, steps and scenarios.
    pub name: String,
    /// How values become a series.
    pub kind: MeasureKind,
    /// Unit for reports, as in `ms`; empty if none.
    pub unit: String,
}

/// Steps of a trend's values: a millionth of the unit.
const SCALE: f64 = 1e6;

/// One measure in one window. Mergeable.
#[derive(Clone, Debug, Default)]
pub struct MeasureFrame {
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; 0 if there is none.
    pub min: f64,
    /// The largest; 0 if there is none.
    pub max: f64,
    /// The last one; of shards merged, one of their last.
    pub last: f64,
    /// How many were not 0.
    pub held: u64,
    /// Values below 0, which `values` does not hold.
    pub negative: u64,
    /// Values of a trend from 0, in millionths of the unit; empty for other kinds.
    pub values: Histogram,
    /// Of a tally: how often each mark was seen, and behind the marks how often another was.
    pub tallies: Vec<u64>,
}

impl MeasureFrame {
    /// An empty frame for a measure of this kind.
    pub fn new(kind: &MeasureKind) -> MeasureFrame {
        let tallies =
            if let MeasureKind::Tally(marks) = kind { vec![0; marks.len() + 1] } else { Vec::new() };
        MeasureFrame { tallies, values: Histogram::new(Precision::Fine), ..MeasureFrame::default() }
    }

    /// Takes a value; values that are no numbers are the protocol's failure and never come here.
    pub fn record(&mut self, kind: &MeasureKind, value: f64) {
        if !value.is_finite() {
            return;
        }
        (self.min, self.max) = match self.count {
            0 => (value, value),
            _ => (self.min.min(value), self.max.max(value)),
        };
        self.count += 1;
        self.sum += value;
        self.last = value;
        self.held += u64::from(value != 0.0);
        match kind {
            MeasureKind::Trend if value < 0.0 => self.negative += 1,
            MeasureKind::Trend => self.values.record(Ns((value * SCALE).min(u64::MAX as f64) as u64)),
            MeasureKind::Tally(_) => {
                let index = (value as usize).min(self.tallies.len().saturating_sub(1));
                if let Some(tally) = self.tallies.get_mut(index) {
                    *tally += 1;
                }
            }
            _ => {}
        }
    }

    /// The value at a share of a trend, in the measure's unit; negative values count as the smallest one.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.negative + self.values.count();
        if total == 0 {
            return None;
        }
        let rank = (share * total as f64).ceil().max(1.0) as u64;
        if rank <= self.negative {
            return Some(self.min);
        }
        let rest = (rank - self.negative) as f64 / self.values.count() as f64;
        self.values.quantile(rest.clamp(f64::MIN_POSITIVE, 1.0)).map(|value| value.0 as f64 / SCALE)
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &MeasureFrame) {
        if other.count == 0 {
            return;
        }
        (self.min, self.max) = match self.count {
            0 => (other.min, other.max),
            _ => (self.min.min(other.min), self.max.max(other.max)),
        };
        self.count += other.count;
        self.sum += other.sum;
        self.last = other.last;
        self.held += other.held;
        self.negative += other.negative;
        self.values.merge(&other.values);
        if self.tallies.len() < other.tallies.len() {
            self.tallies.resize(other.tallies.len(), 0);
        }
        for (mine, theirs) in self.tallies.iter_mut().zip(&other.tallies) {
            *mine += theirs;
        }
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        let mut tallies = std::mem::take(&mut self.tallies);
        tallies.fill(0);
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        *self = MeasureFrame { tallies, values, ..MeasureFrame::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_keeps_its_distribution_and_merges() {
        let kind = MeasureKind::Trend;
        let (mut a, mut b) = (MeasureFrame::new(&kind), MeasureFrame::new(&kind));
        (1..=50).for_each(|n| a.record(&kind, f64::from(n)));
        (51..=100).for_each(|n| b.record(&kind, f64::from(n)));
        a.merge(&b);
        assert_eq!((a.count, a.sum, a.min, a.max, a.last), (100, 5050.0, 1.0, 100.0, 100.0));
        let median = a.quantile(0.5).unwrap();
        assert!((median - 50.0).abs() < 0.5, "{median}");
        b.record(&kind, -3.0);
        assert_eq!(b.quantile(0.001), Some(-3.0));
        b.clear();
        assert_eq!((b.count, b.quantile(0.5)), (0, None));
    }

    #[test]
    fn a_tally_counts_marks_and_all_others_together() {
        let kind = MeasureKind::Tally(vec![("old".into(), Some(0.5)), ("new".into(), Some(0.5))]);
        let mut frame = MeasureFrame::new(&kind);
        for mark in [0.0, 1.0, 1.0, 7.0] {
            frame.record(&kind, mark);
        }
        assert_eq!((frame.tallies, frame.count), (vec![1, 2, 1], 4));
    }
}
