//! When a run may not pass: no evidence, a late generator, lost work, a broken record.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Op, Run, ms, of, only, started, told};
use crucible_analysis::{RunView, Verdict, ViewError, assess};
use crucible_core::{ErrorClass, Frame, IterationFrame, Ns, ScenarioId, StepId};
use crucible_record::*;
use proptest::prelude::*;

const ERRORS: &str = "* errors target<=1% implied";

fn seconds(run: &mut Run, count: u64, ops: impl Fn(u64) -> Vec<Op>) {
    (0..count).for_each(|second| {
        run.second(ops(second));
    });
}

#[test]
fn a_healthy_run_passes() {
    let mut run =
        Run::new(started(&["* p99 target<=100ms", ERRORS, "* throughput min>=90/s"], &["status 200"]));
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let assessment = run.done();
    assert_eq!(assessment.verdict, Verdict::Pass, "{assessment:#?}");
    assert!(assessment.all().all(|(_, j)| j.remedy.is_empty() && !j.why.is_empty()));
}

#[test]
fn all_403_and_all_405_fail_although_they_are_fast() {
    for code in [403, 405] {
        let mut run = Run::new(started(&["* p95 target<=100ms"], &[]));
        seconds(&mut run, 60, |_| vec![Op::Fail(code); 50]);
        let assessment = run.done();
        assert_eq!(assessment.verdict, Verdict::Fail);
        let why = &only(&assessment, "evidence").why;
        assert_eq!(*why, format!("it never succeeded in 3,000 attempts: {code} x 3000"));
        assert_eq!(only(&assessment, "thresholds").verdict, Verdict::Fail);
    }
}

