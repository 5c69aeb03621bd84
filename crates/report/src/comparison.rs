//! What is said of a comparison: 80 columns, Markdown with the key figures, JSON. Pure, like the formats of runs.

use crate::text::{clean, wrap};
use crucible_core::{Ns, units};
use crucible_stats::compare::{
    Caveat, Change, Compared as Row, Comparison, Gauge, Lack, Metric, Needs, Unit, Verdict, kpi,
};
use serde_json::{Value, json};

/// Widest line, where names allow it.
const WIDTH: usize = 80;

/// One comparison: what of, and what came out.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The test.
    pub test: String,
    /// Names of the arms.
    pub arms: [String; 2],
    /// Scalars beside response times and counts.
    pub gauges: Vec<Gauge>,
    /// What is said.
    pub comparison: Comparison,
}

pub(crate) fn metric(compared: &Compared, metric: &Metric) -> String {
    match metric {
        Metric::Throughput => "throughput".into(),
        Metric::Errors => "errors".into(),
        Metric::Mean => "mean".into(),
        Metric::Percentile(share) => {
            let percent = format!("{:.2}", share * 100.0);
            format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
        }
        Metric::Gauge(index) => {
            compared.gauges.get(*index).map_or("gauge".into(), |gauge| gauge.name.clone())
        }
    }
}

fn value(compared: &Compared, row: &Row, value: f64) -> String {
    if value.is_nan() {
        return "-".into();
    }
    match &row.metric {
        Metric::Throughput => format!("{}/s", units::show_number((value * 10.0).round() / 10.0)),
        Metric::Errors => units::show_share(value),
        Metric::Mean | Metric::Percentile(_) => Ns(value.max(0.0) as u64).to_string(),
        Metric::Gauge(index) => match compared.gauges.get(*index) {
            Some(gauge) if gauge.name.ends_with("memory") => units::show_bytes(value),
            Some(gauge) if gauge.name.ends_with("cpu") => Ns((value * 1e9) as u64).to_string(),
            _ => units::show_number(value),
        },
    }
}

fn percent(ratio: f64) -> String {
    format!("{:+.1}%", (ratio - 1.0) * 100.0)
}

/// The interval of the ratio; where no events were seen in either arm it is any.
fn interval(row: &Row) -> String {
    let said = row.interval.filter(|interval| interval.low > 0.0 || interval.high.is_finite());
    said.map_or("-".into(), |interval| {
        let high = if interval.high.is_finite() { percent(interval.high) } else { "?".into() };
        format!("{} to {high}", percent(interval.low))
    })
}

fn verdict(row: &Row) -> String {
    match &row.verdict {
        Verdict::Different(Change::Better) => "better".into(),
        Verdict::Different(Change::Worse) => "WORSE".into(),
        Verdict::Equivalent { within } => format!("same within {}", units::show_share(*within)),
        Verdict::Undecided(needs) => format!("undecided{}", more(needs)),
    }
}

fn more(needs: &Needs) -> String {
    match (needs.lack, needs.seconds) {
        (Lack::Evidence, _) => ": nothing measured".into(),
        (_, Some(seconds)) => format!(", {} more", whole(seconds)),
        (Lack::Units, None) => match needs.units {
            Some(more) => format!(": {more} more needed"),
            None => ": too few".into(),
        },
        (Lack::Samples, None) => ": too few samples".into(),
        (Lack::Precision, None) => ": too unsteady".into(),
        (Lack::Starts, None) => ": started once".into(),
    }
}

/// Seconds, rounded up.
fn whole(seconds: f64) -> Ns {
    Ns::from_secs(seconds.ceil() as u64)
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Pairs => "pairs of slices",
        Unit::Rounds => "starts of both systems",
        Unit::Runs => "runs an arm",
        Unit::Windows => "windows of one run an arm",
    }
}

