//! What a comparison says.

use super::evidence::Better;

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// Operations that ended well, a second.
    Throughput,
    /// Share of operations that ended in an error.
    Errors,
    /// Mean response time, ns.
    Mean,
    /// A percentile of the response time (as a share: 0.99), ns.
    Percentile(f64),
    /// A gauge, by its place in the evidence.
    Gauge(usize),
}

/// Two ends; `high` may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it, ends included.
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Which way a difference goes, seen from B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// B is better than A.
    Better,
    /// B is worse than A.
    Worse,
}

/// What evidence is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pairs of neighbouring slices.
    Pairs,
    /// Rounds: starts of both systems with their pairs.
    Rounds,
    /// Runs of each arm.
    Runs,
    /// Windows of the single run of each arm.
    Windows,
}

/// Why a metric is undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing was measured.
    Evidence,
    /// Too few pairs, runs or windows to know how much they scatter.
    Units,
    /// Too few operations, in too few units, lie beyond the percentile (or ended in an error).
    Samples,
    /// The interval is too wide to tell.
    Precision,
    /// Each system was started once, and starts of one and the same system differ by as much.
    Starts,
}

/// What would settle an undecided metric, if things go on as they did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// What it lacks.
    pub lack: Lack,
    /// How many more units each arm needs; `None` if no reasonable number would do.
    pub units: Option<u64>,
    /// The same in seconds of each arm.
    pub seconds: Option<f64>,
}

/// What is said of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The arms differ, at the error that was asked for over all metrics together.
    Different(Change),
    /// Whatever the difference, it is smaller than `within` (0.01 for 1 %), and that is no more than the margin.
    Equivalent {
        /// The smallest relative difference that can be excluded.
        within: f64,
    },
    /// Neither could be shown.
    Undecided(Needs),
}

/// One metric of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Which.
    pub metric: Metric,
    /// Which way is better.
    pub better: Better,
    /// Its value in A; `NaN` if there was nothing.
    pub a: f64,
    /// Its value in B.
    pub b: f64,
    /// B / A; `None` if that is no number.
    pub ratio: Option<f64>,
    /// Interval of the ratio at the confidence asked for.
    pub interval: Option<Interval>,
    /// Chance of a difference at least as large if the arms are equal, for this metric alone.
    pub p: f64,
    /// The same over all metrics together (Holm, Scand. J. Statistics 6 (1979)).
    pub adjusted_p: f64,
    /// What is said.
    pub verdict: Verdict,
    /// The smallest relative difference (0.03 for 3 %) that would have been called different with the power asked for.
    pub detectable: Option<f64>,
    /// Independent scatter that the interval rests on, as degrees of freedom of Student's t.
    pub freedom: f64,
}

/// What a reader must know about a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Caveat {
    /// An arm was run only once, and no history tells how much runs differ: what differs from run to run cannot be told from
    /// a difference of the systems.
    SingleRun,
    /// Both systems were started only once: what differs from start to start cannot be told from a difference.
    SingleStart,
    /// The self-check found differences inside the arms more often than it should.
    UnequalToItself,
    /// The numbers of operations offered to the arms differ by this ratio, B / A: response times answer different loads.
    UnequalLoad(f64),
}

/// How often an arm differs from itself by the same method: pseudo-pairs made of its own slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfCheck {
    /// Pseudo-comparisons made.
    pub made: u32,
    /// Those in which any metric was called different.
    pub differed: u32,
}

/// Ratio of a quantile, with its part of a simultaneous band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftPoint {
    /// The quantile, as a share.
    pub share: f64,
    /// Its value in A, ns.
    pub a: f64,
    /// Its value in B, ns.
    pub b: f64,
    /// B / A.
    pub ratio: f64,
    /// The band there: all points lie in their parts at once with the confidence asked for.
    pub band: Interval,
}

/// What a comparison says.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What evidence was counted in.
    pub unit: Unit,
    /// How many there were in each arm (of the arm with fewer).
    pub units: usize,
    /// Seconds of load in each arm (of the arm with fewer).
    pub seconds: f64,
    /// One for each metric that was asked for or measured.
    pub metrics: Vec<Compared>,
    /// What a reader must know.
    pub caveats: Vec<Caveat>,
    /// How often the arms differ from themselves; `None` if not asked for, or too few units.
    pub self_check: Option<SelfCheck>,
    /// The shift function at the deciles; empty if not asked for, or too few samples.
    pub shift: Vec<ShiftPoint>,
}

impl Comparison {
    /// The metrics that are different.
    pub fn different(&self) -> impl Iterator<Item = &Compared> {
        self.metrics.iter().filter(|metric| matches!(metric.verdict, Verdict::Different(_)))
    }

    /// Whether any metric became worse.
    pub fn any_worse(&self) -> bool {
        self.metrics.iter().any(|metric| metric.verdict == Verdict::Different(Change::Worse))
    }

    /// The row of a metric.
    pub fn of(&self, metric: &Metric) -> Option<&Compared> {
        self.metrics.iter().find(|row| row.metric == *metric)
    }
}

/// Evidence or settings that cannot be used: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as in `pair 3, arm b`.
    pub place: String,
    /// What is wrong: a lower-case fragment.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.problem, self.remedy)
    }
}
