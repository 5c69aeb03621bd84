//! `crucible runs history`: what changed over the runs of a plan, and since when.

use crate::args::HistoryArgs;
use crate::exit::{self, CliError};
use crate::{kept, out, plans, stores};
use crucible_analysis::history::{Group, History, RunFigures};
use crucible_record::{RunState, RunSummary, Store};
use crucible_report::history as tell;
use crucible_stats::history::Settings;
use std::path::Path;

/// Tells the history; with `--check` the exit code says whether a figure is worse than it was.
pub fn run(args: &HistoryArgs) -> Result<u8, CliError> {
    let settings = settings(args)?;
    let wanted = labels(&args.label)?;
    let store = open(args.store.store.as_deref())?;
    let all = store.runs().map_err(|e| CliError::usage(format!("failed to list the runs: {e}")))?;
    let plan = plan(args.plan.as_deref(), &all)?;
    let of_plan: Vec<&RunSummary> = all.iter().filter(|run| run.plan == plan).collect();
    let (chosen, unfinished) = choose(&store, &of_plan, &wanted, args.last);
    if chosen.is_empty() {
        return Err(nothing(&plan, args));
    }
    let (mut figures, unreadable) = kept::figures(&store, &chosen);
    only(&mut figures, &args.metric)?;
    known_test(&figures, args.test.as_deref())?;
    let mut history = History::of(&plan, figures, args.test.as_deref(), &settings);
    history.left_out.unfinished += unfinished;
    history.left_out.unreadable += unreadable;
    if args.thresholds {
        out::text(&limits(&history, args)?);
        return Ok(exit::PASS);
    }
    if args.json {
        out::line(&serde_json::to_string_pretty(&tell::json(&history)).unwrap_or_default());
    } else {
        out::text(&tell::text(&history, out::ascii()));
    }
    Ok(if args.check { check(&history, args) } else { exit::PASS })
}

fn check(history: &History, args: &HistoryArgs) -> u8 {
    let worse = history.regressions();
    if let Some(first) = worse.first() {
        let names: Vec<String> = worse.iter().map(|found| found.series.name()).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.dedup();
        out::note(&format!("regression in {}: {}", first.group.test, names.join(", ")));
        return exit::FAIL;
    }
    let few: Vec<String> =
        history.too_few().map(|group| format!("{} ({} runs)", group.test, group.runs.len())).collect();
    if few.is_empty() && !history.groups.is_empty() {
        return exit::PASS;
    }
    out::note(&format!("too few runs to tell a regression: {}; ten are needed", few.join(", ")));
    if args.allow.is_some() { exit::PASS } else { exit::INCONCLUSIVE }
}

fn settings(args: &HistoryArgs) -> Result<Settings, CliError> {
    let wrong = |what: &str, hint: &str| Err(CliError::usage(format!("failed to read {what}\n  {hint}")));
    if !(args.alpha > 0.0 && args.alpha < 0.5) {
        return wrong("--alpha", "give a share above 0 and below 0.5, as in 0.01");
    }
    if !(0.0..1_000.0).contains(&args.margin) {
        return wrong("--margin", "give percent from 0 on, as in 1");
    }
    if !(50.0..100.0).contains(&args.coverage) {
        return wrong("--coverage", "give percent from 50 on and below 100, as in 99");
    }
    Ok(Settings { alpha: args.alpha, margin: args.margin / 100.0, ..Settings::default() })
}

fn labels(words: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let read = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(CliError::usage(format!(
            "failed to read --label {word:?}\n  write KEY=VALUE, as in branch=main"
        ))),
    };
    words.iter().map(read).collect()
}

/// The store, for writing where that can be done: figures are kept there to be quick next time.
fn open(given: Option<&Path>) -> Result<Store, CliError> {
    let path = stores::path(given)?;
    if !path.exists() {
        let hint = "`crucible run PLAN` keeps them; name another store with --store FILE";
        return Err(CliError::usage(format!("there are no runs in {}\n  {hint}", path.display())));
    }
    Store::open(&path).or_else(|_| stores::open_to_read(given))
}

