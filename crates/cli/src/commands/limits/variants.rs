//! The request and its variants: each differs from the plain one in one thing that a limiter may count by.

use crate::args::LimitsArgs;
use crate::exit::CliError;
use crate::grounds::Started;
use crate::{plans, requests};
use crucible_core::{Ns, ScenarioId, StepId};
use crucible_engine::Preparation;
use crucible_http::{HttpSettings, RequestSpec};
use crucible_plan::{Plan, Step, StepRole, Test, without_credentials};
use crucible_schedule::Load;
use std::path::Path;
use std::sync::Arc;

/// One way to ask.
pub(super) struct Variant {
    /// What it differs in; of the plain one, what is asked.
    pub label: String,
    pub settings: HttpSettings,
    pub steps: Vec<(StepId, Arc<RequestSpec>)>,
    /// What a session does first.
    pub setup: Preparation,
    pub step: StepId,
}

/// What is asked.
pub(super) struct Asked {
    /// In words.
    pub subject: String,
    /// All ways to ask, the plain one first.
    pub variants: Vec<Variant>,
    /// The plan that the request is of, or one made of the request.
    pub plan: Plan,
    /// The system of the proving ground that was started for it.
    pub ground: Option<Started>,
}

const KINDS: &str = "write header:NAME=V1,V2, token=T1,T2, route=/A,/B, method=GET,HEAD or address=IP1,IP2";

/// What a limiter may count by, with the value of the plain request (if it has one) and another.
struct Dimension {
    kind: Kind,
    plain: Option<String>,
    other: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Header(String),
    Token,
    Route,
    Method,
    Address,
}

impl Dimension {
    fn parse(text: &str) -> Result<Dimension, CliError> {
        let wrong = || CliError::usage(format!("failed to read --key {text:?}\n  {KINDS}"));
        let (kind, values) = text.split_once('=').ok_or_else(wrong)?;
        let kind = match kind {
            "token" => Kind::Token,
            "route" => Kind::Route,
            "method" => Kind::Method,
            "address" => Kind::Address,
            _ => {
                Kind::Header(kind.strip_prefix("header:").filter(|n| !n.is_empty()).ok_or_else(wrong)?.into())
            }
        };
        let mut values = values.split(',').map(str::trim).filter(|value| !value.is_empty());
        let first = values.next().ok_or_else(wrong)?.to_owned();
        Ok(match values.next() {
            Some(other) => Dimension { kind, plain: Some(first), other: other.to_owned() },
            None => Dimension { kind, plain: None, other: first },
        })
    }

    fn label(&self) -> String {
        match &self.kind {
            Kind::Header(name) => format!("header {name}"),
            Kind::Token => "token".into(),
            Kind::Route => "route".into(),
            Kind::Method => "method".into(),
            Kind::Address => "source address".into(),
        }
    }
}

/// Reads what is to be asked; starts the system of a plan that names one.
pub(super) fn of(args: &LimitsArgs) -> Result<Asked, CliError> {
    let dimensions: Vec<Dimension> =
        args.key.iter().map(|text| Dimension::parse(text)).collect::<Result<_, _>>()?;
    if dimensions.len() > 32 {
        return Err(CliError::usage("failed to read --key\n  at most 32 things are varied"));
    }
    let path = Path::new(&args.what);
    if path.exists() {
        let route = args.step.as_deref().filter(|step| step.starts_with('/'));
        let ask = |plan: &Plan| match route {
            Some(route) => of_route(args, plan, route, &dimensions),
            None => of_plan(args, plan, &dimensions),
        };
        // a path is asked of an address, which is not known before the system is started
        let check = |plan: &Plan| if route.is_some() { Ok(()) } else { ask(plan).map(drop) };
        let (plan, ground) = plans::load_with_ground(path, &args.overrides, check)?;
        let (subject, variants) = ask(&plan)?;
        return Ok(Asked { subject, variants, plan, ground });
    }
    if !args.what.contains(':') {
        return Err(CliError::usage(format!(
            "failed to read {}: there is no such plan\n  name a plan file, a folder with a plan.yaml, or a URL",
            args.what
        )));
    }
    if args.step.is_some() {
        return Err(CliError::usage("failed to read the step\n  only a plan has steps"));
    }
    let url = requests::whole(&args.what);
    let (plan, variants) = of_request(args, &url, &dimensions)?;
    Ok(Asked { subject: asked(args, &url), variants, plan, ground: None })
}

/// What is asked, in words.
fn asked(args: &LimitsArgs, url: &str) -> String {
    let method =
        args.request.method.as_deref().unwrap_or(if args.request.body.is_some() { "POST" } else { "GET" });
    format!("{} {}", method.to_uppercase(), without_credentials(url))
}

/// A path on the system of a plan, asked as the command line says, over the plan's secure channel.
fn of_route(
    args: &LimitsArgs,
    plan: &Plan,
    route: &str,
    dimensions: &[Dimension],
) -> Result<(String, Vec<Variant>), CliError> {
    let target = plan.target.as_deref().ok_or_else(|| {
        CliError::usage(format!(
            "the plan has no target that {route} could be on\n  give one with --target URL"
        ))
    })?;
    let url = format!("{}{route}", target.trim_end_matches('/'));
    let (_, mut variants) = of_request(args, &url, dimensions)?;
    if let Some(known) =
        plan.settings.get("http").and_then(|settings| settings.downcast_ref::<HttpSettings>())
    {
        for variant in &mut variants {
            let tls = &mut variant.settings.tls;
            let own = (tls.verify, tls.ca.take());
            *tls = known.tls.clone();
            tls.verify &= own.0;
            tls.ca = own.1.or(tls.ca.take());
        }
    }
    Ok((format!("{} of {}", asked(args, &url), plan.name), variants))
}

