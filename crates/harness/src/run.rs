//! From a plan and operations to a verdict.

use crate::grammar::{CallGrammar, CallSpec};
use crate::machine;
use crate::operation::{Context, Done, Ended, Operation};
use crate::protocol::CallProtocol;
use crate::sources;
use crucible_analysis::{Assessment, RunView, Verdict, assess};
use crucible_core::{Ns, StepGrammar, StepId};
use crucible_engine::{Control, Job, Options, describe, system};
use crucible_plan::{Plan, ReadOptions};
use crucible_record::{RunEvent, RunStarted, RunWriter, Store, new_run_id};
use crucible_report::{FORMATS, Report};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Operations of this program and the plan that calls them.
///
/// ```
/// use crucible_harness::Harness;
///
/// let outcome = Harness::new("
/// name: squares
/// steps: [{call: square}]
/// tests: {short: {vus: 1, iterations: 1000}}
/// thresholds: {square: {p99: 10ms}}
/// ")
/// .operation("square", |context| {
///     std::hint::black_box(context.scope.iteration.pow(2));
///     Ok(())
/// })
/// .shards(1)
/// .run()?;
/// assert_eq!(outcome.view.tests[0].all.ended(), 1000);
/// # Ok::<(), crucible_harness::HarnessError>(())
/// ```
pub struct Harness {
    plan: String,
    names: Vec<String>,
    operations: Vec<Operation>,
    tests: Vec<String>,
    shards: Option<u32>,
    store: Option<PathBuf>,
    seed: Option<u64>,
}

/// Why nothing could be run; nothing of it is the operations' doing.
#[derive(Debug)]
pub struct HarnessError(String);

impl fmt::Display for HarnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HarnessError {}

/// What came out.
pub struct Outcome {
    /// The run's identifier.
    pub run: String,
    /// Everything that was counted.
    pub view: RunView,
    /// The verdict.
    pub assessment: Assessment,
}

impl Harness {
    /// With a plan, as in a plan file; its steps are `call: NAME`.
    pub fn new(plan: impl Into<String>) -> Harness {
        Harness {
            plan: plan.into(),
            names: Vec::new(),
            operations: Vec::new(),
            tests: Vec::new(),
            shards: None,
            store: None,
            seed: None,
        }
    }

