//! What one virtual user holds, and the course of one operation: kept connection or new one, retry, redirects,
//! cookies, checks, outcome.

use crate::connection::Connection;
use crate::deadline::Slot;
use crate::dial::Limits;
use crate::exchange::{Incoming, Progress, Sent, Wants, receive, send};
use crate::fault::{During, Fault};
use crate::outcome::{check, conclude, decode_body, fail, failure_text};
use crate::prepare::{Detour, Prepared};
use crate::protocol::Shard;
use crate::settings::{CONTINUE_WAIT, CookieMode};
use crate::{head, redirect};
use cookie_store::CookieStore;
use crucible_core::{Call, ErrorClass, Ns, Outcome, Phase, Probe, Scope, Session, SessionContext};
use std::rc::Rc;
use url::Url;

/// Idle connections that one user keeps to further origins.
const SPARE_LIMIT: usize = 6;
/// Longest `Set-Cookie` value that is kept, and most cookies of one answer.
const COOKIE_LIMIT: (usize, usize) = (4 << 10, 50);

/// One virtual user's connections, cookies and random stream.
pub struct HttpSession {
    shard: Rc<Shard>,
    /// The idle connection that was used last.
    connection: Option<Box<Connection>>,
    /// Idle connections to further origins.
    #[expect(clippy::vec_box, reason = "a connection moves between here and exchanges as one pointer")]
    spare: Vec<Box<Connection>>,
    slot: Slot,
    jar: Option<Box<CookieStore>>,
}

/// What stays the same during one operation.
#[derive(Clone, Copy)]
struct Operation<'a> {
    shard: &'a Shard,
    step: &'a Prepared,
    started: Ns,
}

impl HttpSession {
    pub(crate) fn new(shard: Rc<Shard>, _context: SessionContext) -> HttpSession {
        HttpSession { connection: None, spare: Vec::new(), slot: shard.deadlines.slot(), jar: None, shard }
    }

    /// An idle connection to the origin that is still good.
    #[inline]
    fn take(
        &mut self,
        shard: &Shard,
        origin: &std::sync::Arc<crate::origin::Origin>,
    ) -> Option<Box<Connection>> {
        if let Some(mut connection) = self.connection.take() {
            if std::sync::Arc::ptr_eq(&connection.origin, origin) || *connection.origin == **origin {
                if connection.quiet() {
                    return Some(connection);
                }
            } else if self.spare.len() < SPARE_LIMIT {
                self.spare.push(connection);
            }
        }
        loop {
            let mut connection = if shard.shares() {
                shard.take_pooled(origin)?
            } else {
                let index = self.spare.iter().rposition(|spare| *spare.origin == **origin)?;
                self.spare.swap_remove(index)
            };
            if connection.quiet() {
                return Some(connection);
            }
        }
    }

    #[inline]
    fn keep(&mut self, shard: &Shard, connection: Box<Connection>) {
        if shard.shares() {
            shard.pool(connection);
        } else if let Some(before) = self.connection.replace(connection)
            && self.spare.len() < SPARE_LIMIT
        {
            self.spare.push(before);
        }
    }

    async fn operate(
        &mut self,
        operation: Operation<'_>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Outcome {
        let Operation { shard, step, .. } = operation;
        let rng = scope.rng.clone();
        let first = match self.take(shard, &step.origin) {
            Some(connection) => match self.exchange(operation, None, connection, scope, probe).await {
                Ok(answer) if is_final(step, &answer) => {
                    if answer.head.cookies {
                        self.store_cookies(shard, &step.base, &answer);
                    }
                    return self.finish(operation, answer, probe);
                }
                Err(fault) if fault.before_answer() && step.idempotent => {
                    scope.rng = rng;
                    None
                }
                other => Some(other),
            },
            None => None,
        };
        Box::pin(self.go_on(operation, first, scope, probe)).await
    }

