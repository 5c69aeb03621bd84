//! Steady, burst, ramp-up, spike and mixed load on both architectures, by a plan like any other: arrivals keep their
//! schedule whatever the bus does, and a refused or late event is told.
//!
//! Each row is a run of its own on a fresh bus. An event is *published* when the bus has answered; each service that wants
//! it then gets a delivery of its own, which is *handled* or, after its retries, *failed*. `publish` is the response time of
//! the call, counted from the planned instant; `delivery` runs from acceptance to the end of handling. A verdict `invalid`
//! says that this machine was too busy to keep the schedule.
//!
//! `cargo bench -p crucible-events --bench load_testing [-- steady spike] [--quick]`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its table"
)]

mod common;

use common::{ARCHITECTURES, arguments, events, keep, populate, start};
use crucible_core::{Histogram, Ns, Outcome};
use crucible_events::{EventBus, Settings, WhenFull};
use crucible_harness::{Ended, Harness};
use std::sync::Arc;
use std::time::Duration;

/// The loads of the suite, with the rates that its team wrote down.
const PLAN: &str = "
name: event daemon
steps: [{name: publish, call: publish}]
tests:
  steady 50:   {rate: 50/s, for: 5s}
  steady 200:  {rate: 200/s, for: 5s}
  steady 1000: {rate: 1000/s, for: 5s}
  burst:       {rate: 100/s, burst: 5000/s, length: 500ms, every: 2s, for: 6s}
  ramp-up:     {rate: 50/s, for: 1s, stages: [{rate: 2000/s, for: 4s}]}
  spike:       {rate: 200/s, for: 2s, stages: [{spike: 10000/s, for: 1s}, {hold: 2s}]}
  mixed:       {rate: 2000/s, for: 5s, arrivals: poisson}
thresholds:
  publish: {p95: 10ms, p99: 50ms, errors: 1%}
";

/// Loads, and of how many attempts to handle an event one fails (0: none). Three retries make a failure of one attempt
/// in twenty a failed delivery only if four in a row fail.
const ROWS: [(&str, u64); 9] = [
    ("steady 50", 0),
    ("steady 200", 0),
    ("steady 1000", 0),
    ("burst", 0),
    ("ramp-up", 0),
    ("spike", 0),
    ("mixed", 0),
    ("mixed", 20),
    ("mixed", 2),
];
/// Rows of a short run.
const QUICK: [(&str, u64); 5] =
    [("steady 1000", 0), ("burst", 0), ("ramp-up", 0), ("spike", 0), ("mixed", 20)];
const SERVICES: usize = 20;

fn plan(bus: &Arc<dyn EventBus>) -> Harness {
    let (bus, mix) = (Arc::clone(bus), events(1, 512..=8_192));
    Harness::new(PLAN).shards(1).operation("publish", move |_| {
        let event = mix.lock().unwrap().draw();
        let receipt = bus.publish(event);
        if receipt.refused > 0 { Err(Ended::Rejected("no room".into())) } else { Ok(()) }
    })
}

/// Runs one load on a fresh bus and prints its row; returns the run's report.
fn row(load: &str, failing: u64, architecture: &str) -> String {
    let name = if failing == 0 { load.to_owned() } else { format!("{load}, 1/{failing} fail") };
    let bus = start(architecture, Settings { when_full: WhenFull::Reject, ..Settings::default() });
    populate(&*bus, SERVICES, failing);
    let outcome = plan(&bus).tests(&[load]).run().unwrap();
    assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
    let (statistics, totals) = (bus.statistics(), &outcome.view.tests[0].all);
    let quantile = |of: &Histogram, share| of.quantile(share).unwrap_or(Ns::ZERO).to_string();
    let delivery = statistics.latency();
    println!(
        "{name:<18} {architecture:<11} {:>9} {:>7} {:>9} {:>6} {:>8} {:>8} {:>8}  {}",
        totals.of(Outcome::Ok),
        totals.errors(),
        statistics.sum(|s| s.processed),
        statistics.sum(|s| s.failed),
        quantile(&totals.response, 0.99),
        quantile(&delivery, 0.95),
        quantile(&delivery, 0.99),
        outcome.assessment.verdict
    );
    format!("# {name}, {architecture}\n\n{}\n", outcome.report("md").unwrap_or_default())
}

fn main() {
    let arguments = arguments();
    let rows: &[(&str, u64)] = if arguments.quick { &QUICK } else { &ROWS };
    println!("{SERVICES} services; a full queue refuses; payloads of 512 B to 8 KB\n");
    println!(
        "{:<18} {:<11} {:>9} {:>7} {:>9} {:>6} {:>8} {:>17}",
        "", "", "", "", "delivery:", "", "publish", "delivery"
    );
    println!(
        "{:<18} {:<11} {:>9} {:>7} {:>9} {:>6} {:>8} {:>8} {:>8}  verdict",
        "load", "architect.", "published", "refused", "handled", "failed", "p99", "p95", "p99"
    );
    let mut reports = String::new();
    for (load, failing) in rows.iter().filter(|(load, _)| arguments.wants(load)) {
        for architecture in ARCHITECTURES {
            reports.push_str(&row(load, *failing, architecture));
        }
    }
    keep("load_testing", "md", &reports);
}