    /// Adds an operation that runs to its end on the thread that calls it.
    #[must_use]
    pub fn operation(
        self,
        name: &str,
        run: impl Fn(&mut Context<'_>) -> Result<(), Ended> + Send + Sync + 'static,
    ) -> Harness {
        self.add(name, Operation::Now(Box::new(run)))
    }

    /// Adds an operation that waits in between; write `Box::pin(async move { ... })`.
    #[must_use]
    pub fn waiting(
        self,
        name: &str,
        run: impl for<'a, 'c> Fn(&'a mut Context<'c>) -> Done<'a> + Send + Sync + 'static,
    ) -> Harness {
        self.add(name, Operation::Later(Box::new(run)))
    }

    fn add(mut self, name: &str, operation: Operation) -> Harness {
        self.names.push(name.to_owned());
        self.operations.push(operation);
        self
    }

    /// Runs these tests of the plan, or the tests of these suites, instead of all.
    #[must_use]
    pub fn tests(mut self, names: &[&str]) -> Harness {
        self.tests = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Makes load with this many threads.
    #[must_use]
    pub fn shards(mut self, shards: u32) -> Harness {
        self.shards = Some(shards);
        self
    }

    /// Keeps the record in this file.
    #[must_use]
    pub fn store(mut self, file: &Path) -> Harness {
        self.store = Some(file.to_owned());
        self
    }

    /// Uses this seed instead of the plan's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Harness {
        self.seed = Some(seed);
        self
    }

    /// Runs to the verdict. Errors: a mistake in the plan (all of them, with their places), a store that cannot be
    /// written, a machine that cannot run the load.
    pub fn run(self) -> Result<Outcome, HarnessError> {
        let plan = self.read()?;
        let tests = choose(&plan, &self.tests)?;
        let steps = plan.steps.iter().filter_map(|step| {
            let spec = Arc::clone(&step.spec.body).downcast::<CallSpec>().ok()?;
            Some((step.id, spec))
        });
        let steps: Vec<(StepId, Arc<CallSpec>)> = steps.collect();
        let protocol = CallProtocol::new(self.operations, steps);
        let mut options = Options::suited_to(&plan, &tests);
        options.shards = self.shards.unwrap_or(options.shards).max(1);
        let started = started(&plan, &tests, &options);
        let failed = |error: &dyn fmt::Display| HarnessError(format!("failed to write the record: {error}"));
        let store = self.store.as_deref().map(Store::open).transpose().map_err(|e| failed(&e))?;
        let mut writer: Option<RunWriter> =
            store.as_ref().map(|store| store.begin(&started)).transpose().map_err(|e| failed(&e))?;
        let run = started.run.clone();
        let unix_start = Ns::from_millis(started.started_unix_ms);
        let mut view = RunView::new(started);
        let control = Control::new();
        let job =
            Job { plan: Arc::new(plan), tests, protocol: Arc::new(protocol), options, control, unix_start };
        let mut broken = None;
        let ran = crucible_engine::run(job, &mut |event: RunEvent| {
            if let Some(Err(error)) = writer.as_mut().map(|writer| writer.append(&event)) {
                broken.get_or_insert(error);
            }
            view.apply(&event);
        });
        ran.map_err(|error| HarnessError(error.to_string()))?;
        if let Some(error) = broken.or(writer.and_then(|writer| writer.finish().err())) {
            return Err(failed(&error));
        }
        let assessment = assess(&view);
        if let Some(store) = &store {
            store.set_verdict(&run, assessment.verdict.name()).map_err(|e| failed(&e))?;
        }
        Ok(Outcome { run, view, assessment })
    }

    fn read(&self) -> Result<Plan, HarnessError> {
        let grammar = CallGrammar { operations: self.names.clone() };
        let grammars: [&dyn StepGrammar; 1] = [&grammar];
        let options = ReadOptions {
            grammars: &grammars,
            env: &environment,
            folder: PathBuf::from("."),
            expressions: Some(crucible_expr::language()),
            open_feeder: &sources::open_feeder,
            read_file: &|name| sources::recording(Path::new(name)),
            target: None,
            seed: self.seed,
        };
        crucible_plan::read(&self.plan, &options).map_err(|mistakes| {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            HarnessError(format!("failed to read the plan:\n{}", told.join("\n")))
        })
    }
}

impl Outcome {
    /// Whether the verdict is a pass.
    pub fn passed(&self) -> bool {
        self.assessment.verdict == Verdict::Pass
    }

    /// The report in one of the formats of `crucible report`; `None` if there is no such format.
    pub fn report(&self, format: &str) -> Option<String> {
        let format = FORMATS.iter().find(|known| known.name == format)?;
        Some(format.text(&Report::new(&self.view, &self.assessment)))
    }
}

fn choose(plan: &Plan, names: &[String]) -> Result<Vec<usize>, HarnessError> {
    if names.is_empty() {
        return Ok((0..plan.tests.len()).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let suite = plan.suites.iter().find(|suite| suite.name == *name);
        let test = plan.tests.iter().position(|test| test.name == *name);
        match (test, suite) {
            (Some(test), _) => chosen.push(test),
            (None, Some(suite)) => chosen.extend(&suite.tests),
            (None, None) => return Err(HarnessError(format!("the plan has no test and no suite `{name}`"))),
        }
    }
    Ok(chosen)
}

#[expect(clippy::disallowed_methods, reason = "a program that is its own command line")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn started(plan: &Plan, tests: &[usize], options: &Options) -> RunStarted {
    let (unix_ms, random) = machine::wall_clock();
    let mut started = describe(plan, tests);
    started.run = new_run_id(unix_ms, random);
    started.tool = env!("CARGO_PKG_VERSION").into();
    started.started_unix_ms = unix_ms;
    started.shards = options.shards;
    started.target = "this process".into();
    started.pacing = "timerfd, 1 ns timer slack".into();
    started.environment = machine::facts(system::raise_file_limit());
    started
}