    /// Everything beyond one exchange on a kept connection: opening, retrying, following redirects.
    async fn go_on(
        &mut self,
        operation: Operation<'_>,
        mut first: Option<Result<Incoming, Fault>>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Outcome {
        let Operation { shard, step, started, .. } = operation;
        let mut detour: Option<Detour> = None;
        let mut since = started;
        let mut left = step.redirects;
        loop {
            let result = match first.take() {
                Some(result) => result,
                None if detour.is_none() => self.fresh(operation, None, scope, probe).await,
                None => self.anywhere(operation, detour.as_ref(), scope, probe).await,
            };
            let answer = match result {
                Ok(answer) => answer,
                Err(fault) => return fail(&fault, probe),
            };
            let url = detour.as_ref().map_or(&step.base, |detour| &detour.url);
            self.store_cookies(shard, url, &answer);
            if is_final(step, &answer) {
                return self.finish(operation, answer, probe);
            }
            match redirect::next(step, detour.as_ref(), &answer) {
                Ok(None) => return self.finish(operation, answer, probe),
                Ok(Some(_)) if left == 0 => {
                    let most = step.redirects;
                    let text = format!("more than {most} redirects");
                    return fail(&Fault::Told(ErrorClass::Unexpected, text), probe);
                }
                Ok(next) => {
                    left -= 1;
                    since = probe.hop(since, answer.head.status);
                    detour = next;
                }
                Err(text) => return fail(&Fault::Bad(ErrorClass::Unexpected, text), probe),
            }
        }
    }

    /// One exchange on a kept connection if there is one, else on a new one.
    async fn anywhere(
        &mut self,
        operation: Operation<'_>,
        detour: Option<&Detour>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Result<Incoming, Fault> {
        let origin = detour.map_or(&operation.step.origin, |detour| &detour.origin);
        if let Some(connection) = self.take(operation.shard, origin) {
            let rng = scope.rng.clone();
            match self.exchange(operation, detour, connection, scope, probe).await {
                Err(fault) if fault.before_answer() && idempotent(operation.step, detour) => scope.rng = rng,
                other => return other,
            }
        }
        self.fresh(operation, detour, scope, probe).await
    }

    /// One exchange on a new connection.
    async fn fresh(
        &mut self,
        operation: Operation<'_>,
        detour: Option<&Detour>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Result<Incoming, Fault> {
        let origin = detour.map_or(&operation.step.origin, |detour| &detour.origin);
        let mut limits = limits(&mut self.slot, operation);
        let connection = operation.shard.dialer.open(origin, &mut limits, probe).await?;
        self.exchange(operation, detour, connection, scope, probe).await
    }

    /// One exchange on this connection, which is kept afterwards if it may be used again. Dropping the future drops
    /// the connection.
    async fn exchange(
        &mut self,
        operation: Operation<'_>,
        detour: Option<&Detour>,
        mut connection: Box<Connection>,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Result<Incoming, Fault> {
        let Operation { shard, step, .. } = operation;
        let counted = connection.counted();
        let mut incoming = Incoming::new(
            Wants {
                silent: detour.map_or(step.silent, |detour| detour.method == "HEAD"),
                head: step.reads_head,
                cookies: shard.cookies(),
                redirects: step.redirects > 0,
            },
            step.reads_body.then(|| shard.buffer()),
            shard.settings.max_body,
        );
        let result = match &step.fixed {
            Some(bytes) if detour.is_none() && self.jar.is_none() && !step.expects => {
                let mut limits = limits(&mut self.slot, operation);
                limits.part(step.timeouts.send, probe.marked_at());
                let sent = send(&mut connection, bytes, &mut limits, probe).await;
                answer(shard, &mut connection, &mut incoming, sent, limits, probe).await
            }
            _ => {
                let mut bytes = shard.buffer();
                let body = match self.render(operation, detour, scope, &mut bytes) {
                    Ok(body) => body,
                    Err(missing) => {
                        // nothing was sent: the connection is as good as before
                        self.keep(shard, connection);
                        return Err(Fault::Told(ErrorClass::Value, missing));
                    }
                };
                let mut limits = limits(&mut self.slot, operation);
                limits.part(step.timeouts.send, probe.marked_at());
                let with_body = detour.is_none_or(|detour| detour.with_body);
                let sent = if step.expects && with_body {
                    let (head, body) = bytes.split_at(body);
                    Box::pin(expect(shard, &mut connection, &mut incoming, head, body, &mut limits, probe))
                        .await
                } else {
                    send(&mut connection, &bytes, &mut limits, probe).await
                };
                shard.give_back(bytes);
                answer(shard, &mut connection, &mut incoming, sent, limits, probe).await
            }
        };
        probe.code = incoming.head.status;
        if let (Some(before), Some(after)) = (counted, connection.counted()) {
            probe.bytes_in += after.0 - before.0;
            probe.bytes_out += after.1 - before.1;
        }
        let all_sent = result?;
        if all_sent && incoming.reusable() && shard.settings.keep_alive {
            connection.used = true;
            self.keep(shard, connection);
        }
        Ok(incoming)
    }
}

impl HttpSession {
    /// Writes the request to `out`; returns where its body begins.
    fn render(
        &self,
        operation: Operation<'_>,
        detour: Option<&Detour>,
        scope: &mut Scope,
        out: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let step = operation.step;
        let base = detour.map_or(&step.base, |detour| &detour.url);
        let own = step.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let jar = self.jar.as_ref().filter(|_| !own);
        let cookies = |target: &str| {
            let url = base.join(target).ok()?;
            let pairs: Vec<String> =
                jar?.get_request_values(&url).map(|(name, value)| format!("{name}={value}")).collect();
            (!pairs.is_empty()).then(|| pairs.join("; "))
        };
        step.render(scope, detour, &cookies, out)
    }

    fn store_cookies(&mut self, shard: &Shard, url: &Url, answer: &Incoming) {
        if !answer.head.cookies || !shard.cookies() {
            return;
        }
        let jar = self.jar.get_or_insert_with(Box::default);
        for value in head::values(&answer.kept_head, "set-cookie").take(COOKIE_LIMIT.1) {
            if let Ok(text) = std::str::from_utf8(value)
                && text.len() <= COOKIE_LIMIT.0
            {
                // a cookie that breaks the rules is ignored, as browsers do
                let _ = jar.parse(text, url);
            }
        }
    }

    /// Checks, outcome and words of a complete answer.
    #[inline]
    fn finish(&self, operation: Operation<'_>, mut answer: Incoming, probe: &mut Probe<'_>) -> Outcome {
        let Operation { shard, step, started, .. } = operation;
        let mut failed = false;
        if !step.checks.is_empty() {
            if step.reads_body
                && let Err((class, text)) = decode_body(shard, &mut answer)
            {
                return fail(&Fault::Bad(class, text), probe);
            }
            failed = check(step, &answer, probe.marked_at().since(started), probe);
        }
        let status = answer.head.status;
        let (outcome, class) = conclude(status, answer.head.retry_after, &step.checks, failed);
        if class != ErrorClass::None {
            let bits = probe.checks_failed;
            probe.fail(class, || failure_text(status, step, bits));
        }
        if let Some(body) = answer.sink.keep.take() {
            shard.give_back(body);
        }
        outcome
    }
}

impl Session for HttpSession {
    async fn run(&mut self, call: Call<'_>, probe: &mut Probe<'_>) -> Outcome {
        let shard = Rc::clone(&self.shard);
        let Some(step) = shard.steps.get(usize::from(call.step.0)).and_then(Option::as_ref) else {
            probe.fail(ErrorClass::Local, || format!("step {} is not a step of http", call.step.0));
            return Outcome::Failed;
        };
        self.slot.arm(step.timeouts.total);
        let started = probe.marked_at();
        let operation = Operation { shard: &shard, step, started };
        let outcome = self.operate(operation, call.scope, probe).await;
        self.slot.disarm();
        outcome
    }

    fn iteration(&mut self, _iteration: u64) {
        if self.shard.settings.cookies == CookieMode::PerIteration {
            self.jar = None;
        }
    }
}

/// Reads the answer after `sent`; tells whether the whole request was written.
async fn answer(
    shard: &Shard,
    connection: &mut Connection,
    incoming: &mut Incoming,
    sent: Result<Sent, Fault>,
    mut limits: Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<bool, Fault> {
    let sent = sent?;
    if incoming.done() {
        // it came before the body was asked for
        return Ok(false);
    }
    probe.mark(Phase::Send);
    limits.part(limits.timeouts.first_byte, probe.marked_at());
    let received = receive(connection, &shard.scratch, incoming, false, &mut limits, probe).await;
    match (sent, received) {
        (Sent::All, received) => received.map(|_| true),
        (Sent::Cut(_), Ok(_)) => Ok(false),
        // what broke the writing says more than what broke the reading
        (Sent::Cut(Some(error)), Err(fault)) if fault.before_answer() => Err(Fault::Io(During::Send, error)),
        (Sent::Cut(_), Err(fault)) => Err(fault),
    }
}

/// Writes a head, waits a while for `100 Continue`, then writes the body (RFC 9110 10.1.1).
async fn expect(
    shard: &Shard,
    connection: &mut Connection,
    incoming: &mut Incoming,
    head: &[u8],
    body: &[u8],
    limits: &mut Limits<'_>,
    probe: &mut Probe<'_>,
) -> Result<Sent, Fault> {
    match send(connection, head, limits, probe).await? {
        Sent::All => {}
        cut => return Ok(cut),
    }
    let left = limits.end.since(probe.now());
    limits.within(CONTINUE_WAIT, probe.now());
    let progress = receive(connection, &shard.scratch, incoming, true, limits, probe).await;
    limits.within(Ns::MAX, probe.now());
    match progress {
        Ok(Progress::Continue) => {}
        // refused before the body was sent: it is not sent, and the connection ends here
        Ok(_) => return Ok(Sent::Cut(None)),
        Err(Fault::Timeout(_)) if left > CONTINUE_WAIT && !incoming.begun() => {}
        Err(fault) => return Err(fault),
    }
    send(connection, body, limits, probe).await
}

fn limits<'s>(slot: &'s mut Slot, operation: Operation<'s>) -> Limits<'s> {
    let timeouts = &operation.step.timeouts;
    let end = operation.started + timeouts.total;
    Limits { slot, timeouts, parts: timeouts.has_parts(), end, until: end }
}

/// Whether the answer is the last one of the operation.
#[inline]
fn is_final(step: &Prepared, answer: &Incoming) -> bool {
    step.redirects == 0 || !matches!(answer.head.status, 300..=399)
}

fn idempotent(step: &Prepared, detour: Option<&Detour>) -> bool {
    step.idempotent || detour.is_some_and(|detour| detour.method == "GET")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HttpProtocol, HttpSettings, RequestSpec};
    use crucible_core::{Now, Protocol, Share, StepId, VuId, Worker, WorkerContext};
    use std::sync::Arc;

    struct Still;

    impl Now for Still {
        fn now(&self) -> Ns {
            Ns::ZERO
        }
    }

    #[tokio::test]
    async fn a_user_stays_small() {
        let spec = RequestSpec::new("GET", "http://localhost/").unwrap();
        let protocol =
            HttpProtocol::new(&HttpSettings::default(), vec![(StepId(0), Arc::new(spec))]).unwrap();
        let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
        let mut session = worker.session(SessionContext { vu: VuId(0), seed: 1 });
        let mut probe = Probe::new(&Still);
        let held = size_of::<HttpSession>() + size_of::<Connection>();
        let mut scope = Scope::new(VuId(0), 1);
        let call = Call { step: StepId(0), scope: &mut scope };
        let running = size_of_val(&session.run(call, &mut probe));
        assert!(held <= 512, "an idle user holds {held} bytes");
        assert!(running <= 2048, "a call under way holds {running} bytes");
    }
}
