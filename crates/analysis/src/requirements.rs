//! What was demanded, band by band, each judged on its own.
//!
//! Place in the flow: the verdict of a threshold is that of its last band; a document of requirements has a row for each
//! band, and the `target` may be missed where the `acceptable` is met. Invariants: every band is judged by the same rules
//! and from the same counts as the last one; the last band's judgement is the threshold's own.

use crate::criteria::thresholds::{TAIL, judge_one};
use crate::source::Source;
use crate::tracker::Tracker;
use crate::verdict::{Judgement, Unit, Verdict};
use crate::view::RunView;
use crucible_core::threshold::{LimitUnit, Measure, Subject, Threshold, ValueMeasure};
use crucible_record::{RunStarted, TestMeta};

/// One band of one threshold on one subject.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Name of the band, as in `target`.
    pub band: String,
    /// The demand in words: `at most 500ms`.
    pub limit: String,
    /// What came out.
    pub judgement: Judgement,
    /// How it is judged, in words.
    pub method: &'static str,
    /// Whether it is demanded of what a monitor reads.
    pub of_series: bool,
}

/// The demands of a test, in the order of the plan, each band after the one before it. A threshold that cannot be read is
/// one demand without a band.
pub fn demands(view: &RunView, test: usize) -> Vec<Demand> {
    let (Some(trackers), Some(totals)) = (view.trackers.get(test), view.tests.get(test)) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for tracker in trackers {
        for (index, band) in tracker.threshold.bands.iter().enumerate() {
            let last = index + 1 == tracker.threshold.bands.len();
            let judgement = match up_to(tracker, index) {
                Some(cut) => judge_one(&cut, totals, TAIL),
                None if last => judge_one(tracker, totals, TAIL),
                None => not_by_band(judge_one(tracker, totals, TAIL)),
            };
            out.push(Demand {
                band: band.name.clone(),
                limit: limit_words(&tracker.threshold, band.limit, judgement.unit),
                judgement: Judgement { limit: Some(band.limit), ..judgement },
                method: method(&tracker.threshold),
                of_series: matches!(tracker.threshold.subject, Subject::Series { .. }),
            });
        }
    }
    for (text, why) in &view.unreadable[test] {
        let mut judgement = Judgement::new(
            "thresholds",
            "thresholds",
            text,
            Verdict::Inconclusive,
            format!("it cannot be read: {why}"),
        )
        .remedy("read the record with the version that wrote it, or with a newer one");
        judgement.threshold = Some(text.clone());
        let (band, limit) = (String::new(), String::new());
        out.push(Demand { band, limit, judgement, method: "not judged", of_series: false });
    }
    out
}

/// The tracker as if the band at `index` were its last; `None` where its sums were made for the last band only.
fn up_to(tracker: &Tracker, index: usize) -> Option<Tracker> {
    if index + 1 == tracker.threshold.bands.len() {
        return Some(tracker.clone());
    }
    if tracker.stretches.is_some() {
        return None;
    }
    let mut cut = tracker.clone();
    cut.threshold.bands.truncate(index + 1);
    if matches!(cut.threshold.measure, Measure::Percentile(_) | Measure::ServicePercentile(_)) {
        cut.bands.truncate(index + 1);
    }
    if matches!(cut.threshold.measure, Measure::Value(ValueMeasure::Percentile(_), _)) {
        cut.values.shares.truncate(index + 1);
    }
    Some(cut)
}

fn not_by_band(last: Judgement) -> Judgement {
    let verdict = last.verdict.max(Verdict::Inconclusive);
    let why = "of stretches of time the last band alone is judged".to_owned();
    let remedy = "demand this band in a threshold of its own".to_owned();
    Judgement { verdict, why, remedy, band: None, ..last }
}

/// One demand of a test that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untested {
    /// Whom it concerns: `all steps`, `each step`, a step's name, `api.cpu`.
    pub subject: String,
    /// The figure.
    pub measure: String,
    /// Bands in order, each with its demand in words.
    pub bands: Vec<(String, String)>,
}

/// What a test demands, from its description alone. Unreadable thresholds stand with their text.
pub fn untested(started: &RunStarted, test: &TestMeta) -> Vec<Untested> {
    let one = |text: &String| match text.parse::<Threshold>() {
        Err(_) => Untested { subject: text.clone(), measure: String::new(), bands: Vec::new() },
        Ok(threshold) => {
            let (unit, own) = unit_of(&threshold, started);
            let band = |band: &crucible_core::threshold::Band| {
                let shown = limit_words(&threshold, band.limit, unit);
                (band.name.clone(), if own.is_empty() { shown } else { format!("{shown} {own}") })
            };
            Untested {
                subject: subject_words(&threshold.subject),
                measure: measure_words(&threshold, unit),
                bands: threshold.bands.iter().map(band).collect(),
            }
        }
    };
    test.thresholds.iter().map(one).collect()
}

fn unit_of(threshold: &Threshold, started: &RunStarted) -> (Unit, String) {
    match threshold.measure.unit() {
        LimitUnit::Duration => (Unit::Duration, String::new()),
        LimitUnit::Share => (Unit::Share, String::new()),
        LimitUnit::Rate => (Unit::PerSecond, String::new()),
        LimitUnit::Number => Source::of(&threshold.subject, started).unit(started),
    }
}

fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::All => "all steps".into(),
        Subject::Each => "each step".into(),
        Subject::Step(name) | Subject::Measure(name) => name.clone(),
        Subject::Scenario(name) => format!("scenario {name}"),
        Subject::Series { component, name } => format!("{component}.{name}"),
    }
}

fn measure_words(threshold: &Threshold, unit: Unit) -> String {
    let name = match &threshold.measure {
        Measure::Value(ValueMeasure::Above(limit), _) => format!("time above {}", unit.show(*limit)),
        Measure::Value(ValueMeasure::Below(limit), _) => format!("time below {}", unit.show(*limit)),
        measure => measure.name(),
    };
    threshold.over.map_or(name.clone(), |over| format!("{name} over {over}"))
}

fn limit_words(threshold: &Threshold, limit: f64, unit: Unit) -> String {
    let side = match threshold.measure.better() {
        crucible_core::threshold::Better::Lower => "at most",
        crucible_core::threshold::Better::Higher => "at least",
    };
    format!("{side} {}", unit.show(limit))
}

/// How a threshold is judged, for people.
pub const fn method(threshold: &Threshold) -> &'static str {
    if threshold.over.is_some() {
        return "every stretch of time on its own";
    }
    match &threshold.measure {
        Measure::Percentile(_) | Measure::ServicePercentile(_) => {
            "share of operations beyond the limit, bound at 95 %, corrected for clumps"
        }
        Measure::Errors | Measure::ErrorsOf(_) | Measure::Checks | Measure::Dropped => {
            "share with its bound at 95 %, corrected for clumps"
        }
        Measure::Average | Measure::Throughput => "mean over windows with its bound at 95 %",
        Measure::Min | Measure::Max => "extreme of all operations: a fact of the run",
        Measure::Stddev => "standard deviation of all operations",
        Measure::Value(value, _) => match value {
            ValueMeasure::Total | ValueMeasure::Last | ValueMeasure::Min | ValueMeasure::Max => {
                "fact of the run"
            }
            ValueMeasure::Above(_) | ValueMeasure::Below(_) => {
                "longest stretch of readings, what was not read counted against it"
            }
            _ => "values with their bound at 95 %; of readings their mean",
        },
    }
}
