//! One request written and one answer read on an open connection.
//!
//! The answer is parsed out of a buffer that all sessions of a shard share: nothing waits between reading into it and
//! parsing it. Only what is left of an incomplete head is kept, in the exchange itself.

use crate::body::{Framing, Sink};
use crate::connection::Connection;
use crate::dial::Limits;
use crate::fault::{During, Fault};
use crate::head::{self, HEAD_LIMIT, Head};
use crate::protocol::Shard;
use crucible_core::{ErrorClass, Ns, Phase, Probe};
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// Most interim answers (1xx) before the final one.
const INTERIM_LIMIT: u8 = 32;

/// An answer while it comes in, and after.
pub(crate) struct Incoming {
    pub head: Head,
    /// Bytes of the head, if somebody will read them.
    pub kept_head: Vec<u8>,
    pub sink: Sink,
    stage: Stage,
    /// Start of a head that is not complete.
    pending: Vec<u8>,
    interim: u8,
    any_byte: bool,
    /// Bytes followed the end of the answer.
    junk: bool,
    wants: Wants,
}

/// What the answer is read for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// The request was HEAD.
    pub silent: bool,
    pub head: bool,
    pub cookies: bool,
    pub redirects: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Body(Framing),
    Done,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    /// `100 Continue` came, and somebody waits for it.
    Continue,
    Done,
}

impl Incoming {
    pub(crate) fn new(wants: Wants, keep_body: Option<Vec<u8>>, max_body: u64) -> Incoming {
        Incoming {
            head: Head::default(),
            kept_head: Vec::new(),
            sink: Sink { keep: keep_body, seen: 0, limit: max_body },
            stage: Stage::Head,
            pending: Vec::new(),
            interim: 0,
            any_byte: false,
            junk: false,
            wants,
        }
    }

    /// Whether the connection may carry a further exchange.
    pub(crate) fn reusable(&self) -> bool {
        self.stage == Stage::Done && !self.junk && self.head.persistent()
    }

    /// Whether the answer is complete.
    pub(crate) fn done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether any byte of an answer came.
    pub(crate) fn begun(&self) -> bool {
        self.any_byte
    }

    /// Takes bytes as they arrive; the result is the same however they are cut.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Fault> {
        self.any_byte |= !bytes.is_empty();
        if self.pending.is_empty() {
            return self.advance(bytes);
        }
        // read again only where that can tell something new, so that trickled heads cost little
        let before = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let now = self.pending.len();
        let worth = now <= 16 || now > HEAD_LIMIT || before >> 13 != now >> 13;
        if !worth && memchr::memchr(b'\n', bytes).is_none() {
            return Ok(Progress::More);
        }
        let pending = std::mem::take(&mut self.pending);
        self.advance(&pending)
    }

    fn advance(&mut self, mut bytes: &[u8]) -> Result<Progress, Fault> {
        loop {
            match &mut self.stage {
                Stage::Done => {
                    self.junk |= !bytes.is_empty();
                    return Ok(Progress::Done);
                }
                Stage::Body(framing) => {
                    let (used, done) = framing
                        .feed(bytes, &mut self.sink)
                        .map_err(|(class, text)| Fault::Bad(class, text))?;
                    if !done {
                        return Ok(Progress::More);
                    }
                    bytes = &bytes[used..];
                    self.stage = Stage::Done;
                }
                Stage::Head => {
                    let parsed = head::parse(bytes).map_err(|text| Fault::Bad(ErrorClass::Protocol, text))?;
                    let Some((head, length)) = parsed else {
                        self.pending.extend_from_slice(bytes);
                        return Ok(Progress::More);
                    };
                    let status = head.status;
                    self.enter_body(head, &bytes[..length])?;
                    bytes = &bytes[length..];
                    if status == 100 && bytes.is_empty() {
                        return Ok(Progress::Continue);
                    }
                    if bytes.is_empty() && self.stage == Stage::Head {
                        return Ok(Progress::More);
                    }
                }
            }
        }
    }

    fn enter_body(&mut self, head: Head, bytes: &[u8]) -> Result<(), Fault> {
        if head.status == 101 {
            self.head = head;
            return Err(Fault::Bad(
                ErrorClass::Unexpected,
                "the server changed the protocol, which nobody asked for",
            ));
        }
        if head.status < 200 {
            self.interim += 1;
            if self.interim > INTERIM_LIMIT {
                return Err(Fault::Bad(ErrorClass::Protocol, "more than 32 interim answers (1xx)"));
            }
            return Ok(());
        }
        let wants = self.wants;
        let redirects = wants.redirects && matches!(head.status, 300..=399) && head.location.is_some();
        if wants.head || wants.cookies && head.cookies || redirects {
            self.kept_head.extend_from_slice(bytes);
        }
        self.head = head;
        let framing = Framing::of(&self.head, wants.silent, self.sink.limit)
            .map_err(|(class, text)| Fault::Bad(class, text))?;
        self.stage = if framing == Framing::Length(0) { Stage::Done } else { Stage::Body(framing) };
        Ok(())
    }

    /// The peer has ended the connection.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match &self.stage {
            Stage::Body(Framing::Close) => {
                self.stage = Stage::Done;
                self.head.close = true;
                Ok(())
            }
            Stage::Done => Ok(()),
            Stage::Head if !self.any_byte => Err(Fault::Closed),
            _ => Err(Fault::Truncated),
        }
    }
}

