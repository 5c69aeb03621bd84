//! Where a threshold on values gets them: a measure of the plan's own, or a series that a monitor reads.
//!
//! Sums are kept by window (measures) or by reading (series), so that their spread tells how far the whole can be
//! trusted, in constant memory.

use crate::stats::RatioSums;
use crate::verdict::Unit;
use crucible_core::threshold::{Better, Measure, Subject, Threshold, ValueMeasure};
use crucible_core::{MeasureFrame, MeasureKind, Ns};
use crucible_record::{RunStarted, Window};

/// Steps of a trend's values in a [`MeasureFrame`]: a millionth of the unit.
const SCALE: f64 = 1e6;

/// What a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Steps and scenarios.
    Steps,
    /// The measure with this index.
    Measure(usize),
    /// The series with this index.
    Series(usize),
    /// A measure or series that the run does not have.
    Unknown,
}

impl Source {
    pub(crate) fn of(subject: &Subject, started: &RunStarted) -> Source {
        match subject {
            Subject::Measure(name) => {
                let index = started.measures.iter().position(|measure| measure.name == *name);
                index.map_or(Source::Unknown, Source::Measure)
            }
            Subject::Series { component, name } => {
                let same = |s: &crucible_record::SeriesMeta| s.component == *component && s.name == *name;
                started.series.iter().position(same).map_or(Source::Unknown, Source::Series)
            }
            _ => Source::Steps,
        }
    }

    /// The unit of its values as people read them, and its word where that is the user's own.
    pub(crate) fn unit(self, started: &RunStarted) -> (Unit, String) {
        match self {
            Source::Measure(index) => {
                (Unit::Number, started.measures.get(index).map_or(String::new(), |m| m.unit.clone()))
            }
            Source::Series(index) => {
                (Unit::of_series(started.series.get(index).map_or("", |s| &s.unit)), String::new())
            }
            _ => (Unit::Number, String::new()),
        }
    }
}

/// Running sums of one threshold on values.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValueSums {
    /// (seconds, sum) for rates, (values, sum) for means.
    pub(crate) mean: RatioSums,
    /// (values, those that hold, bear the mark, or lie beyond the limit); of a split: one for each mark.
    pub(crate) shares: Vec<RatioSums>,
    /// Of a tally: the marks and what is expected of them.
    pub(crate) marks: Vec<(String, Option<f64>)>,
    /// Time beyond a limit.
    pub(crate) longest: Longest,
}

impl ValueSums {
    pub(crate) fn new(threshold: &Threshold, source: Source, started: &RunStarted) -> ValueSums {
        let mut sums = ValueSums::default();
        if let Source::Measure(index) = source
            && let Some(MeasureKind::Tally(marks)) = started.measures.get(index).map(|m| &m.kind)
        {
            sums.marks.clone_from(marks);
        }
        let shares = match &threshold.measure {
            Measure::Value(ValueMeasure::Split, _) => sums.marks.len(),
            Measure::Value(ValueMeasure::Percentile(_), _) => threshold.bands.len(),
            _ => 1,
        };
        sums.shares = vec![RatioSums::default(); shares];
        sums
    }

    /// Takes in one window of a measure.
    pub(crate) fn window(&mut self, threshold: &Threshold, index: usize, window: &Window) {
        let Measure::Value(value, better) = &threshold.measure else { return };
        let frame = window.measures.iter().find(|(id, _)| usize::from(id.0) == index).map(|(_, frame)| frame);
        if matches!(value, ValueMeasure::Rate) {
            let seconds = window.to.since(window.from).as_secs_f64();
            self.mean.push(seconds, frame.map_or(0.0, |frame| frame.sum));
            return;
        }
        let Some(frame) = frame else { return };
        let n = frame.count as f64;
        self.mean.push(n, frame.sum);
        match value {
            ValueMeasure::Percentile(_) => {
                for (sums, band) in self.shares.iter_mut().zip(&threshold.bands) {
                    sums.push(n, beyond(frame, band.limit, *better));
                }
            }
            ValueMeasure::Share => self.shares[0].push(n, frame.held as f64),
            ValueMeasure::Mark(mark) => {
                let tally = self.marks.iter().position(|(name, _)| name == mark);
                self.shares[0].push(n, tally_of(frame, tally));
            }
            ValueMeasure::Split => {
                for (mark, sums) in self.shares.iter_mut().enumerate() {
                    sums.push(n, tally_of(frame, Some(mark)));
                }
            }
            _ => {}
        }
    }

