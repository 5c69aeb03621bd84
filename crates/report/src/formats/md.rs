//! GitHub Markdown: for pull requests, job summaries and documents.
//!
//! Invariant: foreign text can neither leave its cell nor become markup, a link, an image or a mention.

use super::Format;
use crate::Report;
use crate::figures::{self, Health, Row};
use crate::searched;
use crate::swallowed::swallowed;
use crate::text::{clean, utc};
use crate::values;
use crucible_analysis::{Judgement, Totals, Verdict};
use crucible_core::Ns;
use crucible_core::units::{group, show_bytes, show_number, show_share};
use crucible_record::{NoteKind, StopReason};
use std::fmt::{self, Write};

mod over_time;

/// The row.
pub(super) const FORMAT: Format = Format {
    name: "md",
    extension: "md",
    about: "GitHub Markdown with tables, reasons and the plan",
    render,
};

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    heading(report, out)?;
    searched(report, out)?;
    for (index, totals) in report.view.tests.iter().enumerate() {
        test(report, index, totals, out)?;
    }
    if !report.assessment.run.is_empty() {
        writeln!(out, "## The run as a whole\n")?;
        judgements(&report.assessment.run, out)?;
    }
    errors(report, out)?;
    notes(report, out)?;
    environment(report, out)
}

/// Foreign text inside a line or a cell: every character of Markdown's own is taken literally.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            // "www." begins an automatic link
            '.' if out.ends_with(['w', 'W']) => out.push_str("&#46;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // an entity cannot start a mention or an automatic link
            '@' => out.push_str("&#64;"),
            ':' => out.push_str("&#58;"),
            '|' | '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '~'
            | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Inconclusive => "❔ inconclusive",
        Verdict::Fail => "❌ fail",
        Verdict::Invalid => "⛔ invalid",
    }
}

fn heading(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let (view, started) = (report.view, &report.view.started);
    writeln!(out, "# {}: {}\n", safe(&started.plan), sign(report.assessment.verdict))?;
    writeln!(out, "| | |\n|---|---|")?;
    let end = match view.finished.as_ref() {
        None => "the record has no end: killed, or still going on".to_owned(),
        Some(end) => match &end.reason {
            StopReason::Completed => format!("completed after {}", end.at),
            StopReason::Interrupted => format!("interrupted after {}", end.at),
            StopReason::Threshold(text) => format!("ended after {} by the threshold {}", end.at, safe(text)),
            StopReason::Error(text) => format!("broke off after {}: {}", end.at, safe(text)),
        },
    };
    for (name, value) in [
        ("Target", safe(&started.target)),
        ("Run", safe(&started.run)),
        ("Started", utc(started.started_unix_ms)),
        ("End", end),
        ("Plan", safe(&started.plan_hash)),
        ("Seed", started.seed.to_string()),
        ("Tool", safe(&started.tool)),
    ] {
        writeln!(out, "| {name} | {value} |")?;
    }
    for (name, value) in &started.labels {
        writeln!(out, "| {} | {} |", safe(name), safe(value))?;
    }
    writeln!(out)
}

