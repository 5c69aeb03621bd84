//! What a search found.

use super::Purpose;
use crucible_core::Ns;

/// How the system gives way at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It gets worse step by step: a little more load costs a little more.
    Slope,
    /// All is well up to the edge and far beyond the limit just above it.
    Cliff,
}

/// How sure a statement is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// Probability that the capacity is within 2 % of the estimate (users: that it is exactly it), from 0 to 1.
    pub probability: f64,
    /// `high`, `medium` or `low`, and why if not high.
    pub words: &'static str,
}

/// A highest load at which a predicate holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The median of what is known about it. Whole for users.
    pub estimate: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// How the system gives way there.
    pub shape: Shape,
    /// Index of the predicate that gives way first, in the settings.
    pub predicate: usize,
    /// Its name.
    pub name: String,
}

/// What the search says in the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// There is an edge, and this is where.
    Edge(Edge),
    /// All targets held up to the highest load tried: the capacity is not below it, and more is not known.
    NoEdge {
        /// The highest load at which they were seen to hold.
        highest: f64,
    },
    /// A target did not hold even at the lowest load.
    NeverHeld {
        /// The lowest load tried.
        lowest: f64,
        /// The predicate that did not hold.
        name: String,
    },
    /// The measurements do not decide, and why.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// Two capacities: on the way up and on the way down.
#[derive(Clone, Debug, PartialEq)]
pub struct Hysteresis {
    /// Highest load that held on the way down, after overload.
    pub down: f64,
    /// Lowest load that still failed on the way down; what lies between is not known.
    pub still_failing: f64,
    /// Whether `down` is below the interval of the way up: then the load of the way up is not safe.
    pub differs: bool,
}

/// What became of the system after a load that it could not bear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovery {
    /// The load that it failed under.
    pub after: f64,
    /// The low load under which it was watched.
    pub at: f64,
    /// Time until it was well again; `None` if it was not seen to be.
    pub took: Option<Ns>,
}

/// One point of the curve.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    /// Arrivals a second or users.
    pub load: f64,
    /// Operations that ended well, a second.
    pub throughput: f64,
    /// Median response time.
    pub p50: Option<Ns>,
    /// 95th percentile.
    pub p95: Option<Ns>,
    /// 99th percentile.
    pub p99: Option<Ns>,
    /// Per predicate: what was seen as a ratio of what is allowed.
    pub ratios: Vec<Option<f64>>,
    /// Time of load behind it.
    pub time: Ns,
}

/// Where the curve bends most. For a picture only: it depends on the axes, and is no capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knee {
    /// Load at the bend.
    pub load: f64,
    /// Throughput there.
    pub throughput: f64,
}

/// All that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The capacity, or why there is none.
    pub answer: Answer,
    /// The largest load to run at in normal times: the safe end of the interval (of the way down, if lower) less the
    /// headroom.
    pub recommended: Option<f64>,
    /// The headroom taken off, as a share.
    pub headroom: f64,
    /// How sure the capacity is.
    pub confidence: Option<Confidence>,
    /// Where the system breaks, if breaking predicates were given and one gave way.
    pub breaking: Option<Edge>,
    /// The way down, if asked for.
    pub hysteresis: Option<Hysteresis>,
    /// Recoveries, in their order.
    pub recoveries: Vec<Recovery>,
    /// Trials that were ended early because they were hopeless, and the time that this saved.
    pub cut: (u32, Ns),
    /// Throughput and response time against load, by rising load.
    pub curve: Vec<CurvePoint>,
    /// Where the curve bends most: for a picture only.
    pub knee: Option<Knee>,
    /// Time of load used.
    pub spent: Ns,
    /// Number of trials.
    pub trials: u32,
    /// What a reader should know: sentences.
    pub remarks: Vec<String>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub purpose: Purpose,
    /// The 95 % interval so far; the upper end is infinite while nothing has failed.
    pub interval: (f64, f64),
    /// The best single value so far.
    pub estimate: Option<f64>,
    /// Time of load used.
    pub spent: Ns,
    /// Time of load left.
    pub left: Ns,
    /// Trials made.
    pub trials: u32,
}
