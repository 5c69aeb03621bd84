//! Names for runs and kept figures: beside the records, never instead of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::started;
use crucible_core::Ns;
use crucible_record::*;
use rusqlite::Connection;

fn store_of(runs: &[&str]) -> Store {
    let store = Store::in_memory().unwrap();
    for (at, run) in (1..).zip(runs) {
        let first = RunStarted { started_unix_ms: at * 1_000, ..started(run) };
        store.begin(&first).unwrap().finish().unwrap();
    }
    store
}

fn names(store: &Store) -> Vec<String> {
    store.baselines().unwrap().iter().map(|b| format!("{}={}", b.name, b.runs.join("+"))).collect()
}

fn list(runs: &[&str]) -> Vec<String> {
    runs.iter().map(|run| (*run).to_owned()).collect()
}

#[test]
fn a_run_that_is_gone_is_in_no_baseline() {
    let store = store_of(&["a", "b", "c"]);
    store.set_baseline("release", &list(&["c", "a"])).unwrap();
    store.set_baseline("good", &list(&["b"])).unwrap();
    assert_eq!(names(&store), ["good=b", "release=a+c"]);
    let unknown = store.set_baseline("good", &list(&["b", "nobody"]));
    assert!(matches!(unknown, Err(StoreError::UnknownRun { asked, .. }) if asked == "nobody"));
    store.set_baseline("good", &list(&["a", "a"])).unwrap();
    assert_eq!(names(&store), ["good=a", "release=a+c"]);
    store.delete("a").unwrap();
    assert_eq!(names(&store), ["release=c"]);
    // a run of the same name that comes later is another one
    store.begin(&started("a")).unwrap();
    assert_eq!(names(&store), ["release=c"]);
    assert!(store.delete_baseline("release").unwrap());
    assert!(!store.delete_baseline("release").unwrap());
    assert_eq!(store.runs().unwrap().len(), 3);
}

#[test]
fn kept_figures_are_for_the_same_version_and_the_same_record() {
    let store = store_of(&["a"]);
    let mut writer = store.begin(&started("b")).unwrap();
    let figures = ["a", "b", "nobody"].map(|run| (run.to_owned(), run.as_bytes().to_vec()));
    store.keep_figures("1", &figures).unwrap();
    assert_eq!(store.kept_figures("a", "1").unwrap(), Some(b"a".to_vec()));
    assert_eq!(store.kept_figures("a", "2").unwrap(), None);
    assert_eq!(store.kept_figures("nobody", "1").unwrap(), None);
    assert_eq!(store.kept_figures("b", "1").unwrap(), Some(b"b".to_vec()));
    writer.append(&RunEvent::Phase(PhaseStarted { phase: 0, at: Ns::ZERO })).unwrap();
    assert_eq!(store.kept_figures("b", "1").unwrap(), None, "the record has grown");
    store.delete("a").unwrap();
    store.begin(&started("a")).unwrap();
    assert_eq!(store.kept_figures("a", "1").unwrap(), None);
}

#[test]
fn a_store_of_an_older_version_gains_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    drop(Store::open(&path).unwrap().begin(&started("a")).unwrap());
    Connection::open(&path).unwrap().execute_batch("DROP TABLE baselines; DROP TABLE figures").unwrap();
    let reading = Store::open_read_only(&path).unwrap();
    assert_eq!((names(&reading).len(), reading.kept_figures("a", "1").unwrap()), (0, None));
    drop(reading);
    let store = Store::open(&path).unwrap();
    store.set_baseline("good", &list(&["a"])).unwrap();
    assert_eq!(names(&store), ["good=a"]);
    assert_eq!(store.started("a").unwrap().plan, "classroom");
    assert!(store.started("b").is_err());
}
