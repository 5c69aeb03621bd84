//! Values in JSON bodies: all that a step asks for is found in one pass over the body.
//!
//! Paths that lead to one place (`items[0].id`) are gathered into a tree of names; the pass follows it and makes
//! values only where one is asked for, everything else is skipped as it is read. Paths that search (`$.items[*].id`,
//! RFC 9535) need the whole document, which is then made once. Both are bounded: depth by the parser (128), values
//! by [`VALUES_LIMIT`], whole documents by [`DOCUMENT_LIMIT`].

use crucible_core::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json_path::JsonPath;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Most values that one answer is turned into.
const VALUES_LIMIT: u32 = 1_000_000;
/// Largest body that is made into a whole document, in bytes.
const DOCUMENT_LIMIT: usize = 8 << 20;

/// A path into a JSON body.
#[derive(Clone, Debug)]
pub(crate) struct JsonQuery {
    form: Form,
    /// Its number among the queries of its step.
    pub index: usize,
}

#[derive(Clone, Debug)]
enum Form {
    /// Leads to at most one value.
    Pointer(Vec<Segment>),
    /// Searches.
    Search(Box<JsonPath>),
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Name(String),
    Index(usize),
}

/// What a query selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Found {
    #[default]
    Nothing,
    /// The value that a path leads to.
    One(Value),
    /// What a search found, in the order of the document; may be empty.
    Many(Vec<Value>),
}

impl Found {
    /// All of it.
    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Found::Nothing => &[],
            Found::One(value) => std::slice::from_ref(value),
            Found::Many(values) => values,
        }
    }
}

impl JsonQuery {
    /// Reads a path: dotted (`items[0].id`, `items.0.id`) or a JSONPath (`$.items[*].id`). The error is a hint.
    pub(crate) fn parse(path: &str) -> Result<JsonQuery, String> {
        let query = if path.starts_with('$') { path.to_owned() } else { dotted(path) };
        let search =
            JsonPath::parse(&query).map_err(|error| format!("{path:?} is not a JSON path: {error}"))?;
        let form = match pointer(&query) {
            Some(segments) => Form::Pointer(segments),
            None => Form::Search(Box::new(search)),
        };
        Ok(JsonQuery { form, index: 0 })
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

/// The segments of a JSONPath that leads to at most one value by names and indices from the front.
fn pointer(query: &str) -> Option<Vec<Segment>> {
    let mut rest = query.strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
            let end = after.find(|c| !plain(c)).unwrap_or(after.len());
            if end == 0 {
                return None;
            }
            segments.push(Segment::Name(after[..end].to_owned()));
            rest = &after[end..];
        } else {
            let inner = rest.strip_prefix('[')?;
            let quote = inner.chars().next()?;
            if quote == '\'' || quote == '"' {
                let end = inner[1..].find([quote, '\\'])? + 1;
                rest = inner[end..].strip_prefix(quote)?.strip_prefix(']')?;
                segments.push(Segment::Name(inner[1..end].to_owned()));
            } else {
                let end = inner.find(']')?;
                segments.push(Segment::Index(inner[..end].parse().ok()?));
                rest = &inner[end + 1..];
            }
        }
    }
    Some(segments)
}

/// The queries of a step, made ready for one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonPlan {
    nodes: Vec<Node>,
    searches: Vec<(usize, Box<JsonPath>)>,
    count: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Queries that end here.
    wanted: Vec<usize>,
    names: Vec<(String, usize)>,
    indices: Vec<(usize, usize)>,
}

/// What the queries of a step found in one body, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct JsonFound {
    found: Vec<Found>,
    /// Why nothing was found, if the body cannot be read.
    pub broken: Option<&'static str>,
}

impl JsonFound {
    /// What a query found.
    pub(crate) fn of(&self, query: &JsonQuery) -> &Found {
        const NOTHING: &Found = &Found::Nothing;
        self.found.get(query.index).unwrap_or(NOTHING)
    }
}

impl JsonPlan {
    /// Adds a query and gives it its number.
    pub(crate) fn add(&mut self, query: &mut JsonQuery) {
        query.index = self.count;
        self.count += 1;
        match &query.form {
            Form::Search(path) => self.searches.push((query.index, path.clone())),
            Form::Pointer(segments) => {
                if self.nodes.is_empty() {
                    self.nodes.push(Node::default());
                }
                let mut at = 0;
                for segment in segments {
                    at = self.child(at, segment);
                }
                self.nodes[at].wanted.push(query.index);
            }
        }
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let node = &self.nodes[at];
        let known = match segment {
            Segment::Name(name) => node.names.iter().find(|(known, _)| known == name).map(|known| known.1),
            Segment::Index(index) => {
                node.indices.iter().find(|(known, _)| known == index).map(|known| known.1)
            }
        };
        if let Some(known) = known {
            return known;
        }
        let new = self.nodes.len();
        match segment {
            Segment::Name(name) => self.nodes[at].names.push((name.clone(), new)),
            Segment::Index(index) => self.nodes[at].indices.push((*index, new)),
        }
        self.nodes.push(Node::default());
        new
    }

