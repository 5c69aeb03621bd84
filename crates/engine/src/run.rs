//! A run on this machine: shards on threads, their clocks, and the collector on the calling thread.

use crate::clock::{Epoch, RealClock};
use crate::collector::Collector;
use crate::control::Control;
use crate::frames::{FrameSet, ShardReport};
use crate::shard::{Meeting, Reports, ShardJob, run_shard};
use crate::system;
use crucible_core::{Now, Ns, Protocol, Share, WorkerContext};
use crucible_plan::Plan;
use crucible_record::{Finished, Note, NoteKind, RunEvent, StopReason};
use crucible_schedule::Pacing;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::{fmt, thread};

/// How a run uses this machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of shards, each a thread; at least 1.
    pub shards: u32,
    /// Keep each shard on a CPU of its own.
    pub pin: bool,
    /// Run the shards before all ordinary work (`SCHED_FIFO`), where the system allows it.
    pub realtime: bool,
    /// How much before a measured instant a shard begins to poll for it; zero: it trusts the timer alone.
    pub early: Ns,
    /// Length of a window.
    pub window: Ns,
}

impl Options {
    /// As many shards as are of use: one for each allowed CPU, half of them when the target shares this machine (it
    /// needs CPUs too), never more than users, and one alone for light load, where a second only adds wake-ups.
    pub fn suited_to(plan: &Plan, tests: &[usize]) -> Options {
        let cpus = system::allowed_cpus().len() as u64;
        let loads = || tests.iter().map(|test| &plan.tests[*test].load);
        let users = loads().map(|load| load.max_users()).max().unwrap_or(1);
        let light = loads().flat_map(|load| &load.phases).all(|phase| match &phase.pacing {
            Pacing::Open { rate, .. } => rate.max() <= LIGHT_RATE,
            Pacing::Closed { .. } => false,
        });
        // a system that the plan starts is on this machine, wherever that will be
        let local = plan.target.as_deref().map_or(plan.ground.is_some(), is_local);
        let most = if light { 1 } else { cpus / if local { 2 } else { 1 } };
        let shards = most.min(users).max(1) as u32;
        Options {
            shards,
            pin: !local && cpus >= 4,
            realtime: false,
            early: Ns::ZERO,
            window: Ns::from_secs(1),
        }
    }
}

/// Arrivals a second up to which one shard serves best.
const LIGHT_RATE: f64 = 2_000.0;

/// Whether an address names this machine by itself.
fn is_local(target: &str) -> bool {
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]") || host.is_empty()
}

/// What is to be run.
pub struct Job<P> {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Indices of the tests to run, in order.
    pub tests: Vec<usize>,
    /// The protocol, with the plan's steps prepared.
    pub protocol: Arc<P>,
    /// How the machine is used.
    pub options: Options,
    /// How the run is stopped.
    pub control: Control,
    /// When the run's clock starts, as time since the Unix epoch: for values in requests.
    pub unix_start: Ns,
}

/// Why a run could not go on: the environment's or our own fault, never the target's.
#[derive(Debug)]
pub enum EngineError {
    /// A shard could not be set up.
    SetUp(String),
    /// A shard broke; a bug of ours.
    Broke(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::SetUp(why) => write!(f, "failed to set up the load: {why}"),
            EngineError::Broke(why) => write!(f, "the load generator broke: {why}"),
        }
    }
}

impl std::error::Error for EngineError {}

enum Message {
    Report(u32, ShardReport),
    Note(Note),
    Failed(EngineError),
}

