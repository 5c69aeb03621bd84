//! Parts of texts, lists and tables: `x.name`, `x[i]`, `x[a:b:c]`, as Python has them.

use crate::limits;
use crucible_core::Value;

pub(crate) fn attribute(of: &Value, name: &str) -> Result<Option<Value>, String> {
    match of {
        Value::Table(table) => Ok(table.get(name).cloned()),
        other => Err(format!("{} has no parts with names, such as `{name}`", other.kind_name())),
    }
}

pub(crate) fn item(of: &Value, index: &Value) -> Result<Option<Value>, String> {
    match (of, index) {
        (Value::Table(table), Value::Text(name)) => Ok(table.get(&**name).cloned()),
        (Value::Table(table), number @ Value::Int(_)) => Ok(table.get(&number.to_string()).cloned()),
        (Value::List(list), _) => {
            let index = position(index_of(index)?, list.len());
            Ok(index.and_then(|index| list.get(index)).cloned())
        }
        (Value::Text(text), _) => {
            let index = index_of(index)?;
            let found = match usize::try_from(index) {
                Ok(index) => text.chars().nth(index),
                Err(_) => usize::try_from(-(index + 1)).ok().and_then(|index| text.chars().rev().nth(index)),
            };
            Ok(found.map(|c| Value::text(c.encode_utf8(&mut [0; 4]))))
        }
        _ => Err(format!("{} has no parts", of.kind_name())),
    }
}

pub(crate) fn nothing_at(of: &Value, index: &Value) -> String {
    format!("{} has nothing at `{index}`", of.kind_name())
}

pub(crate) fn index_of(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(index) => Ok(*index),
        Value::Float(index) if index.fract() == 0.0 && index.abs() < 1e15 => Ok(*index as i64),
        other => Err(format!("a place in a list is a whole number, not {}", other.kind_name())),
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok()
    }
}

/// `of[start:stop:step]`; places outside are cut off at the ends.
pub(crate) fn slice(of: &Value, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Value, String> {
    if step == 0 {
        return Err("the step of a slice cannot be 0".into());
    }
    match of {
        Value::List(list) => Ok(Value::List(
            places(list.len(), start, stop, step).filter_map(|index| list.get(index).cloned()).collect(),
        )),
        Value::Text(text) if text.is_ascii() => {
            let bytes = text.as_bytes();
            let taken: String = places(bytes.len(), start, stop, step)
                .filter_map(|index| bytes.get(index).map(|byte| char::from(*byte)))
                .collect();
            Ok(Value::Text(taken.into()))
        }
        Value::Text(text) => {
            limits::size(text.len())?;
            let chars: Vec<char> = text.chars().collect();
            let taken: String = places(chars.len(), start, stop, step)
                .filter_map(|index| chars.get(index).copied())
                .collect();
            Ok(Value::Text(taken.into()))
        }
        other => Err(format!("{} has no parts", other.kind_name())),
    }
}

fn places(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = length as i64;
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(bound) if bound < 0 => bound.saturating_add(length).max(lowest),
        Some(bound) => bound.min(highest),
    };
    let (start, stop) = match step > 0 {
        true => (place(start, 0), place(stop, length)),
        false => (place(start, length - 1), place(stop, -1)),
    };
    let mut next = Some(start);
    std::iter::from_fn(move || {
        let here = next.filter(|here| if step > 0 { *here < stop } else { *here > stop })?;
        next = here.checked_add(step);
        usize::try_from(here).ok()
    })
}
