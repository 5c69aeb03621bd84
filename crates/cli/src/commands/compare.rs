//! `crucible compare`: two records, or two live systems in interleaved slices.

pub(crate) mod baseline;
pub(crate) mod duet;
mod evidence;
mod systems;

use crate::args::CompareArgs;
use crate::exit::{self, CliError};
use crate::{out, stores};
use crucible_analysis as analysis;
use crucible_record::Store;
use crucible_report::comparison::{self as tell, Compared};
use crucible_stats::compare::{Settings, Verdict, compare};
use evidence::Series;

/// Compares; the exit code says whether the second got worse.
pub fn run(args: &CompareArgs) -> Result<u8, CliError> {
    let settings = settings(args);
    let (compared, invalid) = if args.duet {
        of_duet(duet::run(args, &settings)?)
    } else {
        let store = stores::open(args.store.store.as_deref())?;
        match sides(args, &store)? {
            (first, second) if first.len() == 1 && second.is_empty() => {
                of_duet(duet::again(&store, &first[0], &settings)?)
            }
            (first, second) => (stored(&first, &second, &store, &settings)?, None),
        }
    };
    if args.json {
        let all: Vec<serde_json::Value> = compared.iter().map(tell::json).collect();
        out::line(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else if args.markdown {
        compared.iter().flat_map(tell::markdown).for_each(|line| out::line(&line));
    } else {
        compared.iter().flat_map(tell::text).for_each(|line| out::line(&line));
    }
    if let Some(why) = invalid {
        out::note(&format!("the comparison is not valid: {why}"));
        return Ok(exit::INVALID);
    }
    Ok(code(&compared, args))
}

fn of_duet(duet: duet::Duet) -> (Vec<Compared>, Option<String>) {
    (vec![duet.compared], duet.invalid)
}

fn code(compared: &[Compared], args: &CompareArgs) -> u8 {
    let worst = analysis::Verdict::worst(compared.iter().map(|one| verdict(one).0));
    exit::of(worst, args.allow.is_some())
}

/// Worse is a failure; undecided in everything is inconclusive, so that a comparison that could not have seen anything
/// is not a pass.
fn verdict(compared: &Compared) -> (analysis::Verdict, String) {
    let undecided =
        |metric: &crucible_stats::compare::Compared| matches!(metric.verdict, Verdict::Undecided(_));
    if compared.comparison.any_worse() {
        (analysis::Verdict::Fail, "the second became worse".to_owned())
    } else if compared.comparison.metrics.iter().all(undecided) {
        (analysis::Verdict::Inconclusive, "no figure is decided".to_owned())
    } else {
        (analysis::Verdict::Pass, "nothing was shown to have become worse".to_owned())
    }
}

fn settings(args: &CompareArgs) -> Settings {
    Settings {
        alpha: args.alpha,
        margin: args.margin / 100.0,
        seed: args.seed.unwrap_or(1),
        ..Settings::default()
    }
}

/// Compares stored runs, test by test.
pub(crate) fn stored(
    first: &[String],
    second: &[String],
    store: &Store,
    settings: &Settings,
) -> Result<Vec<Compared>, CliError> {
    let read =
        |names: &[String]| names.iter().map(|run| Series::read(store, run)).collect::<Result<Vec<_>, _>>();
    let (a, b) = (read(first)?, read(second)?);
    let mut compared = Vec::new();
    for test in common_tests(&a, &b) {
        let gauges = evidence::gauges(&a, &b);
        let slices = |runs: &[Series]| runs.iter().map(|run| run.slices(&test, &gauges)).collect::<Vec<_>>();
        let (of_a, of_b) = (slices(&a), slices(&b));
        let spread = settings.run_spread.or_else(|| baseline::run_spread(&of_a, &of_b, settings.alpha));
        let settings = Settings { run_spread: spread, ..settings.clone() };
        let trials = crucible_stats::compare::Trials::Runs { a: of_a, b: of_b };
        let evidence = crucible_stats::compare::Evidence { gauges: gauges.clone(), trials };
        let comparison = compare(&evidence, &settings).map_err(|problems| told(&problems))?;
        compared.push(Compared { test, arms: [first.join(", "), second.join(", ")], gauges, comparison });
    }
    if compared.is_empty() {
        let names = |runs: &[Series]| runs.iter().flat_map(Series::tests).collect::<Vec<_>>().join(", ");
        return Err(CliError::usage(format!(
            "failed to compare: the runs have no test in common\n  the first has {}; the second has {}",
            names(&a),
            names(&b)
        )));
    }
    Ok(compared)
}

pub(super) fn told(problems: &[crucible_stats::compare::Problem]) -> CliError {
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    CliError::usage(format!("failed to compare\n  {}", list.join("\n  ")))
}

/// The runs of both sides, from words such as `last`, `RUN` or `RUN,RUN,RUN`, and `--baseline`.
fn sides(args: &CompareArgs, store: &Store) -> Result<(Vec<String>, Vec<String>), CliError> {
    let find = |word: &str| -> Result<Vec<String>, CliError> {
        word.split(',').map(|name| stores::find(store, name.trim())).collect()
    };
    let given = |word: &Option<String>| word.as_deref().map(find).transpose();
    let (a, b) = (given(&args.a)?, given(&args.b)?);
    match (a, b, &args.baseline) {
        (Some(a), Some(b), None) => Ok((a, b)),
        (Some(b), None, Some(baseline)) => Ok((baseline::resolve(store, baseline, &b)?, b)),
        (Some(a), None, None) => Ok((a, Vec::new())),
        _ => Err(CliError::usage(
            "failed to compare: two sides are needed\n  name two runs, or one and `--baseline last`, or use --duet with two addresses"
                .to_owned(),
        )),
    }
}

fn common_tests(a: &[Series], b: &[Series]) -> Vec<String> {
    let all =
        |runs: &[Series], test: &str| runs.iter().all(|run| run.tests().iter().any(|name| name == test));
    let first: Vec<String> = a.first().map(Series::tests).unwrap_or_default();
    first.into_iter().filter(|test| all(a, test) && all(b, test)).collect()
}
