//! `save: {csrf: json.csrf_token, id: header.Location, first: {json: items, pick: first}}`.

use super::source;
use crate::extract::Save;
use crate::source::Source;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Node, NodeKind, Value};

/// Reads what a step saves; each name becomes a variable of the plan.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Vec<Save> {
    let Some(table) = fields.table("save") else { return Vec::new() };
    let mut saves = Vec::new();
    for (name, at, node) in table.all() {
        let found = one(&table, name, node);
        // a name whose source is wrong is still known: one mistake is told once
        match context.symbols.define(name) {
            Ok(slot) => saves.extend(found.map(|(source, default, optional)| Save {
                name: name.to_owned(),
                slot,
                source,
                default,
                optional,
            })),
            Err(hint) => {
                let path = table.path_of(name);
                table.diagnostics().error(at, &path, format!("nothing can be saved as {name:?}"), hint);
            }
        }
    }
    saves
}

fn one(table: &Fields<'_>, name: &str, node: &Node) -> Option<(Source, Option<Value>, bool)> {
    if node.as_map().is_none() {
        let Some(text) = node.scalar() else {
            let hint = "write where the value is found, as in json.id";
            table.error(name, format!("this is {}, a source is needed", node.kind_name()), hint);
            return None;
        };
        return match source::short(&text) {
            Ok(part) => Some((Source { part, regex: None, pick: None, text }, None, false)),
            Err(hint) => {
                table.error(name, format!("{text:?} cannot be read here"), hint);
                None
            }
        };
    }
    let inner = Fields::new(node, table.path_of(name), table.diagnostics())?;
    let source = source::table(&inner, true);
    let default = node.as_map().and_then(|map| map.get("default")).map(value);
    // `null` is a value here, so it is not left to `get`, which takes it as absent
    inner.get("default");
    let optional = inner.flag("optional").unwrap_or(false);
    inner.finish();
    Some((source?, default, optional))
}

/// A node as a value.
pub(super) fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(value) => Value::Bool(*value),
        NodeKind::Int(value) => Value::Int(*value),
        NodeKind::Float(value) => Value::Float(*value),
        NodeKind::Text(value) => Value::text(value),
        NodeKind::List(items) => Value::List(items.iter().map(value).collect()),
        NodeKind::Map(map) => {
            let entries = map.entries.iter().map(|(name, _, node)| (name.clone(), value(node)));
            Value::Table(std::sync::Arc::new(entries.collect()))
        }
    }
}
