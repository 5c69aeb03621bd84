//! The binary as its users meet it: real processes, real sockets, real signals.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use crucible_core::Ns;
use crucible_testkit::Law;
use crucible_testkit::servers::script::{Action, ScriptServer};
use crucible_testkit::servers::truth::{Answer, Behaviour, TruthConfig, TruthServer};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use support::{Place, crucible};

fn always(status: u16) -> TruthServer {
    let behaviour = Behaviour::delayed(Law::Fixed(Ns::from_micros(200)));
    let behaviour = Behaviour { answer: Answer::Status(status), ..behaviour };
    TruthServer::start(TruthConfig::of(behaviour)).unwrap()
}

fn plan(target: &str, test: &str) -> String {
    format!(
        "name: probe\ntarget: {target}\nsteps: [{{get: /}}]\ntests: {{t: {test}}}\nthresholds: {{'*': {{p50: 1s}}}}\n"
    )
}

#[test]
fn a_plan_with_eight_mistakes_tells_all_eight() {
    let place = Place::new();
    let path = place.write(
        "bad.yaml",
        "name: bad
target: http://localhost:1
threads: 4
scenarios:
  a:
    weight: 0
    think: 500
    steps:
      - {get: /, pots: /x}
      - {name: lost}
tests:
  load: {vus: 10, hold: 0s}
  spike: {rate: 50, for: 10s}
thresholds:
  nobody: {p95: 1s}
  '*': {p951: 300ms}
",
    );
    let told = crucible().args(["plan", "check"]).arg(&path).output();
    assert_eq!(told.code, 2);
    for (line, part) in [
        ("3:1", "unknown key `threads`"),
        ("6:13", "above 0"),
        ("7:12", "500ms"),
        ("9:18", "did you mean `post`"),
        ("10:9", "get"),
        ("12:", "0s"),
        ("13:", "50/s"),
        ("15:", "nobody"),
        ("16:", "p951"),
    ] {
        let found = told.stderr.lines().any(|l| l.contains(&format!("bad.yaml:{line}")));
        assert!(found && told.stderr.contains(part), "{line} {part}:\n{}", told.stderr);
    }
    assert!(told.stderr.contains("9 mistakes in the plan"), "{}", told.stderr);
}

