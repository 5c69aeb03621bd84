//! A call dropped at any await point must leave nothing that a later call takes for its own answer.

use super::bench::Bench;
use crate::servers::Action;
use crucible_core::{Ns, Outcome, Protocol};
use std::time::Duration;

/// Await points after which the search gives up.
const MOST_POINTS: usize = 64;
/// Requests that one scripted connection answers.
const ANSWERS: usize = 6;
/// Actions for one answer.
const ACTIONS: usize = 4;

/// Answers in two pieces with pauses, so that a call has many points at which it can be dropped.
fn slow_answers<P: Protocol>(bench: &Bench<'_, P>, connection: usize) -> Vec<Action> {
    let pause = Action::Wait(Duration::from_millis(2));
    (0..ANSWERS)
        .flat_map(|request| {
            let (bytes, _) = bench.answer(number(connection, request));
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            [
                bench.dialect.await_request.clone(),
                Action::Send(head.to_vec()),
                pause.clone(),
                Action::Send(tail.to_vec()),
            ]
        })
        .collect()
}

/// Which answer request `request` of connection `connection` gets: neighbours differ.
fn number(connection: usize, request: usize) -> usize {
    connection * 3 + request
}

pub(super) fn at_every_point<P: Protocol>(bench: &Bench<'_, P>) {
    let case = bench.case;
    for polls in 1..MOST_POINTS {
        let scripts = (0..6).map(|connection| slow_answers(bench, connection)).collect();
        let server = bench.server(scripts);
        let mut session = bench.session(server.addr(), Ns::from_secs(10));
        let dropped = session.call_for(polls).is_none();
        for later in 1..=2 {
            let seen = session.call();
            assert_eq!(
                seen.outcome,
                Outcome::Ok,
                "{case}: call {later} after a drop at poll {polls}: {seen:?}"
            );
            // the answer must be that to the last request of some connection, as the server counts them
            let last: Vec<u16> = server
                .progress()
                .iter()
                .enumerate()
                .filter(|(_, begun)| **begun > 1)
                .map(|(connection, begun)| {
                    // the connection may already be waiting for a request beyond the last one
                    let request = (begun - 2) / ACTIONS;
                    bench.answer(number(connection, request)).1
                })
                .collect();
            assert!(
                last.contains(&seen.code),
                "{case}: call {later} after a drop at poll {polls} has a stale answer: {} is none of {last:?}",
                seen.code
            );
        }
        if !dropped {
            return;
        }
    }
    panic!("{case}: a call has more than {MOST_POINTS} await points");
}