#[test]
fn a_check_that_never_ran_is_no_pass() {
    let mut run = Run::new(started(&[ERRORS], &["json.ok"]));
    for _ in 0..60 {
        run.second_with(vec![ms(10); 100], |window| window.steps[0].1.checks = vec![(0, 0)]);
    }
    let assessment = run.done();
    assert_eq!(assessment.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(told(only(&assessment, "evidence")), @"login checks inconclusive: - (the check `json.ok` was never made in 6,000 operations) | see that the check can apply to the answers, or remove it");
    // a threshold on checks that were not made
    let mut run = Run::new(started(&["* checks all>=99%"], &[]));
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let assessment = run.done();
    insta::assert_snapshot!(told(only(&assessment, "thresholds")), @"all steps checks inconclusive: - (no evidence: no check was ever made) | run it long enough to send it");
}

#[test]
fn a_step_without_samples_is_no_pass() {
    let mut plan = started(&["\"logout\" p95 target<=100ms", ERRORS], &[]);
    plan.steps.push(StepMeta { name: "logout".into(), scenario: 0, ..StepMeta::default() });
    let mut run = Run::new(plan);
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let assessment = run.done();
    assert_eq!(assessment.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(told(only(&assessment, "evidence")), @"logout samples inconclusive: - (it was never sent) | in a sequence, mend the step before it; among weighted tasks, raise its weight or run longer; at overload, ask for less");
    insta::assert_snapshot!(told(of(&assessment, "thresholds")[0]), @"logout p95 inconclusive: - (no evidence: it was never sent) | run it long enough to send it, or mend what stands before it");
}

#[test]
fn a_p99_of_ten_samples_is_marked_and_cannot_pass() {
    let mut run = Run::new(started(&["* p99 target<=100ms"], &[]));
    seconds(&mut run, 10, |_| vec![ms(10)]);
    let assessment = run.done();
    assert_eq!(assessment.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(told(only(&assessment, "thresholds")), @"all steps p99 inconclusive: 10.0ms (0 of 10 operations took longer than 100ms (1.00% allowed): it takes at least 299 operations to tell this percentile) | run about 4m49s longer at this rate (about 289 more operations)");
    assert_eq!(only(&assessment, "thresholds").interval, None);
}

#[test]
fn a_test_in_which_nothing_was_done_shows_nothing() {
    let mut run = Run::new(started(&[ERRORS], &[]));
    assert_eq!(run.done().verdict, Verdict::Inconclusive);
    let mut run = Run::new(started(&["* throughput min>=0/s", ERRORS], &[]));
    seconds(&mut run, 60, |_| Vec::new());
    assert_eq!(run.done().verdict, Verdict::Inconclusive);
    // not even a plan without demands or tests
    assert_eq!(Run::new(started(&[], &[])).done().verdict, Verdict::Inconclusive);
    let mut view = RunView::new(RunStarted::default());
    view.apply(&RunEvent::Finished(Finished {
        at: Ns(1),
        reason: StopReason::Completed,
        errors: Vec::new(),
    }));
    assert_eq!(assess(&view).verdict, Verdict::Inconclusive);
    // everything dropped: never sent
    let mut run = Run::new(started(&["* p50 target<=1s"], &[]));
    seconds(&mut run, 60, |_| vec![Op::Drop; 10]);
    let assessment = run.done();
    assert_ne!(assessment.verdict, Verdict::Pass);
}

#[test]
fn few_slices_of_another_process_do_not_condemn_a_test_of_a_fraction_of_a_second() {
    let with = |times: u64| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        run.second_with(vec![ms(1); 200], |window| {
            window.lag.heartbeat.record_many(Ns::from_micros(10), 100);
            window.lag.heartbeat.record_many(Ns::from_micros(700), times);
            window.lag.cpu_wait = Ns::from_millis(100);
        });
        let assessment = run.done();
        let judged = of(&assessment, "lateness").into_iter().find(|one| one.measure == "heartbeat p99");
        judged.map(|one| one.verdict)
    };
    assert_eq!(with(4), Some(Verdict::Pass));
    assert_eq!(with(10), Some(Verdict::Invalid));
}

#[test]
fn a_late_generator_makes_the_run_invalid() {
    let late = |lag: Ns, beat: Ns, wait: Ns, response: u64| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        for _ in 0..30 {
            run.second_with(vec![ms(response); 200], |window| {
                window.lag.generator.record_many(lag, 10);
                window.lag.heartbeat.record_many(beat, 10);
                window.lag.cpu_wait = wait;
            });
        }
        let assessment = run.done();
        let verdicts: Vec<Verdict> = of(&assessment, "lateness").iter().take(2).map(|j| j.verdict).collect();
        (assessment, verdicts)
    };
    use Verdict::{Invalid, Pass};
    let us = Ns::from_micros;
    assert_eq!(late(us(900), us(900), Ns::ZERO, 1).1, [Pass, Pass]);
    assert_eq!(late(us(1_500), us(900), Ns::ZERO, 1).1, [Invalid, Pass]);
    assert_eq!(late(us(900), us(1_500), Ns::ZERO, 1).1, [Pass, Invalid]);
    // 1.5 ms is little against 100 ms
    assert_eq!(late(us(1_500), us(1_500), Ns::ZERO, 100).1, [Pass, Pass]);
    // waiting for a CPU halves the budget
    assert_eq!(late(us(700), us(100), Ns::from_millis(200), 1).1, [Invalid, Pass]);
    assert_eq!(late(us(300), us(100), Ns::from_millis(200), 1).1, [Pass, Pass]);
    let assessment = late(us(5_000), us(1), Ns::from_millis(300), 10).0;
    assert_eq!(assessment.verdict, Invalid);
    insta::assert_snapshot!(told(of(&assessment, "lateness")[0]), @"generator generator lag p99 invalid: 5.00ms (the generator was late by 5.00ms at p99, 1.00ms are allowed at a median service time of 10.0ms; it waited 30.00% of its time for a CPU: its figures say more about itself than about the target) | free a core for the generator (other processes took it), or move it to another machine");
}

#[test]
fn a_generator_without_cpu_to_spare_makes_the_run_invalid() {
    let verdict = |cpu: u64, wait: u64| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        for _ in 0..30 {
            run.second_with(vec![ms(10); 200], |window| {
                (window.lag.cpu, window.lag.cpu_wait) = (Ns::from_millis(cpu), Ns::from_millis(wait));
            });
        }
        of(&run.done(), "lateness").iter().find(|j| j.measure == "saturation").map(|j| j.verdict)
    };
    assert_eq!(verdict(980, 0), Some(Verdict::Invalid));
    assert_eq!(verdict(700, 280), Some(Verdict::Invalid));
    assert_eq!(verdict(900, 20), Some(Verdict::Pass));
}

#[test]
fn lateness_that_nobody_recorded_is_no_pass() {
    let without = |model: Model, forget: fn(&mut Window)| {
        let mut plan = started(&[ERRORS], &[]);
        plan.phases[0].model = model;
        let mut run = Run::new(plan);
        for _ in 0..60 {
            run.second_with(vec![ms(10); 100], forget);
        }
        run.done().verdict
    };
    let lag: fn(&mut Window) = |window| window.lag.generator.clear();
    let beat: fn(&mut Window) = |window| window.lag.heartbeat.clear();
    assert_eq!(without(Model::Open, lag), Verdict::Inconclusive);
    assert_eq!(without(Model::Open, beat), Verdict::Inconclusive);
    assert_eq!(without(Model::Closed, beat), Verdict::Inconclusive);
    // users who never pause have no instants to be late for
    assert_eq!(without(Model::Closed, lag), Verdict::Pass);
}

