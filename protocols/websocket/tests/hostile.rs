//! Servers that do not mean well. Each time the same user must be able to go on with a good one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, frame, greet, raw_peer, read_frame, text};
use crucible_core::{ErrorClass, Outcome};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;

/// Opens and waits for `good` on a connection that does `evil`, then on a good one. The first one's outcome and class.
fn survive(evil: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> (Outcome, ErrorClass) {
    let addr = raw_peer(move |number, stream, key| {
        if number == 0 {
            evil(stream, key);
        } else {
            greet(stream, key, "");
            stream.write_all(&text("good")).unwrap();
        }
        while read_frame(stream).is_some() {}
    });
    let mut rig = Rig::new(addr, &[json!({"ws": "/", "expect": {"text": "good"}, "timeout": "300ms"})]);
    let seen = rig.call(0);
    assert_ne!(seen.outcome, Outcome::Ok, "{seen:?}");
    assert_ne!(seen.class, ErrorClass::None, "{seen:?}");
    assert!(!seen.detail.is_empty(), "{seen:?}");
    let after = rig.call(0);
    assert_eq!(after.outcome, Outcome::Ok, "the next one: {after:?}");
    (seen.outcome, seen.class)
}

/// The same, behind a good handshake.
fn then(bytes: &'static [u8]) -> (Outcome, ErrorClass) {
    survive(move |stream, key| {
        greet(stream, key, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n");
        // the client may be gone before the last byte
        let _ = stream.write_all(bytes);
    })
}

const BROKEN: (Outcome, ErrorClass) = (Outcome::Failed, ErrorClass::Protocol);
const LATE: (Outcome, ErrorClass) = (Outcome::TimedOut, ErrorClass::Timeout);

#[test]
fn handshakes() {
    assert_eq!(survive(|stream, _| greet(stream, "another key", "")), BROKEN);
    let say = |text: &'static str| {
        move |stream: &mut TcpStream, _: &str| stream.write_all(text.as_bytes()).unwrap()
    };
    assert_eq!(survive(say("HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n")), BROKEN);
    assert_eq!(survive(say("HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")), BROKEN);
    assert_eq!(survive(say("\x16\x03\x01 garbage\r\n\r\n")), BROKEN);
    assert_eq!(survive(say("HTTP/1.1 302 X\r\nLocation: /\r\n\r\n")).1, ErrorClass::Unexpected);
    assert_eq!(survive(|stream, _| stream.shutdown(std::net::Shutdown::Both).unwrap()).1, ErrorClass::Reset);
    assert_eq!(
        survive(|stream, _| {
            stream.write_all(b"HTTP/1.1 101").unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        })
        .1,
        ErrorClass::Truncated
    );
    assert_eq!(survive(|_, _| {}), LATE);
    assert_eq!(
        survive(|stream, key| greet(
            stream,
            key,
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n"
        )),
        BROKEN
    );
}

#[test]
fn frames() {
    assert_eq!(then(b"\x81\x84abcdgood"), BROKEN);
    assert_eq!(then(b"\x91\x04good"), BROKEN);
    assert_eq!(then(b"\x85\x00"), BROKEN);
    assert_eq!(then(b"\x09\x00"), BROKEN);
    assert_eq!(then(b"\x80\x04good"), BROKEN);
    assert_eq!(then(b"\x01\x02go\x81\x02od"), BROKEN);
    assert_eq!(then(b"\x81\x02\xc3\x28"), BROKEN);
    assert_eq!(then(b"\x88\x01\x03"), BROKEN);
    assert_eq!(then(b"\xc1\x05\xff\xff\xff\xff\xff"), BROKEN);
    assert_eq!(then(b"\x82\x7f\x00\x00\x00\xff\xff\xff\xff\xff"), (Outcome::Failed, ErrorClass::TooLarge));
    // a frame that never ends
    assert_eq!(then(b"\x81\x7e\x10\x00abc"), LATE);
    assert_eq!(then(b""), LATE);
}

#[test]
fn endings() {
    let end = |bytes: &'static [u8]| {
        survive(move |stream, key| {
            greet(stream, key, "");
            stream.write_all(bytes).unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        })
    };
    assert_eq!(end(b""), (Outcome::Failed, ErrorClass::Reset));
    assert_eq!(end(b"\x81\x05goo"), (Outcome::Failed, ErrorClass::Truncated));
    assert_eq!(end(b"\x01\x02go"), (Outcome::Failed, ErrorClass::Truncated));
    assert_eq!(end(b"\x01\x02go\x88\x00"), (Outcome::Failed, ErrorClass::Reset));
    assert_eq!(end(b"\x88\x02\x03\xf3"), (Outcome::Failed, ErrorClass::ServerError));
    assert_eq!(end(b"\x88\x02\x03\xf5"), (Outcome::Rejected, ErrorClass::Throttled));
}

#[test]
fn floods() {
    // pings without end, whose answers nobody takes
    assert_eq!(
        survive(|stream, key| {
            greet(stream, key, "");
            let pings = frame(0x89, &[0; 100]).repeat(600);
            while stream.write_all(&pings).is_ok() {}
        }),
        LATE
    );
    // one message in fragments without end
    assert_eq!(
        survive(|stream, key| {
            greet(stream, key, "");
            let _ = stream.write_all(&frame(0x01, &[b'x'; 100]));
            let more = frame(0x00, &[b'x'; 100]).repeat(600);
            while stream.write_all(&more).is_ok() {}
        })
        .1,
        ErrorClass::TooLarge
    );
    // messages that nobody waits for, without end
    assert_eq!(
        survive(|stream, key| {
            greet(stream, key, "");
            let news = text("news").repeat(10_000);
            while stream.write_all(&news).is_ok() {}
        }),
        LATE
    );
    // a byte now and then
    assert_eq!(
        survive(|stream, key| {
            greet(stream, key, "");
            while stream.write_all(&text("x")).is_ok() {
                std::thread::yield_now();
            }
        }),
        LATE
    );
}
