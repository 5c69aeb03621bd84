//! Drives sessions over real sockets, one call at a time, under a watchdog.

use super::Dialect;
use crate::clock::WallClock;
use crate::servers::{Action, ScriptServer};
use crucible_core::{
    Call, ErrorClass, Now, Ns, Outcome, Phase, Probe, Protocol, Scope, Session, SessionContext, Share,
    StepId, VuId, Worker, WorkerContext,
};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use tokio::io::unix::AsyncFd;

/// Time limit of the operations in hostile cases.
pub(super) const LIMIT: Ns = Ns::from_millis(300);
/// How much later than its limit an operation may end: generous, because the machine may be busy.
pub(super) const GRACE: Ns = Ns::from_secs(5);
/// After this long a call is taken to hang.
const WATCHDOG_SECS: i64 = 8;

/// What the protocol under test is built for.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Where the server listens.
    pub addr: SocketAddr,
    /// Total time limit of step 0.
    pub limit: Ns,
}

/// What one call told.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    pub(super) code: u16,
    pub(super) class: ErrorClass,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) connections: u32,
    pub(super) phases: [Option<Ns>; Phase::COUNT],
    pub(super) first_byte: Ns,
    pub(super) started: Ns,
    pub(super) finished: Ns,
}

/// One case being run.
pub(super) struct Bench<'a, P> {
    pub(super) case: &'static str,
    pub(super) dialect: &'a Dialect,
    build: &'a dyn Fn(Setup) -> P,
}

/// A session inside its runtime.
pub(super) struct Live<S> {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
    session: S,
    clock: WallClock,
    calls: u64,
    case: &'static str,
}

impl<'a, P: Protocol> Bench<'a, P> {
    pub(super) fn new(
        case: &'static str,
        dialect: &'a Dialect,
        build: &'a dyn Fn(Setup) -> P,
    ) -> Bench<'a, P> {
        Bench { case, dialect, build }
    }

    /// A server with these scripts.
    pub(super) fn server(&self, scripts: Vec<Vec<Action>>) -> ScriptServer {
        match ScriptServer::start(scripts) {
            Ok(server) => server,
            Err(error) => panic!("{}: failed to start a server: {error}", self.case),
        }
    }

    /// Waits for a request and gives answer `number`, so often.
    pub(super) fn answering(&self, numbers: std::ops::Range<usize>) -> Vec<Action> {
        numbers
            .flat_map(|number| [self.dialect.await_request.clone(), Action::Send(self.answer(number).0)])
            .collect()
    }

    /// Answer `number` and its code; they repeat.
    pub(super) fn answer(&self, number: usize) -> (Vec<u8>, u16) {
        self.dialect.answers[number % self.dialect.answers.len()].clone()
    }

    /// A fresh session against `addr`.
    pub(super) fn session(&self, addr: SocketAddr, limit: Ns) -> Live<<P::Worker as Worker>::Session> {
        let case = self.case;
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("{case}: failed to start a runtime: {error}"),
        };
        let local = tokio::task::LocalSet::new();
        let protocol = (self.build)(Setup { addr, limit });
        let session = local.block_on(&runtime, async {
            match protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }) {
                Ok(worker) => worker.session(SessionContext { vu: VuId(0), seed: 1 }),
                Err(error) => panic!("{case}: failed to make a worker: {error}"),
            }
        });
        Live { runtime, local, session, clock: WallClock::new(), calls: 0, case }
    }
}

impl<S: Session> Live<S> {
    /// One call to its end.
    pub(super) fn call(&mut self) -> Seen {
        match self.call_for(usize::MAX) {
            Some(seen) => seen,
            None => panic!("{}: a call ended without an outcome", self.case),
        }
    }

    /// One call that is dropped after `polls` polls. `None` if it was.
    pub(super) fn call_for(&mut self, polls: usize) -> Option<Seen> {
        let mut scope = Scope::new(VuId(0), 1);
        scope.iteration = self.calls;
        let call = Call { step: StepId(0), scope: &mut scope };
        self.calls += 1;
        let (clock, case) = (self.clock, self.case);
        let mut probe = Probe::new(&clock);
        let started = clock.now();
        probe.begin(started, true);
        let session = &mut self.session;
        let outcome = self.local.block_on(&self.runtime, async {
            let watchdog = watchdog();
            let mut late = pin!(watchdog);
            let mut running = pin!(session.run(call, &mut probe));
            let mut polled = 0;
            poll_fn(|context| {
                polled += 1;
                match running.as_mut().poll(context) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending if polled >= polls => Poll::Ready(None),
                    Poll::Pending => {
                        assert!(late.as_mut().poll(context).is_pending(), "{case}: a call hangs");
                        Poll::Pending
                    }
                }
            })
            .await
        })?;
        Some(Seen {
            outcome,
            code: probe.code,
            class: probe.class,
            bytes_in: probe.bytes_in,
            bytes_out: probe.bytes_out,
            connections: probe.connections,
            phases: probe.phases,
            first_byte: probe.first_byte,
            started,
            finished: clock.now(),
        })
    }
}

/// Resolves after [`WATCHDOG_SECS`].
async fn watchdog() {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let spec = Itimerspec { it_interval: zero, it_value: Timespec { tv_sec: WATCHDOG_SECS, tv_nsec: 0 } };
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).and_then(|timer| {
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec).map(|_| timer)
    });
    // SAFETY: the descriptor is owned by the `AsyncFd`, so it stays open and the same as long as it is registered.
    match timer.map(|timer| unsafe { AsyncFd::register_with_interest(timer, tokio::io::Interest::READABLE) })
    {
        Ok(Ok(timer)) => drop(timer.readable().await),
        // without a timer there is no watchdog, and a hang is seen by whoever runs the tests
        _ => std::future::pending().await,
    }
}