/// What a search found: the tests below are its trials.
fn searched(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    for (title, lines) in searched::sections(report.view) {
        writeln!(out, "## {title}\n\n| | |\n|---|---|")?;
        for (label, text) in lines {
            writeln!(out, "| {} | {} |", safe(&label), safe(&text))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn test(report: &Report<'_>, index: usize, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let view = report.view;
    let Some(meta) = view.started.tests.get(index) else { return Ok(()) };
    let assessment = report.assessment.tests.get(index);
    let verdict = assessment.map_or(Verdict::Inconclusive, |a| a.verdict);
    writeln!(out, "## {}: {}\n\nLoad: {}\n", safe(&meta.name), sign(verdict), safe(&meta.load))?;
    if totals.from.is_none() {
        return writeln!(out, "This test never began.\n");
    }
    table("Step", &figures::rows(view, totals), out)?;
    let phases: Vec<_> = figures::phases_of(view, index).filter(|(_, t)| t.from.is_some()).collect();
    if phases.len() > 1 {
        let rows = phases
            .iter()
            .map(|(at, totals)| Row { name: &view.started.phases[*at].name, ..figures::whole(totals) })
            .collect::<Vec<_>>();
        table("Phase", &rows, out)?;
    }
    over_time::warm_up(report, index, out)?;
    let spans = figures::spans(view, totals);
    if !spans.is_empty() {
        table("Group, transaction", &spans, out)?;
    }
    let polls = figures::polls(view, totals);
    if !polls.is_empty() {
        table("Poll (in no figure above)", &polls, out)?;
    }
    values_of(report, totals, out)?;
    over_time::growth(report, index, out)?;
    over_time::slices(report, index, out)?;
    let lost = swallowed(view, index);
    if lost.notable(totals.all.ended()) {
        let mut parts = Vec::new();
        if lost.stalled > 0 {
            let (count, share) = (group(lost.requests.round() as i64), show_share(lost.share));
            parts.push(format!("slow answers swallowed about {count} arrivals ({share} of those sent)"));
        }
        if lost.waited > 0 {
            let count = group(lost.waited as i64);
            parts.push(format!("{count} arrivals waited for a free user (p99 {})", lost.wait_p99));
        }
        if lost.dropped > 0 {
            parts.push(format!("{} were due and never sent", group(lost.dropped as i64)));
        }
        writeln!(out, "Arrivals: {}.\n", parts.join("; "))?;
    }
    if let Some(assessment) = assessment {
        judgements(&assessment.judgements, out)?;
    }
    let health = Health::of(totals);
    let lag = health.lag.map_or_else(|| "-".to_owned(), |(_, p99, max)| format!("p99 {p99}, at most {max}"));
    writeln!(
        out,
        "Generator: late by {lag}; CPU {} of one core; memory {}.\n",
        show_share(health.cpu_share),
        show_bytes(health.rss_max as f64)
    )
}

/// The plan's own measures, and what monitors read.
fn values_of(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let measures = values::measures(report.view, totals);
    if !measures.is_empty() {
        writeln!(out, "| Measure | Kind | Values | Figures |\n|---|---|--:|---|")?;
        for measured in &measures {
            let (name, kind) = (safe(&measured.spec.name), measured.spec.kind.name());
            let count = group(measured.frame.count as i64);
            writeln!(out, "| {name} | {kind} | {count} | {} |", measured.words(&safe))?;
        }
        writeln!(out)?;
    }
    let readings = values::readings(report.view, totals);
    if !readings.is_empty() {
        writeln!(out, "<details><summary>What monitors read</summary>\n")?;
        writeln!(
            out,
            "| Component | Series | Readings | Min | Avg | Max | What it is |\n|---|---|--:|--:|--:|--:|---|"
        )?;
        for read in &readings {
            let (component, series) = (safe(&read.meta.component), safe(&read.meta.name));
            let (totals, count) = (read.totals, group(read.totals.count as i64));
            let figures = [totals.min, read.mean(), totals.max].map(|value| read.show(value));
            writeln!(
                out,
                "| {component} | {series} | {count} | {} | {} |",
                figures.join(" | "),
                safe(&read.meta.doc)
            )?;
        }
        writeln!(out, "\n</details>\n")?;
    }
    Ok(())
}

fn table(first: &str, rows: &[Row<'_>], out: &mut dyn Write) -> fmt::Result {
    writeln!(
        out,
        "| {first} | Requests | Rate/s | OK | Errors | p50 | p95 | p99 | p99.9 | Max | Service p95 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    let mut few = false;
    for row in rows {
        let samples = row.response.count();
        let ok = row.ok_share().map_or_else(|| "-".to_owned(), show_share);
        write!(
            out,
            "| {} | {} | {} ",
            safe(row.name),
            group(row.requests() as i64),
            show_number(row.rate())
        )?;
        write!(out, "| {ok} | {} ", group(row.frame.errors() as i64))?;
        for share in [0.5, 0.95, 0.99, 0.999] {
            let mark = samples > 0 && figures::is_maximum(samples, share);
            few |= mark;
            write!(out, "| {}{} ", shown(row.response.quantile(share)), if mark { "\\*" } else { "" })?;
        }
        let service = row.frame.service.quantile(0.95);
        writeln!(out, "| {} | {} |", shown(row.response.max()), shown(service))?;
    }
    if few {
        writeln!(out, "\n\\* too few requests for this percentile: it is the maximum.")?;
    }
    writeln!(out)
}

fn shown(value: Option<Ns>) -> String {
    value.map_or_else(|| "-".to_owned(), |ns| ns.to_string())
}

fn judgements(list: &[Judgement], out: &mut dyn Write) -> fmt::Result {
    if list.is_empty() {
        return writeln!(out, "Nothing was judged.\n");
    }
    writeln!(
        out,
        "| Verdict | Subject | Measure | Value | Limit | Band | Why |\n|---|---|---|--:|--:|---|---|"
    )?;
    for judgement in list {
        let value = match judgement.interval {
            Some((low, high)) if low != high => {
                format!(
                    "{} ({} to {})",
                    judgement.shown(),
                    judgement.unit.show(low),
                    judgement.unit.show(high)
                )
            }
            _ => judgement.shown(),
        };
        let mut why = safe(&judgement.why);
        if judgement.implied {
            why += " (demanded by default)";
        }
        let warm_up = judgement.warm_up_told();
        if !warm_up.is_empty() {
            why += &format!(" ({})", safe(&warm_up));
        }
        if !judgement.remedy.is_empty() {
            why += &format!(" → {}", safe(&judgement.remedy));
        }
        writeln!(
            out,
            "| {} | {} | {} | {value} | {} | {} | {why} |",
            sign(judgement.verdict),
            safe(&judgement.subject),
            safe(&judgement.measure),
            judgement.limit_shown(),
            judgement.band.as_deref().map_or_else(|| "-".to_owned(), safe),
        )?;
    }
    writeln!(out)
}

fn errors(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let list = figures::errors_of(report.view);
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Failures\n\n| Times | Step | Class | What was said |\n|--:|---|---|---|")?;
    for note in list {
        let step = safe(figures::step_name(report.view, note.step));
        writeln!(
            out,
            "| {} | {step} | {} | {} |",
            group(note.times as i64),
            safe(&note.class),
            safe(&note.text)
        )?;
    }
    writeln!(out)
}

fn notes(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let view = report.view;
    if view.started.remarks.is_empty() && view.notes.is_empty() && view.gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Remarks\n")?;
    for text in &view.started.remarks {
        writeln!(out, "- {}", safe(text))?;
    }
    for note in &view.notes {
        let word = match note.kind {
            NoteKind::Info => "note",
            NoteKind::Warning => "**warning**",
            NoteKind::Invalid => "**invalid**",
        };
        writeln!(out, "- {word} at {}: {}", note.at, safe(&note.text))?;
    }
    for gap in &view.gaps {
        writeln!(out, "- **gap** from {} to {}: {}", gap.from, gap.to, safe(&gap.text))?;
    }
    writeln!(out)
}

fn environment(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let started = &report.view.started;
    writeln!(out, "<details><summary>Environment</summary>\n\n| | |\n|---|---|")?;
    for (name, value) in &started.environment {
        writeln!(out, "| {} | {} |", safe(name), safe(value))?;
    }
    writeln!(out, "| pacing | {} |\n| shards | {} |", safe(&started.pacing), started.shards)?;
    writeln!(out, "\n</details>\n\n<details><summary>Plan</summary>\n")?;
    // a fence longer than any run of backticks in the text cannot be closed by it
    let longest = started.plan_text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "{fence}yaml")?;
    for line in started.plan_text.lines() {
        writeln!(out, "{}", clean(line))?;
    }
    writeln!(out, "{fence}\n\n</details>")
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn text_cannot_leave_its_cell(text in proptest::string::string_regex("[|\\\\`<>\\n\\r&@\\[\\]()!a:. w]{0,30}").unwrap()) {
            let safe = safe(&text);
            proptest::prop_assert!(!safe.contains(['<', '>', '\n', '\r', '@', ':']));
            // every mark of Markdown's own stands behind an odd number of backslashes
            let chars: Vec<char> = safe.chars().collect();
            for (at, c) in chars.iter().enumerate().filter(|(_, c)| "|`[]()!".contains(**c)) {
                let slashes = chars[..at].iter().rev().take_while(|c| **c == '\\').count();
                proptest::prop_assert!(slashes % 2 == 1, "{} at {} in {}", c, at, safe);
            }
        }
    }

    #[test]
    fn foreign_text_stays_text() {
        let check = |text: &str, expected: &str| assert_eq!(safe(text), expected, "{text:?}");
        check("a|b", "a\\|b");
        check("<script>", "&lt;script&gt;");
        check("![x](http://evil)", "\\!\\[x\\]\\(http&#58;//evil\\)");
        check("www.evil.example", "www&#46;evil.example");
        check("@everyone", "&#64;everyone");
        check("a\nb", "a\\\\nb");
        check("`code`", "\\`code\\`");
    }
}
