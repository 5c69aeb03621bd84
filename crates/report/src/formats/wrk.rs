//! The text of wrk, for scripts that parse it: one block for each test.
//!
//! The layout is wrk's; the times are ours, from the planned instant. "Threads" are shards, and "connections" the
//! most users that were active.

use super::Format;
use crate::Report;
use crate::figures;
use crate::text::clean;
use crucible_analysis::{Point, Totals};
use crucible_core::{ErrorClass, Histogram};
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format =
    Format { name: "wrk", extension: "txt", about: "the text of wrk, for scripts that parse it", render };

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    for (index, totals) in report.view.tests.iter().enumerate() {
        if totals.from.is_some() {
            block(report, index, totals, out)?;
        }
    }
    Ok(())
}

fn block(report: &Report<'_>, index: usize, totals: &Totals, out: &mut dyn Write) -> fmt::Result {
    let started = &report.view.started;
    let row = figures::whole(totals);
    let seconds = row.seconds;
    writeln!(out, "Running {} test @ {}", whole_time(seconds), clean(&started.target))?;
    writeln!(out, "  {} threads and {} connections", started.shards, connections(report, index, totals))?;
    let times = figures::everything(&totals.all);
    let rates: Vec<f64> = report
        .view
        .timeline
        .points()
        .iter()
        .filter(|point| {
            started.phases.get(usize::from(point.phase)).is_some_and(|p| usize::from(p.test) == index)
        })
        .map(|point| ended_rate(point) / f64::from(started.shards.max(1)))
        .collect();
    writeln!(out, "  Thread Stats   Avg      Stdev     Max   +/- Stdev")?;
    writeln!(out, "    Latency   {}", latency_row(&times))?;
    writeln!(out, "    Req/Sec   {}", rate_row(&rates))?;
    writeln!(out, "  Latency Distribution")?;
    for percent in [50, 75, 90, 99] {
        let value = times.quantile(f64::from(percent) / 100.0).map_or(0.0, |ns| ns.0 as f64);
        writeln!(out, "     {percent}% {:>9}", time(value))?;
    }
    let bytes = totals.all.bytes_in as f64;
    writeln!(out, "  {} requests in {}, {}B read", row.requests(), time(seconds * 1e9), binary(bytes))?;
    let of =
        |classes: &[ErrorClass]| -> u64 { classes.iter().map(|c| totals.all.classes[*c as usize]).sum() };
    let connect = of(&[ErrorClass::Dns, ErrorClass::Refused, ErrorClass::Tls, ErrorClass::Local]);
    let read = of(&[ErrorClass::Reset, ErrorClass::Protocol, ErrorClass::Truncated]);
    let timeout = of(&[ErrorClass::Timeout]);
    if connect + read + timeout > 0 {
        writeln!(out, "  Socket errors: connect {connect}, read {read}, write 0, timeout {timeout}")?;
    }
    let bad: u64 = totals.all.codes.iter().filter(|(c, _)| !(200..400).contains(c)).map(|(_, n)| n).sum();
    if bad > 0 {
        writeln!(out, "  Non-2xx or 3xx responses: {bad}")?;
    }
    writeln!(out, "Requests/sec: {:>10.2}", row.rate())?;
    let transfer = if seconds > 0.0 { bytes / seconds } else { 0.0 };
    writeln!(out, "Transfer/sec: {:>10}B", binary(transfer))
}

/// The most users that were seen, or, in a test too short to see any, that were asked for.
fn connections(report: &Report<'_>, index: usize, totals: &Totals) -> u64 {
    let asked = |phase: &&crucible_record::PhaseMeta| usize::from(phase.test) == index;
    match totals.users_max {
        0 => report.view.started.phases.iter().filter(asked).map(|p| p.max_users).max().unwrap_or(0),
        seen => seen,
    }
}

fn ended_rate(point: &Point) -> f64 {
    figures::per_second(point.ended, point.seconds())
}

fn latency_row(times: &Histogram) -> String {
    let as_f64 = |value: Option<crucible_core::Ns>| value.map_or(0.0, |ns| ns.0 as f64);
    let (mean, deviation) = (as_f64(times.mean()), as_f64(times.stddev()));
    let within: u64 =
        times.buckets().filter(|(v, _)| (v.0 as f64 - mean).abs() <= deviation).map(|(_, n)| n).sum();
    let share = within as f64 / times.count().max(1) as f64;
    columns(&time(mean), &time(deviation), &time(as_f64(times.max())), share)
}

fn rate_row(rates: &[f64]) -> String {
    let count = rates.len().max(1) as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let squares: f64 = rates.iter().map(|r| (r - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let within = rates.iter().filter(|r| (*r - mean).abs() <= deviation).count() as f64 / count;
    columns(&metric(mean), &metric(deviation), &metric(most), within)
}

fn columns(mean: &str, deviation: &str, most: &str, within: f64) -> String {
    format!("{mean:>8}  {deviation:>8}  {most:>8}  {:>6.2}%", within * 100.0)
}

/// `30s`, `2m`, as wrk's first line.
fn whole_time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

/// Nanoseconds with two places: `635.91us`, `12.92ms`, `1.50s`, `2.00m`.
fn time(ns: f64) -> String {
    match ns {
        n if n < 1e6 => format!("{:.2}us", n / 1e3),
        n if n < 1e9 => format!("{:.2}ms", n / 1e6),
        n if n < 60e9 => format!("{:.2}s", n / 1e9),
        n if n < 3600e9 => format!("{:.2}m", n / 60e9),
        n => format!("{:.2}h", n / 3600e9),
    }
}

fn metric(value: f64) -> String {
    scaled(value, 1e3, &["", "k", "M", "G"])
}

fn binary(value: f64) -> String {
    scaled(value, 1024.0, &["", "K", "M", "G", "T"])
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut at = 0;
    while value >= base && at + 1 < units.len() {
        value /= base;
        at += 1;
    }
    format!("{value:.2}{}", units[at])
}
