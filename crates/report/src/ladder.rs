//! Records made by hand whose growth is known in closed form, for the tests of overviews.

use crate::Report;
use crucible_analysis::{Assessment, RunView, assess};
use crucible_core::{Frame, IterationFrame, LagFrame, Ns, Outcome, ScenarioId, StepId};
use crucible_record::{
    Finding, Finished, Model, PhaseMeta, PhaseStarted, Planned, Reading, RunEvent, RunStarted, ScenarioMeta,
    SeriesMeta, StepMeta, StopReason, TestMeta, Users, Window,
};

/// Seconds of each level.
const LENGTH: u64 = 10;

/// A record and its judgements.
pub(crate) struct Made {
    pub(crate) view: RunView,
    pub(crate) assessment: Assessment,
}

impl Made {
    pub(crate) fn of(mut events: Vec<RunEvent>) -> Made {
        if let Some(RunEvent::Started(started)) = events.first_mut() {
            **started = crucible_analysis::requirements::by_band(started);
        }
        let view = RunView::from_events(events.into_iter().map(Ok)).unwrap();
        let assessment = assess(&view);
        Made { view, assessment }
    }

    pub(crate) fn report(&self) -> Report<'_> {
        Report::new(&self.view, &self.assessment)
    }
}

/// One level: users (closed) or arrivals a second (open), and what came of it.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) users: u64,
    pub(crate) throughput: f64,
    pub(crate) service: Ns,
    /// Arrivals that had not ended when the level did, as a share.
    pub(crate) behind: f64,
}

impl Step {
    pub(crate) fn closed(users: u64, throughput: f64) -> Step {
        Step { users, throughput, service: Ns::from_millis(5), behind: 0.0 }
    }
}

/// The scalability law.
pub(crate) fn usl(one: f64, contention: f64, coherency: f64, load: f64) -> f64 {
    one * load / (1.0 + contention * (load - 1.0) + coherency * load * (load - 1.0))
}

