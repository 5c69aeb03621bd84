//! A protocol whose target is a simulated station, so that the real engine can be driven in virtual time.

use super::{Queue, QueueConfig, QueueTruth, SimClock};
use crucible_core::{
    Call, ErrorClass, Ns, Outcome, Phase, Probe, Protocol, Session, SessionContext, Worker, WorkerContext,
    WorkerError,
};
use std::sync::{Arc, Mutex, PoisonError};

/// How the simulated target answers, beside its service times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimBehaviour {
    /// Longest that an operation may take; beyond it it times out.
    pub limit: Ns,
    /// Every n-th operation (counted over all sessions, from 1) is answered with code 500.
    pub fail_every: Option<u64>,
    /// Every operation is answered with this code instead of 200; 4xx and 5xx count as failures, 429 as a
    /// rejection.
    pub always: Option<u16>,
    /// In this stretch the target is gone: new operations are refused, those under way are reset at its begin.
    pub down: Option<(Ns, Ns)>,
}

impl Default for SimBehaviour {
    fn default() -> SimBehaviour {
        SimBehaviour { limit: Ns::from_secs(30), fail_every: None, always: None, down: None }
    }
}

struct Station {
    queue: Queue,
    calls: u64,
}

/// See the module text. Cheap to clone; clones are the same target.
#[derive(Clone)]
pub struct SimProtocol {
    station: Arc<Mutex<Station>>,
    behaviour: SimBehaviour,
}

impl SimProtocol {
    /// A target with this station behind it, which always succeeds.
    pub fn new(config: QueueConfig) -> SimProtocol {
        let station = Station { queue: Queue::new(config), calls: 0 };
        SimProtocol { station: Arc::new(Mutex::new(station)), behaviour: SimBehaviour::default() }
    }

    /// The same with another behaviour.
    pub fn behaving(mut self, behaviour: SimBehaviour) -> SimProtocol {
        self.behaviour = behaviour;
        self
    }

    /// What the station did so far.
    pub fn truth(&self) -> QueueTruth {
        self.station.lock().unwrap_or_else(PoisonError::into_inner).queue.truth().clone()
    }

    /// Operations that reached the target or were refused by it.
    pub fn calls(&self) -> u64 {
        self.station.lock().unwrap_or_else(PoisonError::into_inner).calls
    }
}

impl Protocol for SimProtocol {
    type Worker = SimWorker;

    fn worker(&self, _context: &WorkerContext) -> Result<SimWorker, WorkerError> {
        let clock =
            SimClock::current().ok_or_else(|| WorkerError("no simulation lives on this thread".into()))?;
        Ok(SimWorker { protocol: self.clone(), clock })
    }
}

/// The shard-local part of [`SimProtocol`].
pub struct SimWorker {
    protocol: SimProtocol,
    clock: SimClock,
}

impl Worker for SimWorker {
    type Session = SimSession;

    fn session(&self, _context: SessionContext) -> SimSession {
        SimSession { protocol: self.protocol.clone(), clock: self.clock.clone() }
    }
}

/// A user of [`SimProtocol`].
pub struct SimSession {
    protocol: SimProtocol,
    clock: SimClock,
}

impl Session for SimSession {
    async fn run(&mut self, _call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let behaviour = self.protocol.behaviour;
        let now = probe.now();
        let (number, departs) = {
            let mut station = self.protocol.station.lock().unwrap_or_else(PoisonError::into_inner);
            station.calls += 1;
            if behaviour.down.is_some_and(|(from, to)| (from..to).contains(&now)) {
                probe.fail(ErrorClass::Refused, || "connection refused".into());
                return Outcome::Failed;
            }
            (station.calls, station.queue.arrive(now).departs)
        };
        probe.bytes_out = 64;
        probe.mark(Phase::Send);
        let limit = now + behaviour.limit;
        if let Some((from, _)) = behaviour.down
            && now < from
            && departs.min(limit) > from
        {
            self.clock.event_at(from).await;
            probe.fail(ErrorClass::Reset, || "connection reset".into());
            return Outcome::Failed;
        }
        if departs > limit {
            self.clock.event_at(limit).await;
            probe.fail(ErrorClass::Timeout, || "no answer in time".into());
            return Outcome::TimedOut;
        }
        self.clock.event_at(departs).await;
        probe.mark(Phase::Wait);
        probe.bytes_in = 128;
        let failed = behaviour.fail_every.is_some_and(|n| number.is_multiple_of(n.max(1)));
        probe.code = if failed { 500 } else { behaviour.always.unwrap_or(200) };
        probe.mark(Phase::Receive);
        judge(probe)
    }
}

fn judge(probe: &mut Probe<'_>) -> Outcome {
    let (class, outcome) = match probe.code {
        429 => (ErrorClass::Throttled, Outcome::Rejected),
        400..500 => (ErrorClass::ClientError, Outcome::Failed),
        500.. => (ErrorClass::ServerError, Outcome::Failed),
        _ => return Outcome::Ok,
    };
    let code = probe.code;
    probe.fail(class, || format!("answered {code}"));
    outcome
}
