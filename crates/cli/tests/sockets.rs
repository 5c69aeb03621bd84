//! Sockets and events as a plan uses them, against systems of the proving ground.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use support::{Place, crucible};

/// Runs a plan and gives its report. A machine under load may make a run invalid; what was counted is the same.
fn run(text: &str) -> serde_json::Value {
    let place = Place::new();
    let path = place.write("plan.yaml", text);
    let told = crucible().arg("run").arg(&path).args(["--no-record", "--json", "-q"]).output();
    assert!([0, 97, 98].contains(&told.code), "{}: {}{}", told.code, told.stdout, told.stderr);
    told.json()
}

/// Outcomes of a step: ended, ok.
fn counts(report: &serde_json::Value, step: &str) -> (u64, u64) {
    let steps = report.pointer("/tests/0/totals/steps").and_then(|steps| steps.as_array()).unwrap();
    let row = steps.iter().find(|row| row["name"] == step).unwrap_or_else(|| panic!("no {step}: {steps:?}"));
    (row["ended"].as_u64().unwrap(), row["outcomes"]["ok"].as_u64().unwrap())
}

#[test]
fn fifty_users_follow_their_tasks_over_sockets() {
    let report = run(r#"
name: task logs
ground: agents
scenarios:
  watcher:
    weight: 48
    think: 100ms
    setup:
      - post: /api/v1/auth/register
        json: {username: "ann-${uuid}", email: "ann-${vu}@example.org", password: open sesame}
        check: {status: 201}
        save: {token: json.tokens.access_token}
      - post: /api/v1/tasks
        auth: {bearer: "${token}"}
        json: {description: teach the parser to count, task_type: bug_fix}
        save: {task: json.task_id}
      - name: open the log
        ws: /api/v1/ws/tasks/${task}/logs?token=${token}
        as: log
        expect: {json.type: history_end, json.task_id: "${task}"}
    steps:
      - name: ping
        send: {json: {action: ping}}
        expect: {json.type: pong}
        latency: {from: json.timestamp, name: pong latency}
        within: 20s
  stranger:
    weight: 2
    think: 200ms
    steps:
      - name: no token
        ws: /api/v1/ws?token=made-up
        expect: {close: 4001}
tests: {t: {vus: 50, for: 3s}}
"#);
    for step in ["open the log", "ping", "no token"] {
        let (ended, ok) = counts(&report, step);
        assert!(ended > 0 && ok > 0 && ended - ok <= 50, "{step}: {ok} of {ended} are ok");
    }
    let (opened, good) = counts(&report, "open the log");
    assert_eq!(opened, good);
    assert!(report.to_string().contains("pong latency"));
}

#[test]
fn a_socket_that_the_plan_does_not_open_is_a_mistake() {
    let place = Place::new();
    for (steps, part) in [
        ("[{get: /}, {send: x}]", "no step of this scenario opens"),
        ("[{ws: /, as: a}, {ws: /, as: b}, {send: x}]", "say which with `on`"),
        ("[{ws: /, as: a}, {send: x, on: b}]", "as: b"),
    ] {
        let text = format!(
            "name: p\ntarget: http://localhost:1\nsteps: {steps}\ntests: {{t: {{vus: 1, for: 1s}}}}\n"
        );
        let path = place.write("p.yaml", &text);
        let told = crucible().arg("run").arg(&path).args(["--no-record", "-q"]).output();
        assert_eq!(told.code, 2, "{steps}: {}", told.stderr);
        assert!(told.stderr.contains(part), "{steps}: {}", told.stderr);
    }
}
