//! The evaluation platform's suite: what it says of a job against what is known of the job.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::{Place, crucible, interrupt, wait_for};

fn suite(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites").join(name)
}

/// One kind of job, in the words of the suite.
fn plan(code: &str, load: &str) -> String {
    format!(
        "name: probe
target: http://127.0.0.1:8000
ground: evaluation
steps:
  - name: job
    post: /api/eval
    json: {{code: {code:?}, queue: broker}}
    check: {{status: 200, json.status: queued}}
    save: {{id: json.eval_id}}
    until:
      get: \"/api/eval/${{id}}\"
      every: 200ms
      within: 60s
      check: {{status: [200, 202]}}
      save:
        state: json.status
        queued_at: json.queued_at
        started_at: {{json: started_at, optional: true}}
        completed_at: {{json: completed_at, optional: true}}
      done: \"${{state == 'completed'}}\"
      failed: \"${{state in ['failed', 'timeout', 'cancelled']}}\"
      begun: \"${{state != 'queued'}}\"
      times:
        queue: [\"${{queued_at}}\", \"${{started_at}}\"]
        execution: [\"${{started_at}}\", \"${{completed_at}}\"]
tests: {{t: {load}}}
thresholds: {{job to the end: {{max: 1m, errors: 0%}}}}
"
    )
}

/// A figure of a row's response time in the first test, in seconds.
fn seconds(report: &Value, list: &str, row: &str, figure: &str) -> f64 {
    let rows = report["tests"][0]["totals"][list].as_array().unwrap();
    let found = rows.iter().find(|it| it["name"] == row).unwrap_or_else(|| panic!("{row}: {report:#}"));
    assert_eq!(found["errors"], 0, "{row}: {found:#}");
    found["response"][figure].as_f64().unwrap_or_else(|| panic!("{row} {figure}: {found:#}")) / 1e9
}

#[test]
fn submission_queue_and_execution_are_the_whole() {
    let place = Place::new();
    // whoever sleeps for two seconds is not done earlier
    let code = "import time\ntime.sleep(2)";
    let path = place.write("p.yaml", &plan(code, "{vus: 4, iterations: 8}"));
    let report = crucible().args(["run", "--json", "--no-record"]).arg(&path).output().json();
    let mean = |list: &str, row: &str| seconds(&report, list, row, "mean_ns");
    let submission = mean("steps", "job");
    let queue = mean("spans", "job queue");
    let execution = mean("spans", "job execution");
    let whole = mean("spans", "job to the end");
    assert!(execution >= 2.0, "{execution} s");
    // two workers for four users: each job but the first two waits for one that sleeps
    assert!(queue >= 0.5, "{queue} s");
    let sum = submission + queue + execution;
    assert!((sum / whole - 1.0).abs() < 0.01, "{submission} + {queue} + {execution} against {whole}");
}

/// A platform of its own, and its broker's workers.
struct Platform {
    child: Child,
    address: String,
    workers: Vec<i32>,
}

impl Platform {
    fn start() -> Platform {
        let words = ["ground", "evaluation", "--port", "0", "--json", "--truth", "lease=30s"];
        let mut child = crucible().args(words).spawn(Stdio::piped(), Stdio::null());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let parts = told["parts"].as_array().unwrap();
        let workers = parts.iter().filter(|part| part["name"].as_str().unwrap().starts_with("broker-worker"));
        let workers: Vec<i32> = workers.map(|part| part["pid"].as_i64().unwrap() as i32).collect();
        assert_eq!(workers.len(), 2, "{told}");
        Platform {
            child,
            address: told["url"].as_str().unwrap().trim_start_matches("http://").into(),
            workers,
        }
    }

    /// Jobs that storage has heard of.
    fn jobs(&self) -> u64 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("Host: {}\r\nConnection: close\r\n\r\n", self.address);
        write!(stream, "GET /api/evaluations?limit=1 HTTP/1.1\r\n{head}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str::<Value>(body).unwrap()["total"].as_u64().unwrap()
    }

    fn tell_workers(&self, signal: i32) {
        for pid in &self.workers {
            // SAFETY: kill only sends a signal, to a process that the platform has just named.
            assert_eq!(unsafe { libc::kill(*pid, signal) }, 0);
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        interrupt(&self.child);
        let _ = self.child.wait();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the outage is that long")]
fn an_outage_of_the_workers_is_waiting_in_the_queue() {
    let place = Place::new();
    let path = place.write("p.yaml", &plan("print(1)", "{rate: 5/s, for: 8s}"));
    let platform = Platform::start();
    let target = format!("http://{}", platform.address);
    let words = ["run", "--json", "--no-record", "--target", &target];
    let run = crucible().args(words).arg(&path).spawn(Stdio::piped(), Stdio::null());
    wait_for("the first jobs", || platform.jobs() >= 5);
    platform.tell_workers(libc::SIGSTOP);
    std::thread::sleep(Duration::from_secs(2));
    platform.tell_workers(libc::SIGCONT);
    let output = run.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    // a job comes each fifth of a second, so some wait for nearly all of it
    let waited = seconds(&report, "spans", "job queue", "max_ns");
    assert!(waited >= 1.5, "{waited} s in the queue");
    let whole = seconds(&report, "spans", "job to the end", "max_ns");
    assert!(whole >= waited, "{whole} s in all, {waited} s in the queue");
    // nobody notices at the counter
    let accepted = seconds(&report, "steps", "job", "p95_ns");
    assert!(accepted < waited / 2.0, "{accepted} s to be accepted, {waited} s in the queue");
}

/// Errors in each of these tests of the suite, on a platform with these switches. How long things took is not looked at.
fn errors(truth: &str, tests: &[&str]) -> Vec<u64> {
    let place = Place::new();
    let text = std::fs::read_to_string(suite("evaluation").join("plan.yaml")).unwrap();
    let ground = format!("ground: {{system: evaluation, truth: [{truth}]}}\n");
    let path = place.write("p.yaml", &text.replace("ground: evaluation\n", &ground));
    let words = ["run", "--json", "--no-record"];
    let report = crucible().args(words).arg(&path).args(tests).output().json();
    let told = report["tests"].as_array().unwrap();
    assert_eq!(told.len(), tests.len(), "{report:#}");
    let rows = |test: &Value, list: &str| -> u64 {
        let rows = test["totals"][list].as_array().unwrap().iter();
        rows.map(|row| row["errors"].as_u64().unwrap()).sum()
    };
    told.iter().map(|test| rows(test, "steps") + rows(test, "spans")).collect()
}

#[test]
fn a_sound_platform_has_no_errors_and_mistakes_are_found_for_what_they_are() {
    assert_eq!(errors("", &["health", "core-flows", "timeout-handling-quick", "errors"]), [0, 0, 0, 0]);
}

#[test]
fn what_gets_lost_or_is_done_twice_is_found() {
    // of 96 jobs, 48 for each queue: two for each queue at least, in blocks of twenty
    assert!(errors("lose=1/20", &["traffic-split-quick"])[0] >= 4);
    // told by the platform's statistics at the latest
    assert!(errors("repeat=1/20", &["traffic-split-quick"])[0] >= 1);
}

#[test]
fn the_plan_is_sound() {
    let told = crucible().args(["plan", "check"]).arg(suite("evaluation")).output();
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
}
