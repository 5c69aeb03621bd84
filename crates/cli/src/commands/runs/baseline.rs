//! `crucible runs baseline`: names for runs that others are compared with.

use crate::exit::CliError;
use crate::{out, stores};
use serde_json::json;
use std::path::Path;

/// Words that `--baseline` takes for something else.
const TAKEN: [&str; 1] = ["last"];

/// Lists the names, or gives or takes one.
pub(super) fn run(
    name: Option<&str>,
    runs: &[String],
    delete: bool,
    json: bool,
    given: Option<&Path>,
) -> Result<(), CliError> {
    let failed = |what: &str, e: &dyn std::fmt::Display| CliError::usage(format!("failed to {what}: {e}"));
    let Some(name) = name else { return list(json, given) };
    check(name)?;
    let store = stores::open(given)?;
    if delete {
        let known = store.delete_baseline(name).map_err(|e| failed("take the name away", &e))?;
        let told = if known { "deleted" } else { "there was none called" };
        out::line(&format!("{told} {name}"));
        return Ok(());
    }
    if runs.is_empty() {
        let all = store.baselines().map_err(|e| failed("list the baselines", &e))?;
        let known = all.into_iter().find(|baseline| baseline.name == name).ok_or_else(|| {
            CliError::usage(format!(
                "there is no baseline `{name}`\n  name its runs, as in `crucible runs baseline {name} last`"
            ))
        })?;
        known.runs.iter().for_each(|run| out::line(run));
        return Ok(());
    }
    let found: Vec<String> =
        runs.iter().map(|run| stores::find(&store, run.trim())).collect::<Result<_, _>>()?;
    store.set_baseline(name, &found).map_err(|e| failed("name the runs", &e))?;
    out::line(&format!("{name} is {}", found.join(", ")));
    Ok(())
}

fn check(name: &str) -> Result<(), CliError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let hint = if TAKEN.contains(&name) {
        "`--baseline last` is the run before; choose another name"
    } else if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
        "a name is of letters, digits and - _ . /, 100 of them at most"
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!("failed to name a baseline {name:?}\n  {hint}")))
}

fn list(json: bool, given: Option<&Path>) -> Result<(), CliError> {
    let path = stores::path(given)?;
    let all = match path.exists() {
        true => stores::open_to_read(given)?
            .baselines()
            .map_err(|e| CliError::usage(format!("failed to list the baselines: {e}")))?,
        false => Vec::new(),
    };
    if json {
        let rows: Vec<_> = all.iter().map(|b| json!({"name": b.name, "runs": b.runs})).collect();
        out::line(&json!({"schema": 1, "baselines": rows}).to_string());
    } else if all.is_empty() {
        out::line("no baselines; `crucible runs baseline NAME RUN` names one");
    }
    for baseline in all.iter().filter(|_| !json) {
        out::line(&format!("{:<20} {}", baseline.name, baseline.runs.join(" ")));
    }
    Ok(())
}
