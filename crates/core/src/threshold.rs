//! A threshold: what is demanded of a subject, in ordered bands without holes.
//!
//! The record stores thresholds in their canonical text, so that a verdict can be made again from the record
//! alone; `Display` and `FromStr` are inverse, bit for bit, for every threshold with finite limits and shares
//! of percentiles above 0 and below 1. The canonical text is
//!
//! ```text
//! SUBJECT MEASURE BAND<=LIMIT... [over SPAN] [abort] [after SPAN] [implied]
//! "run python" p95 target<=500ms acceptable<=1s over 30s abort after 10s implied
//! ```
//!
//! with `>=` for measures of which more is better. Names of steps and scenarios stand in quotes; names of bands
//! do so where they must. The plan's own measures and what monitors read are subjects of their own:
//!
//! ```text
//! measure "worker" mark "celery" target>=45%
//! series "api" "cpu" above 0.7 target<=300s
//! ```

mod text;
mod value;

pub use text::{ThresholdError, parse_share_exact};
pub use value::ValueMeasure;

use crate::Ns;

/// What a threshold looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Every step together (written `*`).
    All,
    /// Every step, each on its own (written `each`).
    Each,
    /// One step by name.
    Step(String),
    /// All steps of one scenario (written `scenario NAME`).
    Scenario(String),
    /// A measure of the plan's own (written `measure NAME`).
    Measure(String),
    /// What a monitor reads (written `series COMPONENT NAME`).
    Series {
        /// The component, as in `api`.
        component: String,
        /// The series within it, as in `cpu`.
        name: String,
    },
}

/// The figure that is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A percentile of response time, as a share: 0.95 for `p95`; limits are nanoseconds.
    Percentile(f64),
    /// A percentile of service time (`service.p95`).
    ServicePercentile(f64),
    /// Mean response time.
    Average,
    /// Smallest response time.
    Min,
    /// Largest response time.
    Max,
    /// Standard deviation of response time.
    Stddev,
    /// Errors as a share of ended operations.
    Errors,
    /// Errors of one class (`errors.timeout`), as a share of ended operations.
    ErrorsOf(crate::ErrorClass),
    /// `Ok` operations per second.
    Throughput,
    /// Checks that held, as a share of those that were made.
    Checks,
    /// Arrivals that were dropped, as a share of planned ones.
    Dropped,
    /// A figure of a measure of the plan's own or of a series, with the side of its limits that is good. Limits are in
    /// the unit of the values.
    Value(ValueMeasure, Better),
}

/// Which side of a limit is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// At most the limit.
    Lower,
    /// At least the limit.
    Higher,
}

/// One cut point: values on its good side (and on the bad side of the band before) belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// Its name, as in `target` or `acceptable`.
    pub name: String,
    /// Nanoseconds, share or operations per second, after the measure.
    pub limit: f64,
}

/// See the module text.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What it looks at.
    pub subject: Subject,
    /// The figure.
    pub measure: Measure,
    /// Cut points from the best to the last acceptable one; beyond the last is a failure. Never empty.
    pub bands: Vec<Band>,
    /// Demanded of every stretch of this length, not of the whole test.
    pub over: Option<Ns>,
    /// End the test as soon as it is broken.
    pub abort: bool,
    /// Not looked at before this time into the test (for `abort` and `over`).
    pub after: Ns,
    /// Put in by us because the plan demands nothing of errors.
    pub implied: bool,
}

impl Measure {
    /// Which side of a limit is good.
    pub const fn better(&self) -> Better {
        match self {
            Measure::Throughput | Measure::Checks => Better::Higher,
            Measure::Value(_, better) => *better,
            _ => Better::Lower,
        }
    }

    /// What kind of quantity its values and limits are.
    pub const fn unit(&self) -> LimitUnit {
        match self {
            Measure::Percentile(_)
            | Measure::ServicePercentile(_)
            | Measure::Average
            | Measure::Min
            | Measure::Max
            | Measure::Stddev => LimitUnit::Duration,
            Measure::Errors | Measure::ErrorsOf(_) | Measure::Checks | Measure::Dropped => LimitUnit::Share,
            Measure::Throughput => LimitUnit::Rate,
            Measure::Value(value, _) => value.unit(),
        }
    }
}

/// What kind of quantity a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUnit {
    /// Nanoseconds.
    Duration,
    /// A share from 0 to 1, written as a percentage.
    Share,
    /// Operations, or units of a measure, per second.
    Rate,
    /// A number in the unit of the measure or series.
    Number,
}