#[test]
fn lost_work_makes_the_run_invalid() {
    let lost = |change: fn(&mut Window)| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        seconds(&mut run, 30, |_| vec![ms(10); 100]);
        run.second_with(vec![ms(10); 100], change);
        let assessment = run.done();
        (assessment.verdict, told(only(&assessment, "conservation")))
    };
    let (verdict, text) = lost(|window| window.steps[0].1.planned += 3);
    assert_eq!(verdict, Verdict::Invalid);
    insta::assert_snapshot!(text, @"run counts invalid: - (counts do not add up in 1 window; the first: operations from 30.0s to 31.0s: 0 under way before + 103 planned is not 100 ended + 0 under way after) | this is a fault of the generator, not of the system under test: report it with the exported record");
    let (verdict, text) = lost(|window| window.iterations[0].1.planned -= 1);
    assert_eq!(verdict, Verdict::Invalid);
    assert!(text.contains("iterations from"), "{text}");
    // work that is under way for ever
    let (verdict, text) = lost(|window| {
        window.steps[0].1.planned += 2;
        window.in_flight = 2;
    });
    assert_eq!(verdict, Verdict::Invalid);
    assert!(text.contains("2 under way after the end"), "{text}");
}

#[test]
fn work_under_way_is_carried_from_window_to_window() {
    let mut run = Run::new(started(&[ERRORS], &[]));
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    run.second_with(vec![ms(10); 10], |window| {
        (window.steps[0].1.planned, window.in_flight) = (15, 5);
        (window.iterations[0].1.planned, window.iterations_in_flight) = (12, 2);
    });
    run.second_with(vec![ms(10); 10], |window| {
        window.steps[0].1.planned = 5;
        window.iterations[0].1.planned = 8;
    });
    assert_eq!(only(&run.done(), "conservation").verdict, Verdict::Pass);
}

#[test]
fn load_that_was_not_delivered_makes_the_run_invalid() {
    let deliver = |planned: u64, reason: StopReason| {
        let mut plan = started(&[ERRORS], &[]);
        plan.phases[0] = PhaseMeta {
            name: "hold".into(),
            model: Model::Open,
            planned: Some(planned),
            ..Default::default()
        };
        let mut run = Run::new(plan);
        seconds(&mut run, 60, |_| vec![ms(10); 100]);
        let assessment = run.end(reason);
        of(&assessment, "undelivered").first().map(|j| j.verdict)
    };
    assert_eq!(deliver(6_000, StopReason::Completed), Some(Verdict::Pass));
    assert_eq!(deliver(6_005, StopReason::Completed), Some(Verdict::Pass));
    assert_eq!(deliver(6_100, StopReason::Completed), Some(Verdict::Invalid));
    assert_eq!(deliver(5_900, StopReason::Completed), Some(Verdict::Invalid));
    // an interrupted phase owes nothing
    assert_eq!(deliver(9_000, StopReason::Interrupted), None);
}

#[test]
fn iterations_that_time_did_not_suffice_for_are_told() {
    let mut plan = started(&[ERRORS], &[]);
    plan.phases[0].planned = Some(10_000);
    let mut run = Run::new(plan);
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let assessment = run.done();
    assert_eq!(assessment.verdict, Verdict::Inconclusive);
    insta::assert_snapshot!(told(only(&assessment, "undelivered")), @"phase hold iterations inconclusive: 6,000 (time was up after 6000 of the 10000 iterations asked for) | give the phase more time or ask for fewer iterations");
}

#[test]
fn our_own_want_makes_the_run_invalid() {
    let wants = |count: usize| {
        let mut run = Run::new(started(&[], &[]));
        seconds(&mut run, 10, |_| vec![ms(10); 1_000]);
        run.second(vec![Op::Class(ErrorClass::Local); count]);
        run.done().verdict
    };
    assert_eq!(wants(0), Verdict::Pass);
    assert_eq!(wants(9), Verdict::Pass);
    assert_eq!(wants(20), Verdict::Invalid);
}

