//! Reading the entries of a table: typed, with every mistake noted at its place and unknown keys answered with
//! the nearest known one.

use crate::{Diagnostics, Map, Node, NodeKind, Ns, Position, units};
use std::cell::RefCell;

/// One documented key of a table. Help, reference and JSON Schema are generated from these rows.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// JSON Schema of its value, as JSON text.
    pub schema: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// An example value, as YAML.
    pub example: &'static str,
}

/// A table being read. Every key must be asked for; [`Fields::finish`] reports those that nobody asked for.
pub struct Fields<'a> {
    map: &'a Map,
    /// Where the table begins.
    pub at: Position,
    /// Path of the table in the plan.
    pub path: String,
    diagnostics: &'a Diagnostics,
    asked: RefCell<Vec<&'a str>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    /// Reads `node` as a table; notes a mistake and gives `None` if it is something else.
    pub fn new(node: &'a Node, path: impl Into<String>, diagnostics: &'a Diagnostics) -> Option<Fields<'a>> {
        let path = path.into();
        match &node.kind {
            NodeKind::Map(map) => Some(Fields {
                map,
                at: node.at,
                path,
                diagnostics,
                asked: RefCell::default(),
                known: RefCell::default(),
            }),
            _ => {
                diagnostics.error(
                    node.at,
                    &path,
                    format!("this is {}, a table of keys is needed", node.kind_name()),
                    "write `key: value` lines, indented below it",
                );
                None
            }
        }
    }

    /// The collection that mistakes go to.
    pub fn diagnostics(&self) -> &'a Diagnostics {
        self.diagnostics
    }

    /// Makes keys known for suggestions without reading them.
    pub fn expect(&self, keys: &[Key]) {
        self.known.borrow_mut().extend(keys.iter().map(|k| k.name));
    }

    /// Path of an entry.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`, which counts as asked for. `null` counts as absent.
    pub fn get(&self, key: &'static str) -> Option<&'a Node> {
        self.known.borrow_mut().push(key);
        let (name, _, node) = self.map.entries.iter().find(|(name, _, _)| name == key)?;
        self.asked.borrow_mut().push(name);
        (node.kind != NodeKind::Null).then_some(node)
    }

    /// Where the value of `key` stands; where the table begins if it is not there. Does not count as asking for it.
    pub fn position(&self, key: &str) -> Position {
        self.map.get(key).map_or(self.at, |node| node.at)
    }

    /// Whether `key` stands in the table.
    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some()
    }

    /// All entries, each of which counts as asked for: for tables whose keys are the user's own names.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, Position, &'a Node)> + use<'a> {
        self.asked.borrow_mut().extend(self.map.entries.iter().map(|(name, _, _)| name.as_str()));
        self.map.entries.iter().map(|(name, at, node)| (name.as_str(), *at, node))
    }

    /// Notes an error at an entry.
    pub fn error(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let at = self.map.get(key).map_or(self.at, |node| node.at);
        self.diagnostics.error(at, &self.path_of(key), message, hint);
    }

    /// Notes a warning at an entry.
    pub fn warning(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let at = self.map.get(key).map_or(self.at, |node| node.at);
        self.diagnostics.warning(at, &self.path_of(key), message, hint);
    }

    /// Reads an entry through `read`, whose error is a hint.
    pub fn parse<T>(&self, key: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(hint) => {
                self.error(key, format!("{text:?} cannot be read here"), hint);
                None
            }
        }
    }

    /// Any scalar, as text.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let node = self.get(key)?;
        let text = node.scalar();
        if text.is_none() {
            self.error(key, format!("this is {}, one value is needed", node.kind_name()), "");
        }
        text
    }

    /// A duration with its unit.
    pub fn duration(&self, key: &'static str) -> Option<Ns> {
        self.parse(key, units::parse_duration)
    }

    /// A rate, in operations per second.
    pub fn rate(&self, key: &'static str) -> Option<f64> {
        self.parse(key, units::parse_rate)
    }

    /// A size in bytes.
    pub fn size(&self, key: &'static str) -> Option<u64> {
        self.parse(key, units::parse_size)
    }

    /// A percentage, as a share from 0 to 1.
    pub fn share(&self, key: &'static str) -> Option<f64> {
        self.parse(key, units::parse_share)
    }

    /// A whole number that is not negative.
    pub fn count(&self, key: &'static str) -> Option<u64> {
        self.parse(key, |text| {
            text.replace('_', "").parse().map_err(|_| "write a whole number, 0 or more".to_owned())
        })
    }

    /// Any finite number.
    pub fn number(&self, key: &'static str) -> Option<f64> {
        self.parse(key, |text| {
            text.replace('_', "")
                .parse()
                .ok()
                .filter(|n: &f64| n.is_finite())
                .ok_or_else(|| "write a number".to_owned())
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.get(key)?;
        match node.kind {
            NodeKind::Bool(value) => Some(value),
            _ => {
                self.error(key, format!("this is {}, true or false is needed", node.kind_name()), "");
                None
            }
        }
    }

    /// A table inside this one.
    pub fn table(&self, key: &'static str) -> Option<Fields<'a>> {
        Fields::new(self.get(key)?, self.path_of(key), self.diagnostics)
    }

    /// A list; a single value counts as a list of one.
    pub fn list(&self, key: &'static str) -> Option<&'a [Node]> {
        let node = self.get(key)?;
        Some(node.as_list().unwrap_or(std::slice::from_ref(node)))
    }

    /// Reports every key that nobody asked for, with the nearest known one.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        let known = self.known.borrow();
        for (index, (name, at, _)) in self.map.entries.iter().enumerate() {
            let path = self.path_of(name);
            if self.map.entries[..index].iter().any(|(earlier, _, _)| earlier == name) {
                self.diagnostics.error(*at, &path, "this key stands twice", "keep one of the two");
            } else if !asked.contains(&name.as_str()) {
                self.diagnostics.error(*at, &path, format!("unknown key `{name}`"), suggest(name, &known));
            }
        }
    }
}

/// A hint that names the known word nearest to `word`, or all of them if none is near.
pub fn suggest(word: &str, known: &[&str]) -> String {
    let mut known: Vec<&str> = known.to_vec();
    known.sort_unstable();
    known.dedup();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 4);
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => String::new(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_lists_all() {
        assert_eq!(suggest("threshholds", &["thresholds", "tests"]), "did you mean `thresholds`?");
        assert_eq!(suggest("zzz", &["tests", "get"]), "known here: get, tests");
    }

    #[test]
    fn every_mistake_in_a_table_is_told() {
        let at = |line| Position { line, column: 1 };
        let entry = |name: &str, line, kind| (name.to_owned(), at(line), Node { at: at(line), kind });
        let node = Node {
            at: at(1),
            kind: NodeKind::Map(Map {
                entries: vec![
                    entry("hold", 2, NodeKind::Int(500)),
                    entry("rmap", 3, NodeKind::Text("2s".into())),
                    entry("vus", 4, NodeKind::Int(-1)),
                ],
            }),
        };
        let diagnostics = Diagnostics::new();
        let fields = Fields::new(&node, "tests.load", &diagnostics).unwrap();
        assert_eq!(
            (fields.duration("hold"), fields.duration("ramp"), fields.count("vus")),
            (None, None, None)
        );
        fields.finish();
        drop(fields);
        let told: Vec<String> = diagnostics.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "2:1: error: tests.load.hold: \"500\" cannot be read here (add a unit: 500ms, 500s or 500m)",
                "3:1: error: tests.load.rmap: unknown key `rmap` (did you mean `ramp`?)",
                "4:1: error: tests.load.vus: \"-1\" cannot be read here (write a whole number, 0 or more)",
            ]
        );
    }
}
