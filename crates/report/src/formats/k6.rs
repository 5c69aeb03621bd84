//! The end-of-test text of k6, for scripts that parse it: one summary over the whole run.
//!
//! Metric names and layout are k6's. What differs, because it is measured otherwise: times come from histograms, so
//! percentiles are nearest-rank to 0.4 % and not interpolated; `http_req_duration` is service time (from the real
//! start), as k6 has it, although thresholds here judge response time.

use super::Format;
use crate::Report;
use crate::figures;
use crate::text::clean;
use crate::values::Measured;
use crucible_analysis::{Judgement, Verdict, judged_response};
use crucible_core::units::show_bytes;
use crucible_core::{Frame, Histogram, IterationFrame, MeasureFrame, MeasureKind, Ns, Outcome, Phase};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format = Format {
    name: "k6",
    extension: "txt",
    about: "the end-of-test text of k6, for scripts that parse it",
    render,
};

/// Everything that happened, over all tests.
struct Sums {
    frame: Frame,
    iterations: IterationFrame,
    seconds: f64,
    users_max: u64,
    users: Vec<u64>,
}

fn sums(report: &Report<'_>) -> Sums {
    let mut sums = Sums {
        frame: Frame::new(0),
        iterations: IterationFrame::default(),
        seconds: 0.0,
        users_max: 0,
        users: report.view.timeline.points().iter().map(|point| point.users_active).collect(),
    };
    for totals in &report.view.tests {
        sums.frame.merge(&totals.all);
        sums.iterations.merge(&totals.all_iterations());
        sums.seconds += totals.covered.as_secs_f64();
        sums.users_max = sums.users_max.max(totals.users_max);
    }
    sums
}

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let sums = sums(report);
    thresholds(report, out)?;
    writeln!(out, "\n  █ TOTAL RESULTS\n")?;
    checks(report, &sums, out)?;
    let mut groups =
        vec![("HTTP", http(&sums)), ("EXECUTION", execution(&sums)), ("NETWORK", network(&sums))];
    let custom = custom(report, &sums);
    if !custom.is_empty() {
        groups.insert(0, ("CUSTOM", custom));
    }
    let widest =
        groups.iter().flat_map(|(_, list)| list).map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, list) in groups {
        writeln!(out, "    {name}")?;
        for (metric, value) in list {
            let dots = ".".repeat(widest + 3 - metric.chars().count());
            writeln!(out, "    {metric}{dots}: {value}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn thresholds(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut metrics: BTreeMap<String, Vec<&Judgement>> = BTreeMap::new();
    // k6 knows one test a run; where there are several, their thresholds are told apart by a tag
    let several = report.assessment.tests.len() > 1;
    for (test, judgement) in report.assessment.all().filter(|(_, j)| j.threshold.is_some()) {
        let tag = test.filter(|_| several);
        metrics.entry(metric_of(judgement, tag)).or_default().push(judgement);
    }
    if metrics.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  █ THRESHOLDS")?;
    for (metric, list) in metrics {
        writeln!(out, "\n    {metric}")?;
        for judgement in list {
            // k6 knows two results; whatever is not a pass is a failure
            let mark = if judgement.verdict == Verdict::Pass { '✓' } else { '✗' };
            let text = clean(judgement.threshold.as_deref().unwrap_or(""));
            writeln!(out, "    {mark} '{text}' {}={}", aggregation(&judgement.measure), judgement.shown())?;
        }
    }
    Ok(())
}

fn metric_of(judgement: &Judgement, test: Option<&str>) -> String {
    let measure = judgement.measure.as_str();
    let text = judgement.threshold.as_deref().unwrap_or("");
    if text.starts_with("measure ") || text.starts_with("series ") {
        let tag = test.map_or(String::new(), |test| format!("{{test:{}}}", clean(test)));
        return format!("{}{tag}", clean(&judgement.subject));
    }
    let name = if measure.starts_with("errors") {
        "http_req_failed"
    } else if measure.starts_with("throughput") {
        "http_reqs"
    } else if measure.starts_with("checks") {
        "checks"
    } else if measure.starts_with("dropped") {
        "dropped_iterations"
    } else {
        "http_req_duration"
    };
    let step = (judgement.subject != "all steps").then_some(judgement.subject.as_str());
    let tags: Vec<String> = [("test", test), ("name", step)]
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}:{}", clean((*value)?))))
        .collect();
    if tags.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", tags.join(",")) }
}

fn aggregation(measure: &str) -> String {
    match measure.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        Some(percent) => format!("p({})", clean(percent)),
        None if measure.starts_with("errors") || measure.starts_with("checks") => "rate".to_owned(),
        None => clean(measure),
    }
}

