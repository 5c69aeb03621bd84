//! Conditions on a message: which one is waited for, which are ignored, what is demanded of it.

use super::message::Message;
use super::part::Part;
use crucible_core::fields::suggest;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Node, NodeKind, Scope, Template, Value};
use regex::Regex;
use serde_json::Value as Json;

/// Largest compiled form of a regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;
const TESTS: [&str; 7] = ["equals", "in", "contains", "matches", "exists", "gt", "lt"];

/// One condition: a part of the message and what must hold for a value of it.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As in `json.type = "pong"`.
    pub name: String,
    part: Part,
    test: Test,
}

/// Conditions that must all hold.
pub type Conditions = Vec<Condition>;

#[derive(Clone, Debug)]
enum Test {
    OneOf(Vec<Wanted>),
    Contains(Wanted),
    Matches(Regex),
    Exists(bool),
    Above(f64),
    Below(f64),
}

/// A value to compare with.
#[derive(Clone, Debug)]
enum Wanted {
    Fixed(Json),
    /// Differs between operations.
    Place(Template),
}

impl Condition {
    /// Whether it holds. A value that the condition needs and that was never saved makes it not hold.
    pub(crate) fn holds(&self, message: &Message, scope: &mut Scope) -> bool {
        let found = self.part.find(message);
        match &self.test {
            Test::Exists(wanted) => found.is_empty() != *wanted,
            _ if found.is_empty() => false,
            Test::OneOf(list) => {
                let list: Vec<Json> = list.iter().filter_map(|wanted| wanted.value(scope)).collect();
                found.iter().all(|value| list.iter().any(|wanted| equal(value, wanted)))
            }
            Test::Contains(wanted) => {
                let Some(wanted) = wanted.value(scope) else { return false };
                found.iter().all(|value| match &**value {
                    Json::Array(items) => items.iter().any(|item| equal(item, &wanted)),
                    other => text(other).contains(&text(&wanted)),
                })
            }
            Test::Matches(expression) => found.iter().all(|value| expression.is_match(&text(value))),
            Test::Above(limit) => found.iter().all(|value| value.as_f64().is_some_and(|n| n > *limit)),
            Test::Below(limit) => found.iter().all(|value| value.as_f64().is_some_and(|n| n < *limit)),
        }
    }

    /// Whether it compares with a value that differs between operations, so that it can tell one's answer from another's.
    pub(crate) fn is_own(&self) -> bool {
        match &self.test {
            Test::OneOf(list) => list.iter().any(|wanted| matches!(wanted, Wanted::Place(_))),
            Test::Contains(wanted) => matches!(wanted, Wanted::Place(_)),
            _ => false,
        }
    }
}

impl Wanted {
    fn value(&self, scope: &mut Scope) -> Option<Json> {
        match self {
            Wanted::Fixed(value) => Some(value.clone()),
            Wanted::Place(template) => match template.value(scope) {
                Ok(Value::Absent) | Err(_) => None,
                Ok(value) => Some(value.to_json()),
            },
        }
    }
}

/// Numbers by value, a text and a number by what they say, everything else by form.
fn equal(value: &Json, wanted: &Json) -> bool {
    match (value, wanted) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::String(_), Json::Number(_) | Json::Bool(_))
        | (Json::Number(_) | Json::Bool(_), Json::String(_)) => text(value) == text(wanted),
        _ => value == wanted,
    }
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads one entry of a table of conditions; mistakes are noted at their place.
pub(crate) fn read(table: &Fields<'_>, key: &str, node: &Node, context: &StepContext) -> Conditions {
    read_as(table, key, key, node, context)
}

