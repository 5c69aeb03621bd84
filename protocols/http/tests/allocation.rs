//! The hot path allocates nothing.

#![allow(clippy::unwrap_used)]

mod common;

use crucible_core::protocol::StepContext;
use crucible_core::{
    Call, Outcome, Probe, Protocol, Session, SessionContext, Share, StepGrammar, StepId, VuId, Worker,
    WorkerContext,
};
use crucible_http::{HttpGrammar, HttpProtocol, HttpSettings, RequestSpec};
use crucible_testkit::WallClock;
use crucible_testkit::servers::NullServer;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as promised by the caller
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations in 500 exchanges of a prepared step, after 100 that may fill buffers.
fn allocations(protocol: &HttpProtocol) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let clock = WallClock::new();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let worker = protocol.worker(&WorkerContext { share: Share::ALL, seed: 1 }).unwrap();
        let mut session = worker.session(SessionContext { vu: VuId(0), seed: 1 });
        let mut probe = Probe::new(&clock);
        let mut before = 0;
        let mut scope = crucible_core::Scope::new(VuId(0), 1);
        for iteration in 0..600 {
            if iteration == 100 {
                before = COUNT.with(Cell::get);
            }
            probe.begin(crucible_core::Now::now(&clock), true);
            let outcome = session.run(Call { step: StepId(0), scope: &mut scope }, &mut probe).await;
            assert_eq!(outcome, Outcome::Ok, "{}", probe.detail);
        }
        COUNT.with(Cell::get) - before
    })
}

#[test]
fn a_small_exchange_on_a_kept_connection_allocates_nothing() {
    let server = NullServer::start(1).unwrap();
    let spec = RequestSpec::new("GET", &server.url()).unwrap().check_status(200);
    let protocol = HttpProtocol::new(&HttpSettings::default(), vec![(StepId(0), Arc::new(spec))]).unwrap();
    assert_eq!(allocations(&protocol), 0);
}

#[test]
fn a_request_with_places_allocates_nothing_while_values_are_plain() {
    let server = NullServer::start(1).unwrap();
    let step = json!({
        "post": "/items/${random(1, 900)}?v=${vu}",
        "headers": {"X-User": "u-${vu}"},
        "auth": {"basic": {"user": "u${vu}", "password": "p${iteration}"}},
        "json": {"n": "${random(1, 900)}", "t": "a-${vu}", "id": "x${uuid}"},
        "check": {"status": 200},
    });
    let context = StepContext { target: Some(server.url()), ..StepContext::default() };
    let (spec, told) = common::read(&step, |fields| HttpGrammar.step(fields, &context));
    assert_eq!(told, Vec::<String>::new());
    let settings = Arc::new(HttpSettings::default());
    let protocol = HttpProtocol::from_specs(settings, vec![(StepId(0), spec.unwrap().body)]).unwrap();
    assert_eq!(allocations(&protocol), 0);
}
