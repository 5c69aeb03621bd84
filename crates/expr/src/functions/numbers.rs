//! Numbers.

use super::call::{Call, Function, row};
use crate::operators::{finite, number};
use crucible_core::Value;

pub(super) const ROWS: &[Function] = &[
    row(
        "int",
        &["value"],
        "As a whole number: a text is read, another number is cut off.",
        ["int('42') + 1", "43"],
        |call| match call.get(0) {
            Value::Bool(held) => Ok(Value::Int(i64::from(*held))),
            Value::Int(number) => Ok(Value::Int(*number)),
            Value::Text(text) if text.trim().parse::<i64>().is_ok() => call.int(0).map(Value::Int),
            _ => whole(call.float(0)?.trunc()),
        },
    ),
    row("float", &["value"], "As a number; a text is read.", ["float('2.5') * 2", "5"], |call| {
        finite(call.float(0)?)
    }),
    row("abs", &["number"], "Without its sign.", ["abs(-3)", "3"], |call| match call.get(0) {
        Value::Int(number) => number.checked_abs().map(Value::Int).ok_or("the number is too large".into()),
        _ => finite(call.float(0)?.abs()),
    }),
    row(
        "round",
        &["number", "digits?"],
        "Rounded, halves away from 0; with `digits` behind the point, else a whole number.",
        ["round(2.345, 2)", "2.35"],
        |call| {
            let number = call.float(0)?;
            if !call.given(1) {
                return match call.get(0) {
                    Value::Int(number) => Ok(Value::Int(*number)),
                    _ => whole(number.round()),
                };
            }
            let scale = 10f64.powi(call.int(1)?.clamp(-15, 15) as i32);
            finite((number * scale).round() / scale)
        },
    ),
    row("floor", &["number"], "The next whole number below.", ["floor(-2.5)", "-3"], |call| {
        whole(call.float(0)?.floor())
    }),
    row("ceil", &["number"], "The next whole number above.", ["ceil(2.1)", "3"], |call| {
        whole(call.float(0)?.ceil())
    }),
    row(
        "clamp",
        &["number", "low", "high"],
        "The number, or the bound that it is beyond.",
        ["clamp(normal(500, 0), 1, 100)", "100"],
        |call| {
            let (value, low, high) = (call.float(0)?, call.float(1)?, call.float(2)?);
            let nearest = if value < low {
                1
            } else if value > high {
                2
            } else {
                0
            };
            Ok(call.get(nearest).clone())
        },
    ),
    row("min", &["*numbers"], "The smallest of some numbers, or of a list.", ["min(3, 1, 2)", "1"], |call| {
        extreme(call, |a, b| a < b)
    }),
    row("max", &["*numbers"], "The largest of some numbers, or of a list.", ["[3, 1] | max", "3"], |call| {
        extreme(call, |a, b| a > b)
    }),
    row("sum", &["list"], "The sum of a list of numbers.", ["sum([1, 2.5])", "3.5"], |call| {
        let items = call.list(0)?;
        let mut total = Value::Int(0);
        for item in items {
            let add = crate::operators::Operation::Add;
            number(item).ok_or_else(|| format!("{} cannot be summed", item.kind_name()))?;
            total = crate::operators::arithmetic(add, total, item.clone())?;
        }
        Ok(total)
    }),
];

fn whole(number: f64) -> Result<Value, String> {
    if number.abs() < 9.2e18 { Ok(Value::Int(number as i64)) } else { Err("the number is too large".into()) }
}

fn extreme(call: &Call<'_>, better: fn(f64, f64) -> bool) -> Result<Value, String> {
    let items = match call.arguments {
        [Value::List(items)] => items,
        items => items,
    };
    let mut best: Option<(&Value, f64)> = None;
    for item in items {
        let value = number(item).ok_or_else(|| format!("{} is no number", item.kind_name()))?;
        if best.is_none_or(|(_, so_far)| better(value, so_far)) {
            best = Some((item, value));
        }
    }
    best.map(|(item, _)| item.clone()).ok_or_else(|| "there are no numbers".into())
}
