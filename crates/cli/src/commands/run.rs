//! `crucible run`: the tests of a plan, recorded and judged.

use super::tell;
use crate::args::RunArgs;
use crate::conduct::{Conduct, conduct};
use crate::exit::CliError;
use crate::live::Live;
use crate::{plans, stores};
use crucible_plan::Plan;

/// Runs the plan; the exit code is the verdict's.
pub fn run(args: &RunArgs) -> Result<u8, CliError> {
    let labels = args.labels.of_run(Some(&plans::folder(&args.plan)))?;
    let choose = |plan: &Plan| match &args.suite {
        Some(suite) => plans::choose_suite(plan, suite),
        None => plans::choose(plan, &args.tests),
    };
    let (plan, ground) = plans::load_with_ground(&args.plan, &args.overrides, |plan| choose(plan).map(drop))?;
    let tests = choose(&plan)?;
    let store = if args.no_record { None } else { Some(stores::open(args.store.store.as_deref())?) };
    let how = Conduct {
        store,
        shards: args.tell.shards,
        realtime: args.tell.realtime,
        live: Live::new(args.tell.quiet),
        labels,
    };
    let conducted = conduct(plan, tests, how)?;
    drop(ground);
    tell::result(&conducted, &args.tell, false)?;
    Ok(conducted.code(args.tell.allow.is_some()))
}
