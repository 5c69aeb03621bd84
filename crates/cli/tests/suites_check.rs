//! The suites of this repository: every plan is sound, has a quick and a full selection, and stands in the table that says
//! which demand is tested where.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use crucible_http::HttpGrammar;
use crucible_plan::{Plan, ReadOptions};
use crucible_sse::SseGrammar;
use crucible_websocket::WebSocketGrammar;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use support::crucible;

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites")
}

/// The plans of all suites, by folder.
fn plans() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(suites()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        for file in std::fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|ending| ending == "yaml") {
                found.push((name.clone(), file));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 3, "{found:?}");
    found
}

fn read(path: &Path) -> Plan {
    let options = ReadOptions {
        grammars: &[&HttpGrammar, &WebSocketGrammar, &SseGrammar],
        env: &|_| None,
        folder: path.parent().unwrap().to_owned(),
        expressions: Some(crucible_expr::language()),
        open_feeder: &crucible_harness::sources::open_feeder,
        read_file: crucible_plan::NO_FILES,
        target: None,
        seed: None,
    };
    crucible_plan::read(&std::fs::read_to_string(path).unwrap(), &options)
        .unwrap_or_else(|told| panic!("{}: {told:?}", path.display()))
}

#[test]
fn every_plan_is_sound_and_without_warnings() {
    for (_, path) in plans() {
        let told = crucible().args(["plan", "check"]).arg(&path).output();
        assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{}", path.display());
        assert!(told.stdout.contains(" is sound: "), "{}", told.stdout);
    }
}

/// Suites whose table rows and selections are checked to the last test.
const COMPLETE: [&str; 3] = ["agents", "classroom", "stories"];

/// What the short form of a test is called.
const SHORT: &str = " (quick)";

#[test]
fn every_plan_has_a_quick_and_a_full_selection() {
    for (suite, path) in plans() {
        let plan = read(&path);
        let selection = |name: &str| -> BTreeSet<&str> {
            let suite = plan.suites.iter().find(|suite| suite.name == name);
            let suite = suite.unwrap_or_else(|| panic!("{} has no suite {name}", path.display()));
            suite.tests.iter().map(|test| plan.tests[*test].name.as_str()).collect()
        };
        let (quick, full) = (selection("quick"), selection("full"));
        if COMPLETE.contains(&suite.as_str()) {
            let quick: BTreeSet<&str> = quick.iter().map(|name| name.trim_end_matches(SHORT)).collect();
            assert_eq!(quick, full, "{}: quick and full test different things", path.display());
            assert!(plan.ground.is_some(), "{} names no system of the proving ground", path.display());
        }
    }
}

/// Names as `SUITE/TEST` between backticks.
fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|name| name.split_once('/'))
}

#[test]
fn the_table_names_every_test_and_no_other() {
    let table = std::fs::read_to_string(suites().join("README.md")).unwrap();
    let mut tests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (suite, path) in plans() {
        tests.entry(suite).or_default().extend(read(&path).tests.into_iter().map(|test| test.name));
    }
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (suite, test) in named(&table) {
        if COMPLETE.contains(&suite) {
            assert!(tests[suite].contains(test), "the table names `{suite}/{test}`, which is no test");
            told.entry(suite).or_default().insert(test);
        }
    }
    for suite in COMPLETE {
        for test in tests[suite].iter().filter(|test| !test.ends_with(SHORT)) {
            assert!(told[suite].contains(test.as_str()), "the table does not name `{suite}/{test}`");
        }
    }
}
