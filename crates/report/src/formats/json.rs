//! JSON for machines: schema version 1, documented in `docs/reference/report-json.md`.
//!
//! Invariants: units stand in the names (`_ns`, `_bytes`, `_seconds`, `_per_second`, `_share`); what is not known is
//! `null`, never 0; fields are only added within a schema version.

use super::Format;
use crate::Report;
use crate::figures::{self, Health, Row};
use crate::swallowed::{Swallowed, swallowed};
use crate::text::is_unsafe;
use crucible_analysis::{Completeness, Judgement, Totals};
use crucible_core::{Histogram, Outcome, Phase};
use crucible_record::{ErrorNote, Model, NoteKind, StopReason};
use over_time::{GrowthFigures, WarmUpFigures, WithWarmUpFigures};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use values::{MeasureFigures, ReadingFigures};

mod over_time;
mod values;

/// The row.
pub(super) const FORMAT: Format =
    Format { name: "json", extension: "json", about: "everything, for machines; a stable schema", render };

/// Version of the schema.
const SCHEMA: u32 = 1;

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let text = serde_json::to_string_pretty(&document(report)).map_err(|_| fmt::Error)?;
    // what a terminal might obey (C1 controls, marks of direction) is written as an escape; line breaks are ours
    for c in text.chars() {
        match c {
            '\n' => out.write_char(c)?,
            c if is_unsafe(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            c => out.write_char(c)?,
        }
    }
    writeln!(out)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    verdict: &'static str,
    run: Run<'a>,
    tests: Vec<Test<'a>>,
    judgements: Vec<Judged<'a>>,
    errors: Vec<ErrorText<'a>>,
    notes: Vec<Note<'a>>,
    gaps: Vec<Gap<'a>>,
    timeline: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    id: &'a str,
    tool: &'a str,
    started_unix_ms: u64,
    plan: &'a str,
    plan_hash: &'a str,
    plan_text: &'a str,
    seed: u64,
    target: &'a str,
    complete: bool,
    ended: Option<&'static str>,
    ended_detail: Option<&'a str>,
    ended_at_ns: Option<u64>,
    conserved: bool,
    shards: u32,
    pacing: &'a str,
    lateness_floor_ns: u64,
    lateness_share: f64,
    environment: BTreeMap<&'a str, &'a str>,
    labels: BTreeMap<&'a str, &'a str>,
    remarks: &'a [String],
}

#[derive(Serialize)]
struct Test<'a> {
    name: &'a str,
    load: &'a str,
    verdict: Option<&'static str>,
    thresholds: &'a [String],
    totals: Figures<'a>,
    phases: Vec<PhaseFigures<'a>>,
    swallowed: SwallowedFigures,
    warm_up: Vec<WarmUpFigures<'a>>,
    growth: Vec<GrowthFigures>,
    judgements: Vec<Judged<'a>>,
}

#[derive(Serialize)]
struct PhaseFigures<'a> {
    name: &'a str,
    model: &'static str,
    planned_iterations: Option<u64>,
    #[serde(flatten)]
    figures: Figures<'a>,
}

#[derive(Serialize)]
struct Figures<'a> {
    from_ns: Option<u64>,
    to_ns: u64,
    covered_seconds: f64,
    due_iterations: u64,
    users_max: u64,
    all: Counts<'a>,
    steps: Vec<Counts<'a>>,
    spans: Vec<Counts<'a>>,
    polls: Vec<Counts<'a>>,
    measures: Vec<MeasureFigures<'a>>,
    readings: Vec<ReadingFigures<'a>>,
    scenarios: Vec<Iterations<'a>>,
    generator: Generator,
}

#[derive(Serialize)]
struct Counts<'a> {
    name: &'a str,
    scenario: Option<&'a str>,
    role: Option<&'a str>,
    planned: u64,
    ended: u64,
    outcomes: BTreeMap<&'static str, u64>,
    errors: u64,
    error_share: Option<f64>,
    error_classes: BTreeMap<&'static str, u64>,
    codes: BTreeMap<u16, u64>,
    other_codes: u64,
    requests_per_second: f64,
    ok_per_second: f64,
    response: Latency,
    service: Latency,
    failed: Latency,
    censored: Latency,
    phases: BTreeMap<&'static str, Latency>,
    hops: Latency,
    bytes_in: u64,
    bytes_out: u64,
    connections: u64,
    checks: Vec<Check<'a>>,
}

