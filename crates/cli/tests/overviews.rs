//! Requirements, readiness and scaling from records that were really made, and from the store by a plan's name.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use crucible_core::Ns;
use crucible_testkit::Law;
use crucible_testkit::servers::truth::{Behaviour, TruthConfig, TruthServer};
use serde_json::Value;
use support::{Place, crucible};

/// Each user asks about 50 times a second, whatever the number of users: 2 ms of answer, 18 ms of pause.
const PLAN: &str = "
name: corner shop
target: http://127.0.0.1:1
scenarios:
  visitor: {think: 18ms, steps: [{name: look, get: /}]}
tests:
  steps: {vus: [1, 2, 3, 4], for: 2s, thresholds: {look: {p95: {target: 1us, acceptable: 5s}}}}
  night: {vus: 1, for: 1h, thresholds: {look: {p99: 10s}}}
";

fn row<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("{name} in {rows}"))
}

#[test]
fn the_documents_are_made_from_the_store_and_say_what_is_missing() {
    let place = Place::new();
    let (plan, store) = (place.write("plan.yaml", PLAN), place.path("runs.db"));
    let server =
        TruthServer::start(TruthConfig::of(Behaviour::delayed(Law::Fixed(Ns::from_millis(2))))).unwrap();
    let target = format!("http://{}", server.addr());
    let ran = crucible()
        .args(["run", "--quiet", "--target", &target, "--store"])
        .arg(&store)
        .arg(&plan)
        .arg("steps")
        .output();
    // a machine that is busy with other tests may make the run invalid; the documents must say so then
    assert!(matches!(ran.code, 0 | 97), "{}: {}{}", ran.code, ran.stdout, ran.stderr);
    let report =
        |words: &[&str]| crucible().args(["report"]).args(words).args(["--store"]).arg(&store).output();

    let told = report(&["corner shop", "--format", "requirements", "--json", "--check"]);
    assert_eq!(told.code, if ran.code == 97 { 97 } else { 98 }, "{}{}", told.stdout, told.stderr);
    let json = told.json();
    let bands: Vec<(&str, &str)> = json["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["measure"] == "p95")
        .map(|one| (one["band"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    let expected = if ran.code == 97 { ["invalid"; 2] } else { ["no", "yes"] };
    assert_eq!(bands, [("target", expected[0]), ("acceptable", expected[1])], "{json}");
    let missing = row(&json["not_tested"], "test", "night");
    assert_eq!(missing["command"], format!("crucible run {} night", plan.display()));

    let told = report(&["last", "--format", "scaling", "--json"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let growth = &told.json()["over_load"][0];
    assert_eq!(growth["load_counts"], "users", "{growth}");
    let levels = growth["levels"].as_array().unwrap();
    // levels in which a busy machine made us late are left out, and told
    assert_eq!(levels.len() + growth["left_out"].as_array().unwrap().len(), 4, "{growth}");
    for level in levels {
        let users: f64 = level["name"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(level["load"], users, "{growth}");
        let rate = level["ok_per_second"].as_f64().unwrap();
        assert!(rate > 0.0 && rate <= 60.0 * users, "{growth}");
    }

    let told = report(&["corner shop", "--format", "readiness", "--json"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let criteria = &told.json()["criteria"];
    let capacity = row(criteria, "criterion", "capacity documented");
    assert_eq!(capacity["status"], "not tested");
    assert_eq!(capacity["command"], format!("crucible capacity {} --within 5m", plan.display()));
    assert_eq!(row(criteria, "criterion", "every requirement tested")["status"], "not tested");

    let file = place.path("ready.md");
    let told = crucible()
        .args(["report", "last", "--format", "readiness,scaling", "--output"])
        .arg(&file)
        .args(["--store"])
        .arg(&store)
        .output();
    assert_eq!(told.code, 0, "{}", told.stderr);
    for name in ["ready-readiness.md", "ready-scaling.md"] {
        assert!(std::fs::read_to_string(place.path(name)).unwrap().starts_with("# "), "{name}");
    }
    mistakes(&report);
}

fn mistakes(report: &dyn Fn(&[&str]) -> support::Told) {
    let check = |words: &[&str], part: &str| {
        let told = report(words);
        assert_eq!(told.code, 2, "{words:?}: {}", told.stdout);
        assert!(told.stderr.contains(part), "{words:?}: {}", told.stderr);
    };
    check(&["last", "--format", "redness"], "requirements, readiness, scaling");
    check(&["last,last", "--format", "md"], "the form `md` is of one run");
    check(&["last", "--format", "scaling", "--at", "1,2"], "2 numbers for 1 runs");
    check(&["last", "--format", "scaling", "--at", "0"], "a number above 0");
    check(&["last", "--format", "scaling", "--for", "many"], "write a rate");
    check(&["last", "--format", "scaling", "--for", "5/x"], "--for");
    check(&["nobody", "--format", "scaling"], "nobody");
}
