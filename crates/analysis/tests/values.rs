//! Thresholds on the plan's own measures and on what monitors read: decided on evidence, never on its absence.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Run, ms, of, started};
use crucible_analysis::{Judgement, Verdict};
use crucible_core::{MeasureFrame, MeasureId, MeasureKind, MeasureSpec, Ns, Rng};
use crucible_record::*;

const PASS: Verdict = Verdict::Pass;
const FAIL: Verdict = Verdict::Fail;
const OPEN: Verdict = Verdict::Inconclusive;

fn worker() -> MeasureKind {
    MeasureKind::Tally(vec![("rq".into(), Some(0.5)), ("celery".into(), Some(0.5))])
}

/// A run with one measure that gets these values each second, ten operations a second.
fn measured(
    kind: MeasureKind,
    thresholds: &[&str],
    seconds: u64,
    mut values: impl FnMut(u64) -> Vec<f64>,
) -> Vec<Judgement> {
    let mut plan = started(thresholds, &[]);
    plan.measures = vec![MeasureSpec { name: "m".into(), kind: kind.clone(), unit: "ms".into() }];
    plan.steps[0].measures = vec![0];
    let mut run = Run::new(plan);
    for second in 0..seconds {
        let mut frame = MeasureFrame::new(&kind);
        values(second).iter().for_each(|value| frame.record(&kind, *value));
        run.second_with(vec![ms(1); 10], |window| {
            if frame.count > 0 {
                window.measures.push((MeasureId(0), frame.clone()));
            }
        });
    }
    of(&run.done(), "thresholds").into_iter().cloned().collect()
}

/// A run of a minute with one series, read once a second where `value` gives one.
fn read(thresholds: &[&str], mut value: impl FnMut(u64) -> Option<f64>) -> Vec<Judgement> {
    let mut plan = started(thresholds, &[]);
    let meta = SeriesMeta {
        component: "api".into(),
        name: "cpu".into(),
        unit: "cores".into(),
        ..SeriesMeta::default()
    };
    plan.series = vec![SeriesMeta { name: "memory".into(), ..meta.clone() }, meta];
    let mut run = Run::new(plan);
    for second in 0..60 {
        run.second(vec![ms(1); 10]);
        if let Some(value) = value(second) {
            let reading = Reading { at: Ns::from_secs(second + 1), values: vec![(1, value)] };
            run.view.apply(&RunEvent::Reading(Box::new(reading)));
        }
    }
    of(&run.done(), "thresholds").into_iter().cloned().collect()
}

fn verdicts(judgements: &[Judgement]) -> Vec<Verdict> {
    judgements.iter().map(|j| j.verdict).collect()
}

#[test]
fn without_values_nothing_passes() {
    for (kind, threshold) in [
        (MeasureKind::Counter, "measure \"m\" total target<=5"),
        (MeasureKind::Counter, "measure \"m\" rate target<=5/s"),
        (MeasureKind::Gauge, "measure \"m\" max target<=5"),
        (MeasureKind::Rate, "measure \"m\" share target<=100%"),
        (MeasureKind::Trend, "measure \"m\" p95 target<=5"),
        (worker(), "measure \"m\" split target<=100%"),
        (worker(), "measure \"m\" mark \"rq\" target<=100%"),
        (MeasureKind::Gauge, "measure \"other\" max target<=5"),
        (MeasureKind::Gauge, "series \"api\" \"cpu\" max target<=5"),
    ] {
        let judged = measured(kind, &[threshold], 60, |_| Vec::new());
        assert_eq!(verdicts(&judged), [OPEN], "{threshold}");
        assert!(judged[0].why.starts_with("no evidence") && !judged[0].remedy.is_empty(), "{judged:?}");
    }
    let judged = read(
        &["series \"api\" \"cpu\" max target<=5", "series \"api\" \"cpu\" above 0.7 target<=5s"],
        |_| None,
    );
    assert_eq!(verdicts(&judged), [OPEN, OPEN]);
}

