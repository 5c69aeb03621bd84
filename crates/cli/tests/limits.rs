//! `crucible limits` over sockets, against limiters whose figures are known.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

struct Ground {
    child: Child,
    url: String,
}

impl Ground {
    /// The multi-agent platform behind a limiter that counts by address.
    fn start(truth: &[&str]) -> Ground {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crucible"));
        command.args(["ground", "agents", "--json", "--truth", "limit-key=address"]);
        for switch in truth {
            command.args(["--truth", switch]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("\"url\":\"").expect("the system must announce itself");
        let url = rest.split('"').next().unwrap().trim_end_matches('/').to_owned();
        Ground { child, url }
    }

    /// Asks for tasks without a token: what passes the limiter is answered 401.
    fn limits(&self, flags: &[&str]) -> Output {
        let url = format!("{}/api/v1/tasks", self.url);
        Command::new(env!("CARGO_BIN_EXE_crucible"))
            .args(["limits", &url, "--status", "401", "--quiet", "--no-record"])
            .args(flags)
            .output()
            .unwrap()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_window_a_key_and_a_lie_are_found() {
    let ground = Ground::start(&["limit=20/3s", "limit-kind=fixed-wall", "limit-headers=lying:2"]);
    let flags =
        ["--no-press", "--within", "40s", "--expect", "20/3s", "--key", "address=127.0.0.1,127.0.0.2"];
    let output = ground.limits(&flags);
    let told = text(&output);
    for part in [
        "fixed window (server's clock)",
        "limit        20 in ",
        "source address: each has a count of its own",
        "limit says 40; it is 20: A LIE",
        "FAIL: it is, but the header `limit` lies",
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
    }
    assert_eq!(output.status.code(), Some(99), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
}

#[test]
fn nothing_is_found_where_nothing_limits() {
    let ground = Ground::start(&[]);
    let output = ground.limits(&["--most", "300", "--within", "30s", "--expect", "none"]);
    let told = text(&output);
    assert!(told.contains("no limiter, in"), "{told}");
    assert_eq!(output.status.code(), Some(0), "{told}");
}

#[test]
fn answers_that_never_pass_tell_nothing() {
    let ground = Ground::start(&[]);
    let url = format!("{}/api/v1/tasks", ground.url);
    let output = Command::new(env!("CARGO_BIN_EXE_crucible"))
        .args(["limits", &url, "--quiet", "--no-record"])
        .output()
        .unwrap();
    let told = text(&output);
    assert!(told.contains("nothing is known: no request passed"), "{told}");
    assert_eq!(output.status.code(), Some(98), "{told}");
}

/// Runs the binary on a store of its own.
fn kept(store: &std::path::Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crucible")).args(words).env("CRUCIBLE_STORE", store).output().unwrap()
}

#[test]
fn what_was_found_on_a_plans_system_is_kept_and_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("runs.db");
    let plan = folder.path().join("tasks.yaml");
    let text = "name: tasks\nground: {system: agents, truth: [limit=20/3s, limit-kind=fixed-wall, limit-key=address]}\n\
        steps: [{name: list, get: /api/v1/tasks}]\ntests: {once: {vus: 1, iterations: 1}}\n";
    std::fs::write(&plan, text).unwrap();
    let plan = plan.to_str().unwrap();
    let words = ["limits", plan, "list", "--status", "401", "--no-press", "--within", "40s", "--quiet"];
    let told = text_of(&kept(&store, &[&words[..], &["--expect", "20/3s"]].concat()), 0);
    assert!(told.contains("list of tasks on http://127.0.0.1:"), "{told}");
    // the same by its path
    let words =
        ["limits", plan, "/api/v1/tasks", "--status", "401", "--no-press", "--within", "2s", "--quiet"];
    let told = text_of(&kept(&store, &words), 98);
    assert!(told.contains("GET http://127.0.0.1:") && told.contains("/api/v1/tasks of tasks"), "{told}");

    let list = text_of(&kept(&store, &["runs", "list"]), 0);
    assert!(list.contains("pass") && list.contains("inconclusive"), "{list}");
    let first = list.lines().find(|line| line.contains("pass")).unwrap().split_whitespace().next().unwrap();
    for format in ["summary", "md"] {
        let report = text_of(&kept(&store, &["report", first, "--format", format]), 0);
        assert!(report.contains("20 in 3.0") && report.contains("fixed window"), "{format}: {report}");
    }
    let ready = text_of(&kept(&store, &["report", first, "--format", "readiness"]), 0);
    let row = ready.lines().position(|line| line.contains("limits verified")).unwrap();
    let said = ready.lines().skip(row).take(3).map(str::trim).collect::<Vec<_>>().join(" ");
    assert!(said.contains("yes") && said.contains("expected 20 in 3.00s: it is 20 in"), "{ready}");
}

/// What was printed by a command that ended with this code.
fn text_of(output: &Output, code: i32) -> String {
    let told = text(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

/// All twelve over sockets: minutes, so only when asked for.
#[test]
#[ignore = "takes some minutes; run with --ignored"]
fn all_twelve_of_the_proving_ground() {
    for (kind, limit, class) in [
        ("fixed-wall", "20/3s", "fixed_wall"),
        ("fixed-first", "20/3s", "fixed_first"),
        ("sliding-log", "20/3s", "sliding_log"),
        ("sliding-log-rejects", "20/3s", "sliding_log_rejects"),
        ("sliding-counter", "20/4s", "sliding_counter"),
        ("token-bucket:10", "20/6s", "token_bucket"),
        ("interval-refill:4", "20/4s", "interval_refill"),
        ("lockout:4s", "20/4s", "lockout"),
        ("leaky:6", "10/1s", "leaky_queue"),
        ("spacing", "2/1s", "spacing"),
        ("concurrency", "6/1s", "concurrency"),
        ("two-tier:5/500ms", "20/4s", "two_tier"),
    ] {
        let (kind, limit) = (format!("limit-kind={kind}"), format!("limit={limit}"));
        // requests must be under way for a while to be counted
        let service = "service=fixed:60ms";
        let switches = [limit.as_str(), &kind, service];
        let ground = Ground::start(&switches[..if class == "concurrency" { 3 } else { 2 }]);
        let output = ground.limits(&["--within", "60s", "--json"]);
        let told = text(&output);
        let found: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(found["limiter"]["class"], class, "{told}");
        assert_eq!(output.status.code(), Some(0), "{class}: {told}");
    }
}