/// Runs a job to its end, telling `emit` every event after `Started`: phases, windows, and always `Finished`. `emit`
/// runs on the calling thread; however long it takes, it does not slow the load.
pub fn run<P: Protocol>(job: Job<P>, emit: &mut dyn FnMut(RunEvent)) -> Result<(), EngineError> {
    let epoch = Epoch::start();
    let shards = job.options.shards.max(1);
    let meeting = Meeting::new(shards, Ns::from_millis(5)).with_rows(job.tests.len(), job.plan.feeders.len());
    let meeting = Arc::new(meeting);
    let (sender, receiver) = mpsc::channel();
    let cpus = system::allowed_cpus();
    let mut recycle = Vec::new();
    for index in 0..shards {
        let (back, spares) = mpsc::channel();
        recycle.push(back);
        let shard_job = ShardJob {
            plan: Arc::clone(&job.plan),
            tests: job.tests.clone(),
            share: Share { index, of: shards },
            meeting: Arc::clone(&meeting),
            control: job.control.clone(),
            window: job.options.window,
            unix_start: job.unix_start,
        };
        let outlet = Outlet { index, sender: sender.clone(), spares: RefCell::new(spares) };
        let protocol = Arc::clone(&job.protocol);
        let place = Place {
            cpu: job.options.pin.then(|| cpus[index as usize % cpus.len()]),
            realtime: job.options.realtime,
            early: job.options.early,
        };
        thread::Builder::new()
            .name(format!("crucible-{index}"))
            .spawn(move || shard_thread(shard_job, &*protocol, outlet, epoch, place))
            .map_err(|e| EngineError::SetUp(format!("no thread for a shard: {e}")))?;
    }
    drop(sender);
    let result = collect(&receiver, shards, &recycle, emit);
    let (errors, outcome) = match result {
        Ok(errors) => (errors, Ok(())),
        Err(error) => {
            job.control.abort(StopReason::Error(error.to_string()));
            (Vec::new(), Err(error))
        }
    };
    let reason = job.control.reason().unwrap_or(StopReason::Completed);
    emit(RunEvent::Finished(Finished { at: epoch.now(), reason, errors }));
    outcome
}

fn collect(
    receiver: &Receiver<Message>,
    shards: u32,
    recycle: &[Sender<FrameSet>],
    emit: &mut dyn FnMut(RunEvent),
) -> Result<Vec<crucible_record::ErrorNote>, EngineError> {
    let mut collector = Collector::new(shards);
    while !collector.is_done() {
        match receiver.recv() {
            Ok(Message::Report(shard, report)) => {
                if let Some(frames) = collector.accept(shard, report, emit) {
                    // A shard that has ended needs no frames.
                    let _ = recycle[shard as usize].send(frames);
                }
            }
            Ok(Message::Note(note)) => emit(RunEvent::Note(note)),
            Ok(Message::Failed(error)) => return Err(error),
            Err(_) => return Err(EngineError::Broke("a shard ended without a word".into())),
        }
    }
    Ok(collector.take_errors())
}

struct Outlet {
    index: u32,
    sender: Sender<Message>,
    spares: RefCell<Receiver<FrameSet>>,
}

impl Reports for Outlet {
    fn send(&self, report: ShardReport) {
        // The receiver is gone only when the run has failed already.
        let _ = self.sender.send(Message::Report(self.index, report));
    }

    fn spare(&self) -> Option<FrameSet> {
        self.spares.borrow_mut().try_recv().ok()
    }
}

/// Tells the collector if the shard's thread unwinds.
struct Alarm(Sender<Message>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            let why = EngineError::Broke("a shard panicked; the message is above".into());
            let _ = self.0.send(Message::Failed(why));
        }
    }
}

/// Where and how a shard's thread runs.
struct Place {
    cpu: Option<usize>,
    realtime: bool,
    early: Ns,
}

fn shard_thread<P: Protocol>(job: ShardJob, protocol: &P, outlet: Outlet, epoch: Epoch, place: Place) {
    let alarm = Alarm(outlet.sender.clone());
    if place.realtime && !system::run_before_others() {
        let text =
            "the system refused real-time scheduling (it takes CAP_SYS_NICE); the load ran without".into();
        let _ = alarm.0.send(Message::Note(Note { at: epoch.now(), kind: NoteKind::Warning, text }));
    }
    if let Some(cpu) = place.cpu {
        // A refusal costs precision, not correctness; the record says how lateness came out.
        let _ = system::pin_to(cpu);
    }
    let failed = |why: String| {
        let _ = alarm.0.send(Message::Failed(EngineError::SetUp(why)));
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return failed(format!("no runtime for a shard: {e}")),
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clock = match RealClock::new(epoch, place.early) {
            Ok(clock) => clock,
            Err(e) => return failed(e.to_string()),
        };
        let context = WorkerContext { share: job.share, seed: job.plan.seed };
        match protocol.worker(&context) {
            Ok(worker) => run_shard(job, clock, worker, Rc::new(outlet)).await,
            Err(e) => failed(e.to_string()),
        }
    });
    // A name look-up that still waits for a server must not keep the run from ending.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn addresses_of_this_machine_are_known_by_their_looks() {
        let check = |target: &str, expected| assert_eq!(is_local(target), expected, "{target}");
        check("http://localhost:8080/x", true);
        check("https://u:p@127.0.0.1", true);
        check("http://[::1]:80/", true);
        check("http://example.com/?next=http://localhost", false);
        check("http://localhost@example.com/", false);
    }
}
