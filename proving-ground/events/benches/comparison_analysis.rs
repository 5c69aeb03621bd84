//! Both architectures against each other in slices that alternate, with intervals and a report: summary, table, key
//! figures, strengths and weaknesses, recommendations that follow from the rows.
//!
//! The unit is a pair of neighbouring slices in random order; a slice publishes as fast as the bus takes events. Response
//! time is from acceptance to the end of handling. Fresh buses are started every few pairs, so that what differs from start
//! to start is seen.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its table"
)]

mod common;

use common::reach::{Point, bottlenecks, measure};
use common::{ARCHITECTURES, arguments, cpu_seconds, keep, populate, start};
use crucible_core::clock::Now;
use crucible_core::{Ns, Rng};
use crucible_events::{EventBus, EventMix, MonotonicClock, Settings};
use crucible_harness::allocator::{Counted, Counting, counted, reset_peak};
use crucible_report::comparison::{Compared, json, markdown, text};
use crucible_stats::compare::{
    Evidence, Gauge, GaugeKind, Pair, Settings as Asked, Slice, Trials, compare, kpi,
};
use serde_json::{Value, json as object};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Name, events a round, services, payload.
const SCENARIOS: [(&str, u64, usize, usize); 3] =
    [("light", 100, 3, 512), ("medium", 1_000, 10, 1 << 10), ("heavy", 10_000, 50, 4 << 10)];
/// Pairs between two fresh starts.
const PAIRS_A_ROUND: u32 = 4;

/// What is read in each slice: the most that was held beyond what was held before it; then, of each delivery, bytes that were
/// allocated and microseconds of CPU.
fn gauges() -> Vec<Gauge> {
    let peak = Gauge { name: "peak memory".into(), ..Gauge::memory() };
    let each = |name: &str| Gauge { name: name.into(), kind: GaugeKind::PerOperation, ..Gauge::memory() };
    vec![peak, each("bytes each"), each("us CPU each")]
}

fn main() {
    let arguments = arguments();
    // five starts are the fewest from which what differs between starts can be told
    let (rounds, length) = if arguments.quick { (6, 0.08) } else { (10, 0.25) };
    let (mut all_text, mut all_json) =
        (String::from("# Event coordination: coordinator against router\n\n"), Vec::new());
    for (name, events, services, payload) in SCENARIOS {
        if !arguments.wants(name) {
            continue;
        }
        let mut pairs = Vec::new();
        // bytes allocated and released by each
        let mut memory = [(0, 0); 2];
        let mut order = Rng::new(1, "order of slices", services as u64);
        for round in 0..rounds {
            let buses = ARCHITECTURES.map(|architecture| {
                let bus = start(architecture, Settings::default());
                populate(&*bus, services, 0);
                bus
            });
            let mut mixes = [0, 1].map(|_| EventMix::new(u64::from(round) + 1, payload..=payload));
            for _ in 0..PAIRS_A_ROUND {
                let mut pair = Pair { round, ..Pair::default() };
                for arm in if order.unit() < 0.5 { [0, 1] } else { [1, 0] } {
                    let (slice, spent) = slice(&buses[arm], &mut mixes[arm], events, length);
                    memory[arm] = (memory[arm].0 + spent.allocated, memory[arm].1 + spent.released);
                    *(if arm == 0 { &mut pair.a } else { &mut pair.b }) = slice;
                }
                pairs.push(pair);
            }
        }
        let evidence = Evidence { gauges: gauges(), trials: Trials::Interleaved(pairs) };
        let comparison = compare(&evidence, &Asked::default()).unwrap();
        let compared = Compared {
            test: format!("{name}: {events} events a round, {services} services, {payload} B"),
            arms: ARCHITECTURES.map(str::to_owned),
            gauges: gauges(),
            comparison,
        };
        text(&compared).iter().for_each(|line| println!("{line}"));
        all_text.push_str(&markdown(&compared).join("\n"));
        let mut figures = json(&compared);
        all_text.push_str("\n### Memory efficiency\n\n");
        for (arm, (allocated, released)) in ARCHITECTURES.iter().zip(memory) {
            let percent = kpi::memory_efficiency_percent(allocated, released);
            all_text.push_str(&format!(
                "- {arm}: {} of what was allocated was released (a figure, no verdict on leaks)\n",
                percent.map_or("-".into(), |percent| format!("{percent:.2} %"))
            ));
            figures["memory_efficiency_percent"][arm] = object!(percent);
        }
        all_text.push('\n');
        all_json.push(figures);
    }
    if arguments.wants("scalability") {
        let (lines, figures) = scalability(if arguments.quick { 200 } else { 1_000 });
        println!("\n{}", lines.join("\n"));
        all_text.push_str(&lines.join("\n"));
        all_json.push(figures);
    }
    keep("comprehensive_report", "md", &all_text);
    keep("comprehensive_report", "json", &Value::from(all_json).to_string());
}

