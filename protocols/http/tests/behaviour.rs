//! What well-meaning servers see and what their answers come to.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Rig, answers, get, once};
use crucible_core::{ErrorClass, Outcome};
use crucible_http::{Check, ConnectionPool, CookieMode, HttpSettings, RequestSpec, StatusMatch, ValueTest};
use crucible_testkit::servers::{Action, ScriptServer};
use serde_json::json;
use std::io::Write;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn status_decides_unless_the_plan_does() {
    use ErrorClass::{Check as Unmet, ClientError, None, ServerError, Throttled};
    use Outcome::{Failed, Ok, Rejected};
    let settings = HttpSettings { redirects: 0, ..HttpSettings::default() };
    let check = |status: &str, demand: Option<&str>, outcome, class| {
        let bytes = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let seen = once(&settings, bytes.as_bytes(), |spec| match demand {
            Some(text) => spec.check_status(StatusMatch::parse(text).unwrap()),
            Option::None => spec,
        });
        assert_eq!((seen.outcome, seen.class), (outcome, class), "{status:?} {demand:?}: {seen:?}");
    };
    check("200 OK", Option::None, Ok, None);
    check("204 No Content", Option::None, Ok, None);
    check("302 Found", Option::None, Ok, None);
    check("404 Not Found", Option::None, Failed, ClientError);
    check("429 Too Many", Option::None, Rejected, Throttled);
    check("500 Oops", Option::None, Failed, ServerError);
    check("503 Busy", Option::None, Failed, ServerError);
    check("503 Busy\r\nRetry-After: 5", Option::None, Rejected, ServerError);
    check("999 Odd", Option::None, Failed, ServerError);
    check("404 Not Found", Some("404"), Ok, None);
    check("429 Too Many", Some("4xx"), Ok, None);
    check("429 Too Many", Some("200"), Rejected, Throttled);
    check("404 Not Found", Some("200"), Failed, ClientError);
    check("201 Created", Some("200"), Failed, Unmet);
    check("302 Found", Some("200-299"), Failed, Unmet);
}

#[test]
fn checks_read_head_body_and_json() {
    let body = r#"{"ok":true,"n":3,"tags":["a","b"],"items":[{"id":7},{"id":8}],"name":"Anna"}"#;
    let bytes = format!("HTTP/1.1 200 OK\r\nETag: \"abc\"\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let check = |check: Check, holds: bool| {
        let name = check.name();
        let seen = once(&HttpSettings::default(), bytes.as_bytes(), |spec| spec.check(check.clone()));
        assert_eq!((seen.passed, seen.failed), (u64::from(holds), u64::from(!holds)), "{name}: {seen:?}");
        assert_eq!(seen.outcome, if holds { Outcome::Ok } else { Outcome::Failed }, "{name}");
        assert_eq!(seen.class, if holds { ErrorClass::None } else { ErrorClass::Check }, "{name}");
        assert!(holds || seen.detail.contains(&name), "{name}: {seen:?}");
    };
    let json = |path: &str, test| Check::json(path, test).unwrap();
    check(json("ok", ValueTest::Equals(json!(true).into())), true);
    check(json("ok", ValueTest::Equals(json!(false).into())), false);
    check(json("n", ValueTest::Equals(json!(3.0).into())), true);
    check(json("n", ValueTest::OneOf(vec![json!(1).into(), json!(3).into()])), true);
    check(json("n", ValueTest::Above(3.0.into())), false);
    check(json("items[1].id", ValueTest::Equals(json!(8).into())), true);
    check(json("items.0.id", ValueTest::Equals(json!(7).into())), true);
    check(json("$.items[*].id", ValueTest::Above(6.0.into())), true);
    check(json("$.items[*].id", ValueTest::Above(7.0.into())), false);
    check(json("tags", ValueTest::Contains("b".into())), true);
    check(json("nowhere", ValueTest::Exists(false)), true);
    check(json("nowhere", ValueTest::Equals(json!(null).into())), false);
    check(json("name", ValueTest::Contains("nn".into())), true);
    check(Check::Header("etag".into(), ValueTest::Equals(json!("\"abc\"").into())), true);
    check(Check::Header("ETag".into(), ValueTest::Exists(false)), false);
    check(Check::Body(ValueTest::Contains("Anna".into())), true);
    check(Check::Body(ValueTest::Matches(regex::bytes::Regex::new("ok.:false").unwrap())), false);
    check(Check::SizeMax(10), false);
    check(Check::SizeMin(10), true);
    check(Check::Latency(crucible_core::Ns::from_secs(60)), true);
    check(Check::Latency(crucible_core::Ns(1)), false);
}

