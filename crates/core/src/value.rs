//! A value that a virtual user carries: taken from an answer, from a feeder, or made by an expression.
//!
//! Copying one never copies text: texts, lists and tables are shared.

use crate::{Node, NodeKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// See the module text.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing has been put here.
    #[default]
    Absent,
    /// JSON's `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// Values in order.
    List(Arc<[Value]>),
    /// Values by name.
    Table(Arc<BTreeMap<String, Value>>),
}

impl Value {
    /// Text.
    pub fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    /// Whether a condition that comes to this value holds: everything but absence, null, false, 0, and what is
    /// empty.
    pub fn holds(&self) -> bool {
        match self {
            Value::Absent | Value::Null => false,
            Value::Bool(held) => *held,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Table(table) => !table.is_empty(),
        }
    }

    /// As a number: numbers, truth (0 and 1), and texts that read as one number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Bool(held) => Some(f64::from(u8::from(*held))),
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// Appends it as it stands in a request: texts bare, numbers in decimal, lists and tables as JSON, nothing for
    /// absence.
    pub fn write(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // writing to a Vec cannot fail
        let _ = match self {
            Value::Absent => Ok(()),
            Value::Null => out.write_all(b"null"),
            Value::Bool(held) => write!(out, "{held}"),
            Value::Int(number) => write!(out, "{number}"),
            Value::Float(number) => write!(out, "{number}"),
            Value::Text(text) => out.write_all(text.as_bytes()),
            Value::List(_) | Value::Table(_) => write!(out, "{}", self.to_json()),
        };
    }

    /// Appends it as JSON, as [`Value::to_json`] has it.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let text = |text: &str, out: &mut Vec<u8>| {
            // writing to a Vec cannot fail
            let _ = serde_json::to_writer(out, text);
        };
        match self {
            Value::Absent | Value::Null => out.extend_from_slice(b"null"),
            Value::Float(number) if !number.is_finite() => out.extend_from_slice(b"null"),
            Value::Bool(_) | Value::Int(_) => self.write(out),
            Value::Float(number) => {
                let _ = serde_json::to_writer(out, number);
            }
            Value::Text(own) => text(own, out),
            Value::List(list) => {
                out.push(b'[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    value.write_json(out);
                }
                out.push(b']');
            }
            Value::Table(table) => {
                out.push(b'{');
                for (index, (name, value)) in table.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    text(name, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    /// As JSON; absence and numbers that JSON does not know become `null`.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Absent | Value::Null => Json::Null,
            Value::Bool(held) => Json::Bool(*held),
            Value::Int(number) => Json::from(*number),
            Value::Float(number) => Json::from(*number),
            Value::Text(text) => Json::from(&**text),
            Value::List(list) => list.iter().map(Value::to_json).collect(),
            Value::Table(table) => {
                Json::Object(table.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
            }
        }
    }

    /// From JSON.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Null,
            Json::Bool(held) => Value::Bool(*held),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::List(list.iter().map(Value::from_json).collect()),
            Json::Object(table) => Value::Table(Arc::new(
                table.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect(),
            )),
        }
    }

    /// From a part of a plan.
    pub fn from_node(node: &Node) -> Value {
        match &node.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(held) => Value::Bool(*held),
            NodeKind::Int(number) => Value::Int(*number),
            NodeKind::Float(number) => Value::Float(*number),
            NodeKind::Text(text) => Value::text(text),
            NodeKind::List(items) => Value::List(items.iter().map(Value::from_node).collect()),
            NodeKind::Map(map) => Value::Table(Arc::new(
                map.entries.iter().map(|(name, _, node)| (name.clone(), Value::from_node(node))).collect(),
            )),
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Absent => "nothing",
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        String::from_utf8_lossy(&bytes).chars().try_for_each(|c| f.write_char(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_through_unchanged() {
        let text = r#"{"a":[1,2.5,"x",null,true],"b":{"c":"ü\n"}}"#;
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let value = Value::from_json(&json);
        assert_eq!(value.to_json(), json);
        assert_eq!(value.to_string(), text);
        let mut written = Vec::new();
        value.write_json(&mut written);
        assert_eq!(String::from_utf8(written).unwrap(), text);
    }

    #[test]
    fn conditions_and_numbers() {
        let check = |value: Value, holds: bool, number: Option<f64>| {
            assert_eq!((value.holds(), value.number()), (holds, number), "{value:?}");
        };
        check(Value::Absent, false, None);
        check(Value::text(" 12 "), true, Some(12.0));
        check(Value::text("NaN"), true, None);
        check(Value::Int(0), false, Some(0.0));
        check(Value::Bool(true), true, Some(1.0));
        check(Value::List(Arc::new([])), false, None);
    }
}
