//! A plan after reading: names resolved, units converted, every mistake already told.

use crate::program::{Feed, Lifetime, Program, Refresh};
use crucible_core::monitor::Component;
use crucible_core::threshold::Threshold;
use crucible_core::{Diagnostic, FeederId, MeasureId, MeasureSpec, Ns, ScenarioId, StepId, StepSpec, WarmUp};
use crucible_schedule::Load;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A validated plan.
#[derive(Clone, Default)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Base address of the system under test.
    pub target: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// All scenarios; [`ScenarioId`] is the index.
    pub scenarios: Vec<Scenario>,
    /// All steps of all scenarios; [`StepId`] is the index.
    pub steps: Vec<Step>,
    /// Measures that the steps feed; [`MeasureId`] is the index.
    pub measures: Vec<MeasureSpec>,
    /// Sources of rows; [`crucible_core::FeederId`] is the index.
    pub feeders: Vec<Feed>,
    /// Names of all variables; [`crucible_core::Slot`] is the index.
    pub variables: Vec<String>,
    /// The tests in the order of the text.
    pub tests: Vec<Test>,
    /// Selections of tests by name.
    pub suites: Vec<Suite>,
    /// The proving-ground system that it runs against unless it is given another target.
    pub ground: Option<Ground>,
    /// Settings by protocol name, opaque to all but the protocol.
    pub settings: BTreeMap<&'static str, Arc<dyn Any + Send + Sync>>,
    /// How late the generator may be before a run is invalid.
    pub lateness: LatenessBudget,
    /// Processes that are watched, beside the machine and the generator.
    pub components: Vec<Component>,
    /// Time from reading to reading.
    pub monitor_every: Ns,
    /// SHA-256 of the canonical form, hexadecimal: the experiment's identity.
    pub hash: String,
    /// The text as stored in records: `${env.X}` unexpanded, values of secret-looking keys masked.
    pub text: String,
    /// The file as whoever read it was given its name; empty if there is none.
    pub file: String,
    /// Things that every report must mention (certificates not verified, ...).
    pub remarks: Vec<String>,
    /// Warnings found while reading.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("seed", &self.seed)
            .field("scenarios", &self.scenarios)
            .field("steps", &self.steps)
            .field("tests", &self.tests)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// What one kind of user does.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its index.
    pub id: ScenarioId,
    /// Its name.
    pub name: String,
    /// Its share of the users or arrivals, relative to the others in the test. Above 0.
    pub weight: f64,
    /// Exactly so many users of closed load, before weights deal out the rest.
    pub users: Option<u64>,
    /// Pause after each task or step, unless the step says otherwise.
    pub think: Think,
    /// Least time from the start of an iteration to the start of the next (closed load).
    pub pacing: Option<Ns>,
    /// How long a user lives; to the end of the test unless given. Under open load each arrival is then a new user.
    pub lifetime: Option<Lifetime>,
    /// Done once by each user before its first iteration.
    pub setup: Program,
    /// Done in each iteration.
    pub flow: Program,
    /// Done once by each user after its last iteration.
    pub teardown: Program,
    /// What keeps its session good.
    pub refresh: Option<Refresh>,
    /// Feeders whose rows it uses, and whether a user keeps its row for life.
    pub feeds: Vec<(FeederId, bool)>,
}

impl Scenario {
    /// A scenario of weight 1 whose users do these steps in order and nothing else.
    pub fn plain(id: ScenarioId, name: &str, steps: impl IntoIterator<Item = StepId>) -> Scenario {
        Scenario {
            id,
            name: name.into(),
            weight: 1.0,
            users: None,
            think: Think::None,
            pacing: None,
            lifetime: None,
            setup: Program::default(),
            flow: Program::sequence(steps),
            teardown: Program::default(),
            refresh: None,
            feeds: Vec::new(),
        }
    }
}

