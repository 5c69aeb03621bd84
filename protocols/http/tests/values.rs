//! What steps save and measure, and how values come into later requests.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, Seen, read};
use crucible_core::protocol::StepContext;
use crucible_core::{ErrorClass, MeasureKind, Outcome, Session, StepGrammar, StepId, StepSpec, Value};
use crucible_http::{HttpGrammar, HttpProtocol, HttpSettings};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A user of a plan and a server that gives these answers in turn, one connection after the other.
struct Story {
    rig: Rig,
    context: StepContext,
    specs: Vec<StepSpec>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Story {
    fn new(steps: &[serde_json::Value], answers: &[&str]) -> Story {
        Story::with(&json!({}), steps, answers)
    }

    fn with(settings: &serde_json::Value, steps: &[serde_json::Value], answers: &[&str]) -> Story {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("http://{}/base", listener.local_addr().unwrap());
        let context = StepContext { target: Some(target), ..StepContext::default() };
        let (settings, told) = read(settings, |fields| HttpGrammar.settings(fields, &context));
        assert_eq!(told, Vec::<String>::new());
        let mut settings = (*settings.downcast::<HttpSettings>().unwrap()).clone();
        settings.user_agent = String::new();
        let specs: Vec<StepSpec> = steps
            .iter()
            .map(|step| {
                let (spec, told) = read(step, |fields| HttpGrammar.step(fields, &context));
                assert_eq!(told, Vec::<String>::new(), "{step}");
                spec.unwrap()
            })
            .collect();
        let bodies = specs.iter().enumerate().map(|(id, spec)| (StepId(id as u16), spec.body.clone()));
        let protocol = HttpProtocol::from_specs(Arc::new(settings), bodies.collect()).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<String> = answers.iter().map(|answer| framed(answer)).collect();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || serve(&listener, &answers, &seen));
        Story { rig: Rig::of(&protocol), context, specs, requests }
    }

    fn call(&mut self, step: u16) -> Seen {
        self.rig.call(step)
    }

    fn variable(&mut self, name: &str) -> Value {
        let slot = self.context.symbols.define(name).unwrap();
        self.rig.scope.get(slot).clone()
    }

    fn set(&mut self, name: &str, value: Value) {
        let slot = self.context.symbols.define(name).unwrap();
        self.rig.scope.set(slot, value);
    }

    /// The last request, with its line ends simplified.
    fn last(&self) -> String {
        self.requests.lock().unwrap().last().unwrap().replace("\r\n", "\n")
    }
}

/// `STATUS\nHEADERS\n\nBODY` as an answer with its length.
fn framed(answer: &str) -> String {
    let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
    format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n\r\n{body}", head.replace('\n', "\r\n"), body.len())
}

fn serve(listener: &TcpListener, answers: &[String], seen: &Mutex<Vec<String>>) {
    let mut answers = answers.iter();
    while let Ok((mut stream, _)) = listener.accept() {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count) = stream.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("Content-Length: ").nth(1);
                let length = length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                if body.len() >= length {
                    seen.lock().unwrap().push(text);
                    bytes.clear();
                    let Some(answer) = answers.next() else { return };
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
            if count == 0 {
                break;
            }
        }
    }
}

const JSON: &str = r#"200 OK
ETag: "e1"
Location: /items/77?x=1
Set-Cookie: session=s3cr3t; Path=/
X-Backend: celery

{"csrf_token":"a\"b/ü","n":7,"ok":true,"none":null,"items":[{"id":3},{"id":5},{"id":8}],"deep":{"t":[1,{"x":"y"}]}}"#;