    /// Runs all queries over a body.
    pub(crate) fn find(&self, body: &[u8]) -> JsonFound {
        let mut found = vec![Found::Nothing; self.count];
        let broken = self.scan(body, &mut found).or_else(|| self.search(body, &mut found));
        if broken.is_some() {
            found.clear();
        }
        JsonFound { found, broken }
    }

    fn scan(&self, body: &[u8], found: &mut [Found]) -> Option<&'static str> {
        if self.nodes.is_empty() {
            return None;
        }
        let budget = Cell::new(VALUES_LIMIT);
        let mut parser = serde_json::Deserializer::from_slice(body);
        let walk = Walk { plan: self, at: 0, found, budget: &budget };
        let read = walk.deserialize(&mut parser).and_then(|()| parser.end());
        match read {
            Ok(()) => None,
            Err(_) if budget.get() == 0 => {
                Some("the JSON holds more than 1,000,000 values that were asked for")
            }
            Err(_) => Some("the body is not JSON"),
        }
    }

    fn search(&self, body: &[u8], found: &mut [Found]) -> Option<&'static str> {
        if self.searches.is_empty() {
            return None;
        }
        if body.len() > DOCUMENT_LIMIT {
            return Some("the body is larger than 8 MiB, too large to be searched as JSON");
        }
        let Ok(document) = serde_json::from_slice(body) else { return Some("the body is not JSON") };
        for (index, path) in &self.searches {
            found[*index] =
                Found::Many(path.query(&document).iter().map(|json| Value::from_json(json)).collect());
        }
        None
    }
}

/// Reads a value and takes out of it what the queries below `at` ask for.
struct Walk<'a> {
    plan: &'a JsonPlan,
    at: usize,
    found: &'a mut [Found],
    budget: &'a Cell<u32>,
}

impl Walk<'_> {
    /// Forgets what a name that stands twice has brought: the last one counts.
    fn forget(&mut self, at: usize) {
        let node = &self.plan.nodes[at];
        node.wanted.iter().for_each(|query| self.found[*query] = Found::Nothing);
        let below = node.names.iter().map(|name| name.1).chain(node.indices.iter().map(|index| index.1));
        below.for_each(|child| self.forget(child));
    }

    /// Takes what the queries at and below a place ask for out of a value that is there.
    fn take(&mut self, at: usize, value: &Value) {
        let node = &self.plan.nodes[at];
        node.wanted.iter().for_each(|query| self.found[*query] = Found::One(value.clone()));
        match value {
            Value::Table(table) => {
                for (name, child) in &node.names {
                    if let Some(value) = table.get(name) {
                        self.take(*child, value);
                    }
                }
            }
            Value::List(list) => {
                for (index, child) in &node.indices {
                    if let Some(value) = list.get(*index) {
                        self.take(*child, value);
                    }
                }
            }
            _ => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if self.plan.nodes[self.at].wanted.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let value = Whole { budget: self.budget }.deserialize(deserializer)?;
        self.take(self.at, &value);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let names = &self.plan.nodes[self.at].names;
        let mut seen = 0u64;
        while let Some(index) = map.next_key_seed(KeyAmong(names))? {
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let (bit, at) = (1u64 << (index & 63), names[index].1);
            if seen & bit != 0 {
                self.forget(at);
            }
            seen |= bit;
            map.next_value_seed(Walk { plan: self.plan, at, found: self.found, budget: self.budget })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let indices = &self.plan.nodes[self.at].indices;
        for position in 0.. {
            let child = indices.iter().find(|(index, _)| *index == position);
            let more = match child {
                Some((_, at)) => list
                    .next_element_seed(Walk {
                        plan: self.plan,
                        at: *at,
                        found: self.found,
                        budget: self.budget,
                    })?
                    .is_some(),
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key: which of these names it is, if any.
struct KeyAmong<'a>(&'a [(String, usize)]);

impl<'de> DeserializeSeed<'de> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyAmong<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|(name, _)| name == key))
    }
}

/// Makes a value of all that is read, within a budget.
#[derive(Clone, Copy)]
struct Whole<'a> {
    budget: &'a Cell<u32>,
}

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.budget.get();
        if left == 0 {
            return Err(D::Error::custom("too many values"));
        }
        self.budget.set(left - 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut table = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            table.insert(name, map.next_value_seed(self)?);
        }
        Ok(Value::Table(Arc::new(table)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::List(values.into()))
    }

    fn visit_bool<E>(self, held: bool) -> Result<Value, E> {
        Ok(Value::Bool(held))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}