#[test]
fn encoded_bodies_are_decoded_for_checks() {
    let text = b"the quick brown fox";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(text).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(text).unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(text.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    // an uncompressed meta-block, written out by hand after RFC 7932
    let brotli = [&[0x0b, 0x09, 0x80][..], text, &[0x03]].concat();
    let bodies = [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd),
        ("br", brotli),
    ];
    for (name, body) in bodies {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {name}\r\ncontent-length: {}\r\n\r\n", body.len())
                .into_bytes();
        bytes.extend(&body);
        let seen = once(&HttpSettings::default(), &bytes, |spec| {
            spec.check(Check::Body(ValueTest::Equals(json!("the quick brown fox").into())))
        });
        assert_eq!(seen.outcome, Outcome::Ok, "{name}: {seen:?}");
    }
}

#[test]
fn bodies_end_where_the_method_and_the_code_say() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n";
    let server = ScriptServer::always(answers(&[head, head])).unwrap();
    let spec = RequestSpec::new("HEAD", &format!("http://{}/", server.addr())).unwrap();
    let mut rig = Rig::new(&HttpSettings::default(), vec![spec]);
    assert_eq!((rig.call(0).connections, rig.call(0).connections), (1, 0));
    for code in [204, 304] {
        let bytes = format!("HTTP/1.1 {code} X\r\ncontent-length: 99\r\n\r\n");
        assert_eq!(once(&HttpSettings::default(), bytes.as_bytes(), |spec| spec).code, code);
    }
}

