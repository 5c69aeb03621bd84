//! Operations of this program as a protocol, so that the one loop of the engine drives them.

use crate::grammar::CallSpec;
use crate::operation::{Context, Done, Ended, Operation};
use crucible_core::{
    Call, ErrorClass, Outcome, Probe, Protocol, Session, SessionContext, StepId, Worker, WorkerContext,
    WorkerError,
};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

/// The operations of a program, and which step calls which.
#[derive(Clone)]
pub(crate) struct CallProtocol {
    pub(crate) operations: Arc<Vec<Operation>>,
    /// By step; gaps are no steps of ours.
    pub(crate) steps: Arc<Vec<Option<Arc<CallSpec>>>>,
}

impl CallProtocol {
    pub(crate) fn new(operations: Vec<Operation>, specs: Vec<(StepId, Arc<CallSpec>)>) -> CallProtocol {
        let mut steps: Vec<Option<Arc<CallSpec>>> = Vec::new();
        for (id, spec) in specs {
            let index = usize::from(id.0);
            if steps.len() <= index {
                steps.resize(index + 1, None);
            }
            steps[index] = Some(spec);
        }
        CallProtocol { operations: Arc::new(operations), steps: Arc::new(steps) }
    }
}

impl Protocol for CallProtocol {
    type Worker = CallProtocol;

    fn worker(&self, _context: &WorkerContext) -> Result<CallProtocol, WorkerError> {
        Ok(self.clone())
    }
}

impl Worker for CallProtocol {
    type Session = CallSession;

    fn session(&self, _context: SessionContext) -> CallSession {
        CallSession { protocol: self.clone() }
    }
}

/// One virtual user of this program's operations.
pub(crate) struct CallSession {
    protocol: CallProtocol,
}

impl Session for CallSession {
    async fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let Some(spec) = self.protocol.steps.get(usize::from(call.step.0)).and_then(Option::as_ref) else {
            probe.fail(ErrorClass::Local, || format!("step {} is no operation", call.step.0));
            return Outcome::Failed;
        };
        let mut context = Context::new(call.scope, probe, &spec.measures);
        let result = match &self.protocol.operations[spec.operation] {
            Operation::Now(run) => guarded(|| run(&mut context)).unwrap_or_else(Err),
            Operation::Later(run) => match guarded(|| run(&mut context)) {
                Ok(inner) => Guarded { inner }.await,
                Err(ended) => Err(ended),
            },
        };
        match result {
            Ok(()) => Outcome::Ok,
            Err(ended) => ended.tell(probe),
        }
    }
}

/// What `run` gives, or its panic as a failure.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Ended> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Ended::Failed(format!("it panicked: {text}"))
    })
}

/// A future whose panics are failures.
struct Guarded<'a> {
    inner: Done<'a>,
}

impl Future for Guarded<'_> {
    type Output = Result<(), Ended>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        guarded(|| self.inner.as_mut().poll(task)).unwrap_or_else(|ended| Poll::Ready(Err(ended)))
    }
}
