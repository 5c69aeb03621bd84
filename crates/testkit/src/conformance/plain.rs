//! Cases with servers that mean well.

use super::bench::{Bench, GRACE, LIMIT, Seen};
use crate::servers::Action;
use crucible_core::{ErrorClass, Ns, Outcome, Phase, Protocol};

const PATIENT: Ns = Ns::from_secs(10);

pub(super) fn good<P: Protocol>(bench: &Bench<'_, P>) {
    let case = bench.case;
    let server = bench.server(vec![bench.answering(0..1)]);
    let seen = bench.session(server.addr(), PATIENT).call();
    let (bytes, code) = bench.answer(0);
    assert_eq!(
        (seen.outcome, seen.class, seen.code),
        (Outcome::Ok, ErrorClass::None, code),
        "{case}: {seen:?}"
    );
    assert_eq!(seen.bytes_in, bytes.len() as u64, "{case}: bytes read");
    assert!(seen.bytes_out > 0, "{case}: bytes written");
    assert_eq!(seen.connections, 1, "{case}: connections opened");
    assert!(seen.phases[Phase::Connect as usize].is_some(), "{case}: no connect phase: {seen:?}");
    timed(case, &seen);
}

/// The phases are there and lie within the operation.
fn timed(case: &str, seen: &Seen) {
    for phase in [Phase::Send, Phase::Wait, Phase::Receive] {
        assert!(seen.phases[phase as usize].is_some(), "{case}: no {} phase: {seen:?}", phase.name());
    }
    let sum: Ns = seen.phases.iter().flatten().copied().sum();
    let took = seen.finished.since(seen.started);
    assert!(sum <= took, "{case}: the phases last {sum}, the call {took}");
    assert!(
        (seen.started..=seen.finished).contains(&seen.first_byte),
        "{case}: first byte outside of the call"
    );
}

pub(super) fn kept<P: Protocol>(bench: &Bench<'_, P>) {
    let case = bench.case;
    let server = bench.server(vec![bench.answering(0..5), bench.answering(5..20)]);
    let mut session = bench.session(server.addr(), PATIENT);
    for number in 0..5 {
        let seen = session.call();
        let (bytes, code) = bench.answer(number);
        assert_eq!((seen.outcome, seen.code), (Outcome::Ok, code), "{case}: call {number}: {seen:?}");
        assert_eq!(seen.bytes_in, bytes.len() as u64, "{case}: bytes read in call {number}");
        timed(case, &seen);
        if number > 0 && seen.connections == 0 {
            let connect = seen.phases[Phase::Connect as usize];
            assert_eq!(connect, None, "{case}: a kept connection has a connect phase");
        }
    }
}

pub(super) fn closed_between<P: Protocol>(bench: &Bench<'_, P>) {
    let case = bench.case;
    let scripts = (0..6).map(|number| bench.answering(number..number + 1)).collect();
    let server = bench.server(scripts);
    let mut session = bench.session(server.addr(), PATIENT);
    let mut good = 0;
    for _ in 0..6 {
        let seen = session.call();
        // the server may close while the next request is under way: then the call may fail, but in time and only so
        let lost = (seen.outcome, seen.class) == (Outcome::Failed, ErrorClass::Reset);
        assert!(seen.outcome == Outcome::Ok || lost, "{case}: {seen:?}");
        good += u32::from(seen.outcome == Outcome::Ok);
    }
    assert!(good >= 3, "{case}: only {good} of 6 calls succeeded");
}

pub(super) fn left_over<P: Protocol>(bench: &Bench<'_, P>) {
    let case = bench.case;
    let (mut bytes, code) = bench.answer(0);
    let (stale, stale_code) = bench.answer(1);
    bytes.extend(stale);
    let mut first = vec![bench.dialect.await_request.clone(), Action::Send(bytes)];
    first.extend(bench.answering(2..3));
    let server = bench.server(vec![first, bench.answering(2..8)]);
    let mut session = bench.session(server.addr(), LIMIT);
    let seen = session.call();
    assert!(seen.outcome != Outcome::Ok || seen.code == code, "{case}: {seen:?}");
    let seen = session.call();
    assert!(
        seen.outcome != Outcome::Ok || seen.code != stale_code,
        "{case}: a stale answer was taken: {seen:?}"
    );
    assert!(seen.finished.since(seen.started) < LIMIT + GRACE, "{case}: {seen:?}");
}
