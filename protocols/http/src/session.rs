//! What one virtual user holds, and the course of one operation: kept connection or new one, retry, redirects,
//! cookies, checks, outcome.

use crate::answer::Answer;
use crate::auth::Challenge;
use crate::connection::Connection;
use crate::deadline::Slot;
use crate::dial::Limits;
use crate::exchange::{Incoming, Wants, send};
use crate::fault::Fault;
use crate::outcome::{decode_body, fail, failure_text, judge};
use crate::prepare::{Detour, Prepared};
use crate::protocol::Shard;
use crate::settings::CookieMode;
use crate::turn::{answer, expect};
use crate::{head, redirect};
use cookie_store::CookieStore;
use crucible_core::{Call, ErrorClass, Ns, Outcome, Probe, Rng, Scope, Session, SessionContext, Value};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
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
    /// What a server asked for last, for digest credentials.
    challenge: Option<Box<Challenge>>,
    /// Path and query of the last request, if they differ between requests: what relative redirects start from.
    target: Vec<u8>,
    /// The head of the last answer, if the settings keep it.
    last_head: Option<Box<[u8]>>,
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
        let slot = shard.deadlines.slot();
        HttpSession {
            connection: None,
            spare: Vec::new(),
            slot,
            jar: None,
            challenge: None,
            target: Vec::new(),
            last_head: None,
            shard,
        }
    }

    /// Names and values of the headers of the last answer, as far as they are text; none if there was no answer or
    /// [`crate::HttpSettings::keep_heads`] is off.
    pub fn last_head(&self) -> impl Iterator<Item = (&str, &str)> {
        let head = self.last_head.as_deref().unwrap_or_default();
        head.split(|byte| *byte == b'\n').skip(1).filter_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            Some((name, value.trim()))
        })
    }

    /// An idle connection to the origin that is still good.
    #[inline]
    fn take(&mut self, shard: &Shard, origin: &Arc<crate::origin::Origin>) -> Option<Box<Connection>> {
        if let Some(mut connection) = self.connection.take() {
            if Arc::ptr_eq(&connection.origin, origin) || *connection.origin == **origin {
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
                Ok(answer) if is_final(step, &answer) && !asks(step, &answer) => {
                    if answer.head.cookies {
                        let url = self.sent_to(step);
                        self.store_cookies(shard, &url, &answer);
                    }
                    return self.finish(operation, answer, scope, probe);
                }
                Err(fault) if fault.before_answer() && step.idempotent => {
                    scope.rng = rng.clone();
                    None
                }
                other => Some(other),
            },
            None => None,
        };
        Box::pin(self.go_on(operation, first, &rng, scope, probe)).await
    }

    /// Everything beyond one exchange on a kept connection: opening, retrying, following redirects, answering challenges.
    /// A request that is made again is made of the same random values, from `rng` on.
    async fn go_on(
        &mut self,
        operation: Operation<'_>,
        mut first: Option<Result<Incoming, Fault>>,
        rng: &Rng,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Outcome {
        let Operation { shard, step, started, .. } = operation;
        let mut detour: Option<Detour> = None;
        let mut since = started;
        let mut left = step.redirects;
        let mut answered = false;
        loop {
            let result = match first.take() {
                Some(result) => result,
                None if detour.is_none() && !answered => self.fresh(operation, None, scope, probe).await,
                None => {
                    scope.rng = rng.clone();
                    self.anywhere(operation, detour.as_ref(), scope, probe).await
                }
            };
            let answer = match result {
                Ok(answer) => answer,
                Err(fault) => return fail(&fault, probe),
            };
            let url = match &detour {
                Some(detour) => Cow::Borrowed(&detour.url),
                None => self.sent_to(step),
            };
            self.store_cookies(shard, &url, &answer);
            if asks(step, &answer) && !answered && detour.as_ref().is_none_or(|detour| detour.same_origin) {
                match Challenge::of(&answer.kept_head, &step.origin) {
                    Some(Ok(challenge)) => {
                        answered = true;
                        self.challenge = Some(Box::new(challenge));
                        since = probe.hop(since, answer.head.status);
                        continue;
                    }
                    Some(Err(text)) => return fail(&Fault::Bad(ErrorClass::ClientError, text), probe),
                    None => {}
                }
            }
            if is_final(step, &answer) {
                return self.finish(operation, answer, scope, probe);
            }
            match redirect::next(step, detour.as_ref(), &url, &answer) {
                Ok(None) => return self.finish(operation, answer, scope, probe),
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
            // a buffer comes with the first bytes: users that wait hold none
            step.reads_body.then(Vec::new),
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
                if detour.is_none() && step.target.literal().is_none() {
                    self.target.clear();
                    self.target
                        .extend_from_slice(bytes.split(|byte| *byte == b' ').nth(1).unwrap_or_default());
                }
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
        &mut self,
        operation: Operation<'_>,
        detour: Option<&Detour>,
        scope: &mut Scope,
        out: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let step = operation.step;
        let base = detour.map_or(&step.base, |detour| &detour.url);
        let own = step.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let jar = self.jar.as_ref().filter(|_| !own);
        let method = detour.map_or(&step.method, |detour| &detour.method);
        let may = detour.is_none_or(|detour| detour.same_origin);
        let mut digest = step
            .digest
            .as_ref()
            .filter(|_| may)
            .zip(self.challenge.as_mut().filter(|challenge| challenge.origin == step.origin));
        let mut extra = |target: &str, scope: &mut Scope| {
            let mut lines = None;
            if let Some(jar) = jar
                && let Ok(url) = base.join(target)
            {
                let pairs: Vec<String> =
                    jar.get_request_values(&url).map(|(name, value)| format!("{name}={value}")).collect();
                if !pairs.is_empty() {
                    lines = Some(format!("Cookie: {}\r\n", pairs.join("; ")));
                }
            }
            if let Some((pair, challenge)) = &mut digest {
                let value = challenge.answer(pair, method, target, scope)?;
                lines.get_or_insert_default().push_str(&format!("Authorization: {value}\r\n"));
            }
            Ok(lines)
        };
        step.render(scope, detour, &mut extra, out)
    }

    /// The URL of the last request that was sent as planned.
    fn sent_to<'s>(&self, step: &'s Prepared) -> Cow<'s, Url> {
        if step.target.literal().is_none()
            && let Ok(target) = std::str::from_utf8(&self.target)
            && let Ok(url) = step.base.join(target)
        {
            return Cow::Owned(url);
        }
        Cow::Borrowed(&step.base)
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

    /// Checks, saved values, outcome and words of a complete answer.
    #[inline]
    fn finish(
        &mut self,
        operation: Operation<'_>,
        mut answer: Incoming,
        scope: &mut Scope,
        probe: &mut Probe<'_>,
    ) -> Outcome {
        let Operation { shard, step, started, .. } = operation;
        if step.reads_body
            && let Err((class, text)) = decode_body(shard, &mut answer)
        {
            return fail(&Fault::Bad(class, text), probe);
        }
        let held_cookie = |name: &str| {
            let jar = self.jar.as_ref()?;
            let mut held = jar.get_request_values(&self.sent_to(step)).filter(|(known, _)| *known == name);
            held.next().map(|(_, value)| value.to_owned())
        };
        let status = answer.head.status;
        let seen = Answer {
            status,
            head: &answer.kept_head,
            body: answer.sink.keep.as_deref(),
            size: answer.sink.seen,
            latency: probe.marked_at().since(started),
            plan: &step.json,
            parsed: OnceCell::new(),
            held_cookie: &held_cookie,
        };
        let (outcome, class) = judge(step, &seen, answer.head.retry_after, scope, probe);
        if class != ErrorClass::None {
            let bits = probe.checks_failed;
            let broken = seen.parsed.get().and_then(|json| json.broken);
            probe.fail(class, || failure_text(status, step, bits, broken));
        }
        if let Some(body) = answer.sink.keep.take() {
            shard.give_back(body);
        }
        if shard.settings.keep_heads {
            self.last_head = Some(answer.kept_head.into());
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
        self.last_head = None;
        let started = probe.marked_at();
        let operation = Operation { shard: &shard, step, started };
        let scope = call.scope;
        let outcome = self.operate(operation, scope, probe).await;
        self.slot.disarm();
        if outcome != Outcome::Ok {
            // what an earlier answer brought must not pass for this one's
            step.saves.iter().for_each(|save| scope.set(save.slot, Value::Absent));
        }
        outcome
    }

    fn join(&mut self, main: &HttpSession) {
        self.jar.clone_from(&main.jar);
        self.challenge.clone_from(&main.challenge);
    }

    fn iteration(&mut self, _iteration: u64) {
        if self.shard.settings.cookies == CookieMode::PerIteration {
            self.jar = None;
        }
    }
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

/// Whether the answer asks for digest credentials that the step has.
#[inline]
fn asks(step: &Prepared, answer: &Incoming) -> bool {
    step.digest.is_some() && answer.head.status == 401
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
