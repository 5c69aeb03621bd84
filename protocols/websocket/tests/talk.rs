//! What a plan can say on a socket, and what is told about it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, frame, greet, peer, raw_peer, read, read_frame, text};
use crucible_core::{ErrorClass, Ns, Outcome, Phase, Symbols, Value};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Gives back what it gets, as an answer with a number; ends with the client's close.
fn echo(stream: &mut TcpStream) {
    let mut number = 0;
    while let Some((first, payload)) = read_frame(stream) {
        if first & 0x0f == 8 {
            stream.write_all(&frame(0x88, &payload[..2])).unwrap();
            return;
        }
        number += 1;
        let inner = String::from_utf8(payload).unwrap();
        stream.write_all(&text(r#"{"type":"noise"}"#)).unwrap();
        stream.write_all(&text(&format!(r#"{{"type":"pong","n":{number},"of":{inner}}}"#))).unwrap();
    }
}

#[test]
fn a_socket_is_opened_asked_and_closed() {
    let addr = peer(|_, stream| echo(stream));
    let mut rig = Rig::new(
        addr,
        &[
            json!({"ws": "/ws?token=1", "check": {"status": 101, "header.upgrade": "websocket"}}),
            json!({
                "send": {"json": {"action": "ping"}}, "expect": {"json.type": "pong"},
                "check": {"json.of.action": "ping"}, "save": {"n": "json.n"},
            }),
            json!({"close": 1000}),
        ],
    );
    let opened = rig.call(0);
    assert_eq!(opened.brief(), (Outcome::Ok, ErrorClass::None, 101), "{opened:?}");
    assert_eq!((opened.passed, opened.failed, opened.connections), (0b11, 0, 1));
    for phase in [Phase::Connect, Phase::Send, Phase::Wait] {
        assert!(opened.phases[phase as usize].is_some(), "{phase:?}");
    }
    for round in 1..=3 {
        let told = rig.call(1);
        assert_eq!((told.outcome, told.connections, told.passed), (Outcome::Ok, 0, 0b11), "{told:?}");
        assert!(
            told.phases[Phase::Send as usize].is_some() && told.phases[Phase::Connect as usize].is_none()
        );
        let slot = rig.symbols.define("n").unwrap();
        assert_eq!(rig.scope.get(slot), &Value::Int(round));
    }
    let closed = rig.call(2);
    assert_eq!(closed.brief(), (Outcome::Ok, ErrorClass::None, 1000), "{closed:?}");
    let after = rig.call(1);
    assert_eq!((after.outcome, after.class), (Outcome::Failed, ErrorClass::Reset), "{after:?}");
    assert!(after.detail.contains("nothing open"), "{}", after.detail);
}

#[test]
fn one_step_may_do_it_all() {
    let addr = peer(|_, stream| echo(stream));
    let steps = [json!({
        "ws": "/", "send": r#"{"a": 1}"#, "expect": {"json.n": {"gt": 0}}, "close": 3000, "count": "seen",
    })];
    let mut rig = Rig::new(addr, &steps);
    for _ in 0..3 {
        let told = rig.call(0);
        assert_eq!(told.brief(), (Outcome::Ok, ErrorClass::None, 3000), "{told:?}");
        assert_eq!((told.connections, told.measures.as_slice()), (1, &[(0, 2.0)][..]));
    }
}

#[test]
fn what_nobody_waits_for_is_kept_for_later_or_ignored() {
    let addr = peer(|_, stream| {
        for word in ["b", "a", "c", "d"] {
            stream.write_all(&text(&format!(r#"{{"w":"{word}"}}"#))).unwrap();
        }
        while read_frame(stream).is_some() {}
    });
    let mut rig = Rig::new(
        addr,
        &[
            json!({"ws": "/"}),
            json!({"expect": {"json.w": "a"}}),
            json!({"expect": {"json.w": ["b", "x"]}}),
            json!({"expect": {"json.w": "d"}, "ignore": true}),
            json!({"expect": {"json.w": "c"}, "within": "60ms"}),
        ],
    );
    for step in 0..4 {
        assert_eq!(rig.call(step).outcome, Outcome::Ok, "step {step}");
    }
    // it was passed over in a step that ignores
    let told = rig.call(4);
    assert_eq!(told.outcome, Outcome::TimedOut, "{told:?}");
}

#[test]
fn a_close_of_the_server_is_an_answer_too() {
    let addr = peer(|_, stream| {
        stream.write_all(&frame(0x88, &4003u16.to_be_bytes())).unwrap();
        let (first, payload) = read_frame(stream).unwrap();
        assert_eq!((first, payload.as_slice()), (0x88, &4003u16.to_be_bytes()[..]), "the close is answered");
    });
    let mut rig = Rig::new(
        addr,
        &[
            json!({"ws": "/", "expect": {"close": [4001, 4003]}}),
            json!({"ws": "/", "expect": {"close": 1008}}),
            json!({"ws": "/", "expect": {"text": "x"}}),
        ],
    );
    let told = rig.call(0);
    assert_eq!((told.brief(), told.passed), ((Outcome::Ok, ErrorClass::None, 4003), 1), "{told:?}");
    for step in 1..=2 {
        let told = rig.call(step);
        assert_eq!(told.brief(), (Outcome::Failed, ErrorClass::ClientError, 4003), "{told:?}");
    }
}

#[test]
fn a_server_that_refuses_is_told_by_its_status() {
    let addr = raw_peer(|number, stream, _| {
        let line = ["401 Unauthorized", "429 Too Many", "200 OK", "503 Busy\r\nRetry-After: 1"][number % 4];
        stream.write_all(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
    });
    let mut rig = Rig::new(addr, &[json!({"ws": "/"}), json!({"ws": "/", "check": {"status": 401}})]);
    assert_eq!(rig.call(0).brief(), (Outcome::Failed, ErrorClass::ClientError, 401));
    assert_eq!(rig.call(0).brief(), (Outcome::Rejected, ErrorClass::Throttled, 429));
    assert_eq!(rig.call(0).brief(), (Outcome::Failed, ErrorClass::Unexpected, 200));
    assert_eq!(rig.call(0).brief(), (Outcome::Rejected, ErrorClass::ServerError, 503));
    assert_eq!(rig.call(1).brief(), (Outcome::Ok, ErrorClass::None, 401));
}

#[test]
fn pings_are_answered_while_the_user_thinks() {
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    let addr = peer(move |_, stream| {
        for round in 0..2u8 {
            stream.write_all(&[text("news"), frame(0x89, &[round])].concat()).unwrap();
            let (first, payload) = read_frame(stream).unwrap();
            assert_eq!((first, payload.as_slice()), (0x8a, &[round][..]));
            counted.fetch_add(1, SeqCst);
        }
        while read_frame(stream).is_some() {}
    });
    let mut rig = Rig::new(addr, &[json!({"ws": "/"}), json!({"receive": 2, "count": "news"})]);
    assert_eq!(rig.call(0).outcome, Outcome::Ok);
    rig.think_until(|| answered.load(SeqCst) == 2);
    // what came meanwhile is there, and is counted once
    let told = rig.call(1);
    assert_eq!((told.outcome, told.measures.as_slice()), (Outcome::Ok, &[(0, 2.0)][..]), "{told:?}");
}

#[test]
fn latency_counts_from_the_message_s_own_stamp() {
    let addr = peer(|_, stream| {
        let _ = read_frame(stream);
        stream.write_all(&text(r#"{"at": 1700000000.0}"#)).unwrap();
        while read_frame(stream).is_some() {}
    });
    let steps =
        [json!({"ws": "/", "send": "go", "expect": {"json.at": {"exists": true}}, "latency": "json.at"})];
    let mut rig = Rig::new(addr, &steps);
    // an hour later, less what the operation itself took
    rig.scope.unix = Ns::from_secs(1_700_003_600);
    let told = rig.call(0);
    assert_eq!(told.outcome, Outcome::Ok, "{told:?}");
    let [(0, late)] = told.measures.as_slice() else { panic!("{:?}", told.measures) };
    assert!((3_600_000.0..3_660_000.0).contains(late), "{late}");
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_the_next() {
    let addr = peer(|number, stream| {
        let first = read_frame(stream).unwrap();
        if number > 0 {
            stream.write_all(&text(&String::from_utf8(first.1).unwrap())).unwrap();
        }
        while read_frame(stream).is_some() {}
    });
    let mut rig = Rig::new(
        addr,
        &[
            json!({"ws": "/", "reconnect": true}),
            json!({"send": "question", "expect": {"text": {"exists": true}}, "within": "50ms"}),
        ],
    );
    assert_eq!(rig.call(0).outcome, Outcome::Ok);
    assert_eq!(rig.call(1).outcome, Outcome::TimedOut);
    let again = rig.call(1);
    assert_eq!((again.outcome, again.connections), (Outcome::Ok, 1), "opened again: {again:?}");
}

#[test]
fn a_socket_on_which_an_operation_was_cut_off_is_gone() {
    let addr = peer(|_, stream| while read_frame(stream).is_some() {});
    let mut rig =
        Rig::new(addr, &[json!({"ws": "/"}), json!({"expect": {"text": "x"}}), json!({"close": 1000})]);
    assert_eq!(rig.call(0).outcome, Outcome::Ok);
    rig.cut_off(1);
    let told = rig.call(1);
    assert!(told.outcome == Outcome::Failed && told.detail.contains("cut off"), "{told:?}");
}

#[test]
fn a_user_may_have_several_sockets_and_hold_them() {
    let addr = peer(|number, stream| {
        (0..=number).for_each(|n| stream.write_all(&text(&n.to_string())).unwrap());
        while read_frame(stream).is_some() {}
    });
    let mut rig = Rig::new(
        addr,
        &[
            json!({"ws": "/", "as": "one"}),
            json!({"ws": "/", "as": "two"}),
            json!({"hold": "50ms", "on": "two"}),
            json!({"receive": 1, "on": "one"}),
        ],
    );
    assert_eq!(rig.call(0).outcome, Outcome::Ok);
    assert_eq!(rig.call(1).outcome, Outcome::Ok);
    let held = rig.call(2);
    assert_eq!((held.outcome, held.measures.as_slice()), (Outcome::Ok, &[(0, 2.0)][..]), "{held:?}");
    assert_eq!(rig.call(3).outcome, Outcome::Ok);
    rig.leave();
}

#[test]
fn compression_and_subprotocols_are_agreed_on() {
    let addr = raw_peer(|number, stream, key| {
        let extra = [
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
            "Sec-WebSocket-Protocol: other\r\n",
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x-unknown\r\n",
            "",
        ];
        greet(stream, key, extra[number]);
        let (first, payload) = read_frame(stream).unwrap_or_default();
        assert!(number > 0 || first == 0xc1, "a long text is compressed: {first:x}");
        assert!(payload.len() < 100);
        // "Hello", RFC 7692 7.2.3.1
        let _ = stream.write_all(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
        while read_frame(stream).is_some() {}
    });
    let step =
        json!({"ws": "/", "subprotocols": ["chat"], "send": "x".repeat(1000), "expect": {"text": "Hello"}});
    let mut rig = Rig::new(addr, &[step]);
    assert_eq!(rig.call(0).outcome, Outcome::Ok);
    for _ in 0..3 {
        let told = rig.call(0);
        assert_eq!((told.outcome, told.class), (Outcome::Failed, ErrorClass::Protocol), "{told:?}");
    }
}

#[test]
fn mistakes_in_a_step_have_a_remedy() {
    let check = |value: serde_json::Value, part: &str| {
        let mistakes = read(&value, "http://localhost", &Rc::new(Symbols::default())).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{value}: {mistakes:?}");
    };
    check(json!({"ws": "/", "on": "x"}), "write `as` instead");
    check(json!({"send": "x", "headers": {"a": "b"}}), "belongs to the step that opens");
    check(json!({"send": {"text": "a", "json": 1}}), "one content");
    check(json!({"expect": {"jsn.x": 1}}), "json.PATH");
    check(json!({"expect": {"json.x": {"grater": 1}}}), "contains, equals");
    check(json!({"close": 1006}), "1000");
    check(json!({"receive": 1, "hold": "1s"}), "one thing");
    check(json!({"send": "x", "check": {"json.ok": true}}), "add `expect`");
    check(json!({"receive": 1, "check": {"status": 101}}), "opens nothing");
    check(json!({"expect": {"close": 7}}), "1000 to 4999");
    check(json!({"hold": "1s", "latency": "timestamp"}), "json.PATH");
    check(json!({"ws": "/", "wat": 1}), "unknown key");
}
