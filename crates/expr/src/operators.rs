//! Arithmetic, comparison and text of values, as Python has them.

use crate::limits;
use crucible_core::Value;
use std::cmp::Ordering;
use std::fmt::Write as _;

/// What makes one value of two.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

/// What two values can be to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

impl Operation {
    fn sign(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
            Operation::Divide => "/",
            Operation::FloorDivide => "//",
            Operation::Remainder => "%",
            Operation::Power => "**",
        }
    }
}

pub(crate) fn arithmetic(operation: Operation, left: Value, right: Value) -> Result<Value, String> {
    match (operation, &left, &right) {
        (_, Value::Int(a), Value::Int(b)) => whole(operation, *a, *b),
        (Operation::Add, Value::Text(a), Value::Text(b)) => {
            limits::size(a.len() + b.len())?;
            Ok(Value::Text([&**a, &**b].concat().into()))
        }
        (Operation::Add, Value::List(a), Value::List(b)) => {
            limits::length(a.len() + b.len())?;
            Ok(Value::List(a.iter().chain(b.iter()).cloned().collect()))
        }
        (Operation::Multiply, Value::Text(text), Value::Int(times))
        | (Operation::Multiply, Value::Int(times), Value::Text(text)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            limits::size(text.len().saturating_mul(times))?;
            Ok(Value::Text(text.repeat(times).into()))
        }
        (Operation::Multiply, Value::List(list), Value::Int(times))
        | (Operation::Multiply, Value::Int(times), Value::List(list)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            limits::length(list.len().saturating_mul(times))?;
            Ok(Value::List(list.iter().cycle().take(list.len() * times).cloned().collect()))
        }
        _ => match (number(&left), number(&right)) {
            (Some(a), Some(b)) => real(operation, a, b),
            _ => Err(unfit(operation, &left, &right)),
        },
    }
}

fn unfit(operation: Operation, left: &Value, right: &Value) -> String {
    let sign = operation.sign();
    let remedy = match (left, right) {
        (Value::Text(_), _) | (_, Value::Text(_)) => {
            "; make a number with int() or float(), join texts with ~"
        }
        _ => "",
    };
    format!("{} {sign} {} means nothing{remedy}", left.kind_name(), right.kind_name())
}

fn whole(operation: Operation, a: i64, b: i64) -> Result<Value, String> {
    let result = match operation {
        Operation::Add => a.checked_add(b),
        Operation::Subtract => a.checked_sub(b),
        Operation::Multiply => a.checked_mul(b),
        Operation::Divide | Operation::FloorDivide | Operation::Remainder if b == 0 => {
            return Err(format!("{a} {} 0: division by zero", operation.sign()));
        }
        Operation::Divide => return real(operation, a as f64, b as f64),
        // Python: rounded down, the remainder has the sign of the divisor
        Operation::FloorDivide => {
            a.checked_div(b).map(|quotient| quotient - i64::from(a % b != 0 && (a < 0) != (b < 0)))
        }
        Operation::Remainder => {
            a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Operation::Power if b < 0 => return real(operation, a as f64, b as f64),
        Operation::Power => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    };
    result.map(Value::Int).ok_or_else(|| format!("{a} {} {b} does not fit into 64 bits", operation.sign()))
}

fn real(operation: Operation, a: f64, b: f64) -> Result<Value, String> {
    let result = match operation {
        Operation::Add => a + b,
        Operation::Subtract => a - b,
        Operation::Multiply => a * b,
        Operation::Divide | Operation::FloorDivide | Operation::Remainder if b == 0.0 => {
            return Err(format!("{a} {} 0: division by zero", operation.sign()));
        }
        Operation::Divide => a / b,
        Operation::FloorDivide => (a / b).floor(),
        Operation::Remainder => a - b * (a / b).floor(),
        Operation::Power => a.powf(b),
    };
    finite(result).map_err(|_| format!("{a} {} {b} is no finite number", operation.sign()))
}

/// A number that JSON can hold.
pub(crate) fn finite(number: f64) -> Result<Value, String> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err("the result is no finite number".into()) }
}

pub(crate) fn negative(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or("the number is too large".into()),
        Value::Float(number) => Ok(Value::Float(-number)),
        other => Err(format!("{} has no negative", other.kind_name())),
    }
}

pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

pub(crate) fn relation(relation: Relation, left: &Value, right: &Value) -> Result<bool, String> {
    match relation {
        Relation::Equal => Ok(equal(left, right)),
        Relation::Unequal => Ok(!equal(left, right)),
        Relation::In => contains(right, left),
        Relation::NotIn => Ok(!contains(right, left)?),
        _ => {
            let Some(order) = order(left, right) else {
                let kinds = (left.kind_name(), right.kind_name());
                return Err(format!("{} and {} have no order; see int() and float()", kinds.0, kinds.1));
            };
            Ok(match relation {
                Relation::Less => order.is_lt(),
                Relation::LessOrEqual => order.is_le(),
                Relation::Greater => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

/// Equality; whole and other numbers are one kind, also inside lists and tables.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(whole), Value::Float(number)) | (Value::Float(number), Value::Int(whole)) => {
            *number == *whole as f64
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Table(a), Value::Table(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1))
        }
        _ => left == right,
    }
}

/// The order of two numbers, texts (by code point), truths, or lists of such.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::List(a), Value::List(b)) => {
            for (a, b) in a.iter().zip(b.iter()) {
                match order(a, b)? {
                    Ordering::Equal => {}
                    unequal => return Some(unequal),
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        _ => number(left)?.partial_cmp(&number(right)?),
    }
}

fn contains(all: &Value, one: &Value) -> Result<bool, String> {
    match (all, one) {
        (Value::Text(all), Value::Text(one)) => Ok(all.contains(&**one)),
        (Value::List(all), one) => Ok(all.iter().any(|item| equal(item, one))),
        (Value::Table(all), Value::Text(one)) => Ok(all.contains_key(&**one)),
        (Value::Table(_), _) => Ok(false),
        _ => Err(format!("{} cannot be in {}", one.kind_name(), all.kind_name())),
    }
}

/// Appends a value as it stands in a request; see [`Value::write`].
pub(crate) fn append(value: &Value, out: &mut String) -> Result<(), String> {
    // writing to a String cannot fail
    let _ = match value {
        Value::Absent => Ok(()),
        Value::Null => out.write_str("null"),
        Value::Bool(held) => write!(out, "{held}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) => write!(out, "{number}"),
        Value::Text(text) => out.write_str(text),
        Value::List(_) | Value::Table(_) => {
            limits::check(value)?;
            write!(out, "{}", value.to_json())
        }
    };
    Ok(())
}
