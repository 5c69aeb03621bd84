//! Cases with servers that do not mean well. After each the same session must work again with a good one.

use super::bench::{Bench, GRACE, LIMIT, Seen};
use crate::servers::Action;
use crucible_core::{ErrorClass, Outcome, Protocol};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// One call on a connection with this script, then one on good connections. Returns the first.
fn survive<P: Protocol>(bench: &Bench<'_, P>, script: Vec<Action>) -> Seen {
    let case = bench.case;
    let server = bench.server(vec![script, bench.answering(0..4)]);
    let mut session = bench.session(server.addr(), LIMIT);
    let seen = session.call();
    assert_ne!(seen.outcome, Outcome::Ok, "{case}: {seen:?}");
    assert_ne!(seen.class, ErrorClass::None, "{case}: a failure without a class: {seen:?}");
    assert!(seen.finished.since(seen.started) < LIMIT + GRACE, "{case}: ended too late: {seen:?}");
    let after = session.call();
    assert_eq!(after.outcome, Outcome::Ok, "{case}: the next call: {after:?}");
    seen
}

fn expect(case: &str, seen: &Seen, outcome: Outcome, classes: &[ErrorClass]) {
    assert_eq!(seen.outcome, outcome, "{case}: {seen:?}");
    assert!(classes.contains(&seen.class), "{case}: class is none of {classes:?}: {seen:?}");
}

pub(super) fn refused<P: Protocol>(bench: &Bench<'_, P>) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let addr: SocketAddr = match free {
        Ok(addr) => addr,
        Err(error) => panic!("{}: failed to find a free port: {error}", bench.case),
    };
    let seen = bench.session(addr, LIMIT).call();
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Refused]);
}

pub(super) fn silent<P: Protocol>(bench: &Bench<'_, P>) {
    let seen = survive(bench, vec![Action::Hold]);
    expect(bench.case, &seen, Outcome::TimedOut, &[ErrorClass::Timeout]);
    assert!(seen.finished.since(seen.started) >= LIMIT, "{}: ended before its limit: {seen:?}", bench.case);
}

pub(super) fn trickle<P: Protocol>(bench: &Bench<'_, P>) {
    let slowly = Action::Trickle(bench.answer(0).0, Duration::from_millis(50));
    let seen = survive(bench, vec![bench.dialect.await_request.clone(), slowly]);
    expect(bench.case, &seen, Outcome::TimedOut, &[ErrorClass::Timeout]);
}

pub(super) fn reset_at_once<P: Protocol>(bench: &Bench<'_, P>) {
    let seen = survive(bench, vec![Action::Reset]);
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Reset]);
}

pub(super) fn reset<P: Protocol>(bench: &Bench<'_, P>) {
    let seen = survive(bench, vec![bench.dialect.await_request.clone(), Action::Reset]);
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Reset]);
}

pub(super) fn reset_inside<P: Protocol>(bench: &Bench<'_, P>) {
    let script = vec![bench.dialect.await_request.clone(), half(bench), Action::Reset];
    let seen = survive(bench, script);
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Reset, ErrorClass::Truncated]);
}

fn half<P: Protocol>(bench: &Bench<'_, P>) -> Action {
    let (mut bytes, _) = bench.answer(0);
    bytes.truncate(bytes.len() / 2);
    Action::Send(bytes)
}

pub(super) fn closed<P: Protocol>(bench: &Bench<'_, P>) {
    let seen = survive(bench, vec![bench.dialect.await_request.clone()]);
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Reset]);
}

pub(super) fn half_closed<P: Protocol>(bench: &Bench<'_, P>) {
    let script = vec![bench.dialect.await_request.clone(), Action::HalfClose, Action::Hold];
    let seen = survive(bench, script);
    expect(bench.case, &seen, Outcome::Failed, &[ErrorClass::Reset]);
}

pub(super) fn cut_off<P: Protocol>(bench: &Bench<'_, P>) {
    let (mut bytes, _) = bench.answer(0);
    for length in [1, bytes.len() / 2, bytes.len() - 1] {
        bytes.truncate(length);
        let script = vec![bench.dialect.await_request.clone(), Action::Send(bytes.clone())];
        let seen = survive(bench, script);
        expect(
            bench.case,
            &seen,
            Outcome::Failed,
            &[ErrorClass::Truncated, ErrorClass::Reset, ErrorClass::Protocol],
        );
        bytes = bench.answer(0).0;
    }
}

pub(super) fn garbage<P: Protocol>(bench: &Bench<'_, P>) {
    for bytes in &bench.dialect.garbage {
        let script = vec![bench.dialect.await_request.clone(), Action::Send(bytes.clone())];
        let seen = survive(bench, script);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert_eq!(seen.outcome, Outcome::Failed, "{}: {shown:?}: {seen:?}", bench.case);
    }
}

pub(super) fn flood<P: Protocol>(bench: &Bench<'_, P>) {
    let seen = survive(bench, vec![Action::Flood(vec![b'x'; 64 * 1024])]);
    assert!(seen.bytes_in < 1 << 30, "{}: read without end: {seen:?}", bench.case);
}
