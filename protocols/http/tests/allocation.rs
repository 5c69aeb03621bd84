//! The hot path allocates nothing.

#![allow(clippy::unwrap_used)]

use crucible_core::{
    Call, Outcome, Probe, Protocol, Session, SessionContext, Share, StepId, VuId, Worker, WorkerContext,
};
use crucible_http::{HttpProtocol, HttpSettings, RequestSpec};
use crucible_testkit::WallClock;
use crucible_testkit::servers::NullServer;
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

#[test]
fn a_small_exchange_on_a_kept_connection_allocates_nothing() {
    let server = NullServer::start(1).unwrap();
    let spec = RequestSpec::new("GET", &server.url()).unwrap().check_status(200);
    let protocol = HttpProtocol::new(&HttpSettings::default(), vec![(StepId(0), Arc::new(spec))]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let clock = WallClock::new();
    let allocated = tokio::task::LocalSet::new().block_on(&runtime, async {
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
    });
    assert_eq!(allocated, 0, "allocations in 500 exchanges");
}
