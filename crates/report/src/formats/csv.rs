//! CSV (RFC 4180): a row for each step of each test and of each of its phases, and one for all steps together; behind
//! them groups, transactions and polls, the plan's own measures, and what monitors read. `kind` says which it is; the
//! columns from `unit` on hold values, those before them operations.
//!
//! Invariants: every row has the columns of [`COLUMNS`]; a cell that a spreadsheet would take for a formula gets an
//! apostrophe in front (OWASP, "CSV injection"); lines end in CR LF.

use super::Format;
use crate::Report;
use crate::figures::{self, Row};
use crate::text::clean;
use crate::values;
use crucible_analysis::Totals;
use crucible_core::{Histogram, MeasureKind, Outcome};
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format =
    Format { name: "csv", extension: "csv", about: "a line for each step of each test and phase", render };

const COLUMNS: [&str; 43] = [
    "run",
    "test",
    "phase",
    "scenario",
    "step",
    "covered_seconds",
    "planned",
    "requests",
    "requests_per_second",
    "ok",
    "rejected",
    "failed",
    "timed_out",
    "dropped",
    "aborted",
    "error_share",
    "min_ns",
    "mean_ns",
    "stddev_ns",
    "p50_ns",
    "p75_ns",
    "p90_ns",
    "p95_ns",
    "p99_ns",
    "p99_9_ns",
    "p99_99_ns",
    "max_ns",
    "service_p50_ns",
    "service_p95_ns",
    "service_p99_ns",
    "bytes_in",
    "bytes_out",
    "connections",
    "verdict",
    "kind",
    "unit",
    "values",
    "value_sum",
    "value_min",
    "value_mean",
    "value_max",
    "value_last",
    "value_share",
];

/// Columns from `unit` on.
const VALUES: usize = 8;

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{}\r\n", COLUMNS.join(","))?;
    let view = report.view;
    for (index, (meta, totals)) in view.started.tests.iter().zip(&view.tests).enumerate() {
        let verdict = report.assessment.tests.get(index).map_or("", |t| t.verdict.name());
        lines(report, &meta.name, "", totals, verdict, out)?;
        for (phase, totals) in figures::phases_of(view, index) {
            lines(report, &meta.name, &view.started.phases[phase].name, totals, "", out)?;
        }
    }
    Ok(())
}