#[test]
fn values_are_found_where_the_plan_says() {
    let save = json!({"get": "/", "save": {
        "csrf": "json.csrf_token", "n": "json.n", "deep": "json.deep.t[1]", "firstid": "json.$.items[*].id",
        "ids": {"json": "$.items[*].id", "pick": "all"}, "count": {"json": "items", "pick": "count"},
        "lastitem": {"json": "items", "pick": "last"}, "list": "json.items", "nothing": "json.none",
        "location": "header.location", "id": {"header": "Location", "regex": "/items/(\\d+)"},
        "sid": "cookie.session", "code": "status", "bytes": "size", "whole": "body",
        "quoted": {"regex": "\"ok\":(?P<held>\\w+)", "group": "held"},
        "missing": {"json": "nowhere", "default": 4}, "absent": {"json": "nowhere", "optional": true},
        "none_found": {"json": "$.items[?@.id > 99].id", "pick": "count"},
    }});
    let mut story = Story::new(&[save], &[JSON]);
    let seen = story.call(0);
    assert_eq!(seen.outcome, Outcome::Ok, "{}", seen.detail);
    let mut check = |name: &str, expected: serde_json::Value| {
        assert_eq!(story.variable(name).to_json(), expected, "{name}");
    };
    check("csrf", json!("a\"b/ü"));
    check("n", json!(7));
    check("deep", json!({"x": "y"}));
    check("firstid", json!(3));
    check("ids", json!([3, 5, 8]));
    check("count", json!(3));
    check("lastitem", json!({"id": 8}));
    check("list", json!([{"id": 3}, {"id": 5}, {"id": 8}]));
    check("location", json!("/items/77?x=1"));
    check("id", json!("77"));
    check("sid", json!("s3cr3t"));
    check("code", json!(200));
    check("quoted", json!("true"));
    check("missing", json!(4));
    check("none_found", json!(0));
    check("bytes", json!(JSON.split_once("\n\n").unwrap().1.len()));
    assert_eq!(story.variable("nothing"), Value::Null);
    assert_eq!(story.variable("absent"), Value::Absent);
}

#[test]
fn a_value_that_is_not_there_fails_the_operation_by_name_and_leaves_nothing_behind() {
    let step = json!({"get": "/", "check": {"status": 200}, "save": {"id": "json.id"}});
    let next = json!({"get": "/items/${id}"});
    let answers =
        ["200 OK\n\n{\"id\":1}", "200 OK\n\n{\"x\":1}", "200 OK\n\nnot json", "500 X\n\n{\"id\":2}"];
    let mut story = Story::new(&[step, next], &answers);
    assert_eq!(story.specs[0].checks, ["status 200", "save id from json.id"]);
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.passed, seen.failed), (Outcome::Ok, 3, 0));
    assert_eq!(story.variable("id"), Value::Int(1));
    let seen = story.call(0);
    assert_eq!(
        (seen.outcome, seen.class, seen.passed, seen.failed),
        (Outcome::Failed, ErrorClass::Check, 1, 2)
    );
    assert_eq!(seen.detail, "status 200; did not hold: save id from json.id");
    assert_eq!(story.variable("id"), Value::Absent);
    let seen = story.call(1);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Value));
    assert!(seen.detail.contains("`id` has no value"), "{}", seen.detail);
    let seen = story.call(0);
    assert!(seen.detail.ends_with("(the body is not JSON)"), "{}", seen.detail);
    let seen = story.call(0);
    assert_eq!((seen.class, seen.failed), (ErrorClass::ServerError, 1), "nothing is taken from a bad answer");
}

#[test]
fn values_take_the_form_of_the_place_that_they_come_into() {
    let plain = json!({
        "put": "/a ${v}/x?q=${v}", "query": {"r": "${v}"}, "headers": {"X-V": "<${h}>"},
        "json": {"text": "is ${v}", "alone": "${v}", "number": "${n}", "list": "${l}", "t": true, "k${n}": null},
    });
    let form =
        json!({"post": "/", "form": {"a": "${v}"}, "auth": {"basic": {"user": "u", "password": "${v}"}}});
    let raw = json!({"post": "/", "body": "${v}", "auth": {"bearer": "${h}"}});
    let mut story = Story::new(&[plain, form, raw], &["200 OK", "200 OK", "200 OK"]);
    story.set("v", Value::text("\"a b\"&/\n${x}é"));
    story.set("h", Value::text("one line"));
    story.set("n", Value::Float(1.5));
    story.set("l", Value::from_json(&json!([1, "x", {"y": null}])));
    assert_eq!(story.call(0).outcome, Outcome::Ok);
    let sent = story.last();
    let value = "%22a%20b%22%26%2F%0A%24%7Bx%7D%C3%A9";
    assert!(sent.starts_with(&format!("PUT /base/a%20{value}/x?q={value}&r={value} HTTP/1.1\n")), "{sent}");
    assert!(sent.contains("\nX-V: <one line>\n"), "{sent}");
    let body: serde_json::Value = serde_json::from_str(sent.split_once("\n\n").unwrap().1).unwrap();
    let text = "\"a b\"&/\n${x}é";
    let expected = json!({"text": format!("is {text}"), "alone": text, "number": 1.5, "list": [1, "x", {"y": null}], "t": true, "k1.5": null});
    assert_eq!(body, expected);
    story.call(1);
    assert!(story.last().ends_with(&format!("\n\na={value}")), "{}", story.last());
    assert!(story.last().contains("Authorization: Basic dToiYSBiIiYvCiR7eH3DqQ==\n"), "{}", story.last());
    story.call(2);
    assert!(story.last().contains("Authorization: Bearer one line\n"), "{}", story.last());
    story.set("h", Value::text("x\r\nEvil: yes"));
    let seen = story.call(2);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Value), "no line end is smuggled");
    assert_eq!(seen.bytes_out, 0);
}

