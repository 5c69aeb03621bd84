//! Figures that several formats show, made once.

use crucible_analysis::{RunView, Totals, is_operation, judged_response};
use crucible_core::{ErrorClass, Frame, Histogram, Ns, Outcome};
use crucible_record::StepMeta;

/// Percentiles that reports show, as (name, share).
pub(crate) const PERCENTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// Whether `samples` are too few to tell this percentile from the maximum.
pub(crate) fn is_maximum(samples: u64, share: f64) -> bool {
    (samples as f64) * (1.0 - share) < 1.0
}

/// One line of a table: a step, or all of them.
pub(crate) struct Row<'a> {
    /// The step's name; `all steps` for the whole.
    pub(crate) name: &'a str,
    /// Index of the step; `None` for the whole.
    pub(crate) step: Option<usize>,
    /// Its counts.
    pub(crate) frame: &'a Frame,
    /// Response times as latency thresholds judge them.
    pub(crate) response: Histogram,
    /// Seconds that it was measured over.
    pub(crate) seconds: f64,
}

impl<'a> Row<'a> {
    fn new(name: &'a str, step: Option<usize>, frame: &'a Frame, totals: &Totals) -> Row<'a> {
        let seconds = totals.covered.as_secs_f64();
        Row { name, step, frame, response: judged_response(frame), seconds }
    }

    /// Operations that were sent and ended.
    pub(crate) fn requests(&self) -> u64 {
        self.frame.ended() - self.frame.of(Outcome::Dropped)
    }

    /// Sent and ended, per second; 0 when nothing was measured.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.requests(), self.seconds)
    }

    /// `Ok` operations per second.
    pub(crate) fn ok_rate(&self) -> f64 {
        per_second(self.frame.of(Outcome::Ok), self.seconds)
    }

    /// `Ok` as a share of all that ended but was not aborted; `None` if nothing did.
    pub(crate) fn ok_share(&self) -> Option<f64> {
        self.frame.error_rate().map(|errors| 1.0 - errors)
    }

    /// Service p95 and response p95 if they differ by more than 5 % and 200 us (what a busy machine does anyway).
    pub(crate) fn service_apart(&self) -> Option<(Ns, Ns)> {
        let response = self.frame.response.quantile(0.95)?;
        let service = self.frame.service.quantile(0.95)?;
        let apart = response.0.abs_diff(service.0) as f64;
        (apart > (0.05 * response.0 as f64).max(200e3)).then_some((service, response))
    }

    /// Errors by class, most frequent first, without those that did not happen.
    pub(crate) fn classes(&self) -> Vec<(ErrorClass, u64)> {
        let mut list: Vec<(ErrorClass, u64)> = ErrorClass::ALL
            .into_iter()
            .zip(self.frame.classes)
            .filter(|(class, count)| *class != ErrorClass::None && *count > 0)
            .collect();
        list.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
        list
    }

    /// Result codes in rising order.
    pub(crate) fn codes(&self) -> Vec<(u16, u64)> {
        let mut list = self.frame.codes.clone();
        list.sort_unstable();
        list
    }
}

/// `count` per second; 0 over no time.
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// The rows of a test or phase: each operation to which something happened, then all of them together.
pub(crate) fn rows<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<Row<'a>> {
    let mut rows = rows_of(view, totals, is_operation);
    rows.push(whole(totals));
    rows
}

/// Spans over several operations: groups, transactions and their parts.
pub(crate) fn spans<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<Row<'a>> {
    rows_of(view, totals, |step| step.role == "timed")
}

/// Requests that only look whether a job is done.
pub(crate) fn polls<'a>(view: &'a RunView, totals: &'a Totals) -> Vec<Row<'a>> {
    rows_of(view, totals, |step| step.role == "follow")
}

/// A row for each step that `wanted` accepts and to which something happened.
fn rows_of<'a>(view: &'a RunView, totals: &'a Totals, wanted: impl Fn(&StepMeta) -> bool) -> Vec<Row<'a>> {
    let steps = view.started.steps.iter().zip(&totals.steps).enumerate();
    steps
        .filter(|(_, (meta, frame))| wanted(meta) && !frame.is_empty())
        .map(|(index, (meta, frame))| Row::new(&meta.name, Some(index), frame, totals))
        .collect()
}

/// All steps together.
pub(crate) fn whole(totals: &Totals) -> Row<'_> {
    Row::new("all steps", None, &totals.all, totals)
}

