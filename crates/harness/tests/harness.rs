//! A program's own operations under a plan, from call to verdict.

use crucible_core::Outcome;
use crucible_harness::{Ended, Harness};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PLAN: &str = "
name: shelf
scenarios:
  reader: {weight: 3, steps: [{call: read, measure: {size: trend B}}]}
  writer: {weight: 1, steps: [{call: write}]}
tests:
  fixed: {vus: 4, iterations: 4000}
  paced: {rate: 500/s, for: 1s}
suites: {quick: [fixed]}
thresholds:
  read: {errors: 0%}
";

fn shelf(plan: &str) -> (Harness, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let (reads, writes) = (Arc::clone(&calls), Arc::clone(&calls));
    let harness = Harness::new(plan)
        .operation("read", move |context| {
            reads.fetch_add(1, Relaxed);
            context.measure("size", 512.0);
            context.measure("nobody asked", 1.0);
            Ok(())
        })
        .waiting("write", move |context| {
            let (writes, iteration) = (Arc::clone(&writes), context.scope.iteration);
            Box::pin(async move {
                writes.fetch_add(1, Relaxed);
                match iteration % 10 {
                    9 => Err(Ended::Rejected("the shelf is full".into())),
                    5 => panic!("dropped the book"),
                    _ => Ok(()),
                }
            })
        });
    (harness, calls)
}

#[test]
fn every_call_is_one_sample_however_it_ends() {
    let (harness, calls) = shelf(PLAN);
    let file = tempfile::tempdir().unwrap();
    let outcome = harness.tests(&["quick"]).shards(1).store(&file.path().join("runs.db")).run().unwrap();
    let all = &outcome.view.tests[0].all;
    assert_eq!((all.ended(), calls.load(Relaxed)), (4_000, 4_000));
    let write = &outcome.view.tests[0].steps[1];
    assert!(write.of(Outcome::Rejected) > 0 && write.of(Outcome::Failed) > 0);
    assert_eq!(outcome.view.tests[0].steps[0].errors(), 0);
    let told: Vec<&str> = outcome.view.errors.iter().map(|error| error.text.as_str()).collect();
    assert!(told.contains(&"it panicked: dropped the book"), "{told:?}");
    let report = outcome.report("md").unwrap();
    assert!(report.contains("shelf") && outcome.report("no such").is_none());
}

#[test]
fn mistakes_are_told_with_their_place() {
    let (harness, _) = shelf(&PLAN.replace("call: read", "call: raed"));
    let error = harness.run().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("4:") && error.contains("did you mean"), "{error}");
}
