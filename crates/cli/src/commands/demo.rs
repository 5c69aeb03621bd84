//! `crucible demo`: a proving-ground system as a child process, the tour of its suite against it, the verdict.

use super::tell;
use crate::args::DemoArgs;
use crate::conduct::{Conduct, conduct};
use crate::exit::CliError;
use crate::live::Live;
use crate::plans::{self, PlanOverrides};
use crate::{grounds, out, stores};

const SYSTEM: &str = "stories";
const SUITE: &str = "tour";
const PLAN: &str = include_str!("../../../../suites/stories/plan.yaml");

/// Starts the system, runs the plan, ends the system.
pub fn run(args: &DemoArgs) -> Result<u8, CliError> {
    let store = stores::open(args.store.store.as_deref())?;
    let ground = grounds::start(SYSTEM, &[])?;
    out::note(&format!("started the proving ground's `{SYSTEM}` at {}", ground.url));
    let overrides = PlanOverrides { target: Some(ground.url.clone()), seed: None, env: ground.variables() };
    let plan = plans::read(PLAN, "suites/stories/plan.yaml", ".".into(), &overrides)?;
    let tests = plans::choose_suite(&plan, SUITE)?;
    let how = Conduct {
        store: Some(store),
        shards: args.tell.shards,
        realtime: args.tell.realtime,
        live: Live::new(args.tell.quiet),
        labels: Vec::new(),
    };
    let conducted = conduct(plan, tests, how)?;
    drop(ground);
    tell::result(&conducted, &args.tell, false)?;
    if !args.tell.json && args.tell.summary.is_none() {
        out::line("");
        out::line("What now?");
        out::line("  crucible report last --format md        the same as Markdown (or json, csv, junit)");
        out::line("  crucible plan show suites/stories       what the plan asks for, before a byte is sent");
        out::line("  crucible bench http://localhost:8080/   your own system, in one line");
    }
    Ok(conducted.code(args.tell.allow.is_some()))
}
