//! `crucible capacity`: the highest load at which the thresholds hold, by trials against the live system.
//!
//! All trials stand in one record, each as a test of its own; the finding stands behind them.

mod again;
mod blame;
mod late;
mod load;
mod rise;
mod tell;

use crate::args::CapacityArgs;
use crate::catalogue;
use crate::conduct::Conduct;
use crate::conductor::{Arm, Conductor};
use crate::exit::{self, CliError};
use crate::grounds::Started;
use crate::live::Live;
use crate::{out, plans, requests, stores};
use again::Repetitions;
use blame::Blame;
use crucible_analysis::Verdict;
use crucible_core::{Ns, ScenarioId, units};
use crucible_engine::Options;
use crucible_plan::{Plan, Test};
use crucible_schedule::Pacing;
use crucible_stats::capacity::{Answer, Finding, Proposal, Search, Settings, TrialResult};
use load::Target;
use rise::Rise;
use std::sync::Arc;

/// Length of windows: fine enough to end a hopeless trial soon.
const WINDOW: Ns = Ns::from_millis(500);

/// Searches; the exit code says whether a capacity was found.
pub fn run(args: &CapacityArgs) -> Result<u8, CliError> {
    let path = std::path::Path::new(&args.system);
    let folder = path.exists().then(|| plans::folder(path));
    let labels = args.labels.of_run(folder.as_deref())?;
    let (plan, ground) = plan_of(args)?;
    let Prepared { base, target, search, notes } = prepare(&plan, args)?;
    notes.iter().for_each(|note| out::note(note));
    let scale = target.scale();
    let store = if args.no_record { None } else { Some(stores::open(args.store.store.as_deref())?) };
    let mut options = Options::suited_to(&plan, &[]);
    options.shards = args.tell.shards.unwrap_or(1);
    options.window = WINDOW;
    let live = Live::new(true);
    let how = Conduct { store, shards: None, realtime: args.tell.realtime, live, labels };
    let protocol = catalogue::protocol(&plan)
        .map_err(|why| CliError::usage(format!("failed to prepare the requests: {why}")))?;
    let mut conductor =
        Conductor::begin("capacity", vec![Arm { plan, protocol: Arc::new(protocol) }], options, how)?;
    let found = search_with(&mut conductor, search, &base, &target, args.tell.quiet)?;
    drop(ground);
    let json = tell::json(&found.finding, &target, scale);
    let (verdict, why) = verdict(&found.finding, found.invalid.as_deref());
    conductor.find(json.to_string(), verdict, why);
    let conducted = conductor.finish();
    if args.tell.json {
        out::line(&serde_json::to_string_pretty(&json).unwrap_or_default());
    } else {
        let about = format!("{} ({})", conducted.view.started.plan, base.name);
        tell::text(&found.finding, &target, scale, &about).iter().for_each(|line| out::line(line));
    }
    if let Some(why) = &found.invalid {
        out::note(&format!("the search is not valid: {why}"));
        return Ok(exit::INVALID);
    }
    if conducted_interrupted(&conducted) {
        return Ok(exit::INTERRUPTED);
    }
    Ok(exit::of(verdict, args.tell.allow.is_some()))
}

/// What is put on the plan's system and looked for there.
struct Prepared {
    base: Test,
    target: Target,
    search: Search,
    /// What was chosen for who asked, to be told once.
    notes: Vec<String>,
}

/// Says nothing: a plan with a system of its own is prepared once before that is started, and once for it.
fn prepare(plan: &Plan, args: &CapacityArgs) -> Result<Prepared, CliError> {
    let mut notes = Vec::new();
    let base = test_of(plan, args, &mut notes)?;
    let target = Target::of(plan, &base, args, &mut notes)?;
    let search = Search::new(settings(args, &target, &mut notes)?)
        .map_err(|wrong| CliError::usage(format!("failed to plan the search\n  {}", wrong.join("\n  "))))?;
    Ok(Prepared { base, target, search, notes })
}

fn conducted_interrupted(conducted: &crate::conduct::Conducted) -> bool {
    let finished = conducted.view.finished.as_ref();
    finished.is_some_and(|end| end.reason == crucible_record::StopReason::Interrupted)
}

/// A capacity is a pass; none because nothing failed or nothing was decided is inconclusive; a target that never holds
/// is a failure.
fn verdict(finding: &Finding, invalid: Option<&str>) -> (Verdict, String) {
    if let Some(why) = invalid {
        return (Verdict::Invalid, why.to_owned());
    }
    match &finding.answer {
        Answer::Edge(edge) => {
            (Verdict::Pass, format!("the capacity was found; {} gives way first", edge.name))
        }
        Answer::NeverHeld { name, .. } => (Verdict::Fail, format!("{name} does not hold at the lowest load")),
        Answer::NoEdge { .. } => {
            (Verdict::Inconclusive, "nothing gave way up to the highest load".to_owned())
        }
        Answer::Unknown { why } => (Verdict::Inconclusive, why.clone()),
    }
}

