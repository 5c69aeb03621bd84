//! One run from start to verdict: engine, record, view and live display tied together.

use crate::exit::{self, CliError};
use crate::live::Live;
use crate::watch::Watch;
use crate::{catalogue, out, stop};
use crucible_analysis::{Assessment, RunView, Verdict, assess, broken_abort};
use crucible_core::{Histogram, Ns};
use crucible_engine::{Control, Job, Options, POLL_SHARE, describe, measure_wakeups, system};
use crucible_harness::machine;
use crucible_plan::Plan;
use crucible_record::{Note, NoteKind, RunEvent, RunStarted, RunWriter, StopReason, Store, new_run_id};
use std::sync::Arc;

/// How a run is conducted.
pub struct Conduct {
    /// Where it is recorded.
    pub store: Option<Store>,
    /// Number of shards, instead of the suitable one.
    pub shards: Option<u32>,
    /// Run the load before all ordinary work of this machine.
    pub realtime: bool,
    /// What is shown while it goes on.
    pub live: Live,
    /// What the run is of, secrets masked.
    pub labels: Vec<(String, String)>,
}

/// What came out.
pub struct Conducted {
    /// Everything that was counted.
    pub view: RunView,
    /// The verdict.
    pub assessment: Assessment,
}

impl Conducted {
    /// The exit code: the user's stop goes before a verdict that would otherwise be a pass or undecided.
    pub fn code(&self, allow_inconclusive: bool) -> u8 {
        let interrupted =
            self.view.finished.as_ref().is_some_and(|finished| finished.reason == StopReason::Interrupted);
        match self.assessment.verdict {
            Verdict::Pass | Verdict::Inconclusive if interrupted => exit::INTERRUPTED,
            verdict => exit::of(verdict, allow_inconclusive),
        }
    }
}

/// The wake-up error that polling makes up for lies within these bounds: below, the timer is as good; above, the machine
/// is so busy that polling would not help.
const LEAST_EARLY: Ns = Ns::from_micros(20);
const MOST_EARLY: Ns = Ns::from_micros(60);

/// Runs `tests` of `plan` to the verdict.
pub fn conduct(plan: Plan, tests: Vec<usize>, how: Conduct) -> Result<Conducted, CliError> {
    let files = system::raise_file_limit();
    let protocol = catalogue::protocol(&plan)
        .map_err(|why| CliError::usage(format!("failed to prepare the requests: {why}")))?;
    let mut options = Options::suited_to(&plan, &tests);
    if let Some(shards) = how.shards {
        options.shards = shards.max(1);
    }
    options.realtime = how.realtime;
    let late = measure_wakeups(60, Ns::from_micros(700)).map_err(|e| CliError::internal(e.to_string()))?;
    options.early = late.quantile(0.9).unwrap_or_default().clamp(LEAST_EARLY, MOST_EARLY);
    let mut started = started(&plan, &tests, &options, files, &late);
    let monitors = Watch::new(&[&plan], &mut started);
    let Conduct { store, mut live, labels, .. } = how;
    started.labels = labels;
    live.begin(&started, files);
    let mut recorder = Recorder::begin(store.as_ref(), &started)?;
    let mut view = RunView::new(started);
    let control = Control::new();
    let watch = stop::Watch::start(&control);
    let job = Job {
        plan: Arc::new(plan),
        tests,
        protocol: Arc::new(protocol),
        options,
        control: control.clone(),
        unix_start: Ns::from_millis(view.started.started_unix_ms),
    };
    let mut watching = monitors.start();
    let outcome = crucible_engine::run(job, &mut |event| {
        if matches!(event, RunEvent::Finished(_)) {
            watching.stop();
        }
        for event in watching.take() {
            recorder.pass_on(&event, &mut view);
        }
        recorder.pass_on(&event, &mut view);
        if let Some(threshold) = broken_abort(&view) {
            control.drain(StopReason::Threshold(threshold));
        }
        live.follow(&view, &event);
    });
    live.end();
    drop(watch);
    if let Err(error) = outcome {
        recorder.close();
        return Err(CliError::internal(error.to_string()));
    }
    Ok(recorder.finish(store.as_ref(), view))
}

pub(crate) fn started(
    plan: &Plan,
    tests: &[usize],
    options: &Options,
    files: u64,
    late: &Histogram,
) -> RunStarted {
    let (unix_ms, random) = machine::wall_clock();
    let shown = |share| late.quantile(share).unwrap_or_default();
    let mut started = describe(plan, tests);
    started.run = new_run_id(unix_ms, random);
    started.tool = env!("CARGO_PKG_VERSION").into();
    started.started_unix_ms = unix_ms;
    started.shards = options.shards;
    started.pacing = format!(
        "timerfd, 1 ns timer slack, polling for the last {} of waits of {} and more; wake-up error before the run p50 \
         {}, p99 {}",
        options.early,
        Ns(options.early.0 * POLL_SHARE),
        shown(0.5),
        shown(0.99)
    );
    started.environment = machine::facts(files);
    started.environment.push(("shards".into(), options.shards.to_string()));
    started.environment.push(("pinned".into(), options.pin.to_string()));
    started.environment.push(("realtime".into(), options.realtime.to_string()));
    started
}

/// Writes the record, and goes on when that fails: the load must not suffer, but the verdict will.
pub(crate) struct Recorder {
    writer: Option<RunWriter>,
    told: bool,
}

impl Recorder {
    pub(crate) fn begin(store: Option<&Store>, started: &RunStarted) -> Result<Recorder, CliError> {
        let writer = store
            .map(|store| store.begin(started))
            .transpose()
            .map_err(|e| CliError::usage(format!("failed to begin the record: {e}")))?;
        Ok(Recorder { writer, told: false })
    }

    /// Writes an event and applies it to the view.
    pub(crate) fn pass_on(&mut self, event: &RunEvent, view: &mut RunView) {
        if let Some(note) = self.take(event) {
            view.apply(&RunEvent::Note(note));
        }
        view.apply(event);
    }

    /// Writes an event; a note about the first failure.
    pub(crate) fn take(&mut self, event: &RunEvent) -> Option<Note> {
        let error = self.writer.as_mut()?.append(event).err()?;
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        out::note(&format!(
            "warning: failed to write the record: {error}; the load goes on, the run is invalid"
        ));
        let at = match event {
            RunEvent::Window(window) => window.to,
            RunEvent::Finished(finished) => finished.at,
            RunEvent::Phase(phase) => phase.at,
            RunEvent::Reading(reading) => reading.at,
            _ => Ns::ZERO,
        };
        Some(Note { at, kind: NoteKind::Invalid, text: format!("the record could not be written: {error}") })
    }

    /// Closes the record and judges what it holds.
    pub(crate) fn finish(self, store: Option<&Store>, view: RunView) -> Conducted {
        self.close();
        let assessment = assess(&view);
        if let Some(store) = store {
            // the list of runs shows it; the record itself does not depend on it
            let _ = store.set_verdict(&view.started.run, assessment.verdict.name());
        }
        Conducted { view, assessment }
    }

    fn close(self) {
        if let Some(Err(error)) = self.writer.map(RunWriter::finish) {
            out::note(&format!("warning: failed to close the record: {error}"));
        }
    }
}
