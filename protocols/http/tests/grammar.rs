//! What plans may say, what is sent then, and how mistakes are told.

#![allow(clippy::unwrap_used)]

mod common;

use common::read;
use crucible_core::protocol::StepContext;
use crucible_core::{StepGrammar, StepId};
use crucible_http::{HttpGrammar, HttpProtocol, HttpSettings, RequestSpec};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::Arc;

fn context(target: &str) -> StepContext {
    StepContext { target: Some(target.to_owned()), ..StepContext::default() }
}

/// The bytes that a step sends.
fn sent(step: &Value) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (spec, told) =
        read(step, |fields| HttpGrammar.step(fields, &context(&format!("http://{address}/base/"))));
    assert_eq!(told, Vec::<String>::new(), "{step}");
    let settings = HttpSettings { user_agent: String::new(), ..HttpSettings::default() };
    let body = spec.unwrap().body;
    let protocol = HttpProtocol::from_specs(Arc::new(settings), vec![(StepId(0), body)]).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .split("Content-Length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                if body.len() >= length {
                    stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").unwrap();
                    return text;
                }
            }
        }
    });
    run(&protocol);
    server.join().unwrap().replace(&address.to_string(), "HOST").replace("\r\n", "\n")
}

fn run(protocol: &HttpProtocol) {
    use crucible_core::{
        Call, Now, Ns, Probe, Protocol, Scope, Session, SessionContext, Share, VuId, Worker, WorkerContext,
    };
    struct Still;
    impl Now for Still {
        fn now(&self) -> Ns {
            Ns::ZERO
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
        let mut session = worker.session(SessionContext { vu: VuId(7), seed: 1 });
        let mut scope = Scope::new(VuId(7), 1);
        scope.iteration = 2;
        session.run(Call { step: StepId(0), scope: &mut scope }, &mut Probe::new(&Still)).await;
    });
}

