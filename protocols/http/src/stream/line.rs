//! An open line and what makes it one kind or another.

use super::message::Message;
use super::step::Open;
use crate::connection::{Connection, Stream};
use crate::fault::Fault;
use crate::head::Head;
use crucible_core::{ErrorClass, Ns, Rng};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncWrite, ReadBuf};

/// Messages that nobody has waited for yet, of one line: how many are kept, and how many bytes; the oldest go first.
const BACKLOG: (usize, usize) = (64, 16 << 10);
/// Bytes read from one line in one go before others have their turn.
const TURN: usize = 256 << 10;

/// What makes a line a socket, or a stream of events.
pub trait Kind: 'static {
    /// The name of the protocol.
    const PROTOCOL: &'static str;
    /// Whether a line that ends while somebody waits is opened again, if the plan allows it.
    const RESUMES: bool;
    /// Settings of all lines of this kind.
    type Settings: Clone + Send + Sync + 'static;
    /// What the codecs of one shard share.
    type Local: 'static;
    /// What the handshake's answer is compared with.
    type Greeting;
    /// Bytes to messages and back.
    type Codec: Codec<Local = Self::Local>;

    /// What the codecs of one shard share.
    fn local(settings: &Self::Settings) -> Self::Local;

    /// Appends the kind's own header lines to the head of the request that opens a line; `resume` is the last event id of
    /// the line before.
    fn greet(
        settings: &Self::Settings,
        open: &Open,
        resume: Option<&str>,
        rng: &mut Rng,
        head: &mut Vec<u8>,
    ) -> Self::Greeting;

    /// Whether an answer with this status opens a line.
    fn opens(status: u16) -> bool;

    /// Looks at an answer that opens a line; `text` is the whole head.
    fn accept(
        settings: &Self::Settings,
        open: &Open,
        greeting: Self::Greeting,
        head: &Head,
        text: &[u8],
    ) -> Result<Self::Codec, Fault>;
}

/// Bytes to messages and back, for one line.
pub trait Codec: 'static {
    /// What the codecs of one shard share.
    type Local;

    /// Takes bytes as they arrive: whole messages go to `out`, what must be answered at once to `replies`. After an error
    /// nothing more is fed.
    fn feed(
        &mut self,
        local: &mut Self::Local,
        bytes: &[u8],
        rng: &mut Rng,
        out: &mut Vec<Message>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Fault>;

    /// The peer's close code, once it has closed; 1005 if it gave none.
    fn closed(&self) -> Option<u16>;

    /// The peer has ended the connection: whether that is how a line of this kind may end.
    fn end(&self) -> Result<(), Fault>;

    /// Appends a message.
    fn encode(
        &mut self,
        local: &mut Self::Local,
        data: &[u8],
        binary: bool,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    );

    /// Appends what closes the line; `false` if the peer answers nothing to it.
    fn close(&mut self, code: u16, rng: &mut Rng, out: &mut Vec<u8>) -> bool;

    /// The last event id, and how long to wait before the line is opened again.
    fn resume(&self) -> (Option<&str>, Option<Ns>) {
        (None, None)
    }
}

/// What a handshake came to.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// Status of the answer.
    pub status: u16,
    /// Its head.
    pub head: Vec<u8>,
    /// `Retry-After` stood in it.
    pub retry_after: bool,
}

/// Why a line is gone.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) class: ErrorClass,
    /// The close code, 0 if there was none.
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// An open line.
pub(crate) struct Line<K: Kind> {
    /// Until it is gone.
    pub(crate) connection: Option<Box<Connection>>,
    pub(crate) codec: K::Codec,
    pub(crate) rng: Rng,
    /// What nobody has waited for yet.
    pub(crate) backlog: VecDeque<Message>,
    /// Bytes that could not be written yet.
    pub(crate) outbox: Vec<u8>,
    /// When it was last seen empty, on the probe's clock.
    pub(crate) drained: Ns,
    /// Messages that came while no operation looked and that no measure has counted.
    pub(crate) uncounted: u64,
    /// An operation is under way on it.
    pub(crate) busy: bool,
    pub(crate) gone: Option<Box<Gone>>,
}

pub(crate) type Shared<K> = Rc<RefCell<Line<K>>>;

impl<K: Kind> Line<K> {
    pub(crate) fn new(connection: Box<Connection>, codec: K::Codec, rng: Rng, now: Ns) -> Line<K> {
        Line {
            connection: Some(connection),
            codec,
            rng,
            backlog: VecDeque::new(),
            outbox: Vec::new(),
            drained: now,
            uncounted: 0,
            busy: false,
            gone: None,
        }
    }

