//! What one virtual user holds: its open lines; and the course of one operation on one of them.

use super::line::{Codec, Kind, Shared, close_class, close_text};
use super::message::Message;
use super::opening::{self, Answer};
use super::outcome::{Done, conclude, outcome_of, refusal};
use super::protocol::{PreparedOpen, PreparedStep, Shard};
use super::request;
use super::step::{Payload, StreamStep, Wait};
use super::wait::{Ending, Watch, wait, write_out};
use crate::deadline::Slot;
use crate::dial::Limits;
use crate::fault::{During, Fault};
use crucible_core::{Call, ErrorClass, Ns, Outcome, Phase, Probe, Rng, Scope, Session, SessionContext};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Least pause before a line that ended is opened again, if the server does not say.
const AGAIN: Ns = Ns::from_millis(100);

/// One virtual user's lines.
pub struct StreamSession<K: Kind> {
    shard: Rc<Shard<K>>,
    lines: Vec<(u16, Shared<K>)>,
    slot: Option<Slot>,
    rng: Rng,
}

/// What stays the same during one operation.
struct Operation<'a, K: Kind> {
    shard: &'a Rc<Shard<K>>,
    step: &'a PreparedStep,
    /// Added to the probe's clock gives time since the Unix epoch.
    unix: Ns,
}

impl<K: Kind> Clone for Operation<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for Operation<'_, K> {}

/// What an operation reads and writes while it runs.
struct Tools<'a, 'p, 'c> {
    limits: Limits<'a>,
    scope: &'a mut Scope,
    probe: &'p mut Probe<'c>,
}

/// Makes a line unusable if the operation on it is cut off.
struct Busy<K: Kind>(Option<Shared<K>>);

impl<K: Kind> Busy<K> {
    fn new(line: &Shared<K>) -> Busy<K> {
        line.borrow_mut().busy = true;
        Busy(Some(Rc::clone(line)))
    }

    fn done(mut self) {
        if let Some(line) = self.0.take() {
            line.borrow_mut().busy = false;
        }
    }
}

impl<K: Kind> Drop for Busy<K> {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.borrow_mut().leave(ErrorClass::Reset, "an operation on it was cut off");
        }
    }
}

impl<K: Kind> StreamSession<K> {
    pub(crate) fn new(shard: Rc<Shard<K>>, context: SessionContext) -> StreamSession<K> {
        let rng = Rng::new(context.seed, K::PROTOCOL, context.vu.0);
        StreamSession { shard, lines: Vec::new(), slot: None, rng }
    }

    fn line(&self, number: u16) -> Option<Shared<K>> {
        self.lines.iter().find(|(known, _)| *known == number).map(|(_, line)| Rc::clone(line))
    }

    /// Takes a line away; says goodbye.
    fn forget(&mut self, number: u16) {
        if let Some(index) = self.lines.iter().position(|(known, _)| *known == number) {
            let (_, line) = self.lines.swap_remove(index);
            line.borrow_mut().part();
        }
    }

    /// Opens the line of the step, in place of the one that was open under its name.
    async fn open(
        &mut self,
        operation: Operation<'_, K>,
        open: &PreparedOpen,
        resume: Option<&str>,
        tools: &mut Tools<'_, '_, '_>,
    ) -> Result<(Answer<K>, Option<Shared<K>>), Fault> {
        let number = operation.step.line;
        self.forget(number);
        let rng = Rng::new(self.rng.next_u64(), K::PROTOCOL, u64::from(number));
        let Tools { limits, scope, probe } = tools;
        let mut answer = opening::open(operation.shard, open, resume, rng, limits, scope, probe).await?;
        let line = answer.line.take().map(|line| Rc::new(RefCell::new(line)));
        if let Some(line) = &line {
            self.lines.push((number, Rc::clone(line)));
            operation.shard.lines.add(operation.shard, line);
        }
        Ok((answer, line))
    }

