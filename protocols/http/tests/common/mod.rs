//! Sessions against scripted servers, for the tests of this crate.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use crucible_core::{
    Call, ErrorClass, Now, Ns, Outcome, Phase, Probe, Protocol, Scope, Session, SessionContext, Share,
    StepId, VuId, Worker, WorkerContext,
};
use crucible_http::{HttpProtocol, HttpSession, HttpSettings, RequestSpec};
use crucible_testkit::WallClock;
use crucible_testkit::servers::{Action, ScriptServer};
use std::sync::Arc;

/// What one operation told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub outcome: Outcome,
    pub class: ErrorClass,
    pub code: u16,
    pub detail: String,
    pub connections: u32,
    pub hops: Vec<u16>,
    pub passed: u64,
    pub failed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub secured: bool,
}

impl Seen {
    pub fn brief(&self) -> (Outcome, ErrorClass, u16) {
        (self.outcome, self.class, self.code)
    }
}

pub struct Rig {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
    pub session: HttpSession,
    clock: WallClock,
    calls: u64,
    scope: Scope,
}

impl Rig {
    pub fn new(settings: &HttpSettings, steps: Vec<RequestSpec>) -> Rig {
        let steps =
            steps.into_iter().enumerate().map(|(id, spec)| (StepId(id as u16), Arc::new(spec))).collect();
        let protocol = HttpProtocol::new(settings, steps).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let session = local.block_on(&runtime, async {
            let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
            worker.session(SessionContext { vu: VuId(3), seed: 1 })
        });
        Rig { runtime, local, session, clock: WallClock::new(), calls: 0, scope: Scope::new(VuId(3), 1) }
    }

    pub fn call(&mut self, step: u16) -> Seen {
        self.scope.iteration = self.calls;
        let call = Call { step: StepId(step), scope: &mut self.scope };
        self.calls += 1;
        let mut probe = Probe::new(&self.clock);
        probe.begin(self.clock.now(), true);
        let outcome = self.local.block_on(&self.runtime, self.session.run(call, &mut probe));
        Seen {
            outcome,
            class: probe.class,
            code: probe.code,
            connections: probe.connections,
            hops: probe.hops.iter().map(|hop| hop.code).collect(),
            passed: probe.checks_passed,
            failed: probe.checks_failed,
            bytes_in: probe.bytes_in,
            bytes_out: probe.bytes_out,
            secured: probe.phases[Phase::Secure as usize].is_some(),
            detail: probe.detail,
        }
    }
}

/// A GET of `/` there, which gives up after 400 ms.
pub fn get(server: &ScriptServer) -> RequestSpec {
    RequestSpec::new("GET", &format!("http://{}/", server.addr())).unwrap().timeout(Ns::from_millis(400))
}

/// Reads a request and sends these bytes, as often as there are answers.
pub fn answers<B: AsRef<[u8]>>(list: &[B]) -> Vec<Action> {
    list.iter().flat_map(|bytes| [Action::ReadHead, Action::Send(bytes.as_ref().to_vec())]).collect()
}

/// One operation against a server that sends `bytes` and closes.
pub fn once(settings: &HttpSettings, bytes: &[u8], spec: impl Fn(RequestSpec) -> RequestSpec) -> Seen {
    let server = ScriptServer::always(answers(&[bytes])).unwrap();
    Rig::new(settings, vec![spec(get(&server))]).call(0)
}