fn checks(report: &Report<'_>, sums: &Sums, out: &mut dyn Write) -> fmt::Result {
    let mut named: Vec<(String, u64, u64)> = Vec::new();
    for (index, meta) in report.view.started.steps.iter().enumerate() {
        for (at, name) in meta.checks.iter().enumerate() {
            let (mut held, mut failed) = (0, 0);
            for frame in report.view.tests.iter().filter_map(|totals| totals.steps.get(index)) {
                let counts = frame.checks.get(at).copied().unwrap_or_default();
                held += counts.0;
                failed += counts.1;
            }
            if held + failed > 0 {
                named.push((format!("{}: {}", clean(&meta.name), clean(name)), held, failed));
            }
        }
    }
    let held: u64 = named.iter().map(|(_, held, _)| held).sum();
    let failed: u64 = named.iter().map(|(_, _, failed)| failed).sum();
    let all = held + failed;
    if all == 0 {
        return Ok(());
    }
    writeln!(out, "    checks_total.......: {all} {}/s", plain(figures::per_second(all, sums.seconds)))?;
    writeln!(out, "    checks_succeeded...: {} {held} out of {all}", percent(held, all))?;
    writeln!(out, "    checks_failed......: {} {failed} out of {all}\n", percent(failed, all))?;
    for (name, held, failed) in named {
        if failed == 0 {
            writeln!(out, "    ✓ {name}")?;
        } else {
            // whole percents, as k6 has them
            let share = held * 100 / (held + failed);
            writeln!(out, "    ✗ {name}\n      ↳  {share}% — ✓ {held} / ✗ {failed}")?;
        }
    }
    writeln!(out)
}

fn http(sums: &Sums) -> Vec<(String, String)> {
    let frame = &sums.frame;
    let mut all = frame.service.clone();
    all.merge(&frame.failed);
    all.merge(&frame.censored);
    let sent = frame.ended() - frame.of(Outcome::Dropped);
    let failed = frame.errors() - frame.of(Outcome::Dropped);
    let mut list = vec![
        ("http_req_duration".to_owned(), trend(&all)),
        ("  { expected_response:true }".to_owned(), trend(&frame.service)),
        ("http_req_failed".to_owned(), format!("{} {failed} out of {sent}", percent(failed, sent))),
    ];
    let parts = [
        ("http_req_connecting", Phase::Connect),
        ("http_req_receiving", Phase::Receive),
        ("http_req_sending", Phase::Send),
        ("http_req_tls_handshaking", Phase::Secure),
        ("http_req_waiting", Phase::Wait),
    ];
    for (name, phase) in parts {
        let hist = &frame.phases[phase as usize];
        if !hist.is_empty() {
            list.push((name.to_owned(), trend(hist)));
        }
    }
    list.push(("http_reqs".to_owned(), counter(sent, sums.seconds)));
    list
}