#[test]
fn connections_are_kept_unless_somebody_says_no() {
    let check = |settings: &HttpSettings, answer: &[u8], expected: [u32; 3]| {
        let server = ScriptServer::always(answers(&[answer; 4])).unwrap();
        let mut rig = Rig::new(settings, vec![get(&server)]);
        let seen = [0; 3].map(|step| {
            let seen = rig.call(step);
            assert_eq!(seen.outcome, Outcome::Ok, "{seen:?}");
            seen.connections
        });
        assert_eq!(seen, expected, "{:?}", String::from_utf8_lossy(answer));
    };
    let usual = HttpSettings::default();
    check(&usual, OK, [1, 0, 0]);
    check(&usual, b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", [1, 1, 1]);
    check(&usual, b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", [1, 1, 1]);
    check(&usual, b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", [1, 0, 0]);
    check(&HttpSettings { keep_alive: false, ..HttpSettings::default() }, OK, [1, 1, 1]);
    check(&HttpSettings { pool: ConnectionPool::Shared, ..HttpSettings::default() }, OK, [1, 0, 0]);
}

#[test]
fn a_kept_connection_that_dies_is_retried_once_if_that_is_safe() {
    // the server takes the second request and closes without a word
    let script = vec![Action::ReadHead, Action::Send(OK.to_vec()), Action::ReadHead];
    let check = |method: &str, expected: (Outcome, ErrorClass, u32)| {
        let server = ScriptServer::always(script.clone()).unwrap();
        let spec = RequestSpec::new(method, &format!("http://{}/", server.addr())).unwrap();
        let mut rig = Rig::new(&HttpSettings::default(), vec![spec]);
        assert_eq!(rig.call(0).outcome, Outcome::Ok);
        let seen = rig.call(0);
        assert_eq!((seen.outcome, seen.class, seen.connections), expected, "{method}: {seen:?}");
    };
    check("GET", (Outcome::Ok, ErrorClass::None, 1));
    check("DELETE", (Outcome::Ok, ErrorClass::None, 1));
    check("POST", (Outcome::Failed, ErrorClass::Reset, 0));
    check("PATCH", (Outcome::Failed, ErrorClass::Reset, 0));
}

#[test]
fn redirects_are_followed_hop_by_hop() {
    let redirect =
        |code: u16, to: &str| format!("HTTP/1.1 {code} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let ok = String::from_utf8(OK.to_vec()).unwrap();
    let server =
        ScriptServer::always(answers(&[redirect(302, "/a"), redirect(307, "b?x=1"), ok.clone()])).unwrap();
    let seen = Rig::new(&HttpSettings::default(), vec![get(&server)]).call(0);
    assert_eq!(
        (seen.outcome, seen.code, seen.hops.as_slice(), seen.connections),
        (Outcome::Ok, 200, &[302, 307][..], 1)
    );

    let server = ScriptServer::always(answers(&vec![redirect(302, "/again"); 20])).unwrap();
    let seen = Rig::new(&HttpSettings::default(), vec![get(&server).redirects(3)]).call(0);
    assert_eq!(seen.brief(), (Outcome::Failed, ErrorClass::Unexpected, 302), "{seen:?}");
    assert_eq!(seen.hops.len(), 3);

    let server = ScriptServer::always(answers(&[redirect(302, "/a")])).unwrap();
    let seen = Rig::new(&HttpSettings::default(), vec![get(&server).redirects(0)]).call(0);
    assert_eq!(seen.brief(), (Outcome::Ok, ErrorClass::None, 302));

    for bad in ["ftp://x/", "http://", "javascript:alert(1)"] {
        let server = ScriptServer::always(answers(&[redirect(302, bad)])).unwrap();
        let seen = Rig::new(&HttpSettings::default(), vec![get(&server)]).call(0);
        assert_eq!(seen.brief(), (Outcome::Failed, ErrorClass::Unexpected, 302), "{bad}: {seen:?}");
    }
}

#[test]
fn credentials_and_bodies_follow_redirects_only_where_they_may() {
    let sent = |code: u16, elsewhere: bool| {
        let last = ScriptServer::always(answers(&[OK])).unwrap();
        let to = if elsewhere { format!("http://{}/b", last.addr()) } else { "/b".to_owned() };
        let first = format!("HTTP/1.1 {code} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let server = ScriptServer::always(answers(&[first.as_bytes(), OK])).unwrap();
        let spec = |body: &str, auth: &str| {
            RequestSpec::new("POST", &format!("http://{}/", server.addr()))
                .unwrap()
                .header("Authorization", auth)
                .body(body)
        };
        let bytes = |body: &str, auth: &str| {
            Rig::new(&HttpSettings::default(), vec![spec(body, auth)]).call(0).bytes_out
        };
        let base = bytes("x", "y");
        // how often one more byte of each was sent
        (bytes("x", "yy") - base, bytes("xx", "y") - base)
    };
    assert_eq!(sent(302, false), (2, 1));
    assert_eq!(sent(303, false), (2, 1));
    assert_eq!(sent(307, false), (2, 2));
    assert_eq!(sent(308, true), (1, 2));
    assert_eq!(sent(301, true), (1, 1));
}

#[test]
fn cookies_come_back_until_the_iteration_ends() {
    let set = b"HTTP/1.1 200 OK\r\nSet-Cookie: id=12345; Path=/\r\ncontent-length: 0\r\n\r\n".as_slice();
    let run = |cookies: CookieMode| {
        use crucible_core::Session;
        let server = ScriptServer::always(answers(&[set, OK, OK])).unwrap();
        let mut rig = Rig::new(&HttpSettings { cookies, ..HttpSettings::default() }, vec![get(&server)]);
        let first = rig.call(0).bytes_out;
        let second = rig.call(0).bytes_out;
        rig.session.iteration(1);
        (second - first, rig.call(0).bytes_out - first)
    };
    let cookie = "Cookie: id=12345\r\n".len() as u64;
    assert_eq!(run(CookieMode::PerIteration), (cookie, 0));
    assert_eq!(run(CookieMode::Keep), (cookie, cookie));
    assert_eq!(run(CookieMode::Off), (0, 0));
}

#[test]
fn names_that_lead_nowhere_are_told() {
    let server = ScriptServer::always(answers(&[OK])).unwrap();
    let port = server.addr().port();
    let spec = |host: &str| RequestSpec::new("GET", &format!("http://{host}:{port}/")).unwrap();
    let seen = Rig::new(&HttpSettings::default(), vec![spec("nowhere.invalid")]).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Dns), "{seen:?}");
    assert!(seen.detail.starts_with("nowhere.invalid cannot be resolved"), "{seen:?}");
    let settings = HttpSettings {
        resolve: vec![("nowhere.invalid".into(), "127.0.0.1".parse().unwrap())],
        local_addresses: vec!["127.0.0.7".parse().unwrap()],
        ..HttpSettings::default()
    };
    assert_eq!(Rig::new(&settings, vec![spec("nowhere.invalid")]).call(0).outcome, Outcome::Ok);
    let settings =
        HttpSettings { local_addresses: vec!["192.0.2.1".parse().unwrap()], ..HttpSettings::default() };
    let seen = Rig::new(&settings, vec![spec("127.0.0.1")]).call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Local), "{seen:?}");
}

#[test]
fn a_unix_socket_serves_too() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        for _ in 0..2 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(buffer[..count].starts_with(b"GET /x HTTP/1.1\r\nHost: anything\r\n"));
            stream.write_all(OK).unwrap();
        }
    });
    let settings = HttpSettings { unix_socket: Some(path), ..HttpSettings::default() };
    let mut rig = Rig::new(&settings, vec![RequestSpec::new("GET", "http://anything/x").unwrap()]);
    assert_eq!((rig.call(0).connections, rig.call(0).connections), (1, 0));
    server.join().unwrap();
    let seen = rig.call(0);
    assert_eq!((seen.outcome, seen.class), (Outcome::Failed, ErrorClass::Refused), "{seen:?}");
}
