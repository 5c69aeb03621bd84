//! Several loads in one record, each decided on when the one before has been seen: what searches and paired comparisons
//! stand on.
//!
//! Every leg is a test of its own with one phase; the record gains it when it begins, so that the whole search can be
//! judged again from the record alone.

use crate::conduct::{Conduct, Conducted, Recorder, started};
use crate::exit::CliError;
use crate::live::Live;
use crate::stop;
use crate::watch::{Watch, Watching};
use crucible_analysis::{RunView, Verdict};
use crucible_core::{Now, Ns, Protocol, Rng};
use crucible_engine::clock::Epoch;
use crucible_engine::{Control, Job, Options, describe, measure_wakeups, system};
use crucible_plan::{Plan, Test};
use crucible_record::{Finding, Finished, Planned, Reading, RunEvent, StopReason, Store, Window};
use std::sync::Arc;

/// A system that load is put on: the plan read for its address, and the protocol with the plan's steps prepared.
pub struct Arm<P> {
    /// The plan.
    pub plan: Plan,
    /// The protocol.
    pub protocol: Arc<P>,
}

/// See the module text.
pub struct Conductor<P: Protocol> {
    arms: Vec<Arm<P>>,
    options: Options,
    epoch: Epoch,
    store: Option<Store>,
    recorder: Recorder,
    live: Live,
    watching: Watching,
    view: RunView,
    errors: Vec<crucible_record::ErrorNote>,
    readings: Vec<Reading>,
    interrupted: bool,
}

/// What came of a leg.
pub struct Leg {
    /// Its windows in order.
    pub windows: Vec<Window>,
    /// Whether it was ended early, by the caller's wish.
    pub cut: bool,
}

impl<P: Protocol> Conductor<P> {
    /// Begins the record of an experiment, which its finding of this kind is the verdict of. The arms' plans are one plan for
    /// several addresses; their own tests are not run.
    pub fn begin(
        experiment: &str,
        arms: Vec<Arm<P>>,
        options: Options,
        how: Conduct,
    ) -> Result<Conductor<P>, CliError> {
        let plan = &arms.first().ok_or_else(|| CliError::internal("there is nothing to load"))?.plan;
        let files = system::raise_file_limit();
        let late =
            measure_wakeups(60, Ns::from_micros(700)).map_err(|e| CliError::internal(e.to_string()))?;
        let started = started(plan, &[], &options, files, &late);
        let mut started = started;
        if let [_, others @ ..] = &arms[..] {
            let more = others.iter().filter_map(|arm| arm.plan.target.as_deref());
            started.target =
                std::iter::once(started.target.as_str()).chain(more).collect::<Vec<_>>().join(" and ");
        }
        let plans: Vec<&Plan> = arms.iter().map(|arm| &arm.plan).collect();
        let monitors = Watch::new(&plans, &mut started);
        let Conduct { store, live, labels, .. } = how;
        started.labels = labels;
        started.experiment = experiment.to_owned();
        live.begin(&started, files);
        let recorder = Recorder::begin(store.as_ref(), &started)?;
        let view = RunView::new(started);
        Ok(Conductor {
            arms,
            options,
            watching: monitors.start(),
            epoch: Epoch::start(),
            store,
            recorder,
            live,
            view,
            errors: Vec::new(),
            readings: Vec::new(),
            interrupted: false,
        })
    }

    /// The plan of the first arm.
    pub fn plan(&self) -> &Plan {
        &self.arms[0].plan
    }

