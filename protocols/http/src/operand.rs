//! What a check compares with: a value of the plan, or one that the user holds.

use crucible_core::{Scope, Template, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// See the module text.
#[derive(Clone, Debug)]
pub enum Operand {
    /// Always the same.
    Fixed(Value),
    /// Rendered when the check is made, with its text in the plan.
    Rendered(Template, Arc<str>),
}

impl Operand {
    /// The value for this user. An operand without value equals nothing.
    pub(crate) fn get(&self, scope: &mut Scope) -> Cow<'_, Value> {
        match self {
            Operand::Fixed(value) => Cow::Borrowed(value),
            Operand::Rendered(template, _) => Cow::Owned(template.value(scope).unwrap_or_default()),
        }
    }

    /// Whether a value of a JSON body equals it. Numbers are equal by value (`1` and `1.0`), everything else by form; what
    /// the user holds may come from a header or a file, where all is text, and is then compared by what it says.
    pub(crate) fn equals(&self, value: &Value, scope: &mut Scope) -> bool {
        let wanted = self.get(scope);
        if *wanted == Value::Absent {
            return false;
        }
        let same = match (value, &*wanted) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                value.number() == wanted.number()
            }
            _ => value == &*wanted,
        };
        let scalar = |value: &Value| {
            matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_))
        };
        same || matches!(self, Operand::Rendered(..))
            && (matches!(value, Value::Text(_)) || matches!(&*wanted, Value::Text(_)))
            && scalar(value)
            && self.equals_text(value.to_string().as_bytes(), scope)
    }

    /// Whether a text equals it by what it says.
    pub(crate) fn equals_text(&self, text: &[u8], scope: &mut Scope) -> bool {
        match &*self.get(scope) {
            Value::Absent => false,
            Value::Text(wanted) => text == wanted.as_bytes(),
            other => text.trim_ascii() == other.to_string().as_bytes(),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Fixed(value) => write!(f, "{}", value.to_json()),
            Operand::Rendered(_, text) => f.write_str(text),
        }
    }
}

impl From<serde_json::Value> for Operand {
    fn from(json: serde_json::Value) -> Operand {
        Operand::Fixed(Value::from_json(&json))
    }
}

impl From<&str> for Operand {
    fn from(text: &str) -> Operand {
        Operand::Fixed(Value::text(text))
    }
}

impl From<f64> for Operand {
    fn from(number: f64) -> Operand {
        Operand::Fixed(Value::Float(number))
    }
}