fn plan_of(args: &CapacityArgs) -> Result<(Plan, Option<Started>), CliError> {
    let path = std::path::Path::new(&args.system);
    if path.exists() {
        return plans::load_with_ground(path, &args.overrides, |plan| prepare(plan, args).map(drop));
    }
    if !args.system.contains("://") && !args.system.contains(':') {
        return Err(CliError::usage(format!(
            "failed to read {}: there is no such plan\n  name a plan file, a folder with a plan.yaml, or a URL",
            args.system
        )));
    }
    let url = requests::whole(&args.system);
    let load = load::open(1.0, Ns::from_secs(1), 1);
    let test = Test::plain("capacity", vec![ScenarioId(0)], load);
    let text = format!("crucible capacity {}", crucible_plan::without_credentials(&url));
    Ok((requests::plan("capacity", &url, &args.request, test, args.overrides.seed.unwrap_or(1), text)?, None))
}

/// The test whose scenarios are put on and whose thresholds must hold.
fn test_of(plan: &Plan, args: &CapacityArgs, notes: &mut Vec<String>) -> Result<Test, CliError> {
    let names: Vec<String> = args.test.iter().cloned().collect();
    let chosen = plans::choose(plan, &names)?;
    let tests = || chosen.iter().map(|index| &plan.tests[*index]);
    // one that is a load of the kind that is searched for, and not a number of iterations
    let suits = |test: &&Test| {
        let phases = &test.load.phases;
        phases.iter().any(|phase| match &phase.pacing {
            Pacing::Open { .. } => !args.users,
            Pacing::Closed { users, iterations } => args.users && iterations.is_none() && users.max() > 1.0,
        })
    };
    let test = tests().find(suits).or_else(|| tests().next()).cloned();
    let test = test.ok_or_else(|| CliError::usage("the plan has no test".to_owned()))?;
    if args.test.is_none() && plan.tests.len() > 1 {
        notes.push(format!("the load is that of the test `{}`; --test names another", test.name));
    }
    Ok(test)
}

fn settings(args: &CapacityArgs, target: &Target, notes: &mut Vec<String>) -> Result<Settings, CliError> {
    let mut settings = Settings::new(target.scale(), target.predicates.clone());
    let time = |option: &str, text: &str| {
        units::parse_duration(text)
            .map_err(|hint| CliError::usage(format!("failed to read {option} {text:?}\n  {hint}")))
    };
    settings.within = time("--within", &args.within)?;
    settings.shortest = time("--trial", &args.trial)?;
    if target.shortest() > settings.shortest {
        settings.shortest = target.shortest();
        notes.push(format!(
            "trials of {}: in shorter ones nothing takes as long as the targets allow",
            settings.shortest
        ));
    }
    settings.start = args.from.unwrap_or(settings.start);
    settings.most = args.to.unwrap_or(if args.users { 100_000.0 } else { 1e6 });
    settings.precision = args.precision / 100.0;
    settings.downward = args.down;
    settings.headroom = args.headroom / 100.0;
    Ok(settings)
}

/// What a search came to.
struct Found {
    finding: Finding,
    /// Why it cannot be trusted.
    invalid: Option<String>,
}

fn search_with<P: crucible_core::Protocol>(
    conductor: &mut Conductor<P>,
    mut search: Search,
    base: &Test,
    target: &Target,
    quiet: bool,
) -> Result<Found, CliError> {
    let scale = target.scale();
    let (mut again, mut blame) = (Repetitions::default(), Blame::default());
    let mut rise = Rise::new(scale, search.left());
    loop {
        let (trial, takes) = match search.propose() {
            Proposal::Done(mut finding) => {
                if let Answer::Edge(edge) = &finding.answer {
                    finding.remarks.extend(blame.of(edge, &conductor.plan().steps));
                }
                finding.remarks.extend(again.remark());
                finding.remarks.extend(rise.remark());
                return Ok(Found { finding: *finding, invalid: None });
            }
            Proposal::Trial(trial) => rise.shape(&trial, search.left()),
        };
        let test = load::test(base, &trial, takes, scale);
        let steps = conductor.plan().steps.clone();
        let leg = conductor.leg(0, test, again.turn(&trial), |windows| {
            let partial = TrialResult { trial, windows: target.windows(windows, &steps), ended_early: true };
            search.hopeless(&partial) || search.recovered(&partial)
        })?;
        if conductor.interrupted() {
            return Ok(Found { finding: search.finding(), invalid: None });
        }
        let result =
            TrialResult { trial, windows: target.windows(&leg.windows, &steps), ended_early: leg.cut };
        if let Some(why) = late::late(&leg.windows, target, &result) {
            let ends = again.late(&mut search, &trial, &why, scale);
            if ends.is_some() {
                return Ok(Found { finding: search.finding(), invalid: ends });
            }
            continue;
        }
        again.in_time(&trial, leg.cut);
        blame.take(&result, &leg.windows, &steps);
        rise.observe(&result);
        search.observe(result);
        if !quiet {
            out::note(&tell::progress(&search.progress(), &trial, leg.cut, scale));
        }
    }
}