#[test]
fn a_link_that_an_answer_gave_can_be_followed() {
    let mut story = Story::new(&[json!({"get": "${next}"})], &["200 OK", "200 OK"]);
    story.set("next", Value::text("/items?page=2&q=a b#top"));
    assert_eq!(story.call(0).outcome, Outcome::Ok);
    assert!(story.last().starts_with("GET /items?page=2&q=a%20b HTTP/1.1\n"), "{}", story.last());
    let own = story.context.target.clone().unwrap();
    story.set("next", Value::text(&format!("{own}/x")));
    assert_eq!(story.call(0).outcome, Outcome::Ok);
    assert!(story.last().starts_with("GET /base/x HTTP/1.1\n"), "{}", story.last());
    for foreign in
        ["http://elsewhere.example/x", "//elsewhere.example/x", "items", "/x HTTP/1.1\r\nEvil: yes"]
    {
        story.set("next", Value::text(foreign));
        let seen = story.call(0);
        let smuggled = story.last().contains("Evil: yes");
        assert!(
            !smuggled && (seen.class == ErrorClass::Value || foreign.starts_with("/x")),
            "{foreign}: {seen:?}"
        );
    }
}

#[test]
fn a_relative_redirect_starts_from_the_path_that_was_sent() {
    let answers = ["302 Found\nLocation: next", "200 OK"];
    let mut story = Story::new(&[json!({"get": "/items/${vu}/first"})], &answers);
    assert_eq!(story.call(0).outcome, Outcome::Ok);
    assert!(story.last().starts_with("GET /base/items/3/next HTTP/1.1\n"), "{}", story.last());
}

#[test]
fn checks_compare_with_what_the_user_holds() {
    let step = json!({"get": "/", "check": {"json.id": "${id}", "header.x-n": {"lt": "${limit}"}}});
    let one = "200 OK\nX-N: 5\n\n{\"id\":7}";
    let mut story = Story::new(&[step], &[one; 5]);
    let expected = ["header.x-n < ${limit}", "json.id = ${id}"];
    assert_eq!(story.specs[0].checks, expected);
    let mut check = |id: Value, limit: Value, outcome: Outcome| {
        story.set("id", id);
        story.set("limit", limit);
        let seen = story.call(0);
        assert_eq!(seen.outcome, outcome, "{}", seen.detail);
    };
    check(Value::Int(7), Value::Int(6), Outcome::Ok);
    check(Value::text("7"), Value::text("5.5"), Outcome::Ok);
    check(Value::Int(8), Value::Int(6), Outcome::Failed);
    check(Value::Int(7), Value::Int(5), Outcome::Failed);
    check(Value::Absent, Value::Int(6), Outcome::Failed);
}

#[test]
fn conditions_are_looked_at_once_values_are_saved() {
    let step = json!({"get": "/", "check": {"that": "${ready}"}, "save": {"ready": "json.ready"}});
    let answers = ["200 OK\n\n{\"ready\":true}", "200 OK\n\n{\"ready\":false}"];
    let mut story = Story::new(&[step], &answers);
    assert_eq!(story.call(0).outcome, Outcome::Ok);
    let seen = story.call(0);
    assert_eq!(
        (seen.class, seen.detail.as_str()),
        (ErrorClass::Check, "status 200; did not hold: that ready")
    );
}