    /// Whether the user stopped it.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Puts the load of `test` on an arm, with a seed of its own for each `turn`; `enough` sees the windows so far after each of
    /// them and says whether to end it.
    pub fn leg(
        &mut self,
        arm: usize,
        test: Test,
        turn: u64,
        mut enough: impl FnMut(&[Window]) -> bool,
    ) -> Result<Leg, CliError> {
        let name = test.name.clone();
        let (tests, phases) = (self.view.started.tests.len(), self.view.started.phases.len());
        let mut plan = self.arms[arm].plan.clone();
        plan.tests = vec![test];
        plan.seed = seed_of(plan.seed, turn);
        let described = describe(&plan, &[0]);
        let mut planned = Planned { tests: described.tests, phases: described.phases };
        planned.phases.iter_mut().for_each(|phase| phase.test = tests as u16);
        self.take(&RunEvent::Planned(Box::new(planned)));
        let control = Control::new();
        let watch = stop::Watch::start(&control);
        let offset = self.epoch.now();
        let job = Job {
            plan: Arc::new(plan),
            tests: vec![0],
            protocol: Arc::clone(&self.arms[arm].protocol),
            options: self.options.clone(),
            control: control.clone(),
            // names that are made of the time are new in each leg
            unix_start: Ns::from_millis(self.view.started.started_unix_ms) + offset,
        };
        let mut leg = Leg { windows: Vec::new(), cut: false };
        let outcome = crucible_engine::run(job, &mut |event| {
            let Some(event) = rebase(event, phases as u16, offset, &mut self.errors) else { return };
            self.take(&event);
            if let RunEvent::Window(window) = event {
                leg.windows.push(*window);
                if !leg.cut && enough(&leg.windows) {
                    leg.cut = true;
                    control.drain(StopReason::Completed);
                }
            }
        });
        drop(watch);
        self.interrupted |= control.reason() == Some(StopReason::Interrupted);
        outcome.map_err(|error| CliError::internal(error.to_string()))?;
        if leg.windows.is_empty() && !self.interrupted {
            let why = match control.reason() {
                Some(StopReason::Error(why)) => why,
                _ => "it made no load at all".to_owned(),
            };
            return Err(CliError::internal(format!("failed to put on the load of `{name}`: {why}")));
        }
        Ok(leg)
    }

    /// What the monitors have read since the last call.
    pub fn readings(&mut self) -> Vec<Reading> {
        std::mem::take(&mut self.readings)
    }

    /// What is known so far.
    pub fn view(&self) -> &RunView {
        &self.view
    }

    /// Puts the finding of the experiment into the record.
    pub fn find(&mut self, body: String, verdict: Verdict, why: String) {
        let kind = self.view.started.experiment.clone();
        let (at, verdict) = (self.epoch.now(), verdict.name().to_owned());
        self.take(&RunEvent::Finding(Finding { at, kind, body, verdict, why }));
    }

    /// Ends the record.
    pub fn finish(mut self) -> Conducted {
        self.watching.stop();
        let reason = if self.interrupted { StopReason::Interrupted } else { StopReason::Completed };
        let errors = std::mem::take(&mut self.errors);
        self.take(&RunEvent::Finished(Finished { at: self.epoch.now(), reason, errors }));
        self.live.end();
        self.recorder.finish(self.store.as_ref(), self.view)
    }

    fn take(&mut self, event: &RunEvent) {
        for read in self.watching.take() {
            self.recorder.pass_on(&read, &mut self.view);
            if let RunEvent::Reading(reading) = read {
                self.readings.push(*reading);
            }
        }
        self.recorder.pass_on(event, &mut self.view);
        self.live.follow(&self.view, event);
    }
}

/// The seed of a leg. Were it the next number, the legs of the next seed would be these, one further on: two searches
/// with seeds 1 and 2 would put nearly the same arrivals on, and agree by that.
fn seed_of(seed: u64, turn: u64) -> u64 {
    Rng::new(seed, "leg", turn).next_u64()
}

/// An event of a leg as one of the whole: its phases and instants go on from what was before. The end of a leg is not the
/// end of the whole.
fn rebase(
    event: RunEvent,
    phases: u16,
    offset: Ns,
    errors: &mut Vec<crucible_record::ErrorNote>,
) -> Option<RunEvent> {
    Some(match event {
        RunEvent::Phase(mut phase) => {
            phase.phase += phases;
            phase.at += offset;
            RunEvent::Phase(phase)
        }
        RunEvent::Window(mut window) => {
            window.phase += phases;
            window.from += offset;
            window.to += offset;
            RunEvent::Window(window)
        }
        RunEvent::Note(mut note) => {
            note.at += offset;
            RunEvent::Note(note)
        }
        RunEvent::Gap(mut gap) => {
            gap.from += offset;
            gap.to += offset;
            RunEvent::Gap(gap)
        }
        RunEvent::Finished(finished) => {
            errors.extend(finished.errors);
            return None;
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::seed_of;
    use std::collections::BTreeSet;

    #[test]
    fn no_leg_of_one_seed_is_a_leg_of_another() {
        let seeds: BTreeSet<u64> =
            (0..20).flat_map(|seed| (0..20).map(move |turn| seed_of(seed, turn))).collect();
        assert_eq!(seeds.len(), 400);
        assert_eq!(seed_of(1, 2), seed_of(1, 2));
    }
}
