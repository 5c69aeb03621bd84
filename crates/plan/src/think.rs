//! Think times: `1s..3s`, `500ms`, `{normal: {mean: 2s, deviation: 500ms}}`, `{exponential: 2s}`.

use crate::Think;
use crucible_core::{Fields, Key, NodeKind, Ns, units};

/// Forms of a think time that is a table.
pub(crate) const THINK_KEYS: &[Key] = &[
    Key {
        name: "normal",
        schema: r##"{"$ref": "#/$defs/normal"}"##,
        doc: "Normal distribution, cut off at 0.",
        example: "{mean: 2s, deviation: 500ms}",
    },
    Key {
        name: "exponential",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Exponential distribution with this mean.",
        example: "2s",
    },
];

/// Keys of a normal distribution.
pub(crate) const NORMAL_KEYS: &[Key] = &[
    Key { name: "mean", schema: r##"{"$ref": "#/$defs/duration"}"##, doc: "Its mean.", example: "2s" },
    Key {
        name: "deviation",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Its standard deviation.",
        example: "500ms",
    },
];

/// The pause under `key`; `None` if there is none or it cannot be read.
pub(crate) fn read(fields: &Fields<'_>, key: &'static str) -> Option<Think> {
    let node = fields.get(key)?;
    if !matches!(node.kind, NodeKind::Map(_)) {
        return fields.parse(key, parse);
    }
    let table = fields.table(key)?;
    table.expect(THINK_KEYS);
    let normal = table.table("normal");
    let exponential = table.duration("exponential");
    let think = match (normal, exponential) {
        (Some(normal), None) => {
            normal.expect(NORMAL_KEYS);
            let (mean, deviation) = (normal.duration("mean"), normal.duration("deviation"));
            normal.finish();
            match (mean, deviation) {
                (Some(mean), Some(deviation)) => Some(Think::Normal { mean, deviation }),
                _ => {
                    let hint = "write `{normal: {mean: 2s, deviation: 500ms}}`";
                    table.error("normal", "a mean and a deviation are needed", hint);
                    None
                }
            }
        }
        (None, Some(mean)) => Some(Think::Exponential { mean }),
        (Some(_), Some(_)) => {
            table.error("exponential", "two distributions in one think time", "keep one of the two");
            None
        }
        (None, None) => {
            if !table.has("normal") && !table.has("exponential") {
                fields.error(key, "this says no time", "write `1s..3s` or `{exponential: 2s}`");
            }
            None
        }
    };
    table.finish();
    think
}

/// `500ms` or `1s..3s`. The error is a hint.
fn parse(text: &str) -> Result<Think, String> {
    let Some((low, high)) = text.split_once("..") else {
        return units::parse_duration(text).map(|span| match span {
            Ns::ZERO => Think::None,
            span => Think::Constant(span),
        });
    };
    let (low, high) = (units::parse_duration(low)?, units::parse_duration(high)?);
    match low.cmp(&high) {
        std::cmp::Ordering::Less => Ok(Think::Uniform(low, high)),
        std::cmp::Ordering::Equal => Ok(Think::Constant(low)),
        std::cmp::Ordering::Greater => Err(format!("the shorter one comes first: {high}..{low}")),
    }
}
