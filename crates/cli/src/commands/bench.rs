//! `crucible bench URL`: a one-line load test on the same engine, record and judgement as a plan.

use super::tell;
use crate::args::{BenchArgs, Cli, Command};
use crate::conduct::{Conduct, conduct};
use crate::exit::CliError;
use crate::live::Live;
use crate::requests::{self, implied, whole};
use crate::stores;
use clap::Parser;
use crucible_core::{Ns, ScenarioId, units};
use crucible_plan::{Plan, Test, without_credentials};
use crucible_schedule::{Curve, Iterations, Load, LoadPhase, Pacing, Piece, Spacing};

/// Longest that a bench by count may take.
const COUNT_LIMIT: Ns = Ns::from_secs(86_400);
/// How long requests under way at the end may still take.
const LAST_REQUESTS: Ns = Ns::from_secs(2);

/// Loads the address; the exit code is the verdict's.
pub fn run(args: &BenchArgs) -> Result<u8, CliError> {
    let store = args.store.as_deref().map(|path| stores::open(Some(path))).transpose()?;
    let plan = plan(args)?;
    // an address lies in no repository
    let labels = args.labels.of_run(None)?;
    let how = Conduct {
        store,
        shards: args.tell.shards,
        realtime: args.tell.realtime,
        live: Live::new(args.tell.quiet),
        labels,
    };
    let conducted = conduct(plan, vec![0], how)?;
    tell::result(&conducted, &args.tell, args.latency)?;
    Ok(conducted.code(args.tell.allow.is_some()))
}

/// The plan that `crucible bench URL FLAGS` would run.
pub fn plan_from(url: &str, flags: &[&str]) -> Result<Plan, CliError> {
    let words = ["crucible", "bench", url].into_iter().chain(flags.iter().copied());
    match Cli::try_parse_from(words).map_err(|e| CliError::internal(e.to_string()))?.command {
        Command::Bench(args) => plan(&args),
        _ => Err(CliError::internal("not a bench")),
    }
}

fn plan(args: &BenchArgs) -> Result<Plan, CliError> {
    let read = |what: &str, value: &str, hint: String| {
        CliError::usage(format!("failed to read {what} {value:?}\n  {hint}"))
    };
    let duration =
        |what: &str, text: &str| units::parse_duration(text).map_err(|hint| read(what, text, hint));
    let url = whole(&args.url);
    let given = args.duration.as_deref().map(|text| duration("--duration", text)).transpose()?;
    let load = match &args.rate {
        Some(text) => {
            let rate = match text.parse::<f64>() {
                Ok(per_second) => per_second,
                Err(_) => units::parse_rate(text).map_err(|hint| read("--rate", text, hint))?,
            };
            open_load(rate, args, given.unwrap_or(Ns::from_secs(10)))?
        }
        None => closed_load(args, given),
    };
    let test = Test { thresholds: vec![implied()], ..Test::plain("bench", vec![ScenarioId(0)], load) };
    requests::plan("bench", &url, &args.request, test, args.seed, command(args, &url))
}

fn flat(value: f64, length: Ns) -> Curve {
    Curve { pieces: vec![Piece { length, from: value, to: value }] }
}

fn open_load(rate: f64, args: &BenchArgs, length: Ns) -> Result<Load, CliError> {
    if !(rate > 0.0 && rate <= 10e6) {
        return Err(CliError::usage(
            "failed to read --rate\n  give more than 0 and at most 10,000,000 a second",
        ));
    }
    let pacing = Pacing::Open {
        rate: flat(rate, length),
        spacing: if args.poisson { Spacing::Poisson } else { Spacing::Even },
        max_users: args.connections,
        patience: None,
    };
    let name = format!("{}/s", units::show_number(rate));
    Ok(load("constant-rate", LoadPhase { name, length, pacing, marks: Vec::new() }))
}

fn closed_load(args: &BenchArgs, given: Option<Ns>) -> Load {
    let (length, iterations) = match args.requests {
        Some(total) => (given.unwrap_or(COUNT_LIMIT), Some(Iterations::Shared(total))),
        None => (given.unwrap_or(Ns::from_secs(10)), None),
    };
    let users = args.connections.min(args.requests.unwrap_or(u64::MAX));
    let pacing = Pacing::Closed { users: flat(users as f64, length), iterations };
    let name = format!("{users} connection{}", if users == 1 { "" } else { "s" });
    load("constant-vus", LoadPhase { name, length, pacing, marks: Vec::new() })
}

fn load(profile: &'static str, phase: LoadPhase) -> Load {
    Load { profile, start_delay: Ns::ZERO, phases: vec![phase], graceful_stop: LAST_REQUESTS }
}

/// The command as it is recorded: what identifies the experiment, without values that may be secret.
fn command(args: &BenchArgs, url: &str) -> String {
    let mut words = vec![format!("crucible bench {}", without_credentials(url))];
    match &args.rate {
        Some(rate) => words.push(format!("--rate {rate}{}", if args.poisson { " --poisson" } else { "" })),
        None => words.push(format!("-c {}", args.connections)),
    }
    words.extend(args.requests.map(|n| format!("-n {n}")));
    words.extend(args.duration.as_ref().map(|d| format!("-d {d}")));
    words.extend(args.request.method.as_ref().map(|m| format!("-m {m}")));
    for header in &args.request.headers {
        words.push(format!("-H '{}: ***'", header.split(':').next().unwrap_or_default()));
    }
    words.extend(args.request.body.as_ref().map(|body| format!("-b ({} bytes)", body.len())));
    words.extend(args.request.status.as_ref().map(|status| format!("--status {status}")));
    words.extend(args.request.no_keepalive.then(|| "--no-keepalive".to_owned()));
    words.push(format!("--seed {}", args.seed));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_command_tells_no_secret() {
        let words = ["crucible", "bench", "http://u:pw1@h/", "-H", "Authorization: Bearer pw2", "-b", "pw3"];
        let Command::Bench(args) = Cli::try_parse_from(words).unwrap().command else { panic!("a bench") };
        let text = command(&args, &args.url);
        assert_eq!(text, "crucible bench http://***@h/ -c 50 -H 'Authorization: ***' -b (3 bytes) --seed 1");
    }

    #[test]
    fn flags_of_other_tools_are_taken() {
        for flags in
            [&["-c", "64", "-d", "2s"][..], &["-n", "100"], &["-z", "3s"], &["-r", "90/m"], &["-R", "50"]]
        {
            let plan = plan_from("localhost:1", flags).unwrap();
            assert_eq!(plan.tests[0].load.phases.len(), 1, "{flags:?}");
        }
        for (flags, part) in
            [(&["-d", "10"][..], "10s"), (&["-r", "0"], "more than 0"), (&["-H", "x"], "NAME: VALUE")]
        {
            let told = plan_from("localhost:1", flags).err().map(|e| e.text).unwrap_or_default();
            assert!(told.contains(part), "{flags:?}: {told}");
        }
    }
}
