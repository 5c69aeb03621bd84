//! What stands beside the operations: groups and transactions, polls, the plan's own measures, what monitors read.

use super::{NAME, STEPS, WIDTH, marked, named};
use crate::figures::{self, Row};
use crate::report::Report;
use crate::text::{cut, wrap};
use crate::values;
use crucible_analysis::Totals;
use crucible_core::Outcome;
use crucible_core::units::{group, show_share};
use std::fmt::{self, Write};

/// Spans over several operations in a table, polls in a line.
pub(super) fn spans(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let spans = figures::spans(report.view, totals);
    if !spans.is_empty() {
        let head = ["done", "not ok", "ok", "p50", "p95", "p99", "max"];
        write!(out, "  {:<NAME$}{:>9}{:>9}", "group, transaction", head[0], head[1])?;
        writeln!(out, "{}", head[2..].iter().map(|word| format!("{word:>8}")).collect::<String>())?;
    }
    for row in spans.iter().take(STEPS) {
        let ok = row.frame.of(Outcome::Ok);
        let share = row.ok_share().map_or_else(|| "-".to_owned(), show_share);
        write!(out, "  {:<NAME$}", cut(row.name, NAME - 1, report.options.ascii))?;
        write!(out, "{:>9}{:>9}{share:>8}", group(ok as i64), group(row.frame.errors() as i64))?;
        for share in [0.5, 0.95, 0.99] {
            let mark = row.response.count() > 0 && figures::is_maximum(row.response.count(), share);
            write!(out, "{:>8}", marked(row.response.quantile(share), mark))?;
        }
        writeln!(out, "{:>8}", marked(row.response.max(), false))?;
    }
    if spans.len() > STEPS {
        writeln!(out, "  ... without {} further ones; `--format md` tells all", spans.len() - STEPS)?;
    }
    let polls = figures::polls(report.view, totals);
    if polls.is_empty() {
        return Ok(());
    }
    let one = |row: &Row<'_>| {
        let p95 = row.response.quantile(0.95).map_or_else(|| "-".to_owned(), |ns| ns.to_string());
        let (count, name) = (group(row.requests() as i64), named(row.name, report.options));
        format!("{name} {count} (p95 {p95}, {} errors)", group(row.frame.errors() as i64))
    };
    let mut list: Vec<String> = polls.iter().take(super::LISTED).map(one).collect();
    if polls.len() > super::LISTED {
        list.push(format!("and {} more", polls.len() - super::LISTED));
    }
    let text = format!("{}; they are in no figure above", list.join("; "));
    wrap(out, "  polls", 9, WIDTH, &text)
}

/// The plan's own measures, a line for each.
pub(super) fn values(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let list = values::measures(report.view, totals);
    for measured in list.iter().take(STEPS) {
        let words = measured.words(&|text| named(text, report.options));
        let text = format!("{}: {words}", named(&measured.spec.name, report.options));
        wrap(out, "  measure", 11, WIDTH, &text)?;
    }
    if list.len() > STEPS {
        writeln!(out, "  ... without {} further measures; `--format md` tells all", list.len() - STEPS)?;
    }
    Ok(())
}

/// What monitors read, a line for each component.
pub(super) fn readings(report: &Report<'_>, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
    let all = values::readings(report.view, totals);
    for read in &all {
        let Some(text) = values::short(read) else { continue };
        match lines.iter_mut().find(|(component, _)| *component == read.meta.component) {
            Some((_, parts)) => parts.push(text),
            None => lines.push((&read.meta.component, vec![text])),
        }
    }
    for (component, parts) in lines.iter().take(STEPS) {
        let text = format!("{}: {}", named(component, report.options), parts.join(", "));
        wrap(out, "  watched", 11, WIDTH, &text)?;
    }
    Ok(())
}
