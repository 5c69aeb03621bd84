//! What was added within format 1: it comes back as it was, is absent from old records without harm, and is bounded.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{started, told, window};
use crucible_core::{MeasureFrame, MeasureId, MeasureKind, MeasureSpec, Ns, WarmUp};
use crucible_record::*;
use rusqlite::Connection;
use std::path::Path;

fn measures() -> Vec<MeasureSpec> {
    let marks = vec![("old".to_owned(), Some(0.5)), ("new".to_owned(), None)];
    let spec = |name: &str, kind| MeasureSpec { name: name.into(), kind, unit: "ms".into() };
    vec![
        spec("orders", MeasureKind::Counter),
        spec("depth", MeasureKind::Gauge),
        spec("cached", MeasureKind::Rate),
        spec("render", MeasureKind::Trend),
        spec("worker", MeasureKind::Tally(marks)),
    ]
}

fn events() -> (RunStarted, Vec<RunEvent>) {
    let mut first = started("r");
    first.measures = measures();
    first.steps[0].measures = vec![0, 4];
    first.steps[1].role = "timed".into();
    first.plan_file = "suites/classroom".into();
    first.experiment = "capacity".into();
    first.other_tests = vec![TestMeta { name: "stress".into(), ..TestMeta::default() }];
    first.tests[0].warm_up = WarmUp::Auto;
    first.tests.push(TestMeta { warm_up: WarmUp::First(Ns(5)), ..first.tests[0].clone() });
    first.phases[0].constant = Some((Ns(7), Ns(9)));
    first.series = vec![SeriesMeta {
        component: "api".into(),
        name: "cpu".into(),
        unit: "cores".into(),
        doc: "CPU".into(),
        limit: Some(4.0),
    }];
    let mut with_values = window(1, 7);
    for (index, spec) in first.measures.iter().enumerate() {
        let mut frame = MeasureFrame::new(&spec.kind);
        [-1.5, 0.0, 1.0, 2.5].iter().for_each(|value| frame.record(&spec.kind, *value));
        with_values.measures.push((MeasureId(index as u16), frame));
    }
    let planned = Planned { tests: first.tests.clone(), phases: first.phases.clone() };
    let events = vec![
        RunEvent::Window(Box::new(with_values)),
        RunEvent::Reading(Box::new(Reading { at: Ns(5), values: vec![(0, 0.25), (3, -1e300)] })),
        RunEvent::Planned(Box::new(planned)),
        RunEvent::Finding(Finding {
            at: Ns(9),
            kind: "capacity".into(),
            body: "{\"load\": 5}".into(),
            verdict: "pass".into(),
            why: "there is one".into(),
        }),
        RunEvent::Gap(Gap { from: Ns(1), to: Ns(2), component: "api".into(), text: "gone".into() }),
    ];
    (first, events)
}

#[test]
fn values_readings_and_findings_come_back_as_they_were() {
    let store = Store::in_memory().unwrap();
    let (first, events) = events();
    let mut writer = store.begin(&first).unwrap();
    events.iter().for_each(|event| writer.append(event).unwrap());
    writer.finish().unwrap();
    let back: Vec<RunEvent> = store.events("r").unwrap().map(|event| event.unwrap()).collect();
    assert_eq!(told(&back[0]), told(&RunEvent::Started(Box::new(first))));
    for (came, went) in back[1..].iter().zip(&events) {
        assert_eq!(told(came), told(went));
    }
}

#[test]
fn figures_that_no_reading_can_have_are_left_out() {
    let store = Store::in_memory().unwrap();
    let mut writer = store.begin(&started("r")).unwrap();
    let values = vec![(0, f64::NAN), (1, f64::INFINITY), (2, 1.0)];
    writer.append(&RunEvent::Reading(Box::new(Reading { at: Ns(1), values }))).unwrap();
    writer.finish().unwrap();
    match store.events("r").unwrap().nth(1).unwrap().unwrap() {
        RunEvent::Reading(reading) => assert_eq!(reading.values, [(2, 1.0)]),
        other => panic!("{other:?}"),
    }
}

/// The body of a beginning as the first version wrote it, without any field that came later.
#[test]
fn an_old_body_reads_with_nothing_in_the_new_fields() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1.db");
    let raw = Connection::open_with_flags(&fixture, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let body: Vec<u8> =
        raw.query_row("SELECT body FROM events WHERE kind = 'started'", [], |row| row.get(0)).unwrap();
    let holds = |word: &str| body.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(
        holds("scenarios") && !holds("measures") && !holds("series"),
        "the fixture is of the first version"
    );
    let gap: Vec<u8> =
        raw.query_row("SELECT body FROM events WHERE kind = 'gap'", [], |row| row.get(0)).unwrap();
    assert!(!gap.windows(9).any(|part| part == b"component"));

    let store = Store::open_read_only(&fixture).unwrap();
    let events: Vec<RunEvent> =
        store.events("20261121-041533-k3f9").unwrap().map(|event| event.unwrap()).collect();
    let RunEvent::Started(first) = &events[0] else { panic!("{:?}", events[0]) };
    assert!(first.measures.is_empty() && first.series.is_empty());
    assert!(first.steps.len() == 2 && first.steps.iter().all(|step| step.measures.is_empty()));
    for event in &events {
        match event {
            RunEvent::Window(window) => assert!(window.measures.is_empty()),
            RunEvent::Gap(gap) => assert!(gap.component.is_empty()),
            _ => {}
        }
    }
}