#[test]
fn a_server_that_forbids_everything_cannot_pass() {
    for status in [403, 405, 500] {
        let server = always(status);
        let place = Place::new();
        let path = place.write("p.yaml", &plan(&server.url(""), "{vus: 2, for: 1s}"));
        let told = crucible().arg("run").arg(&path).args(["--no-record", "--json", "-q"]).output();
        // A machine under load may make the run invalid on top.
        let verdict = told.json()["verdict"].clone();
        assert!(
            verdict == "fail" && told.code == 99 || verdict == "invalid" && told.code == 97,
            "{}",
            told.stdout
        );
        assert!(told.stdout.contains(r#""verdict": "fail""#), "{status}: {}", told.stdout);
    }
}

#[test]
fn targets_that_are_not_there_or_speak_something_else_fail_in_words() {
    let nowhere = "http://127.0.0.1:9".to_owned();
    let garbage =
        ScriptServer::always(vec![Action::ReadHead, Action::Send(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())]);
    let garbage = garbage.unwrap();
    for (target, part) in [(nowhere, "refused"), (format!("http://{}", garbage.addr()), "not HTTP")] {
        let told = crucible().args(["bench", &target, "-n", "20", "-c", "2", "-q"]).output();
        assert!([99, 97].contains(&told.code), "{target}: {}", told.stdout);
        assert!(told.stdout.contains(part), "{target} {part}: {}", told.stdout);
    }
}

#[test]
fn a_good_run_passes_is_kept_and_can_be_told_in_every_form() {
    let server = always(200);
    let place = Place::new();
    let path = place.write("p.yaml", &plan(&server.url(""), "{rate: 400/s, for: 2s}"));
    let store = place.path("runs.db");
    let told = crucible()
        .arg("run")
        .arg(&path)
        .arg("--store")
        .arg(&store)
        .args(["--json", "-q", "--realtime"])
        .output();
    // A machine under load may make the generator late; what must never happen is a fail.
    let verdict = told.json()["verdict"].as_str().unwrap().to_owned();
    assert!(["pass", "invalid"].contains(&verdict.as_str()), "{}", told.stdout);
    for format in ["summary", "md", "json", "csv", "junit", "k6", "wrk", "hdr"] {
        let again = crucible().args(["report", "last", "--format", format, "--store"]).arg(&store).output();
        assert_eq!((again.code, again.stdout.is_empty()), (0, false), "{format}: {}", again.stderr);
    }
    let json = crucible().args(["report", "last", "--format", "json", "--store"]).arg(&store).output();
    assert_eq!(json.stdout, told.stdout, "a report from the record is the same, byte for byte");
    let list = crucible().args(["runs", "list", "--json", "--store"]).arg(&store).output();
    assert_eq!(list.json()["runs"][0]["verdict"], verdict);
    let export = place.path("one.run");
    let exported =
        crucible().args(["runs", "export", "last"]).arg(&export).arg("--store").arg(&store).output();
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let from_export = crucible().arg("report").arg(&export).args(["--format", "json"]).output();
    assert_eq!(from_export.stdout, told.stdout);
    assert_eq!(crucible().args(["runs", "delete", "last", "--store"]).arg(&store).output().code, 0);
    assert_eq!(crucible().args(["report", "last", "--store"]).arg(&store).output().code, 2);
}

#[test]
fn a_killed_run_leaves_a_readable_record() {
    let server = always(200);
    let place = Place::new();
    let path = place.write("p.yaml", &plan(&server.url(""), "{rate: 100/s, for: 60s}"));
    let store = place.path("runs.db");
    let mut child =
        crucible().arg("run").arg(&path).arg("--store").arg(&store).spawn(Stdio::null(), Stdio::null());
    support::wait_for("two windows in the record", || {
        let list = crucible().args(["runs", "list", "--json", "--store"]).arg(&store).output();
        list.code == 0 && list.json()["runs"][0]["events"].as_u64().is_some_and(|events| events >= 4)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let told = crucible().args(["report", "last", "--format", "json", "--store"]).arg(&store).output();
    assert_eq!((told.code, told.json()["verdict"].as_str()), (0, Some("invalid")), "{}", told.stderr);
    let list = crucible().args(["runs", "list", "--store"]).arg(&store).output();
    assert!(list.stdout.contains("incomplete"), "{}", list.stdout);
}

#[test]
fn ctrl_c_ends_cleanly_with_a_complete_record() {
    let server = always(200);
    let place = Place::new();
    let path = place.write("p.yaml", &plan(&server.url(""), "{rate: 100/s, for: 60s}"));
    let store = place.path("runs.db");
    let mut child =
        crucible().arg("run").arg(&path).arg("--store").arg(&store).spawn(Stdio::null(), Stdio::piped());
    // The first phase is told as it begins.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("t: 100/s")));
    support::interrupt(&child);
    let status = child.wait().unwrap();
    // Only a late generator on a machine under load may outrank the interruption.
    assert!([Some(130), Some(97)].contains(&status.code()), "{status:?}");
    let told = crucible().args(["report", "last", "--format", "json", "--store"]).arg(&store).output();
    assert!(told.stdout.contains("interrupted"), "{}", told.stdout);
}

#[test]
fn mistakes_on_the_command_line_say_what_would_be_right() {
    let place = Place::new();
    let sound = place.write("p.yaml", &plan("http://127.0.0.1:9", "{vus: 1, for: 1s}"));
    let sound = sound.to_str().unwrap();
    let foreign = place.write("notes.db", "these are my notes, not a store");
    let foreign = foreign.to_str().unwrap();
    for (words, part) in [
        (&["run", "nowhere.yaml"][..], "check the name"),
        (&["run", sound, "tt"], "did you mean `t`?"),
        (&["run", sound, "--store", foreign], "--store FILE"),
        (&["bench", "http://127.0.0.1:9", "-d", "10"], "10s"),
        (&["bench", "ftp://127.0.0.1"], "http"),
        (&["report", "last", "--format", "pdf"], "known: summary"),
        (&["ground", "storys"], "did you mean `stories`?"),
        (&["rnu"], "run"),
    ] {
        let told = crucible().args(words).env("CRUCIBLE_STORE", place.path("none.db")).output();
        assert_eq!(told.code, 2, "{words:?}: {}", told.stderr);
        assert!(told.stderr.contains(part), "{words:?} {part}: {}", told.stderr);
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "these are my notes, not a store");
}

#[test]
fn secrets_reach_neither_record_nor_report() {
    let server = always(200);
    let place = Place::new();
    let text = format!(
        "name: s\ntarget: {}\nsteps:\n  - post: /login\n    headers: {{Authorization: 'Bearer ${{env.TOKEN}}'}}\n    \
         json: {{password: hunter2hunter2}}\ntests: {{t: {{vus: 1, iterations: 5}}}}\n",
        server.url("")
    );
    let path = place.write("p.yaml", &text);
    let store = place.path("runs.db");
    let run = crucible()
        .arg("run")
        .arg(&path)
        .args(["-q", "-e", "TOKEN=tok3n-tok3n", "--store"])
        .arg(&store)
        .output();
    let mut everything = run.stdout + &run.stderr;
    for format in ["summary", "md", "json", "csv", "junit"] {
        everything +=
            &crucible().args(["report", "last", "--format", format, "--store"]).arg(&store).output().stdout;
    }
    for file in std::fs::read_dir(place.path("")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|ext| ext != "yaml") {
            everything += &String::from_utf8_lossy(&std::fs::read(file).unwrap());
        }
    }
    assert!(everything.contains("POST /login"), "the run is told");
    assert!(!everything.contains("hunter2hunter2") && !everything.contains("tok3n-tok3n"));
}

#[test]
fn help_fits_the_screen_and_names_every_exit_code() {
    for words in [&["--help"][..], &["run", "--help"], &["bench", "--help"], &["plan", "show", "--help"]] {
        let told = crucible().args(words).env("COLUMNS", "80").output();
        assert_eq!(told.code, 0);
        let wide: Vec<&str> = told.stdout.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(wide.is_empty(), "{words:?}: {wide:?}");
    }
    let told = crucible().arg("--help").output();
    for code in ["0 pass", "1 internal", "2 usage", "97 invalid", "98 inconclusive", "99 thresholds", "130"] {
        assert!(told.stdout.contains(code), "{code}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = crucible().args(["plan", "schema"]).spawn(Stdio::piped(), Stdio::piped());
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn the_schema_that_editors_use_is_fresh() {
    let stored = include_str!("../../../docs/reference/plan.schema.json");
    let told = crucible().args(["plan", "schema"]).output();
    assert_eq!(told.stdout, stored, "run: crucible plan schema > docs/reference/plan.schema.json");
}
