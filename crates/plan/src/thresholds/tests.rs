//! Thresholds on values, read with names made up here: which protocols feed measures is not this crate's business.

use super::*;
use crate::yaml;
use crucible_core::MeasureKind;
use crucible_core::monitor::Target;
use crucible_core::threshold::Threshold;

fn names() -> Names {
    let spec = |name: &str, kind, unit: &str| MeasureSpec { name: name.into(), kind, unit: unit.into() };
    let marks = vec![("rq".to_owned(), Some(0.5)), ("celery".to_owned(), Some(0.5))];
    let measures = [
        spec("orders", MeasureKind::Counter, ""),
        spec("depth", MeasureKind::Gauge, ""),
        spec("cached", MeasureKind::Rate, ""),
        spec("render", MeasureKind::Trend, "ms"),
        spec("worker", MeasureKind::Tally(marks), ""),
    ];
    let components = [Component { name: "api".into(), target: Target::Port(8070), limits: Vec::new() }];
    Names::new(&[], &[]).with_values(&[], &measures, &components)
}

/// Canonical texts, or the mistakes.
fn read_text(text: &str) -> Result<Vec<String>, String> {
    let diagnostics = Diagnostics::new();
    let tree = yaml::parse(text, &|_| Ok(None), &diagnostics).unwrap();
    let placed = read(&tree, "thresholds", &names(), &diagnostics);
    let told: Vec<String> = diagnostics.into_sorted().iter().map(ToString::to_string).collect();
    if !told.is_empty() {
        return Err(told.join("\n"));
    }
    for placed in &placed {
        assert_eq!(placed.threshold.to_string().parse::<Threshold>().as_ref(), Ok(&placed.threshold));
    }
    Ok(placed.iter().map(|placed| placed.threshold.to_string()).collect())
}

#[test]
fn measures_and_series_are_subjects() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(read_text(text), Ok(expected.iter().map(|t| (*t).to_owned()).collect()), "{text}");
    };
    check(
        "orders: {total: at least 100, rate: '> 5/s'}",
        &["measure \"orders\" total target>=100", "measure \"orders\" rate target>=5/s"],
    );
    check(
        "depth: {max: 50, min: -2, last: {at most: 5, abort: true}}",
        &[
            "measure \"depth\" max target<=50",
            "measure \"depth\" min target>=-2",
            "measure \"depth\" last target<=5 abort",
        ],
    );
    check(
        "cached: {share: {target: at least 90%, acceptable: at least 80%}}",
        &["measure \"cached\" share target>=90% acceptable>=80%"],
    );
    check(
        "render: [p95 < 300ms, 'avg <= 120']",
        &["measure \"render\" p95 target<=300", "measure \"render\" avg target<=120"],
    );
    check(
        "worker: {celery: {share: 45%..55%}, split: 5%}",
        &[
            "measure \"worker\" mark \"celery\" target>=45%",
            "measure \"worker\" mark \"celery\" target<=55%",
            "measure \"worker\" split target<=5%",
        ],
    );
    check(
        "api.cpu: {avg: 70%, above 70% for at most 5m}",
        &["series \"api\" \"cpu\" avg target<=0.7", "series \"api\" \"cpu\" above 0.7 target<=300s"],
    );
    check(
        "api.memory: {max: 512MB}\ngenerator.cpu: p95 < 1.5\nhost.cpu: {below 5%: 1m}",
        &[
            "series \"api\" \"memory\" max target<=512000000",
            "series \"generator\" \"cpu\" p95 target<=1.5",
            "series \"host\" \"cpu\" below 0.05 target<=60s",
        ],
    );
    check(
        "api.read: {max: 10MB/s}\napi.faults_major: {avg: {target: 5/s, acceptable: 9/s}}",
        &[
            "series \"api\" \"read\" max target<=10000000",
            "series \"api\" \"faults_major\" avg target<=5 acceptable<=9",
        ],
    );
    check(
        "api.memory: {leak: none}\napi.threads: no leak",
        &["series \"api\" \"memory\" leak target<=0", "series \"api\" \"threads\" leak target<=0"],
    );
    check(
        "api.cpu: above 150% for at most 30s abort after 10s",
        &["series \"api\" \"cpu\" above 1.5 target<=30s abort after 10s"],
    );
}

#[test]
fn mistakes_about_values_are_told_with_a_remedy() {
    for (text, part) in [
        ("orders: {total: 100}", "at least 100"),
        ("orders: {p95: 100}", "known here: rate, total"),
        ("orders: {total: [1]}", "a limit is needed"),
        ("cached: {share: at least 0.9}", "write a percentage"),
        ("render: {p95: 3 parsecs}", "12.5ms"),
        ("worker: {celry: 45%..55%}", "did you mean `celery`?"),
        ("worker: {celery: 55%..45%}", "from the smaller to the larger"),
        ("api.cpu: {avg: {target: 70%, over: 5m}}", "above 70% for at most 5m"),
        ("api.cpu: {total: at most 5}", "known here"),
        ("api.cp: {avg: 70%}", "did you mean `cpu`?"),
        ("db.cpu: {avg: 70%}", "components: {db"),
        ("api.memory: {max: 70%}", "write bytes"),
        ("api.cpu: {}", ""),
        ("api.cpu: {avg: {}}", "there is no limit in it"),
        ("api.cpu: {avg: {a: at least 1, b: at most 2}}", "different good sides"),
        ("api.cpu: {avg: {a: 2, b: 1}}", "is not better"),
        ("api.cpu: above 70%", "write it as in"),
        ("api.cpu: avg for 5m", "above 70% for at most 5m"),
        ("api.cpu: [avg < 1, avg < 2]", "demanded twice"),
        ("api.memory: {leak: 5MB}", "write `leak: none`"),
        ("api.memory: {leak: {at most: none}}", "as in none"),
        ("api.cpu: {leak: none}", "is no figure"),
        ("orders: {leak: none}", "is no figure"),
        ("nothing: {p95: 1s}", "there is no step or scenario"),
    ] {
        let got = read_text(text);
        match part {
            "" => assert_eq!(got, Ok(Vec::new()), "{text}"),
            part => assert!(got.clone().is_err_and(|told| told.contains(part)), "{text}: {got:?}"),
        }
    }
}