fn caveat(caveat: &Caveat) -> String {
    match caveat {
        Caveat::SingleRun => {
            "an arm was run only once: what differs from run to run cannot be told from a difference; use --duet, or \
             several runs an arm"
                .into()
        }
        Caveat::SingleStart => {
            "both systems were started once: what differs from start to start cannot be told from a difference".into()
        }
        Caveat::UnequalToItself => {
            "an arm differs from itself more often than it should: something else changes while it runs".into()
        }
        Caveat::UnequalLoad(ratio) => {
            format!("the arms were offered different loads (B is {} of A)", units::show_share(*ratio))
        }
    }
}

/// The summary at 80 columns.
pub fn text(compared: &Compared) -> Vec<String> {
    let comparison = &compared.comparison;
    let mut about = String::new();
    let arms =
        format!("{}: A {}, B {}", clean(&compared.test), clean(&compared.arms[0]), clean(&compared.arms[1]));
    // writing to a String cannot fail
    let _ = wrap(&mut about, "", 0, WIDTH, &arms);
    let mut lines = vec![
        String::new(),
        about.trim_end().to_owned(),
        format!("  {} {}, {:.0} s an arm", comparison.units, unit(comparison.unit), comparison.seconds),
        String::new(),
    ];
    lines.extend(table(compared));
    lines.push(String::new());
    let waits = |row: &Row| matches!(row.verdict, Verdict::Undecided(Needs { seconds: Some(_), .. }));
    if comparison.metrics.iter().any(waits) {
        lines.push("  more: how much longer each arm would have to be loaded for a decision".into());
    }
    if let Some(seen) = smallest(comparison) {
        lines.push(format!("  a difference of {seen} in the median response time would have been seen"));
    }
    if let Some(check) = &comparison.self_check {
        lines.push(format!(
            "  of {} comparisons of an arm with itself, {} differed",
            check.made, check.differed
        ));
    }
    for told in &comparison.caveats {
        lines.extend(wrapped("  note: ", 8, &caveat(told)));
    }
    lines
}

/// Text behind a beginning, at 80 columns; further lines begin in column `indent`.
fn wrapped(begin: &str, indent: usize, text: &str) -> Vec<String> {
    let mut out = String::new();
    // writing to a String cannot fail
    let _ = wrap(&mut out, begin, indent, WIDTH, text);
    out.lines().map(str::to_owned).collect()
}

