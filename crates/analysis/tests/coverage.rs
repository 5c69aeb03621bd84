//! Verdicts against known truth, by seeded simulation: at the edge neither side is claimed too often, and away from it
//! the right side is found.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Op, Run, only, started};
use crucible_analysis::Verdict;
use crucible_core::{Ns, Rng};

/// Shares of pass and fail over many runs of `seconds` windows drawn by `process` against p95 <= `limit` ms.
fn shares(runs: u64, seconds: u64, limit: f64, process: &dyn Fn(&mut Rng) -> Vec<Vec<f64>>) -> (f64, f64) {
    let (mut pass, mut fail) = (0.0, 0.0);
    for index in 0..runs {
        let mut rng = Rng::new(20_261_121, "coverage", index);
        let threshold = format!("* p95 ok<={}ns", (limit * 1e6).round());
        let mut run = Run::new(started(&[&threshold], &[]));
        let windows = process(&mut rng);
        assert_eq!(windows.len() as u64, seconds);
        for window in windows {
            run.second(window.into_iter().map(|ms| Op::Ok(Ns((ms * 1e6) as u64))));
        }
        match only(&run.done(), "thresholds").verdict {
            Verdict::Pass => pass += 1.0,
            Verdict::Fail => fail += 1.0,
            _ => {}
        }
    }
    (pass / runs as f64, fail / runs as f64)
}

/// Log-normal response times around a level that itself wanders from window to window (AR(1), coefficient `memory`).
fn wandering(seconds: u64, each: usize, spread: f64, memory: f64) -> impl Fn(&mut Rng) -> Vec<Vec<f64>> {
    move |rng| {
        let mut level = rng.normal() * spread;
        (0..seconds)
            .map(|_| {
                level = memory * level + (1.0 - memory * memory).sqrt() * spread * rng.normal();
                (0..each).map(|_| 10.0 * (0.5 * rng.normal() + level).exp()).collect()
            })
            .collect()
    }
}

/// The limit that exactly `1 - share` of all response times of [`wandering`] exceed; `z` is the normal quantile.
fn edge(spread: f64, z: f64) -> f64 {
    10.0 * (z * (0.25 + spread * spread).sqrt()).exp()
}

const Z95: f64 = 1.644_853_627;

/// Sojourn times of an M/M/1 queue with load `rho` and 1,000 services a second, cut into seconds.
fn queue(seconds: u64, rho: f64) -> impl Fn(&mut Rng) -> Vec<Vec<f64>> {
    move |rng| {
        let mut windows = vec![Vec::new(); seconds as usize];
        // begun in the steady state: the wait that a customer finds
        let mut free = if rng.unit() < rho { rng.exponential() / (1_000.0 * (1.0 - rho)) } else { 0.0 };
        let mut now = 0.0;
        loop {
            now += rng.exponential() / (1_000.0 * rho);
            free = f64::max(free, now) + rng.exponential() / 1_000.0;
            match windows.get_mut(now as usize) {
                Some(window) => window.push((free - now) * 1e3),
                None => return windows,
            }
        }
    }
}

#[test]
fn at_the_edge_neither_side_is_claimed_too_often_when_requests_are_independent() {
    let (pass, fail) = shares(300, 60, edge(0.0, Z95), &wandering(60, 50, 0.0, 0.0));
    println!("independent: pass {pass:.3} fail {fail:.3}");
    assert!(pass <= 0.075 && fail <= 0.075, "pass {pass}, fail {fail}");
}

#[test]
fn at_the_edge_neither_side_is_claimed_too_often_when_windows_hang_together() {
    for memory in [0.0, 0.7] {
        let (pass, fail) = shares(100, 120, edge(0.3, Z95), &wandering(120, 50, 0.3, memory));
        println!("AR({memory}): pass {pass:.3} fail {fail:.3}");
        assert!(pass <= 0.12 && fail <= 0.10, "AR({memory}): pass {pass}, fail {fail}");
    }
}

#[test]
fn at_the_edge_neither_side_is_claimed_too_often_in_a_queue() {
    for rho in [0.5, 0.8] {
        // sojourn times of M/M/1 are exponential with mean 1 / (mu - lambda)
        let limit = 20.0_f64.ln() / (1.0 - rho);
        let (pass, fail) = shares(60, 30, limit, &queue(30, rho));
        println!("M/M/1 {rho}: pass {pass:.3} fail {fail:.3}");
        assert!(pass <= 0.12 && fail <= 0.12, "M/M/1 {rho}: pass {pass}, fail {fail}");
    }
}

#[test]
fn away_from_the_edge_the_right_side_is_found() {
    let limit = edge(0.0, Z95);
    let found = |factor: f64| shares(60, 60, limit * factor, &wandering(60, 200, 0.0, 0.0));
    let ((above, wrong_fail), (wrong_pass, below)) = (found(1.1), found(0.9));
    assert_eq!((wrong_fail, wrong_pass), (0.0, 0.0));
    assert!(above >= 0.95 && below >= 0.95, "pass {above}, fail {below}");
}

/// How much time a verdict takes in a queue whose truth is 10 % from the limit; printed, for people.
#[test]
#[ignore = "a table for people"]
fn power_in_a_queue() {
    for rho in [0.5, 0.8] {
        for seconds in [30, 60, 120] {
            for factor in [1.3, 1.1, 0.9, 0.7] {
                let limit = factor * 20.0_f64.ln() / (1.0 - rho);
                let (pass, fail) = shares(30, seconds, limit, &queue(seconds, rho));
                println!("M/M/1 {rho}, {seconds} s, limit x {factor}: pass {pass:.2} fail {fail:.2}");
            }
        }
    }
}
