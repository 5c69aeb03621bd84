//! What a plan demands of an answer. Each check is one condition, one name and one bit.

use crate::head;
use crucible_core::Ns;
use crucible_core::units::show_duration;
use regex::bytes::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;
use std::ops::RangeInclusive;

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
    Json(String, Box<JsonPath>, ValueTest),
    /// Least size of the body as sent, in bytes.
    SizeMin(u64),
    /// Largest size of the body as sent, in bytes.
    SizeMax(u64),
    /// The service time of this operation so far must be below this.
    Latency(Ns),
}

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMatch {
    /// The ranges.
    pub ranges: Vec<RangeInclusive<u16>>,
}

/// A condition on a value.
#[derive(Clone, Debug)]
pub enum ValueTest {
    /// Equal to this; text and numbers are compared by what they say.
    Equals(Value),
    /// Equal to one of these.
    OneOf(Vec<Value>),
    /// Contains this text.
    Contains(String),
    /// Matches this expression somewhere.
    Matches(Regex),
    /// Is there, or is not.
    Exists(bool),
    /// Is a number above this.
    Above(f64),
    /// Is a number below this.
    Below(f64),
}

/// An answer as checks see it.
pub(crate) struct Answer<'a> {
    pub status: u16,
    /// The head, if a check reads it.
    pub head: &'a [u8],
    /// The decoded body, if a check reads it; `None` if it could not be decoded.
    pub body: Option<&'a [u8]>,
    /// Bytes of the body as sent.
    pub size: u64,
    /// Time since the start of the operation.
    pub latency: Ns,
}

impl Check {
    /// Name in records and reports, as in `json.ok = true`.
    pub fn name(&self) -> String {
        match self {
            Check::Status(status) => format!("status {status}"),
            Check::Header(name, test) => format!("header.{name} {test}"),
            Check::Body(test) => format!("body {test}"),
            Check::Json(path, _, test) => format!("json.{path} {test}"),
            Check::SizeMin(bytes) => format!("size >= {bytes}"),
            Check::SizeMax(bytes) => format!("size <= {bytes}"),
            Check::Latency(limit) => format!("latency < {}", show_duration(*limit)),
        }
    }

    /// A check on the values at `path`: dotted (`items[0].id`, `items.0.id`) or a JSONPath (`$.items[*].id`,
    /// RFC 9535). The error is a hint.
    pub fn json(path: &str, test: ValueTest) -> Result<Check, String> {
        let query = if path.starts_with('$') { path.to_owned() } else { dotted(path) };
        let query =
            JsonPath::parse(&query).map_err(|error| format!("{path:?} is not a JSON path: {error}"))?;
        Ok(Check::Json(path.to_owned(), Box::new(query), test))
    }

    /// Whether the head must be kept for it.
    pub(crate) fn reads_head(&self) -> bool {
        matches!(self, Check::Header(..))
    }

    /// Whether the body must be kept for it.
    pub(crate) fn reads_body(&self) -> bool {
        matches!(self, Check::Body(_) | Check::Json(..))
    }

    /// Whether it holds; `json` caches the parsed body between the checks of one answer.
    pub(crate) fn holds(&self, answer: &Answer<'_>, json: &mut Option<Option<Value>>) -> bool {
        match self {
            Check::Status(status) => status.contains(answer.status),
            Check::Header(name, test) => {
                let mut values = head::values(answer.head, name).peekable();
                match test {
                    ValueTest::Exists(wanted) => values.peek().is_some() == *wanted,
                    _ => values.any(|value| test.holds_text(value)),
                }
            }
            Check::Body(test) => answer.body.is_some_and(|body| match test {
                ValueTest::Exists(wanted) => body.is_empty() != *wanted,
                _ => test.holds_text(body),
            }),
            Check::Json(_, path, test) => {
                let parsed =
                    json.get_or_insert_with(|| answer.body.and_then(|b| serde_json::from_slice(b).ok()));
                let Some(document) = parsed else { return false };
                let found = path.query(document);
                match test {
                    ValueTest::Exists(wanted) => found.is_empty() != *wanted,
                    _ => !found.is_empty() && found.iter().all(|value| test.holds_json(value)),
                }
            }
            Check::SizeMin(bytes) => answer.size >= *bytes,
            Check::SizeMax(bytes) => answer.size <= *bytes,
            Check::Latency(limit) => answer.latency < *limit,
        }
    }
}

