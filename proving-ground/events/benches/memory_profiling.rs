//! Memory of both architectures: what an event allocates, what stays, the peak; payloads from 1 to 64 KB, many small
//! events, and rounds that show whether what is live after each of them grows.
//!
//! The counting allocator sees every thread. "Efficiency" is released / allocated, a key figure of the suite: of a program
//! that leaks nothing it tends to 100 % whatever it holds, so it is never the verdict on leaks. That verdict rests on what
//! is live when all is quiet. Above 100 % something was released that had been allocated before the first round.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its table"
)]

mod common;

use common::{ARCHITECTURES, arguments, keep, populate, start};
use crucible_events::{EventMix, Settings};
use crucible_harness::allocator::{Counted, Counting, counted, reset_peak};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Name, events a round, services, payload.
const SCENARIOS: [(&str, u64, usize, usize); 6] = [
    ("payload 1 KB", 5_000, 10, 1 << 10),
    ("payload 4 KB", 5_000, 10, 4 << 10),
    ("payload 16 KB", 2_000, 10, 16 << 10),
    ("payload 64 KB", 1_000, 10, 64 << 10),
    ("high frequency", 50_000, 10, 64),
    ("pressure", 20_000, 50, 8 << 10),
];

/// Bytes an event by which what is live must grow in each round, none left out, to be called a leak. Queues and tables that
/// reach their full size do so in steps, with rounds between in which nothing grows.
const NOISE: f64 = 1.0;

fn main() {
    let arguments = arguments();
    let rounds = if arguments.quick { 12 } else { 24 };
    println!("{rounds} rounds each; live memory is read when everything has been handled\n");
    println!(
        "{:<14} {:<11} {:>11} {:>10} {:>9} {:>9} {:>10} {:>12}",
        "scenario", "architecture", "bytes/event", "blocks/evt", "peak", "live", "efficiency", "growth/event"
    );
    let mut csv = String::from("scenario,architecture,round,live_bytes\n");
    for (name, events, services, payload) in SCENARIOS {
        if !arguments.wants(name) {
            continue;
        }
        for architecture in ARCHITECTURES {
            let seen = profile(architecture, rounds, events, services, payload);
            for (round, live) in seen.live.iter().enumerate() {
                csv.push_str(&format!("{name},{architecture},{},{live}\n", round + 1));
            }
            println!(
                "{name:<14} {architecture:<11} {:>11.0} {:>10.2} {:>8.1}M {:>8.1}M {:>9.2}% {:>12.3}{}",
                seen.counted.allocated as f64 / seen.events as f64,
                seen.counted.blocks as f64 / seen.events as f64,
                seen.counted.peak as f64 / 1e6,
                seen.live.last().copied().unwrap_or(0) as f64 / 1e6,
                100.0 * seen.counted.released as f64 / seen.counted.allocated as f64,
                seen.growth,
                if seen.growth > NOISE { "  LEAK?" } else { "" }
            );
        }
    }
    keep("memory_profiling", "csv", &csv);
}

struct Seen {
    counted: Counted,
    events: u64,
    /// Bytes live after each round.
    live: Vec<u64>,
    /// Bytes that stay for each event: the least in any round of the second half.
    growth: f64,
}

fn profile(architecture: &str, rounds: u64, events: u64, services: usize, payload: usize) -> Seen {
    // ids are remembered for a minute and up to a fixed number: memory that fills and then stays is no leak
    let settings = Settings { dedup_ids: 1_000, ..Settings::default() };
    let bus = start(architecture, settings);
    populate(&*bus, services, 0);
    let mut mix = EventMix::new(1, payload..=payload);
    reset_peak();
    let before = counted();
    let mut live = Vec::new();
    for _ in 0..rounds {
        for _ in 0..events {
            std::hint::black_box(bus.publish(mix.draw()));
        }
        assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
        live.push(counted().live().saturating_sub(before.live()));
    }
    let later = &live[live.len() / 2..];
    let least = later.windows(2).map(|w| w[1] as f64 - w[0] as f64).fold(f64::INFINITY, f64::min);
    let growth = least / events as f64;
    Seen { counted: counted().since(&before), events: rounds * events, live, growth }
}
