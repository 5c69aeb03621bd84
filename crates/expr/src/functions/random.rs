//! Values from the user's own random stream: the same seed gives the same values.

use super::call::{Call, Function, list, row, text};
use crate::limits;
use crate::operators::{self, finite};
use base64::Engine as _;
use crucible_core::{Rng, Value};

pub(super) const ROWS: &[Function] = &[
    row(
        "random",
        &["low", "high"],
        "A whole number, uniform, both ends possible.",
        ["random(1, 6)", "5"],
        |call| {
            let (low, high) = (call.int(0)?, call.int(1)?);
            ordered(low <= high)?;
            let above = call.scope.rng.between(0, high.abs_diff(low));
            Ok(Value::Int(low.wrapping_add_unsigned(above)))
        },
    ),
    row(
        "random_float",
        &["low?", "high?"],
        "A number from `low` (0) up to below `high` (1), uniform.",
        ["random_float() < 1", "true"],
        |call| {
            let low = if call.given(0) { call.float(0)? } else { 0.0 };
            let high = if call.given(1) { call.float(1)? } else { 1.0 };
            ordered(low <= high)?;
            finite(low + (high - low) * call.scope.rng.unit())
        },
    ),
    row(
        "choice",
        &["*items", "weights?"],
        "One of the items, of the one list given, or a name of the one table given whose values are then the weights. \
         `weights` is a list as long as the items.",
        ["choice({'read': 9, 'write': 0})", "read"],
        choice,
    ),
    row("shuffle", &["list"], "The list in random order.", ["shuffle([1, 2, 3]) | length", "3"], |call| {
        let items = call.list(0)?;
        sample(items, items.len(), &mut call.scope.rng)
    }),
    row(
        "sample",
        &["list", "count"],
        "So many different items of the list, in random order.",
        ["sample([7, 7, 7], 2)", "[7,7]"],
        |call| {
            let (items, count) = (call.list(0)?, call.size(1)?);
            if count > items.len() {
                return Err(format!("the list has {} items, {count} are asked for", items.len()));
            }
            sample(items, count, &mut call.scope.rng)
        },
    ),
    row("uuid", &[], "A version 4 UUID (RFC 9562).", ["uuid() | length", "36"], |call| {
        let (a, b) = (call.scope.rng.next_u64(), call.scope.rng.next_u64());
        let (time, random) = (a & !0xf000 | 0x4000, b & !(0b11 << 62) | (0b10 << 62));
        let (low, mid, high) = (time >> 32, time >> 16 & 0xffff, time & 0xffff);
        text(format!(
            "{low:08x}-{mid:04x}-{high:04x}-{:04x}-{:012x}",
            random >> 48,
            random & 0xffff_ffff_ffff
        ))
    }),
    row(
        "random_text",
        &["size", "letters?"],
        "So many characters, each one of `letters` (A-Z, a-z and 0-9).",
        ["random_text(4, 'x')", "xxxx"],
        |call| {
            const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
            let (size, letters) = (call.size(0)?, call.text_or(1, LETTERS)?);
            if letters.is_empty() {
                return Err("`letters` is empty".into());
            }
            drawn(size, &letters, &mut call.scope.rng)
        },
    ),
    row("random_hex", &["size"], "So many hexadecimal digits.", ["random_hex(8) | length", "8"], |call| {
        let size = call.size(0)?;
        drawn(size, "0123456789abcdef", &mut call.scope.rng)
    }),
    row(
        "random_bytes",
        &["size"],
        "So many random bytes, which do not compress, in Base64: the text is a third longer.",
        ["random_bytes(3) | length", "4"],
        |call| {
            let size = call.size(0)?;
            limits::size(size.div_ceil(3) * 4)?;
            let mut bytes = Vec::with_capacity(size + 8);
            while bytes.len() < size {
                bytes.extend_from_slice(&call.scope.rng.next_u64().to_le_bytes());
            }
            text(base64::engine::general_purpose::STANDARD.encode(&bytes[..size]))
        },
    ),
    row(
        "uniform",
        &["low", "high"],
        "As random() if both ends are whole, else as random_float(): a size, a price.",
        ["uniform(5, 5)", "5"],
        |call| {
            let (low, high) = (call.float(0)?, call.float(1)?);
            ordered(low <= high)?;
            if let (Ok(low), Ok(high)) = (call.int(0), call.int(1)) {
                let above = call.scope.rng.between(0, high.abs_diff(low));
                return Ok(Value::Int(low.wrapping_add_unsigned(above)));
            }
            finite(low + (high - low) * call.scope.rng.unit())
        },
    ),
    row(
        "normal",
        &["mean", "deviation"],
        "Normal; see clamp() for bounds.",
        ["normal(10, 0)", "10"],
        |call| {
            let (mean, deviation) = (call.float(0)?, call.float(1)?);
            finite(mean + deviation * call.scope.rng.normal())
        },
    ),
    row(
        "lognormal",
        &["median", "sigma"],
        "Log-normal: the median times e to a normal number with deviation `sigma`. Sizes of documents are like that.",
        ["lognormal(2048, 0)", "2048"],
        |call| {
            let (median, sigma) = (call.float(0)?, call.float(1)?);
            finite(median * (sigma * call.scope.rng.normal()).exp())
        },
    ),
    row("exponential", &["mean"], "Exponential, by inversion.", ["exponential(5) >= 0", "true"], |call| {
        let mean = call.float(0)?;
        finite(mean * call.scope.rng.exponential())
    }),
    row(
        "pareto",
        &["least", "shape"],
        "Pareto, by inversion: few large, many small. A shape of 1.16 is the rule of 80 and 20.",
        ["pareto(10, 2) >= 10", "true"],
        |call| {
            let (least, shape) = (call.float(0)?, call.float(1)?);
            if shape <= 0.0 {
                return Err("the shape is above 0".into());
            }
            finite(least * (call.scope.rng.exponential() / shape).exp())
        },
    ),
];

