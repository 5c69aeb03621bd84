//! Open load: is the rate made the rate asked, and how late is each request sent?

use super::tools::TOOLS;
use super::{Settings, median};
use crate::truth::product::Product;
use crate::{Failure, machine, root};
use crucible_core::Ns;
use serde_json::Value;
use std::process::Command;

const RATES: [u64; 2] = [1_000, 10_000];
const CONNECTIONS: u64 = 64;

/// Figures of one turn; times in nanoseconds, NaN where the tool does not say.
#[derive(Clone, Copy)]
struct Turn {
    made: f64,
    p50: f64,
    p99: f64,
    max: f64,
    lag: [f64; 3],
}

pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    type Measure = fn(&Settings, u64) -> Result<Option<Turn>, Failure>;
    let tools: [(&str, Measure); 3] = [("crucible", ours), ("oha -q", oha), ("wrk2", wrk2)];
    for rate in RATES {
        let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); tools.len()];
        for round in 0..settings.rounds {
            for (index, (name, measure)) in tools.iter().enumerate() {
                eprint!("\r{rate}/s, round {}: {name:10}", round + 1);
                turns[index].extend(measure(settings, rate)?);
            }
        }
        eprint!("\r{:60}\r", "");
        println!(
            "{rate}/s, {CONNECTIONS} connections, medians of {} turns of {} s",
            settings.rounds, settings.seconds
        );
        let titles = ["", "made/s", "off", "p50", "p99", "max", "send lag p50/p99/max"];
        let [tool, made, off, p50, p99, max, lag] = titles;
        println!("{tool:<10}{made:>10}{off:>9}{p50:>9}{p99:>9}{max:>9}  {lag}");
        for ((name, _), turns) in tools.iter().zip(&turns).filter(|(_, turns)| !turns.is_empty()) {
            let middle = |of: &dyn Fn(&Turn) -> f64| median(turns.iter().map(of).collect());
            let made = middle(&|turn| turn.made);
            let lag: Vec<String> = (0..3).map(|index| time(middle(&|turn| turn.lag[index]))).collect();
            println!(
                "{:<10}{:>10.1}{:>8.2}%{:>9}{:>9}{:>9}  {}",
                name,
                made,
                (made / rate as f64 - 1.0) * 100.0,
                time(middle(&|turn| turn.p50)),
                time(middle(&|turn| turn.p99)),
                time(middle(&|turn| turn.max)),
                lag.join("/"),
            );
        }
        println!();
    }
    Ok(())
}

fn time(ns: f64) -> String {
    if ns.is_finite() { Ns(ns as u64).to_string() } else { "-".into() }
}

fn ours(settings: &Settings, rate: u64) -> Result<Option<Turn>, Failure> {
    let (rate, length) = (rate.to_string(), format!("{}s", settings.seconds));
    let connections = CONNECTIONS.to_string();
    let arguments = [settings.url.as_str(), "-r", &rate, "-d", &length, "-c", &connections];
    let told = Product::new(root()).bench(&arguments, Some(settings.client_cpu))?;
    let lag = |field: &str| told.figure(&format!("generator/lag/{field}"));
    Ok(Some(Turn {
        made: told.figure("all/ended")? / settings.seconds as f64,
        p50: told.figure("all/response/p50_ns")?,
        p99: told.figure("all/response/p99_ns")?,
        max: told.figure("all/response/max_ns")?,
        lag: [lag("p50_ns")?, lag("p99_ns")?, lag("max_ns")?],
    }))
}

fn oha(settings: &Settings, rate: u64) -> Result<Option<Turn>, Failure> {
    let Some(program) = TOOLS.iter().find(|tool| tool.name == "oha").and_then(|tool| tool.path()) else {
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args([
        "-q",
        &rate.to_string(),
        "-c",
        &CONNECTIONS.to_string(),
        "-z",
        &format!("{}s", settings.seconds),
    ]);
    command.args(["--latency-correction", "--no-tui", "--output-format", "json", &settings.url]);
    let ended = machine::measure(&mut command, Some(settings.client_cpu))?;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let at = |path: &str| report.pointer(path).and_then(Value::as_f64);
    let codes = report.get("statusCodeDistribution").and_then(Value::as_object);
    let requests: f64 = codes.map_or(0.0, |codes| codes.values().filter_map(Value::as_f64).sum());
    let seconds = |value: Option<f64>| value.map_or(f64::NAN, |value| value * 1e9);
    Ok((requests > 0.0).then(|| Turn {
        made: requests / settings.seconds as f64,
        p50: seconds(at("/latencyPercentiles/p50")),
        p99: seconds(at("/latencyPercentiles/p99")),
        max: seconds(at("/summary/slowest")),
        lag: [f64::NAN; 3],
    }))
}

fn wrk2(settings: &Settings, rate: u64) -> Result<Option<Turn>, Failure> {
    let Some(program) = TOOLS.iter().find(|tool| tool.name == "wrk2").and_then(|tool| tool.path()) else {
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args([
        "-t",
        "1",
        "-c",
        &CONNECTIONS.to_string(),
        "-d",
        &format!("{}s", settings.seconds),
        "--latency",
    ]);
    command.args(["-R", &rate.to_string(), &settings.url]);
    let ended = machine::measure(&mut command, Some(settings.client_cpu))?;
    let word = |mark: &str| -> Option<String> {
        let line = ended.stdout.lines().find(|line| line.trim_start().starts_with(mark))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    };
    let duration = |mark: &str| {
        let text = word(mark).unwrap_or_default();
        crucible_core::units::parse_duration(&text).map_or(f64::NAN, |ns| ns.0 as f64)
    };
    let made = word("Requests/sec:").and_then(|text| text.parse().ok()).unwrap_or(0.0);
    Ok((made > 0.0).then(|| Turn {
        made,
        p50: duration("50.000%"),
        p99: duration("99.000%"),
        max: duration("100.000%"),
        lag: [f64::NAN; 3],
    }))
}