/// Why writing ended.
#[derive(Debug)]
pub(crate) enum Sent {
    /// All of it was written.
    All,
    /// The answer came first, or the connection broke; an answer may still be there to read.
    Cut(Option<std::io::Error>),
}

/// Writes `bytes`: with one call to the kernel if they fit its buffer.
pub(crate) async fn send(
    connection: &mut Connection,
    bytes: &[u8],
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<Sent, Fault> {
    let mut at = 0;
    let sent = poll_fn(|cx| {
        while at < bytes.len() {
            match connection.stream.poll_write(cx, &bytes[at..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Sent::Cut(None))),
                Poll::Ready(Ok(written)) => at += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Ok(Sent::Cut(Some(error)))),
                Poll::Pending if connection.stream.poll_incoming(cx).is_ready() => {
                    return Poll::Ready(Ok(Sent::Cut(None)));
                }
                Poll::Pending => return give_up(cx, limits, probe, During::Send),
            }
        }
        match connection.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Sent::All)),
            Poll::Ready(Err(error)) => Poll::Ready(Ok(Sent::Cut(Some(error)))),
            Poll::Pending => give_up(cx, limits, probe, During::Send),
        }
    })
    .await;
    if connection.counted().is_none() {
        probe.bytes_out += at as u64;
    }
    sent
}

/// Nothing moves: waits on, unless the time is up.
#[inline]
fn give_up<T>(
    cx: &mut Context<'_>,
    limits: &mut Limits<'_>,
    probe: &Probe<'_>,
    during: During,
) -> Poll<Result<T, Fault>> {
    limits.slot.register(cx.waker());
    if limits.passed(probe) { Poll::Ready(Err(Fault::Timeout(during))) } else { Poll::Pending }
}

