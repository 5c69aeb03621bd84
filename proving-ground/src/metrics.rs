//! What a server counts about itself, as Prometheus text (exposition format 0.0.4).
//!
//! Invariant: labels are bounded. Routes are the patterns of the router, never raw paths; foreign methods are
//! counted as `OTHER`.

use crucible_core::Ns;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Upper edges of the latency buckets, milliseconds.
const EDGES_MS: [f64; 14] =
    [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10_000.0];

#[derive(Default)]
struct Series {
    count: u64,
    sum_secs: f64,
    buckets: [u64; EDGES_MS.len()],
}

/// Counts of requests by method, route and status.
#[derive(Default)]
pub(crate) struct Requests {
    series: Mutex<BTreeMap<(String, &'static str, u16), Series>>,
    in_flight: AtomicU64,
}

/// Counts one request as in flight while it lives, so that requests which are given up are counted down too.
pub(crate) struct InFlight<'a>(&'a AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Requests {
    /// A request has begun.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    /// A request has been answered.
    pub(crate) fn end(&self, route: &str, method: &str, status: u16, took: Ns) {
        let method = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("OTHER");
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry((route.to_owned(), method, status)).or_default();
        series.count += 1;
        series.sum_secs += took.as_secs_f64();
        for (bucket, edge) in series.buckets.iter_mut().zip(EDGES_MS) {
            *bucket += u64::from(took.as_millis_f64() <= edge);
        }
    }

    /// Appends everything.
    pub(crate) fn write(&self, out: &mut String) {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        // writing to a String cannot fail
        head(out, "http_requests_total", "counter", "Requests answered.");
        for ((route, method, status), series) in all.iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let _ = writeln!(out, "http_requests_total{{{labels}}} {}", series.count);
        }
        let name = "http_request_duration_seconds";
        head(out, name, "histogram", "Time to answer.");
        for ((route, method, status), series) in all.iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            for (edge, bucket) in EDGES_MS.iter().zip(series.buckets) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{}\"}} {bucket}", edge / 1e3);
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", series.count);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", series.sum_secs);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", series.count);
        }
        gauge(out, "http_requests_in_flight", "Requests under way.", self.in_flight.load(Ordering::Relaxed));
    }
}

/// Appends the two comment lines of a metric.
pub(crate) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Appends a gauge without labels.
pub(crate) fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, "gauge", help);
    let _ = writeln!(out, "{name} {value}");
}

/// Appends a counter without labels.
pub(crate) fn counter(out: &mut String, name: &str, help: &str, value: u64) {
    head(out, name, "counter", help);
    let _ = writeln!(out, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_foreign_methods_share_a_label() {
        let requests = Requests::default();
        for ms in [0, 3, 40, 20_000] {
            requests.end("/a", "GET", 200, Ns::from_millis(ms));
        }
        requests.end("/a", "BREW", 405, Ns::ZERO);
        let flight = requests.begin();
        let mut text = String::new();
        requests.write(&mut text);
        drop(flight);
        for line in [
            "http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 4",
            "http_requests_total{method=\"OTHER\",route=\"/a\",status=\"405\"} 1",
            "http_request_duration_seconds_bucket{method=\"GET\",route=\"/a\",status=\"200\",le=\"0.005\"} 2",
            "http_request_duration_seconds_bucket{method=\"GET\",route=\"/a\",status=\"200\",le=\"10\"} 3",
            "http_request_duration_seconds_bucket{method=\"GET\",route=\"/a\",status=\"200\",le=\"+Inf\"} 4",
            "http_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
        }
    }
}
