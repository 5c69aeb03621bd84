//! What is said in the end: judgements, each with its reason and what would settle it, and the verdict over them.
//!
//! Invariant: the verdict of a whole is the worst of its parts, and a whole without parts is not a pass.

use crucible_core::Ns;
use crucible_core::units;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The answer to "does it hold?", from the best to the worst. The worst of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It holds, on enough evidence.
    Pass,
    /// The evidence does not decide.
    Inconclusive,
    /// It does not hold, on enough evidence.
    Fail,
    /// The measurement itself cannot be trusted.
    Invalid,
}

impl Verdict {
    /// The word used in records, reports and machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Fail => "fail",
            Verdict::Invalid => "invalid",
        }
    }

    /// The verdict with this name.
    pub fn from_name(name: &str) -> Option<Verdict> {
        [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail, Verdict::Invalid]
            .into_iter()
            .find(|v| v.name() == name)
    }

    /// The worst of `verdicts`; [`Verdict::Inconclusive`] if there are none, because nothing was shown.
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The unit of a judgement's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Nanoseconds.
    Duration,
    /// A share from 0 to 1.
    Share,
    /// Per second.
    PerSecond,
    /// A whole number.
    Count,
    /// A number in a unit of the user's own, or in none.
    Number,
    /// CPUs: 1 is one of them busy all the time.
    Cores,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
}

impl Unit {
    /// The word used in machine-readable output: `ns`, `share`, `per_second`, `count`.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Duration => "ns",
            Unit::Share => "share",
            Unit::PerSecond => "per_second",
            Unit::Count => "count",
            Unit::Number => "number",
            Unit::Cores => "cores",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "bytes_per_second",
        }
    }

    /// The unit of a series by its word in the record; a plain number for words of newer versions.
    pub fn of_series(word: &str) -> Unit {
        match word {
            "cores" => Unit::Cores,
            "bytes" => Unit::Bytes,
            "bytes/s" => Unit::BytesPerSecond,
            "1/s" => Unit::PerSecond,
            "share" => Unit::Share,
            _ => Unit::Number,
        }
    }

    /// A figure of this unit as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Duration => Ns(value.max(0.0).round() as u64).to_string(),
            Unit::Share => units::show_share(value),
            Unit::PerSecond => format!("{}/s", units::show_number(value)),
            Unit::Count => whole(value),
            Unit::Number => units::show_number(value),
            Unit::Cores => format!("{} cores", units::show_number(value)),
            Unit::Bytes => units::show_bytes(value),
            Unit::BytesPerSecond => format!("{}/s", units::show_bytes(value)),
        }
    }
}

/// One statement about one figure of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Name of the criterion's row: `thresholds`, `evidence`, `lateness`, ...
    pub criterion: &'static str,
    /// What was looked at: `all steps`, a step's name, `scenario pupil`, `generator`, `record`.
    pub subject: String,
    /// The figure: `p95`, `errors`, `throughput`, `p95 over 30s`, `generator lag p99`, ...
    pub measure: String,
    /// What came out.
    pub verdict: Verdict,
    /// Unit of `value`, `interval` and `limit`.
    pub unit: Unit,
    /// The figure's point estimate; `None` if there is none.
    pub value: Option<f64>,
    /// Bounds of the value, each of which holds with 95 %; `None` where the value is an exact fact or nothing is known.
    pub interval: Option<(f64, f64)>,
    /// Name of the band that the point estimate lies in; `None` beyond the last one or where there are no bands.
    pub band: Option<String>,
    /// The last acceptable limit.
    pub limit: Option<f64>,
    /// Canonical text of the threshold; `None` for other criteria.
    pub threshold: Option<String>,
    /// Whether the demand was put in by us.
    pub implied: bool,
    /// How many samples the figure rests on.
    pub evidence: u64,
    /// Why, in one sentence.
    pub why: String,
    /// What would settle or mend it; empty for a pass.
    pub remedy: String,
    /// How many more seconds of the same load would settle it, where that is known.
    pub more_seconds: Option<f64>,
    /// The answer with the warm-up in it, where there was one to leave out.
    pub with_warm_up: Option<WithWarmUp>,
}