    /// The line that the step is about, opened (again) if that is needed and allowed; with what was said if it was. No line:
    /// the server refused.
    async fn find(
        &mut self,
        operation: Operation<'_, K>,
        tools: &mut Tools<'_, '_, '_>,
    ) -> Result<(Option<Answer<K>>, Option<Shared<K>>), Fault> {
        let Operation { shard, step, .. } = operation;
        if let Some(open) = &step.open {
            let (answer, line) = self.open(operation, open, None, tools).await?;
            return Ok((Some(answer), line));
        }
        let line = self.line(step.line);
        if let Some(line) = line.as_ref().filter(|_| step.reopen.is_some()) {
            // the end may have come while nobody looked
            let mut line = line.borrow_mut();
            line.take_arrived(&mut shard.local.borrow_mut(), &mut shard.scratch.borrow_mut());
        }
        let gone = line.as_ref().and_then(|line| line.borrow().gone.clone());
        if let Some(line) = &line {
            // what came before the end, and the end itself, may still be wanted
            let kept = !line.borrow().backlog.is_empty() && step.spec.send.is_none();
            if gone.is_none() || kept || matches!(step.spec.wait, Wait::Closed(_)) {
                return Ok((None, Some(Rc::clone(line))));
            }
        }
        let Some(open) = self.opener(operation) else {
            tools.probe.code = gone.as_ref().map_or(0, |gone| gone.code);
            let why = gone.as_ref().map_or("no step has opened it", |gone| gone.text.as_str());
            let text = format!("there is nothing open for this step: {why}");
            return Err(Fault::Told(ErrorClass::Reset, text));
        };
        let resume = line.and_then(|line| line.borrow().codec.resume().0.map(str::to_owned));
        let (answer, line) = self.open(operation, open, resume.as_deref(), tools).await?;
        Ok((Some(answer), line))
    }

    /// How the step's line is opened again, if the plan allows that.
    fn opener<'a>(&self, operation: Operation<'a, K>) -> Option<&'a PreparedOpen> {
        let id = operation.step.reopen?;
        operation.shard.steps.get(usize::from(id.0))?.as_ref()?.open.as_ref()
    }

    async fn operate(&mut self, operation: Operation<'_, K>, tools: &mut Tools<'_, '_, '_>) -> Outcome {
        let mut done = Done::default();
        let result = match self.find(operation, tools).await {
            Err(fault) => Err(fault),
            Ok((answer, line)) => {
                let mut early = Vec::new();
                if let Some(answer) = answer {
                    done.said = Some(answer.said);
                    early = answer.early;
                }
                match line {
                    None => return refusal(operation.step, &done, tools.probe),
                    Some(line) => self.talk(operation, line, early, &mut done, tools).await,
                }
            }
        };
        match result {
            Ok(()) => conclude(operation.step, &done, tools.scope, tools.probe),
            Err(fault) => {
                let class = fault.class();
                tools.probe.fail(class, || fault.text());
                outcome_of(class)
            }
        }
    }

    /// Sends, waits, closes.
    async fn talk(
        &mut self,
        operation: Operation<'_, K>,
        mut line: Shared<K>,
        early: Vec<Message>,
        done: &mut Done,
        tools: &mut Tools<'_, '_, '_>,
    ) -> Result<(), Fault> {
        let step = operation.step;
        let busy = Busy::new(&line);
        let counted = |line: &Shared<K>| line.borrow().connection.as_ref().and_then(|c| c.counted());
        let before = counted(&line);
        let mut result = match &step.spec.send {
            Some(_) => send(operation, &line, tools).await,
            None => Ok(()),
        };
        if result.is_ok() {
            result = self.listen(operation, &mut line, early, done, tools).await;
        }
        if let (Some(code), Ok(())) = (step.spec.close, &result) {
            result = close(operation.shard, &line, code, done, tools).await;
            self.forget(step.line);
        }
        if let (Some(before), Some(after)) = (before, counted(&line)) {
            tools.probe.bytes_in += after.0.saturating_sub(before.0);
            tools.probe.bytes_out += after.1.saturating_sub(before.1);
        }
        busy.done();
        result
    }

    /// Waits as the step asks for; a line that ends is opened again if it is of a kind that goes on.
    async fn listen(
        &mut self,
        operation: Operation<'_, K>,
        line: &mut Shared<K>,
        mut early: Vec<Message>,
        done: &mut Done,
        tools: &mut Tools<'_, '_, '_>,
    ) -> Result<(), Fault> {
        let Operation { shard, step, unix } = operation;
        let spec = &step.spec;
        if matches!(spec.wait, Wait::Nothing) {
            line.borrow_mut().keep_uncounted(early);
            return Ok(());
        }
        let now = tools.probe.now();
        match spec.wait {
            Wait::Hold(time) => tools.limits.within(time, now),
            _ => tools.limits.within(spec.within.unwrap_or(Ns::MAX), now),
        }
        let mut watch = Watch::new(spec, unix);
        let mut ending = None;
        if !spec.is_round_trip() && watch.look_back(line, tools.scope, tools.probe) {
            line.borrow_mut().keep_uncounted(std::mem::take(&mut early));
            ending = Some(Ending::Met);
        }
        let ending = loop {
            if let Some(ending) = ending {
                break ending;
            }
            let came = std::mem::take(&mut early);
            let Tools { limits, scope, probe } = tools;
            let ending = wait(shard, line, &mut watch, came, limits, scope, probe).await;
            let open = if K::RESUMES { self.opener(operation) } else { None };
            let (Ending::Gone, Some(open)) = (ending, open) else { break ending };
            let pause = line.borrow().codec.resume().1.unwrap_or(AGAIN).max(AGAIN);
            if !rest(pause, limits, probe).await {
                break Ending::Time;
            }
            let resume = line.borrow().codec.resume().0.map(str::to_owned);
            let (answer, again) = self.open(operation, open, resume.as_deref(), tools).await?;
            done.said = Some(answer.said);
            let Some(again) = again else { break Ending::Gone };
            early = answer.early;
            *line = again;
        };
        if let Some(index) = spec.count {
            let seen = watch.seen + std::mem::take(&mut line.borrow_mut().uncounted);
            tools.probe.measure(index, seen as f64);
        }
        done.message = watch.message.take();
        ended(step, line, ending, watch.seen, done, tools.probe)
    }
}

