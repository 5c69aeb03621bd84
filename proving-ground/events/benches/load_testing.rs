//! Steady, burst, ramp-up, spike and mixed load on both architectures, by a plan like any other: arrivals keep their
//! schedule whatever the bus does, and a refused or late event is told.
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
use crucible_core::{Ns, Outcome};
use crucible_events::{EventBus, Settings, WhenFull};
use crucible_harness::{Ended, Harness};
use std::sync::Arc;
use std::time::Duration;

/// The loads of the suite: rates as its team wrote them down, a fifth as long with `--quick`.
const PLAN: &str = "
name: event daemon
steps: [{name: publish, call: publish}]
tests:
  steady 50:    {rate: 50/s, for: 5s}
  steady 1000:  {rate: 1000/s, for: 5s}
  burst:        {rate: 100/s, for: 5s, stages: [{spike: 5000/s, for: 500ms}, {hold: 1s}, {spike: 5000/s, for: 500ms}, {hold: 1s}]}
  ramp-up:      {rate: 50/s, for: 1s, stages: [{rate: 2000/s, for: 4s}]}
  spike:        {rate: 200/s, for: 2s, stages: [{spike: 10000/s, for: 1s}, {hold: 2s}]}
  mixed:        {rate: 2000/s, for: 5s, arrivals: poisson}
suites: {quick: [steady 1000, spike]}
thresholds:
  publish: {p95: 10ms, p99: 50ms, errors: 1%}
";

fn publish(bus: &Arc<dyn EventBus>, failing: bool) -> Harness {
    let (bus, mix) = (Arc::clone(bus), events(1, 512..=8_192));
    let plan =
        if failing { PLAN.replace("event daemon", "event daemon, 5% of attempts fail") } else { PLAN.into() };
    Harness::new(plan).shards(1).operation("publish", move |_| {
        let event = mix.lock().unwrap().draw();
        let receipt = bus.publish(event);
        if receipt.refused > 0 { Err(Ended::Rejected("no room".into())) } else { Ok(()) }
    })
}

fn main() {
    let arguments = arguments();
    println!(
        "{:<14} {:<12} {:>8} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "load", "architecture", "events", "delivered", "refused", "failed", "publish", "delivery", "delivery"
    );
    println!(
        "{:<14} {:<12} {:>8} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "", "", "", "", "", "", "p99", "p95", "p99"
    );
    let mut reports = String::new();
    for failing in [false, true] {
        for architecture in ARCHITECTURES {
            let settings = Settings { when_full: WhenFull::Reject, ..Settings::default() };
            let bus = start(architecture, settings);
            populate(&*bus, 20, if failing { 20 } else { 0 });
            let tests: Vec<&str> = match (failing, arguments.quick) {
                (true, _) => vec!["mixed"],
                (false, true) => vec!["quick"],
                (false, false) => vec![],
            };
            let outcome = publish(&bus, failing).tests(&tests).run().unwrap();
            assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
            let statistics = bus.statistics();
            let latency = statistics.latency();
            let quantile = |share| latency.quantile(share).unwrap_or(Ns::ZERO).to_string();
            for (meta, totals) in outcome.view.started.tests.iter().zip(&outcome.view.tests) {
                if !arguments.wants(&meta.name) {
                    continue;
                }
                let p99 = totals.all.response.quantile(0.99).unwrap_or(Ns::ZERO);
                let name = if failing { format!("{}, failing", meta.name) } else { meta.name.clone() };
                println!(
                    "{name:<14} {architecture:<12} {:>8} {:>9} {:>8} {:>8} {:>10} {:>10} {:>10}",
                    totals.all.ended(),
                    statistics.sum(|s| s.processed),
                    totals.all.of(Outcome::Rejected),
                    statistics.sum(|s| s.failed),
                    p99.to_string(),
                    quantile(0.95),
                    quantile(0.99)
                );
            }
            println!("{:<14} {architecture:<12} verdict {}", "", outcome.assessment.verdict);
            reports.push_str(&format!("# {architecture}\n\n{}\n", outcome.report("md").unwrap_or_default()));
        }
    }
    println!("delivered, failed and delivery times are of all loads of a row's architecture together");
    keep("load_testing", "md", &reports);
}
