//! What the protocol itself costs: N users on one shard against a URL, without engine, schedule or record.
//!
//! `cargo run --release -p crucible-http --example floor -- URL [USERS] [REQUESTS] [scripted]` prints requests per second and
//! CPU seconds per 1,000 requests, to hold beside wrk's. `scripted` reads JSON, checks and saves a value and sends it
//! back, in turns of GET and POST; `floor serve` is a server of such answers.

#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use crucible_core::protocol::StepContext;
use crucible_core::{
    Call, Diagnostics, Fields, Map, Node, NodeKind, Now, Ns, Outcome, Position, Probe, Protocol, Scope,
    Session, SessionContext, Share, StepGrammar, StepId, VuId, Worker, WorkerContext,
};
use crucible_http::{HttpGrammar, HttpProtocol, HttpSettings};
use crucible_testkit::servers::NullServer;
use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

#[derive(Clone)]
struct Wall(Instant);

impl Now for Wall {
    fn now(&self) -> Ns {
        self.0.elapsed().into()
    }
}

/// User and system time of this process in seconds.
fn cpu() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() / 100.0, fields[12].parse::<f64>().unwrap() / 100.0)
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 183\r\n\r\n\
{\"id\":184467,\"status\":\"queued\",\"owner\":{\"name\":\"anna\",\"roles\":[\"author\",\"reader\"]},\
\"tags\":[\"a\",\"b\",\"c\"],\"created\":\"2026-01-01T00:00:00Z\",\"size\":1024.5,\"ok\":true,\"next\":null,\"note\":\"\"}";

fn table(entries: Vec<(&str, Node)>) -> Node {
    let entries = entries.into_iter().map(|(name, node)| (name.to_owned(), Position::default(), node));
    Node { at: Position::default(), kind: NodeKind::Map(Map { entries: entries.collect() }) }
}

fn text(text: &str) -> Node {
    Node { at: Position::default(), kind: NodeKind::Text(text.to_owned()) }
}

/// The steps of the script, or one plain GET twice.
fn steps(url: &str, scripted: bool) -> Vec<(StepId, Arc<dyn Any + Send + Sync>)> {
    let status = || ("status", text("200"));
    let steps = if scripted {
        let held = Node { at: Position::default(), kind: NodeKind::Bool(true) };
        let save = table(vec![("id", text("json.id")), ("status", text("json.status"))]);
        let check = table(vec![status(), ("json.ok", held)]);
        let body = [("id", "${id}"), ("status", "was ${status}"), ("n", "${random(1, 100)}")];
        let body = table(body.into_iter().map(|(name, value)| (name, text(value))).collect());
        vec![
            table(vec![("get", text("/items/1")), ("check", check), ("save", save)]),
            table(vec![("post", text("/items/${id}")), ("json", body), ("check", table(vec![status()]))]),
        ]
    } else {
        vec![table(vec![("get", text("/items/1")), ("check", table(vec![status()]))]); 2]
    };
    let context = StepContext { target: Some(url.to_owned()), ..StepContext::default() };
    let diagnostics = Diagnostics::new();
    let read = |step: &Node| {
        let fields = Fields::new(step, "", &diagnostics).unwrap();
        HttpGrammar.step(&fields, &context).unwrap().body
    };
    steps.iter().enumerate().map(|(id, step)| (StepId(id as u16), read(step))).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    if url == "serve" {
        let server = NullServer::answering(1, ANSWER).unwrap();
        println!("{}", server.url());
        loop {
            std::thread::park();
        }
    }
    let users: u64 = arguments.next().map_or(64, |text| text.parse().unwrap());
    let requests: u64 = arguments.next().map_or(300_000, |text| text.parse().unwrap());
    let settings = HttpSettings { redirects: 0, ..HttpSettings::default() };
    let mut settings = settings;
    settings.tls.verify = false;
    let scripted = arguments.next().is_some_and(|word| word == "scripted");
    let protocol = HttpProtocol::from_specs(Arc::new(settings), steps(&url, scripted)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let (left, failed) = (Rc::new(Cell::new(requests)), Rc::new(Cell::new(0u64)));
    let clock = Wall(Instant::now());
    local.block_on(&runtime, async {
        let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
        let tasks: Vec<_> = (0..users)
            .map(|vu| {
                let mut session = worker.session(SessionContext { vu: VuId(vu), seed: 1 });
                let (clock, left, failed) = (clock.clone(), Rc::clone(&left), Rc::clone(&failed));
                tokio::task::spawn_local(async move {
                    let mut probe = Probe::new(&clock);
                    let mut scope = Scope::new(VuId(vu), 1);
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        probe.begin(clock.now(), true);
                        let outcome = session
                            .run(
                                Call { step: StepId((scope.iteration & 1) as u16), scope: &mut scope },
                                &mut probe,
                            )
                            .await;
                        if outcome != Outcome::Ok {
                            failed.set(failed.get() + 1);
                            if failed.get() == 1 {
                                println!("{outcome:?} {:?} {}", probe.class, probe.detail);
                            }
                        }
                        scope.iteration += 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let wall = clock.now().as_secs_f64();
    let (user, system) = cpu();
    let thousands = requests as f64 / 1000.0;
    println!(
        "{:.0} requests/s, CPU s per 1,000: {:.5} (user {:.5}, system {:.5}), {} not ok",
        requests as f64 / wall,
        (user + system) / thousands,
        user / thousands,
        system / thousands,
        failed.get()
    );
}
