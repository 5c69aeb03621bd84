//! A run as it is known so far: totals, timeline and running sums, in memory that does not grow with its length.
//!
//! Place in the flow: `RunEvent` log -> `RunView` -> criteria -> verdict, and -> report formats. The same view
//! serves the live display (events applied as they come) and a stored record.
//!
//! Invariants: applying events never fails on foreign figures (indices beyond the tables are noted, not
//! followed); memory depends on the plan only, never on the number of windows.

use crate::bounded::Bounded;
use crate::conservation::Conservation;
use crate::growth::{self, Course};
use crate::series::{SeriesPoint, SeriesTotals};
use crate::timeline::{Point, Timeline};
use crate::totals::{Totals, is_operation};
use crate::tracker::Tracker;
use crate::warmup::Settling;
use crucible_core::threshold::Threshold;
use crucible_core::{Ns, WarmUp};
use crucible_record::{
    ErrorNote, Finding, Finished, Gap, Note, NoteKind, Planned, Reading, RunEvent, RunStarted, StoreError,
    Window,
};
use std::fmt;

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

/// Most points in which readings are kept over time.
pub const MOST_SERIES_POINTS: usize = 720;

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
    /// By series of `started.series`: what the monitors read in the whole run, before and after its tests too.
    pub series: Vec<SeriesTotals>,
    /// What the monitors read over time.
    pub readings: Bounded<SeriesPoint>,
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
    /// By test and series: what can be used up, over time; `None` for what cannot.
    pub(crate) courses: Vec<Vec<Option<Course>>>,
    /// By phase: how it came to its level.
    pub(crate) settling: Vec<Settling>,
    /// By step: whether it is an operation of the plan's own.
    pub(crate) operations: Vec<bool>,
}

impl RunView {
    /// The view of a run of which nothing but its plan is known.
    pub fn new(started: RunStarted) -> RunView {
        let mut view = RunView {
            tests: Vec::new(),
            phases: Vec::new(),
            current_phase: None,
            timeline: Timeline::default(),
            series: vec![SeriesTotals::default(); started.series.len()],
            readings: Bounded::new(MOST_SERIES_POINTS),
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
            courses: Vec::new(),
            settling: Vec::new(),
            operations: started.steps.iter().map(is_operation).collect(),
            started,
        };
        view.make_room();
        view
    }

    /// Makes room for tests and phases that have become known.
    fn make_room(&mut self) {
        let started = &self.started;
        let totals = || Totals::new(started);
        self.phases.resize_with(started.phases.len(), totals);
        for meta in &started.phases[self.settling.len()..] {
            let warm_up = started.tests.get(usize::from(meta.test)).map_or(WarmUp::Keep, |test| test.warm_up);
            self.settling.push(Settling::new(meta, warm_up));
        }
        for index in self.tests.len()..started.tests.len() {
            self.tests.push(totals());
            let kept = started.series.iter().map(|meta| growth::is_kept(&meta.name).then(Course::new));
            self.courses.push(kept.collect());
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
                    view.gap(Gap { from: at, to: at, text: error.to_string(), ..Gap::default() });
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
            RunEvent::Reading(reading) => self.reading(reading),
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
            && window.measures.iter().all(|(id, _)| usize::from(id.0) < self.started.measures.len())
            && window.iterations.iter().all(|(id, _)| usize::from(id.0) < self.started.scenarios.len());
        if !known {
            return self.foreign("a window with steps, scenarios or measures that the plan does not have");
        }
        self.current_phase = Some(phase);
        self.phases[phase].apply(window, &self.operations);
        self.tests[test].apply(window, &self.operations);
        let began = self.tests[test].from.unwrap_or(window.from);
        let phase_began = self.phases[phase].from.unwrap_or(window.from);
        let fixed = match self.started.tests[test].warm_up {
            WarmUp::First(length) => Some(began + length).filter(|until| phase_began < *until),
            _ => None,
        };
        self.settling[phase].apply(window, &self.operations, phase_began, fixed);
        for tracker in &mut self.trackers[test] {
            tracker.apply(window, began);
        }
        self.conservation.apply(window);
        self.timeline.push(Point::of(window, &self.operations));
    }

    /// A reading belongs to the last phase that began before it.
    fn reading(&mut self, reading: &Reading) {
        if reading.values.iter().any(|(index, _)| usize::from(*index) >= self.series.len()) {
            return self.foreign("a reading of a series that the plan does not have");
        }
        let began = |totals: &Totals| totals.from.is_some_and(|from| from <= reading.at);
        let phase =
            self.current_phase.and_then(|last| (0..=last).rev().find(|index| began(&self.phases[*index])));
        let test = phase.map(|phase| usize::from(self.started.phases[phase].test));
        for (index, value) in &reading.values {
            let index = usize::from(*index);
            self.series[index].push(reading.at, *value);
            if let (Some(phase), Some(test)) = (phase, test.filter(|test| *test < self.tests.len())) {
                self.phases[phase].series[index].push(reading.at, *value);
                self.tests[test].series[index].push(reading.at, *value);
                if let Some(course) = &mut self.courses[test][index] {
                    course.push(reading.at, *value);
                }
                for tracker in &mut self.trackers[test] {
                    tracker.read(index, reading.at, *value);
                }
            }
        }
        self.readings.push(SeriesPoint::of(reading, self.series.len()));
    }

    fn gap(&mut self, gap: Gap) {
        // a component that was not read says nothing about the run's own windows
        self.conservation.interrupted |= gap.component.is_empty();
        if self.gaps.len() < MOST_NOTES {
            self.gaps.push(gap);
        } else {
            self.notes_not_kept += 1;
        }
    }

    fn foreign(&mut self, what: &str) {
        let at = self.now();
        self.gap(Gap {
            from: at,
            to: at,
            text: format!("the record holds {what}; it was passed over"),
            ..Gap::default()
        });
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
