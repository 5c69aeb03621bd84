//! `compare` and `capacity` against servers whose difference and whose failure are beyond all noise.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use crucible_core::Ns;
use crucible_testkit::Law;
use crucible_testkit::servers::truth::{Answer, Behaviour, TruthConfig, TruthServer};
use support::{Place, crucible};

fn taking(time: Ns) -> TruthServer {
    TruthServer::start(TruthConfig::of(Behaviour::delayed(Law::Fixed(time)))).unwrap()
}

/// Our own lateness is not what is tested, and a busy machine must not decide the test.
const PLAN: &str = "
name: probe
generator: {lateness: {floor: 10s}}
target: http://127.0.0.1:1
steps: [{get: /}]
tests: {t: {rate: 100/s, for: 5s}}
";

#[test]
fn a_system_that_takes_ten_times_as_long_is_worse_and_the_record_says_so_again() {
    let place = Place::new();
    let (plan, store) = (place.write("plan.yaml", PLAN), place.path("runs.db"));
    let (fast, slow) = (taking(Ns::from_millis(2)), taking(Ns::from_millis(20)));
    let target = |server: &TruthServer| format!("http://{}", server.addr());
    let told = crucible()
        .args(["compare", "--duet", "--json", "--quiet", "--for", "10s", "--slice", "1s", "--store"])
        .arg(&store)
        .args(["--target", &target(&fast), "--target", &target(&slow)])
        .arg(&plan)
        .output();
    assert_eq!(told.code, 99, "{}", told.stderr);
    let json = told.json();
    let row =
        json[0]["metrics"].as_array().unwrap().iter().find(|row| row["metric"] == "p50").unwrap().clone();
    assert_eq!(row["verdict"], "worse", "{row}");
    assert!(row["ratio"].as_f64().unwrap() > 4.0, "{row}");
    let again = crucible().args(["compare", "last", "--json", "--store"]).arg(&store).output();
    assert_eq!(again.json()[0]["metrics"], json[0]["metrics"]);
    let markdown = crucible().args(["compare", "last", "--markdown", "--store"]).arg(&store).output();
    for section in
        ["### Executive summary", "### Weaknesses of B", "### Recommendations", "Do not replace A by B"]
    {
        assert!(markdown.stdout.contains(section), "{section}: {}", markdown.stdout);
    }
}

#[test]
fn a_system_that_only_fails_has_no_capacity() {
    let behaviour =
        Behaviour { answer: Answer::Status(500), ..Behaviour::delayed(Law::Fixed(Ns::from_micros(200))) };
    let server = TruthServer::start(TruthConfig::of(behaviour)).unwrap();
    let told = crucible()
        .args(["capacity", "--no-record", "--from", "50", "--within", "30s", "--json"])
        .args([format!("http://{}/", server.addr())])
        .output();
    // a busy machine may be late four times in a row; it must never call this a capacity
    assert!(matches!(told.code, 97 | 99), "{}: {}{}", told.code, told.stdout, told.stderr);
    if told.code == 99 {
        assert_eq!(told.json()["answer"]["kind"], "never_held", "{}", told.stdout);
    }
}

#[test]
fn mistakes_are_told_with_a_remedy() {
    let place = Place::new();
    let plan = place.write("plan.yaml", PLAN);
    let check = |words: &[&str], part: &str| {
        let told = crucible().args(words).output();
        assert_eq!(told.code, 2, "{words:?}: {}", told.stderr);
        assert!(told.stderr.contains(part), "{words:?}: {}", told.stderr);
    };
    let plan = plan.to_str().unwrap();
    check(&["capacity", plan, "--threshold", "p99 100ms"], "p99 < 100ms");
    check(&["capacity", plan, "--within", "1s"], "at least three");
    check(&["capacity", "no-such-plan"], "there is no such plan");
    check(&["capacity", plan, "--test", "tt"], "no test `tt`");
    check(&["compare", "--duet", plan], "two addresses are needed");
    check(&["compare", "--duet", plan, "--target", "http://a"], "twice");
    let store = place.path("none.db");
    let told = crucible().args(["compare", "--store"]).arg(&store).output();
    assert_eq!((told.code, told.stderr.contains("two sides are needed")), (2, true), "{}", told.stderr);
}

#[test]
fn a_mistake_in_what_is_asked_of_a_plan_starts_no_system() {
    let place = Place::new();
    let plan = place.write(
        "plan.yaml",
        "name: tasks\nground: agents\nscenarios: {main: {steps: [{name: ask, get: /api/v1/tasks}]}}\n\
         tests: {steady: {rate: 1/s, for: 1s}}\n",
    );
    let asked: [(&str, &[&str], &str); 4] = [
        ("run", &["stead"], "no test `stead`"),
        ("run", &["--suite", "quick"], "no suite `quick`"),
        ("capacity", &["--test", "stead"], "no test `stead`"),
        ("limits", &["aks"], "no http step `aks`"),
    ];
    for (command, words, mistake) in asked {
        let told = crucible().arg(command).arg(&plan).args(words).args(["--no-record", "-q"]).output();
        assert_eq!(told.code, 2, "{command}: {}{}", told.stdout, told.stderr);
        assert!(told.stderr.contains(mistake), "{command}: {}", told.stderr);
        assert!(!told.stderr.contains("started the proving ground"), "{command}: {}", told.stderr);
    }
}
