//! What may stand among steps beside steps: choices, conditions, loops, groups. One file (or part of one) and one row
//! of [`WORDS`] each.
//!
//! Every reader gives a piece of a [`crate::Program`] whose jumps are relative, so that pieces are put together by
//! standing one behind the other.

mod branch;
mod choice;
mod flows;
mod group;
mod loops;
mod parallel;
mod small;

use crate::program::Op;
use crate::scenarios::ScenarioReader;
use crate::steps::{Place, weight};
use crucible_core::{Fields, Key, Node, NodeKind, Template};

pub(crate) use choice::tasks;
pub(crate) use flows::Flows;

/// One of the words.
pub(crate) struct Word {
    /// Its keys, the one that it is known by first.
    pub(crate) keys: &'static [Key],
    /// Reads it; the caller finishes the table.
    pub(crate) read: for<'a> fn(&mut ScenarioReader<'a>, &Fields<'a>, &Place) -> Vec<Op>,
}

/// All words.
pub(crate) const WORDS: &[Word] = &[
    choice::TASKS,
    branch::IF,
    loops::REPEAT,
    loops::WHILE,
    loops::FOREACH,
    group::GROUP,
    parallel::PARALLEL,
    small::PAUSE,
    small::SET,
    flows::USE,
    small::SKIP,
    small::STOP_VU,
    choice::STEPS,
];

/// Schema of a list of steps.
pub(crate) const STEPS_SCHEMA: &str =
    r##"{"oneOf": [{"$ref": "#/$defs/step"}, {"type": "array", "items": {"$ref": "#/$defs/step"}}]}"##;

/// Most operations of one scenario, whatever is used how often in it.
const OPS_MAX: usize = 200_000;

/// How deeply words may stand inside each other, flows counted where they are used.
const DEPTH_MAX: usize = 50;

/// The keys that the words are known by.
pub(crate) fn openers() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|word| word.keys[0].name)
}

/// One item of a list of steps.
pub(crate) fn item<'a>(
    reader: &mut ScenarioReader<'a>,
    node: &'a Node,
    path: String,
    place: &Place,
) -> Vec<Op> {
    if let NodeKind::Text(text) = &node.kind
        && let Some(op) = small::bare(text)
    {
        return vec![op];
    }
    let Some(fields) = Fields::new(node, path, reader.diagnostics) else { return Vec::new() };
    if fields.get("weight").is_some() {
        let hint = "all steps are done, in order; weights belong to `tasks`";
        fields.error("weight", "a step has no weight", hint);
    }
    table(reader, &fields, place)
}

/// One task of several: its weight and what it does.
fn task<'a>(
    reader: &mut ScenarioReader<'a>,
    node: &'a Node,
    path: String,
    place: &Place,
) -> Option<(f64, Vec<Op>)> {
    if let NodeKind::Text(text) = &node.kind
        && let Some(op) = small::bare(text)
    {
        return Some((1.0, vec![op]));
    }
    let fields = Fields::new(node, path, reader.diagnostics)?;
    let weight = weight(&fields);
    Some((weight.unwrap_or(1.0), table(reader, &fields, place)))
}

fn table<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    // `steps` also is the body of other words
    let found: Vec<&Word> = WORDS.iter().filter(|word| fields.has(word.keys[0].name)).collect();
    let found = if found.len() > 1 {
        found.into_iter().filter(|word| word.keys[0].name != "steps").collect()
    } else {
        found
    };
    let steps = reader.openers_in(fields);
    match (found.as_slice(), steps.first()) {
        ([], _) => reader.step(fields, place),
        ([word, ..], Some((_, opener))) => {
            let name = word.keys[0].name;
            let message = format!("`{name}` and `{opener}` stand in one step");
            fields.error(name, message, format!("put the step inside, as in `{}`", example(word)));
            Vec::new()
        }
        ([first, second, ..], None) => {
            let (first, second) = (first.keys[0].name, second.keys[0].name);
            let message = format!("`{first}` and `{second}` stand in one step");
            fields.error(second, message, "put one inside the other");
            Vec::new()
        }
        ([word], None) => {
            if reader.depth >= DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} levels inside each other");
                fields.error(word.keys[0].name, message, "use fewer");
                return Vec::new();
            }
            fields.expect(word.keys);
            reader.depth += 1;
            let ops = (word.read)(reader, fields, place);
            reader.depth -= 1;
            fields.finish();
            if ops.len() > OPS_MAX {
                let message = format!("more than {OPS_MAX} operations");
                fields.error(word.keys[0].name, message, "use fewer flows inside each other");
                return Vec::new();
            }
            ops
        }
    }
}

fn example(word: &Word) -> String {
    let keys: Vec<String> = word.keys.iter().map(|key| format!("{}: {}", key.name, key.example)).collect();
    format!("{{{}}}", keys.join(", "))
}

/// The steps under `key`; notes a mistake if there is none.
fn body<'a>(
    reader: &mut ScenarioReader<'a>,
    fields: &Fields<'a>,
    key: &'static str,
    place: &Place,
) -> Vec<Op> {
    match fields.list(key) {
        None => fields.error(key, format!("`{key}` is missing"), format!("write `{key}: [{{get: /}}]`")),
        Some([]) => fields.error(key, "there is no step in it", format!("write `{key}: [{{get: /}}]`")),
        Some(_) => {}
    }
    reader.steps(fields, key, place)
}

/// A condition under `key`.
pub(crate) fn condition(
    reader: &ScenarioReader<'_>,
    fields: &Fields<'_>,
    key: &'static str,
) -> Option<Template> {
    let text = fields.text(key)?;
    place_symbols(reader, fields, key);
    match Template::condition(&text, &reader.context.symbols) {
        Ok(condition) => Some(condition),
        Err(hint) => {
            fields.error(key, format!("{text:?} is no condition"), hint);
            None
        }
    }
}

/// A value that an expression may give.
pub(crate) fn template(
    reader: &ScenarioReader<'_>,
    fields: &Fields<'_>,
    node: &Node,
    path: &str,
) -> Option<Template> {
    let error = |message: String, hint: &str| fields.diagnostics().error(node.at, path, message, hint);
    let Some(text) = node.scalar() else {
        error(format!("this is {}, one value is needed", node.kind_name()), "write it as in `${name}`");
        return None;
    };
    reader.context.symbols.reading(node.at, path);
    match Template::parse(&text, &reader.context.symbols) {
        Ok(template) => Some(template),
        Err(hint) => {
            error(format!("{text:?} cannot be read here"), &hint);
            None
        }
    }
}

fn place_symbols(reader: &ScenarioReader<'_>, fields: &Fields<'_>, key: &'static str) {
    let at = fields.get(key).map_or(fields.at, |node| node.at);
    reader.context.symbols.reading(at, &fields.path_of(key));
}

/// Largest number of rounds that a plan may ask for.
const ROUNDS_MAX: u64 = 1_000_000;

/// The bound of a loop under `most`.
fn most(fields: &Fields<'_>) -> Option<u64> {
    let most = fields.count("most")?;
    if (1..=ROUNDS_MAX).contains(&most) {
        return Some(most);
    }
    fields.error("most", format!("a bound of {most}"), format!("write 1 to {ROUNDS_MAX}"));
    None
}

#[cfg(test)]
mod tests;
