//! Two live systems under the same load in slices that alternate: pairs in random order, each pair with the same
//! arrivals.
//!
//! Source: the duet procedure (Bulej et al., ICPE 2020) and randomised interleaving (Laaber et al., EMSE 2019); here the
//! slices take turns, because two loads at once would share the generator.

use super::evidence::{Series, slice};
use super::told;
use crate::args::CompareArgs;
use crate::catalogue;
use crate::conduct::Conduct;
use crate::conductor::{Arm, Conductor};
use crate::exit::CliError;
use crate::grounds;
use crate::live::Live;
use crate::plans::{self, PlanOverrides};
use crate::{out, stores};
use crucible_core::{Ns, Rng, WarmUp, units};
use crucible_engine::Options;
use crucible_plan::Test;
use crucible_record::{RunStarted, Store, Window};
use crucible_report::comparison::Compared;
use crucible_schedule::{Load, LoadPhase, Pacing};
use crucible_stats::compare::{Evidence, Pair, Settings, Trials, compare};
use std::path::Path;
use std::sync::Arc;

/// Length of windows: a slice is several of them, and the first is left out.
const WINDOW: Ns = Ns::from_millis(250);
/// Names of the arms in records.
const ARMS: [&str; 2] = ["A", "B"];

/// Runs the duet and compares.
pub(super) fn run(args: &CompareArgs, settings: &Settings) -> Result<Vec<Compared>, CliError> {
    let plan = args.a.as_deref().map(Path::new).ok_or_else(|| usage("name the plan"))?;
    let [first, second] = targets(args, plan)?;
    let arm = |target: &System| -> Result<_, CliError> {
        let mut env = target.env.clone();
        env.extend(args.env.iter().cloned());
        let overrides = PlanOverrides { target: Some(target.url.clone()), seed: args.seed, env };
        let plan = plans::load(plan, &overrides)?;
        let protocol = catalogue::protocol(&plan)
            .map_err(|why| CliError::usage(format!("failed to prepare the requests: {why}")))?;
        Ok(Arm { plan, protocol: Arc::new(protocol) })
    };
    let arms = vec![arm(&first)?, arm(&second)?];
    let base = test(&arms[0].plan, args)?;
    let (length, pairs) = lengths(args)?;
    let mut options = Options::suited_to(&arms[0].plan, &[]);
    options.window = WINDOW;
    let store = if args.no_record { None } else { Some(stores::open(args.store.store.as_deref())?) };
    let how = Conduct { store, shards: None, realtime: false, live: Live::new(true) };
    let seed = arms[0].plan.seed;
    let mut conductor = Conductor::begin(arms, options, how)?;
    let mut rng = Rng::new(seed, "order of slices", 0);
    let mut done = Vec::new();
    for pair in 0..pairs {
        let order = if rng.unit() < 0.5 { [0, 1] } else { [1, 0] };
        let mut slices = [Vec::new(), Vec::new()];
        for arm in order {
            let test = named(sliced(&base, length)?, &format!("{} {}", ARMS[arm], pair + 1));
            slices[arm] = conductor.leg(arm, test, pair, |_| false)?.windows;
        }
        if conductor.interrupted() {
            break;
        }
        done.push(slices);
        if !args.quiet && (pair + 1) % 10 == 0 {
            out::note(&format!("{} of {pairs} pairs", pair + 1));
        }
    }
    drop((first, second));
    let conducted = conductor.finish();
    let started = &conducted.view.started;
    let paired: Vec<Pair> = done.iter().map(|[a, b]| pair_of(started, a, b)).collect();
    Ok(vec![judge(base.name, arm_names(started), paired, settings)?])
}

/// Compares a stored duet once more.
pub(super) fn again(store: &Store, run: &str, settings: &Settings) -> Result<Vec<Compared>, CliError> {
    let series = Series::read(store, run)?;
    let mut pairs = Vec::new();
    for number in 1.. {
        let slices = ARMS.map(|arm| series.windows_of(&format!("{arm} {number}")));
        let [a, b] = &slices;
        if a.is_empty() || b.is_empty() {
            break;
        }
        pairs.push(pair_of(&series.started, a, b));
    }
    if pairs.is_empty() {
        return Err(usage("this run is no duet; name a second run to compare it with"));
    }
    let name = series.started.plan.clone();
    Ok(vec![judge(name, arm_names(&series.started), pairs, settings)?])
}

