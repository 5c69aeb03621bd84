//! The runs that `--baseline` means.

use crate::exit::CliError;
use crate::{out, stores};
use crucible_core::Histogram;
use crucible_record::{RunState, RunSummary, Store, StoreError};
use crucible_stats::compare::Slice;
use crucible_stats::special::{normal_quantile, t_quantile};

/// Most runs of a branch that are taken: enough to tell what differs from run to run.
const MOST: usize = 5;

/// `last` is the run of the same plan before the first of `runs`; other words are a named baseline, a run (or several, with
/// commas), or a branch: the newest runs of the same plan with that label that are complete and valid.
pub(crate) fn resolve(store: &Store, word: &str, runs: &[String]) -> Result<Vec<String>, CliError> {
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

/// Fewest runs that tell how much runs differ.
const FEWEST: usize = 3;

/// How much runs of one system differ from each other, relatively, where one side is a single run and the other has
/// several: by their medians, and by as much more as so few runs leave open.
pub(super) fn run_spread(a: &[Vec<Slice>], b: &[Vec<Slice>], alpha: f64) -> Option<f64> {
    let several = match (a.len(), b.len()) {
        (several, 1) if several >= FEWEST => a,
        (1, several) if several >= FEWEST => b,
        _ => return None,
    };
    let median = |run: &Vec<Slice>| {
        let mut all = Histogram::default();
        run.iter().for_each(|slice| all.merge(&slice.latency));
        all.quantile(0.5).map(|median| (median.0.max(1) as f64).ln())
    };
    let logs: Vec<f64> = several.iter().filter_map(median).collect();
    let n = logs.len() as f64;
    if logs.len() < FEWEST {
        return None;
    }
    let mean = logs.iter().sum::<f64>() / n;
    let squares: f64 = logs.iter().map(|log| (log - mean) * (log - mean)).sum();
    let open = t_quantile(n - 1.0, alpha / 2.0) / normal_quantile(alpha / 2.0);
    Some((squares / (n - 1.0)).sqrt() * open).filter(|spread| spread.is_finite())
}

/// Whether a run is complete and was found valid.
fn counts(run: &RunSummary) -> bool {
    matches!(&run.state, RunState::Complete(reason) if reason == "completed")
        && run.verdict.as_deref() != Some("invalid")
        && !run.tests.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::Ns;

    #[test]
    fn several_runs_tell_how_much_a_single_one_may_differ() {
        let run = |micros: u64| {
            let mut latency = Histogram::default();
            latency.record_many(Ns::from_micros(micros), 100);
            vec![Slice { latency, ..Slice::default() }]
        };
        let runs = |all: &[u64]| all.iter().map(|micros| run(*micros)).collect::<Vec<_>>();
        let five = runs(&[5_000, 5_100, 4_900, 5_050, 4_950]);
        // 1.6 % by five runs; Student's t with 4 degrees is 1.79 times as wide as the normal at 1 %
        let spread = run_spread(&five, &runs(&[5_500]), 0.01).unwrap();
        assert!((spread - 0.0158 * 1.787).abs() < 0.003, "{spread}");
        assert_eq!(run_spread(&runs(&[1]), &five, 0.01), run_spread(&five, &runs(&[1]), 0.01));
        assert_eq!(run_spread(&five, &five, 0.01), None);
        assert_eq!(run_spread(&runs(&[1, 2]), &runs(&[3]), 0.01), None);
        assert_eq!(run_spread(&[vec![], vec![], vec![]], &runs(&[3]), 0.01), None);
    }
}
