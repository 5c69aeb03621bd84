//! What a comparison is made from: plain slices of two arms, and how they were taken.

use crucible_core::Histogram;

/// What one arm showed in one stretch of time: a slice of an interleaved comparison, or a window of a run.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Response times of the operations that were answered.
    pub latency: Histogram,
    /// Operations that ended well.
    pub ok: u64,
    /// Operations that ended in an error.
    pub errors: u64,
    /// Operations that ended: well, in an error, or in another way (rejected, for one). At least `ok + errors`.
    pub operations: u64,
    /// Length in seconds; above 0.
    pub seconds: f64,
    /// One reading for each gauge of the [`Evidence`], in its order; `NaN` where there was none.
    pub readings: Vec<f64>,
}

impl Slice {
    /// A slice in which every operation that was timed ended well.
    pub fn timed(latency: Histogram, seconds: f64) -> Slice {
        let count = latency.count();
        Slice { latency, ok: count, errors: 0, operations: count, seconds, readings: Vec::new() }
    }
}

/// A slice of A and one of B that lie next to each other in time, in either order.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// The slice of the first arm, to which the other is compared.
    pub a: Slice,
    /// The slice of the second arm.
    pub b: Slice,
    /// Which start of the two systems this pair belongs to. If all pairs have the same round, what differs between
    /// two starts of one and the same system (memory layout, hash seeds, placement) cannot be told from a difference.
    pub round: u32,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better: response times, errors, memory, CPU.
    Lower,
    /// More is better: throughput.
    Higher,
}

/// How the readings of a gauge become one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeKind {
    /// A level, as memory in use: its mean over time.
    Level,
    /// An amount in the slice, as CPU seconds: its sum divided by that of the operations.
    PerOperation,
}

/// A scalar that was read in every slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// Its name, as reports show it.
    pub name: String,
    /// How its readings become one figure.
    pub kind: GaugeKind,
    /// Which way is better.
    pub better: Better,
    /// Relative standard deviation of the figure between starts of one and the same system. It counts where each system
    /// was started once: what a process has settled on at its start (memory layout, arenas, hash seeds) does not scatter
    /// while it runs, so its slices say nothing about it.
    pub start_spread: f64,
}

/// See [`Gauge::start_spread`]. Resident memory of one and the same server under the same load, over many starts, lies
/// within a few percent; a difference has to be beyond that.
const MEMORY_SPREAD: f64 = 0.05;
/// The same for CPU time (placement in caches and pages).
const CPU_SPREAD: f64 = 0.02;

impl Gauge {
    /// Memory in use, in bytes.
    pub fn memory() -> Gauge {
        let (kind, better) = (GaugeKind::Level, Better::Lower);
        Gauge { name: "memory".into(), kind, better, start_spread: MEMORY_SPREAD }
    }

    /// CPU time for each operation: readings are CPU seconds used in the slice.
    pub fn cpu() -> Gauge {
        let (kind, better) = (GaugeKind::PerOperation, Better::Lower);
        Gauge { name: "cpu per operation".into(), kind, better, start_spread: CPU_SPREAD }
    }
}

/// How the slices were taken.
#[derive(Clone, Debug)]
pub enum Trials {
    /// Both systems alternate under the same offered load (A/B/B/A or random order); the unit is the pair. Pairs
    /// are in the order of time.
    Interleaved(Vec<Pair>),
    /// Each arm ran by itself, once or several times; the unit is the run, each given by its windows in the order of
    /// time. With a single run in an arm the windows are all there is, and the answer carries that caveat.
    Runs {
        /// Runs of the first arm.
        a: Vec<Vec<Slice>>,
        /// Runs of the second arm.
        b: Vec<Vec<Slice>>,
    },
}

/// All that a comparison is made from.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Scalars beside the counts and response times; may be empty.
    pub gauges: Vec<Gauge>,
    /// The slices.
    pub trials: Trials,
}

impl Evidence {
    /// Interleaved pairs without gauges.
    pub fn interleaved(pairs: Vec<Pair>) -> Evidence {
        Evidence { gauges: Vec::new(), trials: Trials::Interleaved(pairs) }
    }

    /// Runs without gauges.
    pub fn runs(a: Vec<Vec<Slice>>, b: Vec<Vec<Slice>>) -> Evidence {
        Evidence { gauges: Vec::new(), trials: Trials::Runs { a, b } }
    }
}

/// What is asked of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How often, at most, equal systems are called different in any of the metrics together: 0.01.
    pub alpha: f64,
    /// Level of the intervals that are shown: 0.95. They are for one metric each; verdicts go by `alpha`.
    pub confidence: f64,
    /// The largest relative difference that does not matter: 0.01. What is shown to be smaller is equivalent.
    pub margin: f64,
    /// The largest difference of two shares of errors that does not matter: 0.001, a tenth of a percent of all operations.
    pub error_margin: f64,
    /// The chance with which the smallest detectable difference would have been seen: 0.95.
    pub power: f64,
    /// Percentiles as shares: p50, p90, p95, p99 and p99.9.
    pub percentiles: Vec<f64>,
    /// Whether to work out the shift function (the ratio at each decile).
    pub shift: bool,
    /// How many pseudo-comparisons of an arm with itself to make; 0 for none. 200.
    pub self_checks: u32,
    /// Relative spread (standard deviation) between runs of one and the same system, if the history tells it. It goes
    /// into comparisons of single runs.
    pub run_spread: Option<f64>,
    /// Seed of the random signs of shift function and self-check.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            alpha: 0.01,
            confidence: 0.95,
            margin: 0.01,
            error_margin: 0.001,
            power: 0.95,
            percentiles: vec![0.5, 0.9, 0.95, 0.99, 0.999],
            shift: true,
            self_checks: 200,
            run_spread: None,
            seed: 1,
        }
    }
}