fn lines(
    report: &Report<'_>,
    test: &str,
    phase: &str,
    totals: &Totals,
    verdict: &str,
    out: &mut dyn Write,
) -> fmt::Result {
    let view = report.view;
    let kinds = [
        ("", figures::rows(view, totals)),
        ("span", figures::spans(view, totals)),
        ("poll", figures::polls(view, totals)),
    ];
    for (kind, rows) in kinds {
        for row in rows {
            let kind = match (kind, row.step) {
                ("", Some(_)) => "step",
                ("", None) => "whole",
                (kind, _) => kind,
            };
            line(report, (test, phase, kind), &row, verdict, out)?;
        }
    }
    for measured in values::measures(view, totals) {
        let (name, frame) = (measured.spec.name.as_str(), measured.frame);
        let figures = [frame.sum, frame.min, measured.mean(), frame.max, frame.last].map(Some);
        let share = matches!(measured.spec.kind, MeasureKind::Rate).then(|| measured.held_share());
        let unit = measured.spec.unit.as_str();
        value_line(report, (test, phase, "measure"), name, unit, frame.count, figures, share, out)?;
        for (mark, _, count) in measured.marks() {
            let share = Some(count as f64 / frame.count as f64);
            let name = format!("{name}: {mark}");
            value_line(report, (test, phase, "mark"), &name, "", count, [None; 5], share, out)?;
        }
    }
    for read in values::readings(view, totals) {
        let name = format!("{}.{}", read.meta.component, read.meta.name);
        let totals = read.totals;
        let figures = [None, Some(totals.min), Some(read.mean()), Some(totals.max), Some(totals.last)];
        value_line(
            report,
            (test, phase, "reading"),
            &name,
            &read.meta.unit,
            totals.count,
            figures,
            None,
            out,
        )?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the cells of a line")]
fn value_line(
    report: &Report<'_>,
    (test, phase, kind): (&str, &str, &str),
    name: &str,
    unit: &str,
    count: u64,
    figures: [Option<f64>; 5],
    share: Option<f64>,
    out: &mut dyn Write,
) -> fmt::Result {
    let mut cells: Vec<String> =
        [&report.view.started.run, test, phase, "", name].iter().map(|text| cell(text)).collect();
    cells.resize(COLUMNS.len() - VALUES - 1, String::new());
    cells.extend([kind.to_owned(), cell(unit), count.to_string()]);
    cells.extend(figures.map(|figure| figure.map_or_else(String::new, |value| value.to_string())));
    cells.push(share.map_or_else(String::new, |share| format!("{share:.6}")));
    write!(out, "{}\r\n", cells.join(","))
}

fn line(
    report: &Report<'_>,
    (test, phase, kind): (&str, &str, &str),
    row: &Row<'_>,
    verdict: &str,
    out: &mut dyn Write,
) -> fmt::Result {
    let (started, frame) = (&report.view.started, row.frame);
    let scenario = row
        .step
        .and_then(|step| started.steps.get(step))
        .and_then(|step| started.scenarios.get(usize::from(step.scenario)))
        .map_or("", |scenario| scenario.name.as_str());
    let mut cells: Vec<String> =
        [&started.run, test, phase, scenario, row.name].iter().map(|text| cell(text)).collect();
    cells.push(format!("{:.3}", row.seconds));
    cells.push(frame.planned.to_string());
    cells.push(row.requests().to_string());
    cells.push(format!("{:.3}", row.rate()));
    cells.extend(Outcome::ALL.iter().map(|outcome| frame.of(*outcome).to_string()));
    cells.push(frame.error_rate().map_or_else(String::new, |share| format!("{share:.6}")));
    let response = &row.response;
    cells.extend([response.min(), response.mean(), response.stddev()].map(number));
    cells.extend(figures::PERCENTILES.iter().map(|(_, share)| number(response.quantile(*share))));
    cells.push(number(response.max()));
    let service: &Histogram = &frame.service;
    cells.extend([0.5, 0.95, 0.99].map(|share| number(service.quantile(share))));
    cells.extend([frame.bytes_in, frame.bytes_out, frame.connections].map(|count| count.to_string()));
    cells.push(verdict.to_owned());
    cells.push(kind.to_owned());
    cells.resize(COLUMNS.len(), String::new());
    write!(out, "{}\r\n", cells.join(","))
}

fn number(value: Option<crucible_core::Ns>) -> String {
    value.map_or_else(String::new, |ns| ns.0.to_string())
}

/// Foreign text as a cell.
fn cell(text: &str) -> String {
    let mut text = clean(text);
    if text.trim_start().starts_with(['=', '+', '-', '@']) {
        text.insert(0, '\'');
    }
    if text.contains(['"', ',', '\r', '\n', ';']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_cell_is_one_cell_and_no_formula(text in proptest::string::string_regex("[=+@,;\"'\\r\\n\\ta-c-]{0,20}").unwrap()) {
            let cell = cell(&text);
            proptest::prop_assert!(!cell.contains(['\r', '\n', '\t']));
            let inner = match cell.strip_prefix('"') {
                Some(rest) => rest.strip_suffix('"').unwrap().replace("\"\"", "\u{1}"),
                None => cell.clone(),
            };
            proptest::prop_assert!(!inner.contains('"'), "{}", cell);
            proptest::prop_assert!(!inner.trim_start().starts_with(['=', '+', '-', '@']), "{}", cell);
        }
    }

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected, "{text:?}");
        check("plain", "plain");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\"");
        check("+1", "'+1");
        check(" -1", "' -1");
        check("@SUM(1)", "'@SUM(1)");
        // controls are escaped before, so a tab or line break cannot hide a formula
        check("\t=1", "\\t=1");
        check("", "");
    }
}