/// What the end of the waiting means.
fn ended<K: Kind>(
    step: &PreparedStep,
    line: &Shared<K>,
    ending: Ending,
    seen: u64,
    done: &mut Done,
    probe: &mut Probe<'_>,
) -> Result<(), Fault> {
    match (ending, &step.spec.wait) {
        (Ending::Met, _) | (Ending::Time, Wait::Hold(_)) => Ok(()),
        (Ending::Time, wait) => {
            let own = matches!(wait, Wait::Expect(list) if list.iter().any(|one| one.is_own()));
            if step.spec.is_round_trip() && !own {
                // an answer that comes too late would be taken for that of the next question
                line.borrow_mut().leave(ErrorClass::Timeout, "an answer on it did not come in time");
            }
            let text = format!("what was waited for did not come in time; {seen} messages came");
            Err(Fault::Told(ErrorClass::Timeout, text))
        }
        (Ending::Gone, wait) => {
            let gone = line.borrow().gone.clone();
            let Some(gone) = gone else { return Err(Fault::Closed) };
            if gone.code != 0 {
                probe.code = gone.code;
                done.closed = Some(gone.code);
            }
            match wait {
                Wait::Closed(codes) if gone.code != 0 && (codes.is_empty() || codes.contains(&gone.code)) => {
                    Ok(())
                }
                _ => Err(Fault::Told(gone.class, gone.text.clone())),
            }
        }
    }
}

async fn send<K: Kind>(
    operation: Operation<'_, K>,
    line: &Shared<K>,
    tools: &mut Tools<'_, '_, '_>,
) -> Result<(), Fault> {
    let Operation { shard, step, .. } = operation;
    let Some(outgoing) = &step.spec.send else { return Ok(()) };
    let mut text = Vec::new();
    let (data, binary): (&[u8], bool) = match &outgoing.payload {
        Payload::Text(content) => {
            request::render(content, tools.scope, &mut text)
                .map_err(|missing| Fault::Told(ErrorClass::Value, missing))?;
            (&text, false)
        }
        Payload::Binary(bytes) => (bytes, true),
    };
    {
        let line = &mut *line.borrow_mut();
        let local = &mut shard.local.borrow_mut();
        if step.spec.is_round_trip() {
            // what is there before the question is not its answer
            line.take_arrived(local, &mut shard.scratch.borrow_mut());
        }
        if let Some(gone) = &line.gone {
            tools.probe.code = gone.code;
            return Err(Fault::Told(gone.class, gone.text.clone()));
        }
        line.codec.encode(local, data, binary, &mut line.rng, &mut line.outbox);
    }
    let Tools { limits, probe, .. } = tools;
    limits.part(limits.timeouts.send, probe.marked_at());
    let written = write_out(line, limits, probe).await;
    match &written {
        Ok(()) => probe.mark(Phase::Send),
        Err(fault) => line.borrow_mut().leave(fault.class(), fault.text()),
    }
    written
}

