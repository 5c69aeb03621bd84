//! The shared switches on all five systems: each acts, or is refused at the start.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod ground;

use ground::{LONG, Reply, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What is asked of a system, and what it answers when no switch is on.
struct Row {
    system: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    health: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        system: "evaluation",
        method: "GET",
        path: "/api/evaluations",
        body: "",
        status: 200,
        health: "/api/health",
    },
    Row {
        system: "events",
        method: "POST",
        path: "/events",
        body: r#"{"type": "system"}"#,
        status: 202,
        health: "/health",
    },
    // without a token; the switches stand before the question who asks
    Row {
        system: "agents",
        method: "GET",
        path: "/api/v1/workers",
        body: "",
        status: 401,
        health: "/api/v1/health/database",
    },
    Row {
        system: "classroom",
        method: "GET",
        path: "/lessons/manifest.json",
        body: "",
        status: 200,
        health: "/api/health",
    },
    Row {
        system: "stories",
        method: "GET",
        path: "/api/stories",
        body: "",
        status: 200,
        health: "/health/ready",
    },
];

/// A running system, whether behind TLS or not.
struct Ground {
    row: &'static Row,
    server: Server,
    data: tempfile::TempDir,
}

impl Ground {
    fn start(row: &'static Row, truth: &[&str]) -> Ground {
        let (server, data) = Server::fresh(row.system, truth);
        Ground { row, server, data }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        if self.row.system == "classroom" {
            return self.ask_secure(method, path, body);
        }
        self.server.ask(method, path, None, (!body.is_empty()).then_some(body))
    }

    fn ask_secure(&self, method: &str, path: &str, body: &str) -> Reply {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.data.path().join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(self.server.address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(tls), name).unwrap(), socket);
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: ground\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = Vec::new();
        // the end without a word is fine once the answer is whole
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Reply { status: head[9..12].parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }

    /// Statuses of `count` requests, one after the other.
    fn statuses(&self, count: usize) -> Vec<u16> {
        (0..count).map(|_| self.ask(self.row.method, self.row.path, self.row.body).status).collect()
    }

    /// Sum of all samples of a metric whose labels contain `label`.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let text = self.ask("GET", "/metrics", "").body;
        let of = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            let (found, labels) = key.split_once('{').unwrap_or((key, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().unwrap())
        };
        let found: Vec<f64> = text.lines().filter_map(of).collect();
        assert!(!found.is_empty(), "{name} is not in the metrics of {}:\n{text}", self.row.system);
        found.iter().sum()
    }
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

#[test]
fn one_request_in_three_fails() {
    for row in ROWS {
        let ground = Ground::start(row, &["errors=1/3"]);
        let statuses = ground.statuses(9);
        let found = (count(&statuses, 500), count(&statuses, row.status));
        assert_eq!(found, (3, 6), "{}: {statuses:?}", row.system);
        assert_eq!(ground.metric("injected_errors_total", ""), 3.0, "{}", row.system);
    }
}

#[test]
fn five_requests_in_an_hour_pass() {
    for row in ROWS {
        // a log has no edge at which a second five would pass
        let ground = Ground::start(row, &["limit=5/h", "limit-kind=sliding-log"]);
        let expected = [[row.status; 5].as_slice(), &[429; 3]].concat();
        assert_eq!(ground.statuses(8), expected, "{}", row.system);
        assert_eq!(ground.metric("rate_limited_total", ""), 3.0, "{}", row.system);
    }
}

#[test]
fn each_request_takes_its_times_one_after_the_other() {
    // nothing of them overlaps, so that each of ten requests takes the sum at least
    let switches =
        ["service=fixed:5ms", "downstream=fixed:4ms", "lock=2ms", "connections=3", "connection-hold=3ms"];
    for row in ROWS {
        let ground = Ground::start(row, &switches);
        assert_eq!(ground.statuses(10), [row.status; 10], "{}", row.system);
        let route = format!("route=\"{}\"", row.path);
        let took = ground.metric("http_request_duration_seconds_sum", &route);
        assert!(took >= 10.0 * 0.014, "{}: {took} s", row.system);
    }
}

#[test]
fn one_connection_is_enough_for_one_after_the_other() {
    for row in ROWS {
        let ground =
            Ground::start(row, &["connections=1", "workers=1", "fsync=on", "cpu=100us", "leak=10KB"]);
        assert_eq!(ground.statuses(4), [row.status; 4], "{}", row.system);
        assert!(ground.metric("leaked_bytes", "") >= 40_000.0, "{}", row.system);
        assert_eq!(ground.metric("workers_size", ""), 1.0, "{}", row.system);
        assert_eq!(ground.metric("connections_size", ""), 1.0, "{}", row.system);
    }
}

#[test]
fn health_says_ok_without_looking() {
    for row in ROWS {
        let honest = Ground::start(row, &[]).ask("GET", row.health, "");
        let lying = Ground::start(row, &["health-always-ok=on"]).ask("GET", row.health, "");
        let simple = |reply: &Reply| reply.json() == json!({"status": "ok", "db_ok": true});
        assert_eq!(lying.status, 200, "{}", row.system);
        assert!(simple(&lying) && !simple(&honest), "{}: {}", row.system, lying.body);
    }
}

