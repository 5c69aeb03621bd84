//! Figures of stored runs, read once and then kept in the store: a history of hundreds of runs opens in no time.

use crucible_analysis::history::{FigureValue, RunFigures, TestFigures, VERSION};
use crucible_analysis::{RunView, Unit};
use crucible_record::{RunSummary, Store};

/// Figures that are written at once.
const BATCH: usize = 50;

/// The figures of runs, in their order, and how many runs could not be read.
pub fn figures(store: &Store, runs: &[&RunSummary]) -> (Vec<RunFigures>, usize) {
    // criteria may judge otherwise in another version
    let version = format!("{} {VERSION}", env!("CARGO_PKG_VERSION"));
    let (mut all, mut fresh, mut unreadable) = (Vec::with_capacity(runs.len()), Vec::new(), 0);
    let keep = |fresh: &mut Vec<(String, Vec<u8>)>, least: usize| {
        if fresh.len() >= least {
            // a store that cannot be written is read once more next time
            let _ = store.keep_figures(&version, fresh);
            fresh.clear();
        }
    };
    for run in runs {
        let kept = store.kept_figures(&run.id, &version).ok().flatten();
        if let Some(figures) = kept.and_then(|body| serde_json::from_slice(&body).ok()) {
            all.push(figures);
            continue;
        }
        let Some(figures) = read(store, run) else {
            unreadable += 1;
            continue;
        };
        if let Ok(body) = serde_json::to_vec(&figures) {
            fresh.push((run.id.clone(), body));
        }
        all.push(figures);
        keep(&mut fresh, BATCH);
    }
    keep(&mut fresh, 1);
    (all, unreadable)
}

fn read(store: &Store, run: &RunSummary) -> Option<RunFigures> {
    let view = RunView::from_events(store.events(&run.id).ok()?).ok()?;
    let mut figures = RunFigures::of(&view);
    if run.tests.is_empty() {
        // trials of a search are no tests of the plan; what it came to is a figure
        figures.tests =
            view.findings.iter().filter(|f| f.kind == "capacity").filter_map(|f| capacity(&f.body)).collect();
    }
    Some(figures)
}

/// What a search for the capacity came to. Shape: `docs/reference/capacity-json.md`.
fn capacity(body: &str) -> Option<TestFigures> {
    let found: serde_json::Value = serde_json::from_str(body).ok()?;
    let unit = found["unit"].as_str()?;
    let predicates: Vec<&str> = found["predicates"].as_array()?.iter().filter_map(|p| p.as_str()).collect();
    let load = format!("{unit} at which holds: {}", predicates.join(", "));
    let figure = FigureValue {
        subject: "all steps".into(),
        measure: "capacity".into(),
        unit: if unit == "users" { Unit::Number } else { Unit::PerSecond },
        more_is_better: true,
        value: found["answer"]["edge"]["estimate"].as_f64().filter(|value| value.is_finite())?,
        evidence: found["trials"].as_u64().unwrap_or(0),
    };
    Some(TestFigures {
        test: "capacity".into(),
        identity: load.clone(),
        load,
        figures: vec![figure],
        thresholds: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_is_a_figure_of_which_more_is_better() {
        let body = r#"{"unit": "arrivals per second", "predicates": ["p99 < 100ms"], "trials": 9,
            "answer": {"kind": "edge", "edge": {"estimate": 749.5, "low": 730.0, "high": 760.0}}}"#;
        let found = capacity(body).unwrap();
        assert_eq!(
            (found.test.as_str(), found.load.as_str()),
            ("capacity", "arrivals per second at which holds: p99 < 100ms")
        );
        let figure = &found.figures[0];
        assert_eq!((figure.value, figure.unit, figure.more_is_better), (749.5, Unit::PerSecond, true));
        // a search that found no edge tells no figure
        for body in ["", "{}", r#"{"unit": "users", "predicates": [], "answer": {"kind": "no_edge"}}"#] {
            assert!(capacity(body).is_none(), "{body}");
        }
    }
}
