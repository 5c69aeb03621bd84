//! Two proving grounds in a soak at the same time: one that loses one percent of its memory a minute is named, with its slope
//! and the time that is left, and one that fills a cache is not.

use crate::Failure;
use crate::live::ground::Ground;
use crate::live::{Claim, Settings};
use crate::truth::product::Told;
use crate::truth::table::Row;
use serde_json::Value;

pub(in crate::live) const LEAK: Claim =
    Claim { name: "leak", about: "a leak is named in twelve minutes, and a cache that fills is not", rows };

/// Memory that is held from the start, and what is lost of it a minute.
const LOSES: &str = "leak=1%/m:200MB";
const LOST: f64 = 2e6;
/// A cache that is full, but for a hundredth, after nine minutes.
const FILLS: &str = "fill=100MB:2m";
const CACHE: f64 = 100e6;
/// What each of them may have.
const LIMIT: f64 = 400e6;
/// A slope counts as right within this.
const NEAR: f64 = 0.15;

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let (loses, fills) =
        (Ground::start(settings, "stories", &[LOSES])?, Ground::start(settings, "stories", &[FILLS])?);
    let (lost, filled) = std::thread::scope(|scope| {
        let other = scope.spawn(|| soak(settings, "fills", &fills));
        let lost = soak(settings, "loses", &loses);
        (lost, other.join().unwrap_or_else(|_| Err("the other soak broke".into())))
    });
    let (lost, filled) = (lost?, filled?);
    Ok(vec![slope(&lost)?, left(&lost)?, cache(&filled)?])
}

/// Twelve minutes of a little load. Memory is looked at and no time, so that a busy machine may delay requests.
fn soak(settings: &Settings, name: &str, ground: &Ground) -> Result<Told, Failure> {
    let port = ground.url.rsplit(':').next().unwrap_or_default();
    let plan = format!(
        "name: {name}\ntarget: {}\nsteps: [{{get: /api/discovery/trending}}]\n\
         components: {{api: {{port: {port}, limits: {{memory: 400MB}}}}}}\n\
         generator: {{lateness: {{floor: 5s}}}}\n\
         tests: {{soak: {{rate: 20/s, for: 12m}}}}\nthresholds: {{api.memory: {{leak: none}}}}\n",
        ground.url
    );
    let plan = settings.product.write(&format!("leak-{name}"), &plan)?;
    settings.product.told(&["run", &plan.to_string_lossy(), "--no-record", "--quiet", "--json"])
}

/// What is said of the growth of the memory.
fn memory(told: &Told) -> Result<&Value, Failure> {
    let list = told.json["tests"][0]["growth"].as_array();
    let found = list.and_then(|list| list.iter().find(|growth| growth["subject"] == "api.memory"));
    found.ok_or_else(|| format!("nothing is said of its memory: {}", told.ended.stderr.trim()))
}

/// A figure of the readings of the memory.
fn reading(told: &Told, figure: &str) -> Result<f64, Failure> {
    let list = told.json["tests"][0]["totals"]["readings"].as_array();
    let is_memory = |read: &&Value| read["component"] == "api" && read["series"] == "memory";
    let read = list.and_then(|list| list.iter().find(is_memory));
    read.and_then(|read| read[figure].as_f64()).ok_or_else(|| "its memory was not read".to_owned())
}

fn slope(told: &Told) -> Result<Row, Failure> {
    let memory = memory(told)?;
    let ends = [0, 1].map(|end| memory["per_minute_interval"][end].as_f64().unwrap_or(f64::NAN));
    let slope = memory["per_minute"].as_f64().unwrap_or(f64::NAN);
    let holds = (slope / LOST - 1.0).abs() <= NEAR && told.ended.code == 99;
    Ok(Row::new(
        "2 MB a minute lost, of 200 MB",
        format!(
            "{:.3} MB a minute ({:.3} to {:.3}), exit {}",
            slope / 1e6,
            ends[0] / 1e6,
            ends[1] / 1e6,
            told.ended.code
        ),
        "named, within 15 %, exit 99",
        holds,
    ))
}

fn left(told: &Told) -> Result<Row, Failure> {
    let said = memory(told)?["exhausted_in_seconds"].as_f64().unwrap_or(f64::NAN);
    let truth = (LIMIT - reading(told, "last")?) / LOST * 60.0;
    Ok(Row::new(
        "time until 400 MB are used up",
        format!("{:.1} min said, {:.1} min in truth", said / 60.0, truth / 60.0),
        "within 15 %",
        (said / truth - 1.0).abs() <= NEAR,
    ))
}

fn cache(told: &Told) -> Result<Row, Failure> {
    let grown = reading(told, "max")? - reading(told, "min")?;
    let words = memory(told)?["words"].as_str().unwrap_or_default().to_owned();
    let quiet = memory(told)?["state"]
        .as_str()
        .is_some_and(|state| matches!(state, "levels_off" | "flat" | "one_step"));
    Ok(Row::new(
        "a cache of 100 MB that fills",
        format!("grew by {:.0} MB, {words}, exit {}", grown / 1e6, told.ended.code),
        "no leak, exit 0",
        quiet && told.ended.code == 0 && grown > 0.7 * CACHE,
    ))
}