/// One operation of the plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its index.
    pub id: StepId,
    /// Its name, unique in the plan.
    pub name: String,
    /// The scenario that it stands in.
    pub scenario: ScenarioId,
    /// Where in the scenario.
    pub role: StepRole,
    /// Its protocol; empty for [`StepRole::Timed`], which no protocol does.
    pub protocol: &'static str,
    /// Pause after it, instead of the scenario's.
    pub think: Option<Think>,
    /// Share of its operations that we fail ourselves, unsent; 0 to 1.
    pub fail: f64,
    /// The plan's measures that it feeds, in the order of [`StepSpec::measures`].
    pub measures: Vec<MeasureId>,
    /// What the protocol reads; nothing of use for [`StepRole::Timed`].
    pub spec: StepSpec,
}

impl Step {
    /// An ordinary step of an iteration, called by its default name.
    pub fn plain(id: StepId, scenario: ScenarioId, protocol: &'static str, spec: StepSpec) -> Step {
        Step {
            id,
            name: spec.default_name.clone(),
            scenario,
            role: StepRole::Main,
            protocol,
            think: None,
            fail: 0.0,
            measures: Vec::new(),
            spec,
        }
    }
}

/// Where in its scenario a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepRole {
    /// Before the first iteration.
    Setup,
    /// In each iteration.
    Main,
    /// After the last iteration.
    Teardown,
    /// Looks whether a job is done, as part of a transaction; not counted among the plan's operations.
    Follow,
    /// No operation: a span of time over several (a group, a transaction or a part of one).
    Timed,
}

impl StepRole {
    /// The word used in records.
    pub const fn name(self) -> &'static str {
        match self {
            StepRole::Setup => "setup",
            StepRole::Main => "main",
            StepRole::Teardown => "teardown",
            StepRole::Follow => "follow",
            StepRole::Timed => "timed",
        }
    }
}

/// A pause, drawn anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Think {
    /// No pause.
    #[default]
    None,
    /// Always the same.
    Constant(Ns),
    /// Uniform between the two.
    Uniform(Ns, Ns),
    /// Normal, cut off at 0.
    Normal {
        /// Mean.
        mean: Ns,
        /// Standard deviation.
        deviation: Ns,
    },
    /// Exponential, cut off at 20 means.
    Exponential {
        /// Mean.
        mean: Ns,
    },
}

/// A selection of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name, as in `quick`.
    pub name: String,
    /// Indices of its tests, in the order in which they run.
    pub tests: Vec<usize>,
}

/// A system of the proving ground and the switches of known truth that it starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// Its name.
    pub system: String,
    /// Switches, as in `service=fixed:5ms`.
    pub truth: Vec<String>,
}

/// One test: a load on some scenarios, judged by thresholds.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// The scenarios that take part.
    pub scenarios: Vec<ScenarioId>,
    /// The load.
    pub load: Load,
    /// Done once before the load, by a user of its own; what it saves is where every user begins.
    pub setup: Program,
    /// Done once after the load, by the same user.
    pub teardown: Program,
    /// Feeders whose rows these two use.
    pub feeds: Vec<FeederId>,
    /// Thresholds of the plan and of the test itself, the test's replacing the plan's for the same subject and
    /// measure; with the implied ones.
    pub thresholds: Vec<Threshold>,
    /// What is done with its warm-up.
    pub warm_up: WarmUp,
}

impl Test {
    /// A test without setup and thresholds that counts from its begin.
    pub fn plain(name: &str, scenarios: Vec<ScenarioId>, load: Load) -> Test {
        Test {
            name: name.into(),
            scenarios,
            load,
            setup: Program::default(),
            teardown: Program::default(),
            feeds: Vec::new(),
            thresholds: Vec::new(),
            warm_up: WarmUp::Keep,
        }
    }
}

/// How late the generator may be before the run is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatenessBudget {
    /// Lateness p99 that is always allowed.
    pub floor: Ns,
    /// Lateness p99 that is allowed as a share of the response time p50.
    pub share: f64,
}
