//! Figures of values: of the plan's own measures, and of what monitors read.
//!
//! Which side of a limit is good does not follow from the figure (a queue should be short, a pool should be full), so it
//! is a part of the threshold: [`Measure::Value`](super::Measure::Value) holds it.

use super::{Better, LimitUnit};

/// A figure of a series of values.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueMeasure {
    /// Their sum.
    Total,
    /// Their sum per second.
    Rate,
    /// The last one.
    Last,
    /// Their mean.
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The value at this share of them, above 0 and below 1.
    Percentile(f64),
    /// The share that holds.
    Share,
    /// The share of one mark of a tally.
    Mark(String),
    /// How far the share of any mark of a tally lies from the share that the plan expects of it, at most.
    Split,
    /// The longest time for which the value lay above this.
    Above(f64),
    /// The longest time for which it lay below this.
    Below(f64),
    /// How much it grows a minute without an end in sight.
    Leak,
}

impl ValueMeasure {
    /// The words that stand alone, for hints.
    pub const WORDS: [&'static str; 12] =
        ["total", "rate", "last", "avg", "min", "max", "p50", "p95", "p99", "share", "split", "leak"];

    /// The word used in plans, records and reports; for marks and stretches, words.
    pub fn name(&self) -> String {
        match self {
            ValueMeasure::Total => "total".into(),
            ValueMeasure::Rate => "rate".into(),
            ValueMeasure::Last => "last".into(),
            ValueMeasure::Average => "avg".into(),
            ValueMeasure::Min => "min".into(),
            ValueMeasure::Max => "max".into(),
            ValueMeasure::Percentile(share) => super::text::percentile_name(*share),
            ValueMeasure::Share => "share".into(),
            ValueMeasure::Mark(mark) => format!("share of {mark}"),
            ValueMeasure::Split => "split".into(),
            ValueMeasure::Above(limit) => format!("time above {limit}"),
            ValueMeasure::Below(limit) => format!("time below {limit}"),
            ValueMeasure::Leak => "leak".into(),
        }
    }

    /// Reads a word of [`ValueMeasure::WORDS`] or a percentile. The error is a hint.
    pub fn parse(text: &str) -> Result<ValueMeasure, String> {
        if let Some(share) = super::text::percentile(text) {
            return share.map(ValueMeasure::Percentile);
        }
        Ok(match text {
            "total" => ValueMeasure::Total,
            "rate" => ValueMeasure::Rate,
            "last" => ValueMeasure::Last,
            "avg" => ValueMeasure::Average,
            "min" => ValueMeasure::Min,
            "max" => ValueMeasure::Max,
            "share" => ValueMeasure::Share,
            "split" => ValueMeasure::Split,
            "leak" => ValueMeasure::Leak,
            _ => return Err(crate::fields::suggest(text, &ValueMeasure::WORDS)),
        })
    }

    /// The side that a limit without a sign means; `None` where only a sign can tell.
    pub const fn usual(&self) -> Option<Better> {
        match self {
            ValueMeasure::Min => Some(Better::Higher),
            ValueMeasure::Total | ValueMeasure::Rate | ValueMeasure::Last => None,
            ValueMeasure::Share | ValueMeasure::Mark(_) => None,
            _ => Some(Better::Lower),
        }
    }

    /// What kind of quantity its limits are.
    pub const fn unit(&self) -> LimitUnit {
        match self {
            ValueMeasure::Share | ValueMeasure::Mark(_) | ValueMeasure::Split => LimitUnit::Share,
            ValueMeasure::Above(_) | ValueMeasure::Below(_) => LimitUnit::Duration,
            ValueMeasure::Rate => LimitUnit::Rate,
            _ => LimitUnit::Number,
        }
    }
}