/// The plan's name: as given, as its file says, or the only one.
fn plan(given: Option<&str>, all: &[RunSummary]) -> Result<String, CliError> {
    let mut names: Vec<&str> = all.iter().map(|run| run.plan.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let counted = || {
        let count = |name: &&str| format!("{name} ({})", all.iter().filter(|run| run.plan == **name).count());
        names.iter().take(12).map(count).collect::<Vec<_>>().join(", ")
    };
    match (given, names.as_slice()) {
        (Some(given), names) if names.contains(&given) => Ok(given.to_owned()),
        (Some(given), names) => {
            let file = Path::new(given);
            let name = if file.exists() { plans::name(file)? } else { None };
            match name {
                Some(name) if names.contains(&name.as_str()) => Ok(name),
                _ => Err(CliError::usage(format!(
                    "there is no run of the plan `{}`\n  plans in the store, with their runs: {}",
                    name.as_deref().unwrap_or(given),
                    counted()
                ))),
            }
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => {
            Err(CliError::usage("there are no runs in the store\n  `crucible run PLAN` keeps them"))
        }
        (None, _) => Err(CliError::usage(format!(
            "the store has runs of several plans\n  name one of them: {}",
            counted()
        ))),
    }
}

/// The runs that are looked at, the oldest first, and how many were passed over because they were broken off.
fn choose<'r>(
    store: &Store,
    runs: &[&'r RunSummary],
    wanted: &[(String, String)],
    last: Option<u32>,
) -> (Vec<&'r RunSummary>, usize) {
    let most = last.map_or(usize::MAX, |last| last as usize);
    let labelled = |run: &RunSummary| {
        let labels = || store.started(&run.id).map(|started| started.labels).unwrap_or_default();
        wanted.is_empty() || {
            let labels = labels();
            wanted.iter().all(|pair| labels.contains(pair))
        }
    };
    let (mut chosen, mut unfinished) = (Vec::new(), 0);
    for run in runs.iter().copied().filter(|run| labelled(run)) {
        if chosen.len() == most {
            break;
        }
        match &run.state {
            RunState::Complete(reason) if reason == "completed" => chosen.push(run),
            _ => unfinished += 1,
        }
    }
    chosen.reverse();
    (chosen, unfinished)
}

fn nothing(plan: &str, args: &HistoryArgs) -> CliError {
    let hint = match args.label.is_empty() {
        true => "a run counts when it came to its planned end",
        false => "`crucible runs list --json` shows the labels of each run",
    };
    CliError::usage(format!("there is no run of `{plan}` to look at\n  {hint}"))
}

/// Keeps the figures that were asked for.
fn only(runs: &mut [RunFigures], metrics: &[String]) -> Result<(), CliError> {
    if metrics.is_empty() {
        return Ok(());
    }
    let matches = |subject: &str, measure: &str, wanted: &str| match subject {
        "all steps" => wanted == measure,
        subject => wanted == subject || wanted == format!("{subject} {measure}"),
    };
    let mut known: Vec<String> = Vec::new();
    let mut found = vec![false; metrics.len()];
    for test in runs.iter_mut().flat_map(|run| &mut run.tests) {
        let fits = |subject: &str, measure: &str| metrics.iter().position(|m| matches(subject, measure, m));
        test.figures.retain(|figure| {
            known.push(match figure.subject.as_str() {
                "all steps" => figure.measure.clone(),
                subject => subject.to_owned(),
            });
            let place = fits(&figure.subject, &figure.measure);
            place.is_some_and(|place| std::mem::replace(&mut found[place], true) || found[place])
        });
        test.thresholds.retain(|held| fits(&held.subject, &held.measure).is_some());
    }
    match metrics.iter().zip(found).find(|(_, found)| !found) {
        None => Ok(()),
        Some((metric, _)) => {
            known.sort();
            known.dedup();
            Err(CliError::usage(format!("no run has a figure `{metric}`\n  known: {}", known.join(", "))))
        }
    }
}

fn known_test(runs: &[RunFigures], wanted: Option<&str>) -> Result<(), CliError> {
    let mut known: Vec<&str> =
        runs.iter().flat_map(|run| &run.tests).map(|test| test.test.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    match wanted {
        Some(test) if !known.contains(&test) => {
            let hint = crucible_core::fields::suggest(test, &known);
            Err(CliError::usage(format!("no run has a test `{test}`\n  {hint}")))
        }
        _ => Ok(()),
    }
}

/// The thresholds block of the one test that is meant.
fn limits(history: &History, args: &HistoryArgs) -> Result<String, CliError> {
    let newest: Vec<&Group> = history.groups.iter().filter(|group| group.newest).collect();
    match newest.as_slice() {
        [group] => Ok(tell::thresholds(history, group, args.coverage / 100.0)),
        [] => Err(CliError::usage(
            "no run that counts has a test\n  see `crucible runs history` for what was left out",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|group| group.test.as_str()).collect();
            Err(CliError::usage(format!(
                "each test has limits of its own\n  name one with --test: {}",
                names.join(", ")
            )))
        }
    }
}
