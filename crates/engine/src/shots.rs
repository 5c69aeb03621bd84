//! Single requests whose answers are looked at one by one: what probing needs instead of load.
//!
//! Place in the flow: a caller that decides on each request by the answers so far (the limiter finder) fires some at an
//! instant and gets each one's end back. The sessions are those of the protocol, run by the same one call as all load
//! ([`crate::user::operate`]). Nothing is counted or recorded here, and nothing here is meant to be fast.

use crate::preparation::{Preparation, give};
use crate::user::operate;
use crucible_core::{
    Call, Clock, ErrorClass, Ns, Outcome, Probe, Scope, Session, SessionContext, StepId, VuId, Worker,
};
use crucible_plan::program::Op;
use futures_util::future::join_all;

/// The end of one request.
#[derive(Clone, Debug)]
pub struct Shot<X> {
    /// When it was begun.
    pub sent: Ns,
    /// When it was over.
    pub finished: Ns,
    /// The protocol's code, 0 if there was none.
    pub code: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not end well.
    pub class: ErrorClass,
    /// One line about a failure, for people.
    pub detail: String,
    /// What the caller read from the session afterwards.
    pub extra: X,
}

/// Sessions of one worker, used again and again: the one that was used last first, so that one request behind the other
/// goes over one connection.
pub struct Shooter<C, W: Worker> {
    clock: C,
    worker: W,
    seed: u64,
    /// Time since the Unix epoch at the clock's zero.
    unix: Ns,
    /// What a new session does before anything else.
    setup: Preparation,
    idle: Vec<(W::Session, Scope)>,
    made: u64,
    /// Why the setup of a session did not succeed, of the first that did not.
    trouble: Option<String>,
}

impl<C: Clock, W: Worker> Shooter<C, W> {
    /// A shooter without sessions yet. `setup` is done by each session once, before its first request.
    pub fn new(clock: C, worker: W, seed: u64, unix: Ns, setup: Preparation) -> Shooter<C, W> {
        Shooter { clock, worker, seed, unix, setup, idle: Vec::new(), made: 0, trouble: None }
    }

    /// Why the setup of a session did not succeed, if one did not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Does `step` `count` times at once at `at`, or now if that has passed, and gives all ends in the order in which they
    /// were begun. `read` looks at each session when its request is over.
    pub async fn fire<X>(
        &mut self,
        at: Ns,
        step: StepId,
        count: usize,
        read: impl Fn(&W::Session) -> X,
    ) -> Vec<Shot<X>> {
        self.ready(count).await;
        if self.clock.now() < at {
            self.clock.sleep_exactly_until(at).await;
        }
        let users = self.idle.split_off(self.idle.len() - count);
        let (clock, unix, read) = (&self.clock, self.unix, &read);
        // the session that was used last goes first
        let ends = join_all(users.into_iter().rev().map(async |mut user: (W::Session, Scope)| {
            let shot = one(clock, unix, &mut user, step, read).await;
            (user, shot)
        }))
        .await;
        let (users, shots): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        self.idle.extend(users.into_iter().rev());
        shots
    }

    /// Makes sure that there are so many idle sessions, each set up.
    async fn ready(&mut self, count: usize) {
        while self.idle.len() < count {
            let vu = VuId(self.made);
            self.made += 1;
            let session = self.worker.session(SessionContext { vu, seed: self.seed });
            let mut user = (session, Scope::new(vu, self.seed));
            self.setup.deal(&mut user.1);
            for op in self.setup.ops() {
                // a setup that fails shows in what the requests are answered, too
                let failed = match op {
                    Op::Step(step) => {
                        let shot = one(&self.clock, self.unix, &mut user, *step, &|_: &W::Session| ()).await;
                        (shot.outcome != Outcome::Ok).then(|| format!("{:?}, {}", shot.outcome, shot.detail))
                    }
                    other => give(&mut user.1, other).err(),
                };
                self.trouble = self.trouble.take().or(failed);
            }
            self.idle.insert(0, user);
        }
    }
}

async fn one<C: Clock, S: Session, X>(
    clock: &C,
    unix: Ns,
    (session, scope): &mut (S, Scope),
    step: StepId,
    read: &impl Fn(&S) -> X,
) -> Shot<X> {
    let mut probe = Probe::new(clock);
    let sent = clock.now();
    probe.begin(sent, true);
    scope.unix = unix + sent;
    let outcome = operate(session, Call { step, scope }, &mut probe).await;
    let finished = clock.now();
    (scope.status, scope.outcome) = (probe.code, outcome);
    Shot {
        sent,
        finished,
        code: probe.code,
        outcome,
        class: probe.class,
        detail: std::mem::take(&mut probe.detail),
        extra: read(session),
    }
}
