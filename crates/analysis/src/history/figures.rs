//! A run in the few figures that a history is made of. Small, and kept beside the record, because a history reads hundreds.

use crate::assess::assess;
use crate::totals::{Totals, judged_response};
use crate::verdict::{Judgement, TestAssessment, Unit, Verdict};
use crate::view::RunView;
use crucible_core::threshold::{Better, Threshold};
use crucible_core::{Histogram, Outcome};
use crucible_record::{RunStarted, StopReason};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Changes whenever what stands in [`RunFigures`] does.
pub const VERSION: u32 = 1;

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFigures {
    /// Its identifier.
    pub run: String,
    /// Its begin, milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Name of its plan.
    pub plan: String,
    /// Hash of its plan.
    pub plan_hash: String,
    /// Version of the tool.
    pub tool: String,
    /// The system under test.
    pub target: String,
    /// Seed of everything random.
    pub seed: u64,
    /// What the run is of.
    pub labels: Vec<(String, String)>,
    /// The machine.
    pub environment: Vec<(String, String)>,
    /// Whether everything planned was done.
    pub completed: bool,
    /// Whether the measurement cannot be trusted.
    pub invalid: bool,
    /// By test that was measured.
    pub tests: Vec<TestFigures>,
}

/// The figures of one test of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestFigures {
    /// Its name.
    pub test: String,
    /// Its load in words.
    pub load: String,
    /// Everything that makes two loads one: phases, scenarios, steps.
    pub identity: String,
    /// Figures, those of thresholds included.
    pub figures: Vec<FigureValue>,
    /// What came of its thresholds.
    pub thresholds: Vec<Held>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureValue {
    /// What it is of: `all steps`, a step, `api.cpu`.
    pub subject: String,
    /// Which figure: `p95`, `errors`, `avg`.
    pub measure: String,
    /// Unit of the value.
    pub unit: Unit,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The value.
    pub value: f64,
    /// What it rests on: operations, readings.
    pub evidence: u64,
}

/// What came of a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Its canonical text.
    pub threshold: String,
    /// What it is of.
    pub subject: String,
    /// Which figure.
    pub measure: String,
    /// The last acceptable limit.
    pub limit: Option<f64>,
    /// What came out.
    pub verdict: Verdict,
}

impl RunFigures {
    /// The figures of a run. Judges it, so it takes as long as a report.
    pub fn of(view: &RunView) -> RunFigures {
        let started = &view.started;
        let assessment = assess(view);
        let measured = (0..view.tests.len()).filter(|index| view.tests[*index].from.is_some());
        RunFigures {
            run: started.run.clone(),
            started_unix_ms: started.started_unix_ms,
            plan: started.plan.clone(),
            plan_hash: started.plan_hash.clone(),
            tool: started.tool.clone(),
            target: started.target.clone(),
            seed: started.seed,
            labels: started.labels.clone(),
            environment: started.environment.clone(),
            completed: view.finished.as_ref().is_some_and(|end| end.reason == StopReason::Completed),
            invalid: assessment.verdict == Verdict::Invalid,
            tests: measured.filter_map(|index| test(view, index, assessment.tests.get(index))).collect(),
        }
    }
}

impl FigureValue {
    /// The side that is good.
    pub fn better(&self) -> Better {
        if self.more_is_better { Better::Higher } else { Better::Lower }
    }
}

fn test(view: &RunView, index: usize, assessment: Option<&TestAssessment>) -> Option<TestFigures> {
    let started = &view.started;
    let meta = started.tests.get(index)?;
    let totals = &view.tests[index];
    let mut figures = whole(totals);
    figures.extend(components(started, totals));
    let mut thresholds = Vec::new();
    let judgements = assessment.map(|test| test.judgements.as_slice()).unwrap_or_default();
    for judgement in judgements.iter().filter(|judgement| judgement.criterion == "thresholds") {
        let Some(text) = &judgement.threshold else { continue };
        thresholds.push(Held {
            threshold: text.clone(),
            subject: judgement.subject.clone(),
            measure: judgement.measure.clone(),
            limit: judgement.limit.filter(|limit| limit.is_finite()),
            verdict: judgement.verdict,
        });
        let known =
            |figure: &FigureValue| figure.subject == judgement.subject && figure.measure == judgement.measure;
        if !figures.iter().any(known) {
            figures.extend(demanded(judgement, text));
        }
    }
    Some(TestFigures {
        test: meta.name.clone(),
        load: meta.load.clone(),
        identity: identity(started, index),
        figures,
        thresholds,
    })
}