#[test]
fn a_broken_record_is_invalid_and_says_how() {
    let with = |event: RunEvent| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        seconds(&mut run, 60, |_| vec![ms(10); 100]);
        run.view.apply(&event);
        let assessment = run.done();
        (assessment.verdict, of(&assessment, "record")[0].why.clone())
    };
    let gap = RunEvent::Gap(Gap {
        from: Ns::from_secs(3),
        to: Ns::from_secs(4),
        text: "disk full".into(),
        ..Gap::default()
    });
    assert_eq!(
        with(gap),
        (Verdict::Invalid, "1 gap in what was observed; the first, from 3.00s: disk full".into())
    );
    let note = |kind| RunEvent::Note(Note { at: Ns(1), kind, text: "clock jumped".into() });
    assert_eq!(with(note(NoteKind::Invalid)), (Verdict::Invalid, "clock jumped".into()));
    assert_eq!(with(note(NoteKind::Warning)).0, Verdict::Pass);
    // foreign indices are not followed
    let stray = |phase, step| {
        RunEvent::Window(Box::new(Window {
            phase,
            steps: vec![(StepId(step), Frame::new(0))],
            ..Window::default()
        }))
    };
    assert_eq!(with(stray(9, 0)).0, Verdict::Invalid);
    assert_eq!(with(stray(0, 9)).0, Verdict::Invalid);
    assert_eq!(with(RunEvent::Phase(PhaseStarted { phase: 9, at: Ns(1) })).0, Verdict::Invalid);
    let stray = Window { iterations: vec![(ScenarioId(7), IterationFrame::default())], ..Window::default() };
    assert_eq!(with(RunEvent::Window(Box::new(stray))).0, Verdict::Invalid);
    assert_eq!(with(RunEvent::Started(Box::default())).0, Verdict::Invalid);
}

#[test]
fn a_killed_run_is_invalid_and_others_say_why_they_ended() {
    let mut run = Run::new(started(&[ERRORS], &[]));
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let killed = assess(&run.view);
    assert_eq!(killed.verdict, Verdict::Invalid);
    insta::assert_snapshot!(only(&killed, "record").why, @"incomplete: the record ends at 1m00s without an end, the run was killed");
    let check = |reason: StopReason, expected: Verdict| {
        let mut run = Run::new(started(&[ERRORS], &[]));
        seconds(&mut run, 60, |_| vec![ms(10); 100]);
        assert_eq!(run.end(reason).verdict, expected);
    };
    check(StopReason::Completed, Verdict::Pass);
    check(StopReason::Interrupted, Verdict::Inconclusive);
    check(StopReason::Threshold("* errors <=1%".into()), Verdict::Fail);
    check(StopReason::Error("out of memory".into()), Verdict::Invalid);
}

#[test]
fn a_view_is_made_of_a_log_with_damage() {
    let events = |damage: bool| {
        let mut events: Vec<Result<RunEvent, StoreError>> =
            vec![Ok(RunEvent::Started(Box::new(started(&[], &[]))))];
        if damage {
            events.push(Err(StoreError::Damaged { run: "r".into(), row: 1, detail: "torn".into() }));
        }
        events.push(Ok(RunEvent::Finished(Finished {
            at: Ns(5),
            reason: StopReason::Completed,
            errors: Vec::new(),
        })));
        events
    };
    let view = RunView::from_events(events(true)).unwrap();
    assert_eq!((view.gaps.len(), assess(&view).verdict), (1, Verdict::Invalid));
    assert_eq!(RunView::from_events(events(false)).unwrap().gaps.len(), 0);
    assert!(matches!(RunView::from_events(Vec::new()), Err(ViewError::NoStart)));
    assert!(matches!(RunView::from_events(events(false).into_iter().skip(1)), Err(ViewError::NoStart)));
    let busy = vec![Err(StoreError::Busy { path: "x".into() })];
    assert!(matches!(RunView::from_events(busy), Err(ViewError::Store(_))));
}

#[test]
fn the_worst_wins() {
    use Verdict::*;
    assert!(Pass < Inconclusive && Inconclusive < Fail && Fail < Invalid);
    assert_eq!(Verdict::worst([Pass, Fail, Inconclusive]), Fail);
    assert_eq!(Verdict::worst([]), Inconclusive);
    for verdict in [Pass, Inconclusive, Fail, Invalid] {
        assert_eq!(Verdict::from_name(verdict.name()), Some(verdict));
    }
    let mut run = Run::new(started(&["* p50 target<=1ms", ERRORS], &[]));
    seconds(&mut run, 60, |_| vec![ms(10); 100]);
    let failed = run.done();
    assert_eq!(failed.verdict, Fail);
    run.view.apply(&RunEvent::Note(Note { at: Ns(1), kind: NoteKind::Invalid, text: "x".into() }));
    assert_eq!(assess(&run.view).verdict, Invalid);
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (100u16..600).prop_map(Op::Fail),
        (0u64..1 << 40).prop_map(|ns| Op::Timeout(Ns(ns))),
        (0u64..1 << 40).prop_map(|ns| Op::Abort(Ns(ns))),
        Just(Op::Drop),
        Just(Op::Class(ErrorClass::Reset)),
    ]
}

