//! One request said on the command line, as a plan of one step.

use crate::args::RequestArgs;
use crate::exit::CliError;
use crucible_core::threshold::{Band, Measure, Subject, Threshold};
use crucible_core::{Ns, ScenarioId, StepId, units};
use crucible_http::{HttpSettings, RequestSpec, StatusMatch};
use crucible_plan::{LatenessBudget, Plan, Scenario, Step, Test, without_credentials};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// An address with its scheme.
pub fn whole(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// A plan called `name` whose only step is the request, under one test. `text` stands for the plan in records.
pub fn plan(
    name: &str,
    url: &str,
    args: &RequestArgs,
    test: Test,
    seed: u64,
    text: String,
) -> Result<Plan, CliError> {
    let step = request(args, url)?.into_step();
    let settings = settings(args);
    let remarks = settings.remarks();
    let all: Arc<dyn Any + Send + Sync> = Arc::new(settings);
    Ok(Plan {
        name: name.into(),
        target: Some(without_credentials(url)),
        seed,
        scenarios: vec![Scenario::plain(ScenarioId(0), name, [StepId(0)])],
        steps: vec![Step::plain(StepId(0), ScenarioId(0), "http", step)],
        tests: vec![test],
        settings: BTreeMap::from([("http", all)]),
        lateness: LatenessBudget::default(),
        hash: crucible_plan::digest(&text),
        text,
        remarks,
        ..Plan::default()
    })
}

fn request(args: &RequestArgs, url: &str) -> Result<RequestSpec, CliError> {
    let timeout = units::parse_duration(&args.timeout)
        .map_err(|hint| CliError::usage(format!("failed to read --timeout {:?}\n  {hint}", args.timeout)))?;
    let body = match &args.body {
        None => None,
        Some(text) => Some(match text.strip_prefix('@') {
            Some(path) => fs::read(path).map_err(|e| {
                CliError::usage(format!("failed to read the body {path}: {e}\n  check the name after the @"))
            })?,
            None => text.clone().into_bytes(),
        }),
    };
    let method = match (&args.method, &body) {
        (Some(method), _) => method.to_uppercase(),
        (None, Some(_)) => "POST".into(),
        (None, None) => "GET".into(),
    };
    let mut spec = RequestSpec::new(&method, url)
        .map_err(|why| CliError::usage(format!("failed to read the address {url:?}: {why}")))?
        .redirects(0)
        .timeout(timeout);
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            CliError::usage(format!("failed to read the header {header:?}\n  write NAME: VALUE"))
        })?;
        spec = spec.header(name.trim(), value.trim());
    }
    if let Some(body) = body {
        spec = spec.body(body);
    }
    if let Some(status) = &args.status {
        let status = StatusMatch::parse(status)
            .map_err(|hint| CliError::usage(format!("failed to read --status {status:?}\n  {hint}")))?;
        spec = spec.check_status(status);
    }
    Ok(spec)
}

fn settings(args: &RequestArgs) -> HttpSettings {
    let mut settings = HttpSettings { keep_alive: !args.no_keepalive, ..HttpSettings::default() };
    settings.tls.verify = !args.insecure;
    settings.tls.ca = args.ca.clone();
    settings.local_addresses = args.local_ips.clone();
    settings.unix_socket = args.unix_socket.clone();
    settings.redirects = 0;
    settings
}

/// The threshold that every plan without one for errors has.
pub fn implied() -> Threshold {
    Threshold {
        subject: Subject::All,
        measure: Measure::Errors,
        bands: vec![Band { name: "target".into(), limit: 0.01 }],
        over: None,
        abort: false,
        after: Ns::ZERO,
        implied: true,
    }
}
