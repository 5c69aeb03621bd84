//! The story platform over real sockets, as a real child process that can be told to stop and can be killed.
//!
//! The same bodies run on the embedded database and cache, and on PostgreSQL and Redis that the test starts for
//! itself. Where these are not installed that one test says so and passes, unless `CRUCIBLE_FULL` is set.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crucible_ground::{GroundOptions, find};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

#[path = "common/services.rs"]
mod services;
use services::Services;

/// Not a test of its own: the server process of the others. Its options come by standard input.
#[test]
#[ignore = "the server process that the other tests start"]
fn child() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let Ok(options) = serde_json::from_str::<Value>(&line) else { return };
    let texts = |key: &str| -> Vec<String> { serde_json::from_value(options[key].clone()).unwrap() };
    let announce = Box::new(|a: &crucible_ground::Announcement| println!("\nannounce {}", a.address));
    let data = Some(PathBuf::from(options["data"].as_str().unwrap()));
    let options = GroundOptions { port: 0, data, truth: texts("truth"), with: texts("with"), announce };
    find("stories").unwrap().run(options).unwrap();
}

/// On what the platform runs.
enum Bed {
    Embedded,
    Outside(Services),
}

/// The data of one platform.
struct Place {
    data: tempfile::TempDir,
    with: Vec<String>,
}

impl Bed {
    /// Data that nobody has used.
    fn place(&self) -> Place {
        let with = match self {
            Bed::Embedded => Vec::new(),
            Bed::Outside(services) => {
                let database = services.postgres.new_database();
                services.redis.flush();
                vec![format!("postgres={database}"), format!("redis={}", services.redis.url())]
            }
        };
        Place { data: tempfile::tempdir().unwrap(), with }
    }

    fn fresh(&self, truth: &[&str]) -> (Server, Place) {
        let place = self.place();
        (place.start(truth), place)
    }
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Place {
    fn start(&self, truth: &[&str]) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let options = json!({"data": self.data.path(), "truth": truth, "with": self.with});
        writeln!(child.stdin.take().unwrap(), "{options}").unwrap();
        let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("announce ").map(|a| a.parse().unwrap()))
            .expect("the server must announce itself");
        Server { child, address }
    }
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Reply {
        let mut stream = self.connect();
        send(&mut stream, method, path, token, body);
        read(stream)
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None, None)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

