//! The classroom over real TLS sockets, as a real child process.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crucible_ground::{GroundOptions, find};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Not a test of its own: the server process of the others. Its options come by standard input.
#[test]
#[ignore = "the server process that the other tests start"]
fn child() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let Ok(options) = serde_json::from_str::<Value>(&line) else { return };
    let truth: Vec<String> = serde_json::from_value(options["truth"].clone()).unwrap();
    let announce = Box::new(|a: &crucible_ground::Announcement| {
        println!("\nannounce {} {}", a.address, a.ca.as_ref().unwrap().display());
        assert!(a.url.starts_with("https://127.0.0.1:"));
    });
    let data = Some(PathBuf::from(options["data"].as_str().unwrap()));
    let options = GroundOptions { port: 0, data, truth, with: Vec::new(), announce };
    find("classroom").unwrap().run(options).unwrap();
}

struct Server {
    child: Child,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Server {
    fn start(data: &Path, truth: &[&str]) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", json!({"data": data, "truth": truth})).unwrap();
        let line = BufReader::new(child.stdout.as_mut().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("announce ").map(str::to_owned))
            .expect("the server must announce itself");
        let (address, ca) = line.split_once(' ').unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        Server { child, address: address.parse().unwrap(), tls: trusting(roots) }
    }

    fn fresh(truth: &[&str]) -> (Server, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        (Server::start(data.path(), truth), data)
    }