#[test]
fn a_write_is_stored_and_answered_500() {
    let person = |n: usize| json!({"username": format!("ann{n}"), "email": format!("ann{n}@example.org"), "password": "open sesame"});
    let event = |n: usize| json!({"type": "system", "id": n});
    let job = |n: usize| json!({"evaluations": [{"code": format!("print({n})")}]});
    // stories and the classroom, whose writes need a session, have tests of their own
    type Writes<'a> = (&'a str, &'a str, &'a dyn Fn(usize) -> Value);
    let rows: [Writes<'_>; 3] = [
        ("events", "/events", &event),
        ("agents", "/api/v1/auth/register", &person),
        ("evaluation", "/api/eval-batch", &job),
    ];
    for (system, path, body) in rows {
        let row = ROWS.iter().find(|row| row.system == system).unwrap();
        let ground = Ground::start(row, &["stored-but-500=1/3"]);
        let statuses: Vec<u16> =
            (0..6).map(|n| ground.ask("POST", path, &body(n).to_string()).status).collect();
        assert_eq!(count(&statuses, 500), 2, "{system}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status < 300).count(), 4, "{system}: {statuses:?}");
        if system == "events" {
            assert_eq!(ground.metric("events_accepted_total", ""), 6.0);
        }
        if system == "agents" {
            // who was told of a failure is stored all the same, so that the name is taken
            let again: Vec<u16> =
                (0..6).map(|n| ground.ask("POST", path, &body(n).to_string()).status).collect();
            assert_eq!(count(&again, 422), 6, "{again:?}");
        }
    }
}

#[test]
fn a_queue_without_a_bound_accepts_whatever_it_completes() {
    let row = ROWS.iter().find(|row| row.system == "events").unwrap();
    let batch = json!({"events": vec![json!({"type": "system"}); 1_000]}).to_string();
    // the first event is not done within ten minutes
    let slow = Ground::start(row, &["unbounded-queue=10m"]);
    for _ in 0..5 {
        let reply = slow.ask("POST", "/events", &batch);
        assert_eq!((reply.status, &reply.json()["accepted"]), (202, &json!(1_000)));
    }
    let figures = ["backlog_accepted_total", "backlog_completed_total", "backlog_length"];
    assert_eq!(figures.map(|name| slow.metric(name, "")), [5_000.0, 0.0, 5_000.0]);
    let quick = Ground::start(row, &["unbounded-queue=10us"]);
    assert_eq!(quick.ask("POST", "/events", &batch).status, 202);
    while quick.metric("backlog_length", "") > 0.0 {}
    assert_eq!(figures.map(|name| quick.metric(name, "")), [1_000.0, 1_000.0, 0.0]);
    assert_eq!(quick.metric("events_received_total", ""), 1_000.0);
}

#[test]
fn a_websocket_keeps_its_connection() {
    let switches = ["connections=3", "slot-per-session=on", "connection-wait=50ms"];
    for system in ["agents", "evaluation"] {
        let row = ROWS.iter().find(|row| row.system == system).unwrap();
        let ground = Ground::start(row, &switches);
        let (path, sockets) = if system == "agents" {
            // the session of who signs up keeps the third
            let person = json!({"username": "ann", "email": "ann@example.org", "password": "open sesame"});
            let signed = ground.ask("POST", "/api/v1/auth/register", &person.to_string());
            assert_eq!(signed.status, 201, "{}", signed.body);
            let tokens = signed.json();
            let token = tokens["tokens"]["access_token"].as_str().unwrap();
            (format!("/api/v1/ws?token={token}"), 2)
        } else {
            ("/ws".to_owned(), 3)
        };
        assert_eq!(ground.statuses(2), [row.status; 2], "{system}");
        let open = || {
            let socket = TcpStream::connect(ground.server.address).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            tungstenite::client(format!("ws://ground{path}"), socket).unwrap().0
        };
        let mut open: Vec<_> = (0..sockets).map(|_| open()).collect();
        assert_eq!(ground.statuses(2), [503; 2], "{system}");
        assert_eq!(ground.metric("connections_busy", ""), 3.0, "{system}");
        // whoever goes gives it back
        drop(open.pop());
        while ground.metric("connections_busy", "") > 2.0 {}
        assert_eq!(ground.statuses(2), [row.status; 2], "{system}");
    }
}

#[test]
fn what_cannot_act_is_refused_at_the_start() {
    for (system, switch) in [
        ("events", "slot-per-session=on"),
        ("agents", "ack-before-commit=1s"),
        ("stories", "unbounded-queue=10ms"),
        ("classroom", "lose=1/5"),
        ("evaluation", "architecture=router"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crucible-ground"));
        let output = command.args([system, "--truth", switch]).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let name = switch.split_once('=').unwrap().0;
        assert!(!output.status.success(), "{system} {switch}");
        assert!(told.contains(&format!("switch {name} does not act on {system}")), "{told}");
    }
}
