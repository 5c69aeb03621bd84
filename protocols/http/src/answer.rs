//! A complete answer as checks, saves and measures see it: parsed at most once for all of them.

use crate::json::{JsonFound, JsonPlan};
use crate::source::{Capture, Part, Pick, Source};
use crate::{head, json};
use crucible_core::{Ns, Scope, Value};
use std::cell::OnceCell;
use std::sync::Arc;

/// Longest text that is saved, in bytes: every user may hold one for each name.
const TEXT_LIMIT: usize = 1 << 20;
/// Most values that one source gives.
const LIST_LIMIT: usize = 10_000;

/// See the module text.
pub(crate) struct Answer<'a> {
    pub status: u16,
    /// The head, if somebody reads it.
    pub head: &'a [u8],
    /// The decoded body, if somebody reads it; `None` if it could not be decoded.
    pub body: Option<&'a [u8]>,
    /// Bytes of the body as sent.
    pub size: u64,
    /// Time since the start of the operation.
    pub latency: Ns,
    /// What is asked of a JSON body.
    pub plan: &'a JsonPlan,
    pub parsed: OnceCell<JsonFound>,
    /// The value of a cookie that the user holds.
    pub held_cookie: &'a dyn Fn(&str) -> Option<String>,
}

impl Answer<'_> {
    /// What was found in the body as JSON.
    pub(crate) fn json(&self) -> &JsonFound {
        self.parsed.get_or_init(|| self.plan.find(self.body.unwrap_or_default()))
    }

    /// The value that a source means; `None` if there is none.
    pub(crate) fn value(&self, source: &Source, scope: &mut Scope) -> Option<Value> {
        if let (Part::Json(query), None) = (&source.part, &source.regex) {
            let found = self.json().of(query);
            return match (found, source.pick) {
                (json::Found::Nothing, _) => None,
                (json::Found::One(value), None) => Some(value.clone()),
                (json::Found::One(Value::List(list)), Some(pick)) => choose(list, pick, scope),
                (found, pick) => choose(found.values(), pick.unwrap_or(Pick::First), scope),
            };
        }
        let pick = source.pick.unwrap_or(Pick::First);
        let most = if pick == Pick::First { 1 } else { LIST_LIMIT };
        let values = match &source.regex {
            None => self.values(&source.part),
            Some(capture) => {
                let mut found = Vec::new();
                self.with_texts(&source.part, &mut |text| matches(capture, text, most, &mut found));
                found
            }
        };
        choose(&values, pick, scope)
    }

    /// All values of a part that is no JSON.
    fn values(&self, part: &Part) -> Vec<Value> {
        match part {
            Part::Status => vec![Value::Int(i64::from(self.status))],
            Part::Size => vec![Value::Int(i64::try_from(self.size).unwrap_or(i64::MAX))],
            Part::Latency => vec![Value::Float(self.latency.0 as f64 / 1e6)],
            _ => {
                let mut values = Vec::new();
                self.with_texts(part, &mut |text| values.extend(text_value(text)));
                values
            }
        }
    }

    /// Shows all texts of a part, in order.
    fn with_texts(&self, part: &Part, show: &mut dyn FnMut(&[u8])) {
        match part {
            Part::Json(query) => {
                self.json().of(query).values().iter().for_each(|value| show(value.to_string().as_bytes()));
            }
            Part::Header(name) => head::values(self.head, name).for_each(show),
            Part::Cookie(name) => {
                let set = head::values(self.head, "set-cookie").filter_map(|value| {
                    let pair = value.split(|byte| *byte == b';').next()?;
                    let equals = memchr::memchr(b'=', pair)?;
                    (pair[..equals].trim_ascii() == name.as_bytes()).then(|| pair[equals + 1..].trim_ascii())
                });
                match (set.last(), (self.held_cookie)(name)) {
                    (Some(value), _) => show(value),
                    (None, Some(value)) => show(value.as_bytes()),
                    (None, None) => {}
                }
            }
            Part::Body => self.body.into_iter().filter(|body| !body.is_empty()).for_each(show),
            Part::Html(selector) => {
                let found = self.body.map(|body| selector.find(body)).unwrap_or_default();
                found.iter().for_each(|text| show(text.as_bytes()));
            }
            Part::Status => show(self.status.to_string().as_bytes()),
            Part::Size => show(self.size.to_string().as_bytes()),
            Part::Latency => show((self.latency.0 as f64 / 1e6).to_string().as_bytes()),
        }
    }
}

fn text_value(text: &[u8]) -> Option<Value> {
    (text.len() <= TEXT_LIMIT).then(|| Value::text(&String::from_utf8_lossy(text)))
}

fn matches(capture: &Capture, text: &[u8], most: usize, found: &mut Vec<Value>) {
    for groups in capture.expression.captures_iter(text) {
        if found.len() >= most {
            break;
        }
        found.extend(groups.get(capture.group).and_then(|group| text_value(group.as_bytes())));
    }
}

fn choose(values: &[Value], pick: Pick, scope: &mut Scope) -> Option<Value> {
    match pick {
        Pick::First => values.first().cloned(),
        Pick::Last => values.last().cloned(),
        Pick::Random => {
            let last = (values.len() as u64).checked_sub(1)?;
            values.get(scope.rng.between(0, last) as usize).cloned()
        }
        Pick::All => (!values.is_empty()).then(|| Value::List(Arc::from(values))),
        Pick::Count => Some(Value::Int(values.len() as i64)),
    }
}
