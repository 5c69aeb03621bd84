//! Histories of runs whose truth is known, from records made without a socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use crucible_core::{
    ErrorClass, Frame, IterationFrame, LagFrame, Ns, Outcome, Rng, Sample, ScenarioId, StepId,
};
use crucible_record::{
    Finished, Model, PhaseMeta, PhaseStarted, Reading, RunEvent, RunStarted, ScenarioMeta, SeriesMeta,
    StepMeta, StopReason, Store, TestMeta, Users, Window, new_run_id,
};
use std::path::Path;
use support::{Place, Told, crucible};

/// One run: how much slower than the first it is, and what it is of.
#[derive(Clone)]
struct Run {
    number: u64,
    slower: f64,
    labels: Vec<(String, String)>,
    limit: &'static str,
    users: u64,
    late: bool,
    reason: StopReason,
}

impl Run {
    fn new(number: u64, slower: f64) -> Run {
        let label = |name: &str, value: String| (name.to_owned(), value);
        let commit = format!("{:08x}{:032x}", 0xc0ff_ee00_u64 + if slower > 1.0 { number } else { 0 }, 0);
        Run {
            number,
            slower,
            labels: vec![label("branch", "main".into()), label("commit", commit)],
            limit: "* p95 target<=20ms",
            users: 5,
            late: false,
            reason: StopReason::Completed,
        }
    }

