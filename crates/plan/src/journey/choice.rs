//! `tasks: [{weight: 3, ...}, ...]`: one of them, drawn by weight; and `steps: [...]`: all of them, as one task.

use super::{STEPS_SCHEMA, Word, body, task};
use crate::names;
use crate::program::{Draw, Op};
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crucible_core::{Fields, Key, Node};

pub(super) const TASKS: Word = Word {
    keys: &[Key {
        name: "tasks",
        schema: r##"{"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}}"##,
        doc: "Tasks of which one is done, drawn by weight each time.",
        example: "[{weight: 5, get: /}, {weight: 1, get: /news}]",
    }],
    read: tasks,
};

pub(super) const STEPS: Word = Word {
    keys: &[
        Key {
            name: "steps",
            schema: STEPS_SCHEMA,
            doc: "Several steps, in order.",
            example: "[{get: /a}, {get: /b}]",
        },
        Key {
            name: "name",
            schema: r#"{"type": "string", "minLength": 1}"#,
            doc: "Tells its steps from those of the same name elsewhere.",
            example: "buy",
        },
    ],
    read: steps,
};

fn steps<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let task = fields.text("name");
    if let Some(task) = &task {
        names::check(fields, "name", task);
    }
    let task = task.or_else(|| place.task.clone());
    body(reader, fields, "steps", &Place { task, ..place.clone() })
}

/// The tasks under `tasks`, as one choice.
pub(crate) fn tasks<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let Some(nodes) = fields.list("tasks") else { return Vec::new() };
    if nodes.is_empty() {
        fields.error(
            "tasks",
            "there is no task in it",
            "write `tasks: [{weight: 3, get: /}, {weight: 1, get: /x}]`",
        );
    }
    let mut drawn = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let node: &'a Node = node;
        if reader.full {
            break;
        }
        let path = format!("{}[{index}]", fields.path_of("tasks"));
        drawn.extend(task(reader, node, path, place));
    }
    one_of(drawn)
}

/// One of these pieces, drawn by weight.
fn one_of(pieces: Vec<(f64, Vec<Op>)>) -> Vec<Op> {
    if pieces.is_empty() {
        return Vec::new();
    }
    let whole: usize = 1 + pieces.iter().map(|(_, piece)| piece.len() + 1).sum::<usize>();
    let mut ops = Vec::with_capacity(whole);
    ops.push(Op::Draw(Draw { ends: Vec::new() }));
    let (mut ends, mut sum) = (Vec::new(), 0.0);
    for (weight, piece) in pieces {
        sum += weight;
        ends.push((sum, ops.len() as i32));
        ops.extend(piece);
        ops.push(Op::Jump((whole - ops.len()) as i32));
    }
    ops[0] = Op::Draw(Draw { ends });
    ops
}