#[derive(Serialize)]
struct Latency {
    count: u64,
    min_ns: Option<u64>,
    mean_ns: Option<u64>,
    stddev_ns: Option<u64>,
    max_ns: Option<u64>,
    p50_ns: Option<u64>,
    p75_ns: Option<u64>,
    p90_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
    p99_9_ns: Option<u64>,
    p99_99_ns: Option<u64>,
    clipped: u64,
}

#[derive(Serialize)]
struct Check<'a> {
    name: &'a str,
    held: u64,
    failed: u64,
}

#[derive(Serialize)]
struct Iterations<'a> {
    scenario: &'a str,
    planned: u64,
    completed: u64,
    failed: u64,
    dropped: u64,
    aborted: u64,
    duration: Latency,
}

#[derive(Serialize)]
struct Generator {
    lag: Latency,
    pool_lag: Latency,
    heartbeat: Latency,
    cpu_share: f64,
    cpu_wait_share: f64,
    cpu_seconds_per_thousand_requests: Option<f64>,
    rss_max_bytes: u64,
}

#[derive(Serialize)]
struct SwallowedFigures {
    stalled_requests: u64,
    swallowed_requests: f64,
    swallowed_share: f64,
    longest_ns: u64,
    waited_requests: u64,
    wait_p99_ns: u64,
    wait_max_ns: u64,
    dropped_requests: u64,
}

#[derive(Serialize)]
struct Judged<'a> {
    criterion: &'a str,
    subject: &'a str,
    measure: &'a str,
    verdict: &'static str,
    unit: &'static str,
    value: Option<f64>,
    interval: Option<(f64, f64)>,
    limit: Option<f64>,
    band: Option<&'a str>,
    threshold: Option<&'a str>,
    implied: bool,
    evidence: u64,
    why: &'a str,
    remedy: &'a str,
    more_seconds: Option<f64>,
    with_warm_up: Option<WithWarmUpFigures>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    step: &'a str,
    class: &'a str,
    text: &'a str,
    times: u64,
}

#[derive(Serialize)]
struct Note<'a> {
    at_ns: u64,
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Gap<'a> {
    from_ns: u64,
    to_ns: u64,
    component: Option<&'a str>,
    text: &'a str,
}

#[derive(Serialize)]
struct Point<'a> {
    from_ns: u64,
    to_ns: u64,
    test: Option<&'a str>,
    phase: Option<&'a str>,
    due_per_second: f64,
    begun_per_second: f64,
    ok_per_second: f64,
    errors: u64,
    p50_ns: Option<u64>,
    p95_ns: Option<u64>,
    p99_ns: Option<u64>,
    users_active: u64,
    users_busy: u64,
    in_flight: u64,
    generator_cpu_share: f64,
    generator_rss_bytes: u64,
    generator_lag_p99_ns: Option<u64>,
}

fn document<'a>(report: &Report<'a>) -> Document<'a> {
    let (view, assessment) = (report.view, report.assessment);
    Document {
        schema: SCHEMA,
        verdict: assessment.verdict.name(),
        run: run(report),
        tests: (0..view.tests.len()).filter_map(|index| test(report, index)).collect(),
        judgements: assessment.run.iter().map(judged).collect(),
        errors: figures::errors_of(view).into_iter().map(|note| error_text(report, note)).collect(),
        notes: view
            .notes
            .iter()
            .map(|note| Note { at_ns: note.at.0, kind: note_kind(note.kind), text: &note.text })
            .collect(),
        gaps: view
            .gaps
            .iter()
            .map(|gap| Gap {
                from_ns: gap.from.0,
                to_ns: gap.to.0,
                component: Some(gap.component.as_str()).filter(|name| !name.is_empty()),
                text: &gap.text,
            })
            .collect(),
        timeline: timeline(report),
    }
}

fn run<'a>(report: &Report<'a>) -> Run<'a> {
    let view = report.view;
    let started = &view.started;
    let (ended, ended_detail) = match view.finished.as_ref().map(|end| &end.reason) {
        None => (None, None),
        Some(StopReason::Completed) => (Some("completed"), None),
        Some(StopReason::Interrupted) => (Some("interrupted"), None),
        Some(StopReason::Threshold(text)) => (Some("threshold"), Some(text.as_str())),
        Some(StopReason::Error(text)) => (Some("error"), Some(text.as_str())),
    };
    Run {
        id: &started.run,
        tool: &started.tool,
        started_unix_ms: started.started_unix_ms,
        plan: &started.plan,
        plan_hash: &started.plan_hash,
        plan_text: &started.plan_text,
        seed: started.seed,
        target: &started.target,
        complete: view.completeness() == Completeness::Complete,
        ended,
        ended_detail,
        ended_at_ns: view.finished.as_ref().map(|end| end.at.0),
        conserved: view.conservation.broken_step_windows == 0
            && view.conservation.broken_iteration_windows == 0,
        shards: started.shards,
        pacing: &started.pacing,
        lateness_floor_ns: started.lateness_floor.0,
        lateness_share: started.lateness_share,
        environment: started.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        labels: started.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
        remarks: &started.remarks,
    }
}

