//! All shards on one clock and one thread: the same engine in virtual time.

use crate::collector::Collector;
use crate::frames::{FrameSet, ShardReport};
use crate::run::{EngineError, Job};
use crate::shard::{Meeting, Reports, ShardJob, run_shard};
use crucible_core::{Clock, Ns, Protocol, Share, WorkerContext};
use crucible_record::{Finished, RunEvent, StopReason};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

type Emit = Box<dyn FnMut(RunEvent)>;

struct Shared {
    collector: Collector,
    emit: Emit,
    spares: Vec<Vec<FrameSet>>,
}

struct Inlet {
    shard: u32,
    shared: Rc<RefCell<Shared>>,
}

impl Reports for Inlet {
    fn send(&self, report: ShardReport) {
        let shared = &mut *self.shared.borrow_mut();
        if let Some(frames) = shared.collector.accept(self.shard, report, &mut shared.emit) {
            shared.spares[self.shard as usize].push(frames);
        }
    }

    fn spare(&self) -> Option<FrameSet> {
        self.shared.borrow_mut().spares[self.shard as usize].pop()
    }
}

/// Spawns a job on `clock`; `emit` is told what [`crate::run`] would tell it, `Finished` at the end included. The
/// caller then lets the clock's tasks run.
pub fn spawn_on<C: Clock, P: Protocol>(
    clock: &C,
    job: Job<P>,
    emit: impl FnMut(RunEvent) + 'static,
) -> Result<(), EngineError> {
    let shards = job.options.shards.max(1);
    let meeting = Meeting::new(shards, Ns::from_millis(5)).with_rows(job.tests.len(), job.plan.feeders.len());
    let meeting = Arc::new(meeting);
    let shared = Rc::new(RefCell::new(Shared {
        collector: Collector::new(shards),
        emit: Box::new(emit),
        spares: (0..shards).map(|_| Vec::new()).collect(),
    }));
    for index in 0..shards {
        let share = Share { index, of: shards };
        let worker = job
            .protocol
            .worker(&WorkerContext { share, seed: job.plan.seed })
            .map_err(|e| EngineError::SetUp(e.to_string()))?;
        let shard_job = ShardJob {
            plan: Arc::clone(&job.plan),
            tests: job.tests.clone(),
            share,
            meeting: Arc::clone(&meeting),
            control: job.control.clone(),
            window: job.options.window,
            unix_start: job.unix_start,
        };
        let inlet = Rc::new(Inlet { shard: index, shared: Rc::clone(&shared) });
        let (clock, control, shared) = (clock.clone(), job.control.clone(), Rc::clone(&shared));
        clock.clone().spawn(async move {
            run_shard(shard_job, clock.clone(), worker, inlet).await;
            let shared = &mut *shared.borrow_mut();
            if shared.collector.is_done() {
                let reason = control.reason().unwrap_or(StopReason::Completed);
                let errors = shared.collector.take_errors();
                (shared.emit)(RunEvent::Finished(Finished { at: clock.now(), reason, errors }));
            }
        });
    }
    Ok(())
}
