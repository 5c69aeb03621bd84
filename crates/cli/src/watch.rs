//! Pulls the monitors on the run's clock, from a thread of its own: however long the machine takes to answer, the load is
//! not slowed. What they read waits in a channel until the conductor's next event.

use crate::out;
use crucible_core::monitor::{Component, GENERATOR_NAME, HOST_NAME, Target};
use crucible_core::{Monitor, Now, Ns};
use crucible_engine::clock::Epoch;
use crucible_plan::Plan;
use crucible_record::{Gap, Note, NoteKind, Reading, RunEvent, RunStarted, SeriesMeta};
use rustix::time::{ClockId, clock_gettime};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};

/// More of a core than this for watching is told as a warning: it disturbs what is measured.
const COST_MAX: f64 = 0.02;

/// One monitor and where its series begin in the run's table.
struct Watched {
    component: String,
    first: u16,
    monitor: Box<dyn Monitor>,
}

/// The monitors of a run, before it begins.
pub struct Watch {
    monitors: Vec<Watched>,
    every: Ns,
}

impl Watch {
    /// The monitors of the machine, of the generator and of the plans' components; their series are added to `started`,
    /// and what cannot be watched becomes a remark there. A component of several plans is watched once.
    pub fn new(plans: &[&Plan], started: &mut RunStarted) -> Watch {
        let itself = Component { name: GENERATOR_NAME.into(), target: Target::Itself, limits: Vec::new() };
        let mut components = vec![&itself];
        for component in plans.iter().flat_map(|plan| &plan.components) {
            if !components.contains(&component) {
                components.push(component);
            }
        }
        let named = components.into_iter().map(|it| (it.name.as_str(), Some(it)));
        let mut monitors = Vec::new();
        for (name, component) in [(HOST_NAME, None)].into_iter().chain(named) {
            let monitor = match crucible_monitors::open(component) {
                Ok(monitor) => monitor,
                Err(why) => {
                    started.remarks.push(format!("{name} is not watched: {why}"));
                    continue;
                }
            };
            let first = started.series.len() as u16;
            started.series.extend(monitor.series().iter().map(|series| SeriesMeta {
                component: name.into(),
                name: series.name.into(),
                unit: series.unit.into(),
                doc: series.doc.into(),
                limit: component.and_then(|component| limit_of(component, series.name)),
            }));
            monitors.push(Watched { component: name.into(), first, monitor });
        }
        let every = plans.iter().map(|plan| plan.monitor_every).filter(|every| *every > Ns::ZERO).min();
        Watch { monitors, every: every.unwrap_or(crucible_plan::MONITOR_EVERY) }
    }

    /// Begins to read. The run's clock starts now.
    pub fn start(self) -> Watching {
        let (events, came) = channel();
        let (stop, stopped) = channel();
        let epoch = Epoch::start();
        let thread = Builder::new()
            .name("crucible-watch".into())
            .spawn(move || pull(self.monitors, self.every, epoch, &events, &stopped))
            .inspect_err(|error| {
                out::note(&format!("warning: nothing is watched: no thread for it: {error}"))
            })
            .ok();
        Watching { came, stop: Some(stop), thread }
    }
}

/// The monitors of a run that goes on. Dropping it ends them.
pub struct Watching {
    came: Receiver<RunEvent>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// What was read since the last call.
    pub fn take(&self) -> impl Iterator<Item = RunEvent> + '_ {
        self.came.try_iter()
    }

    /// Ends the monitors; what they said last can still be taken.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // a monitor that broke has said what it could
            let _ = thread.join();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the plan says that a component may have of a series.
fn limit_of(component: &Component, series: &str) -> Option<f64> {
    component.limits.iter().find(|(name, _)| *name == series).map(|(_, limit)| *limit)
}

fn own_cpu() -> Ns {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ns(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
}

fn pull(mut monitors: Vec<Watched>, every: Ns, epoch: Epoch, events: &Sender<RunEvent>, stop: &Receiver<()>) {
    let mut due = Ns::ZERO;
    loop {
        let now = epoch.now();
        let mut values = Vec::new();
        for watched in &mut monitors {
            let first = watched.first;
            let read =
                watched.monitor.read(now, &mut |index, value| values.push((first + index as u16, value)));
            if let Err(text) = read {
                let component = watched.component.clone();
                let gap = Gap { from: now, to: now, component, text };
                let _ = events.send(RunEvent::Gap(gap));
            }
        }
        let _ = events.send(RunEvent::Reading(Box::new(Reading { at: now, values })));
        // instants that were missed are missed: two readings at once would say nothing
        let after = epoch.now();
        due += every;
        if due <= after {
            due = Ns((after.0 / every.0 + 1) * every.0);
        }
        match stop.recv_timeout(due.since(after).into()) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => break,
        }
    }
    let _ = events.send(RunEvent::Note(cost(epoch.now())));
}

/// What watching itself has cost.
fn cost(now: Ns) -> Note {
    let share = own_cpu().as_secs_f64() / now.as_secs_f64().max(1.0);
    let text = format!("reading the monitors took {:.2} % of a core", share * 100.0);
    let kind = if share > COST_MAX { NoteKind::Warning } else { NoteKind::Info };
    Note { at: now, kind, text }
}
