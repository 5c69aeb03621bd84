//! The capacity of systems whose capacity is known: a queue of eight workers, and a pool of connections.

use crate::Failure;
use crate::live::ground::Ground;
use crate::live::{Claim, Settings};
use crate::truth::product::Told;
use crate::truth::table::Row;
use crucible_stats::queues::{edge, mmc_slower};
use serde_json::Value;

pub(in crate::live) const QUEUE: Claim =
    Claim { name: "capacity", about: "the capacity of a queue is found within 3 %", rows: queue };

pub(in crate::live) const CLIFF: Claim = Claim {
    name: "capacity-cliff",
    about: "the cliff of a pool of connections is found at its exact number of users",
    rows: cliff,
};

/// Workers of the queue, their mean service time and the limit for p99, in seconds.
const WORKERS: usize = 8;
const SERVICE: f64 = 0.010;
const LIMIT: f64 = 0.100;

const TRIES: usize = 5;

/// The feed, which is answered from memory.
fn url(ground: &Ground) -> String {
    format!("{}/api/discovery/trending", ground.url)
}

fn queue(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let truth = edge(0.01, 1.0, WORKERS as f64 / SERVICE, |rate| mmc_slower(WORKERS, SERVICE, rate, LIMIT));
    let tries = settings.tries.unwrap_or(TRIES);
    let (mut worst, mut sum, mut held) = (0.0_f64, 0.0, 0);
    for turn in 0..tries {
        let (seed, workers) = (format!("seed={}", turn + 1), format!("workers={WORKERS}"));
        let ground =
            Ground::start(settings, "stories", &[&workers, "service=exponential:10ms", seed.as_str()])?;
        let told = search(settings, &[&url(&ground), "--threshold", "p99 < 100ms", "--within", "5m"], turn)?;
        let found = &told.json["answer"]["edge"];
        let Some([estimate, low, high]) = figures(found) else {
            return Err(format!("no capacity: {} {}", told.json["answer"], told.ended.stderr.trim()));
        };
        eprintln!("  {}: {estimate:.1}/s ({low:.1} to {high:.1}) for {truth:.1}", turn + 1);
        let remarks = told.json["remarks"].as_array().map_or(&[][..], Vec::as_slice);
        remarks.iter().filter_map(Value::as_str).for_each(|remark| eprintln!("     {remark}"));
        sum += estimate / truth - 1.0;
        worst = worst.max((estimate / truth - 1.0).abs());
        held += usize::from(low <= truth && truth <= high);
    }
    let claim = format!("M/M/8 of 10 ms, p99 <= 100 ms: {truth:.0}/s");
    let mean = 100.0 * sum / tries as f64;
    let measured = format!("off by {:.2} % at most, {mean:+.2} % on average, {tries} tries", 100.0 * worst);
    Ok(vec![
        Row::new(claim, measured, "within 3 %", worst <= 0.03),
        Row::new("its interval", format!("holds the truth in {held} of {tries}"), "all", held == tries),
    ])
}

/// Connections of the pool: each open WebSocket holds one, and so does the session whose token they show. So 59 users are the
/// most: the 60th waits for 30 s and is then refused.
const POOL: u64 = 60;
const MOST: u64 = POOL - 1;

const PLAN: &str = "name: sockets
target: http://127.0.0.1:1
scenarios:
  listener:
    think: 200ms
    setup: [{name: connect, ws: /api/v1/ws, query: {token: \"${token}\"}}]
    steps: [{name: ping, send: {json: {action: ping}}, expect: {json.type: pong}, within: 5s}]
tests:
  listeners:
    scenarios: [listener]
    vus: 10
    for: 10s
    setup:
      - post: /api/v1/auth/register
        json:
          username: \"u${unix_ms()}-${random_hex(12)}\"
          email: \"${random_hex(16)}${unix_ms()}@example.com\"
          password: correct horse
        save: {token: json.tokens.access_token}
    teardown: [{post: /api/v1/auth/logout, auth: {bearer: \"${token}\"}}]
    thresholds:
      connect: {p99: 1s}
      ping: {p99: 500ms}
";

fn cliff(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let pool = format!("connections={POOL}");
    let ground = Ground::start(settings, "agents", &[&pool, "slot-per-session=on"])?;
    let plan = settings.product.write("sockets", PLAN)?;
    let plan = plan.to_string_lossy();
    let told = search(settings, &[&plan, "--target", &ground.url, "--users", "--within", "2m"], 0)?;
    let edge = &told.json["answer"]["edge"];
    let Some(found) = figures(edge) else {
        return Err(format!("no capacity: {} {}", told.json["answer"], told.ended.stderr.trim()));
    };
    let recoveries = told.json["recoveries"].as_array().map_or(&[][..], Vec::as_slice);
    let took: Option<Vec<u64>> = recoveries.iter().map(|one| one["took_ns"].as_u64()).collect();
    let slowest = took.as_ref().and_then(|took| took.iter().max()).copied();
    let cut = told.json["cut"]["trials"].as_u64().unwrap_or(0);
    let seen = slowest.map_or("not seen".to_owned(), |slowest| {
        format!("seen {} times, {:.1} s at most", recoveries.len(), slowest as f64 / 1e9)
    });
    let [estimate, low, high] = found;
    Ok(vec![
        Row::new(
            format!("users of a pool of {POOL}, one taken"),
            format!("{estimate:.0} ({low:.0} to {high:.0})"),
            format!("{MOST} exactly"),
            found == [MOST as f64; 3],
        ),
        Row::new(
            "its shape",
            edge["shape"].as_str().unwrap_or("-").to_owned(),
            "cliff",
            edge["shape"] == "cliff",
        ),
        Row::new("hopeless trials", format!("{cut} cut short"), "some", cut > 0),
        Row::new("recovery", seen, "seen each time", slowest.is_some()),
    ])
}

fn search(settings: &Settings, what: &[&str], turn: usize) -> Result<Told, Failure> {
    let seed = (turn + 1).to_string();
    let arguments = [&["capacity"], what, &["--seed", &seed, "--no-record", "--quiet", "--json"]].concat();
    let told = settings.product.told(&arguments)?;
    if told.ended.code == 97 {
        return Err(format!("the generator was late: {}", told.ended.stderr.trim()));
    }
    Ok(told)
}

/// Estimate and interval of an edge.
fn figures(edge: &Value) -> Option<[f64; 3]> {
    Some([edge["estimate"].as_f64()?, edge["low"].as_f64()?, edge["high"].as_f64()?])
}