/// The plan's own measures, and groups and transactions, as k6 has custom metrics and `group_duration`.
fn custom(report: &Report<'_>, sums: &Sums) -> Vec<(String, String)> {
    let view = report.view;
    let mut list = Vec::new();
    for (index, spec) in view.started.measures.iter().enumerate() {
        let mut frame = MeasureFrame::new(&spec.kind);
        view.tests.iter().filter_map(|totals| totals.measures.get(index)).for_each(|more| frame.merge(more));
        if frame.count == 0 {
            continue;
        }
        let measured = Measured { spec, frame: &frame, seconds: sums.seconds };
        let name = clean(&spec.name);
        match &spec.kind {
            MeasureKind::Counter => {
                list.push((name, format!("{} {}/s", plain(frame.sum), plain(measured.rate()))));
            }
            MeasureKind::Gauge => {
                let (last, min, max) = (plain(frame.last), plain(frame.min), plain(frame.max));
                list.push((name, format!("{last} min={min} max={max}")));
            }
            MeasureKind::Rate => {
                list.push((
                    name,
                    format!("{} {} out of {}", percent(frame.held, frame.count), frame.held, frame.count),
                ));
            }
            MeasureKind::Trend => {
                let at = |share| plain(frame.quantile(share).unwrap_or(0.0));
                let (avg, min, max) = (plain(measured.mean()), plain(frame.min), plain(frame.max));
                let (med, p90, p95) = (at(0.5), at(0.9), at(0.95));
                list.push((name, format!("avg={avg} min={min} med={med} max={max} p(90)={p90} p(95)={p95}")));
            }
            MeasureKind::Tally(_) => {
                for (mark, _, count) in measured.marks() {
                    let share = percent(count, frame.count);
                    let name = format!("{name}{{mark:{}}}", clean(mark));
                    list.push((name, format!("{share} {count} out of {}", frame.count)));
                }
            }
        }
    }
    for (index, meta) in view.started.steps.iter().enumerate().filter(|(_, meta)| meta.role == "timed") {
        let mut hist = Histogram::default();
        view.tests.iter().for_each(|totals| hist.merge(&judged_response(&totals.steps[index])));
        if !hist.is_empty() {
            list.push((format!("group_duration{{group:::{}}}", clean(&meta.name)), trend(&hist)));
        }
    }
    list
}

fn execution(sums: &Sums) -> Vec<(String, String)> {
    let iterations = &sums.iterations;
    let mut list = Vec::new();
    if iterations.dropped > 0 {
        list.push(("dropped_iterations".to_owned(), counter(iterations.dropped, sums.seconds)));
    }
    list.push(("iteration_duration".to_owned(), trend(&iterations.duration)));
    list.push(("iterations".to_owned(), counter(iterations.completed + iterations.failed, sums.seconds)));
    let last = sums.users.last().copied().unwrap_or(0);
    let least = sums.users.iter().copied().min().unwrap_or(0);
    list.push(("vus".to_owned(), format!("{last} min={least} max={}", sums.users_max)));
    list.push(("vus_max".to_owned(), format!("{0} min={0} max={0}", sums.users_max)));
    list
}

fn network(sums: &Sums) -> Vec<(String, String)> {
    let row = |bytes: u64| {
        let rate = figures::per_second(bytes, sums.seconds);
        format!("{} {}/s", show_bytes(bytes as f64), show_bytes(rate))
    };
    vec![
        ("data_received".to_owned(), row(sums.frame.bytes_in)),
        ("data_sent".to_owned(), row(sums.frame.bytes_out)),
    ]
}

fn trend(hist: &Histogram) -> String {
    let at = |share| hist.quantile(share);
    let columns = [
        ("avg", hist.mean()),
        ("min", hist.min()),
        ("med", at(0.5)),
        ("max", hist.max()),
        ("p(90)", at(0.9)),
        ("p(95)", at(0.95)),
    ];
    let parts: Vec<String> =
        columns.iter().map(|(name, value)| format!("{name}={}", time(value.unwrap_or_default()))).collect();
    parts.join(" ")
}

fn counter(count: u64, seconds: f64) -> String {
    format!("{count} {}/s", plain(figures::per_second(count, seconds)))
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// A number with six places at most and no zeros at its end.
fn plain(value: f64) -> String {
    trim(&format!("{value:.6}"))
}

fn trim(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `148.21ms`, `1.2s`, `12.5µs`, `1m2s`, as k6 has it.
fn time(value: Ns) -> String {
    let ns = value.0 as f64;
    match value.0 {
        0 => "0s".into(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", trim(&format!("{:.2}", ns / 1e3))),
        1_000_000..1_000_000_000 => format!("{}ms", trim(&format!("{:.2}", ns / 1e6))),
        1_000_000_000..60_000_000_000 => format!("{}s", trim(&format!("{:.2}", ns / 1e9))),
        _ => {
            let secs = value.0 / 1_000_000_000;
            if secs < 3600 {
                format!("{}m{}s", secs / 60, secs % 60)
            } else {
                format!("{}h{}m{}s", secs / 3600, secs / 60 % 60, secs % 60)
            }
        }
    }
}