    fn id(&self) -> String {
        new_run_id(1_795_236_000_000 + 3_600_000 * self.number, self.number)
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn started(run: &Run) -> RunStarted {
    let series = |name: &str, unit: &str| SeriesMeta {
        component: text("api"),
        name: text(name),
        unit: text(unit),
        doc: text("what it is"),
        ..SeriesMeta::default()
    };
    RunStarted {
        run: run.id(),
        tool: text("0.1.0"),
        started_unix_ms: 1_795_236_000_000 + 3_600_000 * run.number,
        plan: text("shop"),
        plan_hash: text("3b2c6ad5e0f1a4978c6d5e4f3a2b1c0d"),
        plan_text: text("name: shop\n"),
        seed: 1,
        target: format!("http://127.0.0.1:{}", 40_000 + run.number),
        scenarios: vec![ScenarioMeta { name: text("visitor"), weight: 1.0 }],
        steps: vec![StepMeta {
            name: text("products"),
            role: text("main"),
            protocol: text("http"),
            ..StepMeta::default()
        }],
        tests: vec![TestMeta {
            name: text("load"),
            scenarios: vec![0],
            thresholds: vec![text(run.limit), text("\"products\" p99 target<=1s")],
            load: format!("{} users for 6s", run.users),
            ..TestMeta::default()
        }],
        series: vec![series("cpu", "cores"), series("memory", "bytes")],
        phases: vec![PhaseMeta {
            name: text("users"),
            test: 0,
            length: Ns::from_secs(6),
            model: Model::Closed,
            planned: None,
            max_users: run.users,
            constant: None,
        }],
        lateness_floor: Ns::from_millis(1),
        lateness_share: 0.05,
        shards: 1,
        environment: [("cpu", "Model 7"), ("cpus_allowed", "2"), ("kernel", "6.1"), ("memory", "8000000 kB")]
            .map(|(name, value)| (text(name), text(value)))
            .into(),
        labels: run.labels.clone(),
        ..RunStarted::default()
    }
}

fn window(run: &Run, second: u64, effect: f64, rng: &mut Rng) -> Window {
    let (mut frame, mut duration) = (Frame::new(0), crucible_core::Histogram::default());
    for k in 0..400 {
        let at = Ns::from_secs(second) + Ns::from_micros(2_000 * k);
        let took = Ns((5e6 * run.slower * effect * (0.3 * rng.normal()).exp()) as u64);
        frame.planned += 1;
        frame.count(&Sample {
            intended: at,
            ready: at,
            started: at,
            first_byte: at + took,
            finished: at + took,
            bytes_in: 100,
            bytes_out: 100,
            step: StepId(0),
            code: 200,
            outcome: Outcome::Ok,
            class: ErrorClass::None,
        });
        duration.record(took);
    }
    let mut lag = LagFrame { cpu: Ns::from_millis(50), wall: Ns::from_secs(1), ..LagFrame::default() };
    let late = if run.late { Ns::from_millis(500) } else { Ns::from_micros(20) };
    lag.generator.record_many(late, 400);
    lag.heartbeat.record_many(Ns::from_micros(15), 100);
    Window {
        phase: 0,
        from: Ns::from_secs(second),
        to: Ns::from_secs(second + 1),
        steps: vec![(StepId(0), frame)],
        iterations: vec![(
            ScenarioId(0),
            IterationFrame { planned: 400, completed: 400, duration, ..IterationFrame::default() },
        )],
        lag,
        users: Users { active: run.users, busy: run.users },
        process_cpu: Ns::from_millis(60),
        process_rss: 20_000_000,
        ..Window::default()
    }
}

fn write(store: &Store, run: &Run) {
    let mut rng = Rng::new(run.number, "run", 1);
    // runs differ from each other by 2 %, whatever they measure
    let effect = (0.02 * rng.normal()).exp();
    let mut writer = store.begin(&started(run)).unwrap();
    writer.append(&RunEvent::Phase(PhaseStarted { phase: 0, at: Ns::ZERO })).unwrap();
    for second in 0..6 {
        writer.append(&RunEvent::Window(Box::new(window(run, second, effect, &mut rng)))).unwrap();
        let cpu = 0.4 * run.slower * effect + 0.01 * rng.normal();
        let values = vec![(0, cpu), (1, 2e8 + 1e6 * rng.normal())];
        let at = Ns::from_secs(second) + Ns::from_millis(500);
        writer.append(&RunEvent::Reading(Box::new(Reading { at, values }))).unwrap();
    }
    let finished = Finished { at: Ns::from_secs(6), reason: run.reason.clone(), errors: Vec::new() };
    writer.append(&RunEvent::Finished(finished)).unwrap();
    writer.finish().unwrap();
}

fn store_of(path: &Path, runs: &[Run]) -> Store {
    let store = Store::open(path).unwrap();
    runs.iter().for_each(|run| write(&store, run));
    store
}

fn history(store: &Path, words: &[&str]) -> Told {
    let told = crucible()
        .args(["runs", "history"])
        .args(words)
        .arg("--store")
        .arg(store)
        .env("LC_ALL", "C.UTF-8")
        .output();
    let wide: Vec<&str> = told.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty() || words.contains(&"--json"), "{wide:#?}");
    told
}

/// 30 runs, from number 18 on 10 % slower under another version.
fn stepped() -> Vec<Run> {
    let mut runs: Vec<Run> =
        (0..30).map(|number| Run::new(number, if number >= 18 { 1.1 } else { 1.0 })).collect();
    for run in &mut runs {
        run.labels.push((text("version"), text(if run.number >= 18 { "1.5" } else { "1.4" })));
    }
    runs
}

#[test]
fn a_step_is_told_with_its_run_and_what_changed() {
    let place = Place::new();
    let store = place.path("runs.db");
    let mut runs = stepped();
    runs.push(Run { late: true, ..Run::new(30, 1.1) });
    runs.push(Run { reason: StopReason::Interrupted, ..Run::new(31, 1.1) });
    runs[4] = Run { users: 7, ..Run::new(4, 3.0) };
    store_of(&store, &runs);
    let told = history(&store, &[]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("step", told.stdout);
    assert_eq!(history(&store, &[]).stdout, told.stdout, "with figures that were kept");
    let ascii =
        crucible().args(["runs", "history", "--store"]).arg(&store).env("LC_ALL", "C").output().stdout;
    assert!(ascii.is_ascii() && ascii.contains("WORSE"), "{ascii}");
    let checked = history(&store, &["shop", "--check"]);
    assert_eq!(checked.code, 99, "{}", checked.stderr);
    assert!(checked.stderr.contains("regression in load: p50, p95, p99"), "{}", checked.stderr);
    // before the change there is nothing to be told
    let early = history(&store, &["--label", "version=1.4", "--check"]);
    assert_eq!(early.code, 0, "{}{}", early.stdout, early.stderr);
    let few = history(&store, &["--last", "6", "--check"]);
    assert_eq!((few.code, few.stderr.contains("ten are needed")), (98, true), "{}", few.stderr);
    assert_eq!(history(&store, &["--last", "6", "--check", "--allow", "inconclusive"]).code, 0);
}

#[test]
fn json_tells_the_same_and_every_field_is_documented() {
    let place = Place::new();
    let store = place.path("runs.db");
    store_of(&store, &stepped());
    let json = history(&store, &["--json", "--metric", "p95", "--metric", "api.cpu"]).json();
    assert_eq!((json["schema"].clone(), json["regressed"].clone()), (1.into(), true.into()));
    let series = &json["series"][0];
    assert_eq!(series["figures"].as_array().unwrap().len(), 2);
    let step = &series["figures"][0]["steps"][0];
    assert_eq!(step["run"], Run::new(18, 1.1).id());
    let ratio = step["after"].as_f64().unwrap() / step["before"].as_f64().unwrap();
    assert!((ratio - 1.1).abs() < 0.02 && step["worse"] == true && step["stands"] == true, "{step}");
    let changed = &series["events"][0]["changed"];
    assert!(
        changed.as_array().unwrap().iter().any(|c| c["what"] == "version" && c["after"] == "1.5"),
        "{changed}"
    );
    let docs = include_str!("../../../docs/reference/history-json.md");
    let mut keys = Vec::new();
    collect(&json, &mut keys);
    let missing: Vec<&String> = keys.iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/reference/history-json.md: {missing:?}");
}

/// All keys, but those of labels.
fn collect(value: &serde_json::Value, keys: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, inner)| {
            keys.push(key.clone());
            if key != "labels" {
                collect(inner, keys);
            }
        }),
        serde_json::Value::Array(list) => list.iter().for_each(|inner| collect(inner, keys)),
        _ => {}
    }
}

