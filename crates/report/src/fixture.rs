//! A run made by hand for the tests of all formats: two tests, a stall, drops, hostile names and texts.

use crate::Report;
use crucible_analysis::{Assessment, Judgement, RunView, TestAssessment, Unit, Verdict};
use crucible_core::{
    ErrorClass, Frame, Histogram, IterationFrame, LagFrame, MeasureFrame, MeasureId, MeasureKind,
    MeasureSpec, Ns, Outcome, Phase, Rng, Sample, ScenarioId, StepId, WarmUp,
};
use crucible_record::{
    ErrorNote, Finished, Gap, Model, Note, NoteKind, PhaseMeta, PhaseStarted, Reading, RunEvent, RunStarted,
    ScenarioMeta, SeriesMeta, StepMeta, StopReason, TestMeta, Users, Window,
};

mod soak;

pub(crate) use soak::soak;

/// A name that tries a terminal, a spreadsheet, a page and a table at once.
pub(crate) const HOSTILE: &str = "=cmd|'/c calc'!A0 <img src=x onerror=alert(1)> \u{1b}[31m\u{202e}\"`";

pub(crate) struct Fixture {
    pub(crate) view: RunView,
    pub(crate) assessment: Assessment,
}

impl Fixture {
    pub(crate) fn report(&self) -> Report<'_> {
        Report::new(&self.view, &self.assessment)
    }
}

/// The whole run.
pub(crate) fn full() -> Fixture {
    let view = RunView::from_events(events().into_iter().map(Ok)).unwrap();
    Fixture { view, assessment: assessment() }
}

/// The whole run with the judgements that the criteria really make of it.
pub(crate) fn judged() -> Fixture {
    let view = full().view;
    let assessment = crucible_analysis::assess(&view);
    Fixture { view, assessment }
}

/// One window of a plan with this many steps, each of which is judged.
pub(crate) fn many(steps: usize) -> Fixture {
    let mut started = started();
    started.tests.truncate(1);
    started.phases.truncate(1);
    started.tests[0].thresholds = vec![text("each p50 target<=200ms")];
    let meta = started.steps[0].clone();
    started.steps = (0..steps).map(|k| StepMeta { name: format!("step {k}"), ..meta.clone() }).collect();
    let frames = (0..steps).map(|k| {
        let mut frame = Frame::new(2);
        for at in 0..20 {
            frame.planned += 1;
            let took = Ns::from_millis(5);
            let (outcome, class) =
                if at == 0 { (Outcome::Failed, ErrorClass::Check) } else { (Outcome::Ok, ErrorClass::None) };
            frame.count(&sample(Ns::from_millis(at), took, took, outcome, class, 200));
        }
        (StepId(k as u16), frame)
    });
    let window = window(0, 0, frames.collect(), 10, 0);
    let mut view = RunView::new(started);
    view.apply(&window);
    let assessment = crucible_analysis::assess(&view);
    Fixture { view, assessment }
}

