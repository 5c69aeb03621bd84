//! Experiments: searches and duets are judged by what they came to, not by the trials and slices that they were made of.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Op, Run, ms, only, started};
use crucible_analysis::{Assessment, RunView, Verdict, assess};
use crucible_core::{ErrorClass, Ns};
use crucible_record::{Finding, Finished, RunEvent, RunStarted, StopReason};

/// A search whose only trial failed, as most do that look for an edge.
fn search(ops: impl Fn(u64) -> Vec<Op>, finding: Option<(&str, &str)>) -> Assessment {
    let mut run = Run::new(RunStarted {
        experiment: "capacity".into(),
        ..started(&["* p95 target<=100ms"], &["status 200"])
    });
    (0..30).for_each(|second| {
        run.second(ops(second));
    });
    if let Some((kind, verdict)) = finding {
        let (kind, verdict) = (kind.to_owned(), verdict.to_owned());
        let found = Finding { at: Ns(1), kind, body: "{}".into(), verdict, why: "so it is".into() };
        run.view.apply(&RunEvent::Finding(found));
    }
    run.done()
}

#[test]
fn the_finding_is_the_verdict() {
    for (word, verdict) in [
        ("pass", Verdict::Pass),
        ("inconclusive", Verdict::Inconclusive),
        ("fail", Verdict::Fail),
        ("invalid", Verdict::Invalid),
    ] {
        let assessment = search(|_| vec![Op::Fail(503); 50], Some(("capacity", word)));
        assert_eq!(assessment.verdict, verdict, "{assessment:#?}");
        assert_eq!(only(&assessment, "experiment").why, "so it is");
    }
}

#[test]
fn a_search_of_single_requests_needs_no_tests() {
    let of = |experiment: &str| {
        let mut view = RunView::new(RunStarted { experiment: experiment.into(), ..RunStarted::default() });
        let (kind, verdict) = ("limits".to_owned(), "pass".to_owned());
        view.apply(&RunEvent::Finding(Finding { kind, verdict, ..Finding::default() }));
        view.apply(&RunEvent::Finished(Finished {
            at: Ns(1),
            reason: StopReason::Completed,
            errors: Vec::new(),
        }));
        assess(&view).verdict
    };
    assert_eq!((of("limits"), of("")), (Verdict::Pass, Verdict::Inconclusive));
}

#[test]
fn without_a_finding_of_its_kind_nothing_is_known() {
    for finding in
        [None, Some(("comparison", "pass")), Some(("capacity", "")), Some(("capacity", "splendid"))]
    {
        let assessment = search(|_| vec![ms(5); 50], finding);
        assert_eq!(assessment.verdict, Verdict::Inconclusive, "{finding:?}: {assessment:#?}");
    }
}

#[test]
fn what_our_own_machine_lacked_still_makes_it_invalid() {
    let lacking = |_| vec![Op::Class(ErrorClass::Local); 50];
    assert_eq!(search(lacking, Some(("capacity", "pass"))).verdict, Verdict::Invalid);
}
