//! The loop of a user allocates nothing, whatever its program: twice as many iterations cost no more allocations.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod journey;

use crucible_core::{Ns, Value};
use crucible_testkit::sim::Answer;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

/// Allocations of a run of so many iterations, and the operations that it did.
fn allocations(iterations: u64) -> (u64, u64) {
    let text = format!(
        r#"
data: {{d: {{rows: [{{n: 1}}, {{n: 2}}]}}}}
setup: [{{set: {{list: [1, 2, 3], no: false, yes: true}}}}, {{do: "login${{d.n}}", save: [made, ended]}}]
steps:
  - group: whole
    steps:
      - tasks: [{{weight: 3, do: a}}, {{weight: 1, do: b}}]
      - {{if: "${{no}}", then: [{{do: never}}], else: [{{set: {{x: 5}}}}]}}
      - {{repeat: 2, steps: [{{do: c}}, {{pause: 1us}}]}}
      - {{foreach: {{item: "${{list}}"}}, steps: [{{do: d}}]}}
      - do: submit
        until: {{do: poll, every: 1us, within: 1s, done: "${{yes}}", times: {{execution: ["${{made}}", "${{ended}}"]}}}}
refresh: {{every: 10us, steps: [{{do: again}}]}}
tests: {{t: {{vus: 1, iterations: {iterations}}}}}"#
    );
    let before = COUNT.with(Cell::get);
    let told = journey::run(&text, |question, plan| match journey::name(plan, question.step) {
        "login" => Answer::ok(Ns(100))
            .saving(journey::slot(plan, "made"), Value::Int(1_700_000_000))
            .saving(journey::slot(plan, "ended"), Value::Int(1_700_000_001)),
        _ => Answer::ok(Ns(100)),
    });
    let taken = COUNT.with(Cell::get) - before;
    assert_eq!(told.iterations().planned, iterations);
    (taken, told.total().planned)
}

#[test]
fn more_iterations_cost_no_more_allocations() {
    allocations(100);
    let (some, few) = allocations(1_000);
    let (more, many) = allocations(3_000);
    assert!(many > few + 20_000, "{few} {many}");
    // lists that double a few more times
    assert!(more <= some + 20, "{some} allocations for {few} operations, {more} for {many}");
}