#[test]
fn counters_and_gauges_are_facts_and_rates_have_bounds() {
    let total = |sign: &str| format!("measure \"m\" total target{sign}");
    let list = [total("<=600"), total("<=599"), total(">=600"), total(">=601")];
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let judged = measured(MeasureKind::Counter, &list, 60, |_| vec![4.0, 6.0]);
    assert_eq!(verdicts(&judged), [PASS, FAIL, PASS, FAIL]);
    assert_eq!((judged[0].value, judged[0].measure.as_str()), (Some(600.0), "total in ms"));

    let rate = [
        "measure \"m\" rate target>=9.9/s",
        "measure \"m\" rate target<=5/s",
        "measure \"m\" rate target<=10/s",
    ];
    let mut rng = Rng::new(3, "values", 0);
    let judged = measured(MeasureKind::Counter, &rate[..2], 60, |_| vec![9.0 + 2.0 * rng.unit()]);
    assert_eq!(verdicts(&judged), [OPEN, FAIL]);
    let judged = measured(MeasureKind::Counter, &rate, 60, |_| vec![10.0]);
    assert_eq!(verdicts(&judged), [PASS, FAIL, PASS]);

    let gauge =
        ["measure \"m\" last target<=-5", "measure \"m\" min target>=-5", "measure \"m\" max target<=53"];
    let judged = measured(MeasureKind::Gauge, &gauge, 60, |second| {
        vec![if second == 59 { -5.0 } else { second as f64 }]
    });
    assert_eq!(verdicts(&judged), [PASS, PASS, FAIL]);
}

#[test]
fn trends_and_rates_are_judged_by_bounds_on_either_side() {
    let trend = [
        "measure \"m\" p95 target<=97",
        "measure \"m\" p95 target<=80",
        "measure \"m\" p5 target>=2",
        "measure \"m\" p5 target>=20",
        "measure \"m\" avg target<=60",
        "measure \"m\" avg target>=60",
        "measure \"m\" p99.99 target<=200",
    ];
    let judged = measured(MeasureKind::Trend, &trend, 60, |_| (1..=100).map(f64::from).collect());
    assert_eq!(verdicts(&judged), [PASS, FAIL, PASS, FAIL, PASS, FAIL, OPEN]);
    assert!(judged[0].value.is_some_and(|p95| (p95 - 95.0).abs() < 1.0), "{:?}", judged[0]);
    let share = [
        "measure \"m\" share target>=85%",
        "measure \"m\" share target>=90%",
        "measure \"m\" share target<=80%",
    ];
    let judged = measured(MeasureKind::Rate, &share, 100, |_| {
        (0..20).map(|k| f64::from(u8::from(k % 10 != 0))).collect()
    });
    assert_eq!(verdicts(&judged), [PASS, OPEN, FAIL], "{judged:#?}");
}

#[test]
fn a_traffic_split_is_checked_with_an_interval() {
    let check = |share: f64, n: u64, thresholds: &[&str]| {
        let mut rng = Rng::new(11, "split", n);
        let marks = |_| (0..n).map(|_| f64::from(u8::from(rng.unit() < share))).collect();
        measured(worker(), thresholds, 60, marks)
    };
    let split = ["measure \"m\" split target<=5%"];
    let judged = check(0.5, 50, &split);
    assert_eq!(verdicts(&judged), [PASS], "{judged:#?}");
    assert!(
        judged[0].why.contains("nothing dropped") && judged[0].why.contains("of 50.00% expected"),
        "{}",
        judged[0].why
    );
    assert_eq!(verdicts(&check(0.65, 50, &split)), [FAIL]);
    assert_eq!(verdicts(&check(0.5, 1, &split)), [OPEN], "60 operations cannot show it");
    let range = ["measure \"m\" mark \"celery\" target>=45%", "measure \"m\" mark \"celery\" target<=55%"];
    assert_eq!(verdicts(&check(0.5, 100, &range)), [PASS, PASS]);
    assert_eq!(verdicts(&check(0.7, 100, &range)), [PASS, FAIL]);
}

