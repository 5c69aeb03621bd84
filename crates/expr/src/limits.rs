//! Bounds of what an expression may be and make.

use crucible_core::Value;

/// Longest expression, in bytes.
pub(crate) const SOURCE_MAX: usize = 4 << 10;

/// Deepest nesting of a compiled expression: evaluation and dropping recurse that far.
pub(crate) const NESTING_MAX: usize = 120;

/// Largest text, in bytes, and largest list or table, in bytes as JSON would roughly need.
pub(crate) const SIZE_MAX: usize = 16 << 20;

/// Longest list.
pub(crate) const LENGTH_MAX: usize = 1 << 20;

/// Deepest list of lists. That of serde_json's parser, so that whatever it reads can be handed on.
const DEPTH_MAX: usize = 128;

/// What is told when a text would be too large.
pub(crate) fn too_large() -> String {
    format!("the result would be larger than {} MiB", SIZE_MAX >> 20)
}

/// A text of `size` bytes may be made.
pub(crate) fn size(size: usize) -> Result<(), String> {
    if size > SIZE_MAX { Err(too_large()) } else { Ok(()) }
}

/// A list of `length` values may be made.
pub(crate) fn length(length: usize) -> Result<(), String> {
    if length > LENGTH_MAX {
        Err(format!("the list would have more than {LENGTH_MAX} values"))
    } else {
        Ok(())
    }
}

/// Whether the value, with all that it shares counted as often as it is seen, is small and flat enough to be
/// written.
pub(crate) fn check(value: &Value) -> Result<(), String> {
    let mut left = SIZE_MAX;
    walk(value, DEPTH_MAX, &mut left)
}

fn walk(value: &Value, depth: usize, left: &mut usize) -> Result<(), String> {
    let cost = match value {
        Value::Text(text) => text.len() + 2,
        _ => 4,
    };
    *left = left.checked_sub(cost).ok_or_else(too_large)?;
    let deeper =
        || depth.checked_sub(1).ok_or_else(|| format!("lists are nested more than {DEPTH_MAX} deep"));
    match value {
        Value::List(list) => {
            let depth = deeper()?;
            list.iter().try_for_each(|value| walk(value, depth, left))
        }
        Value::Table(table) => {
            let depth = deeper()?;
            table.iter().try_for_each(|(name, value)| {
                *left = left.checked_sub(name.len() + 3).ok_or_else(too_large)?;
                walk(value, depth, left)
            })
        }
        _ => Ok(()),
    }
}
