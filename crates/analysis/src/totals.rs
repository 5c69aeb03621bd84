//! What a test or a phase came to.
//!
//! Invariant: "all steps" are the operations of the plan. Steps that only look whether a job is done (`follow`) and spans
//! over several operations (`timed`) have figures of their own and no part in the whole: they would count the same work
//! twice.

use crate::series::SeriesTotals;
use crucible_core::{Frame, Histogram, IterationFrame, LagFrame, MeasureFrame, Ns};
use crucible_record::{RunStarted, StepMeta, Window};

/// Whether a step is an operation of the plan's own, and so a part of "all steps".
pub fn is_operation(step: &StepMeta) -> bool {
    !matches!(step.role.as_str(), "follow" | "timed")
}

/// Totals of one test or one phase.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Begin of the first window (or of the phase, if it began without one); `None` if it never began.
    pub from: Option<Ns>,
    /// End of the last window.
    pub to: Ns,
    /// Number of windows.
    pub windows: u64,
    /// Time covered by windows.
    pub covered: Ns,
    /// By step of the plan (index = [`crucible_core::StepId`]); empty frames where nothing happened.
    pub steps: Vec<Frame>,
    /// All operations together ([`is_operation`]); without checks, which belong to their steps.
    pub all: Frame,
    /// By measure of the plan (index = [`crucible_core::MeasureId`]); empty frames where no value came.
    pub measures: Vec<MeasureFrame>,
    /// By series (index as in `started.series`): what the monitors read in that time.
    pub series: Vec<SeriesTotals>,
    /// By scenario of the plan (index = [`crucible_core::ScenarioId`]).
    pub iterations: Vec<IterationFrame>,
    /// The generator's lateness.
    pub lag: LagFrame,
    /// Arrivals whose instant had come by the schedule alone (open load).
    pub due: u64,
    /// Most active users seen.
    pub users_max: u64,
    /// CPU time of the generator process.
    pub process_cpu: Ns,
    /// Largest resident memory of the generator process, bytes.
    pub process_rss_max: u64,
}

impl Totals {
    pub(crate) fn new(started: &RunStarted) -> Totals {
        Totals {
            from: None,
            to: Ns::ZERO,
            windows: 0,
            covered: Ns::ZERO,
            steps: started.steps.iter().map(|step| Frame::new(step.checks.len())).collect(),
            all: Frame::new(0),
            measures: started.measures.iter().map(|measure| MeasureFrame::new(&measure.kind)).collect(),
            series: vec![SeriesTotals::default(); started.series.len()],
            iterations: vec![IterationFrame::default(); started.scenarios.len()],
            lag: LagFrame::default(),
            due: 0,
            users_max: 0,
            process_cpu: Ns::ZERO,
            process_rss_max: 0,
        }
    }

    /// Takes in a window all of whose indices are known; `operations` says which steps are operations.
    pub(crate) fn apply(&mut self, window: &Window, operations: &[bool]) {
        self.from = Some(self.from.map_or(window.from, |from| from.min(window.from)));
        self.to = self.to.max(window.to);
        self.windows += 1;
        self.covered += window.to.since(window.from);
        for (id, frame) in &window.steps {
            self.steps[usize::from(id.0)].merge(frame);
            if operations[usize::from(id.0)] {
                self.all.merge(frame);
            }
        }
        // checks of different steps are different checks
        self.all.checks.clear();
        for (id, frame) in &window.measures {
            self.measures[usize::from(id.0)].merge(frame);
        }
        for (id, frame) in &window.iterations {
            self.iterations[usize::from(id.0)].merge(frame);
        }
        self.lag.merge(&window.lag);
        self.due = self.due.saturating_add(window.due);
        self.users_max = self.users_max.max(window.users.active);
        self.process_cpu += window.process_cpu;
        self.process_rss_max = self.process_rss_max.max(window.process_rss);
    }

    /// All scenarios' iterations together.
    pub fn all_iterations(&self) -> IterationFrame {
        let mut all = IterationFrame::default();
        self.iterations.iter().for_each(|frame| all.merge(frame));
        all
    }
}

/// The distribution that latency thresholds judge: response times of `Ok` operations and, at their lower bound,
/// of those that never got an answer. See `docs/adr/0010-what-a-latency-percentile-counts.md`.
pub fn judged_response(frame: &Frame) -> Histogram {
    let mut judged = frame.response.clone();
    judged.merge(&frame.censored);
    judged
}