/// The figure that a threshold demands something of.
fn demanded(judgement: &Judgement, text: &str) -> Option<FigureValue> {
    let threshold: Threshold = text.parse().ok()?;
    Some(FigureValue {
        subject: judgement.subject.clone(),
        measure: judgement.measure.clone(),
        unit: judgement.unit,
        more_is_better: threshold.measure.better() == Better::Higher,
        value: judgement.value.filter(|value| value.is_finite())?,
        evidence: judgement.evidence,
    })
}

/// The figures of all steps together.
fn whole(totals: &Totals) -> Vec<FigureValue> {
    let all = |measure: &str, unit, more_is_better, value: Option<f64>, evidence| {
        let value = value.filter(|value| value.is_finite())?;
        let (subject, measure) = ("all steps".to_owned(), measure.to_owned());
        Some(FigureValue { subject, measure, unit, more_is_better, value, evidence })
    };
    let response = judged_response(&totals.all);
    let seconds = totals.covered.as_secs_f64();
    let ok = totals.all.of(Outcome::Ok);
    let rate = (seconds > 0.0).then(|| ok as f64 / seconds);
    let percentile = |name: &str, share| {
        all(name, Unit::Duration, false, interpolated(&response, share), response.count())
    };
    let figures = [
        percentile("p50", 0.5),
        percentile("p95", 0.95),
        percentile("p99", 0.99),
        all("errors", Unit::Share, false, totals.all.error_rate(), totals.all.judged()),
        all("throughput", Unit::PerSecond, true, rate, ok),
    ];
    figures.into_iter().flatten().collect()
}

/// CPU and memory of the components; the generator and the host are not the system.
fn components(started: &RunStarted, totals: &Totals) -> Vec<FigureValue> {
    let own = started.series.iter().zip(&totals.series).filter(|(meta, totals)| {
        totals.count > 0 && !matches!(meta.component.as_str(), "host" | "generator")
    });
    let figure = |(meta, totals): (&crucible_record::SeriesMeta, &crate::series::SeriesTotals)| {
        let (measure, value) = match meta.name.as_str() {
            "cpu" => ("avg", totals.mean()?),
            "memory" => ("max", totals.max),
            _ => return None,
        };
        Some(FigureValue {
            subject: format!("{}.{}", meta.component, meta.name),
            measure: measure.into(),
            unit: Unit::of_series(&meta.unit),
            more_is_better: false,
            value,
            evidence: totals.count,
        })
    };
    own.filter_map(figure).collect()
}

/// The value at this share, divided evenly within its bucket: the middle of a bucket would hide changes below one percent.
/// `None` if there are too few values to tell it from the largest.
fn interpolated(histogram: &Histogram, share: f64) -> Option<f64> {
    let count = histogram.count() as f64;
    if count * (1.0 - share) < 1.0 {
        return None;
    }
    let (wanted, mut seen) = (share * count, 0.0);
    for (middle, inside) in histogram.buckets() {
        if seen + inside as f64 >= wanted {
            let width = 2f64.powf((middle.0.max(1) as f64).log2().floor() - 7.0).max(1.0);
            let within = (wanted - seen) / inside as f64;
            let value = middle.0 as f64 + width * (within - 0.5);
            let (least, most) = (histogram.min()?.0 as f64, histogram.max()?.0 as f64);
            return Some(value.clamp(least, most));
        }
        seen += inside as f64;
    }
    histogram.max().map(|most| most.0 as f64)
}

/// Everything that makes two loads one, in words. What steps send is not in the record in a form that could be compared; a
/// change of it is a change of the plan, which is told where a figure changes.
fn identity(started: &RunStarted, test: usize) -> String {
    let mut text = started.tests[test].load.clone();
    for phase in started.phases.iter().filter(|phase| usize::from(phase.test) == test) {
        let _ =
            write!(text, "\nphase {} {} {:?} {}", phase.name, phase.length.0, phase.model, phase.max_users);
    }
    for index in &started.tests[test].scenarios {
        let Some(scenario) = started.scenarios.get(usize::from(*index)) else { continue };
        let _ = write!(text, "\nscenario {} {}", scenario.name, scenario.weight);
        for step in started.steps.iter().filter(|step| step.scenario == *index && step.role == "main") {
            let _ = write!(text, "\nstep {} {}", step.protocol, step.name);
        }
    }
    text
}
