//! The two systems of a duet: addresses that were given, or two of the plan's proving ground, which can be started anew.

use super::evidence::ARMS;
use crate::args::CompareArgs;
use crate::catalogue;
use crate::composite::Composite;
use crate::conductor::Arm;
use crate::exit::CliError;
use crate::grounds::{self, Started};
use crate::out;
use crate::plans::{self, PlanOverrides};
use crucible_core::monitor::{Component, Target};
use std::path::Path;
use std::sync::Arc;

/// What the system of an arm is called where the plan names no component of it.
const SYSTEM: &str = "system";

/// A system under test, ended when dropped if it is ours.
pub(super) struct System {
    url: String,
    env: Vec<String>,
    ground: Option<Ground>,
}

struct Ground {
    system: String,
    truth: Vec<String>,
    running: Option<Started>,
}

/// The two addresses, or two systems of the proving ground if the plan names one.
pub(super) fn both(args: &CompareArgs, plan: &Path) -> Result<[System; 2], CliError> {
    let address = |url: &String| System { url: url.clone(), env: Vec::new(), ground: None };
    match args.targets.as_slice() {
        [a, b] if args.rounds > 1 => Err(usage(&format!(
            "only systems of the proving ground can be started {} times, not {a} and {b}",
            args.rounds
        ))),
        [a, b] => Ok([address(a), address(b)]),
        [] => {
            let ground = plans::ground(plan)?.ok_or_else(|| usage("two addresses are needed"))?;
            let start = |switches: &[String]| -> Result<System, CliError> {
                let truth: Vec<String> = ground.truth.iter().chain(switches).cloned().collect();
                let started = grounds::start(&ground.system, &truth)?;
                let (url, env) = (started.url.clone(), started.variables());
                out::note(&format!("started the proving ground's `{}` at {url}", ground.system));
                let ground = Ground { system: ground.system.clone(), truth, running: Some(started) };
                Ok(System { url, env, ground: Some(ground) })
            };
            Ok([start(&args.truth_a)?, start(&args.truth_b)?])
        }
        _ => Err(usage("give `--target` twice")),
    }
}

pub(super) fn usage(hint: &str) -> CliError {
    CliError::usage(format!(
        "failed to compare: {hint}\n  write `crucible compare --duet PLAN --target A --target B`"
    ))
}

impl System {
    /// The plan read for this system.
    pub(super) fn arm(&self, args: &CompareArgs, plan: &Path) -> Result<Arm<Composite>, CliError> {
        let mut env = self.env.clone();
        env.extend(args.env.iter().cloned());
        let overrides = PlanOverrides { target: Some(self.url.clone()), seed: args.seed, env };
        let plan = plans::load(plan, &overrides)?;
        let protocol = catalogue::protocol(&plan)
            .map_err(|why| CliError::usage(format!("failed to prepare the requests: {why}")))?;
        Ok(Arm { plan, protocol: Arc::new(protocol) })
    }

    /// Ends the system and starts it again at the same address. Nothing is done to a system that is not ours.
    pub(super) fn restart(&mut self) -> Result<(), CliError> {
        let Some(ground) = &mut self.ground else { return Ok(()) };
        drop(ground.running.take());
        let port = port(&self.url).unwrap_or(0);
        ground.running = Some(grounds::start_at(&ground.system, &ground.truth, port)?);
        Ok(())
    }
}

/// Gives every arm components of its own: `api` becomes `api-A` and `api-B`. A component that is the same process in both
/// cannot tell them apart and keeps its name. Where the plan names none that differs, the process that listens on the
/// arm's port is watched, if the address is of this machine.
pub(super) fn watch_apart<P>(arms: &mut [Arm<P>; 2]) {
    let [first, second] = arms;
    let shared = |component: &Component| {
        first.plan.components.contains(component) && second.plan.components.contains(component)
    };
    let own: Vec<Vec<Component>> = [&first.plan, &second.plan]
        .iter()
        .map(|plan| plan.components.iter().filter(|component| !shared(component)).cloned().collect())
        .collect();
    let both: Vec<Component> = first.plan.components.iter().filter(|c| shared(c)).cloned().collect();
    for ((arm, name), mut own) in [first, second].into_iter().zip(ARMS).zip(own) {
        if own.is_empty() {
            let target = arm.plan.target.as_deref().and_then(local_port).map(Target::Port);
            own.extend(target.map(|target| Component { name: SYSTEM.into(), target, limits: Vec::new() }));
        }
        own.iter_mut().for_each(|component| component.name = format!("{}-{name}", component.name));
        arm.plan.components = both.iter().cloned().chain(own).collect();
    }
}

/// The port of an address on this machine's loopback.
fn local_port(url: &str) -> Option<u16> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?']).next()?;
    let local = ["127.", "localhost", "[::1]"].iter().any(|start| host.starts_with(start));
    local.then(|| port(url)).flatten()
}

fn port(url: &str) -> Option<u16> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next()?.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_watched_only_on_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8070", Some(8070)),
            ("https://localhost:8443/", Some(8443)),
            ("http://[::1]:80/x?y=:1", Some(80)),
            ("http://example.com:8070", None),
            ("http://127.0.0.1", None),
            ("nonsense", None),
        ] {
            assert_eq!(local_port(url), expected, "{url}");
        }
    }
}
