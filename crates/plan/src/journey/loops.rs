//! `repeat`, `while` and `foreach`: every loop has a bound, so that no answer of a target keeps a user in it for ever.

use super::{ROUNDS_MAX, STEPS_SCHEMA, Word, body, condition, most, template};
use crate::program::{Op, Rounds};
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crucible_core::{Fields, Key, NodeKind};

/// Rounds of loops whose number comes from a value, unless the plan gives a bound.
const VALUE_MOST: u64 = 10_000;

const BODY: Key =
    Key { name: "steps", schema: STEPS_SCHEMA, doc: "What is done in each round.", example: "[{get: /}]" };
const MOST: Key = Key {
    name: "most",
    schema: r##"{"$ref": "#/$defs/count"}"##,
    doc: "Most rounds; 10,000 unless given, and never left out of `while`.",
    example: "20",
};

pub(super) const REPEAT: Word = Word {
    keys: &[
        Key {
            name: "repeat",
            schema: r##"{"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}"##,
            doc: "Steps that are done so often.",
            example: "3",
        },
        BODY,
        MOST,
    ],
    read: repeat,
};

pub(super) const WHILE: Word = Word {
    keys: &[
        Key {
            name: "while",
            schema: r##"{"$ref": "#/$defs/condition"}"##,
            doc: "Steps that are done as long as this holds, at most `most` times.",
            example: "status == 202",
        },
        BODY,
        MOST,
    ],
    read: repeat_while,
};

pub(super) const FOREACH: Word = Word {
    keys: &[
        Key {
            name: "foreach",
            schema: r#"{"type": "object", "minProperties": 1, "maxProperties": 1}"#,
            doc: "Steps that are done once for each item of a list; the name gets the item.",
            example: "{item: \"${items}\"}",
        },
        BODY,
        MOST,
    ],
    read: for_each,
};

fn around(rounds: Option<Rounds>, body: Vec<Op>) -> Vec<Op> {
    let Some(rounds) = rounds else { return Vec::new() };
    let length = body.len() as i32;
    let mut ops = vec![Op::LoopBegin(rounds, length + 2)];
    ops.extend(body);
    ops.push(Op::LoopEnd(-length));
    ops
}

fn repeat<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let bound = most(fields);
    let rounds = match fields.get("repeat").map(|node| (node, &node.kind)) {
        Some((_, NodeKind::Int(times))) => {
            match u64::try_from(*times).ok().filter(|times| *times <= ROUNDS_MAX) {
                Some(times) => Some(Rounds::Times(times.min(bound.unwrap_or(times)))),
                None => {
                    let message = format!("{times} is no number of rounds");
                    fields.error("repeat", message, format!("write 0 to {ROUNDS_MAX}"));
                    None
                }
            }
        }
        Some((node, NodeKind::Text(text))) if text.contains("${") => {
            let value = template(reader, fields, node, &fields.path_of("repeat"));
            value.map(|value| Rounds::Value(value, bound.unwrap_or(VALUE_MOST)))
        }
        _ => {
            fields.error("repeat", "this is no number of rounds", "write `repeat: 3` or `repeat: ${n}`");
            None
        }
    };
    around(rounds, body(reader, fields, "steps", place))
}

fn repeat_while<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let condition = condition(reader, fields, "while");
    if !fields.has("most") {
        let hint = "say how many rounds are enough, as in `most: 20`: an answer might keep the condition true for ever";
        fields.error("while", "this loop has no bound", hint);
    }
    let rounds = condition.zip(most(fields)).map(|(condition, most)| Rounds::While(condition, most));
    around(rounds, body(reader, fields, "steps", place))
}

fn for_each<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let most = most(fields).unwrap_or(VALUE_MOST);
    let mut rounds = None;
    if let Some(table) = fields.table("foreach") {
        let entries: Vec<_> = table.all().collect();
        if let [(name, at, node)] = entries.as_slice() {
            let list = template(reader, fields, node, &table.path_of(name));
            match reader.context.symbols.define(name) {
                Ok(slot) => rounds = list.map(|list| Rounds::Each { slot, list, most }),
                Err(hint) => fields.diagnostics().error(
                    *at,
                    &table.path_of(name),
                    format!("{name:?} cannot hold the item"),
                    hint,
                ),
            }
        } else {
            let hint = "write one name and its list, as in `foreach: {item: ${items}}`";
            fields.error("foreach", "one name is needed", hint);
        }
    }
    around(rounds, body(reader, fields, "steps", place))
}
