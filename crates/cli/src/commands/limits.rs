//! `crucible limits`: finds and checks rate limiters by asking: the class, its figures, the key, whether headers tell
//! the truth.
//!
//! What is sent and what it means is decided in `crucible_stats::limits`; here it is done over sockets and told.

mod client;
mod expect;
mod keep;
mod tell;
mod variants;

use crate::args::LimitsArgs;
use crate::exit::{self, CliError};
use crate::{out, plans, stop, stores};
use client::{Client, Reading};
use crucible_core::units;
use crucible_engine::{Control, Signal};
use crucible_http::StatusMatch;
use crucible_stats::limits::{Finding, Options, Outcome, Prober};
use expect::Expected;
use keep::Kept;
use std::path::Path;
use variants::Asked;

/// Asks and tells; the exit code says whether it is as expected, or without an expectation whether it is known.
pub fn run(args: &LimitsArgs) -> Result<u8, CliError> {
    let expected = args.expect.as_deref().map(Expected::parse).transpose().map_err(|hint| {
        CliError::usage(format!(
            "failed to read --expect {:?}\n  {hint}",
            args.expect.as_deref().unwrap_or("")
        ))
    })?;
    let within = units::parse_duration(&args.within)
        .map_err(|hint| CliError::usage(format!("failed to read --within {:?}\n  {hint}", args.within)))?;
    let reading = reading(args)?;
    let store = if args.no_record { None } else { Some(stores::open(args.store.store.as_deref())?) };
    let path = Path::new(&args.what);
    let labels = args.labels.of_run(path.exists().then(|| plans::folder(path)).as_deref())?;
    let Asked { subject, variants, plan, ground } = variants::of(args)?;
    let control = Control::new();
    let _watch = stop::Watch::start(&control);
    let kept = Kept::begin(&plan, labels, store)?;
    let mut client = Client::open(&variants, args.overrides.seed.unwrap_or(1), reading)?;
    let options = Options {
        within: within.as_secs_f64(),
        most: args.most,
        lanes: args.lanes,
        keys: (1..variants.len()).map(|key| key as u8).collect(),
        login: args.lockout,
        press: if args.no_press { 0 } else { Options::default().press },
        seed: args.overrides.seed.unwrap_or(1),
        ..Options::default()
    };
    let shows = !args.quiet && out::interactive();
    let finding = probe(&mut client, options, &control, shows);
    drop(ground);
    let judged = expected.map(|expected| expected.judge(&finding));
    let labels: Vec<&str> = variants.iter().map(|variant| variant.label.as_str()).collect();
    let told = tell::Told { subject: &subject, finding: &finding, labels: &labels, judged: judged.as_ref() };
    let verdict = verdict(&finding, judged.as_ref());
    let interrupted = control.signal() != Signal::Run;
    kept.end(told.json().to_string(), verdict, told.short(), interrupted);
    if args.json {
        let json = serde_json::to_string_pretty(&told.json());
        out::line(&json.map_err(|e| CliError::internal(format!("failed to print the finding: {e}")))?);
    } else {
        out::text(&told.text());
        client.trouble().into_iter().take(3).for_each(|line| out::note(&format!("note: {line}")));
    }
    if interrupted {
        return Ok(exit::INTERRUPTED);
    }
    Ok(exit::of(verdict, args.allow.is_some()))
}

fn verdict(finding: &Finding, judged: Option<&expect::Judged>) -> crucible_analysis::Verdict {
    use crucible_analysis::Verdict;
    match (judged, &finding.outcome) {
        (Some(judged), _) => judged.verdict,
        (None, Outcome::Limiter) if finding.known() => Verdict::Pass,
        (None, Outcome::None) => Verdict::Pass,
        (None, _) => Verdict::Inconclusive,
    }
}

fn reading(args: &LimitsArgs) -> Result<Reading, CliError> {
    let status = |flag: &str, text: &str| {
        StatusMatch::parse(text)
            .map_err(|hint| CliError::usage(format!("failed to read {flag} {text:?}\n  {hint}")))
    };
    let mut reading = Reading::default();
    if let Some(text) = &args.request.status {
        reading.passed = vec![status("--status", text)?];
    }
    if args.lockout {
        for text in ["400", "401", "403", "422"] {
            reading.passed.push(status("--status", text)?);
        }
        reading.refused.push(status("--refused", "423")?);
    }
    for text in &args.refused {
        reading.refused.push(status("--refused", text)?);
    }
    Ok(reading)
}

/// Probes until it is known, time is up, or somebody stops it.
fn probe(client: &mut Client, options: Options, control: &Control, shows: bool) -> Finding {
    let mut prober = Prober::new(options, client.now());
    while let Some(experiment) = prober.next(client.now()) {
        if shows {
            out::note(&format!("{:8.1} s  {}", client.now(), experiment.about));
        }
        let seen = client.play(&experiment, control);
        prober.observe(seen, client.now());
        if control.signal() != Signal::Run {
            break;
        }
    }
    prober.finding()
}