/// The rows with their heading, each column as wide as it must be; verdicts that are too long go on below.
fn table(compared: &Compared) -> Vec<String> {
    let heading = ["", "A", "B", "B to A", "95 % interval"].map(str::to_owned);
    let cells = |row: &Row| {
        [
            metric(compared, &row.metric),
            value(compared, row, row.a),
            value(compared, row, row.b),
            row.ratio.map_or("-".into(), percent),
            interval(row),
        ]
    };
    let rows: Vec<([String; 5], String)> =
        compared.comparison.metrics.iter().map(|row| (cells(row), verdict(row))).collect();
    let wide = |column: usize| {
        let all = rows.iter().map(|(cells, _)| &cells[column]).chain([&heading[column]]);
        all.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(wide);
    let line = |cells: &[String; 5], verdict: &str| {
        let mut begin = format!("  {:<1$}", cells[0], widths[0]);
        for (cell, width) in cells[1..].iter().zip(&widths[1..]) {
            begin.push_str(&format!("  {cell:>width$}"));
        }
        let indent = begin.chars().count() + 2;
        wrapped(&(begin + "  "), indent, verdict)
    };
    let mut lines = line(&heading, "verdict");
    lines.extend(rows.iter().flat_map(|(cells, verdict)| line(cells, verdict)));
    lines
}

fn smallest(comparison: &Comparison) -> Option<String> {
    comparison.of(&Metric::Percentile(0.5))?.detectable.map(units::show_share)
}

/// A section of a document: summary, table, findings, strengths and weaknesses, recommendations. Every sentence follows
/// from a row.
pub fn markdown(compared: &Compared) -> Vec<String> {
    let comparison = &compared.comparison;
    let cell = |text: &str| text.replace('|', "\\|");
    let mut lines = vec![
        format!("## Comparison: {}", cell(&compared.test)),
        String::new(),
        format!("A is `{}`, B is `{}`.", compared.arms[0].replace('`', "'"), compared.arms[1].replace('`', "'")),
        String::new(),
        "### Executive summary".into(),
        String::new(),
        summary(compared),
        String::new(),
        "### Performance comparison".into(),
        String::new(),
        "| figure | A | B | B to A | 95 % interval | verdict | smallest difference that would have been seen |".into(),
        "|---|---:|---:|---:|---:|---|---:|".into(),
    ];
    for row in &comparison.metrics {
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(&metric(compared, &row.metric)),
            value(compared, row, row.a),
            value(compared, row, row.b),
            row.ratio.map_or("-".into(), percent),
            interval(row),
            verdict(row),
            row.detectable.map_or("-".into(), units::show_share),
        ));
    }
    lines.extend([String::new(), "### Key performance indicators".into(), String::new()]);
    lines.extend(indicators(compared));
    lines.extend([String::new(), "### Key findings".into(), String::new()]);
    lines.extend(findings(compared));
    let of = |change: Change| {
        let rows = comparison.metrics.iter().filter(move |row| row.verdict == Verdict::Different(change));
        rows.map(|row| {
            format!("- {}: {}", metric(compared, &row.metric), row.ratio.map_or("-".into(), percent))
        })
        .collect::<Vec<_>>()
    };
    for (title, list) in [("Strengths of B", of(Change::Better)), ("Weaknesses of B", of(Change::Worse))] {
        lines.extend([String::new(), format!("### {title}"), String::new()]);
        lines.extend(if list.is_empty() { vec!["None was shown.".into()] } else { list });
    }
    lines.extend([String::new(), "### Recommendations".into(), String::new()]);
    lines.extend(recommendations(compared));
    if !comparison.caveats.is_empty() {
        lines.extend([String::new(), "### To be kept in mind".into(), String::new()]);
        lines.extend(comparison.caveats.iter().map(|it| format!("- {}", caveat(it))));
    }
    lines.push(String::new());
    lines
}

fn summary(compared: &Compared) -> String {
    let comparison = &compared.comparison;
    let count =
        |wanted: fn(&Verdict) -> bool| comparison.metrics.iter().filter(|row| wanted(&row.verdict)).count();
    format!(
        "Of {} figures B is better in {}, worse in {}, the same in {}; {} are undecided. The evidence is {} {} of {:.0} s an \
         arm in all.",
        comparison.metrics.len(),
        count(|v| *v == Verdict::Different(Change::Better)),
        count(|v| *v == Verdict::Different(Change::Worse)),
        count(|v| matches!(v, Verdict::Equivalent { .. })),
        count(|v| matches!(v, Verdict::Undecided(_))),
        comparison.units,
        unit(comparison.unit),
        comparison.seconds
    )
}

fn indicators(compared: &Compared) -> Vec<String> {
    let row = |metric: &Metric| compared.comparison.of(metric);
    let mut lines = Vec::new();
    if let Some(improvement) = row(&Metric::Throughput).and_then(|row| kpi::improvement_percent(row.a, row.b))
    {
        lines.push(format!("- performance improvement (throughput): {improvement:+.1} %"));
    }
    for (index, gauge) in compared.gauges.iter().enumerate() {
        let change = row(&Metric::Gauge(index)).and_then(|row| kpi::improvement_percent(row.a, row.b));
        if let Some(change) = change {
            lines.push(format!("- {}: {change:+.1} %", gauge.name));
        }
    }
    if let Some(row) = row(&Metric::Errors) {
        lines.push(format!("- error rate: {:.3} % and {:.3} %", row.a * 100.0, row.b * 100.0));
    }
    lines
}

