//! `pause`, `set`, `skip` and `stop_vu`.

use super::{Word, template};
use crate::program::{Given, Op};
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crate::think;
use crucible_core::{Fields, Key, NodeKind, Value};

pub(super) const PAUSE: Word = Word {
    keys: &[Key {
        name: "pause",
        schema: r##"{"$ref": "#/$defs/think"}"##,
        doc: "A pause before what comes next, beside the think time.",
        example: "1s..3s",
    }],
    read: pause,
};

pub(super) const SET: Word = Word {
    keys: &[Key {
        name: "set",
        schema: r#"{"type": "object", "minProperties": 1}"#,
        doc: "Gives variables values.",
        example: "{page: 1, name: \"user-${vu}\"}",
    }],
    read: set,
};

pub(super) const SKIP: Word = Word {
    keys: &[Key {
        name: "skip",
        schema: "true",
        doc: "Ends the iteration here; the next one begins. Also as a word of its own: `- skip`.",
        example: "true",
    }],
    read: |_, fields, _| bare_table(fields, "skip"),
};

pub(super) const STOP_VU: Word = Word {
    keys: &[Key {
        name: "stop_vu",
        schema: "true",
        doc: "Ends the iteration here and the user with it. Also as a word of its own: `- stop_vu`.",
        example: "true",
    }],
    read: |_, fields, _| bare_table(fields, "stop_vu"),
};

/// `skip` and `stop_vu` as words of their own.
pub(super) fn bare(text: &str) -> Option<Op> {
    match text.trim() {
        "skip" => Some(Op::Skip),
        "stop_vu" => Some(Op::Stop),
        _ => None,
    }
}

fn bare_table(fields: &Fields<'_>, key: &'static str) -> Vec<Op> {
    fields.flag(key);
    bare(key).into_iter().collect()
}

fn pause<'a>(_: &mut ScenarioReader<'a>, fields: &Fields<'a>, _: &Place) -> Vec<Op> {
    think::read(fields, "pause").map(Op::Pause).into_iter().collect()
}

fn set<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, _: &Place) -> Vec<Op> {
    let Some(table) = fields.table("set") else { return Vec::new() };
    let mut ops = Vec::new();
    for (name, at, node) in table.all() {
        let path = table.path_of(name);
        let given = match &node.kind {
            NodeKind::Text(text) if text.contains("${") => {
                template(reader, fields, node, &path).map(Given::Template)
            }
            _ => Some(Given::Value(Value::from_node(node))),
        };
        match reader.context.symbols.define(name) {
            Ok(slot) => ops.extend(given.map(|given| Op::Set(slot, given))),
            Err(hint) => fields.diagnostics().error(at, &path, format!("{name:?} cannot be set"), hint),
        }
    }
    if table.all().next().is_none() {
        fields.error("set", "there is nothing in it", "write `set: {page: 1}`");
    }
    ops
}
