//! The text that a terminal shows at the end: at most 80 columns, the verdict first.

use super::Format;
use crate::figures::{self, Health, Row};
use crate::report::{Options, Report};
use crate::swallowed::swallowed;
use crate::text::{bar, clean, cut, labels, utc, wrap};
use crucible_analysis::{Assessment, Judgement, Totals, Verdict};
use crucible_core::units::{group, show_bytes, show_duration, show_number, show_share};
use crucible_core::{ErrorClass, Histogram, Ns, Outcome};
use crucible_record::StopReason;
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format = Format {
    name: "summary",
    extension: "txt",
    about: "what a terminal shows: verdict, tables, reasons",
    render,
};

/// Widest line.
const WIDTH: usize = 80;
/// Rows of the latency histogram.
const BINS: usize = 8;
/// Steps in a table, and entries in a list of steps.
const STEPS: usize = 40;
const LISTED: usize = 6;

mod over_time;
mod said;
mod spans;

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    headline(report, out)?;
    said::searched(report, out)?;
    for (index, totals) in report.view.tests.iter().enumerate() {
        writeln!(out)?;
        test(report, index, totals, out)?;
    }
    said::errors(report, out)?;
    said::notes(report, out)
}

/// Paints a verdict's text in its colour, if colours are wanted.
fn paint(options: Options, verdict: Verdict, text: &str) -> String {
    let code = match verdict {
        Verdict::Pass => 32,
        Verdict::Inconclusive => 33,
        Verdict::Fail => 31,
        Verdict::Invalid => 35,
    };
    if options.colour { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The judgements that made the verdict what it is, the most telling first: explicit demands before implied ones.
fn decisive(assessment: &Assessment) -> Vec<(Option<&str>, &Judgement)> {
    let mut list: Vec<_> = assessment.all().filter(|(_, j)| j.verdict == assessment.verdict).collect();
    list.sort_by_key(|(_, j)| j.implied);
    list
}

fn headline(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let (view, assessment) = (report.view, report.assessment);
    let word = assessment.verdict.name().to_uppercase();
    let plan = cut(&view.started.plan, 40, report.options.ascii);
    let room = WIDTH.saturating_sub(word.chars().count() + plan.chars().count() + 11);
    let target = cut(&view.started.target, room, report.options.ascii);
    write!(out, "{}  {plan}", paint(report.options, assessment.verdict, &word))?;
    if target.is_empty() {
        writeln!(out)?
    } else {
        writeln!(out, " against {target}")?
    }
    wrap(out, "", 2, WIDTH, &reason(assessment, report.options))?;
    let started = &view.started;
    let hash: String = started.plan_hash.chars().take(12).collect();
    let mut facts = format!("run {}, {}", clean(&started.run), utc(started.started_unix_ms));
    let _ = write!(facts, ", plan {}, seed {}", clean(&hash), started.seed);
    wrap(out, "", 2, WIDTH, &facts)?;
    if !started.labels.is_empty() {
        wrap(out, "", 2, WIDTH, &labels(&started.labels))?;
    }
    match &view.finished {
        None => wrap(out, "", 2, WIDTH, "the record has no end: the run was killed, or still goes on"),
        Some(end) => match &end.reason {
            StopReason::Completed => Ok(()),
            StopReason::Interrupted => wrap(out, "", 2, WIDTH, &format!("interrupted after {}", end.at)),
            StopReason::Threshold(text) => {
                wrap(out, "", 2, WIDTH, &format!("ended after {} by the threshold {}", end.at, clean(text)))
            }
            StopReason::Error(text) => {
                wrap(out, "", 2, WIDTH, &format!("broke off after {}: {}", end.at, clean(text)))
            }
        },
    }
}

fn reason(assessment: &Assessment, options: Options) -> String {
    let list = decisive(assessment);
    if assessment.verdict == Verdict::Pass {
        let count = assessment.all().count();
        let bands =
            assessment.all().filter(|(_, j)| j.band.as_deref().is_some_and(|b| b != "target")).count();
        return match bands {
            0 => format!("all {count} judgements hold"),
            _ => format!("all {count} judgements hold, {bands} of them not at their target"),
        };
    }
    let Some((test, first)) = list.first() else {
        return "nothing was judged, so nothing was shown".into();
    };
    let place = test.map(|name| format!("{}: ", named(name, options))).unwrap_or_default();
    let more = if list.len() > 1 { format!(" (and {} more, below)", list.len() - 1) } else { String::new() };
    format!(
        "{place}{} of {}: {}{more}",
        clean(&first.measure),
        named(&first.subject, options),
        clean(&first.why)
    )
}

fn test(report: &Report<'_>, index: usize, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let (view, ascii) = (report.view, report.options.ascii);
    let Some(meta) = view.started.tests.get(index) else { return Ok(()) };
    let assessment = report.assessment.tests.get(index);
    let verdict = assessment.map_or(Verdict::Inconclusive, |t| t.verdict);
    let word = verdict.name().to_uppercase();
    let title = cut(&format!("{}: {}", meta.name, meta.load), WIDTH - word.len() - 2, ascii);
    let room = WIDTH - word.len();
    writeln!(out, "{title:<room$}{}", paint(report.options, verdict, &word))?;
    if totals.from.is_none() {
        return writeln!(out, "  never began");
    }
    table(&figures::rows(view, totals), ascii, out)?;
    phases(report, index, out)?;
    over_time::warm_up(report, index, out)?;
    spans::spans(report, totals, out)?;
    apart(&figures::rows(view, totals), report.options, out)?;
    let mut rows = figures::rows(view, totals);
    rows.extend(figures::spans(view, totals));
    rows.extend(figures::polls(view, totals));
    failures(&rows, report.options, out)?;
    iterations(report, totals, out)?;
    spans::values(report, totals, out)?;
    lost(report, index, totals, out)?;
    histogram(&crucible_analysis::judged_response(&totals.all), ascii, out)?;
    if let Some(assessment) = assessment {
        said::judgements(report.options, assessment, out)?;
    }
    generator(report, totals, out)?;
    spans::readings(report, totals, out)?;
    over_time::growth(report, index, out)
}

/// Width of the column of names.
const NAME: usize = 20;
/// Most characters of a name inside a sentence.
const SPOKEN: usize = 40;

/// A foreign name inside a sentence.
fn named(name: &str, options: Options) -> String {
    cut(name, SPOKEN, options.ascii)
}

fn table(rows: &[Row<'_>], ascii: bool, out: &mut dyn Write) -> fmt::Result {
    writeln!(
        out,
        "  {:<NAME$}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}",
        "step", "requests", "rate/s", "ok", "p50", "p95", "p99", "max"
    )?;
    let mut few = false;
    // one step and the whole of one step are the same line
    let shown = if rows.len() == 2 { &rows[..1] } else { rows };
    let (head, tail) = shown.split_at(shown.len().min(STEPS));
    // the whole stands last and is never left out
    for row in head.iter().chain(tail.last()) {
        let ok = row.ok_share().map_or_else(|| "-".to_owned(), show_share);
        write!(out, "  {:<NAME$}", cut(row.name, NAME - 1, ascii))?;
        write!(out, "{:>9}{:>9}{ok:>8}", group(row.requests() as i64), show_number(row.rate()))?;
        for share in [0.5, 0.95, 0.99] {
            let mark = row.response.count() > 0 && figures::is_maximum(row.response.count(), share);
            few |= mark;
            write!(out, "{:>8}", marked(row.response.quantile(share), mark))?;
        }
        writeln!(out, "{:>8}", marked(row.response.max(), false))?;
    }
    if tail.len() > 1 {
        writeln!(out, "  ... without {} further steps; `--format md` tells all", tail.len() - 1)?;
    }
    if few {
        writeln!(out, "  * too few requests for this percentile: it is the maximum")?;
    }
    Ok(())
}

fn marked(value: Option<Ns>, mark: bool) -> String {
    match value {
        Some(value) => format!("{}{}", show_duration(value), if mark { "*" } else { "" }),
        None => "-".into(),
    }
}

fn phases(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let view = report.view;
    let list: Vec<_> = figures::phases_of(view, test).filter(|(_, t)| t.from.is_some()).collect();
    if list.len() < 2 {
        return Ok(());
    }
    writeln!(
        out,
        "  {:<NAME$}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}",
        "phase", "requests", "rate/s", "ok", "p50", "p95", "p99", "users"
    )?;
    for (index, totals) in list {
        let rows = figures::rows(view, totals);
        let Some(all) = rows.last() else { continue };
        let ok = all.ok_share().map_or_else(|| "-".to_owned(), show_share);
        write!(out, "  {:<NAME$}", cut(&view.started.phases[index].name, NAME - 1, report.options.ascii))?;
        write!(out, "{:>9}{:>9}{ok:>8}", group(all.requests() as i64), show_number(all.rate()))?;
        for share in [0.5, 0.95, 0.99] {
            let mark = all.response.count() > 0 && figures::is_maximum(all.response.count(), share);
            write!(out, "{:>8}", marked(all.response.quantile(share), mark))?;
        }
        writeln!(out, "{:>8}", group(totals.users_max as i64))?;
    }
    Ok(())
}

/// Service time where it tells another story than response time: the difference is time in which the request was
/// due and not yet sent.
fn apart(rows: &[Row<'_>], options: Options, out: &mut dyn Write) -> fmt::Result {
    let mut list: Vec<String> = rows
        .iter()
        .filter(|row| row.step.is_some())
        .filter_map(|row| {
            let (service, response) = row.service_apart()?;
            Some(format!("{} {service} of {response}", named(row.name, options)))
        })
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    if list.len() > LISTED {
        let more = list.len() - LISTED;
        list.truncate(LISTED);
        list.push(format!("and {more} more"));
    }
    let text = format!("of the response p95, this much was service, once sent: {}", list.join(", "));
    wrap(out, "  service", 11, WIDTH, &text)
}

fn failures(rows: &[Row<'_>], options: Options, out: &mut dyn Write) -> fmt::Result {
    let hit = |row: &&Row<'_>| row.frame.errors() + row.frame.of(Outcome::Aborted) > 0;
    let mut broken: Vec<&Row<'_>> = rows.iter().filter(|row| row.step.is_some()).filter(hit).collect();
    broken.sort_by_key(|row| (std::cmp::Reverse(row.frame.errors()), row.step));
    let more = broken.len().saturating_sub(2 * LISTED);
    for row in broken.into_iter().take(2 * LISTED) {
        let classes = row.classes();
        let aborted = row.frame.of(Outcome::Aborted);
        let dropped = row.frame.of(Outcome::Dropped);
        let mut parts: Vec<String> = classes
            .iter()
            .map(|(class, count)| format!("{} {}", group(*count as i64), words(*class)))
            .collect();
        if dropped > 0 {
            parts.push(format!("{} dropped (never sent)", group(dropped as i64)));
        }
        if aborted > 0 {
            parts.push(format!("{} cut off at the end", group(aborted as i64)));
        }
        let codes: Vec<String> = row
            .codes()
            .into_iter()
            .filter(|(code, _)| !(200..300).contains(code))
            .map(|(code, count)| format!("{code} x{}", group(count as i64)))
            .collect();
        if !codes.is_empty() {
            parts.push(format!("codes {}", codes.join(" ")));
        }
        wrap(out, "  errors", 10, WIDTH, &format!("{}: {}", named(row.name, options), parts.join(", ")))?;
    }
    if more > 0 {
        writeln!(out, "  errors  in {more} further steps")?;
    }
    Ok(())
}

/// An error class as people say it.
fn words(class: ErrorClass) -> String {
    class.name().replace('_', " ")
}

fn iterations(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    for (meta, frame) in report.view.started.scenarios.iter().zip(&totals.iterations) {
        if frame.planned == 0 && frame.ended() == 0 {
            continue;
        }
        let mut text =
            format!("{}: {} done", named(&meta.name, report.options), group(frame.completed as i64));
        for (count, what) in [
            (frame.failed, "with an error"),
            (frame.dropped, "never begun"),
            (frame.aborted, "cut off at the end"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {} {what}", group(count as i64));
            }
        }
        if let (Some(p50), Some(p95)) = (frame.duration.quantile(0.5), frame.duration.quantile(0.95)) {
            let _ = write!(text, "; took p50 {p50}, p95 {p95}");
        }
        wrap(out, "  iterations", 14, WIDTH, &text)?;
    }
    let checks = checks(report, totals);
    if !checks.is_empty() {
        wrap(out, "  checks", 10, WIDTH, &checks.join("; "))?;
    }
    Ok(())
}

/// The checks that failed at least once. (One that was never made is judged.)
fn checks(report: &Report<'_>, totals: &Totals) -> Vec<String> {
    let mut list = Vec::new();
    for (meta, frame) in report.view.started.steps.iter().zip(&totals.steps) {
        for (name, (held, failed)) in meta.checks.iter().zip(&frame.checks) {
            if *failed > 0 {
                let (check, step) = (named(name, report.options), named(&meta.name, report.options));
                let (failed, all) = (group(*failed as i64), group((held + failed) as i64));
                list.push(format!("{check} of {step} did not hold {failed} times of {all}"));
            }
        }
    }
    list
}

fn lost(report: &Report<'_>, index: usize, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let lost = swallowed(report.view, index);
    let sent = totals.all.ended();
    if !lost.notable(sent) {
        return Ok(());
    }
    if lost.share >= 0.01 {
        let text = format!(
            "{} slow answers (up to {}) swallowed about {} arrivals, {} of those sent: users that wait send nothing, \
             so the percentiles above flatter; an arrival rate would show it",
            group(lost.stalled as i64),
            lost.longest,
            group(lost.requests.round() as i64),
            show_share(lost.share),
        );
        wrap(out, "  stall", 9, WIDTH, &text)?;
    }
    if lost.waited as f64 >= 0.01 * sent.max(1) as f64 {
        let text = format!(
            "{} arrivals waited for a free user (p99 {}, at most {}); the wait is part of their response time",
            group(lost.waited as i64),
            lost.wait_p99,
            lost.wait_max,
        );
        wrap(out, "  wait", 8, WIDTH, &text)?;
    }
    Ok(())
}

fn histogram(hist: &Histogram, ascii: bool, out: &mut dyn Write) -> fmt::Result {
    let bins = figures::bins(hist, BINS);
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    writeln!(out, "  response time of all steps, up to")?;
    for (edge, count) in bins {
        let share = count as f64 / hist.count() as f64;
        let bar = bar(count as f64 / most as f64, 50, ascii);
        let text = format!("  {:>9}  {bar:<50} {:>8}", edge.to_string(), show_share(share));
        writeln!(out, "{text}")?;
    }
    Ok(())
}

fn generator(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let health = Health::of(totals);
    let mut text = String::new();
    if let Some((_, p99, max)) = health.lag {
        text += &format!("late p99 {p99}, max {max}; ");
    }
    if let Some((p99, _)) = health.heartbeat {
        text += &format!("heartbeat p99 {p99}; ");
    }
    text += &format!("CPU {} of a core", show_share(health.cpu_share));
    if let Some(cpu) = health.cpu_per_thousand {
        text += &format!(", {cpu:.4} s per 1,000 requests");
    }
    let shards = report.view.started.shards;
    let plural = if shards == 1 { "" } else { "s" };
    text += &format!("; memory {}; {shards} shard{plural}", show_bytes(health.rss_max as f64));
    wrap(out, "  generator", 13, WIDTH, &text)
}
