//! Light, medium, heavy and stress load on both architectures: throughput, latency, memory.
//!
//! An event counts when it was accepted, put into the queue of every service that wants it and handled there; the
//! handler reads the whole payload. Payloads are made anew for each event, which is part of the time. Rounds of the
//! scenario's size are repeated for a second; a round ends when everything in it has been handled. Latency runs from
//! acceptance to the end of handling. `RSS` is the peak of the row's process, `CPUs` how
//! many were busy.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints its table")]

mod common;

use common::{ARCHITECTURES, cpu_seconds, peak_mib, populate, start};
use crucible_core::clock::Now;
use crucible_core::{Histogram, Ns};
use crucible_events::{EventBus, EventMix, MonotonicClock, Settings};
use std::hint::black_box;
use std::time::Duration;

struct Scenario {
    name: &'static str,
    events: u64,
    services: usize,
    payload: usize,
    /// At least so long.
    secs: f64,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario { name: "light", events: 100, services: 3, payload: 512, secs: 1.0 },
    Scenario { name: "medium", events: 1_000, services: 10, payload: 1_024, secs: 1.0 },
    Scenario { name: "heavy", events: 10_000, services: 50, payload: 4_096, secs: 1.0 },
    Scenario { name: "stress", events: 100_000, services: 100, payload: 8_192, secs: 1.0 },
    Scenario { name: "medium, sustained", events: 5_000_000, services: 10, payload: 1_024, secs: 1.0 },
];

/// First word of the arguments of a row's process.
const ROW: &str = "row-of-the-table";

struct Outcome {
    events: f64,
    deliveries: f64,
    latency: Histogram,
    rss: f64,
    /// CPUs that were busy, on average.
    cores: f64,
    lost: u64,
}

fn run(bus: &dyn EventBus, scenario: &Scenario) -> Outcome {
    populate(bus, scenario.services, 0);
    let mut mix = EventMix::new(1, scenario.payload..=scenario.payload);
    let (clock, spent) = (MonotonicClock::start(), cpu_seconds());
    let mut published = 0u64;
    while clock.now().as_secs_f64() < scenario.secs {
        for _ in 0..scenario.events {
            black_box(bus.publish(mix.draw()));
        }
        published += scenario.events;
        assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
    }
    let secs = clock.now().as_secs_f64();
    let (rss, cores) = (peak_mib(), (cpu_seconds() - spent) / secs);
    let statistics = bus.statistics();
    assert_eq!(statistics.accepted, published, "not everything was accepted");
    let received = statistics.sum(|s| s.received);
    let processed = statistics.sum(|s| s.processed);
    Outcome {
        events: published as f64 / secs,
        deliveries: processed as f64 / secs,
        latency: statistics.latency(),
        rss,
        cores,
        lost: received - processed,
    }
}

fn row(scenario: &Scenario, architecture: &str) {
    let bus = start(architecture, Settings::default());
    let outcome = run(&*bus, scenario);
    let quantile = |share| outcome.latency.quantile(share).unwrap_or(Ns::ZERO);
    println!(
        "  {architecture:<12} {:>12.0} {:>14.0} {:>9} {:>9} {:>9} {:>6.0} MiB {:>5.2}{}",
        outcome.events,
        outcome.deliveries,
        outcome.latency.mean().unwrap_or(Ns::ZERO),
        quantile(0.95),
        quantile(0.99),
        outcome.rss,
        outcome.cores,
        if outcome.lost > 0 { format!("  {} NOT PROCESSED", outcome.lost) } else { String::new() },
    );
}

fn main() {
    // cargo passes flags such as --bench; a word chooses the scenarios that contain it
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if let [row_word, index, architecture] = words.as_slice()
        && row_word == ROW
    {
        return row(&SCENARIOS[index.parse::<usize>().unwrap()], architecture);
    }
    println!("queue of 1000, a full queue makes the publisher wait; one publisher; ids remembered;");
    println!("each row a process of its own, repeated for a second\n");
    println!(
        "  {:<12} {:>12} {:>14} {:>9} {:>9} {:>9} {:>10} {:>5}",
        "architecture", "events/s", "deliveries/s", "mean", "p95", "p99", "RSS", "CPUs"
    );
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if !words.is_empty() && !words.iter().any(|word| scenario.name.contains(word)) {
            continue;
        }
        let Scenario { name, events, services, payload, .. } = scenario;
        println!("{name}: {events} events a round, {services} services, {payload} B");
        for architecture in ARCHITECTURES {
            let index = index.to_string();
            // a process of its own, so that one row's memory is not another's
            let own = std::env::current_exe().unwrap();
            let done = std::process::Command::new(own).args([ROW, &index, architecture]).status().unwrap();
            assert!(done.success());
        }
    }
}
