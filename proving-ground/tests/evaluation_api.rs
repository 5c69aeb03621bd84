//! The evaluation platform's routes, statuses and life over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod platform;

use platform::{Platform, SOON, lives, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn every_route_answers_as_promised() {
    let (platform, _data) = Platform::fresh(&[]);
    let id = platform.code("print(6 * 7)");
    let done = platform.result(&id);
    assert_eq!(
        (&done["status"], &done["output"], &done["success"]),
        (&json!("completed"), &json!("42\n"), &json!(true))
    );
    let own = |rest: &str| format!("/api/eval/{id}{rest}");
    let huge = format!(r#"{{"code": "{}"}}"#, "x".repeat(2 << 20));
    type Row<'a> = (&'a str, String, Option<&'a str>, u16);
    let rows: &[Row<'_>] = &[
        ("GET", "/health".into(), None, 200),
        ("GET", "/api/health".into(), None, 200),
        ("GET", "/api/status".into(), None, 200),
        ("GET", "/api/queue-status".into(), None, 200),
        ("GET", "/api/celery-status".into(), None, 200),
        ("GET", "/api/statistics".into(), None, 200),
        ("GET", "/metrics".into(), None, 200),
        ("GET", own(""), None, 200),
        ("GET", own("/status"), None, 200),
        ("GET", own("/logs"), None, 200),
        ("GET", own("/executions"), None, 200),
        ("GET", "/api/evaluations?limit=5&offset=0&status=completed".into(), None, 200),
        ("GET", "/api/evaluations?status=strange".into(), None, 422),
        ("GET", "/api/evaluations?limit=x".into(), None, 400),
        ("POST", own("/kill"), None, 400),
        ("POST", own("/cancel"), None, 400),
        ("POST", own("/cancel?terminate=true"), None, 400),
        ("PATCH", own(""), Some(r#"{"status": "completed"}"#), 400),
        ("PATCH", own("/status"), Some(r#"{"status": "cancelled"}"#), 400),
        ("GET", "/api/eval/nothing".into(), None, 404),
        ("GET", "/api/eval/broker-00".into(), None, 404),
        ("GET", "/api/eval/broker-%2e%2e%2fstatus".into(), None, 404),
        ("GET", "/api/eval/legacy-00/logs".into(), None, 404),
        ("POST", "/api/eval/legacy-00/kill".into(), None, 404),
        ("POST", "/api/eval/nothing/cancel".into(), None, 404),
        ("POST", "/api/eval".into(), Some("{}"), 422),
        ("POST", "/api/eval".into(), Some("not json"), 422),
        ("POST", "/api/eval".into(), Some(r#"{"code": "  "}"#), 422),
        ("POST", "/api/eval".into(), Some(r#"{"code": "1", "language": "cobol"}"#), 422),
        ("POST", "/api/eval".into(), Some(r#"{"code": "1", "engine": "magic"}"#), 422),
        ("POST", "/api/eval".into(), Some(r#"{"code": "1", "timeout": 0}"#), 422),
        ("POST", "/api/eval".into(), Some(r#"{"code": "1", "timeout": 1e9}"#), 422),
        ("POST", "/api/eval".into(), Some(&huge), 422),
        ("POST", "/api/eval-batch".into(), Some(r#"{"evaluations": []}"#), 422),
        ("GET", "/api/nothing".into(), None, 404),
        ("DELETE", "/api/eval".into(), None, 405),
    ];
    for (method, path, body, expected) in rows {
        let (status, answer) = platform.ask(method, path, *body);
        assert_eq!(status, *expected, "{method} {path}: {answer}");
    }
    let health = platform.get("/api/health");
    assert_eq!(health["status"], "ok");
    let status = platform.get("/api/status");
    assert!(status["sandbox"]["layers"].as_array().unwrap().iter().any(|layer| layer["name"] == "seccomp"));
    let names: Vec<String> = platform.parts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 8, "{names:?}");
    assert_eq!(platform.announced["parts"].as_object().unwrap().len(), 8);
    let text = platform.get("/metrics");
    for line in [
        "up{service=\"storage\"} 1",
        "evaluations{status=\"completed\"} 1",
        "effects_total 1",
        "part_restarts_total{part=\"api\"} 0",
    ] {
        assert!(text.as_str().unwrap().contains(line), "{line}");
    }
}

#[test]
fn the_parts_of_a_jobs_time_are_told_apart() {
    let (platform, _data) = Platform::fresh(&[]);
    let body =
        json!({"code": "import time; time.sleep(0.2); print('x')", "reference": "mine", "queue": "legacy"});
    let job = platform.result(&platform.submit(&body));
    let at = |key: &str| job[key].as_str().unwrap().to_owned();
    assert!(at("created_at") <= at("queued_at") && at("queued_at") <= at("started_at"), "{job}");
    assert!(at("started_at") < at("completed_at"), "{job}");
    let part = |key: &str| job["timings"][key].as_f64().unwrap();
    assert!(part("execution_ms") >= 200.0 && part("sandbox_ms") >= 200.0, "{job}");
    let sum = part("submission_ms") + part("queue_wait_ms") + part("execution_ms");
    assert!((sum - part("total_ms")).abs() < 0.01, "{job}");
    assert_eq!(
        (&job["queue"], &job["reference"], &job["attempt"]),
        (&json!("legacy"), &json!("mine"), &json!(1))
    );
    assert!(job["worker"].as_str().unwrap().starts_with("legacy-worker-"), "{job}");
}

#[test]
fn the_traffic_is_split_as_wanted() {
    for (share, expected) in [("0%", 0), ("30%", 30), ("100%", 100)] {
        let (platform, _data) = Platform::fresh(&[&format!("split={share}"), "runners=1"]);
        let batch = json!({"evaluations": vec![json!({"code": "print(1)"}); 100]});
        let (status, answer) = platform.post("/api/eval-batch", &batch);
        assert_eq!((status, &answer["queued"], &answer["total"]), (200, &json!(100), &json!(100)));
        let new =
            answer["evaluations"].as_array().unwrap().iter().filter(|one| one["queue"] == "broker").count();
        assert_eq!(new, expected, "{share}");
    }
}

#[test]
fn a_batch_names_its_mistakes_and_takes_the_rest() {
    let (platform, _data) = Platform::fresh(&[]);
    let (_, answer) = platform.post(
        "/api/eval-batch",
        &json!({"evaluations": [{"code": "print('a')"}, {"code": ""}, {"code": "print('b')"}]}),
    );
    assert_eq!((&answer["queued"], &answer["failed"]), (&json!(2), &json!(1)), "{answer}");
    let list = answer["evaluations"].as_array().unwrap();
    assert_eq!(list[1]["status"], "failed");
    for (index, output) in [(0, "a\n"), (2, "b\n")] {
        assert_eq!(platform.result(list[index]["eval_id"].as_str().unwrap())["output"], output);
    }
    until(SOON, "both in the list", || {
        (platform.get("/api/evaluations?status=completed")["total"] == 2).then_some(())
    });
    let page = platform.get("/api/evaluations?limit=1&offset=1");
    assert_eq!((page["evaluations"].as_array().unwrap().len(), &page["total"]), (1, &json!(2)));
}

#[test]
fn each_failure_ends_in_its_status() {
    let (platform, _data) = Platform::fresh(&[]);
    let escape = |code: &str| {
        format!("try:\n    {code}\n    print('escaped')\nexcept OSError as e:\n    print('contained')")
    };
    let rows: Vec<(String, f64, &str, &str)> = vec![
        ("print('hello')".into(), 30.0, "completed", "completed"),
        ("print('unbalanced'".into(), 30.0, "failed", "syntax_error"),
        ("1 / 0".into(), 30.0, "failed", "runtime_error"),
        ("import sys; sys.exit(3)".into(), 30.0, "failed", "exit_code"),
        ("print('begun')\nwhile True: pass".into(), 0.5, "timeout", "timeout"),
        ("x = []\nwhile True: x.append(' ' * 10_000_000)".into(), 30.0, "failed", "memory"),
        ("while True: print('x' * 10_000)".into(), 30.0, "failed", "output_limit"),
        ("import os; os.abort()".into(), 30.0, "failed", "crash"),
        ("import ctypes; ctypes.string_at(0)".into(), 30.0, "failed", "crash"),
        (
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass".into(),
            0.5,
            "timeout",
            "timeout",
        ),
        (escape("open('/etc/passwd').read()"), 30.0, "completed", "completed"),
        (
            escape("import socket; socket.create_connection(('127.0.0.1', 80), 1)"),
            30.0,
            "completed",
            "completed",
        ),
    ];
    let ids: Vec<String> =
        rows.iter().map(|row| platform.submit(&json!({"code": row.0, "timeout": row.1}))).collect();
    for ((code, timeout, status, reason), id) in rows.iter().zip(&ids) {
        let job = platform.result(id);
        assert_eq!((&job["status"], &job["reason"]), (&json!(status), &json!(reason)), "{code}: {job}");
        assert_eq!(job["success"], *status == "completed");
        assert_eq!(job["error"].is_null(), *status == "completed", "{job}");
        assert_eq!(job["effects"], 1);
        assert!(!job["output"].as_str().unwrap().contains("escaped"), "{code}");
        let took = job["timings"]["sandbox_ms"].as_f64().unwrap();
        // generous above: the machine may be busy; the program's limit is the claim
        let bound = if *reason == "timeout" { timeout * 1e3 } else { 0.0 };
        assert!(took >= bound && took < bound + 10_000.0, "{code}: {took}");
    }
    let logs = platform.get(&format!("/api/eval/{}/logs", ids[4]));
    assert_eq!(
        (&logs["stdout"], &logs["complete"]),
        (&json!("begun\n"), &json!(true)),
        "what was written before the end"
    );
}

#[test]
fn jobs_are_cancelled_and_killed_and_stay_so() {
    let (platform, _data) = Platform::fresh(&["runners=1", "split=0%"]);
    let endless = platform.code("while True: pass");
    platform.wait_for_status(&endless, "running");
    let waiting = platform.code("print('never')");
    let second = platform.code("print('never')");
    assert_eq!(platform.ask("POST", &format!("/api/eval/{waiting}/kill"), None).0, 400, "it does not run");
    assert_eq!(platform.ask("GET", &format!("/api/eval/{waiting}"), None).0, 202);
    assert_eq!(platform.ask("POST", &format!("/api/eval/{endless}/cancel"), None).0, 400, "it runs");
    assert_eq!(platform.ask("POST", &format!("/api/eval/{waiting}/cancel"), None).0, 200);
    let patched = platform.ask("PATCH", &format!("/api/eval/{second}"), Some(r#"{"status": "cancelled"}"#));
    assert_eq!(patched.0, 200, "{patched:?}");
    assert_eq!(platform.result(&waiting)["status"], "cancelled");
    assert_eq!(platform.result(&second)["status"], "cancelled");
    assert_eq!(platform.ask("POST", &format!("/api/eval/{endless}/kill"), None).0, 200);
    let killed = platform.result(&endless);
    assert_eq!((&killed["status"], &killed["reason"]), (&json!("cancelled"), &json!("killed")));
    // the worker goes on with other jobs, and these stay as they are
    assert_eq!(platform.result(&platform.code("print('next')"))["output"], "next\n");
    for id in [&waiting, &second, &endless] {
        assert_eq!(platform.result(id)["status"], "cancelled");
    }
    assert_eq!(platform.result(&waiting)["executions"], 0);
}

#[test]
fn a_priority_job_overtakes() {
    let (platform, _data) = Platform::fresh(&["runners=1", "split=0%"]);
    let first = platform.code("import time; time.sleep(0.4)");
    platform.wait_for_status(&first, "running");
    let ordinary = platform.code("print(1)");
    let urgent = platform.submit(&json!({"code": "print(2)", "priority": true}));
    let started = |id: &str| platform.result(id)["started_at"].as_str().unwrap().to_owned();
    assert!(started(&urgent) < started(&ordinary));
}

#[test]
fn results_and_queued_jobs_survive_a_restart_of_everything() {
    let data = tempfile::tempdir().unwrap();
    let mut platform = Platform::start(data.path(), &["runners=1", "split=0%"]);
    let done = platform.code("print('kept')");
    platform.result(&done);
    let running = platform.code("import time; time.sleep(1); print('again')");
    platform.wait_for_status(&running, "running");
    let queued = platform.code("print('later')");
    let pids = platform.parts();
    signal(platform.child.id(), Signal::TERM);
    assert!(platform.wait().success(), "a drained platform ends with success");
    assert!(pids.iter().all(|(_, pid)| !lives(*pid)), "no part is left");

    let platform = Platform::start(data.path(), &["runners=1", "split=0%"]);
    let second = run(&["evaluation", "--data", data.path().to_str().unwrap()], "/usr/bin:/bin");
    assert!(second.contains("another platform runs on it"), "{second}");
    assert_eq!(platform.get(&format!("/api/eval/{done}"))["output"], "kept\n");
    let resumed = platform.result(&running);
    assert_eq!(
        (&resumed["output"], &resumed["attempt"], &resumed["effects"]),
        (&json!("again\n"), &json!(2), &json!(1))
    );
    assert_eq!(platform.result(&queued)["output"], "later\n");
}

#[test]
fn the_death_of_the_supervisor_takes_all_parts_along() {
    let (mut platform, data) = Platform::fresh(&[]);
    let id = platform.code("print('kept')");
    platform.result(&id);
    let pids = platform.parts();
    signal(platform.child.id(), Signal::KILL);
    platform.wait();
    until(SOON, "all parts are gone", || pids.iter().all(|(_, pid)| !lives(*pid)).then_some(()));
    let platform = Platform::start(data.path(), &[]);
    assert_eq!(platform.result(&id)["output"], "kept\n");
}

#[test]
fn a_stopped_storage_degrades_and_loses_nothing() {
    let (platform, _data) = Platform::fresh(&[]);
    let storage = platform.pid_of("storage");
    signal(storage, Signal::STOP);
    let id = platform.code("print('patience')");
    assert_eq!(platform.get("/api/health")["status"], "degraded");
    let (status, _) = platform.ask("GET", &format!("/api/eval/{id}"), None);
    assert_eq!(status, 503);
    signal(storage, Signal::CONT);
    let job = platform.result(&id);
    assert_eq!((&job["output"], &job["effects"]), (&json!("patience\n"), &json!(1)));
    assert_eq!(platform.get("/api/health")["status"], "ok");
}

#[test]
fn the_web_socket_tells_states_and_events_in_order() {
    let (platform, _data) = Platform::fresh(&[]);
    let mut stream = TcpStream::connect(platform.address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: ground\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    let first = message(&mut stream);
    assert_eq!((&first["type"], &first["services"]["storage"]), (&json!("status"), &json!("ok")));
    let id = platform.code("print(1)");
    let mut channels = Vec::new();
    while channels.last().is_none_or(|last| last != "evaluation:completed") {
        let told = message(&mut stream);
        if told["type"] == "event" && told["eval_id"] == id.as_str() {
            channels.push(told["channel"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(channels, ["evaluation:queued", "evaluation:running", "evaluation:completed"]);
}

/// One text frame from the server: not masked, up to 64 KiB.
fn message(stream: &mut TcpStream) -> Value {
    let mut head = [0u8; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x81, "a whole text");
    let length = match head[1] {
        126 => {
            let mut long = [0u8; 2];
            stream.read_exact(&mut long).unwrap();
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut text = vec![0; length];
    stream.read_exact(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn switches_of_all_systems_hold_here_too() {
    let (platform, _data) = Platform::fresh(&["health-always-ok=on", "limit=3/h", "service=fixed:20ms"]);
    let storage = platform.pid_of("storage");
    signal(storage, Signal::STOP);
    assert_eq!(platform.get("/api/health")["status"], "ok", "a lie");
    signal(storage, Signal::CONT);
    let codes: Vec<u16> = (0..5).map(|_| platform.ask("GET", "/api/evaluations", None).0).collect();
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 2, "{codes:?}");
}

#[test]
fn without_python_the_start_says_so() {
    let told = run(&["evaluation"], "/nowhere");
    assert!(told.contains("cannot run python3"), "{told}");
    assert!(told.contains("install Python 3 and have it on the PATH"), "{told}");
}

/// What the program says when it cannot start.
fn run(arguments: &[&str], path: &str) -> String {
    let program = env!("CARGO_BIN_EXE_crucible-ground");
    let output =
        Command::new(program).args(arguments).env("PATH", path).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
