//! What must hold of evidence and settings before anything is worked out: all mistakes at once.

use super::evidence::{Evidence, Settings, Slice, Trials};
use super::outcome::Problem;

pub(super) fn check(evidence: &Evidence, settings: &Settings) -> Vec<Problem> {
    let mut problems = of_settings(settings);
    let gauges = evidence.gauges.len();
    match &evidence.trials {
        Trials::Interleaved(pairs) => {
            if pairs.is_empty() {
                problems.push(problem("pairs", "there are none", "give the slices of both arms"));
            }
            for (index, pair) in pairs.iter().enumerate() {
                slice(&mut problems, &format!("pair {index}, arm a"), &pair.a, gauges);
                slice(&mut problems, &format!("pair {index}, arm b"), &pair.b, gauges);
            }
        }
        Trials::Runs { a, b } => {
            for (arm, runs) in [("a", a), ("b", b)] {
                if runs.is_empty() {
                    problems.push(problem(&format!("arm {arm}"), "it has no run", "give at least one run"));
                }
                for (index, run) in runs.iter().enumerate() {
                    let place = format!("arm {arm}, run {index}");
                    if run.is_empty() {
                        problems.push(problem(
                            &place,
                            "it has no windows",
                            "leave the run out, or give its windows",
                        ));
                    }
                    for (window, part) in run.iter().enumerate() {
                        slice(&mut problems, &format!("{place}, window {window}"), part, gauges);
                    }
                }
            }
        }
    }
    problems
}

fn problem(place: &str, what: impl Into<String>, remedy: &str) -> Problem {
    Problem { place: place.to_owned(), problem: what.into(), remedy: remedy.to_owned() }
}

fn slice(problems: &mut Vec<Problem>, place: &str, slice: &Slice, gauges: usize) {
    if !(slice.seconds > 0.0 && slice.seconds.is_finite()) {
        let what = format!("its length is {} s", slice.seconds);
        problems.push(problem(place, what, "give the seconds that it lasted, more than 0"));
    }
    if slice.ok.saturating_add(slice.errors) > slice.operations {
        let what = format!("{} ok and {} errors of {} operations", slice.ok, slice.errors, slice.operations);
        problems.push(problem(place, what, "count as operations all that ended"));
    }
    if slice.readings.len() != gauges {
        let what = format!("{} readings for {gauges} gauges", slice.readings.len());
        problems.push(problem(place, what, "give one reading a gauge, NaN where there was none"));
    }
    if let Some(bad) = slice.readings.iter().find(|reading| **reading < 0.0 || reading.is_infinite()) {
        problems.push(problem(place, format!("a reading is {bad}"), "readings are finite and not below 0"));
    }
}

fn of_settings(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut inside = |place: &str, value: f64, low: f64, high: f64| {
        if value.is_nan() || value <= low || value >= high {
            let remedy = format!("choose it between {low} and {high}");
            problems.push(problem(place, format!("it is {value}"), &remedy));
        }
    };
    inside("alpha", settings.alpha, 0.0, 0.5);
    inside("confidence", settings.confidence, 0.5, 1.0);
    inside("power", settings.power, 0.5, 1.0);
    inside("margin", settings.margin, 0.0, 10.0);
    inside("error margin", settings.error_margin, 0.0, 1.0);
    settings.percentiles.iter().for_each(|share| inside("percentiles", *share, 0.0, 1.0));
    if let Some(spread) = settings.run_spread.filter(|spread| !(0.0..10.0).contains(spread)) {
        problems.push(problem(
            "run spread",
            format!("it is {spread}"),
            "give the relative standard deviation, as 0.02",
        ));
    }
    problems
}