fn test<'a>(report: &Report<'a>, index: usize) -> Option<Test<'a>> {
    let view = report.view;
    let meta = view.started.tests.get(index)?;
    let assessment = report.assessment.tests.get(index);
    let phases = figures::phases_of(view, index)
        .map(|(at, totals)| {
            let phase = &view.started.phases[at];
            PhaseFigures {
                name: &phase.name,
                model: match phase.model {
                    Model::Open => "open",
                    Model::Closed => "closed",
                },
                planned_iterations: phase.planned,
                figures: figures_of(report, totals),
            }
        })
        .collect();
    Some(Test {
        name: &meta.name,
        load: &meta.load,
        verdict: assessment.map(|a| a.verdict.name()),
        thresholds: &meta.thresholds,
        totals: figures_of(report, view.tests.get(index)?),
        phases,
        swallowed: swallowed_figures(swallowed(view, index)),
        warm_up: over_time::warm_up(view, index),
        growth: over_time::growth(view, index),
        judgements: assessment.map_or_else(Vec::new, |a| a.judgements.iter().map(judged).collect()),
    })
}

fn swallowed_figures(found: Swallowed) -> SwallowedFigures {
    SwallowedFigures {
        stalled_requests: found.stalled,
        swallowed_requests: found.requests,
        swallowed_share: found.share,
        longest_ns: found.longest.0,
        waited_requests: found.waited,
        wait_p99_ns: found.wait_p99.0,
        wait_max_ns: found.wait_max.0,
        dropped_requests: found.dropped,
    }
}

fn figures_of<'a>(report: &Report<'a>, totals: &'a Totals) -> Figures<'a> {
    let started = &report.view.started;
    let mut steps: Vec<Counts<'a>> =
        figures::rows(report.view, totals).into_iter().map(|row| counts(report, &row)).collect();
    let health = Health::of(totals);
    let lag = &totals.lag;
    // the last row is the whole, which has a field of its own
    steps.pop();
    let all = counts(report, &figures::whole(totals));
    Figures {
        from_ns: totals.from.map(|from| from.0),
        to_ns: totals.to.0,
        covered_seconds: totals.covered.as_secs_f64(),
        due_iterations: totals.due,
        users_max: totals.users_max,
        all,
        steps,
        spans: figures::spans(report.view, totals).iter().map(|row| counts(report, row)).collect(),
        polls: figures::polls(report.view, totals).iter().map(|row| counts(report, row)).collect(),
        measures: values::measures(report.view, totals),
        readings: values::readings(report.view, totals),
        scenarios: started
            .scenarios
            .iter()
            .zip(&totals.iterations)
            .filter(|(_, frame)| frame.planned > 0 || frame.ended() > 0)
            .map(|(meta, frame)| Iterations {
                scenario: &meta.name,
                planned: frame.planned,
                completed: frame.completed,
                failed: frame.failed,
                dropped: frame.dropped,
                aborted: frame.aborted,
                duration: latency(&frame.duration),
            })
            .collect(),
        generator: Generator {
            lag: latency(&lag.generator),
            pool_lag: latency(&lag.pool),
            heartbeat: latency(&lag.heartbeat),
            cpu_share: health.cpu_share,
            cpu_wait_share: health.cpu_wait_share,
            cpu_seconds_per_thousand_requests: health.cpu_per_thousand,
            rss_max_bytes: health.rss_max,
        },
    }
}