    /// Takes in one reading of a series.
    pub(crate) fn reading(&mut self, threshold: &Threshold, at: Ns, value: f64) {
        let Measure::Value(figure, better) = &threshold.measure else { return };
        match figure {
            ValueMeasure::Percentile(_) => {
                for (sums, band) in self.shares.iter_mut().zip(&threshold.bands) {
                    let beyond = match better {
                        Better::Lower => value > band.limit,
                        Better::Higher => value < band.limit,
                    };
                    sums.push(1.0, f64::from(u8::from(beyond)));
                }
            }
            ValueMeasure::Above(limit) => self.longest.push(at, value > *limit),
            ValueMeasure::Below(limit) => self.longest.push(at, value < *limit),
            _ => {}
        }
    }
}

fn tally_of(frame: &MeasureFrame, mark: Option<usize>) -> f64 {
    mark.and_then(|mark| frame.tallies.get(mark)).map_or(0.0, |count| *count as f64)
}

/// Values of a trend on the bad side of a limit. Of values below 0 only their number is known: where that does not
/// settle it they count as bad.
fn beyond(frame: &MeasureFrame, limit: f64, better: Better) -> f64 {
    let all = frame.values.count();
    let edge = limit * SCALE;
    let above = |edge: f64| {
        if edge < 0.0 { all } else { frame.values.count_above(Ns(edge.min(u64::MAX as f64) as u64)) }
    };
    let count = match better {
        Better::Lower if limit < 0.0 => all + frame.negative,
        Better::Lower => above(edge),
        Better::Higher if limit <= 0.0 => frame.negative,
        Better::Higher => all - above((edge - 1.0).max(0.0)) + frame.negative,
    };
    count as f64
}

/// The longest stretch of time beyond a limit. A reading stands for the time since the one before it; where readings
/// are missing nothing is known of the value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Longest {
    last: Option<Ns>,
    spacing: Option<Ns>,
    since: Option<Ns>,
    since_perhaps: Option<Ns>,
    /// The longest that is known.
    pub(crate) known: Ns,
    /// The longest that there may have been, if it lay beyond the limit whenever it was not read.
    pub(crate) possible: Ns,
}

impl Longest {
    fn push(&mut self, at: Ns, beyond: bool) {
        let before = self.last.replace(at).unwrap_or(at);
        let apart = at.since(before);
        let missing = self.spacing.is_some_and(|usual| apart.0 > 3 * usual.0);
        if apart > Ns::ZERO {
            self.spacing = Some(self.spacing.map_or(apart, |usual| usual.min(apart)));
        }
        if missing {
            self.since = None;
            let since = *self.since_perhaps.get_or_insert(before);
            self.possible = self.possible.max(at.since(since));
        }
        if !beyond {
            (self.since, self.since_perhaps) = (None, None);
            return;
        }
        let since = *self.since.get_or_insert(if missing { at } else { before });
        let perhaps = *self.since_perhaps.get_or_insert(before);
        self.known = self.known.max(at.since(since));
        self.possible = self.possible.max(at.since(perhaps)).max(self.known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_beyond_a_limit_is_known_but_for_what_was_not_read() {
        let mut longest = Longest::default();
        let mut read = |second: u64, beyond| {
            longest.push(Ns::from_secs(second), beyond);
            (longest.known.as_secs_f64(), longest.possible.as_secs_f64())
        };
        for second in 0..10 {
            assert_eq!(read(second, false), (0.0, 0.0));
        }
        assert_eq!(read(10, true), (1.0, 1.0));
        assert_eq!(read(14, true), (1.0, 5.0), "four seconds were not read");
        assert_eq!(read(15, true), (1.0, 6.0));
        assert_eq!(read(16, true), (2.0, 7.0));
        assert_eq!(read(17, false), (2.0, 7.0));
        assert_eq!(read(30, false), (2.0, 13.0), "it may have been beyond and come back");
        assert_eq!(read(31, true), (2.0, 13.0));
    }

    #[test]
    fn values_beyond_a_limit_are_counted_on_the_bad_side() {
        let kind = MeasureKind::Trend;
        let mut frame = MeasureFrame::new(&kind);
        [-2.0, 1.0, 2.0, 3.0].iter().for_each(|value| frame.record(&kind, *value));
        let check = |limit, better, expected| assert_eq!(beyond(&frame, limit, better), expected, "{limit}");
        check(2.5, Better::Lower, 1.0);
        check(0.0, Better::Lower, 3.0);
        check(-5.0, Better::Lower, 4.0);
        check(1.5, Better::Higher, 2.0);
        check(0.0, Better::Higher, 1.0);
        check(5.0, Better::Higher, 4.0);
    }
}