fn ordered(ordered: bool) -> Result<(), String> {
    if ordered { Ok(()) } else { Err("the smaller number comes first, as in random(1, 100)".into()) }
}

fn choice(call: &mut Call<'_>) -> Result<Value, String> {
    let items: &[Value] = match call.arguments {
        [_, Value::List(items)] => items,
        [weights, Value::Table(table)] if *weights == Value::Absent => {
            let index = weighted(table.values(), &mut call.scope.rng)?;
            return Ok(table.keys().nth(index).map(|name| Value::text(name)).unwrap_or_default());
        }
        [_, items @ ..] => items,
        [] => &[],
    };
    if items.is_empty() {
        return Err("there is nothing to choose from".into());
    }
    let index = match call.get(0) {
        Value::List(weights) if weights.len() == items.len() => {
            weighted(weights.iter(), &mut call.scope.rng)?
        }
        Value::List(weights) => {
            return Err(format!("{} weights are given for {} items", weights.len(), items.len()));
        }
        Value::Absent => call.scope.rng.between(0, items.len() as u64 - 1) as usize,
        _ => return Err(call.unfit(0, "a list of weights")),
    };
    items.get(index).cloned().ok_or_else(|| "there is nothing to choose from".into())
}

/// An index drawn in proportion to the weights.
fn weighted<'a>(weights: impl Iterator<Item = &'a Value> + Clone, rng: &mut Rng) -> Result<usize, String> {
    let weight = |value: &Value| operators::number(value).filter(|weight| *weight >= 0.0);
    let mut total = 0.0;
    for value in weights.clone() {
        total += weight(value).ok_or("weights are numbers from 0")?;
    }
    if !(total > 0.0 && total.is_finite()) {
        return Err("the weights sum to nothing".into());
    }
    let mut point = rng.unit() * total;
    let mut last = 0;
    for (index, value) in weights.enumerate() {
        let weight = weight(value).unwrap_or(0.0);
        if weight > 0.0 {
            last = index;
            if point < weight {
                return Ok(index);
            }
            point -= weight;
        }
    }
    Ok(last)
}

/// The first `count` of a shuffle (Fisher and Yates 1938, as Durstenfeld 1964 has it).
fn sample(items: &[Value], count: usize, rng: &mut Rng) -> Result<Value, String> {
    let mut items = items.to_vec();
    for index in 0..count.min(items.len()) {
        let other = rng.between(index as u64, items.len() as u64 - 1) as usize;
        items.swap(index, other);
    }
    items.truncate(count);
    list(items)
}

fn drawn(size: usize, letters: &str, rng: &mut Rng) -> Result<Value, String> {
    let mut made = String::with_capacity(size);
    if letters.is_ascii() && letters.len() <= 256 {
        // one draw gives two letters: with 32 bits each, a letter's share is off by at most 2^-24 of it
        let letters = letters.as_bytes();
        let mut bits = 0;
        for index in 0..size {
            bits = if index % 2 == 0 { rng.next_u64() } else { bits >> 32 };
            let pick = ((bits & 0xffff_ffff) * letters.len() as u64) >> 32;
            made.push(char::from(letters[pick as usize]));
        }
        return text(made);
    }
    let letters: Vec<char> = letters.chars().collect();
    for _ in 0..size {
        made.push(letters[rng.between(0, letters.len() as u64 - 1) as usize]);
    }
    text(made)
}
