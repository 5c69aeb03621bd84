//! The event daemon over real sockets, in both architectures.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod ground;

use ground::Server;
use rustix::process::Signal;
use serde_json::{Value, json};

const BOTH: [&str; 2] = ["router", "coordinator"];

fn daemon(architecture: &str) -> (Server, tempfile::TempDir) {
    Server::fresh("events", &[&format!("architecture={architecture}")])
}

fn post(server: &Server, body: &Value) -> (u16, Value) {
    let reply = server.ask("POST", "/events", None, Some(&body.to_string()));
    (reply.status, reply.json())
}

/// Statistics once nothing is pending.
fn settled(server: &Server) -> Value {
    loop {
        let stats = server.get("/stats").json();
        if stats["pending"] == 0 {
            return stats;
        }
    }
}

#[test]
fn every_route_answers_as_promised() {
    for architecture in BOTH {
        let (server, _data) = daemon(architecture);
        let long = json!({"type": "mcp", "payload": "x".repeat(65_537)}).to_string();
        let many = json!({"events": vec![json!({"type": "mcp"}); 1_001]}).to_string();
        let rows: &[(&str, &str, Option<&str>, u16)] = &[
            (
                "POST",
                "/events",
                Some(r#"{"type": "filesystem", "payload": "abc", "source": "w", "topic": "t"}"#),
                202,
            ),
            ("POST", "/events", Some(r#"{"family": "system", "priority": "critical"}"#), 202),
            ("POST", "/events", Some(r#"{"type": "system", "targets": ["audit", "backup"]}"#), 202),
            ("POST", "/events", Some(r#"{"events": []}"#), 202),
            ("POST", "/events", Some(r#"{"type": "weather"}"#), 422),
            ("POST", "/events", Some(r#"{"type": "mcp", "priority": "whenever"}"#), 422),
            ("POST", "/events", Some(r#"{"type": "mcp", "targets": ["nobody"]}"#), 422),
            ("POST", "/events", Some(&long), 422),
            ("POST", "/events", Some(&many), 422),
            ("POST", "/events", Some("{"), 400),
            ("POST", "/events", Some("[]"), 422),
            ("GET", "/stats", None, 200),
            ("GET", "/services", None, 200),
            ("GET", "/metrics", None, 200),
            ("GET", "/health", None, 200),
            ("PUT", "/services/audit/health", Some(r#"{"health": "degraded"}"#), 200),
            ("PUT", "/services/audit/health", Some(r#"{"health": "tired"}"#), 422),
            ("PUT", "/services/nobody/health", Some(r#"{"health": "healthy"}"#), 404),
            ("GET", "/events", None, 405),
            ("GET", "/elsewhere", None, 404),
        ];
        for (method, path, body, status) in rows {
            let reply = server.ask(method, path, None, *body);
            assert_eq!(reply.status, *status, "{method} {path} {body:?}: {}", reply.body);
        }
        let services = server.get("/services").json();
        assert_eq!(services["total"], 10);
        let audit = services["services"].as_array().unwrap().iter().find(|s| s["name"] == "audit").unwrap();
        assert_eq!(audit["health"], "degraded");
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    }
}

#[test]
fn accepted_delivered_and_failed_add_up() {
    for architecture in BOTH {
        let (server, _data) = daemon(architecture);
        let families = ["filesystem", "database", "external", "mcp", "service", "system"];
        // two services want each of the first four families, one each of the others
        let events: Vec<Value> =
            (0..600).map(|n| json!({"type": families[n % 6], "id": n, "payload": "p".repeat(512)})).collect();
        for batch in events.chunks(100) {
            let (status, answer) = post(&server, &json!({"events": batch}));
            assert_eq!((status, &answer["accepted"]), (202, &json!(100)), "{answer}");
        }
        let (_, again) = post(&server, &events[5]);
        let expected = if architecture == "router" { "duplicate" } else { "accepted" };
        assert_eq!(again["status"], expected, "services of the coordinator find their duplicates themselves");
        let stats = settled(&server);
        assert_eq!(stats["architecture"], architecture);
        assert_eq!(stats["processed"], 400 * 2 + 200);
        assert_eq!(stats["received"], 601);
        let sum = |key: &str| stats[key].as_u64().unwrap();
        assert_eq!(sum("received"), sum("accepted") + sum("refused") + sum("duplicates") + sum("unrouted"));
        let metrics = server.get("/metrics").body;
        assert!(metrics.contains("service_processed_total{service=\"indexer\"} 100"), "{metrics}");
    }
}