    fn connect(&self, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), name).unwrap(), stream)
    }

    fn ask(&self, method: &str, path: &str, who: Option<&Session>, body: Option<&Value>) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: ground\r\nConnection: close\r\n");
        if let Some(session) = who {
            request += &format!("Cookie: other=1; session={}\r\n", session.cookie);
            if let Some(csrf) = &session.csrf {
                request += &format!("X-CSRF-Token: {csrf}\r\n");
            }
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = self.connect("localhost");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = Vec::new();
        // the end without a word is fine once the answer is whole
        let _ = stream.read_to_end(&mut text);
        Reply::read(&String::from_utf8(text).unwrap())
    }

    fn try_login(&self, username: &str, password: &str) -> Reply {
        let body = json!({"username": username, "password": password});
        self.ask("POST", "/api/auth/login", None, Some(&body))
    }

    fn login(&self, username: &str) -> Session {
        let reply = self.try_login(username, "crucible");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let cookie = reply.header("set-cookie").unwrap();
        let cookie = cookie.split(';').next().unwrap().strip_prefix("session=").unwrap().to_owned();
        let mut session = Session { cookie, csrf: None };
        let me = self.ask("GET", "/api/auth/me", Some(&session), None).json();
        session.csrf = Some(me["csrf_token"].as_str().unwrap().to_owned());
        session
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

struct Session {
    cookie: String,
    csrf: Option<String>,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        Reply { status: head[9..12].parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {}", self.head)).parse().unwrap()
    }
}

#[test]
fn every_route_answers_as_promised() {
    let (server, _data) = Server::fresh(&[]);
    let (pupil, teacher, admin) =
        (server.login("pupil-1"), server.login("teacher-1"), server.login("Admin-1"));
    let forged = Session { cookie: pupil.cookie.clone(), csrf: Some("forged".into()) };
    let bare = Session { cookie: pupil.cookie.clone(), csrf: None };
    let nobody = Session { cookie: "0".repeat(32), csrf: None };
    let save = json!({"state": {"step": 3}});
    let run = json!({"lesson_id": "lesson-1", "activity_id": "a1", "code": "print(6 * 7)", "files": []});
    let mark = json!({"username": "pupil-1", "lesson_id": "lesson-1", "activity_id": "a1", "mark": "good"});
    let new = json!({"username": "new-1", "password": "long enough", "role": "pupil"});
    let state = "/api/activity/state/lesson-1/a1";
    let huge = json!({"state": "x".repeat(600_000)});
    type Row<'a> = (&'a str, &'a str, Option<&'a Session>, Option<Value>, u16);
    let rows: Vec<Row<'_>> = vec![
        ("GET", "/api/health", None, None, 200),
        ("GET", "/metrics", None, None, 200),
        ("GET", "/", None, None, 200),
        ("GET", "/admin-metrics.html", None, None, 200),
        ("GET", "/lessons/manifest.json", None, None, 200),
        ("GET", "/lessons/lesson-3", None, None, 200),
        ("GET", "/lessons/lesson-13", None, None, 404),
        ("POST", "/api/auth/login", None, Some(json!({"username": "pupil-2"})), 400),
        ("GET", "/api/auth/login", None, None, 405),
        ("GET", "/api/auth/me", None, None, 401),
        ("GET", "/api/auth/me", Some(&nobody), None, 401),
        ("GET", "/api/auth/me", Some(&bare), None, 200),
        ("GET", state, None, None, 401),
        ("GET", state, Some(&pupil), None, 200),
        ("GET", "/api/activity/state/lesson-0/a1", Some(&pupil), None, 400),
        ("GET", "/api/activity/state/lesson-01/a1", Some(&pupil), None, 400),
        ("GET", "/api/activity/state/lesson-1/b1", Some(&pupil), None, 400),
        ("POST", state, None, Some(save.clone()), 401),
        ("POST", state, Some(&bare), Some(save.clone()), 403),
        ("POST", state, Some(&forged), Some(save.clone()), 403),
        ("POST", state, Some(&pupil), Some(save.clone()), 200),
        ("POST", state, Some(&pupil), Some(json!({})), 400),
        ("POST", state, Some(&pupil), Some(huge), 413),
        ("GET", "/api/activity/state/lesson-1/a1/revisions", Some(&pupil), None, 200),
        ("POST", "/api/python/run", None, Some(run.clone()), 401),
        ("POST", "/api/python/run", Some(&bare), Some(run.clone()), 403),
        ("POST", "/api/python/run", Some(&pupil), Some(run), 200),
        ("POST", "/api/python/run", Some(&pupil), Some(json!({"code": 7})), 400),
        ("POST", "/api/python/run", Some(&pupil), Some(json!({"code": "", "lesson_id": "x"})), 400),
        ("GET", "/api/teacher/users", Some(&pupil), None, 403),
        ("GET", "/api/teacher/users", Some(&teacher), None, 200),
        ("GET", "/api/teacher/overview", Some(&teacher), None, 200),
        ("GET", "/api/teacher/stats", Some(&teacher), None, 200),
        ("GET", "/api/teacher/attention", Some(&admin), None, 200),
        ("GET", "/api/teacher/pupil/pupil-1/lesson/lesson-1", Some(&teacher), None, 200),
        ("GET", "/api/teacher/pupil/nobody/lesson/lesson-1", Some(&teacher), None, 404),
        ("GET", "/api/teacher/pupil/pupil-1/lesson/lesson-99", Some(&teacher), None, 400),
        ("POST", "/api/teacher/mark", Some(&pupil), Some(mark.clone()), 403),
        ("POST", "/api/teacher/mark", Some(&teacher), Some(mark.clone()), 200),
        ("POST", "/api/teacher/mark", Some(&teacher), Some(json!({"username": "x"})), 400),
        ("GET", "/api/admin/users", Some(&teacher), None, 403),
        ("GET", "/api/admin/users?limit=5&offset=2", Some(&admin), None, 200),
        ("GET", "/api/admin/users?limit=500", Some(&admin), None, 400),
        ("POST", "/api/admin/users", Some(&admin), Some(new.clone()), 201),
        ("POST", "/api/admin/users", Some(&admin), Some(new), 409),
        ("GET", "/api/admin/users/214", Some(&admin), None, 200),
        ("PATCH", "/api/admin/users/214", Some(&admin), Some(json!({"active": false})), 200),
        ("DELETE", "/api/admin/users/214", Some(&admin), None, 200),
        ("DELETE", "/api/admin/users/214", Some(&admin), None, 404),
        ("GET", "/api/admin/audit", Some(&admin), None, 200),
        ("GET", "/api/admin/metrics", Some(&admin), None, 200),
        ("GET", "/api/metrics", Some(&pupil), None, 403),
        ("GET", "/nowhere", None, None, 404),
        ("POST", "/api/auth/logout", Some(&teacher), None, 200),
        ("GET", "/api/auth/me", Some(&teacher), None, 401),
    ];
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(method, path, who, body, expected)| {
            let reply = server.ask(method, path, *who, body.as_ref());
            let text = format!("{method} {path}: {} instead of {expected}: {}", reply.status, reply.body);
            (reply.status != *expected).then_some(text)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_certificate_holds_for_its_names_and_its_authority_only() {
    let (server, data) = Server::fresh(&[]);
    let handshake = |tls: &Arc<ClientConfig>, name: &str| -> Result<(), String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut tls = ClientConnection::new(Arc::clone(tls), name).unwrap();
        tls.complete_io(&mut stream).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(handshake(&server.tls, "localhost"), Ok(()));
    assert_eq!(handshake(&server.tls, "127.0.0.1"), Ok(()));
    assert!(handshake(&server.tls, "example.org").unwrap_err().contains("not valid for name"));
    let strangers = trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    assert!(handshake(&strangers, "localhost").unwrap_err().contains("UnknownIssuer"));
    // a plain request is no handshake, and one that never speaks holds up nobody
    let _silent = TcpStream::connect(server.address).unwrap();
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(server.ask("GET", "/api/health", None, None).status, 200);
    use std::os::unix::fs::PermissionsExt;
    let key = std::fs::metadata(data.path().join("server.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_foreign_sites() {
    let (server, _data) = Server::fresh(&[]);
    let reply = server.try_login("pupil-9", "crucible");
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(part), "{part} not in {cookie}");
    }
    assert_eq!(reply.json()["user"]["role"], "pupil");
    let (one, other) = (server.login("pupil-9"), server.login("pupil-10"));
    assert_ne!(one.csrf, other.csrf);
    let mixed = Session { cookie: one.cookie.clone(), csrf: other.csrf.clone() };
    let save = json!({"state": 1});
    let path = "/api/activity/state/lesson-1/a1";
    assert_eq!(server.ask("POST", path, Some(&mixed), Some(&save)).status, 403, "somebody else's token");
    assert_eq!(server.ask("POST", path, Some(&one), Some(&save)).status, 200);
    let out = server.ask("POST", "/api/auth/logout", Some(&one), None);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn the_sixth_wrong_password_is_refused_with_the_time_to_wait() {
    let (server, _data) = Server::fresh(&[]);
    let replies: Vec<Reply> = (0..8).map(|_| server.try_login("pupil-5", "guess")).collect();
    let statuses: Vec<u16> = replies.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert!((1..=30).contains(&replies[5].number("retry-after")));
    let right = server.try_login("pupil-5", "crucible");
    assert_eq!((right.status, right.header("set-cookie")), (429, None), "the right one is not looked at");
    assert_eq!(server.try_login("PUPIL-5", "crucible").status, 429, "another spelling is the same account");
    assert_eq!(server.try_login("pupil-6", "crucible").status, 200, "others are not locked");
    let metrics = server.ask("GET", "/metrics", None, None).body;
    assert!(metrics.contains("login_failures_total 5\n") && metrics.contains("login_locked_total 5\n"));
}

#[test]
fn wrong_passwords_at_the_same_time_are_no_way_around() {
    let (server, _data) = Server::fresh(&[]);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..16).map(|_| scope.spawn(|| server.try_login("pupil-7", "guess").status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 401).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 429).count(), 11, "{statuses:?}");
}