#[test]
fn requests_are_sent_as_the_plan_says() {
    let get = json!({"get": "/items/${vu} x?a=1", "query": {"q": "b c&${iteration}", "t": [1, 2]}});
    insta::assert_snapshot!(sent(&get), @r"
    GET /base/items/7%20x?a=1&q=b%20c%262&t=1&t=2 HTTP/1.1
    Host: HOST
    Accept: */*
    ");
    let post = json!({"post": "/items", "headers": {"X-N": 5}, "json": {"list": [1, true, null], "name": "n-${vu}"}});
    insta::assert_snapshot!(sent(&post), @r#"
    POST /base/items HTTP/1.1
    Host: HOST
    X-N: 5
    Accept: */*
    Content-Type: application/json
    Content-Length: 35

    {"list":[1,true,null],"name":"n-7"}
    "#);
    let form = json!({"put": "/f", "form": {"a b": "c&d", "n": 1}, "auth": {"basic": {"user": "u", "password": "p"}}});
    insta::assert_snapshot!(sent(&form), @r"
    PUT /base/f HTTP/1.1
    Host: HOST
    Authorization: Basic dTpw
    Accept: */*
    Content-Type: application/x-www-form-urlencoded
    Content-Length: 15

    a%20b=c%26d&n=1
    ");
    let any = json!({"request": {"method": "PURGE", "url": "/c"}, "body": "text", "content_type": "text/x"});
    insta::assert_snapshot!(sent(&any), @r"
    PURGE /base/c HTTP/1.1
    Host: HOST
    Accept: */*
    Content-Type: text/x
    Content-Length: 4

    text
    ");
    insta::assert_snapshot!(sent(&json!({"post": ""})), @r"
    POST /base HTTP/1.1
    Host: HOST
    Accept: */*
    Content-Length: 0
    ");
    let parts = sent(&json!({"post": "/", "multipart": {"a": "x", "f": {"text": "y", "name": "n.txt"}}}));
    assert!(parts.contains("form-data; name=\"a\"\n\nx\n--"), "{parts}");
    assert!(parts.contains("name=\"f\"; filename=\"n.txt\"\n\ny\n--"), "{parts}");
}

#[test]
fn checks_have_names_in_order() {
    let step = json!({"get": "/", "check": {
        "status": [200, "3xx", "410-412"],
        "header.etag": {"exists": true},
        "body": {"contains": "a", "matches": "b+"},
        "json.items[0].id": {"gt": 1, "lt": 9},
        "json.state": ["done", "failed"],
        "json": {"ok": true},
        "size": {"max": "10KB"},
        "latency": "< 300ms",
    }});
    let (spec, told) = read(&step, |fields| HttpGrammar.step(fields, &context("http://h/")));
    assert_eq!(told, Vec::<String>::new());
    let mut names = spec.unwrap().checks;
    names.sort();
    assert_eq!(
        names,
        [
            "body contains \"a\"",
            "body matches /b+/",
            "header.etag exists",
            "json.items[0].id < 9",
            "json.items[0].id > 1",
            "json.ok = true",
            "json.state in [\"done\", \"failed\"]",
            "latency < 300ms",
            "size <= 10000",
            "status 200 or 3xx or 410-412",
        ]
    );
}

#[test]
fn every_mistake_in_a_step_is_told_with_its_remedy() {
    let step = json!({
        "get": "items",
        "post": "/twice",
        "headers": {"bad name": "x", "x": "a\nb", "content-length": 3},
        "query": {"q": "${non + }"},
        "body": "x",
        "json": {},
        "check": {"statsu": 200, "status": "2yy", "json.[": 1, "body": {"contians": "x"}, "latency": "300", "size": "big"},
        "timeout": "5",
        "jsno": 1,
    });
    let (spec, told) = read(&step, |fields| HttpGrammar.step(fields, &context("http://h/")));
    assert!(spec.is_none());
    insta::assert_snapshot!(told.join("\n"), @r#"
    check.body.contians: this test of `body` cannot be read (did you mean `contains`?)
    check.json.[: "[" cannot be read as a path ("[" is not a JSON path: at position 1, parser error)
    check.latency: "300" is not a time limit (write `latency: < 300ms`; add a unit: 300ms, 300s or 300m)
    check.size: this is not a size (write bytes with an optional unit (B, KB, KiB, MB, MiB, GB, GiB), as in 64KiB)
    check.statsu: unknown check `statsu` (did you mean `status`?)
    check.status: "2yy" is not a status (write a status as 200, 2xx or 200-299)
    get: "items" is not a path (did you mean `/items`?)
    headers.bad name: "bad name" is not a header name ()
    headers.content-length: the header content-length follows from the body and cannot be set ()
    headers.x: a header value holds a line end (write it on one line)
    jsno: unknown key `jsno` (did you mean `json`?)
    json: a request has one body (keep one of body, json)
    post: a step makes one request (make it a step of its own)
    query.q: "${non + }" cannot be read here (`${non +}` is neither a plain name nor a known value)
    timeout: "5" cannot be read here (add a unit: 5ms, 5s or 5m)
    "#);
}

#[test]
fn addresses_that_cannot_be_requested_are_told() {
    let check = |step: Value, target: Option<&str>, words: &str| {
        let context = StepContext { target: target.map(str::to_owned), ..StepContext::default() };
        let (_, told) = read(&step, |fields| HttpGrammar.step(fields, &context));
        assert!(told.iter().any(|text| text.contains(words)), "{step}: {told:?}");
    };
    check(json!({"get": "/x"}), None, "no target");
    check(json!({"get": "http://${vu}.example/"}), None, "host cannot differ");
    check(json!({"get": "ftp://h/"}), None, "not http");
    check(json!({"get": "http://u:p@h/"}), None, "credentials");
    check(json!({"get": "http:///x"}), None, "cannot be requested");
    check(json!({"request": {"method": "A B", "url": "/"}}), Some("http://h"), "not a method");
    check(json!({"get": "/", "file": "nowhere.bin", "x": 1}), Some("http://h"), "nowhere.bin cannot be read");
}

#[test]
fn settings_are_read_and_mistakes_told() {
    let good = json!({
        "headers": {"X-A": "b"},
        "tls": {"verify": false},
        "timeout": "5s",
        "timeouts": {"connect": "1s"},
        "http": {"keep_alive": false, "pool": "shared", "redirects": 0, "cookies": "keep", "max_body": "1MiB",
            "local_addresses": ["127.0.0.2"], "resolve": {"h": "127.0.0.1"},
            "dns": {"policy": "prefer_ipv4", "select": "round_robin", "ttl": "5s"}},
    });
    let (settings, told) = read(&good, |fields| HttpGrammar.settings(fields, &StepContext::default()));
    assert_eq!(told.len(), 1, "only the warning: {told:?}");
    assert_eq!(HttpGrammar.remarks(&*settings).len(), 1);
    let settings = settings.downcast::<HttpSettings>().unwrap();
    assert_eq!(settings.timeouts.total, crucible_core::Ns::from_secs(5));
    assert_eq!(settings.timeouts.connect, Some(crucible_core::Ns::from_secs(1)));
    assert_eq!((settings.keep_alive, settings.redirects, settings.max_body), (false, 0, 1 << 20));
    let bad = json!({
        "tls": {"ca": "nowhere.pem", "cert": "nowhere.pem", "verfy": true},
        "http": {"pool": "none", "local_addresses": ["x"], "cookies": "maybe", "dns": {"policy": "ipv5"}, "keepalive": true},
        "timeouts": {"conect": "1s"},
    });
    let (_, told) = read(&bad, |fields| HttpGrammar.settings(fields, &StepContext::default()));
    insta::assert_snapshot!(told.join("\n"), @r#"
    http.cookies: this is not a way to treat cookies (write true, false or keep)
    http.dns.policy: "ipv5" cannot be read here (did you mean `ipv4`?)
    http.keepalive: unknown key `keepalive` (did you mean `keep_alive`?)
    http.local_addresses: this is not an address (write addresses of this machine, as in [10.0.0.5])
    http.pool: "none" cannot be read here (known here: shared, vu)
    timeouts.conect: unknown key `conect` (did you mean `connect`?)
    tls.ca: nowhere.pem cannot be read: No such file or directory (os error 2) (names of files are relative to the plan's folder)
    tls.cert: `cert` needs `key` beside it (add `key: FILE.pem`)
    tls.cert: nowhere.pem cannot be read: No such file or directory (os error 2) (names of files are relative to the plan's folder)
    tls.verfy: unknown key `verfy` (did you mean `verify`?)
    "#);
}

#[test]
fn requests_from_the_command_line() {
    let check = |method: &str, url: &str, words: &str| {
        let error = RequestSpec::new(method, url).err().unwrap_or_default();
        assert!(error.contains(words) && error.is_empty() == words.is_empty(), "{url}: {error}");
    };
    check("GET", "http://localhost:8080/x?y=${z}", "");
    check("GET", "localhost:8080/x", "http://localhost:8080/x");
    check("GET", "/x", "whole URL");
    check("GET", "ftp://x", "not http");
    check("G T", "http://x", "method");
    let bad = RequestSpec::new("GET", "http://x/").unwrap().header("a", "b\r\nc: d");
    let error = HttpProtocol::new(&HttpSettings::default(), vec![(StepId(0), Arc::new(bad))]).err().unwrap();
    assert!(error.contains("line end"), "{error}");
}
