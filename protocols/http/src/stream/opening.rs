//! Opening a line: one HTTP exchange whose answer goes on.

use super::line::{Accepted, Codec, Kind, Line};
use super::message::Message;
use super::protocol::{PreparedOpen, Shard};
use crate::connection::Connection;
use crate::dial::Limits;
use crate::exchange::{Sent, send};
use crate::fault::{During, Fault};
use crate::head::{self, Head};
use crucible_core::{ErrorClass, Phase, Probe, Rng, Scope};
use std::future::poll_fn;
use std::task::Poll;
use tokio::io::ReadBuf;

/// Most interim answers (1xx) before the final one.
const INTERIM_LIMIT: u8 = 32;

/// An answer to the handshake: what it said, and the line if it opened one, with messages that came along.
pub(crate) struct Answer<K: Kind> {
    pub(crate) said: Accepted,
    pub(crate) line: Option<Line<K>>,
    pub(crate) early: Vec<Message>,
}

/// Dials, asks, and reads the answer's head.
pub(crate) async fn open<K: Kind>(
    shard: &Shard<K>,
    open: &PreparedOpen,
    resume: Option<&str>,
    mut rng: Rng,
    limits: &mut Limits<'_>,
    scope: &mut Scope,
    probe: &mut Probe<'_>,
) -> Result<Answer<K>, Fault> {
    let mut lines = Vec::new();
    let greeting = K::greet(&shard.own, &open.spec, resume, &mut rng, &mut lines);
    let lines = String::from_utf8_lossy(&lines);
    let mut bytes = Vec::new();
    open.request
        .render(scope, None, &mut |_, _| Ok(Some(lines.to_string())), &mut bytes)
        .map_err(|missing| Fault::Told(ErrorClass::Value, missing))?;
    let mut connection = shard.dialer.open(&open.request.origin, limits, probe).await?;
    let before = connection.counted();
    let answered = exchange(shard, &mut connection, &bytes, limits, probe).await;
    if let (Some(before), Some(after)) = (before, connection.counted()) {
        probe.bytes_in += after.0 - before.0;
        probe.bytes_out += after.1 - before.1;
    }
    let (head, length, text) = answered?;
    probe.code = head.status;
    let said = Accepted { status: head.status, head: text[..length].to_vec(), retry_after: head.retry_after };
    if !K::opens(head.status) {
        return Ok(Answer { said, line: None, early: Vec::new() });
    }
    let mut codec = K::accept(&shard.own, &open.spec, greeting, &head, &said.head)?;
    let (mut early, mut replies) = (Vec::new(), Vec::new());
    let local = &mut shard.local.borrow_mut();
    let fed = codec.feed(local, &text[length..], &mut rng, &mut early, &mut replies);
    let now = probe.marked_at();
    early.iter_mut().for_each(|message| message.at = Some(now));
    let mut line: Line<K> = Line::new(connection, codec, rng, now);
    line.outbox = replies;
    line.push_out();
    match (fed, line.codec.closed()) {
        (Err(fault), _) => line.leave(fault.class(), fault.text()),
        (Ok(()), Some(code)) => line.leave(super::line::close_class(code), super::line::close_text(code)),
        (Ok(()), None) => {}
    }
    Ok(Answer { said, line: Some(line), early })
}

/// Writes the request and reads to the end of the final answer's head: the head, its length, and all that was read.
async fn exchange<K: Kind>(
    shard: &Shard<K>,
    connection: &mut Connection,
    bytes: &[u8],
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<(Head, usize, Vec<u8>), Fault> {
    limits.part(limits.timeouts.send, probe.marked_at());
    if let Sent::Cut(Some(error)) = send(connection, bytes, limits, probe).await? {
        return Err(Fault::Io(During::Send, error));
    }
    probe.mark(Phase::Send);
    limits.part(limits.timeouts.first_byte, probe.marked_at());
    let plain = connection.counted().is_none();
    let mut reading = Reading::default();
    poll_fn(|cx| {
        let mut scratch = shard.scratch.borrow_mut();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let during = if reading.bytes.is_empty() { During::Wait } else { During::Receive };
            match connection.stream.poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    limits.slot.register(cx.waker());
                    return match limits.passed(probe) {
                        true => Poll::Ready(Err(Fault::Timeout(during))),
                        false => Poll::Pending,
                    };
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Io(during, error))),
                Poll::Ready(Ok(())) => {}
            }
            if buffer.filled().is_empty() {
                let nothing = during == During::Wait;
                return Poll::Ready(Err(if nothing { Fault::Closed } else { Fault::Truncated }));
            }
            if plain {
                probe.bytes_in += buffer.filled().len() as u64;
            }
            if during == During::Wait {
                probe.mark(Phase::Wait);
                limits.part(limits.timeouts.receive, probe.marked_at());
            }
            match reading.take(buffer.filled()) {
                Ok(None) => {}
                Ok(Some((head, length))) => {
                    return Poll::Ready(Ok((head, length, std::mem::take(&mut reading.bytes))));
                }
                Err(text) => return Poll::Ready(Err(Fault::Bad(ErrorClass::Protocol, text))),
            }
            // trickled bytes must not keep the time limit from being noticed
            if limits.passed(probe) {
                return Poll::Ready(Err(Fault::Timeout(During::Receive)));
            }
        }
    })
    .await
}

/// Bytes until the head of the final answer is whole.
#[derive(Default)]
struct Reading {
    bytes: Vec<u8>,
    interim: u8,
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
        self.bytes.extend_from_slice(bytes);
        loop {
            match head::parse(&self.bytes)? {
                Some((head, length)) if head.status < 200 && head.status != 101 => {
                    self.interim += 1;
                    if self.interim > INTERIM_LIMIT {
                        return Err("more than 32 interim answers (1xx)");
                    }
                    self.bytes.drain(..length);
                }
                other => return Ok(other),
            }
        }
    }
}
