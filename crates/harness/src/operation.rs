//! What an operation is given, and how it may end.

use crucible_core::{ErrorClass, MeasureSpec, Ns, Outcome, Probe, Scope};
use std::future::Future;
use std::pin::Pin;

/// What an operation may know and tell while it runs.
pub struct Context<'a> {
    /// The virtual user: its number, iteration, seeded random stream, rows and saved values.
    pub scope: &'a mut Scope,
    probe: &'a mut dyn Told,
    measures: &'a [MeasureSpec],
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        scope: &'a mut Scope,
        probe: &'a mut dyn Told,
        measures: &'a [MeasureSpec],
    ) -> Context<'a> {
        Context { scope, probe, measures }
    }

    /// Tells a value of one of the step's measures; of a name that the plan does not measure it is dropped, so that code
    /// may tell more than a plan asks for.
    pub fn measure(&mut self, name: &str, value: f64) {
        if let Some(index) = self.measures.iter().position(|measure| measure.name == name) {
            self.probe.measure(index, value);
        }
    }

    /// The run's clock.
    pub fn now(&self) -> Ns {
        self.probe.now()
    }

    /// Bytes that the operation took in and gave out, for the throughput in bytes.
    pub fn bytes(&mut self, taken: u64, given: u64) {
        self.probe.bytes(taken, given);
    }
}

/// The part of the probe that operations may use.
pub(crate) trait Told {
    fn measure(&mut self, index: usize, value: f64);
    fn now(&self) -> Ns;
    fn bytes(&mut self, taken: u64, given: u64);
}

impl Told for Probe<'_> {
    fn measure(&mut self, index: usize, value: f64) {
        Probe::measure(self, index, value);
    }

    fn now(&self) -> Ns {
        Probe::now(self)
    }

    fn bytes(&mut self, taken: u64, given: u64) {
        self.bytes_out += taken;
        self.bytes_in += given;
    }
}

/// How an operation ended, when not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It would not do the work now (a full queue, an open circuit breaker).
    Rejected(String),
    /// It broke, or its result is wrong.
    Failed(String),
    /// It did not end in time.
    TimedOut(String),
}

impl Ended {
    pub(crate) fn tell(self, probe: &mut Probe<'_>) -> Outcome {
        let (outcome, class, text) = match self {
            Ended::Rejected(text) => (Outcome::Rejected, ErrorClass::Throttled, text),
            Ended::Failed(text) => (Outcome::Failed, ErrorClass::ServerError, text),
            Ended::TimedOut(text) => (Outcome::TimedOut, ErrorClass::Timeout, text),
        };
        probe.fail(class, || text);
        outcome
    }
}

/// The rest of an operation that waits.
pub type Done<'a> = Pin<Box<dyn Future<Output = Result<(), Ended>> + 'a>>;

type Now = dyn Fn(&mut Context<'_>) -> Result<(), Ended> + Send + Sync;
type Later = dyn for<'a, 'c> Fn(&'a mut Context<'c>) -> Done<'a> + Send + Sync;

/// The code behind a name.
pub(crate) enum Operation {
    /// Runs to its end on the shard's thread.
    Now(Box<Now>),
    /// Waits in between, as for the end of work that it handed to other threads.
    Later(Box<Later>),
}
