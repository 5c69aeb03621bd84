//! The suite itself: a plain client conforms, and each flaw put into it is found.

#![allow(clippy::unwrap_used)]

use crucible_core::{
    Call, ErrorClass, Ns, Outcome, Phase, Probe, Protocol, Session, SessionContext, Worker, WorkerContext,
    WorkerError,
};
use crucible_testkit::conformance::{self, Dialect, Setup};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// A connection whose exchange was dropped is used again.
    KeepsDropped,
    /// No time limit.
    Endless,
    /// An answer cut off counts.
    TakesHalves,
}

#[derive(Clone, Copy)]
struct Plain {
    setup: Setup,
    flaw: Flaw,
}

struct PlainSession {
    plain: Plain,
    kept: Option<Rc<TcpStream>>,
}

impl Protocol for Plain {
    type Worker = Plain;
    fn worker(&self, _: &WorkerContext) -> Result<Plain, WorkerError> {
        Ok(*self)
    }
}

impl Worker for Plain {
    type Session = PlainSession;
    fn session(&self, _: SessionContext) -> PlainSession {
        PlainSession { plain: *self, kept: None }
    }
}

async fn after(limit: Ns) {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
    let (secs, nanos) = (limit.0 / 1_000_000_000, limit.0 % 1_000_000_000);
    let spec = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec { tv_sec: secs as i64, tv_nsec: nanos as i64 },
    };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec).unwrap();
    // SAFETY: the descriptor is owned by the `AsyncFd`, so it stays open and the same as long as it is registered.
    let timer = unsafe { AsyncFd::register_with_interest(timer, tokio::io::Interest::READABLE) }.unwrap();
    drop(timer.readable().await.unwrap());
}

impl Session for PlainSession {
    async fn run(&mut self, _: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let limit =
            if self.plain.flaw == Flaw::Endless { Ns::from_secs(3600) } else { self.plain.setup.limit };
        let ended = {
            let mut late = pin!(after(limit));
            let mut exchange = pin!(self.exchange(probe));
            poll_fn(|context| match exchange.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => late.as_mut().poll(context).map(|()| None),
            })
            .await
        };
        let class = match ended {
            Some(Ok(())) => return Outcome::Ok,
            Some(Err(class)) => class,
            None => ErrorClass::Timeout,
        };
        self.kept = None;
        probe.fail(class, String::new);
        if class == ErrorClass::Timeout { Outcome::TimedOut } else { Outcome::Failed }
    }
}

impl PlainSession {
    async fn exchange(&mut self, probe: &mut Probe<'_>) -> Result<(), ErrorClass> {
        let flaw = self.plain.flaw;
        let idle = |s: &Rc<TcpStream>| matches!(s.try_read(&mut [0; 1]), Err(e) if e.kind() == ErrorKind::WouldBlock);
        let stream = match self.kept.take().filter(|stream| flaw == Flaw::KeepsDropped || idle(stream)) {
            Some(stream) => stream,
            None => {
                probe.connections += 1;
                let opened = TcpStream::connect(self.plain.setup.addr).await;
                probe.mark(Phase::Connect);
                Rc::new(opened.map_err(|e| match e.kind() {
                    ErrorKind::ConnectionRefused => ErrorClass::Refused,
                    _ => ErrorClass::Reset,
                })?)
            }
        };
        if flaw == Flaw::KeepsDropped {
            self.kept = Some(stream.clone());
        }
        stream.writable().await.map_err(|_| ErrorClass::Reset)?;
        let sent = stream.try_write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").map_err(|_| ErrorClass::Reset)?;
        probe.bytes_out += sent as u64;
        probe.mark(Phase::Send);
        self.answer(&stream, probe).await?;
        probe.mark(Phase::Receive);
        self.kept = Some(stream);
        Ok(())
    }

    async fn answer(&self, stream: &TcpStream, probe: &mut Probe<'_>) -> Result<(), ErrorClass> {
        let mut got = Vec::new();
        loop {
            stream.readable().await.map_err(|_| ErrorClass::Reset)?;
            let mut piece = [0; 4096];
            let count = match stream.try_read(&mut piece) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(_) => 0,
                Ok(count) => count,
            };
            if count == 0 {
                let halves = self.plain.flaw == Flaw::TakesHalves && !got.is_empty();
                return if halves { Ok(()) } else { Err(ErrorClass::Reset) };
            }
            if got.is_empty() {
                probe.mark(Phase::Wait);
            }
            got.extend_from_slice(&piece[..count]);
            probe.bytes_in += count as u64;
            if let Some(length) = whole(&got, probe)? {
                return if got.len() == length { Ok(()) } else { Err(ErrorClass::Protocol) };
            }
        }
    }
}

/// The length of the whole answer, once it is there.
fn whole(got: &[u8], probe: &mut Probe<'_>) -> Result<Option<usize>, ErrorClass> {
    let text = String::from_utf8_lossy(got);
    let start = "HTTP/1.1 ";
    if got.len() > 16_384 || !(text.starts_with(start) || start.starts_with(&*text)) {
        return Err(ErrorClass::Protocol);
    }
    let Some(end) = text.find("\r\n\r\n") else { return Ok(None) };
    let head = &text[..end];
    if head.matches("content-length").count() != 1 {
        return Err(ErrorClass::Protocol);
    }
    let code = head.get(9..12).and_then(|code| code.parse().ok());
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<u32>().ok());
    let (Some(code), Some(length)) = (code, length) else { return Err(ErrorClass::Protocol) };
    probe.code = code;
    let length = end + 4 + length as usize;
    Ok((got.len() >= length).then_some(length))
}

fn run(flaw: Flaw) {
    conformance::protocol(&Dialect::http1(), |setup| Plain { setup, flaw });
}

#[test]
fn a_plain_client_conforms() {
    run(Flaw::None);
}

#[test]
#[should_panic(expected = "dropped at every await point: call")]
fn a_client_that_keeps_a_dropped_connection_is_found() {
    run(Flaw::KeepsDropped);
}

#[test]
#[should_panic(expected = "no answer ever: a call hangs")]
fn a_client_without_a_limit_is_found() {
    run(Flaw::Endless);
}

#[test]
#[should_panic(expected = "inside an answer: Seen")]
fn a_client_that_takes_halves_is_found() {
    run(Flaw::TakesHalves);
}
