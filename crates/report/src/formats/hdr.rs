//! The percentile distribution of HdrHistogram, which its plotter and others read: one block for each test, and for each of its
//! groups and transactions.
//!
//! Columns: response time in milliseconds, percentile as a share, values up to it, `1/(1 - percentile)`. Steps halve
//! the distance to 100 % every five lines, as in the original's default of five ticks per half distance.

use super::Format;
use crate::Report;
use crate::figures;
use crate::text::clean;
use crucible_analysis::judged_response;
use crucible_core::{Histogram, Ns};
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format = Format {
    name: "hdr",
    extension: "hgrm",
    about: "the percentile distribution of HdrHistogram, for its plotter",
    render,
};

/// Steps within each halving of the distance to 100 %.
const TICKS: u32 = 5;

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let view = report.view;
    for (meta, totals) in view.started.tests.iter().zip(&view.tests) {
        if totals.from.is_some() {
            let judged = judged_response(&totals.all);
            writeln!(out, "# {}: response time in milliseconds", clean(&meta.name))?;
            distribution(&judged, out)?;
            for span in figures::spans(view, totals) {
                let (test, span_name) = (clean(&meta.name), clean(span.name));
                writeln!(out, "# {test}, {span_name}: time in milliseconds")?;
                distribution(&span.response, out)?;
            }
        }
    }
    Ok(())
}

fn millis(value: Option<Ns>) -> f64 {
    value.map_or(0.0, Ns::as_millis_f64)
}

fn distribution(hist: &Histogram, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let total = hist.count();
    let buckets: Vec<(Ns, u64)> = hist.buckets().collect();
    let mut below = 0;
    let mut next = 0;
    for share in shares(total) {
        let rank = figures::rank(total, share);
        while below < rank && next < buckets.len() {
            below += buckets[next].1;
            next += 1;
        }
        let value = millis(hist.quantile(share));
        if share < 1.0 {
            let inverse = 1.0 / (1.0 - share);
            writeln!(out, "{value:>12.3} {share:>14.12} {below:>10} {inverse:>14.2}")?;
        } else {
            writeln!(out, "{value:>12.3} {share:>14.12} {below:>10}")?;
        }
    }
    let (mean, deviation) = (millis(hist.mean()), millis(hist.stddev()));
    writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
    writeln!(out, "#[Max     = {:>12.3}, Total count    = {total:>12}]", millis(hist.max()))?;
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", 46, 128)
}

/// The percentiles to tell, rising to 1, ending where a single value lies beyond.
fn shares(total: u64) -> Vec<f64> {
    let mut shares = Vec::new();
    let mut distance = 1.0f64;
    while total > 0 && distance * total as f64 >= 1.0 {
        let step = distance / 2.0 / f64::from(TICKS);
        shares.extend((0..TICKS).map(|tick| 1.0 - distance + f64::from(tick) * step));
        distance /= 2.0;
    }
    if total > 0 {
        shares.push(1.0);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_of_known_values() {
        let mut hist = Histogram::default();
        (1..=4).for_each(|ms| hist.record(Ns::from_millis(ms)));
        let mut out = String::new();
        distribution(&hist, &mut out).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[2].ends_with("0.000000000000          1           1.00"), "{out}");
        assert!(out.contains("1.000000000000          4\n"), "{out}");
        assert!(out.contains("Total count    =            4]"), "{out}");
    }

    #[test]
    fn nothing_recorded_is_no_distribution() {
        let mut out = String::new();
        distribution(&Histogram::default(), &mut out).unwrap();
        assert!(out.contains("Total count    =            0]"));
    }
}