fn judge(
    test: String,
    arms: [String; 2],
    pairs: Vec<Pair>,
    settings: &Settings,
) -> Result<Compared, CliError> {
    let evidence = Evidence { gauges: Vec::new(), trials: Trials::Interleaved(pairs) };
    let comparison = compare(&evidence, settings).map_err(|problems| told(&problems))?;
    Ok(Compared { test, arms, gauges: Vec::new(), comparison })
}

fn arm_names(started: &RunStarted) -> [String; 2] {
    match started.target.split_once(" and ") {
        Some((a, b)) => [a.to_owned(), b.to_owned()],
        None => ARMS.map(str::to_owned),
    }
}

/// The windows of two slices as a pair; the first window of each opens connections and is left out.
fn pair_of(started: &RunStarted, a: &[Window], b: &[Window]) -> Pair {
    let settled = |windows: &[Window]| {
        let skip = usize::from(windows.len() > 2);
        slice(started, &windows[skip..])
    };
    Pair { a: settled(a), b: settled(b), round: 0 }
}

fn usage(hint: &str) -> CliError {
    CliError::usage(format!(
        "failed to compare: {hint}\n  write `crucible compare --duet PLAN --target A --target B`"
    ))
}

/// A system under test, ended when dropped if it is ours.
struct System {
    url: String,
    env: Vec<String>,
    _ground: Option<grounds::Started>,
}

/// The two addresses, or two systems of the proving ground if the plan names one.
fn targets(args: &CompareArgs, plan: &Path) -> Result<[System; 2], CliError> {
    let address = |url: &String| System { url: url.clone(), env: Vec::new(), _ground: None };
    match args.targets.as_slice() {
        [a, b] => Ok([address(a), address(b)]),
        [] => {
            let ground = plans::ground(plan)?.ok_or_else(|| usage("two addresses are needed"))?;
            let start = |switches: &[String]| -> Result<System, CliError> {
                let truth: Vec<String> = ground.truth.iter().chain(switches).cloned().collect();
                let started = grounds::start(&ground.system, &truth)?;
                let (url, env) = (started.url.clone(), started.variables());
                out::note(&format!("started the proving ground's `{}` at {url}", ground.system));
                Ok(System { url, env, _ground: Some(started) })
            };
            Ok([start(&args.truth_a)?, start(&args.truth_b)?])
        }
        _ => Err(usage("give `--target` twice")),
    }
}

fn test(plan: &crucible_plan::Plan, args: &CompareArgs) -> Result<Test, CliError> {
    let names: Vec<String> = args.test.iter().cloned().collect();
    let index = plans::choose(plan, &names)?.first().copied().unwrap_or(0);
    Ok(plan.tests[index].clone())
}

fn lengths(args: &CompareArgs) -> Result<(Ns, u64), CliError> {
    let read = |what: &str, text: &str| {
        units::parse_duration(text)
            .map_err(|hint| CliError::usage(format!("failed to read {what} {text:?}\n  {hint}")))
    };
    let (slice, total) = (read("--slice", &args.slice)?, read("--for", &args.length)?);
    if slice < Ns(WINDOW.0 * 3) || total < slice {
        return Err(CliError::usage(format!(
            "failed to plan the slices\n  a slice lasts at least {}, and --for at least one slice",
            Ns(WINDOW.0 * 3)
        )));
    }
    Ok((slice, (total.0 / slice.0).max(1)))
}

fn named(test: Test, name: &str) -> Test {
    Test { name: name.to_owned(), thresholds: Vec::new(), warm_up: WarmUp::Keep, ..test }
}

/// The test's load held at its highest for the length of a slice.
fn sliced(base: &Test, length: Ns) -> Result<Test, CliError> {
    let top = |curve: &crucible_schedule::Curve| {
        let most = curve.pieces.iter().map(|piece| piece.from.max(piece.to)).fold(0.0, f64::max);
        crucible_schedule::Curve::constant(most, length)
    };
    let phase = base.load.phases.iter().max_by_key(|phase| phase.max_users());
    let phase = phase.ok_or_else(|| CliError::usage("the test has no load".to_owned()))?;
    let pacing = match &phase.pacing {
        Pacing::Open { rate, spacing, max_users, patience } => {
            Pacing::Open { rate: top(rate), spacing: *spacing, max_users: *max_users, patience: *patience }
        }
        Pacing::Closed { users, .. } => Pacing::Closed { users: top(users), iterations: None },
    };
    let phase = LoadPhase { name: "slice".into(), length, pacing, marks: Vec::new() };
    let load = Load {
        profile: "slice",
        start_delay: Ns::ZERO,
        phases: vec![phase],
        graceful_stop: Ns::from_secs(1),
    };
    Ok(Test { load, warm_up: WarmUp::Keep, ..base.clone() })
}