/// The same, on another part than the key says.
pub(crate) fn read_as(
    table: &Fields<'_>,
    key: &str,
    shown: &str,
    node: &Node,
    context: &StepContext,
) -> Conditions {
    let part = match Part::parse(shown) {
        Ok(part) => part,
        Err(hint) => {
            table.error(key, format!("unknown condition `{key}`"), hint);
            return Vec::new();
        }
    };
    context.symbols.reading(node.at, &table.path_of(key));
    let one = |found: Result<(Test, String), String>| match found {
        Ok((test, text)) => Some(Condition { name: format!("{shown} {text}"), part: part.clone(), test }),
        Err(hint) => {
            table.error(key, format!("this condition on `{key}` cannot be read"), hint);
            None
        }
    };
    match &node.kind {
        NodeKind::Map(map) => {
            let tests = map.entries.iter().map(|(name, _, node)| test(name, node, context));
            tests.filter_map(one).collect()
        }
        NodeKind::List(_) => one(test("in", node, context)).into_iter().collect(),
        _ => one(test("equals", node, context)).into_iter().collect(),
    }
}

/// Reads all entries of a table.
pub(crate) fn read_all(table: &Fields<'_>, context: &StepContext) -> Conditions {
    table.all().flat_map(|(key, _, node)| read(table, key, node, context)).collect()
}

fn test(name: &str, node: &Node, context: &StepContext) -> Result<(Test, String), String> {
    let number = || {
        let number = node.scalar().and_then(|text| text.parse::<f64>().ok());
        number.filter(|number| number.is_finite()).ok_or_else(|| "write a number".to_owned())
    };
    match name {
        "equals" => {
            wanted(node, context).map(|(wanted, shown)| (Test::OneOf(vec![wanted]), format!("= {shown}")))
        }
        "in" => {
            let Some(items) = node.as_list() else { return Err("write a list, as in [a, b]".to_owned()) };
            let list = items.iter().map(|item| wanted(item, context)).collect::<Result<Vec<_>, _>>()?;
            let (list, shown): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            Ok((Test::OneOf(list), format!("in [{}]", shown.join(", "))))
        }
        "contains" => {
            wanted(node, context).map(|(wanted, shown)| (Test::Contains(wanted), format!("contains {shown}")))
        }
        "matches" => {
            let text = node.scalar().ok_or("write a regular expression")?;
            let built = regex::RegexBuilder::new(&text).size_limit(REGEX_LIMIT).build();
            let expression = built.map_err(|error| format!("not a regular expression: {error}"))?;
            Ok((Test::Matches(expression), format!("matches /{text}/")))
        }
        "exists" => match node.kind {
            NodeKind::Bool(true) => Ok((Test::Exists(true), "exists".to_owned())),
            NodeKind::Bool(false) => Ok((Test::Exists(false), "is absent".to_owned())),
            _ => Err("write true or false".to_owned()),
        },
        "gt" | "above" => number().map(|limit| (Test::Above(limit), format!("> {limit}"))),
        "lt" | "below" => number().map(|limit| (Test::Below(limit), format!("< {limit}"))),
        _ => Err(suggest(name, &TESTS)),
    }
}

/// A value as the plan wrote it, and how it is shown.
fn wanted(node: &Node, context: &StepContext) -> Result<(Wanted, String), String> {
    if let NodeKind::Text(text) = &node.kind
        && text.contains("${")
    {
        return Ok((Wanted::Place(Template::parse(text, &context.symbols)?), text.clone()));
    }
    let value = json(node);
    let shown = value.to_string();
    Ok((Wanted::Fixed(value), shown))
}

fn json(node: &Node) -> Json {
    match &node.kind {
        NodeKind::Null => Json::Null,
        NodeKind::Bool(value) => Json::from(*value),
        NodeKind::Int(value) => Json::from(*value),
        NodeKind::Float(value) => Json::from(*value),
        NodeKind::Text(value) => Json::from(value.as_str()),
        NodeKind::List(items) => items.iter().map(json).collect(),
        NodeKind::Map(map) => map.entries.iter().map(|(name, _, node)| (name.clone(), json(node))).collect(),
    }
}
