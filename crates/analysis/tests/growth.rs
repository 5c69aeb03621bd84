//! Leaks: what grows without end is named, what levels off is not, and a short test says nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Run, ms, of, started};
use crucible_analysis::{Growth, Judgement, RunView, Verdict, growth};
use crucible_core::{Ns, Rng, WarmUp};
use crucible_record::*;

const MB: f64 = 1e6;

/// A test of so many seconds under constant load; `api` has these readings of memory (MB), one a second, and a constant
/// number of descriptors.
fn run(thresholds: &[&str], seconds: u64, memory: &dyn Fn(f64) -> f64) -> (RunView, Vec<Judgement>) {
    let mut plan = started(thresholds, &[]);
    plan.tests[0].warm_up = WarmUp::Auto;
    plan.phases[0].constant = Some((Ns::ZERO, Ns::from_secs(seconds)));
    let series = |name: &str, unit: &str, limit| SeriesMeta {
        component: "api".into(),
        name: name.into(),
        unit: unit.into(),
        limit,
        ..SeriesMeta::default()
    };
    plan.series = vec![
        series("memory", "bytes", Some(400.0 * MB)),
        series("descriptors", "count", None),
        series("cpu", "cores", None),
    ];
    let mut rng = Rng::new(8, "growth", 0);
    let mut run = Run::new(plan);
    for second in 0..seconds {
        run.second(vec![ms(10); 20]);
        let bytes = MB * (memory(second as f64) + 0.2 * rng.normal());
        let values = vec![(0, bytes), (1, 12.0), (2, 0.3)];
        run.view.apply(&RunEvent::Reading(Box::new(Reading { at: Ns::from_secs(second + 1), values })));
    }
    let judged = of(&run.done(), "thresholds").into_iter().cloned().collect();
    (run.view, judged)
}

fn named(found: &[Growth]) -> Vec<String> {
    found.iter().map(|growth| format!("{} {}", growth.subject, growth.words())).collect()
}

const LEAK: &str = "series \"api\" \"memory\" leak target<=0";

#[test]
fn a_leak_is_named_with_its_slope_and_the_time_that_is_left() {
    // two megabytes a minute from 200
    let (view, judged) = run(&[LEAK], 720, &|t| 200.0 + t / 30.0);
    insta::assert_snapshot!(named(&growth(&view, 0)).join("\n"), @r"
    api.memory grows 2.00 MB a minute (95 %: 1.99 MB to 2.01 MB), exhausted in 1h28m
    api.descriptors does not grow
    response time does not grow
    ");
    let judgement = &judged[0];
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    let (low, high) = judgement.interval.unwrap();
    assert!(low <= 2.0 * MB && 2.0 * MB <= high && high - low < 0.3 * MB, "{low} {high}");
    assert_eq!((judgement.limit, judgement.measure.as_str()), (None, "leak"));
}

#[test]
fn what_levels_off_is_none() {
    let (view, judged) = run(&[LEAK], 720, &|t| 200.0 + 60.0 * (1.0 - (-t / 120.0).exp()));
    insta::assert_snapshot!(named(&growth(&view, 0))[0], @"api.memory levels off");
    assert_eq!((judged[0].verdict, judged[0].value), (Verdict::Pass, None));
}

#[test]
fn what_is_too_short_is_undecided_and_says_how_much_is_missing() {
    let (view, judged) = run(&[LEAK], 60, &|t| 200.0 + t / 30.0);
    assert_eq!(growth(&view, 0), Vec::new(), "nobody asked");
    assert_eq!(judged[0].verdict, Verdict::Inconclusive);
    assert!(judged[0].remedy.starts_with("run about"), "{:?}", judged[0]);
    let (_, judged) = run(&["series \"api\" \"threads\" leak target<=0"], 60, &|_| 200.0);
    assert_eq!(judged[0].verdict, Verdict::Inconclusive, "it was never read");
}

#[test]
fn hours_of_readings_keep_the_troughs_of_its_saw_tooth() {
    // a collector every five minutes, and nothing lost
    let (view, judged) = run(&[LEAK], 14_400, &|t| 200.0 + 40.0 * (t / 300.0).fract());
    assert_eq!(judged[0].verdict, Verdict::Pass, "{}", named(&growth(&view, 0))[0]);
    let (_, judged) = run(&[LEAK], 14_400, &|t| 200.0 + 40.0 * (t / 300.0).fract() + t / 150.0);
    assert_eq!(judged[0].verdict, Verdict::Fail);
}