/// A request of the command line: the plan of the plain one, and all variants.
fn of_request(
    args: &LimitsArgs,
    url: &str,
    dimensions: &[Dimension],
) -> Result<(Plan, Vec<Variant>), CliError> {
    let plain: Vec<(&Dimension, &str)> =
        dimensions.iter().filter_map(|d| Some((d, d.plain.as_deref()?))).collect();
    let (plan, first) = of_url(args, url, &plain, "the request")?;
    let mut variants = vec![first];
    for (index, dimension) in dimensions.iter().enumerate() {
        let mut values: Vec<(&Dimension, &str)> =
            plain.iter().copied().filter(|(d, _)| !std::ptr::eq(*d, dimension)).collect();
        values.push((&dimensions[index], &dimension.other));
        variants.push(of_url(args, url, &values, &dimension.label())?.1);
    }
    Ok((plan, variants))
}

fn of_url(
    args: &LimitsArgs,
    url: &str,
    values: &[(&Dimension, &str)],
    label: &str,
) -> Result<(Plan, Variant), CliError> {
    let mut url = url.to_owned();
    let mut request = args.request.clone();
    // statuses are read by the prober, not checked
    request.status = None;
    for (dimension, value) in values {
        match &dimension.kind {
            Kind::Header(name) => request.headers.push(format!("{name}: {value}")),
            Kind::Token => request.headers.push(format!("Authorization: Bearer {value}")),
            Kind::Method => request.method = Some((*value).to_owned()),
            Kind::Address => request.local_ips = vec![address(value)?],
            Kind::Route => {
                let base = url.find("://").map_or(0, |at| at + 3);
                let end = url[base..].find('/').map_or(url.len(), |at| base + at);
                url = format!("{}/{}", &url[..end], value.trim_start_matches('/'));
            }
        }
    }
    let load = Load { profile: "limits", start_delay: Ns::ZERO, phases: Vec::new(), graceful_stop: Ns::ZERO };
    let test = Test::plain("limits", vec![ScenarioId(0)], load);
    let seed = args.overrides.seed.unwrap_or(1);
    let text = format!("crucible limits {}", without_credentials(&url));
    let plan = requests::plan("limits", &url, &request, test, seed, text)?;
    let first = variant(&plan, &plan.steps[0], label.to_owned(), Preparation::default())?;
    Ok((plan, first))
}

fn address(text: &str) -> Result<std::net::IpAddr, CliError> {
    text.parse()
        .map_err(|_| CliError::usage(format!("failed to read the address {text:?}\n  write 127.0.0.2")))
}

/// A step with what it needs of its plan.
fn variant(plan: &Plan, step: &Step, label: String, setup: Preparation) -> Result<Variant, CliError> {
    let settings = plan.settings.get("http").and_then(|settings| settings.downcast_ref::<HttpSettings>());
    let settings = settings.ok_or_else(|| CliError::internal("the plan has no settings for http"))?;
    let before: Vec<StepId> = setup.steps().collect();
    let steps = plan
        .steps
        .iter()
        .filter(|other| other.protocol == "http" && (other.id == step.id || before.contains(&other.id)))
        .filter_map(|other| Some((other.id, Arc::clone(&other.spec.body).downcast::<RequestSpec>().ok()?)))
        .collect();
    let settings = HttpSettings { keep_heads: true, ..settings.clone() };
    Ok(Variant { label, settings, steps, setup, step: step.id })
}

fn of_plan(
    args: &LimitsArgs,
    plan: &Plan,
    dimensions: &[Dimension],
) -> Result<(String, Vec<Variant>), CliError> {
    let ordinary = || plan.steps.iter().filter(|s| s.protocol == "http" && s.role == StepRole::Main);
    let step = match &args.step {
        None => ordinary().next().ok_or_else(|| CliError::usage("the plan has no http step to ask with"))?,
        Some(name) => ordinary().find(|step| step.name == *name).ok_or_else(|| {
            let known: Vec<&str> = ordinary().map(|step| step.name.as_str()).collect();
            let hint = crucible_core::fields::suggest(name, &known);
            CliError::usage(format!("the plan has no http step `{name}`\n  {hint}"))
        })?,
    };
    let setup = Preparation::of(plan, step.scenario)
        .map_err(|why| CliError::usage(format!("failed to ask with `{}`: {why}", step.name)))?;
    let mut variants = vec![variant(plan, step, "the step".into(), setup.clone())?];
    for dimension in dimensions {
        let mut other = variant(plan, step, dimension.label(), setup.clone())?;
        let header = match &dimension.kind {
            Kind::Header(name) => Some((name.clone(), dimension.other.clone())),
            Kind::Token => Some(("Authorization".to_owned(), format!("Bearer {}", dimension.other))),
            Kind::Address => {
                other.settings.local_addresses = vec![address(&dimension.other)?];
                None
            }
            Kind::Route | Kind::Method => {
                let hint = "of a plan's step, headers, tokens and addresses can be varied";
                return Err(CliError::usage(format!("failed to vary the {}\n  {hint}", dimension.label())));
            }
        };
        if let Some((name, value)) = header {
            for (id, spec) in &mut other.steps {
                if *id == step.id {
                    *spec = Arc::new(RequestSpec::clone(spec).header(&name, &value));
                }
            }
        }
        variants.push(other);
    }
    let target = plan.target.as_deref().map(without_credentials).unwrap_or_default();
    Ok((format!("{} of {} on {target}", step.name, plan.name), variants))
}
