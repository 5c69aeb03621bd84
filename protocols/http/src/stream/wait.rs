//! Waiting on a line: for a message, for so many, for a time, for the end.

use super::condition::Conditions;
use super::line::{Codec, Kind, Shared, close_class, close_text, ended};
use super::message::Message;
use super::protocol::Shard;
use super::stamp;
use super::step::{StreamStep, Wait};
use crate::dial::Limits;
use crate::fault::{During, Fault};
use crucible_core::{Ns, Phase, Probe, Scope};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A message's arrival is known if the line was seen empty at most this long before it was read.
const SURE: Ns = Ns::from_millis(10);

/// What has come of the waiting so far.
pub(crate) struct Watch<'s> {
    step: &'s StreamStep,
    /// Added to the probe's clock gives time since the Unix epoch.
    unix: Ns,
    /// Messages still wanted.
    left: u64,
    /// Messages seen.
    pub(crate) seen: u64,
    /// The message that was waited for, or the last one.
    pub(crate) message: Option<Message>,
}

/// How the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What was waited for has come.
    Met,
    /// The time is up.
    Time,
    /// The line is gone.
    Gone,
}

enum Taken {
    Met,
    Used,
    Unwanted(Message),
}

impl<'s> Watch<'s> {
    pub(crate) fn new(step: &'s StreamStep, unix: Ns) -> Watch<'s> {
        let left = if let Wait::Receive(count) = step.wait { count } else { 0 };
        Watch { step, unix, left, seen: 0, message: None }
    }

    fn take(&mut self, message: Message, scope: &mut Scope, probe: &mut Probe<'_>) -> Taken {
        match &self.step.wait {
            Wait::Expect(conditions) => {
                if !all_hold(conditions, &message, scope) {
                    return self.unwanted(message, scope);
                }
                self.latency(&message, probe);
                probe.mark(Phase::Wait);
                self.message = Some(message);
                Taken::Met
            }
            Wait::Receive(_) => {
                self.latency(&message, probe);
                self.left = self.left.saturating_sub(1);
                let first = self.message.replace(message).is_none();
                probe.mark(if first { Phase::Wait } else { Phase::Receive });
                if self.left == 0 { Taken::Met } else { Taken::Used }
            }
            Wait::Hold(_) => {
                self.latency(&message, probe);
                self.message = Some(message);
                Taken::Used
            }
            Wait::Closed(_) => Taken::Used,
            Wait::Nothing => self.unwanted(message, scope),
        }
    }

    fn unwanted(&self, message: Message, scope: &mut Scope) -> Taken {
        match &self.step.ignore {
            Some(conditions) if all_hold(conditions, &message, scope) => Taken::Used,
            _ => Taken::Unwanted(message),
        }
    }

    fn latency(&self, message: &Message, probe: &mut Probe<'_>) {
        let (Some(latency), Some(at)) = (&self.step.latency, message.at) else { return };
        let found = latency.from.find(message);
        if let Some(sent) = found.first().and_then(|value| stamp::unix(value)) {
            let arrived = self.unix + at;
            // differences of whole numbers: a double has no room for nanoseconds since 1970
            let late = arrived.since(sent).0 as f64 - sent.since(arrived).0 as f64;
            probe.measure(latency.measure, late / 1e6);
        }
    }

    /// Looks through what the line has kept; tells whether that was enough.
    pub(crate) fn look_back<K: Kind>(
        &mut self,
        line: &Shared<K>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> bool {
        let kept = std::mem::take(&mut line.borrow_mut().backlog);
        let mut left = VecDeque::new();
        let mut met = false;
        for message in kept {
            let taken = if met { Taken::Unwanted(message) } else { self.take(message, scope, probe) };
            match taken {
                Taken::Met => met = true,
                Taken::Used => {}
                Taken::Unwanted(message) => left.push_back(message),
            }
        }
        line.borrow_mut().backlog = left;
        met
    }
}

/// Reads until what `watch` waits for has come, the limit has passed, or the line is gone.
pub(crate) async fn wait<K: Kind>(
    shard: &Shard<K>,
    line: &Shared<K>,
    watch: &mut Watch<'_>,
    early: Vec<Message>,
    limits: &mut Limits<'_>,
    scope: &mut Scope,
    probe: &mut Probe<'_>,
) -> Ending {
    let mut arrived = early;
    let mut sure = false;
    poll_fn(|cx| {
        loop {
            if take_all(line, watch, &mut arrived, scope, probe) {
                return Poll::Ready(Ending::Met);
            }
            if line.borrow().gone.is_some() {
                return Poll::Ready(Ending::Gone);
            }
            let filled = fill(shard, line, &mut arrived, &mut sure, probe, cx);
            if filled.is_pending() {
                limits.slot.register(cx.waker());
            }
            // trickled bytes must not keep the time limit from being noticed
            match (filled, limits.passed(probe)) {
                (Poll::Pending, true) => return Poll::Ready(Ending::Time),
                (Poll::Pending, false) => return Poll::Pending,
                (Poll::Ready(()), true) => {
                    let met = take_all(line, watch, &mut arrived, scope, probe);
                    return Poll::Ready(if met { Ending::Met } else { Ending::Time });
                }
                (Poll::Ready(()), false) => {}
            }
        }
    })
    .await
}

/// Judges what has arrived; whatever is not wanted, or comes behind what was, is kept for later steps.
fn take_all<K: Kind>(
    line: &Shared<K>,
    watch: &mut Watch<'_>,
    arrived: &mut Vec<Message>,
    scope: &mut Scope,
    probe: &mut Probe<'_>,
) -> bool {
    let mut met = false;
    for message in arrived.drain(..) {
        watch.seen += 1;
        let taken = if met { Taken::Unwanted(message) } else { watch.take(message, scope, probe) };
        match taken {
            Taken::Met => met = true,
            Taken::Used => {}
            Taken::Unwanted(message) => line.borrow_mut().keep(message),
        }
    }
    met
}

/// One read: bytes to messages. What is wrong with them makes the line gone, behind the messages before it.
fn fill<K: Kind>(
    shard: &Shard<K>,
    line: &Shared<K>,
    arrived: &mut Vec<Message>,
    sure: &mut bool,
    probe: &mut Probe<'_>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let line = &mut *line.borrow_mut();
    let mut scratch = shard.scratch.borrow_mut();
    line.push_out();
    let Some(connection) = &mut line.connection else { return Poll::Ready(()) };
    let mut buffer = ReadBuf::new(&mut scratch);
    match connection.stream.poll_read(cx, &mut buffer) {
        Poll::Pending => {
            line.drained = probe.now();
            *sure = true;
            return Poll::Pending;
        }
        Poll::Ready(Err(error)) => {
            let fault = Fault::Io(During::Wait, error);
            line.leave(fault.class(), fault.text());
            return Poll::Ready(());
        }
        Poll::Ready(Ok(())) => {}
    }
    let bytes = buffer.filled();
    if bytes.is_empty() {
        let (class, text) = ended(&line.codec);
        line.leave(class, text);
        return Poll::Ready(());
    }
    if connection.counted().is_none() {
        probe.bytes_in += bytes.len() as u64;
    }
    let now = probe.now();
    let at = (*sure || now.since(line.drained) <= SURE).then_some(now);
    line.drained = now;
    let from = arrived.len();
    let local = &mut shard.local.borrow_mut();
    let fed = line.codec.feed(local, bytes, &mut line.rng, arrived, &mut line.outbox);
    arrived[from..].iter_mut().for_each(|message| message.at = at);
    line.push_out();
    match (fed, line.codec.closed()) {
        (Err(fault), _) => line.leave(fault.class(), fault.text()),
        (Ok(()), Some(code)) => line.leave(close_class(code), close_text(code)),
        (Ok(()), None) => {}
    }
    Poll::Ready(())
}

fn all_hold(conditions: &Conditions, message: &Message, scope: &mut Scope) -> bool {
    conditions.iter().all(|condition| condition.holds(message, scope))
}

/// Writes what waits in the line's outbox.
pub(crate) async fn write_out<K: Kind>(
    line: &Shared<K>,
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<(), Fault> {
    let mut at = 0;
    let written = poll_fn(|cx| {
        let line = &mut *line.borrow_mut();
        let Some(connection) = &mut line.connection else { return Poll::Ready(Err(Fault::Closed)) };
        while at < line.outbox.len() {
            match connection.stream.poll_write(cx, &line.outbox[at..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Fault::Closed)),
                Poll::Ready(Ok(written)) => at += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Io(During::Send, error))),
                Poll::Pending => return pending(cx, limits, probe),
            }
        }
        match connection.stream.poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(Fault::Io(During::Send, error))),
            Poll::Pending => pending(cx, limits, probe),
        }
    })
    .await;
    let line = &mut *line.borrow_mut();
    if line.connection.as_ref().is_some_and(|connection| connection.counted().is_none()) {
        probe.bytes_out += at as u64;
    }
    line.outbox = Vec::new();
    written
}

fn pending(cx: &mut Context<'_>, limits: &mut Limits<'_>, probe: &Probe<'_>) -> Poll<Result<(), Fault>> {
    limits.slot.register(cx.waker());
    if limits.passed(probe) { Poll::Ready(Err(Fault::Timeout(During::Send))) } else { Poll::Pending }
}
