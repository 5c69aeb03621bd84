//! Thresholds from a history: limits that runs like the last ones keep, as a block for a plan.

use crate::text::{clean, utc};
use crucible_analysis::Unit;
use crucible_analysis::history::{Group, History, Series};
use crucible_core::threshold::{Better, Measure, Subject, Threshold};
use crucible_stats::history::{Bound, How, bound, most_errors};
use std::fmt::Write;

/// A `thresholds` block for `group`, each limit with what it rests on. A run like those since the last change of a figure
/// keeps its limit with chance `coverage`.
pub fn thresholds(history: &History, group: &Group, coverage: f64) -> String {
    let mut out = String::new();
    let day = |place: Option<&usize>| {
        let run = place.and_then(|index| history.runs.get(*index));
        run.map_or(String::new(), |run| utc(run.started_unix_ms).chars().take(16).collect())
    };
    let share = super::percent(coverage);
    // writing to a String cannot fail
    let _ = writeln!(
        out,
        "# From {} runs of the test {}, {} to {} UTC.\n# A run like those since the last change of a figure keeps its limit with a\n\
         # chance of {share}, each for itself; n is the number of those runs.",
        group.runs.len(),
        clean(&group.test),
        day(group.runs.first()),
        day(group.runs.last()),
    );
    out.push_str("thresholds:\n");
    let mut subject = String::new();
    let mut told = 0;
    for series in &group.figures {
        let Some((key, measure)) = place(group, series) else { continue };
        let Some((limit, note)) = limit(series, coverage, history.settings.margin) else {
            let n = series.finding.level.values.len();
            let _ =
                writeln!(out, "  # {}: {n} runs since its last change, 5 are needed", clean(&series.name()));
            continue;
        };
        if key != subject {
            let _ = writeln!(out, "  {}:", quoted(&key));
            subject = key;
        }
        let limit = match place_is_value(series) {
            true if series.better == Better::Higher => format!("at least {limit}"),
            true => format!("at most {limit}"),
            false => limit,
        };
        let _ = writeln!(out, "    {measure}: {limit}  # {note}");
        told += 1;
    }
    if told == 0 {
        out.push_str("  {}\n");
    }
    out
}

/// Whether a limit needs to say which side it is of.
fn place_is_value(series: &Series) -> bool {
    matches!(series.unit, Unit::Cores | Unit::Bytes | Unit::BytesPerSecond)
}

/// Subject and measure as plans write them; `None` for figures that have no plain limit.
fn place(group: &Group, series: &Series) -> Option<(String, String)> {
    if place_is_value(series) {
        return Some((series.subject.clone(), series.measure.clone()));
    }
    Measure::parse(&series.measure).ok()?;
    if series.subject == "all steps" {
        return Some(("*".into(), series.measure.clone()));
    }
    let own =
        |w: &&crucible_analysis::history::Watched| w.subject == series.subject && w.measure == series.measure;
    let threshold: Threshold = group.thresholds.iter().find(own)?.threshold.parse().ok()?;
    let key = match threshold.subject {
        Subject::Step(name) | Subject::Scenario(name) => name,
        Subject::Each => series.subject.clone(),
        _ => return None,
    };
    Some((key, series.measure.clone()))
}

/// The limit and what it rests on. It is at least as far from the level as what does not matter.
fn limit(series: &Series, coverage: f64, margin: f64) -> Option<(String, String)> {
    let level = &series.finding.level;
    let mut found = bound(&level.values, series.better, coverage)?;
    found.value = match series.better {
        Better::Lower => found.value.max(level.median * (1.0 + margin)),
        Better::Higher => found.value.min(level.median * (1.0 - margin)),
    };
    let found = if series.measure == "errors" { rare(series, found, coverage) } else { found };
    let how = match found.how {
        How::Rank(1) => "worst of them".to_owned(),
        How::Rank(k) => format!("number {k} from the worst"),
        How::Logarithms => "t on logarithms".into(),
        How::Values => "t".into(),
        How::Counts => "counts, all together".into(),
    };
    let drifts = if series.finding.drift.is_some() { "; it DRIFTS" } else { "" };
    let now = series.unit.show(level.median);
    Some((
        written(series.unit, found.value, series.better),
        format!("level {now}, n {}, {how}{drifts}", found.n),
    ))
}

/// Errors come by ones: that none came so far does not mean that none will.
fn rare(series: &Series, found: Bound, coverage: f64) -> Bound {
    let level = &series.finding.level;
    let own =
        series.values.iter().zip(&series.evidence).skip(level.from).filter(|(value, _)| value.is_finite());
    let (mut errors, mut all, mut last) = (0.0, 0.0, 0.0);
    for (share, operations) in own {
        errors += share * *operations as f64;
        all += *operations as f64;
        last = *operations as f64;
    }
    let counts = most_errors(errors, all, last, coverage);
    if counts > found.value { Bound { value: counts, how: How::Counts, n: found.n } } else { found }
}

/// A limit as plans write it, rounded to its good side.
fn written(unit: Unit, value: f64, better: Better) -> String {
    let value = value.max(0.0);
    match unit {
        Unit::Duration => {
            let (size, word) = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")]
                .into_iter()
                .find(|(size, _)| value >= *size)
                .unwrap_or((1.0, "ns"));
            format!("{}{word}", rounded(value / size, better))
        }
        Unit::Share => format!("{}%", rounded(value * 100.0, better)),
        Unit::PerSecond => format!("{}/s", rounded(value, better)),
        Unit::Cores => format!("{}%", rounded(value * 100.0, better)),
        Unit::Bytes => format!("{}MB", rounded(value / 1e6, better)),
        Unit::BytesPerSecond => format!("{}MB/s", rounded(value / 1e6, better)),
        Unit::Count | Unit::Number => rounded(value, better),
    }
}

/// Three significant digits, up for what should be low, down for what should be high; whole digits are kept.
fn rounded(value: f64, better: Better) -> String {
    if value <= 0.0 || !value.is_finite() {
        return "0".into();
    }
    let places = (2 - value.log10().floor() as i32).max(0);
    let scale = 10f64.powi(places);
    let whole = match better {
        Better::Lower => (value * scale - 1e-9).ceil(),
        Better::Higher => (value * scale + 1e-9).floor(),
    };
    let text = format!("{:.*}", places as usize, whole / scale);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A key in quotes, as YAML and JSON read it alike.
fn quoted(key: &str) -> String {
    serde_json::to_string(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_so_that_what_held_still_holds() {
        let check = |unit, value, better, expected: &str| assert_eq!(written(unit, value, better), expected);
        check(Unit::Duration, 5_612_345.0, Better::Lower, "5.62ms");
        check(Unit::Duration, 999_999.0, Better::Lower, "1000us");
        check(Unit::Duration, 125e9, Better::Lower, "125s");
        check(Unit::Duration, 1_234_567e9, Better::Lower, "1234567s");
        check(Unit::Share, 0.000_123_4, Better::Lower, "0.0124%");
        check(Unit::Share, 0.0, Better::Lower, "0%");
        check(Unit::PerSecond, 49.79, Better::Higher, "49.7/s");
        check(Unit::Cores, 1.5, Better::Lower, "150%");
        check(Unit::Bytes, 123_456_789.0, Better::Lower, "124MB");
        check(Unit::Number, -3.0, Better::Lower, "0");
    }
}
