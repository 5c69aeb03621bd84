//! Polls and timed spans have figures of their own and no part in the whole; readings find their test.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Op, Run, add, ms, of, started, told};
use crucible_analysis::Verdict;
use crucible_core::{ErrorClass, Frame, Ns, StepId};
use crucible_record::*;

/// A submission, the polls that follow it and the whole transaction.
fn plan(thresholds: &[&str]) -> RunStarted {
    let mut plan = started(thresholds, &[]);
    let step =
        |name: &str, role: &str| StepMeta { name: name.into(), role: role.into(), ..StepMeta::default() };
    plan.steps.push(step("poll", "follow"));
    plan.steps.push(step("job", "timed"));
    plan
}

/// Ten submissions a second at 10 ms, a failed poll for each, and jobs of two seconds.
fn second(run: &mut Run, jobs: Op) {
    run.second_with(vec![ms(10); 10], |window| {
        for (id, op) in [(1, Op::Fail(404)), (2, jobs)] {
            let mut frame = Frame::new(0);
            (0..10).for_each(|_| add(&mut frame, op));
            window.steps.push((StepId(id), frame));
        }
    });
}

#[test]
fn the_whole_is_made_of_operations_alone_and_work_is_conserved_with_all() {
    let mut run = Run::new(plan(&["* p95 target<=20ms", "each errors target<=1%", "\"job\" p50 target<=3s"]));
    (0..60).for_each(|_| second(&mut run, ms(2_000)));
    let done = run.done();
    let totals = &run.view.tests[0];
    assert_eq!((totals.all.ended(), totals.all.errors()), (600, 0));
    assert_eq!((totals.steps[1].errors(), totals.steps[2].ended()), (600, 600));
    assert_eq!(run.view.conservation.steps.planned, 1_800);
    assert_eq!(run.view.conservation.broken_step_windows, 0);
    let points = run.view.timeline.points();
    assert!(points.iter().all(|point| point.ended == 10 && point.errors == 0));
    let subjects: Vec<&str> = of(&done, "thresholds").iter().map(|j| j.subject.as_str()).collect();
    assert_eq!(subjects, ["all steps", "login", "job"]);
    assert_eq!(done.verdict, Verdict::Pass, "{:#?}", of(&done, "evidence"));
}

#[test]
fn a_transaction_that_never_succeeded_fails_and_one_without_a_figure_of_its_own_says_so() {
    let mut run = Run::new(plan(&["\"job\" p50 target<=3s"]));
    (0..30).for_each(|_| second(&mut run, Op::Class(ErrorClass::Lost)));
    let done = run.done();
    assert_eq!(of(&done, "thresholds")[0].verdict, Verdict::Fail);
    let evidence = of(&done, "evidence");
    assert_eq!(evidence.len(), 1, "the poll is not judged");
    assert!(
        told(evidence[0]).contains("it never succeeded in 300 attempts: lost x 300"),
        "{}",
        told(evidence[0])
    );

    let mut run = Run::new(plan(&["\"job\" p50 target<=3s"]));
    (0..30).for_each(|_| {
        run.second(vec![ms(10); 10]);
    });
    let done = run.done();
    assert_eq!(of(&done, "thresholds")[0].verdict, Verdict::Inconclusive);
    assert_eq!(of(&done, "evidence")[0].verdict, Verdict::Pass);
}

#[test]
fn readings_belong_to_the_test_in_which_they_were_taken() {
    let mut plan = started(&[], &[]);
    plan.series = vec![SeriesMeta { component: "api".into(), name: "cpu".into(), ..SeriesMeta::default() }];
    let mut run = Run::new(plan);
    let read = |run: &mut Run, at: u64, index: u16, value: f64| {
        let reading = Reading { at: Ns::from_secs(at), values: vec![(index, value)] };
        run.view.apply(&RunEvent::Reading(Box::new(reading)));
    };
    for at in 0..5 {
        run.second(vec![ms(1); 5]);
        read(&mut run, at, 0, at as f64);
    }
    read(&mut run, 5, 9, 1.0);
    assert_eq!(run.view.gaps.len(), 1, "a series that nobody announced is noted, not followed");
    let (test, phase, whole) =
        (&run.view.tests[0].series[0], &run.view.phases[0].series[0], &run.view.series[0]);
    for totals in [test, phase, whole] {
        assert_eq!((totals.count, totals.min, totals.max, totals.mean()), (5, 0.0, 4.0, Some(2.0)));
    }
    assert_eq!(run.view.readings.points().len(), 5);
}

#[test]
fn the_setup_of_another_test_is_not_missed() {
    let verdict = |test: Option<u16>| {
        let mut plan = started(&[], &[]);
        let prepare = StepMeta { name: "prepare".into(), role: "setup".into(), test, ..StepMeta::default() };
        plan.steps.push(prepare);
        let mut run = Run::new(plan);
        (0..10).for_each(|_| {
            run.second_with(vec![ms(10); 10], |_| {});
        });
        of(&run.done(), "evidence")[0].verdict
    };
    assert_eq!(verdict(Some(7)), Verdict::Pass);
    // one of its own, or of nobody's in particular, is
    assert_eq!((verdict(Some(0)), verdict(None)), (Verdict::Inconclusive, Verdict::Inconclusive));
}
