//! The records that an overview is made of: those that are named, or the newest of a plan; and what compares them.

use crate::args::ReportArgs;
use crate::commands::compare::{baseline, duet, stored};
use crate::exit::CliError;
use crate::{out, stores};
use crucible_analysis::{Assessment, RunView, assess};
use crucible_core::units;
use crucible_record::{RunState, RunSummary, Store};
use crucible_report::{Asked, Baseline, Kind, Options, Report, Survey, Wanted, kind};
use crucible_stats::compare::Settings;
use std::collections::BTreeSet;
use std::path::Path;

/// Most records of a plan that are looked into for those that say something new.
const MOST: usize = 40;

/// Records, read and judged, and what was asked.
#[derive(Default)]
pub(super) struct Gathered {
    records: Vec<Record>,
    baselines: Vec<Baseline>,
    asked: Asked,
}

struct Record {
    store: Store,
    id: String,
    view: RunView,
    assessment: Assessment,
}

impl Record {
    fn read(store: Store, id: String) -> Result<Record, CliError> {
        let view = stores::view_by_band(&store, &id)?;
        let assessment = assess(&view);
        Ok(Record { store, id, view, assessment })
    }

    fn kind(&self) -> Kind {
        Report::new(&self.view, &self.assessment).kind()
    }
}

impl Gathered {
    /// Hands the records to whoever wants to say something of them.
    pub(super) fn survey<T>(&self, options: Options, tell: impl FnOnce(&Survey<'_>) -> T) -> T {
        let runs: Vec<Report<'_>> =
            self.records.iter().map(|one| Report::new(&one.view, &one.assessment)).collect();
        tell(&Survey { runs: &runs, baselines: &self.baselines, asked: &self.asked, options })
    }
}

/// Reads what the command names.
pub(super) fn gather(args: &ReportArgs) -> Result<Gathered, CliError> {
    let given = args.store.store.as_deref();
    let mut asked = asked(args)?;
    let mut records = Vec::new();
    for word in args.run.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match of_plan(given, word)? {
            Some(found) => {
                asked.newest_only = true;
                records.extend(found);
            }
            None => {
                let (store, id) = stores::locate(given, word)?;
                records.push(Record::read(store, id)?);
            }
        }
    }
    let mut seen = BTreeSet::new();
    records.retain(|record| seen.insert(record.id.clone()));
    if !asked.at.is_empty() && asked.at.len() != records.len() {
        return Err(CliError::usage(format!(
            "failed to read --at: {} numbers for {} runs\n  give one for each run, in their order",
            asked.at.len(),
            records.len()
        )));
    }
    let baselines = baselines(args, &records)?;
    Ok(Gathered { records, baselines, asked })
}

fn asked(args: &ReportArgs) -> Result<Asked, CliError> {
    let overview = &args.overview;
    let wanted = overview.wanted.as_deref().map(|text| {
        let wrong = |hint: &str| CliError::usage(format!("failed to read --for {text:?}\n  {hint}"));
        if text.contains('/') {
            return units::parse_rate(text).map(Wanted::Rate).map_err(|hint| wrong(&hint));
        }
        let number: f64 = text.trim_end_matches(" users").trim().parse().unwrap_or(0.0);
        match number.is_finite() && number > 0.0 {
            true => Ok(Wanted::Users(number)),
            false => Err(wrong("write a rate, as in 500/s, or a number of users, as in 500")),
        }
    });
    let positive = |what: &str, value: f64| match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(CliError::usage(format!("failed to read {what} {value}\n  write a number above 0"))),
    };
    overview.at.iter().try_for_each(|at| positive("--at", *at))?;
    overview.instances.iter().try_for_each(|count| positive("--instances", *count))?;
    Ok(Asked {
        at: overview.at.clone(),
        by: overview.by.clone(),
        wanted: wanted.transpose()?,
        instances: overview.instances,
        newest_only: false,
    })
}

/// The newest records of a plan, one or several for each thing that a record can be made for; `None` if the word is no
/// plan's name, or is the name of a run or a file.
fn of_plan(given: Option<&Path>, word: &str) -> Result<Option<Vec<Record>>, CliError> {
    if word == "last" || Path::new(word).is_file() || !stores::path(given)?.exists() {
        return Ok(None);
    }
    let store = stores::open_to_read(given)?;
    let all = store.runs().map_err(|e| CliError::usage(format!("failed to list the runs: {e}")))?;
    if all.iter().any(|run| run.id == word) || !all.iter().any(|run| run.plan == word) {
        return Ok(None);
    }
    let own = all.into_iter().filter(|run| run.plan == word && whole(run)).take(MOST);
    let mut records: Vec<Record> = Vec::new();
    let mut known = BTreeSet::new();
    for run in own {
        // a load says before it is read which tests it has
        let load = !run.tests.is_empty() && kind(run.tests.iter().map(String::as_str), []) == Kind::Load;
        if load && run.tests.iter().all(|test| known.contains(&format!("test {test}"))) {
            continue;
        }
        let record = Record::read(store.clone(), run.id)?;
        let said = says(&record);
        if said.iter().any(|what| !known.contains(what)) {
            known.extend(said);
            records.push(record);
        }
    }
    if records.is_empty() {
        return Err(CliError::usage(format!(
            "no run of `{word}` came to its end\n  run it: crucible run PLAN"
        )));
    }
    // the oldest first, as they were made
    records.reverse();
    Ok(Some(records))
}

/// Whether a run did what it was to do.
fn whole(run: &RunSummary) -> bool {
    matches!(&run.state, RunState::Complete(reason) if reason != "interrupted" && !reason.starts_with("error"))
}

/// What a record can answer, as keys: of two with the same key the newer one is taken.
fn says(record: &Record) -> Vec<String> {
    let body = |wanted: &str| {
        let finding = record.view.findings.iter().rev().find(|finding| finding.kind == wanted)?;
        serde_json::from_str::<serde_json::Value>(&finding.body).ok()
    };
    match record.kind() {
        Kind::Load => record.view.started.tests.iter().map(|test| format!("test {}", test.name)).collect(),
        Kind::Capacity => body("capacity")
            .map(|body| format!("capacity {} {}", body["unit"], body["test"]))
            .into_iter()
            .collect(),
        Kind::Limits => body("limits")
            .map(|body| format!("limits {} {}", body["what"], body["subject"]))
            .into_iter()
            .collect(),
        Kind::Duet => vec!["comparison".to_owned()],
    }
}

/// Comparisons: of the two arms of a duet, and of load runs with the baseline that is asked for.
fn baselines(args: &ReportArgs, records: &[Record]) -> Result<Vec<Baseline>, CliError> {
    let readiness = args.format.iter().any(|form| form == "readiness");
    let settings = Settings::default();
    let mut found = Vec::new();
    for record in records.iter().filter(|_| readiness) {
        let id = &record.id;
        match (record.kind(), &args.overview.baseline) {
            (Kind::Duet, _) => {
                let duet = duet::again(&record.store, id, &settings)?;
                match duet.invalid {
                    None => found.push(Baseline { runs: vec![id.clone()], compared: vec![duet.compared] }),
                    Some(why) => out::note(&format!("the duet {id} is left out, it is not valid: {why}")),
                }
            }
            (Kind::Load, Some(word)) => {
                let own = std::slice::from_ref(id);
                let base = baseline::resolve(&record.store, word, own)?;
                if base.contains(id) {
                    continue;
                }
                match stored(&base, own, &record.store, &settings) {
                    Ok(compared) => found.push(Baseline { runs: vec![id.clone()], compared }),
                    Err(error) => out::note(&format!("{id} was not compared: {}", error.text)),
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
