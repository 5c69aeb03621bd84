//! Runs made up for the tests: windows of known content, without any engine.
#![allow(dead_code, clippy::unwrap_used)]

use crucible_analysis::{Assessment, Judgement, RunView, assess};
use crucible_core::{ErrorClass, Frame, IterationFrame, LagFrame, Ns, Outcome, ScenarioId, StepId};
use crucible_record::*;

/// A run of one test with one phase, built second by second.
pub(crate) struct Run {
    pub(crate) view: RunView,
    at: Ns,
}

/// What a test of one step demands, with that step's checks.
pub(crate) fn started(thresholds: &[&str], checks: &[&str]) -> RunStarted {
    RunStarted {
        run: "r".into(),
        scenarios: vec![ScenarioMeta { name: "pupil".into(), weight: 1.0 }],
        steps: vec![StepMeta {
            name: "login".into(),
            scenario: 0,
            role: "main".into(),
            protocol: "http".into(),
            test: None,
            checks: checks.iter().map(|c| (*c).to_owned()).collect(),
            measures: Vec::new(),
        }],
        tests: vec![TestMeta {
            name: "load".into(),
            scenarios: vec![0],
            thresholds: thresholds.iter().map(|t| (*t).to_owned()).collect(),
            load: "10 users".into(),
            ..TestMeta::default()
        }],
        phases: vec![PhaseMeta { name: "hold".into(), ..PhaseMeta::default() }],
        lateness_floor: Ns::from_millis(1),
        lateness_share: 0.1,
        ..RunStarted::default()
    }
}

/// One operation of a made-up run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Ok(Ns),
    Fail(u16),
    Class(ErrorClass),
    Timeout(Ns),
    Abort(Ns),
    Drop,
}

pub(crate) fn ms(ms: u64) -> Op {
    Op::Ok(Ns::from_millis(ms))
}

pub(crate) fn add(frame: &mut Frame, op: Op) {
    frame.planned += 1;
    let mut end = |outcome: Outcome, class: ErrorClass| {
        frame.outcomes[outcome as usize] += 1;
        frame.classes[class as usize] += 1;
    };
    match op {
        Op::Ok(took) => {
            end(Outcome::Ok, ErrorClass::None);
            frame.response.record(took);
            frame.service.record(took);
            frame.checks.iter_mut().for_each(|check| check.0 += 1);
        }
        Op::Fail(code) => {
            end(Outcome::Failed, ErrorClass::ClientError);
            frame.failed.record(Ns::from_millis(1));
            match frame.codes.iter_mut().find(|c| c.0 == code) {
                Some(slot) => slot.1 += 1,
                None => frame.codes.push((code, 1)),
            }
        }
        Op::Class(class) => {
            end(Outcome::Failed, class);
            frame.failed.record(Ns::from_millis(1));
        }
        Op::Timeout(took) => {
            end(Outcome::TimedOut, ErrorClass::Timeout);
            frame.censored.record(took);
        }
        Op::Abort(took) => {
            end(Outcome::Aborted, ErrorClass::None);
            frame.censored.record(took);
        }
        Op::Drop => end(Outcome::Dropped, ErrorClass::None),
    }
}

impl Run {
    pub(crate) fn new(started: RunStarted) -> Run {
        let mut view = RunView::new(started);
        view.apply(&RunEvent::Phase(PhaseStarted { phase: 0, at: Ns::ZERO }));
        Run { view, at: Ns::ZERO }
    }

    /// One second in which these operations were planned and ended.
    pub(crate) fn second(&mut self, ops: impl IntoIterator<Item = Op>) -> &mut Run {
        self.second_with(ops, |_| {})
    }

    pub(crate) fn second_with(
        &mut self,
        ops: impl IntoIterator<Item = Op>,
        change: impl Fn(&mut Window),
    ) -> &mut Run {
        let checks = self.view.started.steps[0].checks.len();
        let mut frame = Frame::new(checks);
        ops.into_iter().for_each(|op| add(&mut frame, op));
        let n = frame.planned;
        let mut lag = LagFrame { wall: Ns::from_secs(1), cpu: Ns::from_millis(100), ..LagFrame::default() };
        lag.generator.record_many(Ns::from_micros(50), n.max(1));
        lag.heartbeat.record_many(Ns::from_micros(20), 100);
        let iterations = IterationFrame { planned: n, completed: n, ..IterationFrame::default() };
        let to = self.at + Ns::from_secs(1);
        let mut window = Window {
            from: self.at,
            to,
            steps: vec![(StepId(0), frame)],
            iterations: vec![(ScenarioId(0), iterations)],
            lag,
            due: n,
            ..Window::default()
        };
        change(&mut window);
        self.at = to;
        self.view.apply(&RunEvent::Window(Box::new(window)));
        self
    }

    pub(crate) fn end(&mut self, reason: StopReason) -> Assessment {
        self.view.apply(&RunEvent::Finished(Finished { at: self.at, reason, errors: Vec::new() }));
        assess(&self.view)
    }

    pub(crate) fn done(&mut self) -> Assessment {
        self.end(StopReason::Completed)
    }
}

/// The judgements of one criterion.
pub(crate) fn of<'a>(assessment: &'a Assessment, criterion: &str) -> Vec<&'a Judgement> {
    assessment.all().map(|(_, j)| j).filter(|j| j.criterion == criterion).collect()
}

/// The one judgement of a criterion.
pub(crate) fn only<'a>(assessment: &'a Assessment, criterion: &str) -> &'a Judgement {
    let found = of(assessment, criterion);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0]
}

/// What a reader sees of it.
pub(crate) fn told(judgement: &Judgement) -> String {
    format!(
        "{} {} {}: {} ({}) | {}",
        judgement.subject,
        judgement.measure,
        judgement.verdict,
        judgement.shown(),
        judgement.why,
        judgement.remedy
    )
}
