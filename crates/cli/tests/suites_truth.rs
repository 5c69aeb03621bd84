//! The suites against systems of known truth: what is as the plan demands holds, what is not is found.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use support::crucible;

/// A system of the proving ground with switches, ended with the test.
struct Ground {
    child: Child,
    url: String,
    ca: String,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: kill only sends a signal, to a child that has not been waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        self.child.wait().unwrap();
    }
}

impl Ground {
    fn start(system: &str, truth: &[&str]) -> Ground {
        let switches = truth.iter().flat_map(|switch| ["--truth", switch]);
        let words = crucible().args(["ground", system, "--port", "0", "--json"]).args(switches);
        let mut child = words.spawn(Stdio::piped(), Stdio::null());
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        Ground { child, url: text("url"), ca: text("ca") }
    }

    /// What these tests of a suite's plan say, but for the generator's own lateness, which this machine decides: the
    /// verdicts of all other judgements with their subjects.
    fn judge(&self, plan: &str, tests: &[&str]) -> Vec<(String, String)> {
        let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites").join(plan);
        let told = crucible()
            .arg("run")
            .arg(plan)
            .args(tests)
            .args([
                "--no-record",
                "--json",
                "-q",
                "--target",
                &self.url,
                "-e",
                &format!("GROUND_CA={}", self.ca),
            ])
            .output();
        let told = told.json();
        let judged: Vec<&Value> = told["tests"].as_array().unwrap().iter().collect();
        assert_eq!(judged.len(), tests.len(), "{told}");
        judged
            .iter()
            .flat_map(|test| test["judgements"].as_array().unwrap())
            .filter(|judgement| judgement["criterion"] != "lateness")
            .map(|judgement| {
                let text = |key: &str| judgement[key].as_str().unwrap().to_owned();
                (text("verdict"), format!("{}: {}", text("subject"), text("why")))
            })
            .collect()
    }

    fn holds(&self, plan: &str, tests: &[&str]) {
        let judged = self.judge(plan, tests);
        assert!(judged.len() >= 2 * tests.len(), "{judged:?}");
        assert!(judged.iter().all(|(verdict, _)| verdict == "pass"), "{judged:?}");
    }

    fn fails(&self, plan: &str, test: &str, subject: &str) {
        let judged = self.judge(plan, &[test]);
        let found = judged.iter().any(|(verdict, why)| verdict == "fail" && why.starts_with(subject));
        assert!(found, "{subject} did not fail: {judged:?}");
    }
}

#[test]
fn limiters_that_keep_their_word_pass() {
    Ground::start("classroom", &[]).holds("classroom", &["limit-login", "limit-save", "limit-python"]);
    Ground::start("stories", &["limit=100/m", "limit-kind=sliding-log"])
        .holds("stories/limits.yaml", &["rate-limit-user", "rate-limit-address"]);
}

#[test]
fn limiters_that_do_not_are_found() {
    Ground::start("classroom", &["user-limits=off"]).fails(
        "classroom",
        "limit-save",
        "save beyond the limit",
    );
    Ground::start("stories", &["limit=100/m", "limit-kind=sliding-log", "limiter-counts-twice=on"]).fails(
        "stories/limits.yaml",
        "rate-limit-user",
        "all steps",
    );
}

#[test]
fn tokens_are_renewed_and_void_afterwards() {
    Ground::start("agents", &[]).holds("agents", &["token-refresh"]);
}

#[test]
fn systems_that_are_too_slow_fail() {
    Ground::start("agents", &["workers=1", "service=fixed:150ms"]).fails(
        "agents",
        "concurrent-progress-20",
        "progress at once",
    );
    Ground::start("classroom", &["service=fixed:1100ms"]).fails(
        "classroom",
        "stress-login",
        "all steps: 100 of 100 operations took longer",
    );
}

#[test]
fn errors_are_no_success_in_any_suite() {
    let errors = &["errors=1/5"];
    // a hundred logins at once lie in one or two windows, which may be too few to condemn; they never pass
    let judged = Ground::start("classroom", errors).judge("classroom", &["stress-login"]);
    let errors_told = judged.iter().find(|(_, why)| why.contains("ended in an error")).unwrap();
    assert_ne!(errors_told.0, "pass", "{judged:?}");
    Ground::start("agents", errors).fails("agents", "concurrent-registration-20", "all steps");
    Ground::start("stories", errors).fails("stories", "cache (quick)", "all steps");
}
