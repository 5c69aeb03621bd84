//! Two live systems under the same load in slices that alternate: pairs in random order, each pair with the same
//! arrivals.
//!
//! Source: the duet procedure (Bulej et al., ICPE 2020) and randomised interleaving (Laaber et al., EMSE 2019); here the
//! slices take turns, because two loads at once would share the generator.

use super::evidence::{ARMS, Series, SliceName};
use super::systems::{self, System, usage};
use super::told;
use crate::args::CompareArgs;
use crate::conduct::Conduct;
use crate::conductor::Conductor;
use crate::exit::CliError;
use crate::live::Live;
use crate::{out, plans, stores};
use crucible_analysis::{RunView, Verdict, lateness_of_all};
use crucible_core::{Ns, Rng, WarmUp, units};
use crucible_engine::Options;
use crucible_plan::Test;
use crucible_record::{RunStarted, Store};
use crucible_report::comparison::Compared;
use crucible_schedule::{Load, LoadPhase, Pacing};
use crucible_stats::compare::{Evidence, FEWEST_ROUNDS, Settings, Trials, compare};
use std::path::Path;

/// Length of windows: a slice is several of them, and the first is left out.
const WINDOW: Ns = Ns::from_millis(250);
/// The kind of what is found, in records.
const FINDING: &str = "comparison";
/// Runs the duet and compares.
pub(super) fn run(args: &CompareArgs, settings: &Settings) -> Result<Duet, CliError> {
    let plan = args.a.as_deref().map(Path::new).ok_or_else(|| usage("name the plan"))?;
    let mut systems = systems::both(args, plan)?;
    let [first, second] = &systems;
    let mut arms = [first.arm(args, plan)?, second.arm(args, plan)?];
    systems::watch_apart(&mut arms);
    arms.iter_mut().for_each(|arm| arm.plan.monitor_every = WINDOW);
    let base = test(&arms[0].plan, args)?;
    let (length, pairs) = lengths(args)?;
    let (seed, rounds) = (arms[0].plan.seed, args.rounds);
    let mut options = Options::suited_to(&arms[0].plan, &[]);
    options.window = WINDOW;
    let store = if args.no_record { None } else { Some(stores::open(args.store.store.as_deref())?) };
    let live = Live::new(true);
    let how = Conduct { store, shards: None, realtime: false, live, labels: Vec::new() };
    let mut conductor = Conductor::begin(FINDING, arms.into(), options, how)?;
    let mut rng = Rng::new(seed, "order of slices", 0);
    let mut series = Series::default();
    'slices: for pair in 0..pairs {
        let round = pair * rounds / pairs;
        if pair > 0 && round != (pair - 1) * rounds / pairs {
            systems.iter_mut().try_for_each(System::restart)?;
        }
        let order = if rng.unit() < 0.5 { [0, 1] } else { [1, 0] };
        for arm in order {
            let name = SliceName { arm, number: pair + 1, round };
            let test = named(sliced(&base, length)?, &name.text(rounds));
            series.windows.extend(conductor.leg(arm, test, u64::from(pair), |_| false)?.windows);
            if conductor.interrupted() {
                break 'slices;
            }
        }
        if !args.quiet && (pair + 1) % 10 == 0 {
            out::note(&format!("{} of {pairs} pairs", pair + 1));
        }
    }
    drop(systems);
    series.readings = conductor.readings();
    series.started = conductor.view().started.clone();
    let compared = judge(&series, base.name, settings);
    let invalid = starved(conductor.view());
    if let Ok(compared) = &compared {
        let (verdict, why) = match &invalid {
            Some(why) => (Verdict::Invalid, why.clone()),
            None => super::verdict(compared),
        };
        conductor.find(crucible_report::comparison::json(compared).to_string(), verdict, why);
    }
    conductor.finish();
    Ok(Duet { compared: compared?, invalid })
}

/// Compares a stored duet once more.
pub(crate) fn again(store: &Store, run: &str, settings: &Settings) -> Result<Duet, CliError> {
    let series = Series::read(store, run)?;
    let events = store.events(run).map_err(|error| CliError::usage(error.to_string()))?;
    let view = RunView::from_events(events).map_err(|error| CliError::usage(error.to_string()))?;
    if !series.started.tests.iter().any(|test| SliceName::read(&test.name).is_some()) {
        return Err(usage("this run is no duet; name a second run to compare it with"));
    }
    let name = series.started.plan.clone();
    Ok(Duet { compared: judge(&series, name, settings)?, invalid: starved(&view) })
}

/// What a duet came to.
pub(crate) struct Duet {
    pub(crate) compared: Compared,
    /// Why its figures say more about the generator than about the systems.
    pub(crate) invalid: Option<String>,
}

/// Both arms were loaded by one generator: if it was late, it was late for both.
fn starved(view: &RunView) -> Option<String> {
    let judgements = lateness_of_all(view);
    judgements.into_iter().find(|judgement| judgement.verdict == Verdict::Invalid).map(|found| found.why)
}

fn judge(series: &Series, test: String, settings: &Settings) -> Result<Compared, CliError> {
    let (gauges, pairs) = series.pairs();
    let evidence = Evidence { gauges: gauges.clone(), trials: Trials::Interleaved(pairs) };
    let comparison = compare(&evidence, settings).map_err(|problems| told(&problems))?;
    Ok(Compared { test, arms: arm_names(&series.started), gauges, comparison })
}

fn arm_names(started: &RunStarted) -> [String; 2] {
    match started.target.split_once(" and ") {
        Some((a, b)) => [a.to_owned(), b.to_owned()],
        None => ARMS.map(str::to_owned),
    }
}

fn test(plan: &crucible_plan::Plan, args: &CompareArgs) -> Result<Test, CliError> {
    let names: Vec<String> = args.test.iter().cloned().collect();
    let index = plans::choose(plan, &names)?.first().copied().unwrap_or(0);
    Ok(plan.tests[index].clone())
}

fn lengths(args: &CompareArgs) -> Result<(Ns, u32), CliError> {
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
    let few = (2..FEWEST_ROUNDS).contains(&args.rounds);
    if few || Ns(slice.0.saturating_mul(u64::from(args.rounds))) > total {
        return Err(CliError::usage(format!(
            "failed to plan the starts\n  --rounds is 1 or at least {FEWEST_ROUNDS}, and --for at least one slice for each"
        )));
    }
    Ok((slice, u32::try_from(total.0 / slice.0).unwrap_or(u32::MAX).max(1)))
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
