//! Questions about a value, also as `x is name`.

use super::call::{Function, row};
use crucible_core::Value;

/// Names behind `is`, and the functions that answer them.
const IS: &[(&str, &str)] = &[
    ("defined", "is_defined"),
    ("none", "is_null"),
    ("null", "is_null"),
    ("number", "is_number"),
    ("string", "is_text"),
    ("text", "is_text"),
    ("list", "is_list"),
    ("sequence", "is_list"),
    ("mapping", "is_table"),
    ("table", "is_table"),
    ("even", "is_even"),
    ("odd", "is_odd"),
    ("starts_with", "starts_with"),
    ("startingwith", "starts_with"),
    ("ends_with", "ends_with"),
    ("endingwith", "ends_with"),
];

pub(super) const ROWS: &[Function] = &[
    Function {
        lenient: true,
        ..row(
            "is_defined",
            &["value"],
            "Whether there is one: `x is defined`.",
            ["nobody is defined", "false"],
            |call| Ok(Value::Bool(call.given(0))),
        )
    },
    row(
        "is_null",
        &["value"],
        "Whether it is null: `x is none`.",
        ["json('null') is none", "true"],
        |call| Ok(Value::Bool(*call.get(0) == Value::Null)),
    ),
    row("is_number", &["value"], "Whether it is a number.", ["'1' is number", "false"], |call| {
        Ok(Value::Bool(matches!(call.get(0), Value::Int(_) | Value::Float(_))))
    }),
    row("is_text", &["value"], "Whether it is a text: `x is string`.", ["'1' is string", "true"], |call| {
        Ok(Value::Bool(matches!(call.get(0), Value::Text(_))))
    }),
    row(
        "is_list",
        &["value"],
        "Whether it is a list: `x is sequence`.",
        ["[] is sequence", "true"],
        |call| Ok(Value::Bool(matches!(call.get(0), Value::List(_)))),
    ),
    row(
        "is_table",
        &["value"],
        "Whether it is a table: `x is mapping`.",
        ["[] is mapping", "false"],
        |call| Ok(Value::Bool(matches!(call.get(0), Value::Table(_)))),
    ),
    row("is_even", &["number"], "Whether it is even.", ["iteration is even", "false"], |call| {
        Ok(Value::Bool(call.int(0)? % 2 == 0))
    }),
    row("is_odd", &["number"], "Whether it is odd.", ["iteration is odd", "true"], |call| {
        Ok(Value::Bool(call.int(0)? % 2 != 0))
    }),
];

/// The function behind `is NAME`.
pub(crate) fn test_name(name: &str) -> Option<&'static str> {
    IS.iter().find(|(is, _)| *is == name).map(|(_, function)| *function)
}

/// All names behind `is`.
pub(crate) fn test_names() -> Vec<&'static str> {
    IS.iter().map(|(is, _)| *is).collect()
}