    /// Keeps messages that came with the answer to the opening: no operation looked at them.
    pub(crate) fn keep_uncounted(&mut self, messages: Vec<Message>) {
        self.uncounted += messages.len() as u64;
        messages.into_iter().for_each(|message| self.keep(message));
    }

    /// Keeps a message that nobody waits for at present.
    pub(crate) fn keep(&mut self, message: Message) {
        self.backlog.push_back(message);
        let mut weight: usize = self.backlog.iter().map(Message::weight).sum();
        while self.backlog.len() > BACKLOG.0 || weight > BACKLOG.1 {
            let Some(oldest) = self.backlog.pop_front() else { return };
            weight -= oldest.weight();
        }
    }

    /// Notes that nothing more comes.
    pub(crate) fn leave(&mut self, class: ErrorClass, text: impl Into<String>) {
        if self.gone.is_none() {
            let code = self.codec.closed().unwrap_or(0);
            self.gone = Some(Box::new(Gone { class, code, text: text.into() }));
        }
        self.connection = None;
    }

    /// Says goodbye as well as that goes without waiting, and leaves.
    pub(crate) fn part(&mut self) {
        let mut out = Vec::new();
        if self.gone.is_none() && self.outbox.is_empty() && self.codec.close(1000, &mut self.rng, &mut out) {
            self.outbox = out;
            self.push_out();
        }
        self.leave(ErrorClass::Reset, "it was closed by this plan");
    }

    /// Takes what has arrived, without waiting: answers pings, keeps messages.
    pub(crate) fn take_arrived(&mut self, local: &mut K::Local, scratch: &mut [u8]) {
        let mut messages = Vec::new();
        let mut taken = 0;
        while taken < TURN {
            self.push_out();
            let Some(connection) = &mut self.connection else { return };
            let count = match connection.stream.try_read(scratch) {
                Ok(0) => {
                    let (class, text) = ended(&self.codec);
                    return self.leave(class, text);
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.leave(ErrorClass::Reset, error.to_string()),
            };
            taken += count;
            let fed =
                self.codec.feed(local, &scratch[..count], &mut self.rng, &mut messages, &mut self.outbox);
            self.uncounted += messages.len() as u64;
            messages.drain(..).for_each(|message| self.keep(message));
            self.push_out();
            match (fed, self.codec.closed()) {
                (Err(fault), _) => self.leave(fault.class(), fault.text()),
                (Ok(()), Some(code)) => self.leave(close_class(code), close_text(code)),
                (Ok(()), None) => {}
            }
        }
    }

    /// Writes what waits, as far as the socket takes it at once.
    pub(crate) fn push_out(&mut self) {
        while !self.outbox.is_empty() {
            let Some(connection) = &mut self.connection else { return };
            match connection.stream.try_write(&self.outbox) {
                Ok(written) if written == self.outbox.len() => self.outbox = Vec::new(),
                Ok(written) => {
                    self.outbox.drain(..written);
                }
                Err(_) => return,
            }
        }
    }
}

/// What the end of the connection means.
pub(crate) fn ended<C: Codec>(codec: &C) -> (ErrorClass, String) {
    match codec.end() {
        Ok(()) => (ErrorClass::Reset, "the server ended the connection".to_owned()),
        Err(fault) => (fault.class(), fault.text()),
    }
}

/// What a close code that nobody asked for says about the operation (RFC 6455 7.4.1; 4000 and above are the
/// application's).
pub(crate) fn close_class(code: u16) -> ErrorClass {
    match code {
        1002 | 1003 | 1007..=1010 | 4000..=4999 => ErrorClass::ClientError,
        1011 | 1012 => ErrorClass::ServerError,
        1013 => ErrorClass::Throttled,
        _ => ErrorClass::Reset,
    }
}

pub(crate) fn close_text(code: u16) -> String {
    match code {
        1005 => "the server closed it without a code".to_owned(),
        code => format!("the server closed it with code {code}"),
    }
}

impl Stream {
    /// Reads what is there, without waiting.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_read(buffer),
            Stream::Unix(stream) => stream.try_read(buffer),
            Stream::Tls(_) => {
                let mut buffer = ReadBuf::new(buffer);
                match self.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
                    Poll::Ready(read) => read.map(|()| buffer.filled().len()),
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Writes what fits, without waiting.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
            Stream::Tls(stream) => {
                let mut context = Context::from_waker(Waker::noop());
                let written = Pin::new(&mut *stream).poll_write(&mut context, bytes);
                // what the channel holds back goes out with the next look
                let _ = Pin::new(stream).poll_flush(&mut context);
                match written {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }
}