/// `items.0.id` as `$['items'][0]['id']`.
fn dotted(path: &str) -> String {
    let mut query = "$".to_owned();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            if !name.is_empty() {
                query.push_str(&format!("[{name}]"));
            }
        } else {
            query.push_str(&format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        query.push_str(rest);
    }
    query
}

impl ValueTest {
    fn holds_text(&self, value: &[u8]) -> bool {
        let text = || std::str::from_utf8(value).ok().map(str::trim);
        let number = || text()?.parse::<f64>().ok();
        match self {
            ValueTest::Equals(wanted) => text_equals(value, wanted),
            ValueTest::OneOf(list) => list.iter().any(|wanted| text_equals(value, wanted)),
            ValueTest::Contains(part) => memchr::memmem::find(value, part.as_bytes()).is_some(),
            ValueTest::Matches(expression) => expression.is_match(value),
            ValueTest::Exists(wanted) => *wanted,
            ValueTest::Above(limit) => number().is_some_and(|number| number > *limit),
            ValueTest::Below(limit) => number().is_some_and(|number| number < *limit),
        }
    }

    fn holds_json(&self, value: &Value) -> bool {
        match self {
            ValueTest::Equals(wanted) => json_equals(value, wanted),
            ValueTest::OneOf(list) => list.iter().any(|wanted| json_equals(value, wanted)),
            ValueTest::Above(limit) => value.as_f64().is_some_and(|number| number > *limit),
            ValueTest::Below(limit) => value.as_f64().is_some_and(|number| number < *limit),
            ValueTest::Exists(wanted) => *wanted,
            ValueTest::Contains(_) | ValueTest::Matches(_) => match value {
                Value::String(text) => self.holds_text(text.as_bytes()),
                Value::Array(list) => list.iter().any(|item| match (item, self) {
                    (Value::String(text), ValueTest::Contains(part)) => text == part,
                    (other, ValueTest::Contains(part)) => text_equals(part.as_bytes(), other),
                    (other, _) => self.holds_json(other),
                }),
                other => self.holds_text(other.to_string().as_bytes()),
            },
        }
    }
}

fn text_equals(value: &[u8], wanted: &Value) -> bool {
    match wanted {
        Value::String(text) => value == text.as_bytes(),
        other => value.trim_ascii() == other.to_string().as_bytes(),
    }
}

/// Numbers are equal by value (`1` and `1.0`), everything else by form.
fn json_equals(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => value == wanted,
    }
}

impl StatusMatch {
    /// Reads `200`, `2xx` or `200-299`. The error is a hint.
    pub fn parse(text: &str) -> Result<StatusMatch, String> {
        let text = text.trim();
        let hint = || "write a status as 200, 2xx or 200-299".to_owned();
        let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=999).contains(code));
        let range = if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class)).ok_or_else(hint)?;
            class * 100..=class * 100 + 99
        } else if let Some((low, high)) = text.split_once('-') {
            code(low).ok_or_else(hint)?..=code(high).ok_or_else(hint)?
        } else {
            let code = code(text).ok_or_else(hint)?;
            code..=code
        };
        if range.is_empty() { Err(hint()) } else { Ok(StatusMatch { ranges: vec![range] }) }
    }

    /// Whether the code is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }
}

impl From<u16> for StatusMatch {
    fn from(status: u16) -> StatusMatch {
        StatusMatch { ranges: vec![status..=status] }
    }
}

impl From<RangeInclusive<u16>> for StatusMatch {
    fn from(range: RangeInclusive<u16>) -> StatusMatch {
        StatusMatch { ranges: vec![range] }
    }
}

impl std::fmt::Display for StatusMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index > 0 { " or " } else { "" };
            match (*range.start(), *range.end()) {
                (low, high) if low == high => write!(f, "{separator}{low}")?,
                (low, high) if low % 100 == 0 && high == low + 99 => write!(f, "{separator}{}xx", low / 100)?,
                (low, high) => write!(f, "{separator}{low}-{high}")?,
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for ValueTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueTest::Equals(value) => write!(f, "= {value}"),
            ValueTest::OneOf(list) => {
                let list: Vec<String> = list.iter().map(Value::to_string).collect();
                write!(f, "in [{}]", list.join(", "))
            }
            ValueTest::Contains(text) => write!(f, "contains {text:?}"),
            ValueTest::Matches(expression) => write!(f, "matches /{expression}/"),
            ValueTest::Exists(true) => f.write_str("exists"),
            ValueTest::Exists(false) => f.write_str("is absent"),
            ValueTest::Above(limit) => write!(f, "> {limit}"),
            ValueTest::Below(limit) => write!(f, "< {limit}"),
        }
    }
}
