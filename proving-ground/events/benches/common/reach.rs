//! How far an architecture goes with a number of publishers, and what holds it there.

use super::{cpu_seconds, populate, start};
use crucible_core::Ns;
use crucible_core::clock::Now;
use crucible_events::{EventMix, MonotonicClock, Settings};
use crucible_harness::allocator::{counted, reset_peak};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// What came of publishing as fast as the bus takes events.
pub struct Point {
    pub publishers: usize,
    pub services: usize,
    pub payload: usize,
    pub throughput: f64,
    pub mean: Ns,
    pub p99: Ns,
    pub errors: f64,
    /// Most that was held beyond what was held before, bytes.
    pub peak: u64,
    /// CPUs that were busy, on average.
    pub cpus: f64,
    /// Share of the whole machine's CPU time that was used, by whomever.
    pub machine: f64,
}

/// Share of the CPUs that must be busy for them to be what holds it.
const BUSY: f64 = 0.85;
/// Growth of throughput from one number of publishers to the next below which it no longer grows.
const FLAT: f64 = 1.05;
/// Memory beyond this is poor by the suite's own bands.
const MUCH: u64 = 500_000_000;

pub fn measure(
    architecture: &str,
    publishers: usize,
    services: usize,
    payload: usize,
    length: Duration,
) -> Point {
    reset_peak();
    let (held, spent, machine) = (counted().live(), cpu_seconds(), machine());
    let bus = start(architecture, Settings::default());
    populate(&*bus, services, 0);
    let (stop, published) = (AtomicBool::new(false), AtomicU64::new(0));
    let clock = MonotonicClock::start();
    thread::scope(|scope| {
        for index in 0..publishers {
            let (bus, stop, published) = (&bus, &stop, &published);
            scope.spawn(move || {
                let mut mix = EventMix::share(1, payload..=payload, index as u64, publishers as u64);
                while !stop.load(Relaxed) {
                    for _ in 0..50 {
                        std::hint::black_box(bus.publish(mix.draw()));
                    }
                    published.fetch_add(50, Relaxed);
                }
            });
        }
        thread::sleep(length);
        stop.store(true, Relaxed);
    });
    assert!(bus.drain(Duration::from_secs(60)), "not everything was handled");
    let seconds = clock.now().as_secs_f64();
    let statistics = bus.statistics();
    let lost = statistics.sum(|s| s.failed) + statistics.refused;
    Point {
        publishers,
        services,
        payload,
        throughput: published.load(Relaxed) as f64 / seconds,
        mean: statistics.latency().mean().unwrap_or_default(),
        p99: statistics.latency().quantile(0.99).unwrap_or_default(),
        errors: lost as f64 / statistics.received.max(1) as f64,
        peak: counted().peak.saturating_sub(held),
        cpus: (cpu_seconds() - spent) / seconds,
        machine: busy(machine, self::machine()),
    }
}

/// CPU time of the machine since its start, idle and in all, in the kernel's ticks.
fn machine() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, waiting for a disk, ...
    (ticks.iter().skip(3).take(2).sum(), ticks.iter().sum())
}

fn busy(before: (f64, f64), after: (f64, f64)) -> f64 {
    let all = after.1 - before.1;
    if all > 0.0 { 1.0 - (after.0 - before.0) / all } else { 0.0 }
}

/// What holds throughput where it no longer grows, by the suite's five names; the points are of rising numbers of publishers.
pub fn bottlenecks(points: &[Point], available: usize) -> Vec<String> {
    let Some(best) = points.iter().max_by(|a, b| a.throughput.total_cmp(&b.throughput)) else {
        return Vec::new();
    };
    let flat = points.windows(2).find(|pair| pair[1].throughput < FLAT * pair[0].throughput);
    let busy = best.cpus / available as f64;
    let at = best.publishers;
    let cpu =
        format!("{:.2} of {available} CPUs busy at the highest throughput ({at} publishers)", best.cpus);
    let largest = points.iter().map(|point| point.peak).max().unwrap_or(0);
    let held = format!("at most {:.1} MB held", largest as f64 / 1e6);
    let grows = match flat {
        Some(pair) => format!("throughput no longer grows from {} publishers on", pair[0].publishers),
        None => "throughput still grew at the most publishers".into(),
    };
    let others = busy < BUSY && best.machine >= BUSY;
    vec![
        match busy >= BUSY {
            true => format!("CPU: yes; {cpu}"),
            false if others => {
                format!(
                    "CPU: not known; {cpu}, but others kept the machine {:.0} % busy",
                    100.0 * best.machine
                )
            }
            false => format!("CPU: no; {cpu}"),
        },
        match flat {
            Some(_) if others => format!("thread contention: not known, for the same reason; {grows}"),
            Some(_) if busy < BUSY => format!("thread contention: yes; {grows} while CPUs are idle"),
            _ => format!("thread contention: not shown; {grows}"),
        },
        if largest > MUCH { format!("memory: yes; {held}") } else { format!("memory: no; {held}") },
        "I/O, network: no; events stay in the process".into(),
    ]
}
