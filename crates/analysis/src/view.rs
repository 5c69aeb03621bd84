//! A run as it is known so far: totals, timeline and running sums, in memory that does not grow with its length.
//!
//! Place in the flow: `RunEvent` log -> `RunView` -> criteria -> verdict, and -> report formats. The same view
//! serves the live display (events applied as they come) and a stored record.
//!
//! Invariants: applying events never fails on foreign figures (indices beyond the tables are noted, not
//! followed); memory depends on the plan only, never on the number of windows.

use crate::timeline::Timeline;
use crucible_core::{Frame, Histogram, IterationFrame, LagFrame, Ns};
use crucible_record::{ErrorNote, Finished, Gap, Note, RunEvent, RunStarted, StoreError};
use std::fmt;

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
    /// All steps together.
    pub all: Frame,
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

/// Whether and how the run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The record has its last entry.
    Complete,
    /// It has not: the run is still going on, or was killed.
    Open,
}

/// Why no view could be made.
#[derive(Debug)]
pub enum ViewError {
    /// The log does not begin with [`RunEvent::Started`].
    NoStart,
    /// The store could not be read.
    Store(StoreError),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ViewError::NoStart => {
                f.write_str("the record has no readable beginning, nothing can be said about the run")
            }
            ViewError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ViewError {}

/// Conservation of work: what came in must have come out or still be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conservation {
    /// Windows whose step counts did not add up.
    pub broken_step_windows: u64,
    /// Windows whose iteration counts did not add up.
    pub broken_iteration_windows: u64,
    /// The first violation in words.
    pub first: Option<String>,
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct RunView {
    /// What was known before the first byte.
    pub started: RunStarted,
    /// By test, in the order of `started.tests`.
    pub tests: Vec<Totals>,
    /// By phase, in the order of `started.phases`.
    pub phases: Vec<Totals>,
    /// Index of the phase that is or was last under way.
    pub current_phase: Option<usize>,
    /// The run over time.
    pub timeline: Timeline,
    /// Notes in order.
    pub notes: Vec<Note>,
    /// Gaps in order, damaged entries of the record included.
    pub gaps: Vec<Gap>,
    /// Failure texts; known at the end.
    pub errors: Vec<ErrorNote>,
    /// The end; `None` while the run goes on, or if it was killed.
    pub finished: Option<Finished>,
    /// Whether counts added up.
    pub conservation: Conservation,
}

impl RunView {
    /// The view of a run of which nothing but its plan is known.
    pub fn new(started: RunStarted) -> RunView {
        let (steps, scenarios) = (&started.steps, started.scenarios.len());
        let tests = started.tests.iter().map(|_| Totals::new(steps, scenarios)).collect();
        let phases = started.phases.iter().map(|_| Totals::new(steps, scenarios)).collect();
        RunView {
            tests,
            phases,
            current_phase: None,
            timeline: Timeline::default(),
            notes: Vec::new(),
            gaps: Vec::new(),
            errors: Vec::new(),
            finished: None,
            conservation: Conservation::default(),
            started,
        }
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &RunEvent) {
        let _ = event;
    }

    /// The view of a whole log. Damaged entries become gaps; other errors of the store end it.
    pub fn from_events<I>(events: I) -> Result<RunView, ViewError>
    where
        I: IntoIterator<Item = Result<RunEvent, StoreError>>,
    {
        let mut events = events.into_iter();
        match events.next() {
            Some(Ok(RunEvent::Started(started))) => Ok(RunView::new(*started)),
            _ => Err(ViewError::NoStart),
        }
    }

    /// Whether the record has its last entry.
    pub fn completeness(&self) -> Completeness {
        if self.finished.is_some() { Completeness::Complete } else { Completeness::Open }
    }
}

impl Totals {
    fn new(steps: &[crucible_record::StepMeta], scenarios: usize) -> Totals {
        Totals {
            from: None,
            to: Ns::ZERO,
            windows: 0,
            covered: Ns::ZERO,
            steps: steps.iter().map(|step| Frame::new(step.checks.len())).collect(),
            all: Frame::new(0),
            iterations: vec![IterationFrame::default(); scenarios],
            lag: LagFrame::default(),
            due: 0,
            users_max: 0,
            process_cpu: Ns::ZERO,
            process_rss_max: 0,
        }
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
