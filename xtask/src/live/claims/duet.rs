//! Two proving grounds in slices that alternate: equal ones are never called different, and three percent are found.
//!
//! Every try starts both systems anew, so that what differs from start to start is part of what is tested.

use crate::Failure;
use crate::live::ground::Ground;
use crate::live::{Claim, Settings};
use crate::truth::table::Row;

pub(in crate::live) const EQUAL: Claim =
    Claim { name: "duet-equal", about: "equal systems are never called different", rows: equal };

pub(in crate::live) const SLOWER: Claim =
    Claim { name: "duet-slower", about: "a service that takes 3 % longer is found", rows: slower };

/// How long an arm is loaded where nothing is to be found, and as long as it takes to see three percent there.
const SHORT: &str = "10s";
const LONG: &str = "20s";
const SLICE: &str = "800ms";
const RATE: &str = "800/s";
/// Service time of the first system, and of one that is three percent slower: log-normal with this median.
const USUAL: &str = "service=lognormal:5ms:0.2";
const LONGER: &str = "service=lognormal:5.15ms:0.2";

/// What a try said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Worse,
    Different,
    Same,
    Invalid,
}

fn equal(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let tries = settings.tries.unwrap_or(50);
    let said = (0..tries).map(|turn| one(settings, USUAL, SHORT, turn)).collect::<Result<Vec<_>, _>>()?;
    let wrong = said.iter().filter(|said| matches!(said, Said::Worse | Said::Different)).count();
    let invalid = said.iter().filter(|said| **said == Said::Invalid).count();
    let measured = format!("{wrong} of {tries} called different, {invalid} invalid");
    Ok(vec![Row::new(
        "duet of equal systems",
        measured,
        "none, and valid",
        wrong == 0 && invalid * 20 <= tries,
    )])
}

fn slower(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let tries = settings.tries.unwrap_or(40);
    let said =
        (0..tries).map(|turn| one(settings, LONGER, LONG, 1_000 + turn)).collect::<Result<Vec<_>, _>>()?;
    let found = said.iter().filter(|said| **said == Said::Worse).count();
    let measured = format!("{found} of {tries} found");
    Ok(vec![Row::new("duet, 3 % slower service", measured, ">= 95 %", found * 100 >= tries * 95)])
}

fn one(settings: &Settings, second: &str, length: &str, turn: usize) -> Result<Said, Failure> {
    let plan = settings.product.write("duet", &plan())?;
    let start = |truth: &str| Ground::start(settings, "stories", &[truth, "seed=7"]);
    let (a, b) = (start(USUAL)?, start(second)?);
    let seed = (turn + 1).to_string();
    let plan = plan.to_string_lossy();
    let told = settings.product.told(&[
        "compare",
        "--duet",
        &plan,
        "--target",
        &a.url,
        "--target",
        &b.url,
        "--for",
        length,
        "--slice",
        SLICE,
        "--seed",
        &seed,
        "--no-record",
        "--quiet",
        "--json",
    ])?;
    let verdicts: Vec<&str> = told.json[0]["metrics"]
        .as_array()
        .map(|rows| rows.iter().filter_map(|row| row["verdict"].as_str()).collect())
        .unwrap_or_default();
    let said = match told.ended.code {
        97 => Said::Invalid,
        _ if verdicts.is_empty() => return Err(format!("no comparison: {}", told.ended.stderr.trim())),
        _ if verdicts.contains(&"worse") => Said::Worse,
        _ if verdicts.contains(&"better") => Said::Different,
        _ => Said::Same,
    };
    eprintln!("  {}: {said:?}", turn + 1);
    Ok(said)
}

fn plan() -> String {
    format!(
        "name: duet\ntarget: http://127.0.0.1:1\nsteps: [{{get: /api/discovery/trending}}]\n\
         tests: {{even: {{rate: {RATE}, for: {LONG}}}}}\n"
    )
}
