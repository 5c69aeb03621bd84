//! What the monitors read, in memory that does not grow with the run.

use crate::bounded::Joined;
use crucible_core::Ns;
use crucible_record::Reading;

/// One series over a test, a phase or a run.
#[derive(Clone, Debug, Default)]
pub struct SeriesTotals {
    /// Number of readings.
    pub count: u64,
    /// The smallest; 0 if there is none.
    pub min: f64,
    /// The largest; 0 if there is none.
    pub max: f64,
    /// The last; 0 if there is none.
    pub last: f64,
    /// When the first was read.
    pub from: Option<Ns>,
    /// When the last was read.
    pub to: Ns,
    /// Longest time between two neighbouring readings.
    pub widest: Ns,
    sum: f64,
}

impl SeriesTotals {
    /// Takes in the next reading.
    pub(crate) fn push(&mut self, at: Ns, value: f64) {
        if !value.is_finite() {
            return;
        }
        (self.min, self.max) = match self.count {
            0 => (value, value),
            _ => (self.min.min(value), self.max.max(value)),
        };
        if self.from.is_some() {
            self.widest = self.widest.max(at.since(self.to));
        }
        self.from.get_or_insert(at);
        self.to = self.to.max(at);
        self.count += 1;
        self.last = value;
        self.sum += value;
    }

    /// The mean of the readings; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// What was read in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesPoint {
    /// When the first reading in it was taken.
    pub from: Ns,
    /// When the last one was.
    pub to: Ns,
    /// By series: the mean and the largest; `None` where nothing was read.
    pub values: Vec<Option<SeriesValue>>,
}

/// One series in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesValue {
    /// Readings in it.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

impl SeriesPoint {
    /// The point of one reading; indices from `series` on are passed over.
    pub fn of(reading: &Reading, series: usize) -> SeriesPoint {
        let mut values = vec![None; series];
        for (index, value) in &reading.values {
            if let Some(slot) = values.get_mut(usize::from(*index)) {
                *slot = Some(SeriesValue { count: 1, mean: *value, max: *value });
            }
        }
        SeriesPoint { from: reading.at, to: reading.at, values }
    }
}

impl Joined for SeriesPoint {
    fn alike(&self, _: &SeriesPoint) -> bool {
        true
    }

    fn joined(&self, next: &SeriesPoint) -> SeriesPoint {
        let both = |a: &SeriesValue, b: &SeriesValue| {
            let count = a.count + b.count;
            let mean = (a.mean * a.count as f64 + b.mean * b.count as f64) / count as f64;
            SeriesValue { count, mean, max: a.max.max(b.max) }
        };
        let values = self.values.iter().zip(&next.values).map(|pair| match pair {
            (Some(a), Some(b)) => Some(both(a, b)),
            (a, b) => a.or(*b),
        });
        SeriesPoint { from: self.from, to: next.to, values: values.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_keep_their_extremes_and_the_widest_gap() {
        let mut totals = SeriesTotals::default();
        assert_eq!(totals.mean(), None);
        for (second, value) in [(1, 0.5), (2, 1.5), (9, -1.0), (10, f64::NAN)] {
            totals.push(Ns::from_secs(second), value);
        }
        assert_eq!((totals.count, totals.min, totals.max, totals.last), (3, -1.0, 1.5, -1.0));
        assert_eq!((totals.from, totals.to), (Some(Ns::from_secs(1)), Ns::from_secs(9)));
        assert_eq!((totals.mean(), totals.widest), (Some(1.0 / 3.0), Ns::from_secs(7)));
    }

    #[test]
    fn days_of_readings_stay_in_bounded_points_with_their_mean_and_maximum() {
        let mut points = crate::bounded::Bounded::new(100);
        for second in 0..200_000u64 {
            let mut values = vec![(0, 2.0)];
            if second == 150_000 {
                values.push((1, 9.0));
            }
            points.push(SeriesPoint::of(&Reading { at: Ns::from_secs(second), values }, 2));
        }
        let points = points.points();
        assert!(points.len() <= 100 && points.len() > 25, "{}", points.len());
        assert!(points.iter().all(|p| p.values[0].is_some_and(|v| (v.mean - 2.0).abs() < 1e-9)));
        let seen: Vec<_> = points.iter().filter_map(|p| p.values[1]).collect();
        assert_eq!(seen, [SeriesValue { count: 1, mean: 9.0, max: 9.0 }]);
        let counted: u64 = points.iter().filter_map(|p| p.values[0]).map(|v| v.count).sum();
        assert_eq!(counted, 200_000);
    }
}