/// Times of everything that was sent and ended: ok, rejected and failed, timed out and cut off (at their lower
/// bound).
pub(crate) fn everything(frame: &Frame) -> Histogram {
    let mut all = judged_response(frame);
    all.merge(&frame.failed);
    all
}

/// The phases of a test: index and totals.
pub(crate) fn phases_of(view: &RunView, test: usize) -> impl Iterator<Item = (usize, &Totals)> {
    view.started
        .phases
        .iter()
        .zip(&view.phases)
        .enumerate()
        .filter(move |(_, (meta, _))| usize::from(meta.test) == test)
        .map(|(index, (_, totals))| (index, totals))
}

/// The generator over a test or a run.
pub(crate) struct Health {
    /// p50, p99 and maximum of the lateness.
    pub(crate) lag: Option<(Ns, Ns, Ns)>,
    /// p99 and maximum of the heartbeat's lateness.
    pub(crate) heartbeat: Option<(Ns, Ns)>,
    /// CPU of the process as a share of one core.
    pub(crate) cpu_share: f64,
    /// Time that shards wanted a CPU and had none, as a share of their time.
    pub(crate) cpu_wait_share: f64,
    /// CPU seconds per 1,000 requests; `None` without requests.
    pub(crate) cpu_per_thousand: Option<f64>,
    /// Largest resident memory, bytes.
    pub(crate) rss_max: u64,
}

impl Health {
    /// Over one test.
    pub(crate) fn of(totals: &Totals) -> Health {
        let lag = &totals.lag.generator;
        let beat = &totals.lag.heartbeat;
        let sent = totals.all.ended() - totals.all.of(Outcome::Dropped);
        let share = |part: Ns, whole: Ns| {
            if whole == Ns::ZERO { 0.0 } else { part.0 as f64 / whole.0 as f64 }
        };
        Health {
            lag: lag
                .max()
                .map(|max| (lag.quantile(0.5).unwrap_or(max), lag.quantile(0.99).unwrap_or(max), max)),
            heartbeat: beat.max().map(|max| (beat.quantile(0.99).unwrap_or(max), max)),
            cpu_share: share(totals.process_cpu, totals.covered),
            cpu_wait_share: share(totals.lag.cpu_wait, totals.lag.wall),
            cpu_per_thousand: (sent > 0).then(|| totals.process_cpu.as_secs_f64() * 1e3 / sent as f64),
            rss_max: totals.process_rss_max,
        }
    }
}

/// A histogram in at most `bins` rows of equal ratio between its minimum and its p99.9, and one for the rest:
/// (upper edge, count).
pub(crate) fn bins(hist: &Histogram, bins: usize) -> Vec<(Ns, u64)> {
    let (Some(min), Some(max), Some(high)) = (hist.min(), hist.max(), hist.quantile(0.999)) else {
        return Vec::new();
    };
    let low = min.0.max(1) as f64;
    let ratio = (high.0.max(1) as f64 / low).powf(1.0 / bins as f64);
    if ratio <= 1.000_001 {
        return vec![(max, hist.count())];
    }
    let mut edges: Vec<(Ns, u64)> =
        (1..=bins).map(|k| (Ns((low * ratio.powi(k as i32)).round() as u64), 0)).collect();
    if let Some(last) = edges.last_mut() {
        last.0 = high;
    }
    if max > high {
        edges.push((max, 0));
    }
    for (value, count) in hist.buckets() {
        let at = edges.partition_point(|(edge, _)| *edge < value).min(edges.len() - 1);
        edges[at].1 += count;
    }
    while edges.last().is_some_and(|(_, count)| *count == 0) {
        edges.pop();
    }
    edges
}

/// Error texts, most frequent first.
pub(crate) fn errors_of(view: &RunView) -> Vec<&crucible_record::ErrorNote> {
    let mut list: Vec<_> = view.errors.iter().collect();
    list.sort_by(|a, b| (b.times, a.step, &a.class, &a.text).cmp(&(a.times, b.step, &b.class, &b.text)));
    list
}

/// The step's name, or a placeholder for an index beyond the plan (a damaged record).
pub(crate) fn step_name(view: &RunView, step: crucible_core::StepId) -> &str {
    view.started.steps.get(usize::from(step.0)).map_or("(unknown step)", |step| &step.name)
}

/// How many of `total` values a percentile stands for (nearest rank), as the histogram counts.
pub(crate) fn rank(total: u64, share: f64) -> u64 {
    ((share * total as f64).ceil() as u64).clamp(1, total.max(1))
}