fn text(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn started(run: &str, steps: &[Step], model: Model) -> RunStarted {
    let phase = |step: &Step| PhaseMeta {
        name: format!("{} users", step.users),
        test: 0,
        length: Ns::from_secs(LENGTH),
        model,
        planned: None,
        max_users: step.users,
        constant: None,
    };
    let one = |component: &str, name: &str, unit: &str| SeriesMeta {
        component: text(component),
        name: text(name),
        unit: text(unit),
        doc: text("what it is"),
        ..SeriesMeta::default()
    };
    RunStarted {
        run: text(run),
        tool: text("0.1.0"),
        started_unix_ms: 1_795_236_000_000,
        plan: text("shop"),
        plan_hash: text("3b2c6ad5e0f1a4978c6d5e4f3a2b1c0d"),
        plan_file: text("suites/shop"),
        seed: 7,
        target: text("http://127.0.0.1:8070"),
        scenarios: vec![ScenarioMeta { name: text("reader"), weight: 1.0 }],
        steps: vec![StepMeta {
            name: text("feed"),
            scenario: 0,
            role: text("main"),
            protocol: text("http"),
            test: None,
            checks: Vec::new(),
            measures: Vec::new(),
        }],
        tests: vec![TestMeta {
            name: text("steps"),
            scenarios: vec![0],
            thresholds: vec![
                text("* p95 target<=4ms acceptable<=50ms"),
                text("* throughput target>=1000000/s"),
                text("series \"api\" \"cpu\" avg target<=1.8"),
            ],
            load: text("1 to 64 users"),
            ..TestMeta::default()
        }],
        other_tests: vec![
            TestMeta { name: text("steps (quick)"), ..TestMeta::default() },
            TestMeta {
                name: text("peak (long)"),
                scenarios: vec![0],
                thresholds: vec![text("* p99 target<=1s acceptable<=2s"), text("each errors target<=1%")],
                load: text("1000 users for 10m"),
                ..TestMeta::default()
            },
        ],
        phases: steps.iter().map(phase).collect(),
        series: vec![one("api", "cpu", "cores"), one("api", "memory", "bytes"), one("host", "cpu", "share")],
        lateness_floor: Ns::from_millis(1),
        lateness_share: 0.05,
        shards: 2,
        environment: vec![(text("cpus_online"), text("2")), (text("memory"), text("8000000 kB"))],
        ..RunStarted::default()
    }
}

/// A step test: one phase of ten seconds for each step; `api` uses 0.1 cores and 2 ms of CPU an operation.
pub(crate) fn climb(run: &str, steps: &[Step], model: Model) -> Vec<RunEvent> {
    let mut events = vec![RunEvent::Started(Box::new(started(run, steps, model)))];
    for (phase, step) in steps.iter().enumerate() {
        let begin = Ns::from_secs(LENGTH * phase as u64);
        events.push(RunEvent::Phase(PhaseStarted { phase: phase as u16, at: begin }));
        for second in 0..LENGTH {
            let from = begin + Ns::from_secs(second);
            events.push(window(phase as u16, from, second, step));
            let cpu = 0.1 + 0.002 * step.throughput;
            let values = vec![(0, cpu), (1, 2e8), (2, cpu / 2.0)];
            events.push(RunEvent::Reading(Box::new(Reading { at: from + Ns::from_millis(900), values })));
        }
    }
    events
}

/// What ends a record.
pub(crate) fn end(mut events: Vec<RunEvent>, steps: usize) -> Vec<RunEvent> {
    let at = Ns::from_secs(LENGTH * steps as u64);
    events.push(RunEvent::Finished(Finished { at, reason: StopReason::Completed, errors: Vec::new() }));
    events
}

fn window(phase: u16, from: Ns, second: u64, step: &Step) -> RunEvent {
    // whole operations that add up to the throughput over the phase
    let sum = |seconds: u64| (step.throughput * seconds as f64).round() as u64;
    let done = sum(second + 1) - sum(second);
    let waiting = (done as f64 * step.behind).round() as u64;
    let mut frame = Frame::new(0);
    frame.planned = done + waiting;
    frame.outcomes[Outcome::Ok as usize] = done;
    frame.response.record_many(step.service, done);
    frame.service.record_many(step.service, done);
    let mut lag = LagFrame { wall: Ns::from_secs(1), ..LagFrame::default() };
    lag.generator.record_many(Ns::from_micros(20), done.max(1));
    lag.heartbeat.record_many(Ns::from_micros(15), 100);
    let mut duration = crucible_core::Histogram::default();
    duration.record_many(step.service, done);
    let iterations =
        IterationFrame { planned: done + waiting, completed: done, duration, ..IterationFrame::default() };
    RunEvent::Window(Box::new(Window {
        phase,
        from,
        to: from + Ns::from_secs(1),
        steps: vec![(StepId(0), frame)],
        iterations: vec![(ScenarioId(0), iterations)],
        lag,
        users: Users { active: step.users, busy: step.users },
        in_flight: waiting * (second + 1),
        iterations_in_flight: waiting * (second + 1),
        process_cpu: Ns::from_millis(100),
        process_rss: 20_000_000,
        ..Window::default()
    }))
}

/// A search for the capacity: trials as tests of their own, and the finding.
pub(crate) fn search(run: &str, trials: &[Step], estimate: f64) -> Vec<RunEvent> {
    let all = climb(run, trials, Model::Open);
    let mut begin = started(run, trials, Model::Open);
    begin.other_tests.append(&mut begin.tests);
    let (mut phases, tests) = (std::mem::take(&mut begin.phases), &begin.other_tests);
    let trial = |index: usize| TestMeta {
        name: format!("trial {}: {}/s", index + 1, trials[index].throughput.round()),
        thresholds: Vec::new(),
        ..tests[tests.len() - 1].clone()
    };
    phases.iter_mut().enumerate().for_each(|(index, phase)| phase.test = index as u16);
    let planned = Planned { tests: (0..trials.len()).map(trial).collect(), phases };
    let mut events = vec![RunEvent::Started(Box::new(begin)), RunEvent::Planned(Box::new(planned))];
    events.extend(all.into_iter().skip(1));
    let curve: Vec<serde_json::Value> = trials
        .iter()
        .map(|trial| serde_json::json!({"load": trial.throughput, "throughput": trial.throughput}))
        .collect();
    let body = serde_json::json!({
        "unit": "arrivals per second",
        "answer": {"kind": "edge", "edge": {"estimate": estimate, "low": 0.98 * estimate, "high": 1.02 * estimate,
            "predicate": "p99 <= 100ms", "shape": "slope"}},
        "predicates": ["p99 <= 100ms", "errors <= 1%", "errors <= 5%"],
        "recommended": 0.784 * estimate, "headroom": 0.2,
        "confidence": {"probability": 0.93, "words": "high"},
        "breaking": null, "curve": curve, "trials": trials.len(), "test": "steps",
    });
    let at = Ns::from_secs(LENGTH * trials.len() as u64);
    let (kind, body) = (text("capacity"), body.to_string());
    events.push(RunEvent::Finding(Finding { at, kind, body, ..Finding::default() }));
    events
}
