//! `crucible doctor`: what this machine can measure, by trying.

use super::bench;
use crate::args::DoctorArgs;
use crate::conduct::{Conduct, conduct};
use crate::exit::{CliError, PASS};
use crate::live::Live;
use crate::out;
use crucible_analysis::RunView;
use crucible_core::{Histogram, Ns, Outcome, units};
use crucible_engine::{measure_wakeups, system};
use crucible_harness::machine;
use crucible_testkit::servers::NullServer;
use serde_json::json;

/// Rate at which our own floor is measured.
const FLOOR_RATE: u32 = 1_000;

/// Measures and tells.
pub fn run(args: &DoctorArgs) -> Result<u8, CliError> {
    let failed = |what: &str, e: &dyn std::fmt::Display| CliError::internal(format!("failed to {what}: {e}"));
    let files = system::raise_file_limit();
    let facts = machine::facts(files);
    let late = measure_wakeups(2_000, Ns::from_micros(700)).map_err(|e| failed("measure wake-ups", &e))?;
    let server = NullServer::start(1).map_err(|e| failed("start the null server", &e))?;
    let open = null_run(&server.url(), &["--rate", &FLOOR_RATE.to_string(), "-d", "3s", "-c", "16"])?;
    let closed = null_run(&server.url(), &["-c", "64", "-d", "2s"])?;
    if args.json {
        out::line(&as_json(&facts, &late, &open, &closed).to_string());
    } else {
        tell(&facts, files, &late, &open, &closed);
    }
    Ok(PASS)
}

/// Loads the null server quietly, with the flags of `bench`.
fn null_run(url: &str, flags: &[&str]) -> Result<RunView, CliError> {
    let plan = bench::plan_from(url, flags)?;
    let how =
        Conduct { store: None, shards: Some(1), realtime: false, live: Live::Quiet, labels: Vec::new() };
    Ok(conduct(plan, vec![0], how)?.view)
}

fn shown(histogram: &Histogram, share: f64) -> String {
    histogram.quantile(share).map_or("-".into(), |ns| ns.to_string())
}

/// CPU seconds for each 1,000 operations that ended.
fn cpu_per_thousand(view: &RunView) -> f64 {
    let totals = &view.phases[0];
    let ended = totals.all.ended().max(1);
    totals.process_cpu.as_secs_f64() / ended as f64 * 1000.0
}

fn rate(view: &RunView) -> f64 {
    let totals = &view.phases[0];
    totals.all.of(Outcome::Ok) as f64 / totals.covered.as_secs_f64().max(1e-9)
}

fn tell(facts: &[(String, String)], files: u64, late: &Histogram, open: &RunView, closed: &RunView) {
    out::line("this machine");
    for (name, value) in facts {
        out::line(&format!("  {:<16} {value}", name.replace('_', " ")));
    }
    let totals = &open.phases[0];
    let lag = &totals.lag;
    out::line("\nwhat it can measure");
    out::line(&format!(
        "  wake-up error    p50 {}  p99 {}  p99.9 {}  max {}",
        shown(late, 0.5),
        shown(late, 0.99),
        shown(late, 0.999),
        late.max().unwrap_or_default()
    ));
    out::line(&format!(
        "  our own floor    service p50 {}  p99 {}  at {FLOOR_RATE}/s against a null server",
        shown(&totals.all.service, 0.5),
        shown(&totals.all.service, 0.99)
    ));
    out::line(&format!(
        "  send lateness    p50 {}  p99 {}  max {}",
        shown(&lag.generator, 0.5),
        shown(&lag.generator, 0.99),
        lag.generator.max().unwrap_or_default()
    ));
    out::line(&format!(
        "  one thread       {}/s on 64 connections, {:.4} CPU s per 1,000 requests",
        units::show_number(rate(closed)),
        cpu_per_thousand(closed)
    ));
    out::line("\nadvice");
    let advice = advice(files, late, facts);
    if advice.is_empty() {
        out::line("  nothing to mend");
    }
    advice.iter().for_each(|line| out::line(&format!("  {line}")));
}

fn advice(files: u64, late: &Histogram, facts: &[(String, String)]) -> Vec<String> {
    let mut advice = Vec::new();
    if files < 20_000 {
        advice.push(format!(
            "at most {files} open files: raise the hard limit for more connections (`ulimit -Hn`)"
        ));
    }
    if late.quantile(0.99).is_some_and(|p99| p99 > Ns::from_millis(1)) {
        advice.push("wake-ups are late by more than 1 ms at p99: something else uses the CPUs".into());
    }
    let clock = facts.iter().find(|(name, _)| name == "clock_source").map_or("", |(_, value)| value.as_str());
    if !matches!(clock, "tsc" | "arch_sys_counter" | "kvm-clock" | "") {
        advice.push(format!("the clock source is {clock}: reading the time costs a system call"));
    }
    advice
}

fn as_json(
    facts: &[(String, String)],
    late: &Histogram,
    open: &RunView,
    closed: &RunView,
) -> serde_json::Value {
    let ns = |histogram: &Histogram| {
        json!({
            "p50_ns": histogram.quantile(0.5).map(|v| v.0), "p99_ns": histogram.quantile(0.99).map(|v| v.0),
            "p999_ns": histogram.quantile(0.999).map(|v| v.0), "max_ns": histogram.max().map(|v| v.0),
        })
    };
    let totals = &open.phases[0];
    json!({
        "schema": 1,
        "machine": facts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "wake_up_error": ns(late),
        "floor": {"rate_per_second": FLOOR_RATE, "service": ns(&totals.all.service), "send_lateness": ns(&totals.lag.generator)},
        "one_thread": {"per_second": rate(closed), "cpu_seconds_per_1000": cpu_per_thousand(closed)},
    })
}