#[test]
fn limits_from_a_history_can_be_put_into_a_plan() {
    let place = Place::new();
    let store = place.path("runs.db");
    store_of(&store, &stepped());
    let told = history(&store, &["--thresholds"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    insta::assert_snapshot!("thresholds", told.stdout);
    let plan = format!(
        "name: shop\ntarget: http://localhost:1\nsteps: [{{get: /p, name: products}}]\ncomponents: {{api: {{port: 1}}}}\n\
         tests: {{load: {{vus: 5, for: 6s}}}}\n{}",
        told.stdout
    );
    let path = place.write("plan.yaml", &plan);
    let checked = crucible().args(["plan", "check"]).arg(&path).output();
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{plan}");
    let shown = crucible().args(["plan", "show"]).arg(&path).output().stdout;
    for part in ["p95", "errors", "throughput", "products", "api"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn verdicts_that_flip_and_runs_that_equal_each_other() {
    let place = Place::new();
    let store = place.path("runs.db");
    let runs: Vec<Run> =
        (0..24).map(|number| Run { limit: "* p95 target<=8.15ms", ..Run::new(number, 1.0) }).collect();
    store_of(&store, &runs);
    let told = history(&store, &["--check"]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(!told.stdout.contains("Since") && !told.stdout.contains("drifts"), "{}", told.stdout);
    assert!(told.stdout.contains("Thresholds that cannot be relied on"), "{}", told.stdout);
    assert!(told.stdout.contains("* p95 target<=8.15ms"), "{}", told.stdout);
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let place = Place::new();
    let store = place.path("runs.db");
    store_of(&store, &[Run::new(0, 1.0), Run::new(1, 1.0)]);
    for (words, part) in [
        (&["nobody"][..], "plans in the store, with their runs: shop (2)"),
        (&["--test", "laod"], "did you mean `load`"),
        (&["--metric", "p97"], "known: api.cpu, api.memory, errors, p50, p95, p99"),
        (&["--label", "branch"], "KEY=VALUE"),
        (&["--label", "branch=dev"], "labels of each run"),
        (&["--alpha", "2"], "below 0.5"),
        (&["--thresholds", "--coverage", "100"], "below 100"),
    ] {
        let told = history(&store, words);
        assert!(told.code == 2 && told.stderr.contains(part), "{words:?}: {} {}", told.code, told.stderr);
    }
    let told = history(&place.path("none.db"), &[]);
    assert!(told.code == 2 && told.stderr.contains("there are no runs in"), "{}", told.stderr);
    assert!(!place.path("none.db").exists(), "asking makes no store");
    let told = history(&store, &[]);
    assert!(told.stdout.contains("8 more are needed"), "{}", told.stdout);
}

#[test]
fn baselines_are_runs_by_name_branch_or_number() {
    let place = Place::new();
    let store = place.path("runs.db");
    let mut runs: Vec<Run> = (0..9).map(|number| Run::new(number, 1.0)).collect();
    runs[7].labels[0].1 = text("feature/x");
    runs[8].labels[0].1 = text("feature/x");
    runs[3].late = true;
    let records = store_of(&store, &runs);
    records.set_verdict(&runs[3].id(), "invalid").unwrap();
    let say = |words: &[&str]| crucible().args(words).arg("--store").arg(&store).output();
    let (good, bad) = (runs[0].id(), runs[8].id());
    assert_eq!(
        say(&["runs", "baseline"]).stdout,
        "no baselines; `crucible runs baseline NAME RUN` names one\n"
    );
    let pair = format!("{good},{}", runs[1].id());
    let named = say(&["runs", "baseline", "release", &pair]);
    assert_eq!((named.code, named.stderr.as_str()), (0, ""));
    assert_eq!(say(&["runs", "baseline", "--json"]).json()["baselines"][0]["runs"][0], good);
    let compared = |word: &str| {
        let told = say(&["compare", &bad, "--baseline", word, "--json"]);
        let a = if told.stdout.is_empty() {
            "-".into()
        } else {
            told.json()[0]["a"].as_str().unwrap().to_owned()
        };
        (a, told.stderr)
    };
    assert_eq!(compared("release").0, format!("{good}, {}", runs[1].id()));
    assert_eq!(compared("last").0, runs[7].id());
    assert_eq!(compared(&runs[4].id()).0, runs[4].id());
    let newest: Vec<String> = [1, 2, 4, 5, 6].map(|number: usize| runs[number].id()).into();
    assert_eq!(compared("main").0, newest.join(", "), "the invalid one is left out");
    assert_eq!(compared("feature/x").0, runs[7].id(), "without the run itself");
    let (_, told) = compared("nowhere");
    for part in
        ["baselines: release", "other branches: feature/x, main", "crucible runs baseline nowhere RUN"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    say(&["runs", "delete", &good]);
    assert_eq!(say(&["runs", "baseline", "release"]).stdout, format!("{}\n", runs[1].id()));
    assert_eq!(say(&["runs", "baseline", "release", "--delete"]).stdout, "deleted release\n");
    for (words, part) in [
        (&["runs", "baseline", "last", "last"][..], "choose another name"),
        (&["runs", "baseline", "a b", "last"], "letters, digits"),
        (&["runs", "baseline", "x", "1999"], "failed to find the run"),
        (&["runs", "baseline", "x"], "there is no baseline `x`"),
    ] {
        let told = say(words);
        assert!(told.code == 2 && told.stderr.contains(part), "{words:?}: {}", told.stderr);
    }
    let listed = say(&["runs", "list", "--json"]).json();
    assert_eq!(listed["runs"][0]["labels"]["branch"], "feature/x");
}