#[test]
fn sixty_saves_a_minute_and_the_headers_say_so() {
    let (server, _data) = Server::fresh(&[]);
    let pupil = server.login("pupil-3");
    let save = |session: &Session, n: u32| {
        server.ask("POST", "/api/activity/state/lesson-2/a3", Some(session), Some(&json!({"state": n})))
    };
    let replies: Vec<Reply> = (0..62).map(|n| save(&pupil, n)).collect();
    let passed = replies.iter().take_while(|r| r.status == 200).count();
    assert_eq!((passed, replies[60].status, replies[61].status), (60, 429, 429));
    assert_eq!(replies[0].number("ratelimit-limit"), 60);
    assert_eq!(replies[0].number("x-ratelimit-remaining"), 59);
    assert_eq!(replies[59].number("ratelimit-remaining"), 0);
    assert_eq!(replies[60].header("ratelimit-policy"), Some("60;w=60"));
    assert!((1..=60).contains(&replies[60].number("retry-after")));
    assert_eq!(save(&server.login("pupil-3"), 1).status, 429, "a second session is the same user");
    assert_eq!(save(&server.login("pupil-4"), 1).status, 200);
    let state = server.ask("GET", "/api/activity/state/lesson-2/a3", Some(&pupil), None).json();
    assert_eq!(state["state"], 59);
    let history = server.ask("GET", "/api/activity/state/lesson-2/a3/revisions", Some(&pupil), None).json();
    assert_eq!((&history["count"], &history["revisions"][0]["state"]), (&json!(60), &json!(59)));
}

#[test]
fn programs_really_run_and_really_end() {
    let (server, _data) = Server::fresh(&["user-limits=off"]);
    let pupil = server.login("pupil-1");
    let run = |code: &str, files: Value| {
        let body = json!({"lesson_id": "lesson-1", "activity_id": "a2", "code": code, "files": files});
        server.ask("POST", "/api/python/run", Some(&pupil), Some(&body)).json()
    };
    let sum = run(
        "print(sum(map(int, open('in.txt'))))\nopen('out.txt', 'w').write('done')",
        json!([{"name": "in.txt", "content": "1\n2\n39\n"}]),
    );
    assert_eq!(
        (&sum["ok"], &sum["stdout"], &sum["exit_code"]),
        (&json!(true), &json!("42\n"), &json!(0)),
        "{sum}"
    );
    assert!(
        sum["files"].as_array().unwrap().contains(&json!({"name": "out.txt", "content": "done"})),
        "{sum}"
    );
    let broken = run("print(1/0)", json!([]));
    assert_eq!((&broken["ok"], &broken["timed_out"]), (&json!(false), &json!(false)));
    assert!(broken["stderr"].as_str().unwrap().contains("ZeroDivisionError"));
    let endless = run("while True: pass", json!([]));
    assert_eq!((&endless["timed_out"], &endless["end"]), (&json!(true), &json!("time")));
    let greedy = run("x = bytearray(2 << 30)", json!([]));
    assert_eq!((&greedy["ok"], &greedy["timed_out"]), (&json!(false), &json!(false)), "{greedy}");
    let secret = run("print(open('/etc/passwd').read())", json!([]));
    assert_eq!((&secret["ok"], &secret["stdout"]), (&json!(false), &json!("")));
}