#[test]
fn other_marks_and_operations_without_one_are_told() {
    let split = ["measure \"m\" split target<=5%"];
    let judged = measured(worker(), &split, 60, |second| {
        let mut marks = vec![0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        marks.extend((second == 7).then_some(9.0));
        marks
    });
    assert_eq!(verdicts(&judged), [FAIL], "shares that make up the whole leave nothing to others");
    assert!(judged[0].why.contains("1 other"), "{}", judged[0].why);
    assert!(judged[0].why.contains("119 operations without a mark"), "{}", judged[0].why);
}

#[test]
fn dependent_marks_are_worth_less_than_they_count() {
    // whole seconds go to one worker or the other: 60 decisions, not 6,000
    let mut rng = Rng::new(5, "sticky", 0);
    let judged = measured(worker(), &["measure \"m\" split target<=5%"], 60, |_| {
        vec![f64::from(u8::from(rng.unit() < 0.5)); 100]
    });
    assert_eq!(verdicts(&judged), [OPEN]);
}

#[test]
fn series_are_judged_by_their_readings() {
    let list = [
        "series \"api\" \"cpu\" avg target<=0.7",
        "series \"api\" \"cpu\" avg target<=0.4",
        "series \"api\" \"cpu\" max target<=0.95",
        "series \"api\" \"cpu\" max target<=0.85",
        "series \"api\" \"cpu\" above 0.7 target<=15s",
        "series \"api\" \"cpu\" above 0.7 target<=5s",
        "series \"api\" \"cpu\" below 0.1 target<=1s",
        "series \"api\" \"cpu\" p50 target<=0.6",
    ];
    // ten seconds at 90 %, else 50 %
    let judged = read(&list, |second| Some(if (20..30).contains(&second) { 0.9 } else { 0.5 }));
    let expected = [PASS, FAIL, PASS, FAIL, PASS, FAIL, PASS, PASS];
    assert_eq!(verdicts(&judged), expected, "{judged:#?}");
    assert_eq!(judged[4].value, Some(10e9), "ten seconds at a stretch");
    assert_eq!(
        (judged[4].subject.as_str(), judged[4].measure.as_str()),
        ("api.cpu", "time above 0.70 cores")
    );
    let judged = read(&["series \"api\" \"cpu\" p99.9 target<=1"], |_| Some(0.5));
    assert_eq!(verdicts(&judged), [OPEN], "of 60 readings there is no p99.9");
}

#[test]
fn what_was_not_read_for_long_does_not_pass() {
    let list = ["series \"api\" \"cpu\" max target<=1", "series \"api\" \"cpu\" above 0.7 target<=15s"];
    let judged = read(&list, |second| (!(20..45).contains(&second)).then_some(0.5));
    assert_eq!(verdicts(&judged), [OPEN, OPEN]);
    assert!(judged[0].why.contains("not read for") && judged[1].why.contains("may have been"), "{judged:#?}");
    let judged = read(&list, |second| (second < 30).then_some(0.5));
    assert_eq!(verdicts(&judged), [OPEN, OPEN], "it was not read to the end");
    let judged = read(&list, |second| (!(20..23).contains(&second)).then_some(0.5));
    assert_eq!(verdicts(&judged), [PASS, PASS]);
    let judged = read(&["series \"api\" \"cpu\" max target<=0.4"], |second| (second < 30).then_some(0.5));
    assert_eq!(verdicts(&judged), [FAIL], "what was read suffices to fail");
}

#[test]
fn a_component_that_could_not_be_read_does_not_condemn_the_run() {
    let mut run = Run::new(started(&[], &[]));
    (0..30).for_each(|_| {
        run.second(vec![ms(1); 10]);
    });
    let gap = Gap { component: "api".into(), text: "permission denied".into(), ..Gap::default() };
    run.view.apply(&RunEvent::Gap(gap));
    run.second(vec![ms(1); 10]);
    let done = run.done();
    assert_eq!(of(&done, "record")[0].verdict, PASS);
    assert_eq!((run.view.gaps.len(), run.view.conservation.broken_step_windows), (1, 0));
}
