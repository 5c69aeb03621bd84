//! The event daemon's suite: what it says of events against what was sent.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::path::Path;
use support::{Place, crucible};

#[test]
fn the_plan_is_sound() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites/events");
    let told = crucible().args(["plan", "check"]).arg(&suite).output();
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
}

#[test]
fn a_sound_daemon_loses_nothing_of_any_size_while_a_service_is_ill() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites/events");
    let tests = ["light-quick", "payload-sizes-quick", "error-recovery-quick", "duplicates"];
    let report = crucible().args(["run", "--json", "--no-record"]).arg(&suite).args(tests).output().json();
    let told = report["tests"].as_array().unwrap();
    assert_eq!(told.len(), tests.len(), "{report:#}");
    for test in told {
        let rows = test["totals"]["steps"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["errors"] == 0 && row["ended"] != 0), "{test:#}");
    }
}

/// Whoever accepts everything looks well; how much is done shows in the daemon's own counts.
#[test]
fn an_unbounded_queue_accepts_at_once_and_is_found_out_by_what_waits() {
    let place = Place::new();
    let path = place.write(
        "p.yaml",
        "name: probe
target: http://127.0.0.1:8090
ground: {system: events, truth: [unbounded-queue=20ms]}
steps:
  - name: publish
    post: /events
    json: {family: service, payload: \"${pad(uuid(), 512, 'x')}\"}
    check: {status: 202, json.status: accepted}
    measure: {accepted: {from: '${1}', kind: counter}}
tests:
  t:
    rate: 200/s
    for: 2s
    teardown:
      - name: done
        get: /stats
        check: {status: 200}
        measure: {handled: {from: json.processed, kind: counter}}
thresholds: {publish: {max: 1m, errors: 0%}}
",
    );
    let report = crucible().args(["run", "--json", "--no-record"]).arg(&path).output().json();
    let totals = &report["tests"][0]["totals"];
    let sum = |name: &str| {
        let measures = totals["measures"].as_array().unwrap();
        measures.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{report:#}"))["sum"]
            .as_f64()
            .unwrap()
    };
    let publish = totals["steps"].as_array().unwrap().iter().find(|it| it["name"] == "publish").unwrap();
    assert_eq!((publish["outcomes"]["ok"].as_u64(), publish["errors"].as_u64()), (Some(400), Some(0)));
    // one each 20 ms, for the two seconds of the load and however long it took to ask; two services take each event
    assert_eq!(sum("accepted"), 400.0);
    let seconds = totals["covered_seconds"].as_f64().unwrap() + 1.0;
    assert!(sum("handled") <= 2.0 * 50.0 * seconds, "{} in {seconds} s", sum("handled"));
}
