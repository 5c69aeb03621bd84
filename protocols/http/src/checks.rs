//! What a plan demands of an answer. Each check is one condition, one name and one bit.

use crate::answer::Answer;
use crate::head;
use crate::json::JsonQuery;
use crate::operand::Operand;
use crate::status::StatusMatch;
use crucible_core::units::show_duration;
use crucible_core::{Ns, Scope, Template, Value};
use regex::bytes::Regex;
use std::sync::Arc;

/// One condition on an answer.
#[derive(Clone, Debug)]
pub enum Check {
    /// On the status code; replaces the default rule that 2xx and 3xx are good.
    Status(StatusMatch),
    /// On the values of a header; holds if one of them holds.
    Header(String, ValueTest),
    /// On the decoded body as text.
    Body(ValueTest),
    /// On the values that a path selects in a JSON body; holds if there is one and all of them hold.
    Json(JsonValues, ValueTest),
    /// Least size of the body as sent, in bytes.
    SizeMin(u64),
    /// Largest size of the body as sent, in bytes.
    SizeMax(u64),
    /// The service time of this operation so far must be below this.
    Latency(Ns),
    /// On what the user holds once the answer's values are saved, with its text in the plan.
    That(Template, Arc<str>),
}

/// A path into a JSON body, with its text in the plan.
#[derive(Clone, Debug)]
pub struct JsonValues {
    pub(crate) path: String,
    pub(crate) query: JsonQuery,
}

/// A condition on a value.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// Equal to this; text and numbers are compared by what they say.
    Equals(Operand),
    /// Equal to one of these.
    OneOf(Vec<Operand>),
    /// Contains this text.
    Contains(Operand),
    /// Matches this expression somewhere.
    Matches(Regex),
    /// Is there, or is not.
    Exists(bool),
    /// Is a number above this.
    Above(Operand),
    /// Is a number below this.
    Below(Operand),
}

impl Check {
    /// Name in records and reports, as in `json.ok = true`.
    pub fn name(&self) -> String {
        match self {
            Check::Status(status) => format!("status {status}"),
            Check::Header(name, test) => format!("header.{name} {test}"),
            Check::Body(test) => format!("body {test}"),
            Check::Json(values, test) => format!("json.{} {test}", values.path),
            Check::SizeMin(bytes) => format!("size >= {bytes}"),
            Check::SizeMax(bytes) => format!("size <= {bytes}"),
            Check::Latency(limit) => format!("latency < {}", show_duration(*limit)),
            Check::That(_, text) => format!("that {text}"),
        }
    }

    /// A check on the values at `path`: dotted (`items[0].id`, `items.0.id`) or a JSONPath (`$.items[*].id`,
    /// RFC 9535). The error is a hint.
    pub fn json(path: &str, test: ValueTest) -> Result<Check, String> {
        Ok(Check::Json(JsonValues { path: path.to_owned(), query: JsonQuery::parse(path)? }, test))
    }

    /// Whether the head must be kept for it.
    pub(crate) fn reads_head(&self) -> bool {
        matches!(self, Check::Header(..))
    }

    /// Whether the body must be kept for it.
    pub(crate) fn reads_body(&self) -> bool {
        matches!(self, Check::Body(_) | Check::Json(..))
    }

    /// Whether it is looked at only once the answer's values are saved.
    pub(crate) fn comes_last(&self) -> bool {
        matches!(self, Check::That(..))
    }