fn send(stream: &mut TcpStream, method: &str, path: &str, token: Option<&str>, body: Option<&str>) {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: ground\r\nConnection: close\r\n");
    if let Some(token) = token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = body {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    request += body.unwrap_or("");
    stream.write_all(request.as_bytes()).unwrap();
}

fn read(mut stream: TcpStream) -> Reply {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

const TOKEN: Option<&str> = Some("demo-token-7");

fn every_route_answers_as_promised(bed: &Bed) {
    let (server, _place) = bed.fresh(&[]);
    let long = format!(r#"{{"body": "{}"}}"#, "x".repeat(501));
    let huge = format!(r#"{{"body": "{}"}}"#, "x".repeat(300_000));
    type Row<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>, u16);
    let rows: &[Row<'_>] = &[
        ("GET", "/health", None, None, 200),
        ("GET", "/health/ready", None, None, 200),
        ("GET", "/health/live", None, None, 200),
        ("GET", "/metrics", None, None, 200),
        ("GET", "/api/discovery/trending", None, None, 200),
        ("GET", "/api/discovery/trending?limit=5&page=2", None, None, 200),
        ("GET", "/api/discovery/trending?limit=51", None, None, 400),
        ("GET", "/api/discovery/trending?limit=many", None, None, 400),
        ("GET", "/api/stories", None, None, 200),
        ("GET", "/api/stories?genre=sea&page=1", None, None, 200),
        ("GET", "/api/stories?genre=tax", None, None, 400),
        ("GET", "/api/stories/story-12", None, None, 200),
        ("GET", "/api/stories/nowhere", None, None, 404),
        ("GET", "/api/stories/%00%ff", None, None, 400),
        ("GET", "/api/stories/mine", None, None, 401),
        ("GET", "/api/stories/mine", TOKEN, None, 200),
        ("POST", "/api/stories", None, Some(r#"{"title": "a", "body": "b"}"#), 401),
        ("POST", "/api/stories", TOKEN, Some(r#"{"title": "a", "body": "b"}"#), 201),
        ("POST", "/api/stories", TOKEN, Some(r#"{"title": "", "body": "b"}"#), 422),
        ("POST", "/api/stories", TOKEN, Some(r#"{"title": "a"}"#), 422),
        ("POST", "/api/stories", TOKEN, Some(r#"{"title": "#), 400),
        ("PATCH", "/api/stories/1", TOKEN, Some(r#"{"title": "stolen"}"#), 403),
        ("PATCH", "/api/stories/99999", TOKEN, Some(r#"{"title": "none"}"#), 404),
        ("GET", "/api/users/me", None, None, 401),
        ("GET", "/api/users/me", Some("demo-token-101"), None, 401),
        ("GET", "/api/users/me", Some("made-up"), None, 401),
        ("GET", "/api/users/me", TOKEN, None, 200),
        ("GET", "/api/users/writer-3", None, None, 200),
        ("GET", "/api/users/nobody", None, None, 404),
        ("GET", "/api/library/shelves", None, None, 401),
        ("GET", "/api/library/shelves", TOKEN, None, 200),
        ("POST", "/api/library/shelves", TOKEN, Some(r#"{"name": "new", "stories": ["story-1"]}"#), 201),
        ("POST", "/api/library/shelves", TOKEN, Some(r#"{"name": "new"}"#), 409),
        ("POST", "/api/library/shelves", TOKEN, Some(r#"{"name": "bad", "stories": ["x"]}"#), 422),
        ("GET", "/api/search/stories?q=lantern", None, None, 200),
        ("GET", "/api/search/stories", None, None, 400),
        ("GET", "/api/search/stories?q=%22%20OR%20*%20NEAR(", None, None, 200),
        ("GET", "/api/whispers", None, None, 200),
        ("POST", "/api/whispers", None, Some(r#"{"body": "hush"}"#), 401),
        ("POST", "/api/whispers", TOKEN, Some(r#"{"body": "hush"}"#), 201),
        ("POST", "/api/whispers", TOKEN, Some(&long), 422),
        ("POST", "/api/whispers", TOKEN, Some(&huge), 413),
        ("PATCH", "/api/whispers/201", TOKEN, Some(r#"{"body": "louder"}"#), 200),
        ("PATCH", "/api/whispers/1", Some("demo-token-99"), Some(r#"{"body": "louder"}"#), 403),
        ("PATCH", "/api/whispers/0", TOKEN, Some(r#"{"body": "louder"}"#), 404),
        ("POST", "/api/auth/login", None, Some(r#"{"handle": "writer-1", "password": "crucible"}"#), 200),
        ("POST", "/api/auth/login", None, Some(r#"{"handle": "writer-1", "password": "guess"}"#), 401),
        ("POST", "/api/auth/login", None, Some(r#"{"handle": "nobody", "password": "crucible"}"#), 401),
        ("GET", "/nowhere", None, None, 404),
        ("DELETE", "/api/stories", None, None, 405),
        ("BREW", "/health", None, None, 405),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(method, path, token, body, expected)| {
            let reply = server.ask(method, path, *token, *body);
            let text = format!("{method} {path}: {} instead of {expected}: {}", reply.status, reply.body);
            (reply.status != *expected).then_some(text)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn payloads_hold_what_plans_look_for(bed: &Bed) {
    let (server, _place) = bed.fresh(&[]);
    let feed = server.get("/api/discovery/trending").json();
    assert_eq!((feed["count"].as_u64(), feed["results"].as_array().map(Vec::len)), (Some(20), Some(20)));
    let scores: Vec<i64> = feed["results"].as_array().unwrap().iter().map(score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let slug = feed["results"][0]["slug"].as_str().unwrap();
    let story = server.get(&format!("/api/stories/{slug}")).json();
    assert_eq!(story["slug"], slug);
    assert!(story["body"].as_str().unwrap().len() > 300);
    let me = server.ask("GET", "/api/users/me", TOKEN, None).json();
    assert_eq!((&me["handle"], &me["shelves"]), (&json!("reader-7"), &json!(3)));
    let health = server.get("/health").json();
    for part in ["database", "cache", "disk"] {
        assert_eq!(health["checks"][part]["status"], "healthy", "{health}");
    }
    let refused = server.get("/api/users/me");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.json()["error"]["code"], "unauthorized");

    let login = json!({"username": "writer-2", "password": "crucible"}).to_string();
    let token = server.ask("POST", "/api/auth/login", None, Some(&login)).json()["token"].clone();
    let me = server.ask("GET", "/api/users/me", token.as_str(), None).json();
    assert_eq!(me["handle"], "writer-2");
}

fn score(story: &Value) -> i64 {
    story["reads"].as_i64().unwrap() + 20 * story["likes"].as_i64().unwrap()
}

fn writes_are_seen_by_the_next_read(bed: &Bed) {
    let (server, _place) = bed.fresh(&[]);
    let find = "/api/search/stories?q=xylophone";
    assert_eq!(server.get(find).json()["count"], 0);
    let story = json!({"title": "The xylophone", "body": "once"}).to_string();
    let made = server.ask("POST", "/api/stories", TOKEN, Some(&story)).json();
    assert_eq!((&made["slug"], &made["author"]), (&json!("story-301"), &json!("reader-7")));
    assert_eq!(server.get(find).json()["results"][0]["slug"], "story-301");
    let change = json!({"title": "The trombone"}).to_string();
    assert_eq!(server.ask("PATCH", "/api/stories/301", TOKEN, Some(&change)).status, 200);
    assert_eq!(server.get(find).json()["count"], 0);
    assert_eq!(server.get("/api/stories/story-301").json()["title"], "The trombone");
}

fn metrics_parse_and_add_up(bed: &Bed) {
    let (server, _place) = bed.fresh(&["readers=3"]);
    for _ in 0..3 {
        server.get("/api/stories/story-5");
    }
    server.get("/api/stories/a%22b%0Ac");
    let text = server.get("/metrics").body;
    let mut values = std::collections::BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(values.insert(name.to_owned(), value.parse::<f64>().unwrap()).is_none(), "{name} twice");
    }
    let labels = "{method=\"GET\",route=\"/api/stories/{story}\",status=\"200\"}";
    assert_eq!(values[&format!("http_requests_total{labels}")], 3.0);
    assert_eq!(values[&format!("http_request_duration_seconds_count{labels}")], 3.0);
    assert_eq!((values["cache_hits_total"], values["cache_misses_total"]), (2.0, 2.0));
    assert_eq!(values["db_pool_size{pool=\"reader\"}"], 3.0);
    assert_eq!(values["db_queries_total{pool=\"reader\"}"], 2.0);
    assert_eq!(values["http_requests_in_flight"], 1.0, "the one that asks");
}

fn the_limiter_refuses_with_headers_and_spares_health(bed: &Bed) {
    let (server, _place) = bed.fresh(&["limit=5/h"]);
    let replies: Vec<Reply> = (0..7).map(|_| server.ask("GET", "/api/users/me", TOKEN, None)).collect();
    let statuses: Vec<u16> = replies.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(replies[0].header("x-ratelimit-limit"), Some("5"));
    assert_eq!(replies[0].header("x-ratelimit-remaining"), Some("4"));
    let wait: u64 = replies[5].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait));
    assert_eq!(server.ask("GET", "/api/users/me", Some("demo-token-8"), None).status, 200);
    assert_eq!(server.get("/health").status, 200);
}

fn injected_errors_are_exactly_one_in_n(bed: &Bed) {
    let (server, _place) = bed.fresh(&["errors=1/10"]);
    let statuses: Vec<u16> = (0..50).map(|_| server.get("/api/stories/story-1").status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 500).count(), 5);
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 45);
}

fn a_signal_lets_requests_under_way_finish(bed: &Bed) {
    let (server, _place) = bed.fresh(&["service=fixed:700ms"]);
    let mut idle = server.connect();
    let mut busy = server.connect();
    send(&mut busy, "GET", "/api/stories/story-1", None, None);
    // an answer on another connection, asked for later, shows that the server has read the first request
    send(&mut idle, "GET", "/health/live", None, None);
    assert_eq!(read(idle).status, 200);
    while !server.get("/metrics").body.contains("http_requests_in_flight 2") {}
    server.signal(Signal::TERM);
    let reply = read(busy);
    assert_eq!((reply.status, reply.json()["slug"].clone()), (200, json!("story-1")));
    let address = server.address;
    assert!(server.wait().success());
    assert!(TcpStream::connect(address).is_err());
}

fn acknowledged_writes_survive_a_kill(bed: &Bed) {
    let place = bed.place();
    let server = place.start(&[]);
    let whisper = json!({"body": "remember me"}).to_string();
    let ids: Vec<Value> = (0..20)
        .map(|_| server.ask("POST", "/api/whispers", TOKEN, Some(&whisper)).json()["id"].clone())
        .collect();
    server.signal(Signal::KILL);
    assert!(!server.wait().success());
    let server = place.start(&[]);
    let listed = server.get("/api/whispers").json();
    let mut kept: Vec<Value> =
        listed["results"].as_array().unwrap().iter().map(|w| w["id"].clone()).collect();
    kept.reverse();
    assert_eq!(kept, ids);
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn what_cannot_start_says_why() {
    let run = |port, truth: &[&str], data: Option<PathBuf>| -> String {
        let truth = truth.iter().map(|t| (*t).to_owned()).collect();
        let announce = Box::new(|_: &crucible_ground::Announcement| panic!("must not start"));
        find("stories")
            .unwrap()
            .run(GroundOptions { port, data, truth, with: Vec::new(), announce })
            .unwrap_err()
    };
    assert!(run(0, &["speed=9"], None).contains("\"speed=9\" is not known"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(run(port, &[], None).contains(&format!("cannot listen on 127.0.0.1:{port}")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    assert!(run(0, &[], Some(file)).contains("cannot make the data folder"));
    std::fs::write(folder.path().join("stories.sqlite"), "not a database, but long enough to be looked at")
        .unwrap();
    assert!(run(0, &[], Some(folder.path().to_owned())).contains("cannot open the database"));
}

fn a_slot_is_kept_by_each_session(bed: &Bed) {
    let (server, _place) = bed.fresh(&["connections=2", "slot-per-session=on", "connection-wait=100ms"]);
    let login = json!({"handle": "writer-1", "password": "crucible"}).to_string();
    assert_eq!(server.ask("POST", "/api/auth/login", None, Some(&login)).status, 200);
    assert_eq!(server.get("/api/discovery/trending").status, 200);
    assert_eq!(server.ask("POST", "/api/auth/login", None, Some(&login)).status, 503);
    assert_eq!(server.get("/health/ready").status, 200);
}

/// What everybody is promised while the database is away.
fn degraded(server: &Server, stale: bool) {
    let check = |method: &str, path: &str, body: Option<&str>, expected: u16| {
        let reply = server.ask(method, path, TOKEN, body);
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.body);
        reply
    };
    check("GET", "/health/ready", None, 503);
    check("GET", "/health/live", None, 200);
    let health = check("GET", "/health", None, 503).json();
    assert_eq!(health["checks"]["database"]["status"], "unhealthy");
    assert_eq!(health["checks"]["disk"]["status"], "healthy");
    let feed = check("GET", "/api/discovery/trending", None, 200);
    assert_eq!(feed.json()["count"], 20);
    assert_eq!(feed.header("warning").is_some(), stale, "{}", feed.head);
    check("GET", "/api/stories/story-1", None, 200);
    check("GET", "/api/stories/story-2", None, 503);
    check("GET", "/api/users/me", None, 503);
    let refused = check("POST", "/api/whispers", Some(r#"{"body": "lost"}"#), 503);
    assert_eq!(refused.json()["error"]["code"], "database_gone");
}

fn ask_before(server: &Server) {
    for path in ["/api/discovery/trending", "/api/stories/story-1"] {
        assert_eq!(server.get(path).status, 200);
    }
}

fn as_before(server: &Server) {
    assert_eq!(server.get("/health/ready").status, 200);
    assert_eq!(server.get("/api/stories/story-2").status, 200);
    let made = server.ask("POST", "/api/whispers", TOKEN, Some(r#"{"body": "back"}"#));
    assert_eq!((made.status, made.json()["id"].clone()), (201, json!(201)), "{}", made.body);
    assert_eq!(server.get("/api/whispers").json()["results"][0]["body"], "back");
}

#[test]
fn embedded_without_the_database_what_was_read_is_served() {
    for (truth, stale) in [(&[][..], false), (&["cache=1ms"][..], true)] {
        let (server, place) = Bed::Embedded.fresh(truth);
        ask_before(&server);
        let (file, away) = (place.data.path().join("stories.sqlite"), place.data.path().join("away"));
        std::fs::rename(&file, &away).unwrap();
        degraded(&server, stale);
        std::fs::rename(&away, &file).unwrap();
        as_before(&server);
    }
}

fn without_the_database_what_was_read_is_served(services: &mut Services) {
    for (truth, stale) in [(&[][..], false), (&["cache=1ms"][..], true)] {
        let with = vec![
            format!("postgres={}", services.postgres.new_database()),
            format!("redis={}", services.redis.url()),
        ];
        services.redis.flush();
        let place = Place { data: tempfile::tempdir().unwrap(), with };
        let server = place.start(truth);
        ask_before(&server);
        services.postgres.stop();
        degraded(&server, stale);
        services.postgres.start();
        as_before(&server);
    }
}

fn without_the_cache_everything_works(bed: &Bed) {
    let Bed::Outside(services) = bed else { return };
    let (server, _place) = bed.fresh(&[]);
    let whisper = |text: &str| json!({"body": text}).to_string();
    let newest = || server.get("/api/whispers").json()["results"][0]["body"].clone();
    let hits = || -> u64 {
        let text = server.get("/metrics").body;
        let line = text.lines().find(|line| line.starts_with("cache_hits_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    newest();
    newest();
    assert_eq!(hits(), 1, "the second one comes from Redis");
    services.redis.freeze();
    assert_eq!(server.ask("POST", "/api/whispers", TOKEN, Some(&whisper("frozen"))).status, 201);
    assert_eq!(newest(), "frozen");
    assert_eq!(server.get("/health/ready").status, 200, "it works without");
    assert_eq!(server.get("/health").json()["checks"]["cache"]["status"], "unhealthy");
    services.redis.thaw();
    // what Redis kept from before the write is never served again
    while hits() == 1 {
        assert_eq!(newest(), "frozen");
    }
    assert_eq!(newest(), "frozen");
}

type Body = (&'static str, fn(&Bed));
const BODIES: &[Body] = &[
    ("every_route_answers_as_promised", every_route_answers_as_promised),
    ("payloads_hold_what_plans_look_for", payloads_hold_what_plans_look_for),
    ("writes_are_seen_by_the_next_read", writes_are_seen_by_the_next_read),
    ("metrics_parse_and_add_up", metrics_parse_and_add_up),
    (
        "the_limiter_refuses_with_headers_and_spares_health",
        the_limiter_refuses_with_headers_and_spares_health,
    ),
    ("injected_errors_are_exactly_one_in_n", injected_errors_are_exactly_one_in_n),
    ("a_signal_lets_requests_under_way_finish", a_signal_lets_requests_under_way_finish),
    ("acknowledged_writes_survive_a_kill", acknowledged_writes_survive_a_kill),
    ("a_slot_is_kept_by_each_session", a_slot_is_kept_by_each_session),
    ("without_the_cache_everything_works", without_the_cache_everything_works),
];

#[test]
fn the_same_on_postgresql_and_redis() {
    let Some(services) = Services::start() else { return };
    let bed = Bed::Outside(services);
    for (name, body) in BODIES {
        println!("on PostgreSQL and Redis: {name}");
        body(&bed);
    }
    let Bed::Outside(mut services) = bed else { return };
    println!("on PostgreSQL and Redis: without_the_database_what_was_read_is_served");
    without_the_database_what_was_read_is_served(&mut services);
}

#[test]
fn embedded_every_route_answers_as_promised() {
    every_route_answers_as_promised(&Bed::Embedded);
}

#[test]
fn embedded_payloads_hold_what_plans_look_for() {
    payloads_hold_what_plans_look_for(&Bed::Embedded);
}

#[test]
fn embedded_writes_are_seen_by_the_next_read() {
    writes_are_seen_by_the_next_read(&Bed::Embedded);
}

#[test]
fn embedded_metrics_parse_and_add_up() {
    metrics_parse_and_add_up(&Bed::Embedded);
}

#[test]
fn embedded_the_limiter_refuses_with_headers_and_spares_health() {
    the_limiter_refuses_with_headers_and_spares_health(&Bed::Embedded);
}

#[test]
fn embedded_injected_errors_are_exactly_one_in_n() {
    injected_errors_are_exactly_one_in_n(&Bed::Embedded);
}

#[test]
fn embedded_a_signal_lets_requests_under_way_finish() {
    a_signal_lets_requests_under_way_finish(&Bed::Embedded);
}

#[test]
fn embedded_acknowledged_writes_survive_a_kill() {
    acknowledged_writes_survive_a_kill(&Bed::Embedded);
}

#[test]
fn embedded_a_slot_is_kept_by_each_session() {
    a_slot_is_kept_by_each_session(&Bed::Embedded);
}

#[test]
fn a_limiter_can_lie_and_can_count_twice() {
    let (server, _place) = Bed::Embedded.fresh(&["limit=4/h", "limit-headers=lying:2", "limit-key=all"]);
    let replies: Vec<Reply> = (0..5).map(|_| server.get("/api/stories/story-1")).collect();
    let statuses: Vec<u16> = replies.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    assert_eq!(
        (replies[0].header("ratelimit-limit"), replies[0].header("x-ratelimit-remaining")),
        (Some("8"), Some("6"))
    );
    let number = |name| replies[4].header(name).unwrap().parse::<u64>().unwrap();
    assert!(number("retry-after") <= number("ratelimit-reset").div_ceil(2));

    let (server, _place) =
        Bed::Embedded.fresh(&["limit=9/h", "limiter-counts-twice=on", "limit-kind=sliding-log"]);
    let replies: Vec<Reply> = (0..6).map(|_| server.get("/api/stories/story-1")).collect();
    assert_eq!(replies.iter().filter(|r| r.status == 200).count(), 4, "half of nine");
    assert_eq!(replies[0].header("ratelimit-limit"), Some("9"));
}

#[test]
fn limits_are_kept_per_key() {
    let check = |key: &str, expected: [u16; 4]| {
        let key = format!("limit-key={key}");
        let (server, _place) = Bed::Embedded.fresh(&["limit=1/h", &key]);
        let login = json!({"handle": "reader-7", "password": "crucible"}).to_string();
        let second = server.ask("POST", "/api/auth/login", None, Some(&login));
        let statuses = [
            second.status,
            server.ask("GET", "/api/users/me", TOKEN, None).status,
            server.ask("GET", "/api/library/shelves", TOKEN, None).status,
            server.ask("GET", "/api/users/me", Some("demo-token-8"), None).status,
        ];
        assert_eq!(statuses, expected, "{key}");
    };
    check("user", [200, 200, 429, 200]);
    check("token", [200, 200, 429, 200]);
    check("address", [200, 429, 429, 429]);
    check("route", [200, 200, 200, 429]);
    check("all", [200, 429, 429, 429]);
}

#[test]
fn health_can_lie() {
    let (server, place) = Bed::Embedded.fresh(&["health-always-ok=on"]);
    std::fs::rename(place.data.path().join("stories.sqlite"), place.data.path().join("away")).unwrap();
    assert_eq!(server.get("/health/ready").status, 200);
    assert_eq!(server.get("/health").json()["status"], "ok");
    assert_eq!(server.get("/api/stories/story-1").status, 503);
}

#[test]
fn what_is_acknowledged_before_it_is_committed_is_lost_by_a_kill() {
    let place = Bed::Embedded.place();
    let server = place.start(&["ack-before-commit=10m"]);
    let whisper = json!({"body": "forget me"}).to_string();
    let statuses: Vec<u16> =
        (0..5).map(|_| server.ask("POST", "/api/whispers", TOKEN, Some(&whisper)).status).collect();
    assert_eq!(statuses, [201; 5]);
    server.signal(Signal::KILL);
    server.wait();
    let server = place.start(&[]);
    assert_eq!(server.get("/api/whispers").json()["results"][0]["id"], 200, "none of the five is there");

    // a clean end commits
    let place = Bed::Embedded.place();
    let server = place.start(&["ack-before-commit=10m"]);
    assert_eq!(server.ask("POST", "/api/whispers", TOKEN, Some(&whisper)).status, 201);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

#[test]
fn burdens_are_carried_and_counted() {
    let switches = [
        "leak=64KiB",
        "cpu=1ms",
        "lock=100us",
        "fsync=on",
        "downstream=fixed:1ms",
        "warm-up=2:1s",
        "pauses=1ms/20ms",
        "service=fixed:1ms",
        "connection-hold=1ms",
    ];
    let (server, _place) = Bed::Embedded.fresh(&switches);
    let whisper = json!({"body": "heavy"}).to_string();
    for _ in 0..10 {
        assert_eq!(server.ask("POST", "/api/whispers", TOKEN, Some(&whisper)).status, 201);
    }
    let metrics = server.get("/metrics").body;
    for line in ["leaked_bytes 655360", "connections_size 20", "connections_busy 0"] {
        assert!(metrics.lines().any(|l| l == line), "{line} not in\n{metrics}");
    }
    let count = "http_request_duration_seconds_bucket{method=\"POST\",route=\"/api/whispers\",status=\"201\",le=\"0.0025\"} 0";
    assert!(metrics.contains(count), "none can be quicker than what it carries\n{metrics}");
}
