//! The bugs on demand of the evaluation platform: each does what it says, and exactly as often.
#![allow(clippy::unwrap_used, reason = "tests")]

mod platform;

use platform::{Platform, SOON, until};
use serde_json::{Value, json};

/// Forty numbered jobs to the old queue; their ids.
fn forty(platform: &Platform) -> Vec<String> {
    let jobs: Vec<Value> = (0..40).map(|n| json!({"code": format!("print('job', {n})")})).collect();
    let (status, answer) = platform.post("/api/eval-batch", &json!({"evaluations": jobs}));
    assert_eq!((status, &answer["queued"]), (200, &json!(40)));
    let list = answer["evaluations"].as_array().unwrap();
    list.iter().map(|one| one["eval_id"].as_str().unwrap().to_owned()).collect()
}

fn start(truth: &str) -> (Platform, tempfile::TempDir) {
    Platform::fresh(&["split=0%", truth])
}

#[test]
fn lost_jobs_are_acknowledged_and_nowhere() {
    let (platform, _data) = start("lose=1/10");
    let ids = forty(&platform);
    let lost = ids.iter().filter(|id| platform.ask("GET", &format!("/api/eval/{id}"), None).0 == 404).count();
    assert_eq!(lost, 4);
}

#[test]
fn repeated_jobs_have_two_effects() {
    let (platform, _data) = start("repeat=1/10");
    let ids = forty(&platform);
    let sums = until(SOON, "44 effects", || {
        let sums = platform.get("/api/statistics");
        (sums["effects"] == 44).then_some(sums)
    });
    assert_eq!(sums["duplicates"], 4);
    let twice: Vec<&String> = ids.iter().filter(|id| platform.result(id)["effects"] == 2).collect();
    assert_eq!(twice.len(), 4);
    let ledger = platform.get(&format!("/api/eval/{}/executions", twice[0]));
    assert_eq!(ledger["executions"].as_array().unwrap().iter().filter(|e| e["effect"] == true).count(), 2);
}

#[test]
fn corrupted_outputs_differ_in_one_character() {
    let (platform, _data) = start("corrupt=1/10");
    let ids = forty(&platform);
    let wrong =
        ids.iter().enumerate().filter(|(n, id)| platform.result(id)["output"] != format!("job {n}\n"));
    assert_eq!(wrong.count(), 4);
}

#[test]
fn reordered_jobs_start_in_another_order() {
    let starts = |truth: &str| {
        let (platform, _data) = Platform::fresh(&["split=0%", "runners=1", truth]);
        let ids = forty(&platform);
        ids.iter()
            .map(|id| platform.result(id)["started_at"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(starts("reorder=off").is_sorted());
    assert!(!starts("reorder=on").is_sorted());
}

#[test]
fn a_stored_500_runs_all_the_same() {
    let (platform, _data) = start("stored-but-500=1/5");
    let codes: Vec<u16> = (0..20)
        .map(|n| platform.post("/api/eval", &json!({"code": "print(1)", "reference": format!("r{n}")})).0)
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 500).count(), 4);
    until(SOON, "all 20 are stored", || {
        (platform.get("/api/evaluations?status=completed")["total"] == 20).then_some(())
    });
}

#[test]
fn completed_comes_before_the_output() {
    let (platform, _data) = start("completed-before-output=1s");
    let id = platform.code("print('late')");
    let early = platform.result(&id);
    assert_eq!((&early["status"], &early["output"]), (&json!("completed"), &json!("")));
    until(SOON, "the output", || (platform.result(&id)["output"] == "late\n").then_some(()));
}

#[test]
fn a_late_status_overwrites_a_final_one() {
    let (platform, _data) = start("late-status-overwrite=1/1");
    let id = platform.code("print(1)");
    assert_eq!(platform.result(&id)["status"], "completed");
    platform.wait_for_status(&id, "running");
    assert_eq!(platform.ask("GET", &format!("/api/eval/{id}"), None).0, 202);
}

#[test]
fn what_was_acknowledged_before_the_commit_dies_with_the_queue() {
    let (platform, _data) = start("ack-before-commit=600s");
    let id = platform.code("print(1)");
    assert_eq!(platform.ask("GET", &format!("/api/eval/{id}"), None).0, 202);
    platform.kill("legacy");
    assert_eq!(platform.ask("GET", &format!("/api/eval/{id}"), None).0, 404);
    let (platform, _data) = start("ack-before-commit=50ms");
    assert_eq!(platform.result(&platform.code("print(1)"))["output"], "1\n");
}

#[test]
fn zombies_are_healthy_and_take_no_work() {
    for (truth, works) in [("zombie-worker=on", false), ("zombie-worker=off", true)] {
        let (platform, _data) = start(truth);
        assert_eq!(platform.result(&platform.code("print('before')"))["output"], "before\n");
        let workers: Vec<_> =
            platform.parts().into_iter().filter(|(name, _)| name.contains("worker")).collect();
        platform.kill("legacy");
        let id = platform.code("print('after')");
        if works {
            assert_eq!(platform.result(&id)["output"], "after\n");
        } else {
            // the new queue's workers show that time enough has passed
            let other = platform.submit(&json!({"code": "import time; time.sleep(1)", "queue": "broker"}));
            platform.result(&other);
            assert_eq!(platform.ask("GET", &format!("/api/eval/{id}"), None).0, 202);
            assert_eq!(platform.get("/api/queue-status")["queued"], 1);
            assert_eq!(platform.get("/api/health")["status"], "ok");
            platform.kill("legacy-worker-1");
            assert_eq!(platform.result(&id)["output"], "after\n", "a new life works");
        }
        let later = platform.parts();
        assert!(workers.iter().filter(|worker| later.contains(worker)).count() >= 3, "they live");
    }
}