#[test]
fn teachers_mark_what_pupils_did_and_the_audit_knows() {
    let (server, _data) = Server::fresh(&[]);
    let (pupil, teacher, admin) =
        (server.login("pupil-8"), server.login("teacher-2"), server.login("admin-1"));
    let save = json!({"state": {"answer": 42}});
    server.ask("POST", "/api/activity/state/lesson-4/a5", Some(&pupil), Some(&save));
    let attention =
        || server.ask("GET", "/api/teacher/attention", Some(&teacher), None).json()["pupils"][0].clone();
    assert_eq!(
        (&attention()["username"], &attention()["reason"]),
        (&json!("pupil-8"), &json!("unmarked work"))
    );
    let mark =
        json!({"username": "pupil-8", "lesson_id": "lesson-4", "activity_id": "a5", "status": "great"});
    assert_eq!(server.ask("POST", "/api/teacher/mark", Some(&teacher), Some(&mark)).status, 200);
    let lesson = server.ask("GET", "/api/teacher/pupil/pupil-8/lesson/lesson-4", Some(&teacher), None).json();
    let row = &lesson["activities"][0];
    assert_eq!(
        (&row["activity_id"], &row["mark"], &row["state"]["answer"]),
        (&json!("a5"), &json!("great"), &json!(42))
    );
    assert_eq!(attention()["reason"], "nothing begun");
    let audit = server.ask("GET", "/api/admin/audit", Some(&admin), None).json();
    let newest = &audit["entries"][0];
    assert_eq!((&newest["actor"], &newest["action"]), (&json!("teacher-2"), &json!("mark")));
}

#[test]
fn what_was_saved_survives_a_kill_and_so_does_the_certificate() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), &[]);
    let pupil = server.login("pupil-1");
    let path = "/api/activity/state/lesson-1/a1";
    let id =
        server.ask("POST", path, Some(&pupil), Some(&json!({"state": "kept"}))).json()["revision_id"].clone();
    kill_process(Pid::from_child(&server.child), Signal::KILL).unwrap();
    server.child.wait().unwrap();
    let ca = std::fs::read(data.path().join("ca.pem")).unwrap();
    let again = Server::start(data.path(), &[]);
    assert_eq!(std::fs::read(data.path().join("ca.pem")).unwrap(), ca);
    let state = again.ask("GET", path, Some(&pupil), None).json();
    assert_eq!((&state["state"], &state["revision_id"]), (&json!("kept"), &id), "the session lives on, too");
}

#[test]
fn a_slot_per_session_starves_every_route() {
    let (server, _data) = Server::fresh(&["connections=2", "slot-per-session=on", "connection-wait=200ms"]);
    let first = server.try_login("pupil-1", "crucible");
    assert_eq!(first.status, 200);
    // one connection is left, which each request takes and gives back
    assert_eq!(server.ask("GET", "/lessons/manifest.json", None, None).status, 200);
    // a second session takes a connection while its own login holds the other one
    assert_eq!(server.try_login("pupil-2", "crucible").status, 503);
    assert_eq!(server.ask("GET", "/api/health", None, None).status, 200);
}

#[test]
fn a_write_can_be_stored_and_answered_500() {
    let (server, _data) = Server::fresh(&["stored-but-500=1/5", "limiter-counts-twice=on"]);
    let pupil = server.login("pupil-1");
    let path = "/api/activity/state/lesson-1/a1";
    let statuses: Vec<u16> =
        (0..32).map(|n| server.ask("POST", path, Some(&pupil), Some(&json!({"state": n}))).status).collect();
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!(count(429), 2, "30 of the 60 that the headers promise: {statuses:?}");
    let history = server.ask("GET", &format!("{path}/revisions"), Some(&pupil), None).json();
    assert_eq!((count(200) + count(500), &history["count"]), (30, &json!(30)));
    assert!((5..=7).contains(&count(500)), "{statuses:?}");
}

#[test]
fn a_signal_ends_it() {
    let (mut server, _data) = Server::fresh(&[]);
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    assert!(server.child.wait().unwrap().success());
}
