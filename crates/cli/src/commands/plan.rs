//! `crucible plan check|show|schema`.

use crate::args::PlanCommand;
use crate::catalogue::GRAMMARS;
use crate::exit::{CliError, PASS};
use crate::{catalogue, out, plans};
use crucible_core::{Share, units};
use crucible_engine::{Options, footprint};
use crucible_plan::{Plan, Test};
use crucible_schedule::{ArrivalProcess, Arrivals, LoadPhase, Mix, Pacing, phase_seed};
use std::fmt::Write;

/// Checks, shows, or prints the schema.
pub fn run(command: &PlanCommand) -> Result<u8, CliError> {
    match command {
        PlanCommand::Check(args) => {
            let plan = plans::load(&args.plan, &args.overrides)?;
            catalogue::protocol(&plan)
                .map_err(|why| CliError::usage(format!("failed to prepare the requests: {why}")))?;
            let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
            out::line(&format!(
                "{} is sound: {}, {}, {}",
                plans::locate(&args.plan).display(),
                count(plan.scenarios.len(), "scenario"),
                count(plan.steps.len(), "step"),
                count(plan.tests.len(), "test"),
            ));
        }
        PlanCommand::Show { plan: args, tests, arrivals } => {
            let plan = plans::load(&args.plan, &args.overrides)?;
            let tests = plans::choose(&plan, tests)?;
            out::text(&show(&plan, &tests, *arrivals));
        }
        PlanCommand::Schema => {
            let schema = crucible_plan::schema(GRAMMARS);
            let text = serde_json::to_string_pretty(&schema)
                .map_err(|e| CliError::internal(format!("failed to print the schema: {e}")))?;
            out::line(&text);
        }
    }
    Ok(PASS)
}

fn show(plan: &Plan, tests: &[usize], arrivals: usize) -> String {
    let mut text = String::new();
    let options = Options::suited_to(plan, tests);
    let memory = units::show_bytes(footprint(plan, tests, options.shards) as f64);
    // writing to a String cannot fail
    let on = match (&plan.target, &plan.ground) {
        (Some(target), _) => target.clone(),
        (None, Some(ground)) => format!("the proving ground's `{}`", ground.system),
        (None, None) => "(no target)".into(),
    };
    let _ = writeln!(text, "{}  on {on}", plan.name);
    let _ = writeln!(text, "plan  {}   seed {}", &plan.hash[..16.min(plan.hash.len())], plan.seed);
    let _ = writeln!(text, "needs {memory} of memory at most, on {} shard(s)", options.shards);
    for remark in &plan.remarks {
        let _ = writeln!(text, "note  {remark}");
    }
    for id in tests {
        show_test(plan, &plan.tests[*id], arrivals, &mut text);
    }
    text
}

fn show_test(plan: &Plan, test: &Test, arrivals: usize, text: &mut String) {
    let _ = writeln!(text, "\ntest {}: {}", test.name, test.load.describe());
    let total: f64 = test.scenarios.iter().map(|id| plan.scenarios[usize::from(id.0)].weight).sum();
    for id in &test.scenarios {
        let scenario = &plan.scenarios[usize::from(id.0)];
        let steps = plan.steps.iter().filter(|step| step.scenario == *id).count();
        let _ = writeln!(
            text,
            "  scenario {:<24} {:>6} of users or arrivals, {steps} steps",
            scenario.name,
            units::show_share(scenario.weight / total)
        );
    }
    let _ = writeln!(text, "  {:<26} {:>9} {:>12} {:>10}", "phase", "length", "arrivals", "users <=");
    for (number, phase) in test.load.phases.iter().enumerate() {
        let seed = phase_seed(plan.seed, number as u64);
        let expected = phase.expected(seed).map_or("-".into(), |n| units::group(n as i64));
        let users = units::group(phase.max_users() as i64);
        let length = phase.length.to_string();
        let _ = writeln!(text, "  {:<26} {length:>9} {expected:>12} {users:>10}", phase.name);
        list_arrivals(phase, seed, arrivals, text);
    }
    for threshold in &test.thresholds {
        let _ = writeln!(text, "  threshold {threshold}");
    }
}

fn list_arrivals(phase: &LoadPhase, seed: u64, most: usize, text: &mut String) {
    let Pacing::Open { rate, spacing, .. } = &phase.pacing else { return };
    let mut process = Arrivals::new(rate, *spacing, seed, Share::ALL, &Mix::new(&[1.0]), None);
    for _ in 0..most {
        let Some(arrival) = process.next() else { return };
        let _ = writeln!(text, "    #{:<8} {:>14.6} s", arrival.seq, arrival.at.as_secs_f64());
    }
}