#[test]
fn measures_and_splits_are_fed_or_the_operation_fails() {
    let step = json!({
        "get": "/",
        "measure": {"a_length": "json.length", "b_db": {"from": "json.db", "kind": "gauge", "unit": "ms"},
            "c_ok": {"json": "ok", "kind": "rate"}},
        "split": {"name": "backend", "by": "header.X-Backend", "expect": {"celery": "50%", "legacy": "50%"}},
    });
    let answers = [
        "200 OK\nX-Backend: legacy\n\n{\"length\":3,\"db\":\"1.5\",\"ok\":false}",
        "200 OK\nX-Backend: third\n\n{\"length\":4,\"db\":2,\"ok\":1}",
        "200 OK\nX-Backend: celery\n\n{\"length\":\"many\",\"db\":2,\"ok\":1}",
        "200 OK\n\n{\"length\":1,\"db\":2,\"ok\":1}",
    ];
    let mut story = Story::new(&[step], &answers);
    let measures = &story.specs[0].measures;
    assert_eq!(measures[1].unit, "ms");
    let marks = vec![("celery".to_owned(), Some(0.5)), ("legacy".to_owned(), Some(0.5))];
    assert_eq!((&measures[3].name, &measures[3].kind), (&"backend".to_owned(), &MeasureKind::Tally(marks)));
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.measures), (Outcome::Ok, vec![(0, 3.0), (1, 1.5), (2, 0.0), (3, 1.0)]));
    assert_eq!(story.call(0).measures, [(0, 4.0), (1, 2.0), (2, 1.0), (3, 2.0)]);
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.measures.len()), (Outcome::Failed, 0));
    assert_eq!(seen.detail, "status 200; did not hold: measure a_length by json.length");
    let seen = story.call(0);
    assert_eq!(seen.detail, "status 200; did not hold: split backend by header.X-Backend");
}

#[test]
fn html_is_searched_with_selectors() {
    let page = "200 OK\n\n<html><body><form id=f class='a main'><p>Hi <b>all</b>!</p><br>\
        <input name=\"csrf\" value=\"t&amp;1\"><input name=other value=2></form><a href='/x'>one</a><a href='/y'>two</a>";
    let step = json!({"get": "/", "save": {
        "csrf": {"css": "input[name=csrf]", "attribute": "value"},
        "nested": {"css": "form#f.main > input[name^='oth']", "attribute": "value"},
        "text": {"css": "form p"},
        "links": {"css": "body a[href]", "attribute": "href", "pick": "all"},
        "outside": {"css": "p a", "optional": true},
        "by_regex": {"regex": "name=\"csrf\" value=\"([^\"]+)\""},
    }});
    let mut story = Story::new(&[step], &[page]);
    let seen = story.call(0);
    assert_eq!(seen.outcome, Outcome::Ok, "{}", seen.detail);
    assert_eq!(story.variable("csrf"), Value::text("t&1"));
    assert_eq!(story.variable("nested"), Value::text("2"));
    assert_eq!(story.variable("text"), Value::text("Hi all!"));
    assert_eq!(story.variable("links").to_json(), json!(["/x", "/y"]));
    assert_eq!(story.variable("outside"), Value::Absent);
    assert_eq!(story.variable("by_regex"), Value::text("t&amp;1"));
}

#[test]
fn digest_credentials_answer_a_challenge_and_keep_its_nonce() {
    let ask = |nonce: &str, more: &str| {
        format!(
            "401 No\nWWW-Authenticate: Digest realm=\"r\", qop=\"auth\", nonce=\"{nonce}\", algorithm=SHA-256{more}\n\nx"
        )
    };
    let (first, stale) = (ask("n1", ""), ask("n2", ", stale=true"));
    let answers =
        [first.as_str(), "200 OK", "200 OK", stale.as_str(), "200 OK", stale.as_str(), stale.as_str()];
    let step = json!({"post": "/p?x=${random(1, 1000000)}", "auth": {"digest": {"user": "u${vu}", "password": "p"}}, "body": "${uuid}"});
    let mut story = Story::new(&[step], &answers);
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.hops.as_slice()), (Outcome::Ok, &[401][..]), "{}", seen.detail);
    let sent = story.requests.lock().unwrap().clone();
    assert!(!sent[0].contains("Authorization") && sent[1].contains("username=\"u3\""), "{sent:?}");
    assert!(sent[1].contains("nc=00000001") && sent[1].contains("algorithm=SHA-256"), "{sent:?}");
    let (line, body) = (
        |text: &str| text.split(" HTTP").next().unwrap().to_owned(),
        |text: &str| text.split("\r\n\r\n").nth(1).unwrap().to_owned(),
    );
    assert_eq!((line(&sent[0]), body(&sent[0])), (line(&sent[1]), body(&sent[1])), "the same request again");
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.hops.len()), (Outcome::Ok, 0));
    assert!(
        story.last().contains("nonce=\"n1\"") && story.last().contains("nc=00000002"),
        "{}",
        story.last()
    );
    let seen = story.call(0);
    assert_eq!((seen.outcome, seen.hops.len()), (Outcome::Ok, 1));
    assert!(
        story.last().contains("nonce=\"n2\"") && story.last().contains("nc=00000001"),
        "{}",
        story.last()
    );
    let seen = story.call(0);
    assert_eq!(
        (seen.outcome, seen.class, seen.code),
        (Outcome::Failed, ErrorClass::ClientError, 401),
        "once only"
    );
}