/// Closes and waits for the peer's answer to it.
async fn close<K: Kind>(
    shard: &Shard<K>,
    line: &Shared<K>,
    code: u16,
    done: &mut Done,
    tools: &mut Tools<'_, '_, '_>,
) -> Result<(), Fault> {
    if line.borrow().gone.is_some() {
        return Ok(());
    }
    let answered = {
        let line = &mut *line.borrow_mut();
        line.codec.close(code, &mut line.rng, &mut line.outbox)
    };
    if !answered {
        return Ok(());
    }
    let Tools { limits, scope, probe } = tools;
    limits.within(Ns::MAX, probe.now());
    write_out(line, limits, probe).await?;
    probe.mark(Phase::Send);
    let asked = StreamStep { wait: Wait::Closed(Vec::new()), ..StreamStep::default() };
    let mut watch = Watch::new(&asked, Ns::ZERO);
    let ending = wait(shard, line, &mut watch, Vec::new(), limits, scope, probe).await;
    if ending == Ending::Time {
        return Err(Fault::Timeout(During::Wait));
    }
    probe.mark(Phase::Wait);
    let answer = line.borrow().codec.closed();
    probe.code = answer.unwrap_or(0);
    done.closed = answer;
    match answer {
        // the peer repeats the code, or closed with 1000 or without one (RFC 6455 5.5.1)
        Some(answer) if answer == code || matches!(answer, 1000 | 1005) => Ok(()),
        Some(answer) => Err(Fault::Told(close_class(answer), close_text(answer))),
        None => Err(Fault::Closed),
    }
}

/// Waits; `false` if the limit passed before.
async fn rest(pause: Ns, limits: &mut Limits<'_>, probe: &Probe<'_>) -> bool {
    let now = probe.now();
    let (until, end) = (limits.until, limits.end);
    limits.end = until;
    limits.within(pause, now);
    poll_fn(|cx| {
        limits.slot.register(cx.waker());
        if limits.passed(probe) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    limits.end = end;
    let now = probe.now();
    limits.within(until.since(now), now);
    until.since(now) > Ns::ZERO
}

impl<K: Kind> Session for StreamSession<K> {
    async fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let shard = Rc::clone(&self.shard);
        let Some(step) = shard.steps.get(usize::from(call.step.0)).and_then(Option::as_ref) else {
            probe
                .fail(ErrorClass::Local, || format!("step {} is not a step of {}", call.step.0, K::PROTOCOL));
            return Outcome::Failed;
        };
        let mut slot = self.slot.take().unwrap_or_else(|| shard.deadlines.slot());
        slot.arm(step.timeouts.total);
        let started = probe.marked_at();
        let end = started + step.timeouts.total;
        let timeouts = &step.timeouts;
        let unix = call.scope.unix - started;
        let limits = Limits { slot: &mut slot, timeouts, parts: timeouts.has_parts(), end, until: end };
        let mut tools = Tools { limits, scope: call.scope, probe };
        let operation = Operation { shard: &shard, step, unix };
        // boxed, so that a user who is thinking does not hold the place of an operation
        let outcome = Box::pin(self.operate(operation, &mut tools)).await;
        slot.disarm();
        self.slot = Some(slot);
        outcome
    }
}

impl<K: Kind> Drop for StreamSession<K> {
    fn drop(&mut self) {
        self.lines.iter().for_each(|(_, line)| line.borrow_mut().part());
    }
}