/// Reads until the answer is complete, or until `100 Continue` if `interim` says so.
pub(crate) async fn receive(
    connection: &mut Connection,
    shard: &Shard,
    incoming: &mut Incoming,
    interim: bool,
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<Progress, Fault> {
    let mut reads = 0u32;
    let plain = connection.counted().is_none();
    let result = poll_fn(|cx| {
        let mut scratch = shard.scratch.borrow_mut();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let during = if incoming.begun() { During::Receive } else { During::Wait };
            match connection.stream.poll_read(cx, &mut buffer) {
                Poll::Pending => return give_up(cx, limits, probe, during),
                Poll::Ready(Err(error)) => {
                    let cut_short = error.kind() == std::io::ErrorKind::UnexpectedEof;
                    let fault = match during {
                        _ if cut_short && incoming.begun() => Fault::Truncated,
                        _ if cut_short => Fault::Closed,
                        _ => crate::tls::explain_late(during, error),
                    };
                    return Poll::Ready(Err(fault));
                }
                Poll::Ready(Ok(())) => {}
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(incoming.end().map(|()| Progress::Done));
            }
            if plain {
                probe.bytes_in += bytes.len() as u64;
            }
            reads += 1;
            if reads == 1 && during == During::Wait {
                probe.mark(Phase::Wait);
                limits.part(limits.timeouts.receive, probe.marked_at());
            }
            if let Some(keep) = incoming.sink.keep.as_mut().filter(|keep| keep.capacity() == 0) {
                *keep = shard.buffer();
            }
            match incoming.feed(bytes) {
                Ok(Progress::More) => {}
                Ok(Progress::Continue) if !interim => {}
                other => return Poll::Ready(other),
            }
            // trickled bytes must not keep the time limit from being noticed
            if limits.passed(probe) {
                return Poll::Ready(Err(Fault::Timeout(During::Receive)));
            }
        }
    })
    .await;
    match reads {
        0 => {}
        // first and last byte came together: one look at the clock serves both
        1 if probe.phases[Phase::Receive as usize].is_none() => {
            probe.phases[Phase::Receive as usize] = Some(Ns::ZERO);
        }
        _ => probe.mark(Phase::Receive),
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The result of feeding `bytes` in pieces of these lengths, the connection ending behind the last.
    fn fed(bytes: &[u8], cuts: &[usize]) -> Result<(u16, u64, bool, Vec<u8>), ErrorClass> {
        let mut incoming = Incoming::new(Wants { head: true, ..Wants::default() }, Some(Vec::new()), 1 << 20);
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            let (piece, after) = rest.split_at(cut);
            rest = after;
            incoming.feed(piece).map_err(|fault| fault.class())?;
        }
        incoming.end().map_err(|fault| fault.class())?;
        let body = incoming.sink.keep.take().unwrap_or_default();
        Ok((incoming.head.status, incoming.sink.seen, incoming.reusable(), body))
    }

    /// Bytes that look enough like answers to get far into the parser.
    fn answer_like() -> impl Strategy<Value = Vec<u8>> {
        let parts = [
            "HTTP/1.1 200 OK",
            "HTTP/1.0 404 No",
            "HTTP/1.1 100 C",
            "HTTP/1.1 204 X",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "content-length: 5\r\n",
            "content-length: 3\r\n",
            "transfer-encoding: chunked\r\n",
            "connection: close\r\n",
            "set-cookie: a=b\r\n",
            "location: /x\r\n",
            "x: y\r\n",
            " folded\r\n",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "3;x=y\r\nabc\r\n",
            "a",
            "hello",
            ":",
            "\0",
            "\r",
        ];
        let part = prop_oneof![
            8 => proptest::sample::select(parts.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        let start = prop_oneof![
            4 => Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
            1 => Just(Vec::new()),
        ];
        (start, proptest::collection::vec(part, 0..12))
            .prop_map(|(start, parts)| [vec![start], parts].concat().concat())
    }

    proptest! {
        #[test]
        fn the_result_is_the_same_however_the_bytes_are_cut(
            bytes in answer_like(),
            cuts in proptest::collection::vec(1usize..9, 1..6),
        ) {
            prop_assert_eq!(fed(&bytes, &[usize::MAX]), fed(&bytes, &cuts));
            prop_assert_eq!(fed(&bytes, &[usize::MAX]), fed(&bytes, &[1]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = fed(&bytes, &[7]);
            let _ = fed(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", bytes.as_slice()].concat(), &[3]);
            let _ = fed(&[b"HTTP/1.1 200 OK\r\n", bytes.as_slice()].concat(), &[5]);
        }

        #[test]
        fn what_httparse_refuses_or_finds_incomplete_is_never_complete_here(bytes in answer_like()) {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut theirs = httparse::Response::new(&mut headers);
            let parsed = theirs.parse(&bytes);
            match (head::parse(&bytes), parsed) {
                (Ok(Some((head, length))), Ok(httparse::Status::Complete(their_length))) => {
                    prop_assert_eq!((head.status, length), (theirs.code.unwrap_or(0), their_length));
                }
                // folding is accepted here where it does no harm
                (Ok(Some(_)), other) => prop_assert!(
                    memchr::memmem::find(&bytes, b"\n ").is_some() || memchr::memmem::find(&bytes, b"\n\t").is_some(),
                    "{:?}", other
                ),
                _ => {}
            }
        }

        #[test]
        fn a_chunked_body_comes_back_whole(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            cut in 1usize..30,
        ) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:X};e=1\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\nX: y\r\n\r\n");
            let body = chunks.concat();
            prop_assert_eq!(fed(&bytes, &[cut]), Ok((200, body.len() as u64, true, body)));
        }
    }
}
