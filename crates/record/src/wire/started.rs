//! The stored form of a run's first entry.

use super::MOST_ROWS;
use crate::event::{Model, PhaseMeta, RunEvent, RunStarted, ScenarioMeta, StepMeta, TestMeta};
use crucible_core::Ns;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct StartedForm {
    run: String,
    tool: String,
    started_unix_ms: u64,
    plan: String,
    plan_hash: String,
    plan_text: String,
    seed: u64,
    target: String,
    scenarios: Vec<ScenarioForm>,
    steps: Vec<StepForm>,
    tests: Vec<TestForm>,
    phases: Vec<PhaseMetaForm>,
    lateness_floor: u64,
    lateness_share: f64,
    pacing: String,
    shards: u32,
    environment: Vec<(String, String)>,
    remarks: Vec<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct ScenarioForm {
    name: String,
    weight: f64,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StepForm {
    name: String,
    scenario: u16,
    role: String,
    protocol: String,
    checks: Vec<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct TestForm {
    name: String,
    scenarios: Vec<u16>,
    thresholds: Vec<String>,
    load: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct PhaseMetaForm {
    name: String,
    test: u16,
    length: u64,
    model: String,
    planned: Option<u64>,
    max_users: u64,
}

impl From<&RunStarted> for StartedForm {
    fn from(it: &RunStarted) -> StartedForm {
        let step = |s: &StepMeta| StepForm {
            name: s.name.clone(),
            scenario: s.scenario,
            role: s.role.clone(),
            protocol: s.protocol.clone(),
            checks: s.checks.clone(),
        };
        let test = |t: &TestMeta| TestForm {
            name: t.name.clone(),
            scenarios: t.scenarios.clone(),
            thresholds: t.thresholds.clone(),
            load: t.load.clone(),
        };
        let phase = |p: &PhaseMeta| PhaseMetaForm {
            name: p.name.clone(),
            test: p.test,
            length: p.length.0,
            model: if p.model == Model::Open { "open" } else { "closed" }.into(),
            planned: p.planned,
            max_users: p.max_users,
        };
        StartedForm {
            run: it.run.clone(),
            tool: it.tool.clone(),
            started_unix_ms: it.started_unix_ms,
            plan: it.plan.clone(),
            plan_hash: it.plan_hash.clone(),
            plan_text: it.plan_text.clone(),
            seed: it.seed,
            target: it.target.clone(),
            scenarios: it
                .scenarios
                .iter()
                .map(|s| ScenarioForm { name: s.name.clone(), weight: s.weight })
                .collect(),
            steps: it.steps.iter().map(step).collect(),
            tests: it.tests.iter().map(test).collect(),
            phases: it.phases.iter().map(phase).collect(),
            lateness_floor: it.lateness_floor.0,
            lateness_share: it.lateness_share,
            pacing: it.pacing.clone(),
            shards: it.shards,
            environment: it.environment.clone(),
            remarks: it.remarks.clone(),
        }
    }
}

impl StartedForm {
    pub(super) fn event(self) -> Result<RunEvent, String> {
        let largest = [self.scenarios.len(), self.steps.len(), self.tests.len(), self.phases.len()];
        if largest.into_iter().any(|rows| rows > MOST_ROWS) {
            return Err(format!("it names more than {MOST_ROWS} steps, scenarios, tests or phases"));
        }
        let step = |s: StepForm| StepMeta {
            name: s.name,
            scenario: s.scenario,
            role: s.role,
            protocol: s.protocol,
            checks: s.checks,
        };
        let test = |t: TestForm| TestMeta {
            name: t.name,
            scenarios: t.scenarios,
            thresholds: t.thresholds,
            load: t.load,
        };
        let phase = |p: PhaseMetaForm| PhaseMeta {
            name: p.name,
            test: p.test,
            length: Ns(p.length),
            model: if p.model == "open" { Model::Open } else { Model::Closed },
            planned: p.planned,
            max_users: p.max_users,
        };
        Ok(RunEvent::Started(Box::new(RunStarted {
            run: self.run,
            tool: self.tool,
            started_unix_ms: self.started_unix_ms,
            plan: self.plan,
            plan_hash: self.plan_hash,
            plan_text: self.plan_text,
            seed: self.seed,
            target: self.target,
            scenarios: self
                .scenarios
                .into_iter()
                .map(|s| ScenarioMeta { name: s.name, weight: s.weight })
                .collect(),
            steps: self.steps.into_iter().map(step).collect(),
            tests: self.tests.into_iter().map(test).collect(),
            phases: self.phases.into_iter().map(phase).collect(),
            lateness_floor: Ns(self.lateness_floor),
            lateness_share: self.lateness_share,
            pacing: self.pacing,
            shards: self.shards,
            environment: self.environment,
            remarks: self.remarks,
        })))
    }
}