const DEMANDS: [&str; 12] = [
    "* p99 target<=1000s",
    "each p50 target<=1000s",
    "\"login\" service.p95 target<=1000s",
    "scenario \"pupil\" avg target<=1000s",
    "* min target<=1000s",
    "* max target<=1000s",
    "* stddev target<=1000s",
    "* errors target<=100%",
    "* throughput target>=0/s",
    "* checks target>=0%",
    "* dropped target<=100%",
    "* p95 target<=1000s over 2s",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is demanded, and however mildly: a run without one success does not pass.
    #[test]
    fn without_a_success_nothing_passes(
        windows in prop::collection::vec(prop::collection::vec(any_op(), 0..40), 0..8),
        demands in prop::collection::vec(0usize..DEMANDS.len(), 0..4),
    ) {
        let demands: Vec<&str> = demands.into_iter().map(|i| DEMANDS[i]).collect();
        let mut run = Run::new(started(&demands, &["status"]));
        for ops in windows {
            run.second(ops);
        }
        let assessment = run.done();
        prop_assert_ne!(assessment.verdict, Verdict::Pass);
        // latency, checks and throughput do not pass by themselves either
        for judgement in of(&assessment, "thresholds") {
            let share = judgement.measure == "errors" || judgement.measure == "dropped";
            prop_assert!(share || judgement.verdict != Verdict::Pass, "{judgement:?}");
        }
    }

    /// The figures of a hostile record neither panic nor hang.
    #[test]
    fn foreign_figures_are_survived(
        counts in prop::collection::vec(0u64..1 << 43, 8),
        times in prop::collection::vec(any::<u64>(), 4),
        demand in 0usize..DEMANDS.len(),
    ) {
        let mut run = Run::new(started(&[DEMANDS[demand]], &["status"]));
        for _ in 0..3 {
            run.second_with(vec![ms(1); 3], |window| {
                let frame = &mut window.steps[0].1;
                frame.planned = counts[0];
                frame.outcomes.copy_from_slice(&counts[..6]);
                frame.checks = vec![(counts[6], counts[7])];
                frame.response.record_many(Ns(times[0]), counts[1]);
                frame.censored.record_many(Ns(times[1]), counts[2]);
                window.to = Ns(times[2]);
                window.from = Ns(times[3]);
                window.process_cpu = Ns(times[0]);
            });
        }
        prop_assert_eq!(run.done().verdict, Verdict::Invalid);
    }
}

/// The record is sufficient: judged from the store, a run gets exactly the judgements that it got live.
#[test]
fn a_stored_run_is_judged_as_the_live_one() {
    let store = Store::in_memory().unwrap();
    let plan = started(&["* p95 a<=50ms b<=200ms", "* errors ok<=1%", "* avg ok<=90ms over 5s"], &["status"]);
    let mut writer = store.begin(&plan).unwrap();
    let mut live = RunView::new(plan);
    let mut events = Vec::new();
    for second in 0..40u64 {
        let mut frame = Frame::new(1);
        (0..50).for_each(|k| common::add(&mut frame, ms(10 + (second * k) % 97)));
        common::add(&mut frame, Op::Timeout(Ns::from_millis(300)));
        let iterations = IterationFrame { planned: 51, completed: 51, ..IterationFrame::default() };
        events.push(RunEvent::Window(Box::new(Window {
            from: Ns::from_secs(second),
            to: Ns::from_secs(second + 1),
            steps: vec![(StepId(0), frame)],
            iterations: vec![(ScenarioId(0), iterations)],
            ..Window::default()
        })));
    }
    events.push(RunEvent::Finished(Finished {
        at: Ns(9),
        reason: StopReason::Completed,
        errors: Vec::new(),
    }));
    for event in &events {
        writer.append(event).unwrap();
        live.apply(event);
    }
    writer.finish().unwrap();
    let stored = RunView::from_events(store.events("r").unwrap()).unwrap();
    assert_eq!(assess(&stored), assess(&live));
    assert_eq!(stored.timeline.points(), live.timeline.points());
}