    /// Whether it holds.
    pub(crate) fn holds(&self, answer: &Answer<'_>, scope: &mut Scope) -> bool {
        match self {
            Check::Status(status) => status.contains(answer.status),
            Check::Header(name, test) => {
                let mut values = head::values(answer.head, name).peekable();
                match test {
                    ValueTest::Exists(wanted) => values.peek().is_some() == *wanted,
                    _ => values.any(|value| test.holds_text(value, scope)),
                }
            }
            Check::Body(test) => answer.body.is_some_and(|body| match test {
                ValueTest::Exists(wanted) => body.is_empty() != *wanted,
                _ => test.holds_text(body, scope),
            }),
            Check::Json(values, test) => {
                let json = answer.json();
                if json.broken.is_some() {
                    return false;
                }
                let found = json.of(&values.query).values();
                match test {
                    ValueTest::Exists(wanted) => found.is_empty() != *wanted,
                    _ => !found.is_empty() && found.iter().all(|value| test.holds_json(value, scope)),
                }
            }
            Check::SizeMin(bytes) => answer.size >= *bytes,
            Check::SizeMax(bytes) => answer.size <= *bytes,
            Check::Latency(limit) => answer.latency < *limit,
            Check::That(condition, _) => condition.value(scope).is_ok_and(|value| value.holds()),
        }
    }
}

impl ValueTest {
    fn holds_text(&self, value: &[u8], scope: &mut Scope) -> bool {
        let text = || std::str::from_utf8(value).ok().map(str::trim);
        let number = || text()?.parse::<f64>().ok();
        match self {
            ValueTest::Equals(wanted) => wanted.equals_text(value, scope),
            ValueTest::OneOf(list) => list.iter().any(|wanted| wanted.equals_text(value, scope)),
            ValueTest::Contains(part) => match &*part.get(scope) {
                Value::Absent => false,
                Value::Text(part) => memchr::memmem::find(value, part.as_bytes()).is_some(),
                other => memchr::memmem::find(value, other.to_string().as_bytes()).is_some(),
            },
            ValueTest::Matches(expression) => expression.is_match(value),
            ValueTest::Exists(wanted) => *wanted,
            ValueTest::Above(limit) => above(number(), limit, scope),
            ValueTest::Below(limit) => below(number(), limit, scope),
        }
    }

    fn holds_json(&self, value: &Value, scope: &mut Scope) -> bool {
        let number = match value {
            Value::Int(_) | Value::Float(_) => value.number(),
            _ => None,
        };
        match self {
            ValueTest::Equals(wanted) => wanted.equals(value, scope),
            ValueTest::OneOf(list) => list.iter().any(|wanted| wanted.equals(value, scope)),
            ValueTest::Above(limit) => above(number, limit, scope),
            ValueTest::Below(limit) => below(number, limit, scope),
            ValueTest::Exists(wanted) => *wanted,
            ValueTest::Contains(_) | ValueTest::Matches(_) => match value {
                Value::Text(text) => self.holds_text(text.as_bytes(), scope),
                Value::List(list) => list.iter().any(|item| match self {
                    // an item, not a part of one
                    ValueTest::Contains(part) => part.equals_text(item.to_string().as_bytes(), scope),
                    _ => self.holds_json(item, scope),
                }),
                other => self.holds_text(other.to_string().as_bytes(), scope),
            },
        }
    }
}

fn above(number: Option<f64>, limit: &Operand, scope: &mut Scope) -> bool {
    number.is_some_and(|number| limit.get(scope).number().is_some_and(|limit| number > limit))
}

fn below(number: Option<f64>, limit: &Operand, scope: &mut Scope) -> bool {
    number.is_some_and(|number| limit.get(scope).number().is_some_and(|limit| number < limit))
}

impl std::fmt::Display for ValueTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueTest::Equals(value) => write!(f, "= {value}"),
            ValueTest::OneOf(list) => {
                let list: Vec<String> = list.iter().map(Operand::to_string).collect();
                write!(f, "in [{}]", list.join(", "))
            }
            ValueTest::Contains(text) => write!(f, "contains {text}"),
            ValueTest::Matches(expression) => write!(f, "matches /{expression}/"),
            ValueTest::Exists(true) => f.write_str("exists"),
            ValueTest::Exists(false) => f.write_str("is absent"),
            ValueTest::Above(limit) => write!(f, "> {limit}"),
            ValueTest::Below(limit) => write!(f, "< {limit}"),
        }
    }
}
