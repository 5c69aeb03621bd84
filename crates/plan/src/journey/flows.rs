//! `flows` at the top of a plan, and `use: NAME` where one of them is done.
//!
//! A flow is read where it is used: its steps belong to the scenario that uses it. Used twice in one place of a
//! scenario, it is read once and its steps are the same ones.

use super::Word;
use crate::model::StepRole;
use crate::names;
use crate::program::Op;
use crate::scenarios::ScenarioReader;
use crate::steps::Place;
use crucible_core::{Diagnostics, Fields, Key, Node, Position, ScenarioId, fields};
use std::collections::BTreeMap;

pub(super) const USE: Word = Word {
    keys: &[Key {
        name: "use",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "The steps of one of the plan's `flows`.",
        example: "login",
    }],
    read,
};

/// The flows of a plan.
#[derive(Default)]
pub(crate) struct Flows<'a> {
    named: BTreeMap<&'a str, Named<'a>>,
    /// What has been read, by flow and place.
    read: BTreeMap<(String, ScenarioId, u8), Vec<Op>>,
}

struct Named<'a> {
    at: Position,
    /// The table that it stands in, which is asked for its name alone.
    list: &'a [Node],
    used: bool,
}

impl<'a> Flows<'a> {
    /// The `flows` of a plan.
    pub(crate) fn new(root: &Fields<'a>, diagnostics: &'a Diagnostics) -> Flows<'a> {
        let mut flows = Flows::default();
        let Some(table) = root.table("flows") else { return flows };
        for (name, at, node) in table.all() {
            names::check_at(diagnostics, at, &table.path_of(name), name);
            let list = node.as_list().unwrap_or(std::slice::from_ref(node));
            if list.is_empty() {
                let hint = "write its steps, as in `login: [{post: /login}]`";
                diagnostics.error(node.at, &table.path_of(name), "there is no step in it", hint);
            }
            flows.named.insert(name, Named { at, list, used: false });
        }
        flows
    }

    /// Warns of flows that nothing uses: nobody has read them.
    pub(crate) fn finish(&self, diagnostics: &Diagnostics) {
        for (name, flow) in self.named.iter().filter(|(_, flow)| !flow.used) {
            let hint = format!("write `use: {name}` where it is to be done, or remove it");
            diagnostics.warning(flow.at, &format!("flows.{name}"), "nothing uses this flow", hint);
        }
    }
}

fn read<'a>(reader: &mut ScenarioReader<'a>, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
    let Some(name) = fields.text("use") else { return Vec::new() };
    let Some(flow) = reader.flows.named.get_mut(name.as_str()) else {
        let known: Vec<&str> = reader.flows.named.keys().copied().collect();
        let hint = match fields::suggest(&name, &known) {
            hint if hint.is_empty() => format!("add it, as in `flows: {{{name}: [{{get: /}}]}}`"),
            hint => hint,
        };
        fields.error("use", format!("there is no flow `{name}`"), hint);
        return Vec::new();
    };
    flow.used = true;
    let list = flow.list;
    if place.flows.contains(&name) {
        let mut way = place.flows.clone();
        way.push(name.clone());
        let message = format!("the flow `{name}` uses itself: {}", way.join(" -> "));
        fields.error("use", message, "write a loop: `repeat`, `while` or `foreach`");
        return Vec::new();
    }
    let role = match place.role {
        StepRole::Setup => 0,
        StepRole::Teardown => 2,
        _ => 1,
    };
    let key = (name.clone(), place.scenario, role);
    if let Some(ops) = reader.flows.read.get(&key) {
        return ops.clone();
    }
    let mut inside = place.clone();
    inside.flows.push(name.clone());
    let before = std::mem::replace(&mut reader.in_flow, true);
    let mut ops = Vec::new();
    for (index, node) in list.iter().enumerate() {
        if reader.full {
            break;
        }
        ops.extend(super::item(reader, node, format!("flows.{name}[{index}]"), &inside));
        if ops.len() > super::OPS_MAX {
            break;
        }
    }
    reader.in_flow = before;
    reader.flows.read.insert(key, ops.clone());
    ops
}