/// What a judgement without the warm-up would be with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithWarmUp {
    /// The answer.
    pub verdict: Verdict,
    /// The value.
    pub value: Option<f64>,
    /// Whether this is the answer that was given, as too little was left without the warm-up.
    pub judged: bool,
}

impl Judgement {
    /// A judgement without figures.
    pub fn new(
        criterion: &'static str,
        subject: impl Into<String>,
        measure: impl Into<String>,
        verdict: Verdict,
        why: impl Into<String>,
    ) -> Judgement {
        Judgement {
            criterion,
            subject: subject.into(),
            measure: measure.into(),
            verdict,
            unit: Unit::Count,
            value: None,
            interval: None,
            band: None,
            limit: None,
            threshold: None,
            implied: false,
            evidence: 0,
            why: why.into(),
            remedy: String::new(),
            more_seconds: None,
            with_warm_up: None,
        }
    }

    /// With what would settle it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Judgement {
        self.remedy = remedy.into();
        self
    }

    /// With a figure and the limit that it was compared with.
    pub fn figure(mut self, unit: Unit, value: f64, limit: Option<f64>) -> Judgement {
        (self.unit, self.value, self.limit) = (unit, Some(value), limit);
        self
    }

    /// With the number of samples that it rests on.
    pub fn evidence(mut self, samples: u64) -> Judgement {
        self.evidence = samples;
        self
    }

    /// What people should know of the warm-up: where it changes the answer, or stands in it; empty otherwise.
    pub fn warm_up_told(&self) -> String {
        let Some(with) = self.with_warm_up else { return String::new() };
        let value = with.value.map_or_else(String::new, |value| format!("{}, ", self.unit.show(value)));
        match with {
            WithWarmUp { judged: true, .. } => {
                "with the warm-up, as too little is left without it".to_owned()
            }
            WithWarmUp { verdict, .. } if verdict != self.verdict => {
                format!("without the warm-up; with it: {value}{verdict}")
            }
            _ => String::new(),
        }
    }

    /// The value as people read it, `-` if there is none.
    pub fn shown(&self) -> String {
        self.value.map_or_else(|| "-".to_owned(), |value| self.unit.show(value))
    }

    /// The limit as people read it, `-` if there is none.
    pub fn limit_shown(&self) -> String {
        self.limit.map_or_else(|| "-".to_owned(), |limit| self.unit.show(limit))
    }
}

/// A count with grouped digits, rounded.
pub(crate) fn whole(count: f64) -> String {
    units::group(count.round() as i64)
}

/// `1 window`, `1,200 windows`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    let number = units::group(i64::try_from(count).unwrap_or(i64::MAX));
    if count == 1 { format!("{number} {one}") } else { format!("{number} {one}s") }
}

/// The judgements on one test.
#[derive(Clone, Debug, PartialEq)]
pub struct TestAssessment {
    /// Its name.
    pub name: String,
    /// The worst of its judgements.
    pub verdict: Verdict,
    /// All of them, in the order of the criteria and, within one, of the plan.
    pub judgements: Vec<Judgement>,
}

/// The judgements on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The worst of all.
    pub verdict: Verdict,
    /// By test, in the order of the run.
    pub tests: Vec<TestAssessment>,
    /// Those that concern the run as a whole (record, interruption).
    pub run: Vec<Judgement>,
}

impl Assessment {
    /// All judgements with the name of their test (`None`: the run as a whole).
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Judgement)> {
        let tests =
            self.tests.iter().flat_map(|t| t.judgements.iter().map(move |j| (Some(t.name.as_str()), j)));
        self.run.iter().map(|j| (None, j)).chain(tests)
    }
}
