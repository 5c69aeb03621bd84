//! What the protocol itself costs: N users on one shard against a URL, without engine, schedule or record.
//!
//! `cargo run --release -p crucible-http --example floor -- URL [USERS] [REQUESTS]` prints requests per second and
//! CPU seconds per 1,000 requests, to hold beside wrk's.

#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use crucible_core::{
    Call, Now, Ns, Outcome, Probe, Protocol, Scope, Session, SessionContext, Share, StepId, VuId, Worker,
    WorkerContext,
};
use crucible_http::{HttpProtocol, HttpSettings, RequestSpec};
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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    let users: u64 = arguments.next().map_or(64, |text| text.parse().unwrap());
    let requests: u64 = arguments.next().map_or(300_000, |text| text.parse().unwrap());
    let settings = HttpSettings { redirects: 0, ..HttpSettings::default() };
    let mut settings = settings;
    settings.tls.verify = false;
    let spec = RequestSpec::new("GET", &url).unwrap().check_status(200);
    let protocol = HttpProtocol::new(&settings, vec![(StepId(0), Arc::new(spec))]).unwrap();
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
                        let outcome =
                            session.run(Call { step: StepId(0), scope: &mut scope }, &mut probe).await;
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
