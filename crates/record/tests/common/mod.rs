//! Events for the tests of the store.
#![allow(dead_code)]

use crucible_core::{Frame, IterationFrame, LagFrame, Ns, Outcome, Rng, ScenarioId, StepId, WarmUp};
use crucible_record::*;

/// A plan with two steps and everything filled in.
pub(crate) fn started(run: &str) -> RunStarted {
    RunStarted {
        run: run.into(),
        tool: "0.1.0".into(),
        started_unix_ms: 1_795_234_533_000,
        plan: "classroom".into(),
        plan_hash: "ab12".into(),
        plan_text: "name: classroom\n".into(),
        seed: u64::MAX,
        target: "http://127.0.0.1:1".into(),
        scenarios: vec![ScenarioMeta { name: "pupil".into(), weight: 0.7 }],
        steps: ["login", "save"]
            .map(|name| StepMeta {
                name: name.into(),
                scenario: 0,
                role: "main".into(),
                protocol: "http".into(),
                test: None,
                checks: vec!["status 200".into()],
                measures: Vec::new(),
            })
            .into(),
        tests: vec![TestMeta {
            name: "load".into(),
            scenarios: vec![0],
            thresholds: vec!["*: p95 <= 500ms".into()],
            load: "50 users for 2m".into(),
            warm_up: WarmUp::Keep,
        }],
        phases: vec![PhaseMeta {
            name: "hold".into(),
            test: 0,
            length: Ns::from_secs(120),
            model: Model::Open,
            planned: Some(1_000),
            max_users: 50,
            constant: None,
        }],
        lateness_floor: Ns::from_millis(1),
        lateness_share: 0.1,
        pacing: "sleep then spin, 5us".into(),
        shards: 2,
        environment: vec![("kernel".into(), "6.1".into())],
        remarks: vec!["certificates are not verified".into()],
        ..RunStarted::default()
    }
}

/// Window number `index`, one second long, drawn from a seed.
pub(crate) fn window(index: u64, seed: u64) -> Window {
    let mut rng = Rng::new(seed, "window", index);
    let mut steps = Vec::new();
    for step in 0..2u16 {
        let mut frame = Frame::new(1);
        frame.planned = rng.between(0, 500);
        for outcome in Outcome::ALL {
            frame.outcomes[outcome as usize] = rng.between(0, 99);
        }
        frame.classes[5] = rng.between(0, 99);
        frame.codes.extend([(200, rng.between(1, 99)), (503, rng.between(1, 99))]);
        frame.other_codes = rng.between(0, 9);
        frame.checks[0] = (rng.between(0, 99), rng.between(0, 99));
        frame.bytes_in = rng.between(0, 1 << 40);
        frame.bytes_out = rng.between(0, 1 << 30);
        frame.connections = rng.between(0, 9);
        for _ in 0..rng.between(0, 50) {
            let took = Ns((rng.exponential() * 1e7) as u64);
            frame.response.record(took);
            frame.service.record(took);
            frame.censored.record(Ns(took.0 << rng.between(0, 24)));
            frame.failed.record(took);
            frame.phases[rng.between(0, 5) as usize].record(took);
            frame.hops.record(took);
        }
        steps.push((StepId(step), frame));
    }
    let mut iteration = IterationFrame {
        planned: rng.between(0, 99),
        completed: 5,
        failed: 1,
        dropped: 2,
        aborted: 3,
        ..Default::default()
    };
    iteration.duration.record(Ns(rng.between(0, 1 << 50)));
    let mut lag = LagFrame { cpu: Ns(5), cpu_wait: Ns(6), wall: Ns(7), ..LagFrame::default() };
    lag.generator.record(Ns(rng.between(0, 99_999)));
    lag.pool.record(Ns(9));
    lag.heartbeat.record(Ns(10));
    Window {
        phase: 0,
        from: Ns::from_secs(index),
        to: Ns::from_secs(index + 1),
        steps,
        measures: Vec::new(),
        iterations: vec![(ScenarioId(0), iteration)],
        lag,
        users: Users { active: 4, busy: 3 },
        in_flight: rng.between(0, 9),
        iterations_in_flight: 2,
        due: 10,
        process_cpu: Ns(123),
        process_rss: 1 << 24,
    }
}

/// One of every kind, with every variant.
pub(crate) fn every_kind(seed: u64) -> Vec<RunEvent> {
    let note = |kind, text: &str| RunEvent::Note(Note { at: Ns(3), kind, text: text.into() });
    let finished = |reason| {
        RunEvent::Finished(Finished {
            at: Ns(9),
            reason,
            errors: vec![ErrorNote {
                step: StepId(1),
                class: "reset".into(),
                text: "été\0".into(),
                times: 3,
            }],
        })
    };
    vec![
        RunEvent::Phase(PhaseStarted { phase: 0, at: Ns(5) }),
        RunEvent::Window(Box::new(window(seed % 1000, seed))),
        RunEvent::Window(Box::default()),
        note(NoteKind::Info, "a"),
        note(NoteKind::Warning, "b"),
        note(NoteKind::Invalid, ""),
        RunEvent::Gap(Gap { from: Ns(1), to: Ns::MAX, text: "no clock".into(), ..Gap::default() }),
        finished(StopReason::Interrupted),
        finished(StopReason::Threshold("*: errors <= 1%".into())),
        finished(StopReason::Error("out of memory".into())),
        finished(StopReason::Completed),
    ]
}

/// What an event says, for comparison.
pub(crate) fn told(event: &RunEvent) -> String {
    format!("{event:?}")
}
