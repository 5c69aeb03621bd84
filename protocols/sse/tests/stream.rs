//! Streams over real sockets: what a plan can wait for, and servers that do not mean well.

#![allow(clippy::unwrap_used)]

use crucible_core::protocol::StepContext;
use crucible_core::{
    Call, Diagnostics, ErrorClass, Fields, Map, Node, NodeKind, Now, Outcome, Position, Probe, Protocol,
    Scope, Session, SessionContext, Share, StepGrammar, StepId, VuId, Worker, WorkerContext,
};
use crucible_http::HttpSettings;
use crucible_sse::{SseGrammar, SseProtocol};
use crucible_testkit::WallClock;
use crucible_testkit::servers::{Action, ScriptServer};
use std::time::Duration;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n";

enum Word<'w> {
    Text(&'w str),
    Count(i64),
    Table(&'w [(&'w str, Word<'w>)]),
    Yes,
}

fn node(word: &Word<'_>) -> Node {
    let kind = match word {
        Word::Text(text) => NodeKind::Text((*text).to_owned()),
        Word::Count(count) => NodeKind::Int(*count),
        Word::Yes => NodeKind::Bool(true),
        Word::Table(entries) => NodeKind::Map(Map {
            entries: entries.iter().map(|(k, v)| ((*k).to_owned(), Position::default(), node(v))).collect(),
        }),
    };
    Node { at: Position::default(), kind }
}

/// Outcome, class, code, connections, counted messages of one step against this server.
fn run(server: &ScriptServer, step: &[(&str, Word<'_>)]) -> (Outcome, ErrorClass, u16, u32, Vec<f64>) {
    let node = node(&Word::Table(step));
    let diagnostics = Diagnostics::new();
    let context = StepContext { target: Some(format!("http://{}", server.addr())), ..StepContext::default() };
    let fields = Fields::new(&node, "step", &diagnostics).unwrap();
    let spec = SseGrammar.step(&fields, &context).unwrap();
    fields.finish();
    drop(fields);
    assert!(diagnostics.into_sorted().is_empty());
    let steps = vec![(StepId(0), spec.body.downcast().unwrap(), String::new())];
    let protocol = SseProtocol::new(&HttpSettings::default(), (), steps).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let clock = WallClock::new();
    let mut probe = Probe::new(&clock);
    let mut scope = Scope::new(VuId(0), 1);
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
        let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
        let mut session = worker.session(SessionContext { vu: VuId(0), seed: 1 });
        probe.begin(clock.now(), true);
        session.run(Call { step: StepId(0), scope: &mut scope }, &mut probe).await
    });
    let counted = probe.measures.iter().map(|(_, value)| *value).collect();
    (outcome, probe.class, probe.code, probe.connections, counted)
}

fn says(parts: &[&str]) -> Vec<Action> {
    let mut script = vec![Action::ReadHead];
    script.extend(parts.iter().map(|part| Action::Send(part.as_bytes().to_vec())));
    script.push(Action::Hold);
    script
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[test]
fn an_event_that_matches_is_waited_for() {
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let parts =
        [chunked, chunk(": hi\n\nevent: tick\ndata: {\"n\":1}\n\nda"), chunk("ta: {\"n\":2}\nid: 9\n\n")];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let server = ScriptServer::always(says(&parts)).unwrap();
    let wait = |conditions: &[(&str, Word<'_>)]| {
        let step = [
            ("sse", Word::Text("/events")),
            ("expect", Word::Table(conditions)),
            ("within", Word::Text("200ms")),
        ];
        run(&server, &step)
    };
    assert_eq!(wait(&[("event", Word::Text("tick")), ("json.n", Word::Count(1))]).0, Outcome::Ok);
    let found = wait(&[("event", Word::Text("message")), ("id", Word::Text("9"))]);
    assert_eq!((found.0, found.2, found.3), (Outcome::Ok, 200, 1));
    assert_eq!(wait(&[("json.n", Word::Count(3))]).0, Outcome::TimedOut);
    let held = run(&server, &[("sse", Word::Text("/")), ("hold", Word::Text("60ms")), ("close", Word::Yes)]);
    assert_eq!((held.0, held.4), (Outcome::Ok, vec![2.0]));
}

#[test]
fn a_stream_that_ends_goes_on_where_it_was() {
    let first = format!("{HEAD}\r\nretry: 1\nid: 7\ndata: a\n\n");
    let scripts = vec![
        vec![Action::ReadHead, Action::Send(first.into_bytes()), Action::Wait(Duration::from_millis(5))],
        says(&[HEAD, "\r\n", "data: b\n\n"]),
    ];
    let step = [("sse", Word::Text("/")), ("receive", Word::Count(2))];
    let ended = run(&ScriptServer::start(scripts.clone()).unwrap(), &step);
    assert_eq!((ended.0, ended.1), (Outcome::Failed, ErrorClass::Reset));
    let step = [("sse", Word::Text("/")), ("receive", Word::Count(2)), ("reconnect", Word::Yes)];
    let went_on = run(&ScriptServer::start(scripts).unwrap(), &step);
    assert_eq!((went_on.0, went_on.3), (Outcome::Ok, 2));
}

#[test]
fn hostile_streams_end_in_an_outcome() {
    let check = |parts: &[&str], outcome: Outcome, class: ErrorClass| {
        let server = ScriptServer::always(says(parts)).unwrap();
        let told = run(
            &server,
            &[("sse", Word::Text("/")), ("receive", Word::Count(1)), ("timeout", Word::Text("200ms"))],
        );
        assert_eq!((told.0, told.1), (outcome, class), "{parts:?}");
    };
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    check(&[], Outcome::TimedOut, ErrorClass::Timeout);
    check(&[HEAD], Outcome::TimedOut, ErrorClass::Timeout);
    check(&["garbage\r\n\r\n"], Outcome::Failed, ErrorClass::Protocol);
    check(&["HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"], Outcome::Failed, ErrorClass::ClientError);
    check(&["HTTP/1.1 204 No\r\n\r\n"], Outcome::Failed, ErrorClass::Unexpected);
    check(&["HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"], Outcome::Failed, ErrorClass::Unexpected);
    check(&[&chunked, "zz\r\n"], Outcome::Failed, ErrorClass::Protocol);
    check(&[&chunked, "5\r\ndata:\r\n0\r\n\r\n"], Outcome::Failed, ErrorClass::Reset);
    check(&[HEAD, "Content-Encoding: gzip\r\n\r\n"], Outcome::Failed, ErrorClass::Protocol);
    check(&[HEAD, "\r\n", &"x".repeat(2 << 20)], Outcome::Failed, ErrorClass::TooLarge);
    let flood = vec![
        Action::ReadHead,
        Action::Send(format!("{HEAD}\r\n").into_bytes()),
        Action::Flood(b"data: aaaaaaaaaaaaaaaaaaaaaaaa\n".to_vec()),
    ];
    let told =
        run(&ScriptServer::always(flood).unwrap(), &[("sse", Word::Text("/")), ("receive", Word::Count(1))]);
    assert_eq!((told.0, told.1), (Outcome::Failed, ErrorClass::TooLarge));
}
