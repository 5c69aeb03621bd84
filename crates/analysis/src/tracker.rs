//! What one threshold needs to know of the run, window by window, in constant memory.
//!
//! Percentiles are judged by exceedance: how many operations were above the limit. That needs a few counts a window,
//! not a histogram, adds up exactly over stretches, and its variance between windows tells how dependent the
//! operations are.

use crate::groups::{Beyond, Groups};
use crate::source::{Source, ValueSums};
use crate::stretch::Stretches;
use crate::totals::is_operation;
use crate::verdict::Unit;
use crucible_core::threshold::{LimitUnit, Measure, Subject, Threshold, ValueMeasure};
use crucible_core::{ErrorClass, Frame, Histogram, IterationFrame, Ns, Outcome};
use crucible_record::{RunStarted, Window};
use crucible_stats::slo::Count;

/// One threshold on one subject of one test.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    pub(crate) threshold: Threshold,
    /// Its canonical text.
    pub(crate) text: String,
    /// The subject as people read it.
    pub(crate) subject: String,
    /// Indices of the steps that belong to the subject, rising.
    pub(crate) steps: Vec<usize>,
    /// Indices of whole scenarios that belong to it; empty for single steps.
    pub(crate) scenarios: Vec<usize>,
    /// What the windows said: exceedances by band (one in all for shares, whose count does not depend on the limit),
    /// and means.
    pub(crate) groups: Groups,
    pub(crate) stretches: Option<Stretches>,
    /// Where its figures come from.
    pub(crate) source: Source,
    /// Sums of values, for measures and series.
    pub(crate) values: ValueSums,
    /// Unit of values, and its word if it is the user's own.
    pub(crate) unit: Unit,
    own_unit: String,
    /// Steps that feed measures, and which.
    pub(crate) feeding: Vec<(usize, Vec<u16>)>,
}

/// What one window (or stretch) says about a subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observation {
    pub(crate) from: Ns,
    pub(crate) to: Ns,
    /// Operations, or checks, or arrivals: what shares are shares of.
    pub(crate) n: f64,
    /// By band.
    pub(crate) beyond: Vec<Beyond>,
    /// Denominator and numerator of a mean.
    pub(crate) mean: (f64, f64),
    pub(crate) min: Option<Ns>,
    pub(crate) max: Option<Ns>,
    /// Sum and sum of squares of response times, ns.
    pub(crate) sums: (f64, f64),
}

/// The histograms that a latency measure looks at: those of `Ok` operations, and the censored ones.
pub(crate) fn latency_of<'f>(measure: &Measure, frame: &'f Frame) -> (&'f Histogram, &'f Histogram) {
    match measure {
        Measure::ServicePercentile(_) => (&frame.service, &frame.censored),
        _ => (&frame.response, &frame.censored),
    }
}

/// Limit of a share on its bad side: checks are judged by those that did not hold.
pub(crate) fn bad_limit(measure: &Measure, limit: f64) -> f64 {
    if matches!(measure, Measure::Checks) { 1.0 - limit } else { limit }
}

/// Bad ones and all, for shares; `None` for other measures.
pub(crate) fn share_of(
    measure: &Measure,
    frames: &[&Frame],
    iterations: &[&IterationFrame],
) -> Option<(u64, u64)> {
    let sum = |count: &dyn Fn(&Frame) -> u64| frames.iter().fold(0u64, |all, f| all.saturating_add(count(f)));
    let judged = || sum(&Frame::judged);
    match measure {
        Measure::Errors => Some((sum(&Frame::errors), judged())),
        Measure::ErrorsOf(class) => Some((sum(&|f| errors_of(f, *class)), judged())),
        Measure::Checks => {
            let held = sum(&|f| f.checks.iter().map(|c| c.0).sum());
            let failed = sum(&|f| f.checks.iter().map(|c| c.1).sum());
            Some((failed, held.saturating_add(failed)))
        }
        Measure::Dropped if !iterations.is_empty() => {
            Some((iterations.iter().map(|i| i.dropped).sum(), iterations.iter().map(|i| i.planned).sum()))
        }
        Measure::Dropped => Some((sum(&|f| f.of(Outcome::Dropped)), sum(&|f| f.planned))),
        _ => None,
    }
}

fn errors_of(frame: &Frame, class: ErrorClass) -> u64 {
    frame.classes[class as usize]
}

impl Tracker {
    /// One tracker for each subject that the threshold means in test `test`.
    pub(crate) fn expand(
        threshold: &Threshold,
        text: &str,
        started: &RunStarted,
        test: usize,
    ) -> Vec<Tracker> {
        let taking_part =
            |scenario: usize| started.tests[test].scenarios.iter().any(|id| usize::from(*id) == scenario);
        let named: Vec<usize> = (0..started.steps.len())
            .filter(|i| taking_part(usize::from(started.steps[*i].scenario)))
            .collect();
        // polls and timed spans are judged by their own name only
        let all_steps: Vec<usize> =
            named.iter().copied().filter(|i| is_operation(&started.steps[*i])).collect();
        let all_scenarios: Vec<usize> = (0..started.scenarios.len()).filter(|i| taking_part(*i)).collect();
        let source = Source::of(&threshold.subject, started);
        let (unit, own_unit) = source.unit(started);
        let feeding: Vec<(usize, Vec<u16>)> = match source {
            Source::Measure(_) => {
                let fed = named.iter().map(|step| (*step, started.steps[*step].measures.clone()));
                fed.filter(|(_, measures)| !measures.is_empty()).collect()
            }
            _ => Vec::new(),
        };
        let one = |subject: String, steps: Vec<usize>, scenarios: Vec<usize>| Tracker {
            threshold: threshold.clone(),
            text: text.to_owned(),
            subject,
            steps,
            scenarios,
            groups: Groups::default(),
            stretches: threshold.over.map(Stretches::new),
            source,
            values: ValueSums::new(threshold, source, started),
            unit,
            own_unit: own_unit.clone(),
            feeding: feeding.clone(),
        };
        match &threshold.subject {
            Subject::All => vec![one("all steps".into(), all_steps, all_scenarios)],
            Subject::Each => all_steps
                .iter()
                .map(|index| one(started.steps[*index].name.clone(), vec![*index], Vec::new()))
                .collect(),
            Subject::Step(name) => {
                let steps = named.into_iter().filter(|i| started.steps[*i].name == *name).collect();
                vec![one(name.clone(), steps, Vec::new())]
            }
            Subject::Scenario(name) => {
                let scenarios: Vec<usize> =
                    all_scenarios.into_iter().filter(|i| started.scenarios[*i].name == *name).collect();
                let steps = all_steps
                    .into_iter()
                    .filter(|i| scenarios.contains(&usize::from(started.steps[*i].scenario)))
                    .collect();
                vec![one(format!("scenario {name}"), steps, scenarios)]
            }
            Subject::Measure(name) => vec![one(name.clone(), Vec::new(), Vec::new())],
            Subject::Series { component, name } => {
                vec![one(format!("{component}.{name}"), Vec::new(), Vec::new())]
            }
        }
    }

