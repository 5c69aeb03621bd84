//! The contract of a protocol plug-in. `docs/specs/protocol.md` states it as MUSTs; the conformance suite in
//! `testkit` holds every protocol to it.

use crate::{Fields, Key, MeasureSpec, Outcome, Probe, Scope, Share, StepId, Symbols, VuId};
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

/// A protocol as configured by a plan: shared by all shards, holds every prepared step.
pub trait Protocol: Send + Sync + 'static {
    /// The shard-local part.
    type Worker: Worker;

    /// Makes the part that lives on one shard's thread (buffers, pools, caches). Runs on that thread, inside its
    /// runtime.
    fn worker(&self, context: &WorkerContext) -> Result<Self::Worker, WorkerError>;
}

/// Where a worker lives.
#[derive(Clone, Copy, Debug)]
pub struct WorkerContext {
    /// Which shard it serves.
    pub share: Share,
    /// Seed for whatever randomness the protocol needs.
    pub seed: u64,
}

/// Why a worker could not be made: the environment's fault, in the words that the user reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerError(pub String);

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WorkerError {}

/// The shard-local part of a protocol; makes sessions, one for each virtual user.
pub trait Worker: 'static {
    /// What one virtual user holds.
    type Session: Session;

    /// A session for this virtual user. Opens nothing: connections are opened by the first operation that needs
    /// them, so that their cost and failure belong to a sample.
    fn session(&self, context: SessionContext) -> Self::Session;
}

/// Whose session it is.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext {
    /// The virtual user, numbered over all shards.
    pub vu: VuId,
    /// The plan's seed, for seeded values in requests.
    pub seed: u64,
}

/// One operation to do.
#[derive(Debug)]
pub struct Call<'s> {
    /// Which step.
    pub step: StepId,
    /// What the user knows; what the step saves goes here.
    pub scope: &'s mut Scope,
}

/// What one virtual user holds: connections, cookies, buffers.
pub trait Session: 'static {
    /// Does one step to its end and says how it ended. Never fails as such: a failure is an outcome, with its
    /// class and detail in the probe. Ends by itself within the step's time limit. May be dropped at any await
    /// point; must then leave nothing behind that a later operation could mistake for its own answer.
    fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> impl Future<Output = Outcome>;

    /// A new iteration begins: state that must not outlive one (cookies, unless the plan keeps them) goes.
    fn iteration(&mut self, _iteration: u64) {}

    /// This session is about to act beside `main`, for the same user: it takes over what identifies the user (cookies).
    fn join(&mut self, _main: &Self) {}
}

/// How the plan reader learns the words of a protocol's steps without knowing the protocol.
pub trait StepGrammar: Send + Sync {
    /// The protocol's name, as in `http`.
    fn protocol(&self) -> &'static str;

    /// Keys of which at least one must stand in a step for it to be this protocol's (`get`, `post`, ...).
    fn openers(&self) -> &'static [Key];

    /// Whether several openers may stand in one step, its own and those that are among its further keys.
    fn combines(&self) -> bool {
        false
    }

    /// Further keys that a step of this protocol may have.
    fn step_keys(&self) -> &'static [Key];

    /// Keys at the top of the plan, and of a scenario or test, that set this protocol up (`tls`, `headers`, ...).
    fn settings_keys(&self) -> &'static [Key];

    /// Reads one step. Mistakes go to the fields' diagnostics; `None` if nothing usable was found.
    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec>;

    /// Reads the settings at the top of the plan.
    fn settings(&self, fields: &Fields<'_>, context: &StepContext) -> Arc<dyn Any + Send + Sync>;

    /// What every report must mention because of these settings (certificates not verified, ...).
    fn remarks(&self, _settings: &(dyn Any + Send + Sync)) -> Vec<String> {
        Vec::new()
    }
}

/// What a grammar may know about the plan around a step.
#[derive(Clone, Debug, Default)]
pub struct StepContext {
    /// The plan's `target`.
    pub target: Option<String>,
    /// Folder that relative file names start from.
    pub folder: std::path::PathBuf,
    /// What names in `${...}` mean.
    pub symbols: Rc<Symbols>,
}

/// A step as read: opaque to all but its protocol.
#[derive(Clone)]
pub struct StepSpec {
    /// Name used when the plan gives none, as in `GET /api/health`.
    pub default_name: String,
    /// Names of its checks in the order of their bits in the probe; at most 64.
    pub checks: Vec<String>,
    /// Measures that it feeds, in the order of their indices in the probe.
    pub measures: Vec<MeasureSpec>,
    /// The protocol's own form.
    pub body: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for StepSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepSpec")
            .field("default_name", &self.default_name)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}
