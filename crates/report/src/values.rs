//! Values that several formats show: the plan's own measures, and what monitors read.

use crucible_analysis::{RunView, SeriesTotals, Totals, Unit};
use crucible_core::units::{group, show_number, show_share};
use crucible_core::{MeasureFrame, MeasureKind, MeasureSpec};
use crucible_record::SeriesMeta;

/// A measure for which values came.
pub(crate) struct Measured<'a> {
    pub(crate) spec: &'a MeasureSpec,
    pub(crate) frame: &'a MeasureFrame,
    /// Seconds that it was measured over.
    pub(crate) seconds: f64,
}

/// The measures of a test or phase that got values.
pub(crate) fn measures<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<Measured<'a>> {
    let seconds = totals.covered.as_secs_f64();
    let all = view.started.measures.iter().zip(&totals.measures);
    all.filter(|(_, frame)| frame.count > 0).map(|(spec, frame)| Measured { spec, frame, seconds }).collect()
}

impl Measured<'_> {
    /// The mean of the values.
    pub(crate) fn mean(&self) -> f64 {
        self.frame.sum / self.frame.count as f64
    }

    /// The sum per second; 0 over no time.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.frame.sum / self.seconds } else { 0.0 }
    }

    /// The share of values that hold.
    pub(crate) fn held_share(&self) -> f64 {
        self.frame.held as f64 / self.frame.count as f64
    }

    /// The marks of a tally with how often each was seen, and what is expected of it.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (&str, Option<f64>, u64)> {
        let marks = if let MeasureKind::Tally(marks) = &self.spec.kind { marks.as_slice() } else { &[] };
        let counts = self.frame.tallies.iter().copied().chain(std::iter::repeat(0));
        marks.iter().zip(counts).map(|((name, expected), count)| (name.as_str(), *expected, count))
    }

    /// Values with another mark, or none.
    pub(crate) fn other(&self) -> u64 {
        match &self.spec.kind {
            MeasureKind::Tally(marks) => self.frame.tallies.get(marks.len()).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// What people read; `clean` makes foreign text harmless.
    pub(crate) fn words(&self, clean: &dyn Fn(&str) -> String) -> String {
        let unit =
            if self.spec.unit.is_empty() { String::new() } else { format!(" {}", clean(&self.spec.unit)) };
        let (frame, number) = (self.frame, show_number);
        match &self.spec.kind {
            MeasureKind::Counter => {
                format!("{}{unit} in all, {}{unit}/s", number(frame.sum), number(self.rate()))
            }
            MeasureKind::Gauge => {
                format!("last {}{unit}, {} to {}", number(frame.last), number(frame.min), number(frame.max))
            }
            MeasureKind::Rate => {
                let (held, all) = (group(frame.held as i64), group(frame.count as i64));
                format!("{} ({held} of {all})", show_share(self.held_share()))
            }
            MeasureKind::Trend => {
                let at = |share| frame.quantile(share).map_or_else(|| "-".to_owned(), number);
                format!(
                    "avg {}, p50 {}, p95 {}, p99 {}, max {}{unit}",
                    number(self.mean()),
                    at(0.5),
                    at(0.95),
                    at(0.99),
                    number(frame.max)
                )
            }
            MeasureKind::Tally(_) => {
                let share = |count: u64| show_share(count as f64 / frame.count as f64);
                let mut parts: Vec<String> = self
                    .marks()
                    .map(|(name, expected, count)| {
                        let expected =
                            expected.map_or(String::new(), |e| format!(" ({} expected)", show_share(e)));
                        format!("{} {}{expected}", clean(name), share(count))
                    })
                    .collect();
                if self.other() > 0 {
                    parts.push(format!("other {}", share(self.other())));
                }
                format!("{} of {}", parts.join(", "), group(frame.count as i64))
            }
        }
    }
}

/// A series that was read.
pub(crate) struct Read<'a> {
    pub(crate) meta: &'a SeriesMeta,
    pub(crate) totals: &'a SeriesTotals,
}

/// What was read in a test or phase.
pub(crate) fn readings<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<Read<'a>> {
    let all = view.started.series.iter().zip(&totals.series);
    all.filter(|(_, totals)| totals.count > 0).map(|(meta, totals)| Read { meta, totals }).collect()
}

impl Read<'_> {
    /// A value of it as people read it.
    pub(crate) fn show(&self, value: f64) -> String {
        show(Unit::of_series(&self.meta.unit), value)
    }

    /// The mean of its readings.
    pub(crate) fn mean(&self) -> f64 {
        self.totals.mean().unwrap_or(0.0)
    }
}

/// A value of a series as people read it.
pub(crate) fn show(unit: Unit, value: f64) -> String {
    match unit {
        // CPUs of a process as a share of one, as people know them
        Unit::Cores => show_share(value),
        unit => unit.show(value),
    }
}

/// The series of which a short report tells, and how.
pub(crate) fn short(read: &Read<'_>) -> Option<String> {
    let totals = read.totals;
    Some(match read.meta.name.as_str() {
        "cpu" => format!("CPU {}, at most {}", read.show(read.mean()), read.show(totals.max)),
        "memory" => format!("memory at most {}", read.show(totals.max)),
        "memory_available" => format!("memory left at least {}", read.show(totals.min)),
        "pressure_cpu" if totals.max >= 0.1 => {
            format!("CPU wanting {}, at most {}", read.show(read.mean()), read.show(totals.max))
        }
        _ => return None,
    })
}
