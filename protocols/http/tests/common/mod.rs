//! Sessions against scripted servers, for the tests of this crate.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use crucible_core::{
    Call, Diagnostics, ErrorClass, Fields, Map, Node, NodeKind, Now, Ns, Outcome, Phase, Position, Probe,
    Protocol, Scope, Session, SessionContext, Share, StepGrammar, StepId, VuId, Worker, WorkerContext,
};
use crucible_http::{HttpGrammar, HttpProtocol, HttpSession, HttpSettings, RequestSpec};
use crucible_testkit::WallClock;
use crucible_testkit::servers::{Action, ScriptServer};
use serde_json::Value;
use std::sync::Arc;

/// What one operation told.
#[derive(Clone, Debug, PartialEq)]
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
    pub measures: Vec<(u16, f64)>,
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
    pub scope: Scope,
}

impl Rig {
    pub fn new(settings: &HttpSettings, steps: Vec<RequestSpec>) -> Rig {
        let steps =
            steps.into_iter().enumerate().map(|(id, spec)| (StepId(id as u16), Arc::new(spec))).collect();
        Rig::of(&HttpProtocol::new(settings, steps).unwrap())
    }

    pub fn of(protocol: &HttpProtocol) -> Rig {
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
            measures: probe.measures,
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

/// A tree without positions.
pub fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(value) => NodeKind::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => NodeKind::Int(whole),
            None => NodeKind::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => NodeKind::Text(text.clone()),
        Value::Array(items) => NodeKind::List(items.iter().map(node).collect()),
        Value::Object(map) => NodeKind::Map(Map {
            entries: map
                .iter()
                .map(|(name, value)| (name.clone(), Position::default(), node(value)))
                .collect(),
        }),
    };
    Node { at: Position::default(), kind }
}

/// Reads a table; gives what was read, and the mistakes.
pub fn read<T>(value: &Value, read: impl FnOnce(&Fields<'_>) -> T) -> (T, Vec<String>) {
    let tree = node(value);
    let diagnostics = Diagnostics::new();
    let fields = Fields::new(&tree, "", &diagnostics).unwrap();
    fields.expect(HttpGrammar.openers());
    fields.expect(HttpGrammar.step_keys());
    let result = read(&fields);
    fields.finish();
    drop(fields);
    let told =
        diagnostics.into_sorted().iter().map(|d| format!("{}: {} ({})", d.path, d.message, d.hint)).collect();
    (result, told)
}
