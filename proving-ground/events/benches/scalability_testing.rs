//! How far both architectures go: throughput against publishers (with the universal scalability law), against services,
//! against payload; where they break; and a score.
//!
//! Breaking point as the suite defines it: errors above 10 % or a mean delivery time above 5 s. The score is .3
//! throughput + .3 latency + .2 memory + .2 success, each as a share of the better architecture's at its best point. Memory
//! is the most that the bus and its events held at once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its table"
)]

mod common;

use common::reach::{Point, bottlenecks, measure};
use common::{ARCHITECTURES, arguments, keep};
use crucible_core::Ns;
use crucible_harness::allocator::Counting;
use crucible_stats::usl::{Estimate, Point as Measured, Prediction, fit};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn broken(point: &Point) -> bool {
    point.errors > 0.1 || point.mean > Ns::from_secs(5)
}

fn main() {
    let arguments = arguments();
    let length = Duration::from_millis(if arguments.quick { 200 } else { 1_000 });
    let cpus = thread::available_parallelism().map_or(1, |n| n.get());
    println!("{cpus} CPUs; each point {length:?} of publishing as fast as the bus takes events\n");
    let mut csv = String::from(
        "dimension,architecture,publishers,services,payload,events_per_s,mean_ns,p99_ns,errors,peak_bytes,cpus\n",
    );
    let mut scores = Vec::new();
    for architecture in ARCHITECTURES {
        let mut by_publishers = Vec::new();
        let mut sweep = |dimension: &str, points: Vec<(usize, usize, usize)>| {
            if !arguments.wants(dimension) {
                return;
            }
            println!(
                "{:<12} {:>8} {:>7} {:>12} {:>9} {:>9} {:>9} {:>5}   {architecture}, by {dimension}",
                "  publishers", "services", "payload", "events/s", "mean", "p99", "peak MB", "CPUs"
            );
            for (publishers, services, payload) in points {
                let point = measure(architecture, publishers, services, payload, length);
                println!(
                    "  {:>10} {:>8} {:>7} {:>12.0} {:>9} {:>9} {:>9.1} {:>5.2}{}",
                    point.publishers,
                    point.services,
                    point.payload,
                    point.throughput,
                    point.mean.to_string(),
                    point.p99.to_string(),
                    point.peak as f64 / 1e6,
                    point.cpus,
                    if broken(&point) { "  BROKEN" } else { "" }
                );
                csv.push_str(&format!(
                    "{dimension},{architecture},{publishers},{services},{payload},{},{},{},{},{},{}\n",
                    point.throughput, point.mean.0, point.p99.0, point.errors, point.peak, point.cpus
                ));
                if dimension == "concurrency" {
                    by_publishers.push(point);
                }
            }
        };
        sweep("concurrency", [1, 2, 3, 4, 6, 8, 16].map(|n| (n, 10, 1 << 10)).to_vec());
        sweep("services", [1, 10, 50, 100].map(|n| (2, n, 1 << 10)).to_vec());
        sweep("payload", [1 << 10, 4 << 10, 16 << 10, 64 << 10].map(|n| (2, 10, n)).to_vec());
        law(architecture, &by_publishers, cpus);
        bottlenecks(&by_publishers, cpus).iter().for_each(|line| println!("  {architecture}: {line}"));
        if let Some(best) = by_publishers.iter().max_by(|a, b| a.throughput.total_cmp(&b.throughput)) {
            scores.push((
                architecture,
                best.throughput,
                best.p99.0.max(1) as f64,
                best.peak.max(1) as f64,
                1.0 - best.errors,
            ));
        }
        println!();
    }
    score(&scores);
    keep("scalability_results", "csv", &csv);
}

/// The scalability law over publishers, with what it may and may not say.
fn law(architecture: &str, points: &[Point], cpus: usize) {
    let Some(first) = points.first() else { return };
    for point in points.iter().filter(|point| point.publishers <= cpus) {
        let efficiency = point.throughput / (point.publishers as f64 * first.throughput);
        println!("  scalability factor at {} publishers: {efficiency:.2}", point.publishers);
    }
    let observed: Vec<(f64, f64)> = points.iter().map(|p| (p.publishers as f64, p.throughput)).collect();
    for line in usl_lines(&observed) {
        println!("  {architecture}: {line}");
    }
}

fn usl_lines(points: &[(f64, f64)]) -> Vec<String> {
    let points: Vec<Measured> =
        points.iter().map(|(load, throughput)| Measured::new(*load, *throughput)).collect();
    let law = match fit(&points) {
        Ok(law) => law,
        Err(refusal) => return vec![format!("no scalability law: {}", refusal.why)],
    };
    let shown = |e: &Estimate| format!("{:.4} ({:.4} to {:.4})", e.value, e.low, e.high);
    let mut lines = vec![
        format!("contention {}, coherency {}", shown(&law.contention), shown(&law.coherency)),
        format!("residuals scatter by {:.1} %", law.noise * 100.0),
    ];
    if let Some(peak) = &law.peak {
        lines.push(format!("the law peaks at {:.1} publishers", peak.load.value));
    }
    lines.push(match law.predict(64.0) {
        Prediction::Throughput(at) => {
            format!("64 publishers: {:.0} events/s ({:.0} to {:.0})", at.value, at.low, at.high)
        }
        Prediction::Refused { load_to, .. } if load_to.is_finite() => {
            format!("64 publishers: not predicted; measure up to {load_to:.0} first")
        }
        Prediction::Refused { .. } => "64 publishers: not predicted from these points".into(),
    });
    lines
}

fn score(scores: &[(&str, f64, f64, f64, f64)]) {
    let best = |of: fn(&(&str, f64, f64, f64, f64)) -> f64, most: bool| {
        scores
            .iter()
            .map(of)
            .fold(if most { 0.0 } else { f64::INFINITY }, |a, b| if most { a.max(b) } else { a.min(b) })
    };
    let (throughput, latency, memory) = (best(|s| s.1, true), best(|s| s.2, false), best(|s| s.3, false));
    for (name, t, l, m, success) in scores {
        let score = 0.3 * t / throughput + 0.3 * latency / l + 0.2 * memory / m + 0.2 * success;
        println!("score of {name}: {:.0} of 100", score * 100.0);
    }
}