#[test]
fn credentials_of_the_settings_go_to_the_target_only() {
    let settings = json!({"auth": {"basic": {"user": "u", "password": "p"}}});
    let steps = [
        json!({"get": "/"}),
        json!({"get": "/", "auth": "none"}),
        json!({"get": "/", "headers": {"Authorization": "own"}}),
    ];
    let mut story = Story::with(&settings, &steps, &["200 OK"; 3]);
    story.call(0);
    assert!(story.last().contains("Authorization: Basic dTpw\n"), "{}", story.last());
    story.call(1);
    assert!(!story.last().contains("Authorization"), "{}", story.last());
    story.call(2);
    assert!(
        story.last().contains("Authorization: own\n") && !story.last().contains("Basic"),
        "{}",
        story.last()
    );
}

#[test]
fn who_acts_beside_a_user_has_the_same_cookies() {
    let answers = ["200 OK\nSet-Cookie: s=1; Path=/", "200 OK"];
    let mut story = Story::new(&[json!({"get": "/"})], &answers);
    story.call(0);
    let mut other = Story::new(&[json!({"get": "/"})], &["200 OK"]);
    other.rig.session.join(&story.rig.session);
    other.call(0);
    // cookies know no ports (RFC 6265 8.5), so both servers are the same host
    assert!(other.last().contains("Cookie: s=1\n"), "{}", other.last());
}

#[test]
fn hostile_answers_end_in_an_outcome() {
    let deep = format!("200 OK\n\n{}", "[".repeat(200_000));
    let wide = format!("200 OK\n\n[{}1]", "1,".repeat(1_100_000));
    let nested = format!("200 OK\n\n{}", "<b><i>".repeat(200_000));
    let step = json!({"get": "/", "save": {"all": "json", "x": {"css": "b b b b i", "optional": true}}});
    let mut story = Story::new(&[step], &[&deep, &wide, &nested, "200 OK\n\n{\"a\":\"\u{fffd}\"}"]);
    for words in ["not JSON", "more than", "not JSON"] {
        let seen = story.call(0);
        assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Check), "{}", seen.detail);
        assert!(seen.detail.contains(words), "{}", seen.detail);
    }
    assert_eq!(story.call(0).outcome, Outcome::Ok);
}

#[test]
fn mistakes_are_told_with_their_remedies() {
    let step = json!({
        "get": "/",
        "auth": {"digest": {"password": "x"}},
        "save": {
            "vu": "json.id", "a": "jsno.id", "b": {"regex": "[^\\s\\S]"}, "c": {"regex": "("}, "d": {"css": "a:hover"},
            "e": {"json": "x", "header": "y"}, "f": {"json": "x", "pick": "frist"}, "g": {}, "h": {"regex": "(a)", "group": 2},
            "i": {"attribute": "value", "json": "x"}, "j": [1], "k": {"json": "a b[", "optinal": true}, "l": "header.",
        },
        "check": {"that": ["1 +", "always"], "json.x": "${1 +}", "body": {"matches": "[a&&b]", "gt": "many"}},
        "measure": {"m": "json.[", "n": {"from": "status", "kind": "avg"}, "o": {"that": "${x}", "kind": "trend"}},
        "split": [{"by": "status"}, {"name": "s", "expect": {"a": "60%", "b": "60%"}}, {"by": "status", "expect": {"a": "half"}}],
    });
    let context = StepContext { target: Some("http://h/".to_owned()), ..StepContext::default() };
    let (_, told) = read(&step, |fields| HttpGrammar.step(fields, &context));
    insta::assert_snapshot!(told.join("\n"));
}
