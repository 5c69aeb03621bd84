//! `{group: NAME, steps: [...]}`: several steps timed as one.

use super::{STEPS_SCHEMA, Word, body};
use crate::names;
use crate::program::Op;
use crate::scenarios::ScenarioReader;
use crate::steps::{Draft, Place};
use crucible_core::{Fields, Key};

pub(super) const GROUP: Word = Word {
    keys: &[
        Key {
            name: "group",
            schema: r#"{"type": "string", "minLength": 1}"#,
            doc: "Steps that are timed together, from the begin of the first to the end of the last.",
            example: "checkout",
        },
        Key {
            name: "steps",
            schema: STEPS_SCHEMA,
            doc: "The steps.",
            example: "[{get: /cart}, {get: /pay}]",
        },
    ],
    read,
};

fn read<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let name = fields.text("group").filter(|name| names::check(fields, "group", name));
    let row = name.and_then(|name| {
        let draft = reader.timed(fields, place, &name);
        reader.keep(Draft { given: Some(name), ..draft })
    });
    let body = body(reader, fields, "steps", place);
    let Some(row) = row else { return body };
    let mut ops = vec![Op::GroupBegin(row)];
    ops.extend(body);
    ops.push(Op::GroupEnd);
    ops
}
