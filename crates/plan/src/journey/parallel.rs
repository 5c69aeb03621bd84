//! `{parallel: [...], most: 6}`: steps at the same time, as a browser loads a page with what belongs to it.

use super::{STEPS_SCHEMA, Word};
use crate::program::{Op, Parallel};
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crucible_core::{Fields, Key, Node};

/// Most connections that browsers open to one host.
const MOST: u64 = 6;
/// Largest number that a plan may ask for.
const MOST_MAX: u64 = 30;

pub(super) const PARALLEL: Word = Word {
    keys: &[
        Key {
            name: "parallel",
            schema: STEPS_SCHEMA,
            doc: "Steps that are done at the same time; what comes behind waits for all of them.",
            example: "[{get: /a.css}, {get: /b.js}]",
        },
        Key {
            name: "most",
            schema: r##"{"$ref": "#/$defs/count"}"##,
            doc: "Most that are under way at once, 30 at most; 6 unless given.",
            example: "6",
        },
    ],
    read,
};

fn read<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let most = fields.count("most").unwrap_or(MOST);
    if !(1..=MOST_MAX).contains(&most) {
        fields.error("most", format!("{most} at once"), format!("write 1 to {MOST_MAX}"));
    }
    let nodes = fields.list("parallel").unwrap_or_default();
    if nodes.is_empty() {
        fields.error("parallel", "there is no step in it", "write `parallel: [{get: /a.css}, {get: /b.js}]`");
    }
    let mut steps = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("{}[{index}]", fields.path_of("parallel"));
        if let Some(table) = one(reader, node, path) {
            steps.extend(reader.step(&table, place).into_iter().filter_map(|op| match op {
                Op::Step(step) => Some(step),
                _ => None,
            }));
        }
    }
    if steps.is_empty() {
        return Vec::new();
    }
    vec![Op::Parallel(Box::new(Parallel { steps, most: most.clamp(1, MOST_MAX) as u16 }))]
}

/// A table that is a step and nothing more.
fn one<'a>(reader: &ScenarioReader<'a>, node: &'a Node, path: String) -> Option<Fields<'a>> {
    let table = Fields::new(node, path, reader.diagnostics)?;
    for (key, hint) in [
        ("save", "save in a step before or behind: steps at the same time have no order"),
        ("until", "follow the job behind the parallel steps"),
        ("think", "pause behind the parallel steps"),
    ] {
        if table.has(key) {
            table.error(key, format!("`{key}` does not go with `parallel`"), hint);
        }
    }
    if let Some(word) = super::openers().find(|word| table.has(word)) {
        let message = format!("`{word}` stands in `parallel`");
        table.error(word, message, "only steps may stand there; put them one behind the other");
        return None;
    }
    Some(table)
}
