//! Servers that do not mean well. Every case ends in an outcome that is not `Ok`, with a class, within the limit.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, Seen, answers, get, once};
use crucible_core::{ErrorClass, Ns, Outcome};
use crucible_http::{Check, HttpSettings, RequestSpec, ValueTest};
use crucible_testkit::servers::{Action, ScriptServer};
use std::io::Write;
use std::time::Duration;

fn plain(bytes: &[u8]) -> Seen {
    once(&HttpSettings::default(), bytes, |spec| spec)
}

/// Ok, but not kept.
fn ok_alone(bytes: &[u8]) {
    let seen = plain(bytes);
    assert_eq!(seen.outcome, Outcome::Ok, "{:?}: {seen:?}", String::from_utf8_lossy(bytes));
}

fn fails(bytes: impl AsRef<[u8]>, class: ErrorClass, words: &str) {
    let bytes = bytes.as_ref();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let seen = plain(bytes);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, class), "{shown:?}: {seen:?}");
    assert!(seen.detail.contains(words), "{shown:?}: {seen:?}");
}

#[test]
fn broken_heads_are_protocol_errors() {
    use ErrorClass::Protocol;
    fails("SSH-2.0-OpenSSH_9.2\r\n", Protocol, "not HTTP/1");
    fails(b"\x16\x03\x01\x02\x00\x01\x00", Protocol, "not HTTP/1");
    fails("HTTP/2.0 200 OK\r\n\r\n", Protocol, "not HTTP/1");
    fails("HTTP/1.1 20 OK\r\n\r\n", Protocol, "no status code");
    fails("HTTP/1.1 2000 OK\r\n\r\n", Protocol, "no status code");
    fails("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", Protocol, "no colon");
    fails("HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n", Protocol, "valid name");
    fails("HTTP/1.1 200 OK\r\n: x\r\n\r\n", Protocol, "valid name");
    fails("HTTP/1.1 200 OK\r\na: x\0y\r\n\r\n", Protocol, "control");
    fails("HTTP/1.1 200 OK\r\na: x\ry\r\n\r\n", Protocol, "control");
    let many = "x: y\r\n".repeat(257);
    fails(format!("HTTP/1.1 200 OK\r\n{many}\r\n"), Protocol, "256");
    let long = format!("x: {}\r\n", "y".repeat(1000)).repeat(70);
    fails(format!("HTTP/1.1 200 OK\r\n{long}"), Protocol, "64 KiB");
    fails(format!("HTTP/1.1 200 {}", "y".repeat(200_000)), Protocol, "");
}

#[test]
fn lengths_that_lie_are_told() {
    use ErrorClass::{Protocol, TooLarge, Truncated};
    fails("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", Truncated, "complete");
    fails("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", Protocol, "differ");
    fails("HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabcd", Protocol, "differ");
    fails("HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc", Protocol, "number");
    fails("HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n", Protocol, "number");
    fails("HTTP/1.1 200 OK\r\ncontent-length: 184467440737095516160\r\n\r\n", Protocol, "number");
    fails("HTTP/1.1 200 OK\r\ncontent-length: 9999999999999999999\r\n\r\n", TooLarge, "max_body");
    fails("HTTP/1.1 200 OK\r\ncontent-length:\r\n 3\r\n\r\nabc", Protocol, "number");
    fails("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n 3\r\n\r\nabc", Protocol, "folded");
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    fails(both, Protocol, "both");
    ok_alone(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc");
    ok_alone(b"HTTP/1.1 200 OK\r\nx: folded\r\n line\r\ncontent-length: 3\r\n\r\nabc");
    ok_alone(b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
}

#[test]
fn chunks_that_lie_are_told() {
    use ErrorClass::{Protocol, Truncated};
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    fails(chunked("5\r\nabc"), Truncated, "complete");
    fails(chunked("xyz\r\n"), Protocol, "size");
    fails(chunked("-1\r\n"), Protocol, "size");
    fails(chunked("\r\n"), Protocol, "size");
    fails(chunked("fffffffffffffffff\r\n"), Protocol, "not a number");
    fails(chunked("ffffffffffffffff\r\nabc"), Truncated, "complete");
    fails(chunked("3\r\nabcd\r\n0\r\n\r\n"), Protocol, "longer than its size");
    fails(chunked(&format!("3;{}\r\n", "x".repeat(5000))), Protocol, "4 KiB");
    fails(chunked(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(4000))), Protocol, "16 KiB");
    fails(chunked("0\r\na: b\r\n"), Truncated, "complete");
    let twice = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n";
    fails(twice, Protocol, "last transfer coding");
    ok_alone(chunked("3;a=b\r\nabc\r\n0\r\ntrailer: x\r\n\r\n").as_bytes());
    ok_alone(chunked("a\nabcdefghij\n0\n\n").as_bytes());
}

#[test]
fn interim_answers_end() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    ok_alone(format!("{}{last}", interim.repeat(32)).as_bytes());
    fails(format!("{}{last}", interim.repeat(33)), ErrorClass::Protocol, "32 interim");
    fails("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", ErrorClass::Unexpected, "protocol");
}

