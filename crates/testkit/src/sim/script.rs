//! A protocol whose every answer is said by a function, in virtual time: for journeys with jobs, sessions and data.

use super::SimClock;
use crucible_core::{
    Call, ErrorClass, Ns, Outcome, Phase, Probe, Protocol, Scope, Session, SessionContext, Slot, StepId,
    Value, Worker, WorkerContext, WorkerError,
};
use std::sync::Arc;

/// What a simulated target is asked.
pub struct Question<'a> {
    /// The step.
    pub step: StepId,
    /// What the user knows.
    pub scope: &'a Scope,
    /// When it is asked.
    pub now: Ns,
    /// Number of the session among those of its user: 0 is the user's own.
    pub lane: u64,
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How long after the question.
    pub after: Ns,
    /// With which code.
    pub code: u16,
    /// How the operation ends.
    pub outcome: Outcome,
    /// Why, if not well.
    pub class: ErrorClass,
    /// What is saved.
    pub saves: Vec<(Slot, Value)>,
}

impl Answer {
    /// A good answer with code 200.
    pub fn ok(after: Ns) -> Answer {
        Answer { after, code: 200, outcome: Outcome::Ok, class: ErrorClass::None, saves: Vec::new() }
    }

    /// A failure.
    pub fn failed(after: Ns, code: u16, class: ErrorClass) -> Answer {
        Answer { after, code, outcome: Outcome::Failed, class, saves: Vec::new() }
    }

    /// Saves a value.
    pub fn saving(mut self, slot: Slot, value: Value) -> Answer {
        self.saves.push((slot, value));
        self
    }
}

type Script = dyn Fn(Question<'_>) -> Answer + Send + Sync;

/// See the module text.
#[derive(Clone)]
pub struct ScriptProtocol {
    script: Arc<Script>,
}

impl ScriptProtocol {
    /// A target that answers so.
    pub fn new(script: impl Fn(Question<'_>) -> Answer + Send + Sync + 'static) -> ScriptProtocol {
        ScriptProtocol { script: Arc::new(script) }
    }
}

impl Protocol for ScriptProtocol {
    type Worker = ScriptWorker;

    fn worker(&self, _context: &WorkerContext) -> Result<ScriptWorker, WorkerError> {
        let clock =
            SimClock::current().ok_or_else(|| WorkerError("no simulation lives on this thread".into()))?;
        Ok(ScriptWorker { protocol: self.clone(), clock })
    }
}

/// The shard-local part of [`ScriptProtocol`].
pub struct ScriptWorker {
    protocol: ScriptProtocol,
    clock: SimClock,
}

impl Worker for ScriptWorker {
    type Session = ScriptSession;

    fn session(&self, _context: SessionContext) -> ScriptSession {
        ScriptSession { protocol: self.protocol.clone(), clock: self.clock.clone(), lane: 0 }
    }
}

/// A user of [`ScriptProtocol`].
pub struct ScriptSession {
    protocol: ScriptProtocol,
    clock: SimClock,
    lane: u64,
}

impl Session for ScriptSession {
    async fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let now = probe.now();
        let question = Question { step: call.step, scope: call.scope, now, lane: self.lane };
        let answer = (self.protocol.script)(question);
        probe.mark(Phase::Send);
        self.clock.event_at(now + answer.after).await;
        probe.mark(Phase::Wait);
        probe.code = answer.code;
        if answer.outcome != Outcome::Ok {
            probe.fail(answer.class, || format!("answered {}", answer.code));
        }
        for (slot, value) in answer.saves {
            call.scope.set(slot, value);
        }
        answer.outcome
    }

    fn join(&mut self, main: &ScriptSession) {
        self.lane = main.lane + 1;
    }
}
