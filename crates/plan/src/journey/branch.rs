//! `{if: COND, then: [...], else: [...]}`.

use super::{STEPS_SCHEMA, Word, body, condition};
use crate::program::Op;
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crucible_core::{Fields, Key};

pub(super) const IF: Word = Word {
    keys: &[
        Key {
            name: "if",
            schema: r##"{"$ref": "#/$defs/condition"}"##,
            doc: "Steps that are done only if this holds.",
            example: "status == 200",
        },
        Key { name: "then", schema: STEPS_SCHEMA, doc: "What is done then.", example: "[{get: /a}]" },
        Key { name: "else", schema: STEPS_SCHEMA, doc: "What is done otherwise.", example: "[{get: /b}]" },
    ],
    read,
};

fn read<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let condition = condition(reader, fields, "if");
    let then = body(reader, fields, "then", place);
    let other = reader.steps(fields, "else", place);
    let Some(condition) = condition else { return Vec::new() };
    let past_then = then.len() as i32 + 1 + i32::from(!other.is_empty());
    let mut ops = vec![Op::JumpUnless(condition, past_then)];
    ops.extend(then);
    if !other.is_empty() {
        ops.push(Op::Jump(other.len() as i32 + 1));
        ops.extend(other);
    }
    ops
}