#[test]
fn cut_at_every_byte_it_is_never_ok() {
    let whole: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    ];
    for bytes in whole {
        for cut in 0..bytes.len() {
            let seen = plain(&bytes[..cut]);
            assert_eq!(seen.outcome, Outcome::Failed, "cut at {cut}: {seen:?}");
            let expected = if cut == 0 { ErrorClass::Reset } else { ErrorClass::Truncated };
            assert_eq!(seen.class, expected, "cut at {cut}: {seen:?}");
        }
        assert_eq!(plain(bytes).outcome, Outcome::Ok);
    }
}

#[test]
fn bombs_end_in_too_large() {
    let settings = HttpSettings { max_body: 1 << 20, ..HttpSettings::default() };
    let zeros = vec![0u8; 20 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(zeros.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for (name, body) in [("gzip", gzip), ("zstd", zstd)] {
        assert!(body.len() < 1 << 20, "{name} does not compress");
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\ncontent-length: {}\r\n\r\n", body.len())
                .into_bytes();
        bytes.extend(body);
        let seen = once(&settings, &bytes, |spec| spec.check(Check::Body(ValueTest::Contains("x".into()))));
        assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::TooLarge), "{name}: {seen:?}");
        // nobody reads the body: nothing is decoded
        assert_eq!(once(&settings, &bytes, |spec| spec).outcome, Outcome::Ok, "{name}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20));
    let seen = once(&settings, endless.as_bytes(), |spec| spec);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::TooLarge), "{seen:?}");
    let broken = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd";
    let seen = once(&settings, broken, |spec| spec.check(Check::Body(ValueTest::Contains("x".into()))));
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Protocol), "{seen:?}");
}

#[test]
fn time_limits_name_the_part() {
    let cases: [(Vec<Action>, &str); 3] = [
        (vec![Action::Hold], "waiting for the first byte"),
        (
            vec![Action::ReadHead, Action::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), Action::Hold],
            "reading the answer",
        ),
        (
            vec![
                Action::ReadHead,
                Action::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n".to_vec()),
                Action::Trickle(vec![b'x'; 10_000], Duration::from_millis(5)),
            ],
            "reading the answer",
        ),
    ];
    for (script, words) in cases {
        let server = ScriptServer::always(script).unwrap();
        let seen = Rig::new(&HttpSettings::default(), vec![get(&server)]).call(0);
        assert_eq!((seen.outcome, seen.class), (Outcome::TimedOut, ErrorClass::Timeout), "{seen:?}");
        assert!(seen.detail.contains(words), "{seen:?}");
    }
    let mut settings = HttpSettings::default();
    settings.timeouts.first_byte = Some(Ns::from_millis(50));
    let server = ScriptServer::always(vec![Action::Hold]).unwrap();
    let spec = get(&server).timeout(Ns::from_secs(600));
    let seen = Rig::new(&settings, vec![spec]).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::TimedOut, ErrorClass::Timeout), "{seen:?}");
}

#[test]
fn a_large_body_that_nobody_reads_ends_in_time() {
    // the kernel accepts the connection, nobody else does
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let spec =
        RequestSpec::new("POST", &url).unwrap().body(vec![b'x'; 64 << 20]).timeout(Ns::from_millis(300));
    let seen = Rig::new(&HttpSettings::default(), vec![spec]).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::TimedOut, ErrorClass::Timeout), "{seen:?}");
    assert!(seen.detail.contains("sending"), "{seen:?}");
}

#[test]
fn an_early_refusal_of_a_large_body_is_heard() {
    let refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
    let server = ScriptServer::always(vec![Action::ReadHead, Action::Send(refusal), Action::Hold]).unwrap();
    let url = format!("http://{}/", server.addr());
    let spec =
        RequestSpec::new("POST", &url).unwrap().header("expect", "100-continue").body(vec![b'x'; 32 << 20]);
    let seen = Rig::new(&HttpSettings::default(), vec![spec.timeout(Ns::from_secs(10))]).call(0);
    assert_eq!(seen.brief(), (Outcome::Failed, ErrorClass::ClientError, 413), "{seen:?}");
    assert!(seen.bytes_out < 1024, "the body was not sent: {seen:?}");
}

#[test]
fn junk_behind_an_answer_ends_the_connection() {
    let good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let stale = "HTTP/1.1 500 Stale\r\ncontent-length: 0\r\n\r\n";
    let server = ScriptServer::always(answers(&[format!("{good}{stale}").as_str(), good])).unwrap();
    let mut rig = Rig::new(&HttpSettings::default(), vec![get(&server)]);
    for _ in 0..3 {
        let seen = rig.call(0);
        assert_eq!((seen.outcome, seen.code, seen.connections), (Outcome::Ok, 200, 1), "{seen:?}");
    }
}
