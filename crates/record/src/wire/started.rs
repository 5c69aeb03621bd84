//! The stored form of a run's first entry.

use super::MOST_ROWS;
use crate::event::{
    Model, PhaseMeta, Planned, RunEvent, RunStarted, ScenarioMeta, SeriesMeta, StepMeta, TestMeta,
};
use crucible_core::{MeasureKind, MeasureSpec, Ns, WarmUp};
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
    plan_file: String,
    seed: u64,
    target: String,
    scenarios: Vec<ScenarioForm>,
    steps: Vec<StepForm>,
    tests: Vec<TestForm>,
    other_tests: Vec<TestForm>,
    measures: Vec<MeasureForm>,
    series: Vec<SeriesForm>,
    phases: Vec<PhaseMetaForm>,
    lateness_floor: u64,
    lateness_share: f64,
    pacing: String,
    shards: u32,
    environment: Vec<(String, String)>,
    labels: Vec<(String, String)>,
    remarks: Vec<String>,
    experiment: String,
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
    test: Option<u16>,
    checks: Vec<String>,
    measures: Vec<u16>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct TestForm {
    name: String,
    scenarios: Vec<u16>,
    thresholds: Vec<String>,
    load: String,
    /// `auto`, `keep` (or nothing, in older records), or nanoseconds.
    warm_up: String,
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
    constant: Option<(u64, u64)>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct MeasureForm {
    name: String,
    kind: String,
    unit: String,
    marks: Vec<(String, Option<f64>)>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct SeriesForm {
    component: String,
    name: String,
    unit: String,
    doc: String,
    limit: Option<f64>,
}

/// Tests and phases that were decided on while the run went on.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct PlannedForm {
    tests: Vec<TestForm>,
    phases: Vec<PhaseMetaForm>,
}

impl From<&StepMeta> for StepForm {
    fn from(s: &StepMeta) -> StepForm {
        StepForm {
            name: s.name.clone(),
            scenario: s.scenario,
            role: s.role.clone(),
            protocol: s.protocol.clone(),
            test: s.test,
            checks: s.checks.clone(),
            measures: s.measures.clone(),
        }
    }
}

impl From<&TestMeta> for TestForm {
    fn from(t: &TestMeta) -> TestForm {
        TestForm {
            name: t.name.clone(),
            scenarios: t.scenarios.clone(),
            thresholds: t.thresholds.clone(),
            load: t.load.clone(),
            warm_up: match t.warm_up {
                WarmUp::Keep => "keep".into(),
                WarmUp::Auto => "auto".into(),
                WarmUp::First(length) => length.0.to_string(),
            },
        }
    }
}

impl TestForm {
    fn meta(self) -> TestMeta {
        let warm_up = match self.warm_up.as_str() {
            "auto" => WarmUp::Auto,
            length => length.parse().map_or(WarmUp::Keep, |length| WarmUp::First(Ns(length))),
        };
        TestMeta {
            name: self.name,
            scenarios: self.scenarios,
            thresholds: self.thresholds,
            load: self.load,
            warm_up,
        }
    }
}

impl From<&PhaseMeta> for PhaseMetaForm {
    fn from(p: &PhaseMeta) -> PhaseMetaForm {
        PhaseMetaForm {
            name: p.name.clone(),
            test: p.test,
            length: p.length.0,
            model: if p.model == Model::Open { "open" } else { "closed" }.into(),
            planned: p.planned,
            max_users: p.max_users,
            constant: p.constant.map(|(from, to)| (from.0, to.0)),
        }
    }
}

impl PhaseMetaForm {
    fn meta(self) -> PhaseMeta {
        PhaseMeta {
            name: self.name,
            test: self.test,
            length: Ns(self.length),
            model: if self.model == "open" { Model::Open } else { Model::Closed },
            planned: self.planned,
            max_users: self.max_users,
            constant: self.constant.map(|(from, to)| (Ns(from), Ns(to))),
        }
    }
}

impl From<&MeasureSpec> for MeasureForm {
    fn from(m: &MeasureSpec) -> MeasureForm {
        let marks = if let MeasureKind::Tally(marks) = &m.kind { marks.clone() } else { Vec::new() };
        MeasureForm { name: m.name.clone(), kind: m.kind.name().into(), unit: m.unit.clone(), marks }
    }
}

impl MeasureForm {
    fn spec(self) -> MeasureSpec {
        let kind = match self.kind.as_str() {
            "counter" => MeasureKind::Counter,
            "rate" => MeasureKind::Rate,
            "trend" => MeasureKind::Trend,
            "tally" => MeasureKind::Tally(self.marks),
            _ => MeasureKind::Gauge,
        };
        MeasureSpec { name: self.name, kind, unit: self.unit }
    }
}

impl From<&SeriesMeta> for SeriesForm {
    fn from(s: &SeriesMeta) -> SeriesForm {
        SeriesForm {
            component: s.component.clone(),
            name: s.name.clone(),
            unit: s.unit.clone(),
            doc: s.doc.clone(),
            limit: s.limit,
        }
    }
}

impl From<&Planned> for PlannedForm {
    fn from(it: &Planned) -> PlannedForm {
        PlannedForm {
            tests: it.tests.iter().map(TestForm::from).collect(),
            phases: it.phases.iter().map(PhaseMetaForm::from).collect(),
        }
    }
}

impl PlannedForm {
    pub(super) fn event(self) -> Result<RunEvent, String> {
        if self.tests.len() > MOST_ROWS || self.phases.len() > MOST_ROWS {
            return Err(format!("it names more than {MOST_ROWS} tests or phases"));
        }
        Ok(RunEvent::Planned(Box::new(Planned {
            tests: self.tests.into_iter().map(TestForm::meta).collect(),
            phases: self.phases.into_iter().map(PhaseMetaForm::meta).collect(),
        })))
    }
}

impl From<&RunStarted> for StartedForm {
    fn from(it: &RunStarted) -> StartedForm {
        let scenario = |s: &ScenarioMeta| ScenarioForm { name: s.name.clone(), weight: s.weight };
        StartedForm {
            run: it.run.clone(),
            tool: it.tool.clone(),
            started_unix_ms: it.started_unix_ms,
            plan: it.plan.clone(),
            plan_hash: it.plan_hash.clone(),
            plan_text: it.plan_text.clone(),
            plan_file: it.plan_file.clone(),
            seed: it.seed,
            target: it.target.clone(),
            scenarios: it.scenarios.iter().map(scenario).collect(),
            steps: it.steps.iter().map(StepForm::from).collect(),
            tests: it.tests.iter().map(TestForm::from).collect(),
            other_tests: it.other_tests.iter().map(TestForm::from).collect(),
            measures: it.measures.iter().map(MeasureForm::from).collect(),
            series: it.series.iter().map(SeriesForm::from).collect(),
            phases: it.phases.iter().map(PhaseMetaForm::from).collect(),
            lateness_floor: it.lateness_floor.0,
            lateness_share: it.lateness_share,
            pacing: it.pacing.clone(),
            shards: it.shards,
            environment: it.environment.clone(),
            labels: it.labels.clone(),
            experiment: it.experiment.clone(),
            remarks: it.remarks.clone(),
        }
    }
}

impl StartedForm {
    pub(super) fn event(self) -> Result<RunEvent, String> {
        let rows = [self.scenarios.len(), self.steps.len(), self.tests.len(), self.phases.len()];
        let series = [self.measures.len(), self.series.len(), self.labels.len(), self.other_tests.len()];
        if rows.into_iter().chain(series).any(|rows| rows > MOST_ROWS) {
            return Err(format!("it names more than {MOST_ROWS} steps, scenarios, tests, phases or series"));
        }
        let step = |s: StepForm| StepMeta {
            name: s.name,
            scenario: s.scenario,
            role: s.role,
            protocol: s.protocol,
            test: s.test,
            checks: s.checks,
            measures: s.measures,
        };
        let scenario = |s: ScenarioForm| ScenarioMeta { name: s.name, weight: s.weight };
        let series = |s: SeriesForm| SeriesMeta {
            component: s.component,
            name: s.name,
            unit: s.unit,
            doc: s.doc,
            limit: s.limit.filter(|limit| limit.is_finite()),
        };
        Ok(RunEvent::Started(Box::new(RunStarted {
            run: self.run,
            tool: self.tool,
            started_unix_ms: self.started_unix_ms,
            plan: self.plan,
            plan_hash: self.plan_hash,
            plan_text: self.plan_text,
            plan_file: self.plan_file,
            seed: self.seed,
            target: self.target,
            scenarios: self.scenarios.into_iter().map(scenario).collect(),
            steps: self.steps.into_iter().map(step).collect(),
            tests: self.tests.into_iter().map(TestForm::meta).collect(),
            other_tests: self.other_tests.into_iter().map(TestForm::meta).collect(),
            measures: self.measures.into_iter().map(MeasureForm::spec).collect(),
            series: self.series.into_iter().map(series).collect(),
            phases: self.phases.into_iter().map(PhaseMetaForm::meta).collect(),
            lateness_floor: Ns(self.lateness_floor),
            lateness_share: self.lateness_share,
            pacing: self.pacing,
            shards: self.shards,
            environment: self.environment,
            labels: self.labels,
            experiment: self.experiment,
            remarks: self.remarks,
        })))
    }
}