fn counts<'a>(report: &Report<'a>, row: &Row<'a>) -> Counts<'a> {
    let (started, frame) = (&report.view.started, row.frame);
    let meta = row.step.and_then(|step| started.steps.get(step));
    let scenario = meta.and_then(|meta| started.scenarios.get(usize::from(meta.scenario)));
    Counts {
        name: row.name,
        scenario: scenario.map(|scenario| scenario.name.as_str()),
        role: meta.map(|meta| meta.role.as_str()),
        planned: frame.planned,
        ended: frame.ended(),
        outcomes: Outcome::ALL.into_iter().map(|outcome| (outcome.name(), frame.of(outcome))).collect(),
        errors: frame.errors(),
        error_share: frame.error_rate(),
        error_classes: row.classes().into_iter().map(|(class, count)| (class.name(), count)).collect(),
        codes: frame.codes.iter().copied().collect(),
        other_codes: frame.other_codes,
        requests_per_second: row.rate(),
        ok_per_second: row.ok_rate(),
        response: latency(&row.response),
        service: latency(&frame.service),
        failed: latency(&frame.failed),
        censored: latency(&frame.censored),
        phases: Phase::ALL
            .into_iter()
            .zip(&frame.phases)
            .filter(|(_, hist)| !hist.is_empty())
            .map(|(phase, hist)| (phase.name(), latency(hist)))
            .collect(),
        hops: latency(&frame.hops),
        bytes_in: frame.bytes_in,
        bytes_out: frame.bytes_out,
        connections: frame.connections,
        checks: meta.map_or_else(Vec::new, |meta| {
            let pairs = meta.checks.iter().zip(&frame.checks);
            pairs.map(|(name, (held, failed))| Check { name, held: *held, failed: *failed }).collect()
        }),
    }
}

fn latency(hist: &Histogram) -> Latency {
    let at = |share| hist.quantile(share).map(|ns| ns.0);
    Latency {
        count: hist.count(),
        min_ns: hist.min().map(|ns| ns.0),
        mean_ns: hist.mean().map(|ns| ns.0),
        stddev_ns: hist.stddev().map(|ns| ns.0),
        max_ns: hist.max().map(|ns| ns.0),
        p50_ns: at(0.5),
        p75_ns: at(0.75),
        p90_ns: at(0.9),
        p95_ns: at(0.95),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        p99_99_ns: at(0.9999),
        clipped: hist.clipped(),
    }
}

fn judged(judgement: &Judgement) -> Judged<'_> {
    // JSON knows no infinities: an open bound is told as no interval
    let finite = |(low, high): &(f64, f64)| low.is_finite() && high.is_finite();
    Judged {
        criterion: judgement.criterion,
        subject: &judgement.subject,
        measure: &judgement.measure,
        verdict: judgement.verdict.name(),
        unit: judgement.unit.name(),
        value: judgement.value,
        interval: judgement.interval.filter(finite),
        limit: judgement.limit,
        band: judgement.band.as_deref(),
        threshold: judgement.threshold.as_deref(),
        implied: judgement.implied,
        evidence: judgement.evidence,
        why: &judgement.why,
        remedy: &judgement.remedy,
        more_seconds: judgement.more_seconds,
        with_warm_up: judgement.with_warm_up.as_ref().map(over_time::with_warm_up),
    }
}

fn error_text<'a>(report: &Report<'a>, note: &'a ErrorNote) -> ErrorText<'a> {
    let step = figures::step_name(report.view, note.step);
    ErrorText { step, class: &note.class, text: &note.text, times: note.times }
}

fn note_kind(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::Info => "info",
        NoteKind::Warning => "warning",
        NoteKind::Invalid => "invalid",
    }
}

fn timeline<'a>(report: &Report<'a>) -> Vec<Point<'a>> {
    let started = &report.view.started;
    let points = report.view.timeline.points().iter();
    points
        .map(|point| {
            let phase = started.phases.get(usize::from(point.phase));
            let test = phase.and_then(|phase| started.tests.get(usize::from(phase.test)));
            Point {
                from_ns: point.from.0,
                to_ns: point.to.0,
                test: test.map(|test| test.name.as_str()),
                phase: phase.map(|phase| phase.name.as_str()),
                due_per_second: point.due_rate(),
                begun_per_second: point.planned_rate(),
                ok_per_second: point.ok_rate(),
                errors: point.errors,
                p50_ns: point.p50.map(|ns| ns.0),
                p95_ns: point.p95.map(|ns| ns.0),
                p99_ns: point.p99.map(|ns| ns.0),
                users_active: point.users_active,
                users_busy: point.users_busy,
                in_flight: point.in_flight,
                generator_cpu_share: point.cpu_share,
                generator_rss_bytes: point.rss,
                generator_lag_p99_ns: point.lag_p99.map(|ns| ns.0),
            }
        })
        .collect()
}
