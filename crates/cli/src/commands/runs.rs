//! `crucible runs`: what is in the store.

mod baseline;
pub mod history;

use crate::args::RunsCommand;
use crate::exit::{CliError, PASS};
use crate::{out, stores};
use crucible_record::{RunState, RunSummary, Store};
use jiff::Timestamp;
use serde_json::json;
use std::path::Path;

/// Lists, shows, names, exports, imports or deletes, and tells histories.
pub fn run(command: &RunsCommand) -> Result<u8, CliError> {
    let failed = |what: &str, e: &dyn std::fmt::Display| CliError::usage(format!("failed to {what}: {e}"));
    match command {
        RunsCommand::List { json, store } => list(store.store.as_deref(), *json)?,
        RunsCommand::Show { run, store } => {
            let (_, view) = stores::view(store.store.as_deref(), run)?;
            super::report::print(&view, "summary")?;
        }
        RunsCommand::History(args) => return history::run(args),
        RunsCommand::Baseline { name, runs, delete, json, store } => {
            baseline::run(name.as_deref(), runs, *delete, *json, store.store.as_deref())?
        }
        RunsCommand::Export { run, file, store } => {
            let store = stores::open_to_read(store.store.as_deref())?;
            let id = store.find(run).map_err(|e| failed("find the run", &e))?;
            store.export(&id, file).map_err(|e| failed("export the run", &e))?;
            out::line(&format!(
                "{id} is in {}; `crucible report {}` reads it",
                file.display(),
                file.display()
            ));
        }
        RunsCommand::Import { file, store } => {
            let store = stores::open(store.store.as_deref())?;
            let taken = store.import(file).map_err(|e| failed("import", &e))?;
            match taken.as_slice() {
                [] => out::line("nothing new"),
                runs => runs.iter().for_each(|run| out::line(run)),
            }
        }
        RunsCommand::Delete { runs, store } => {
            let store = stores::open(store.store.as_deref())?;
            let found: Result<Vec<String>, _> = runs.iter().map(|run| store.find(run)).collect();
            // Nothing is deleted unless every name is known.
            for id in found.map_err(|e| failed("find the run", &e))? {
                store.delete(&id).map_err(|e| failed("delete the run", &e))?;
                out::line(&format!("deleted {id}"));
            }
        }
    }
    Ok(PASS)
}

fn list(given: Option<&Path>, json: bool) -> Result<(), CliError> {
    let path = stores::path(given)?;
    let failed = |e: crucible_record::StoreError| CliError::usage(format!("failed to list the runs: {e}"));
    let store = path.exists().then(|| Store::open_read_only(&path)).transpose().map_err(failed)?;
    let runs: Vec<RunSummary> =
        store.as_ref().map(Store::runs).transpose().map_err(failed)?.unwrap_or_default();
    if let (true, Some(store)) = (json, &store) {
        let rows: Vec<_> = runs.iter().map(|run| as_json(run, &labels(store, &run.id))).collect();
        out::line(&json!({ "schema": 1, "runs": rows }).to_string());
    } else if json {
        let rows: Vec<serde_json::Value> = Vec::new();
        out::line(&json!({ "schema": 1, "runs": rows }).to_string());
    } else if runs.is_empty() {
        out::line(&format!("no runs in {}", path.display()));
    } else {
        out::line(&format!("{:<22} {:<17} {:<13} {:<20} tests", "run", "started (UTC)", "verdict", "plan"));
        runs.iter().for_each(|run| out::line(&as_row(run)));
    }
    Ok(())
}

fn state(run: &RunSummary) -> String {
    match (&run.state, &run.verdict) {
        (RunState::Incomplete, _) => "incomplete".into(),
        (RunState::Complete(_), Some(verdict)) => verdict.clone(),
        (RunState::Complete(reason), None) => reason.clone(),
    }
}

fn as_row(run: &RunSummary) -> String {
    let cut = |text: &str, most: usize| -> String {
        let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        if text.chars().count() > most {
            clean.take(most - 1).chain(['…']).collect()
        } else {
            clean.collect()
        }
    };
    let started = Timestamp::from_millisecond(run.started_unix_ms as i64)
        .map_or_else(|_| "-".into(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    format!(
        "{:<22} {started:<17} {:<13} {:<20} {}",
        run.id,
        cut(&state(run), 13),
        cut(&run.plan, 20),
        cut(&run.tests.join(", "), 40)
    )
}

/// Labels of a run; none where its record is damaged, which is no reason to hide the run.
fn labels(store: &Store, run: &str) -> serde_json::Map<String, serde_json::Value> {
    let labels = store.started(run).map(|started| started.labels).unwrap_or_default();
    labels.into_iter().map(|(name, value)| (name, value.into())).collect()
}

fn as_json(run: &RunSummary, labels: &serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
    json!({
        "run": run.id, "plan": run.plan, "plan_hash": run.plan_hash, "target": run.target, "tests": run.tests,
        "started_unix_ms": run.started_unix_ms, "state": state(run), "verdict": run.verdict,
        "complete": matches!(run.state, RunState::Complete(_)), "events": run.events, "bytes": run.bytes,
        "labels": labels,
    })
}
