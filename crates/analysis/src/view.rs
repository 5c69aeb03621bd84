//! A run as it is known so far: totals, timeline and running sums, in memory that does not grow with its length.
//!
//! Place in the flow: `RunEvent` log -> `RunView` -> criteria -> verdict, and -> report formats. The same view
//! serves the live display (events applied as they come) and a stored record.
//!
//! Invariants: applying events never fails on foreign figures (indices beyond the tables are noted, not
//! followed); memory depends on the plan only, never on the number of windows.

use crate::timeline::{Point, Timeline};
use crate::tracker::Tracker;
use crucible_core::threshold::Threshold;
use crucible_core::{Frame, Histogram, IterationFrame, LagFrame, Ns};
use crucible_record::{
    ErrorNote, Finding, Finished, Gap, Note, NoteKind, Planned, RunEvent, RunStarted, StoreError, Window,
};
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
    /// All steps together; without checks, which belong to their steps.
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
    /// Operations planned, ended, and under way at the end of the last window.
    pub steps: Balance,
    /// The same for iterations.
    pub iterations: Balance,
    /// Something was not observed since the last window, so the next one cannot be compared with it.
    interrupted: bool,
}

/// What came in, what came out and what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Came in.
    pub planned: u64,
    /// Came out.
    pub ended: u64,
    /// There after the last window.
    pub in_flight: u64,
}

impl Balance {
    /// Takes in a window; `false` if it does not add up.
    fn apply(&mut self, planned: u64, ended: u64, in_flight: u64) -> bool {
        let holds =
            u128::from(self.in_flight) + u128::from(planned) == u128::from(ended) + u128::from(in_flight);
        self.planned = self.planned.saturating_add(planned);
        self.ended = self.ended.saturating_add(ended);
        self.in_flight = in_flight;
        holds
    }
}

impl Conservation {
    fn apply(&mut self, window: &Window) {
        let skip = std::mem::take(&mut self.interrupted);
        let sum = |counts: &mut dyn Iterator<Item = u64>| counts.fold(0u64, u64::saturating_add);
        let planned = sum(&mut window.steps.iter().map(|(_, f)| f.planned));
        let ended = sum(&mut window.steps.iter().map(|(_, f)| f.ended()));
        let before = self.steps.in_flight;
        if !self.steps.apply(planned, ended, window.in_flight) && !skip {
            self.broken_step_windows += 1;
            self.tell("operations", window, before, planned, ended, window.in_flight);
        }
        let planned = sum(&mut window.iterations.iter().map(|(_, f)| f.planned));
        let ended = sum(&mut window.iterations.iter().map(|(_, f)| f.ended()));
        let (before, after) = (self.iterations.in_flight, window.iterations_in_flight);
        if !self.iterations.apply(planned, ended, after) && !skip {
            self.broken_iteration_windows += 1;
            self.tell("iterations", window, before, planned, ended, after);
        }
    }

    fn tell(&mut self, what: &str, window: &Window, before: u64, planned: u64, ended: u64, after: u64) {
        self.first.get_or_insert_with(|| {
            format!(
                "{what} from {} to {}: {before} under way before + {planned} planned is not {ended} ended + {after} \
                 under way after",
                window.from, window.to
            )
        });
    }
}

/// Most notes and gaps that are kept; further ones are counted.
pub const MOST_NOTES: usize = 1_000;

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
    /// Notes in order, the first [`MOST_NOTES`].
    pub notes: Vec<Note>,
    /// Gaps in order, damaged entries of the record included, the first [`MOST_NOTES`].
    pub gaps: Vec<Gap>,
    /// Notes and gaps beyond those.
    pub notes_not_kept: u64,
    /// Whether any note, kept or not, says that the measurement cannot be trusted.
    pub invalidated: bool,
    /// Failure texts; known at the end.
    pub errors: Vec<ErrorNote>,
    /// The end; `None` while the run goes on, or if it was killed.
    pub finished: Option<Finished>,
    /// What searches and experiments came to, the first [`MOST_NOTES`].
    pub findings: Vec<Finding>,
    /// Whether counts added up.
    pub conservation: Conservation,
    /// By test.
    pub(crate) trackers: Vec<Vec<Tracker>>,
    /// By test: thresholds that this version cannot read, with the reason.
    pub(crate) unreadable: Vec<Vec<(String, String)>>,
}

impl RunView {
    /// The view of a run of which nothing but its plan is known.
    pub fn new(started: RunStarted) -> RunView {
        let mut view = RunView {
            tests: Vec::new(),
            phases: Vec::new(),
            current_phase: None,
            timeline: Timeline::default(),
            notes: Vec::new(),
            gaps: Vec::new(),
            notes_not_kept: 0,
            invalidated: false,
            errors: Vec::new(),
            finished: None,
            findings: Vec::new(),
            conservation: Conservation::default(),
            trackers: Vec::new(),
            unreadable: Vec::new(),
            started,
        };
        view.make_room();
        view
    }