/// What differs and by how much, largest first; else what would have been seen.
fn findings(compared: &Compared) -> Vec<String> {
    let change = |row: &Row| row.ratio.map_or(0.0, |ratio| ratio.ln().abs());
    let mut rows: Vec<&Row> = compared.comparison.different().collect();
    rows.sort_by(|a, b| change(b).total_cmp(&change(a)));
    let told = |row: &&Row| {
        let interval = row
            .interval
            .map_or(String::new(), |i| format!(" ({} to {} at 95 %)", percent(i.low), percent(i.high)));
        let (name, by) = (metric(compared, &row.metric), row.ratio.map_or("-".into(), percent));
        format!("- {name}: B is {}, {by}{interval}.", verdict(row).to_lowercase())
    };
    let mut lines: Vec<String> = rows.iter().map(told).collect();
    if lines.is_empty() {
        lines.push(match smallest(&compared.comparison) {
            Some(seen) => {
                format!("- No difference was shown; one of {seen} in the median would have been seen.")
            }
            None => "- No difference was shown.".into(),
        });
    }
    lines
}

fn recommendations(compared: &Compared) -> Vec<String> {
    let comparison = &compared.comparison;
    let mut lines: Vec<String> = Vec::new();
    if comparison.any_worse() {
        let worse: Vec<String> = comparison
            .different()
            .filter(|row| row.verdict == Verdict::Different(Change::Worse))
            .map(|row| metric(compared, &row.metric))
            .collect();
        lines.push(format!("- Do not replace A by B before {} is understood.", worse.join(", ")));
    } else if comparison.different().next().is_some() {
        lines.push(
            "- B can replace A: it is better where it differs, and nothing was shown to be worse.".into(),
        );
    }
    let longest = comparison.metrics.iter().filter_map(|row| match &row.verdict {
        Verdict::Undecided(needs) => needs.seconds.map(|seconds| (seconds, metric(compared, &row.metric))),
        _ => None,
    });
    if let Some((seconds, name)) = longest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        lines.push(format!(
            "- {} more an arm would decide what is undecided ({name} takes longest).",
            whole(seconds)
        ));
    }
    if lines.is_empty() {
        lines.push("- Nothing follows: no difference was shown.".into());
    }
    lines
}

/// For machines. Shapes: `docs/reference/compare-json.md`.
pub fn json(compared: &Compared) -> Value {
    let comparison = &compared.comparison;
    let number = |value: f64| if value.is_finite() { json!(value) } else { Value::Null };
    let row = |row: &Row| {
        let (word, detail) = match &row.verdict {
            Verdict::Different(Change::Better) => ("better", Value::Null),
            Verdict::Different(Change::Worse) => ("worse", Value::Null),
            Verdict::Equivalent { within } => ("equivalent", json!({"within": within})),
            Verdict::Undecided(needs) => {
                let lack = match needs.lack {
                    Lack::Evidence => "evidence",
                    Lack::Units => "units",
                    Lack::Samples => "samples",
                    Lack::Precision => "precision",
                    Lack::Starts => "starts",
                };
                let seconds = needs.seconds.map(number);
                ("undecided", json!({"lack": lack, "more_units": needs.units, "more_seconds": seconds}))
            }
        };
        json!({
            "metric": metric(compared, &row.metric), "a": number(row.a), "b": number(row.b),
            "ratio": row.ratio, "interval": row.interval.map(|i| json!([number(i.low), number(i.high)])),
            "p": number(row.p), "adjusted_p": number(row.adjusted_p), "verdict": word, "detail": detail,
            "detectable": row.detectable,
        })
    };
    json!({
        "test": compared.test,
        "a": compared.arms[0],
        "b": compared.arms[1],
        "unit": unit(comparison.unit),
        "units": comparison.units,
        "seconds": comparison.seconds,
        "metrics": comparison.metrics.iter().map(row).collect::<Vec<_>>(),
        "self_check": comparison.self_check.map(|check| json!({"made": check.made, "differed": check.differed})),
        "caveats": comparison.caveats.iter().map(caveat).collect::<Vec<_>>(),
        "shift": comparison.shift.iter().map(|point| {
            json!({"share": point.share, "a_ns": point.a, "b_ns": point.b, "ratio": point.ratio,
                "band": [number(point.band.low), number(point.band.high)]})
        }).collect::<Vec<_>>(),
    })
}