    /// The figure as people read it.
    pub(crate) fn label(&self) -> String {
        let side = |word: &str, limit: f64| format!("time {word} {}", self.unit.show(limit));
        match &self.threshold.measure {
            Measure::Value(ValueMeasure::Above(limit), _) => side("above", *limit),
            Measure::Value(ValueMeasure::Below(limit), _) => side("below", *limit),
            measure if !self.own_unit.is_empty() && measure.unit() == LimitUnit::Number => {
                format!("{} in {}", measure.name(), self.own_unit)
            }
            measure => measure.name(),
        }
    }

    /// Takes in one reading of a series in its test.
    pub(crate) fn read(&mut self, series: usize, at: Ns, value: f64) {
        if self.source == Source::Series(series) {
            self.values.reading(&self.threshold, at, value);
        }
    }

    /// Takes in one window of its test that began at `test_began`.
    pub(crate) fn apply(&mut self, window: &Window, test_began: Ns) {
        if self.source != Source::Steps {
            if let Source::Measure(index) = self.source {
                self.values.window(&self.threshold, index, window);
            }
            return;
        }
        let observation = self.observe(window);
        self.groups.push(window.phase, &observation);
        let due = window.from >= test_began + self.threshold.after;
        if let Some(stretches) = self.stretches.as_mut().filter(|_| due) {
            stretches.push(observation, &self.threshold);
        }
    }

    fn observe(&self, window: &Window) -> Observation {
        let frames: Vec<&Frame> = window
            .steps
            .iter()
            .filter(|(id, _)| self.steps.binary_search(&usize::from(id.0)).is_ok())
            .map(|(_, frame)| frame)
            .collect();
        let iterations: Vec<&IterationFrame> = window
            .iterations
            .iter()
            .filter(|(id, _)| self.scenarios.contains(&usize::from(id.0)))
            .map(|(_, frame)| frame)
            .collect();
        let mut seen = Observation { from: window.from, to: window.to, ..Observation::default() };
        let measure = &self.threshold.measure;
        if let Some((bad, all)) = share_of(measure, &frames, &iterations) {
            seen.n = all as f64;
            seen.beyond = vec![Beyond::share(bad as f64)];
            return seen;
        }
        if matches!(measure, Measure::Throughput) {
            let ok: u64 = frames.iter().map(|f| f.of(Outcome::Ok)).sum();
            seen.mean = (window.to.since(window.from).as_secs_f64(), ok as f64);
            return seen;
        }
        if matches!(measure, Measure::Percentile(_) | Measure::ServicePercentile(_)) {
            seen.beyond = vec![Beyond::default(); self.threshold.bands.len()];
        }
        for frame in frames {
            let (answered, cut) = latency_of(measure, frame);
            seen.n += (answered.count() + cut.count()) as f64;
            for (counts, band) in seen.beyond.iter_mut().zip(&self.threshold.bands) {
                counts.add(&exceedances(answered, cut, band.limit), 1.0);
            }
            for histogram in [answered, cut] {
                seen.min = seen.min.into_iter().chain(histogram.min()).min();
                seen.max = seen.max.into_iter().chain(histogram.max()).max();
                let (sum, squares) = sums(histogram);
                seen.sums = (seen.sums.0 + sum, seen.sums.1 + squares);
            }
        }
        seen.mean = (seen.n, seen.sums.0);
        seen
    }
}

/// Operations beyond a limit; what was cut off before it is counted as possibly beyond.
fn exceedances(answered: &Histogram, cut: &Histogram, limit: f64) -> Beyond {
    let seconds = 1.0;
    let of = |histogram| Count::latency(histogram, Ns(limit.max(0.0).round() as u64), seconds);
    let (answered, known, all) = (of(answered), of(cut).bad, cut.count() as f64);
    Beyond {
        known: answered.bad + known,
        possible: answered.bad + all,
        near: answered.near + all,
        around: (answered.around.0 + all, answered.around.1 + all),
    }
}

/// Sum and sum of squares of a histogram's values, ns.
fn sums(histogram: &Histogram) -> (f64, f64) {
    let (n, sum) = (histogram.count() as f64, histogram.sum() as f64);
    if n == 0.0 {
        return (0.0, 0.0);
    }
    let mean = sum / n;
    let deviation = histogram.stddev().map_or(0.0, |d| d.0 as f64);
    (sum, deviation * deviation * (n - 1.0) + n * mean * mean)
}
