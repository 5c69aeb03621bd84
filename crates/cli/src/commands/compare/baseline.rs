//! The runs that `--baseline` means.

use crate::exit::CliError;
use crate::{out, stores};
use crucible_record::{RunState, RunSummary, Store, StoreError};

/// Most runs of a branch that are taken: enough to tell what differs from run to run.
const MOST: usize = 5;

/// `last` is the run of the same plan before the first of `runs`; other words are a named baseline, a run (or several, with
/// commas), or a branch: the newest runs of the same plan with that label that are complete and valid.
pub(super) fn resolve(store: &Store, word: &str, runs: &[String]) -> Result<Vec<String>, CliError> {
    let failed = |why: String| CliError::usage(format!("failed to find the baseline `{word}`: {why}"));
    let told = |error: StoreError| failed(error.to_string());
    let all = store.runs().map_err(told)?;
    let first = runs.iter().min().cloned().unwrap_or_default();
    let plan = all.iter().find(|run| run.id == first).map(|run| run.plan.clone()).unwrap_or_default();
    if word == "last" {
        let before =
            all.iter().filter(|run| run.plan == plan && run.id < first).max_by(|a, b| a.id.cmp(&b.id));
        return before.map(|run| vec![run.id.clone()]).ok_or_else(|| {
            failed(format!(
                "there is no run of `{plan}` before {first}\n  name a run, as in `--baseline RUN`"
            ))
        });
    }
    let named = store.baselines().map_err(told)?;
    if let Some(baseline) = named.iter().find(|baseline| baseline.name == word) {
        return Ok(baseline.runs.clone());
    }
    let each: Vec<&str> = word.split(',').map(str::trim).collect();
    if each.len() > 1 || store.find(word).is_ok() {
        return each.iter().map(|name| stores::find(store, name)).collect();
    }
    let mut known: Vec<String> = Vec::new();
    let mut of_branch: Vec<String> = Vec::new();
    for run in all.iter().filter(|run| run.plan == plan && counts(run) && !runs.contains(&run.id)) {
        let Ok(started) = store.started(&run.id) else { continue };
        let Some((_, branch)) = started.labels.into_iter().find(|(name, _)| name == "branch") else {
            continue;
        };
        if branch == word {
            of_branch.push(run.id.clone());
        } else if !known.contains(&branch) {
            known.push(branch);
        }
        if of_branch.len() == MOST {
            break;
        }
    }
    of_branch.reverse();
    match of_branch.as_slice() {
        [] => {}
        [only] => out::note(&format!("baseline {word}: the run {only} of that branch")),
        [from, .., to] => {
            out::note(&format!("baseline {word}: {} runs of that branch, {from} to {to}", of_branch.len()))
        }
    }
    if !of_branch.is_empty() {
        return Ok(of_branch);
    }
    let names: Vec<String> = named.into_iter().map(|baseline| baseline.name).collect();
    let list = |what: &str, names: &[String]| match names {
        [] => format!("no {what}"),
        names => format!("{what}: {}", names.join(", ")),
    };
    Err(failed(format!(
        "no baseline, run or branch of `{plan}` has this name\n  {}; {}\n  name one with `crucible runs baseline {word} RUN`",
        list("baselines", &names),
        list("other branches", &known)
    )))
}

/// Whether a run is complete and was found valid.
fn counts(run: &RunSummary) -> bool {
    matches!(&run.state, RunState::Complete(reason) if reason == "completed")
        && run.verdict.as_deref() != Some("invalid")
        && !run.tests.is_empty()
}
