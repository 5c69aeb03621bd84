//! T1: percentiles within 1 % or 50 us of what the server really did.

use crate::truth::product::Told;
use crate::truth::table::{Row, settle};
use crate::truth::{Claim, Needs, Settings};
use crate::{Failure, machine};
use crucible_core::Ns;
use crucible_testkit::servers::{Behaviour, TruthConfig, TruthRecord, TruthServer};
use crucible_testkit::{Law, Stalls};
use std::time::Duration;

pub(super) const CLAIM: Claim =
    Claim { id: "T1", about: "percentiles against the server's own record", needs: Needs::Product, rows };

struct Case {
    name: &'static str,
    law: Law,
    stalls: Option<Stalls>,
    /// Arguments of `crucible bench`, and those of the fast subset; `None` leaves the case out there.
    full: &'static [&'static str],
    fast: Option<&'static [&'static str]>,
}

const CASES: &[Case] = &[
    Case {
        name: "fixed 5 ms",
        law: Law::Fixed(Ns::from_millis(5)),
        stalls: None,
        full: &["-r", "500", "-d", "20s", "-c", "64"],
        fast: Some(&["-r", "500", "-d", "4s", "-c", "64"]),
    },
    Case {
        name: "1 % at 200 ms, else 2 ms",
        law: Law::TwoPoint { low: Ns::from_millis(2), high: Ns::from_millis(200), share: 0.01 },
        stalls: None,
        full: &["-r", "1000", "-d", "20s", "-c", "64"],
        fast: Some(&["-r", "1000", "-d", "4s", "-c", "64"]),
    },
    Case {
        name: "log-normal, median 5 ms",
        law: Law::LogNormal { median: Ns::from_millis(5), sigma: 0.7 },
        stalls: None,
        full: &["-r", "1000", "-d", "20s", "-c", "64"],
        fast: Some(&["-r", "1000", "-d", "4s", "-c", "64"]),
    },
    Case {
        name: "stall of 1 s every 10 s, open load",
        law: Law::Fixed(Ns::from_millis(5)),
        stalls: Some(Stalls { every: Ns::from_secs(10), length: Ns::from_secs(1) }),
        full: &["-r", "300", "-d", "35s", "-c", "400"],
        fast: Some(&["-r", "300", "-d", "12s", "-c", "400"]),
    },
    Case {
        name: "10 us",
        law: Law::Fixed(Ns::from_micros(10)),
        stalls: None,
        full: &["-r", "1000", "-d", "20s", "-c", "4"],
        fast: Some(&["-r", "1000", "-d", "4s", "-c", "4"]),
    },
    Case {
        name: "60 s",
        law: Law::Fixed(Ns::from_secs(60)),
        stalls: None,
        full: &["-n", "8", "-c", "8", "-t", "90s", "-d", "80s"],
        fast: None,
    },
];

const SHARES: [(f64, &str); 6] = [
    (0.5, "p50_ns"),
    (0.9, "p90_ns"),
    (0.95, "p95_ns"),
    (0.99, "p99_ns"),
    (0.999, "p99_9_ns"),
    (1.0, "max_ns"),
];

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for case in CASES {
        let arguments = if settings.fast { case.fast } else { Some(case.full) };
        if let Some(arguments) = arguments {
            rows.push(settle(case.name, quietly(settings, case, arguments)));
        }
    }
    Ok(rows)
}

/// Share of a core that others may use during a run before it is done again.
const QUIET: f64 = 0.05;
/// Most runs of one case.
const ATTEMPTS: usize = 3;

/// Measures a case on a quiet machine. How quiet it was is told by the kernel's counters, not by the result; if it
/// never was, the last run counts.
fn quietly(settings: &Settings, case: &Case, arguments: &[&str]) -> Result<Row, Failure> {
    for attempt in 1.. {
        let (began, all, ours) = (machine::now(), machine::used_by_all(), machine::used_by_us());
        let (mut row, cpu) = measure(settings, case, arguments)?;
        let others = (machine::used_by_all() - all).saturating_sub(machine::used_by_us() - ours + cpu);
        let share = others.as_secs_f64() / began.elapsed().as_secs_f64();
        if share <= QUIET {
            return Ok(row);
        }
        if attempt >= ATTEMPTS {
            row.measured += &format!("; others used {:.0} % of a core", share * 100.0);
            return Ok(row);
        }
    }
    Err("not measured".into())
}

/// One run: its row, and the CPU time that the binary used.
fn measure(settings: &Settings, case: &Case, arguments: &[&str]) -> Result<(Row, Duration), Failure> {
    let config = TruthConfig {
        stalls: case.stalls,
        seed: 7,
        own_cpu: Some(0),
        ..TruthConfig::of(Behaviour::delayed(case.law))
    };
    let server = TruthServer::start(config).map_err(|error| format!("failed to start a server: {error}"))?;
    let url = server.url("/");
    let mut all = vec![url.as_str()];
    all.extend(arguments);
    // Each side has a CPU to itself and runs there before whatever else the machine does: the claim is about them.
    all.push("--realtime");
    let awake = machine::Awake::on(1);
    let told = settings.product.bench(&all, Some(1))?;
    drop(awake);
    let record = server.record();
    let answered = told.figure("all/response/count")? as usize;
    if answered != record.served.len() {
        let measured = format!("{answered} answers counted, {} given", record.served.len());
        return Ok((Row::new(case.name, measured, "the same number", false), told.ended.cpu));
    }
    let (response, told_response) = worst(&told, &record, "response")?;
    let (service, told_service) = worst(&told, &record, "service")?;
    let lag = told.time("generator/lag/p50_ns").map_or_else(|_| "none".into(), |lag| lag.to_string());
    let measured = format!(
        "worst response {told_response}; worst service {told_service}; {answered} answers, send lag p50 {lag}"
    );
    // the headline figure is the response time; the service time tells what of it is our own lateness
    let holds = response <= 1.0 && service <= 1.0;
    Ok((Row::new(case.name, measured, "1 % or 50 us", holds), told.ended.cpu))
}

/// The percentile that lies farthest from the truth: how far, as a share of what is allowed, and in words.
fn worst(told: &Told, record: &TruthRecord, what: &str) -> Result<(f64, String), Failure> {
    let mut worst = (0.0, String::new());
    for (share, field) in SHARES {
        let told = told.time(&format!("all/{what}/{field}"))?;
        let truth = record.quantile(share).ok_or("the server answered nothing")?;
        let allowed = (truth.0 as f64 * 0.01).max(50_000.0);
        let off = told.0 as f64 - truth.0 as f64;
        if off.abs() / allowed >= worst.0 {
            let name = field.trim_end_matches("_ns").replace('_', ".");
            let sign = if off < 0.0 { "-" } else { "+" };
            let by = Ns(off.abs() as u64);
            worst = (off.abs() / allowed, format!("{name} {told} for {truth} ({sign}{by})"));
        }
    }
    Ok(worst)
}