/// A record that was cut off before anything happened.
pub(crate) fn bare() -> Fixture {
    let view = RunView::new(started());
    let tests = ["browse", "peak"].map(|name| TestAssessment {
        name: name.into(),
        verdict: Verdict::Inconclusive,
        judgements: Vec::new(),
    });
    Fixture {
        view,
        assessment: Assessment { verdict: Verdict::Inconclusive, tests: tests.into(), run: Vec::new() },
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn started() -> RunStarted {
    let step = |name: &str, scenario, checks: &[&str]| StepMeta {
        name: text(name),
        scenario,
        role: text("main"),
        protocol: text("http"),
        test: None,
        checks: checks.iter().map(|c| text(c)).collect(),
        measures: Vec::new(),
    };
    let test = |name: &str, load: &str, thresholds: &[&str]| TestMeta {
        name: text(name),
        scenarios: vec![0],
        thresholds: thresholds.iter().map(|t| text(t)).collect(),
        load: text(load),
        warm_up: WarmUp::Keep,
    };
    let phase = |name: &str, test, secs, model, planned, max_users| PhaseMeta {
        name: text(name),
        test,
        length: Ns::from_secs(secs),
        model,
        planned,
        max_users,
        constant: None,
    };
    RunStarted {
        measures: measures(),
        series: series(),
        run: text("20261121-044000-abcd"),
        tool: text("crucible 0.1.0"),
        started_unix_ms: 1_795_236_000_000,
        plan: text("stories"),
        plan_hash: text("3b2c6ad5e0f1a4978c6d5e4f3a2b1c0d"),
        plan_text: text("name: stories\n# ```\ntarget: http://127.0.0.1:8070\n"),
        seed: 7,
        target: text("http://127.0.0.1:8070"),
        scenarios: vec![ScenarioMeta { name: text("reader"), weight: 1.0 }],
        steps: vec![
            step("feed", 0, &["status 200", "json.count"]),
            step(HOSTILE, 0, &["status 200"]),
            step("never reached", 0, &["status 200"]),
            StepMeta { role: text("timed"), ..step("checkout", 0, &[]) },
            StepMeta { role: text("timed"), ..step("checkout: queue", 0, &[]) },
            StepMeta { role: text("follow"), ..step("is it done?", 0, &[]) },
        ],
        tests: vec![
            test(
                "browse",
                "10 users for 10s",
                &["* p95 target<=500ms acceptable<=1s", "* errors target<=0.6%", "each p50 target<=200ms"],
            ),
            test("peak", "200/s for 4s, then 400/s for 2s", &["* p99 target<=50ms"]),
        ],
        phases: vec![
            phase("10 users", 0, 10, Model::Closed, None, 10),
            phase("200/s", 1, 4, Model::Open, Some(800), 50),
            phase("400/s", 1, 2, Model::Open, Some(800), 50),
        ],
        lateness_floor: Ns::from_millis(1),
        lateness_share: 0.05,
        pacing: text("timerfd, wake-up p99 40us"),
        shards: 2,
        environment: vec![(text("kernel"), text("Linux 6.18")), (text("cores"), text("2"))],
        labels: Vec::new(),
        remarks: vec![text("certificates were not verified")],
        ..RunStarted::default()
    }
}

fn sample(intended: Ns, late: Ns, took: Ns, outcome: Outcome, class: ErrorClass, code: u16) -> Sample {
    let started = intended + late;
    Sample {
        intended,
        ready: started,
        started,
        first_byte: started + took,
        finished: started + took,
        bytes_in: 2_000,
        bytes_out: 150,
        step: StepId(0),
        code,
        outcome,
        class,
    }
}

fn window(phase: u16, second: u64, steps: Vec<(StepId, Frame)>, users: u64, due: u64) -> RunEvent {
    let ok = |f: &Frame| f.of(Outcome::Ok);
    let done: u64 = steps.iter().map(|(_, f)| ok(f)).sum();
    let broken: u64 = steps.iter().map(|(_, f)| f.ended() - ok(f) - f.of(Outcome::Dropped)).sum();
    let dropped: u64 = steps.iter().map(|(_, f)| f.of(Outcome::Dropped)).sum();
    let mut duration = Histogram::default();
    steps.iter().for_each(|(_, f)| duration.merge(&f.response));
    let mut lag = LagFrame { cpu: Ns::from_millis(150), wall: Ns::from_secs(2), ..LagFrame::default() };
    lag.generator.record_many(Ns::from_micros(20), done.max(1));
    lag.generator.record(Ns::from_micros(300));
    lag.heartbeat.record_many(Ns::from_micros(15), 100);
    if due > 200 {
        lag.pool.record_many(Ns::from_millis(40), due / 2);
        lag.pool.record_many(Ns::ZERO, due / 2);
    }
    let iterations = IterationFrame {
        planned: done + broken + dropped,
        completed: done,
        failed: broken,
        dropped,
        aborted: 0,
        duration,
    };
    RunEvent::Window(Box::new(Window {
        measures: Vec::new(),
        phase,
        from: Ns::from_secs(second),
        to: Ns::from_secs(second + 1),
        steps,
        iterations: vec![(ScenarioId(0), iterations)],
        lag,
        users: Users { active: users, busy: users / 2 },
        in_flight: 0,
        iterations_in_flight: 0,
        due,
        process_cpu: Ns::from_millis(180),
        process_rss: 24_000_000 + second * 1_000,
    }))
}

/// A window of the closed test: 10 users that need 10 ms a cycle, and a stall of 900 ms in second 5.
fn browse(second: u64, rng: &mut Rng) -> RunEvent {
    let (mut feed, mut other) = (Frame::new(2), Frame::new(1));
    let stalled = second == 5;
    for k in 0..if stalled { 100 } else { 1_000 } {
        let at = Ns::from_secs(second) + Ns::from_millis(k);
        let took = if stalled && k < 10 {
            Ns::from_millis(900)
        } else {
            Ns::from_millis(5) + Ns::from_micros(rng.between(0, 5_000))
        };
        let (frame, outcome, class, code) = match k {
            k if k % 250 == 7 => (&mut other, Outcome::Failed, ErrorClass::ServerError, 500),
            k if k % 500 == 8 => (&mut other, Outcome::TimedOut, ErrorClass::Timeout, 0),
            k if k % 5 == 0 => (&mut other, Outcome::Ok, ErrorClass::None, 200),
            _ => (&mut feed, Outcome::Ok, ErrorClass::None, 200),
        };
        frame.planned += 1;
        frame.count(&sample(at, Ns::ZERO, took, outcome, class, code));
        frame.phases[Phase::Wait as usize].record(took);
        let held = outcome == Outcome::Ok;
        frame.checks[0].0 += u64::from(held);
        frame.checks[0].1 += u64::from(!held && code != 0);
    }
    let mut event = window(0, second, vec![(StepId(0), feed), (StepId(1), other)], 10, 0);
    if let RunEvent::Window(window) = &mut event {
        beside(window, second);
    }
    event
}

/// Transactions, polls and values of one second of the closed test.
fn beside(window: &mut Window, second: u64) {
    let (mut whole, mut queue, mut poll) = (Frame::new(0), Frame::new(0), Frame::new(0));
    for k in 0..20u64 {
        let at = Ns::from_secs(second) + Ns::from_millis(50 * k);
        let (outcome, class) = match k {
            3 => (Outcome::Failed, ErrorClass::JobFailed),
            7 if second == 4 => (Outcome::Failed, ErrorClass::Lost),
            8 if second == 4 => (Outcome::TimedOut, ErrorClass::Stuck),
            9 if second == 4 => (Outcome::Failed, ErrorClass::Changed),
            _ => (Outcome::Ok, ErrorClass::None),
        };
        for (frame, millis, outcome, class) in [
            (&mut whole, 400 + 10 * k, outcome, class),
            (&mut queue, 100 + k, Outcome::Ok, ErrorClass::None),
            (&mut poll, 2, Outcome::Ok, ErrorClass::None),
        ] {
            frame.planned += 1;
            frame.count(&sample(at, Ns::ZERO, Ns::from_millis(millis), outcome, class, 0));
        }
    }
    window.steps.extend([(StepId(3), whole), (StepId(4), queue), (StepId(5), poll)]);
    for (index, spec) in measures().iter().enumerate() {
        let mut frame = MeasureFrame::new(&spec.kind);
        (0..20).for_each(|k| frame.record(&spec.kind, f64::from(k % 3)));
        window.measures.push((MeasureId(index as u16), frame));
    }
}

fn measures() -> Vec<MeasureSpec> {
    let marks = vec![(text("rq"), Some(0.5)), (text("celery"), Some(0.5))];
    let spec = |name: &str, kind, unit: &str| MeasureSpec { name: text(name), kind, unit: text(unit) };
    vec![
        spec("orders", MeasureKind::Counter, ""),
        spec("depth", MeasureKind::Gauge, ""),
        spec("cached", MeasureKind::Rate, ""),
        spec("render", MeasureKind::Trend, "ms"),
        spec("worker", MeasureKind::Tally(marks), ""),
        spec(HOSTILE, MeasureKind::Trend, HOSTILE),
    ]
}

fn series() -> Vec<SeriesMeta> {
    let one = |component: &str, name: &str, unit: &str| SeriesMeta {
        limit: None,
        component: text(component),
        name: text(name),
        unit: text(unit),
        doc: text("what it is"),
    };
    vec![
        one("host", "cpu", "share"),
        one("host", "memory_available", "bytes"),
        one("api", "cpu", "cores"),
        one("api", "memory", "bytes"),
        one("api", "read", "bytes/s"),
        one(HOSTILE, HOSTILE, HOSTILE),
    ]
}

fn reading(second: u64) -> RunEvent {
    let values = [0.4, 3e9, 0.5 + 0.1 * (second % 5) as f64, 2e8 + 1e6 * second as f64, 0.0, -1.5];
    let values = values.iter().enumerate().map(|(index, value)| (index as u16, *value)).collect();
    RunEvent::Reading(Box::new(Reading { at: Ns::from_secs(second + 1), values }))
}

/// A window of the open test: at 400/s half of the arrivals wait 40 ms for a user, and five are dropped.
fn peak(second: u64, rng: &mut Rng) -> RunEvent {
    let (phase, rate) = if second < 14 { (1, 200) } else { (2, 400) };
    let mut feed = Frame::new(2);
    for k in 0..rate {
        let at = Ns::from_secs(second) + Ns(k * 1_000_000_000 / rate);
        let late = if rate == 400 && k % 2 == 0 { Ns::from_millis(40) } else { Ns::ZERO };
        let took = Ns::from_millis(20) + Ns::from_micros(rng.between(0, 10_000));
        let (outcome, code) =
            if rate == 400 && k % 80 == 3 { (Outcome::Dropped, 0) } else { (Outcome::Ok, 200) };
        feed.planned += 1;
        feed.count(&sample(at, late, took, outcome, ErrorClass::None, code));
        feed.checks[0].0 += u64::from(code == 200);
    }
    window(phase, second, vec![(StepId(0), feed)], rate / 10, rate)
}

fn events() -> Vec<RunEvent> {
    let mut rng = Rng::new(1, "fixture", 0);
    let begin = |phase, secs| RunEvent::Phase(PhaseStarted { phase, at: Ns::from_secs(secs) });
    let mut events = vec![RunEvent::Started(Box::new(started())), begin(0, 0)];
    events.extend((0..10).flat_map(|second| [browse(second, &mut rng), reading(second)]));
    events.push(RunEvent::Note(Note {
        at: Ns::from_secs(10),
        kind: NoteKind::Warning,
        text: text("the target closed 3 connections\u{1b}[2J"),
    }));
    events.push(begin(1, 10));
    events.extend((10..14).map(|second| peak(second, &mut rng)));
    events.push(begin(2, 14));
    events.extend((14..16).map(|second| peak(second, &mut rng)));
    events.push(RunEvent::Gap(Gap {
        from: Ns::from_secs(12),
        to: Ns::from_secs(13),
        text: text("container api was not read: permission denied"),
        ..Gap::default()
    }));
    events.push(RunEvent::Finished(finished()));
    events
}

fn finished() -> Finished {
    let error = |class: ErrorClass, words: &str, times| ErrorNote {
        step: StepId(1),
        class: text(class.name()),
        text: text(words),
        times,
    };
    let nasty =
        format!("500 with {HOSTILE} and a lot more that nobody would read to its end {}", "x".repeat(300));
    Finished {
        at: Ns::from_secs(16),
        reason: StopReason::Completed,
        errors: vec![
            error(ErrorClass::Timeout, "no answer within 10s", 19),
            error(ErrorClass::ServerError, &nasty, 37),
        ],
    }
}

fn assessment() -> Assessment {
    let p95 = Judgement {
        interval: Some((9.6e6, 9.8e6)),
        band: Some(text("target")),
        threshold: Some(text("* p95 target<=500ms acceptable<=1s")),
        ..Judgement::new("thresholds", "all steps", "p95", Verdict::Pass, "9.70ms is at most 500ms")
            .figure(Unit::Duration, 9.7e6, Some(1e9))
            .evidence(9_100)
    };
    let errors = Judgement {
        threshold: Some(text("* errors target<=0.6%")),
        interval: Some((0.0048, 0.0078)),
        ..Judgement::new(
            "thresholds",
            "all steps",
            "errors",
            Verdict::Inconclusive,
            "the limit lies in the interval",
        )
        .figure(Unit::Share, 0.0062, Some(0.006))
        .evidence(9_100)
        .remedy("about 90 more seconds would settle it")
    };
    let p99 = Judgement {
        threshold: Some(text("* p99 target<=50ms")),
        ..Judgement::new("thresholds", "all steps", "p99", Verdict::Fail, "69.8ms is more than 50ms")
            .figure(Unit::Duration, 69.8e6, Some(50e6))
            .evidence(1_590)
            .remedy("look at the pool: half of the arrivals waited for a user")
    };
    let evidence = Judgement::new(
        "evidence",
        HOSTILE,
        "samples",
        Verdict::Inconclusive,
        "nothing is known about it: it never succeeded",
    );
    let kept = Judgement::new("record", "record", "completeness", Verdict::Pass, "the record is complete");
    let test = |name: &str, verdict, judgements| TestAssessment { name: text(name), verdict, judgements };
    Assessment {
        verdict: Verdict::Fail,
        tests: vec![
            test("browse", Verdict::Inconclusive, vec![p95, errors, evidence]),
            test("peak", Verdict::Fail, vec![p99]),
        ],
        run: vec![kept],
    }
}
