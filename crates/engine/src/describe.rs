//! What is known about a run before it begins: the descriptive part of its record, and the memory that it needs.

use crucible_core::Frame;
use crucible_core::StepId;
use crucible_core::histogram::{Histogram, Precision};
use crucible_plan::{Plan, Test};
use crucible_record::{Model, PhaseMeta, RunStarted, ScenarioMeta, StepMeta, TestMeta};
use crucible_schedule::{Pacing, phase_seed};
use std::collections::BTreeMap;

/// The parts of `RunStarted` that follow from the plan alone. Identifier, time, environment and pacing are the
/// caller's to add.
pub fn describe(plan: &Plan, tests: &[usize]) -> RunStarted {
    let mut phases = Vec::new();
    for (index, test) in tests.iter().enumerate() {
        for (number, phase) in plan.tests[*test].load.phases.iter().enumerate() {
            let model = match &phase.pacing {
                Pacing::Open { .. } => Model::Open,
                Pacing::Closed { .. } => Model::Closed,
            };
            phases.push(PhaseMeta {
                name: phase.name.clone(),
                test: index as u16,
                length: phase.length,
                model,
                planned: phase.expected(phase_seed(plan.seed, number as u64)),
                max_users: phase.max_users(),
                constant: phase.constant(),
            });
        }
    }
    let owners = owners(plan, tests);
    RunStarted {
        plan: plan.name.clone(),
        plan_hash: plan.hash.clone(),
        plan_text: plan.text.clone(),
        plan_file: plan.file.clone(),
        seed: plan.seed,
        target: plan.target.clone().unwrap_or_default(),
        scenarios: plan
            .scenarios
            .iter()
            .map(|scenario| ScenarioMeta { name: scenario.name.clone(), weight: scenario.weight })
            .collect(),
        steps: plan
            .steps
            .iter()
            .map(|step| StepMeta {
                name: step.name.clone(),
                scenario: step.scenario.0,
                role: step.role.name().into(),
                protocol: step.protocol.into(),
                test: owners.get(&step.id).copied(),
                checks: step.spec.checks.clone(),
                measures: step.measures.iter().map(|measure| measure.0).collect(),
            })
            .collect(),
        tests: tests.iter().map(|test| meta(&plan.tests[*test])).collect(),
        other_tests: (0..plan.tests.len())
            .filter(|test| !tests.contains(test))
            .map(|test| meta(&plan.tests[test]))
            .collect(),
        measures: plan.measures.clone(),
        phases,
        lateness_floor: plan.lateness.floor,
        lateness_share: plan.lateness.share,
        remarks: plan.remarks.clone(),
        ..RunStarted::default()
    }
}

fn meta(test: &Test) -> TestMeta {
    TestMeta {
        name: test.name.clone(),
        scenarios: test.scenarios.iter().map(|id| id.0).collect(),
        thresholds: test.thresholds.iter().map(ToString::to_string).collect(),
        load: test.load.describe(),
        warm_up: test.warm_up,
    }
}

/// Steps that stand in the setup or teardown of a test, and the place of that test in this run.
fn owners(plan: &Plan, tests: &[usize]) -> BTreeMap<StepId, u16> {
    let mut owners = BTreeMap::new();
    for (index, test) in plan.tests.iter().enumerate() {
        let place = tests.iter().position(|run| *run == index).map_or(u16::MAX, |place| place as u16);
        let steps = [&test.setup, &test.teardown].into_iter().flat_map(|program| program.steps());
        owners.extend(steps.map(|step| (step, place)));
    }
    owners
}

/// Memory of a virtual user with an idle connection, bytes: its task, session and place, as measured with 10,000
/// of them.
const USER_BYTES: u64 = 6 * 1024;

/// Most memory that the measuring itself will hold, in bytes: three frame sets a shard (one being filled, one being
/// merged, one on its way), the view's totals by phase with what tells of their warm-up, and the users.
pub fn footprint(plan: &Plan, tests: &[usize], shards: u32) -> u64 {
    let steps = plan.steps.len() as u64;
    let frame = Frame::footprint() as u64;
    let lag = 3 * Histogram::footprint(Precision::Coarse) as u64;
    let iterations = plan.scenarios.len() as u64 * Histogram::footprint(Precision::Fine) as u64;
    let measures = plan.measures.len() as u64 * Histogram::footprint(Precision::Fine) as u64;
    let set = steps * frame + measures + iterations + lag;
    let phases: u64 = tests.iter().map(|test| plan.tests[*test].load.phases.len() as u64).sum();
    // what finding and cutting a warm-up takes: levels by window, two distributions that grow, and compact ones
    let settling = steps * (600 * 16 + 2 * Histogram::footprint(Precision::Fine) as u64 + 60 * 2_048);
    let users = tests.iter().map(|test| plan.tests[*test].load.max_users()).max().unwrap_or(0);
    3 * u64::from(shards) * set + phases * (set + settling) + users * USER_BYTES
}
