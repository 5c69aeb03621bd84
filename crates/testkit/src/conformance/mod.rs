//! The suite that holds every protocol to `docs/specs/protocol.md`.
//!
//! [`protocol`] runs all [`CASES`] against scripted servers on loopback and panics with the name of the first case
//! that does not hold: it is meant to be called from a test of the protocol's crate.

mod bench;
mod cancel;
mod hostile;
mod plain;

pub use bench::Setup;

use crate::servers::Action;
use bench::Bench;
use crucible_core::Protocol;

/// What the suite must know of a protocol's wire format.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Waits on the server's side until one request of step 0 has arrived.
    pub await_request: Action,
    /// At least eight complete good answers, all with different codes, each with its code. Answering with them must
    /// leave the connection open.
    pub answers: Vec<(Vec<u8>, u16)>,
    /// What no peer of this protocol may send.
    pub garbage: Vec<Vec<u8>>,
}

impl Dialect {
    /// HTTP/1.1 with answers that have a length.
    pub fn http1() -> Dialect {
        let answer = |code: u16| {
            let body = format!("answer {code}");
            let text = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            (text.into_bytes(), code)
        };
        let mut long_head = b"HTTP/1.1 200 OK\r\n".to_vec();
        (0..50_000).for_each(|k| long_head.extend_from_slice(format!("x-{k}: y\r\n").as_bytes()));
        Dialect {
            await_request: Action::ReadHead,
            answers: [200, 201, 202, 203, 206, 207, 208, 226].map(answer).into(),
            garbage: vec![
                b"\x00\x01\x02\xff\r\n\r\n".to_vec(),
                b"HTTP/9.9 abc\r\n\r\n".to_vec(),
                b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n".to_vec(),
                b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n".to_vec(),
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc".to_vec(),
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
                long_head,
            ],
        }
    }
}

/// One case: its name and what it does.
struct Case<P: Protocol> {
    name: &'static str,
    run: fn(&Bench<'_, P>),
}

impl<P: Protocol> Case<P> {
    const ALL: &'static [Case<P>] = &[
        Case { name: "a good answer gives ok, its code, its bytes and its phases", run: plain::good },
        Case { name: "a kept connection is used again", run: plain::kept },
        Case { name: "a connection closed between calls harms no later call", run: plain::closed_between },
        Case { name: "bytes beyond an answer are not the next answer", run: plain::left_over },
        Case { name: "nobody listens", run: hostile::refused },
        Case { name: "no answer ever", run: hostile::silent },
        Case { name: "an answer that trickles past the limit", run: hostile::trickle },
        Case { name: "a reset before the request", run: hostile::reset_at_once },
        Case { name: "a reset instead of an answer", run: hostile::reset },
        Case { name: "a reset inside an answer", run: hostile::reset_inside },
        Case { name: "the end of the stream instead of an answer", run: hostile::closed },
        Case { name: "a half-closed connection without an answer", run: hostile::half_closed },
        Case { name: "an answer cut off", run: hostile::cut_off },
        Case { name: "garbage", run: hostile::garbage },
        Case { name: "a flood of garbage", run: hostile::flood },
        Case { name: "dropped at every await point", run: cancel::at_every_point },
    ];
}

/// Runs the whole suite. `build` makes the protocol for a server's address; its step 0 must be one plain operation
/// there, without checks, with the time limit given.
///
/// # Panics
/// When the protocol does not conform; the message names the case.
pub fn protocol<P: Protocol>(dialect: &Dialect, build: impl Fn(Setup) -> P) {
    assert!(dialect.answers.len() >= 8, "the dialect needs eight answers");
    for case in Case::<P>::ALL {
        (case.run)(&Bench::new(case.name, dialect, &build));
    }
}
