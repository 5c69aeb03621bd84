//! Steps written as JSON, driven against a peer that does exactly what it is told.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use crucible_core::protocol::StepContext;
use crucible_core::{
    Call, Diagnostics, ErrorClass, Fields, Map, Node, NodeKind, Now, Ns, Outcome, Phase, Position, Probe,
    Protocol, Scope, Session, SessionContext, Share, StepGrammar, StepId, Symbols, VuId, Worker,
    WorkerContext,
};
use crucible_http::HttpSettings;
use crucible_http::stream::{StreamSession, StreamStep};
use crucible_testkit::WallClock;
use crucible_websocket::{Socket, WebSocketGrammar, WebSocketProtocol, WebSocketSettings};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

/// A value of the plan, without its text.
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
        Value::Object(table) => NodeKind::Map(Map {
            entries: table.iter().map(|(k, v)| (k.clone(), Position::default(), node(v))).collect(),
        }),
    };
    Node { at: Position::default(), kind }
}

/// Reads a step; the mistakes in it.
pub fn read(value: &Value, target: &str, symbols: &Rc<Symbols>) -> Result<Arc<StreamStep>, Vec<String>> {
    let node = node(value);
    let diagnostics = Diagnostics::new();
    let context = StepContext {
        target: Some(target.to_owned()),
        folder: std::path::PathBuf::new(),
        symbols: Rc::clone(symbols),
    };
    let fields = Fields::new(&node, "step", &diagnostics).unwrap();
    let spec = WebSocketGrammar.step(&fields, &context);
    fields.finish();
    drop(fields);
    let mistakes: Vec<String> = diagnostics.into_sorted().iter().map(ToString::to_string).collect();
    match spec {
        Some(spec) if mistakes.is_empty() => Ok(spec.body.downcast().unwrap()),
        _ => Err(mistakes),
    }
}

/// What one operation told.
#[derive(Clone, Debug)]
pub struct Seen {
    pub outcome: Outcome,
    pub class: ErrorClass,
    pub code: u16,
    pub detail: String,
    pub connections: u32,
    pub passed: u64,
    pub failed: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub phases: [Option<Ns>; Phase::COUNT],
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
    session: Option<StreamSession<Socket>>,
    clock: WallClock,
    pub scope: Scope,
    pub symbols: Rc<Symbols>,
}

impl Rig {
    pub fn new(addr: SocketAddr, steps: &[Value]) -> Rig {
        Rig::with(WebSocketSettings { max_message: 1 << 16, ..WebSocketSettings::default() }, addr, steps)
    }

    pub fn with(settings: WebSocketSettings, addr: SocketAddr, steps: &[Value]) -> Rig {
        let symbols = Rc::new(Symbols::default());
        let target = format!("http://{addr}");
        let steps = steps.iter().enumerate().map(|(index, value)| {
            let step = read(value, &target, &symbols).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
            let line = step.line.clone().unwrap_or_default();
            (StepId(index as u16), step, line)
        });
        let protocol = WebSocketProtocol::new(&HttpSettings::default(), settings, steps.collect()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let session = local.block_on(&runtime, async {
            let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
            worker.session(SessionContext { vu: VuId(0), seed: 1 })
        });
        let scope = Scope::new(VuId(0), 1);
        Rig { runtime, local, session: Some(session), clock: WallClock::new(), scope, symbols }
    }

    pub fn call(&mut self, step: u16) -> Seen {
        let mut probe = Probe::new(&self.clock);
        probe.begin(self.clock.now(), true);
        let call = Call { step: StepId(step), scope: &mut self.scope };
        let session = self.session.as_mut().unwrap();
        let outcome = self.local.block_on(&self.runtime, session.run(call, &mut probe));
        Seen {
            outcome,
            class: probe.class,
            code: probe.code,
            connections: probe.connections,
            passed: probe.checks_passed,
            failed: probe.checks_failed,
            bytes_in: probe.bytes_in,
            bytes_out: probe.bytes_out,
            phases: probe.phases,
            measures: probe.measures.clone(),
            detail: probe.detail,
        }
    }

    /// An operation that is dropped after its first poll.
    pub fn cut_off(&mut self, step: u16) {
        let mut probe = Probe::new(&self.clock);
        probe.begin(self.clock.now(), true);
        let call = Call { step: StepId(step), scope: &mut self.scope };
        let session = self.session.as_mut().unwrap();
        self.local.block_on(&self.runtime, async {
            let mut running = Box::pin(session.run(call, &mut probe));
            std::future::poll_fn(|cx| {
                assert!(running.as_mut().poll(cx).is_pending(), "it ended at once");
                std::task::Poll::Ready(())
            })
            .await;
        });
    }

    /// Thinks until the condition holds; the shard's own tasks go on meanwhile.
    pub fn think_until(&mut self, holds: impl Fn() -> bool) {
        self.local.block_on(&self.runtime, async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        });
    }

    pub fn leave(&mut self) {
        self.session = None;
    }
}

/// A server that greets as it should and then follows the closure, for each connection.
pub fn peer(talk: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> SocketAddr {
    raw_peer(move |number, stream, key| {
        greet(stream, key, "");
        talk(number, stream);
    })
}

/// A server that hands over the key of the handshake.
pub fn raw_peer(talk: impl Fn(usize, &mut TcpStream, &str) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let talk = Arc::new(talk);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (Ok(mut stream), talk) = (stream, Arc::clone(&talk)) else { return };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
                talk(number, &mut stream, key.unwrap_or_default());
            });
        }
    });
    addr
}

pub fn greet(stream: &mut TcpStream, key: &str, extra: &str) {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{extra}\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
}

/// One frame of a server.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, payload.len() as u8], payload].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}

/// Reads one masked frame of a client: its first byte and what it holds.
pub fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0u8; 2];
    stream.read_exact(&mut head).ok()?;
    let mut mask = [0u8; 4];
    assert!(head[1] & 0x80 != 0, "a client must mask");
    let length = match head[1] & 0x7f {
        126 => {
            let mut more = [0u8; 2];
            stream.read_exact(&mut more).ok()?;
            usize::from(u16::from_be_bytes(more))
        }
        length => usize::from(length),
    };
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= mask[index & 3]);
    Some((head[0], payload))
}