    /// Makes room for tests and phases that have become known.
    fn make_room(&mut self) {
        let started = &self.started;
        let totals = || Totals::new(&started.steps, started.scenarios.len());
        self.phases.resize_with(started.phases.len(), totals);
        for index in self.tests.len()..started.tests.len() {
            self.tests.push(totals());
            let (mut trackers, mut unreadable) = (Vec::new(), Vec::new());
            for text in &started.tests[index].thresholds {
                match text.parse::<Threshold>() {
                    Ok(threshold) => trackers.extend(Tracker::expand(&threshold, text, started, index)),
                    Err(error) => unreadable.push((text.clone(), error.to_string())),
                }
            }
            self.trackers.push(trackers);
            self.unreadable.push(unreadable);
        }
    }

    /// The view of a whole log. Damaged entries become gaps; other errors of the store end it.
    pub fn from_events<I>(events: I) -> Result<RunView, ViewError>
    where
        I: IntoIterator<Item = Result<RunEvent, StoreError>>,
    {
        let mut events = events.into_iter();
        let mut view = match events.next() {
            Some(Ok(RunEvent::Started(started))) => RunView::new(*started),
            Some(Err(error)) if !error.is_damage() => return Err(ViewError::Store(error)),
            _ => return Err(ViewError::NoStart),
        };
        for event in events {
            match event {
                Ok(event) => view.apply(&event),
                Err(error) if error.is_damage() => {
                    let at = view.now();
                    view.gap(Gap { from: at, to: at, text: error.to_string() });
                }
                Err(error) => return Err(ViewError::Store(error)),
            }
        }
        Ok(view)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started(_) => self.foreign("a second beginning"),
            RunEvent::Phase(phase) => {
                let index = usize::from(phase.phase);
                if index >= self.phases.len() {
                    return self.foreign("a phase that the plan does not have");
                }
                self.current_phase = Some(index);
                self.phases[index].from.get_or_insert(phase.at);
            }
            RunEvent::Window(window) => self.window(window),
            RunEvent::Planned(planned) => self.plan(planned),
            RunEvent::Reading(_) => {}
            RunEvent::Finding(finding) if self.findings.len() < MOST_NOTES => {
                self.findings.push(finding.clone())
            }
            RunEvent::Finding(_) => self.notes_not_kept += 1,
            RunEvent::Note(note) => {
                self.invalidated |= note.kind == NoteKind::Invalid;
                if self.notes.len() < MOST_NOTES {
                    self.notes.push(note.clone());
                } else {
                    self.notes_not_kept += 1;
                }
            }
            RunEvent::Gap(gap) => self.gap(gap.clone()),
            RunEvent::Finished(finished) => {
                self.errors.clone_from(&finished.errors);
                self.finished = Some(finished.clone());
            }
        }
    }

    fn plan(&mut self, planned: &Planned) {
        const MOST: usize = 20_000;
        let tests = self.started.tests.len() + planned.tests.len();
        let known = planned.phases.iter().all(|phase| usize::from(phase.test) < tests);
        if !known || tests > MOST || self.started.phases.len() + planned.phases.len() > MOST {
            return self.foreign("phases of tests that nobody knows");
        }
        self.started.tests.extend(planned.tests.iter().cloned());
        self.started.phases.extend(planned.phases.iter().cloned());
        self.make_room();
    }

    fn window(&mut self, window: &Window) {
        let phase = usize::from(window.phase);
        let test = self.started.phases.get(phase).map(|meta| usize::from(meta.test));
        let Some(test) = test.filter(|test| *test < self.tests.len()) else {
            return self.foreign("a window of a phase that the plan does not have");
        };
        let known = window.steps.iter().all(|(id, _)| usize::from(id.0) < self.started.steps.len())
            && window.iterations.iter().all(|(id, _)| usize::from(id.0) < self.started.scenarios.len());
        if !known {
            return self.foreign("a window with steps or scenarios that the plan does not have");
        }
        self.current_phase = Some(phase);
        self.phases[phase].apply(window);
        self.tests[test].apply(window);
        let began = self.tests[test].from.unwrap_or(window.from);
        for tracker in &mut self.trackers[test] {
            tracker.apply(window, began);
        }
        self.conservation.apply(window);
        self.timeline.push(Point::of(window));
    }

    fn gap(&mut self, gap: Gap) {
        self.conservation.interrupted = true;
        if self.gaps.len() < MOST_NOTES {
            self.gaps.push(gap);
        } else {
            self.notes_not_kept += 1;
        }
    }

    fn foreign(&mut self, what: &str) {
        let at = self.now();
        self.gap(Gap { from: at, to: at, text: format!("the record holds {what}; it was passed over") });
    }

    /// The latest instant that the record tells of.
    pub fn now(&self) -> Ns {
        let last = self.timeline.last().map_or(Ns::ZERO, |point| point.to);
        self.finished.as_ref().map_or(last, |finished| finished.at.max(last))
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

    fn apply(&mut self, window: &Window) {
        self.from = Some(self.from.map_or(window.from, |from| from.min(window.from)));
        self.to = self.to.max(window.to);
        self.windows += 1;
        self.covered += window.to.since(window.from);
        for (id, frame) in &window.steps {
            self.steps[usize::from(id.0)].merge(frame);
            self.all.merge(frame);
        }
        // checks of different steps are different checks
        self.all.checks.clear();
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