/// Throughput of both with 1, 2, 4 and 8 publishers: the scalability factor, the actual by the expected gain, and what holds
/// it. More CPUs than there are cannot be expected to help.
fn scalability(millis: u64) -> (Vec<String>, Value) {
    let cpus = thread::available_parallelism().map_or(1, |n| n.get());
    let mut lines = vec![
        "## Scalability".to_owned(),
        String::new(),
        format!("{cpus} CPUs. The factor is actual by expected gain, X(N) / (N X(1)), N at most the CPUs."),
        String::new(),
        "| architecture | publishers | events/s | scalability factor |".into(),
        "|---|---:|---:|---:|".into(),
    ];
    let (mut held, mut figures) = (Vec::new(), Vec::new());
    for architecture in ARCHITECTURES {
        let points: Vec<Point> = [1, 2, 4, 8]
            .map(|publishers| measure(architecture, publishers, 10, 1 << 10, Duration::from_millis(millis)))
            .into();
        for point in &points {
            let expected = point.publishers.min(cpus) as f64;
            let factor = kpi::scalability_factor(points[0].throughput, point.throughput, 1.0, expected);
            lines.push(format!(
                "| {architecture} | {} | {:.0} | {} |",
                point.publishers,
                point.throughput,
                factor.map_or("-".into(), |factor| format!("{factor:.2}"))
            ));
            figures.push(object!({
                "architecture": architecture, "publishers": point.publishers,
                "events_per_second": point.throughput, "scalability_factor": factor,
            }));
        }
        held.extend(bottlenecks(&points, cpus).iter().map(|line| format!("- {architecture}: {line}")));
    }
    lines.extend([String::new(), "## Bottlenecks".into(), String::new()]);
    lines.extend(held);
    lines.push(String::new());
    (lines, object!({"scalability": figures}))
}

/// Publishes for `length` seconds and waits until all of it has been handled.
fn slice(bus: &Arc<dyn EventBus>, mix: &mut EventMix, events: u64, length: f64) -> (Slice, Counted) {
    let before = bus.statistics();
    reset_peak();
    let (memory, cpu, clock) = (counted(), cpu_seconds(), MonotonicClock::start());
    while clock.now() < Ns::from_secs_f64(length) {
        for _ in 0..events {
            std::hint::black_box(bus.publish(mix.draw()));
        }
        assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
    }
    let seconds = clock.now().as_secs_f64();
    let (after, spent) = (bus.statistics(), counted().since(&memory));
    let mut latency = crucible_core::Histogram::default();
    for (value, times) in after.latency().buckets() {
        let known: u64 =
            before.latency().buckets().filter(|(v, _)| *v == value).map(|(_, times)| times).sum();
        latency.record_many(value, times - known);
    }
    let failed = after.sum(|s| s.failed) - before.sum(|s| s.failed);
    let slice = Slice {
        ok: latency.count(),
        errors: failed,
        operations: latency.count() + failed,
        latency,
        seconds,
        readings: vec![
            counted().peak.saturating_sub(memory.live()) as f64,
            spent.allocated as f64,
            (cpu_seconds() - cpu) * 1e6,
        ],
    };
    (slice, spent)
}
