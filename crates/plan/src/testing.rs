//! A made-up protocol and short ways to read plans, for this crate's tests.

use crate::{FeederSpec, Plan, ReadOptions, read};
use crucible_core::protocol::StepContext;
use crucible_core::{Feeder, Fields, Key, NodeKind, Row, StepGrammar, StepSpec, Template, Value};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

/// Speaks `get`, `post`, and understands `headers`, `json` and `check`.
pub(crate) struct Echo;

const fn key(name: &'static str, schema: &'static str, example: &'static str) -> Key {
    Key { name, schema, doc: "A key of the made-up protocol.", example }
}

const OPENERS: &[Key] =
    &[key("get", r#"{"type": "string"}"#, "/x"), key("post", r#"{"type": "string"}"#, "/x")];
const STEP: &[Key] = &[
    key("headers", r#"{"type": "object"}"#, "{accept: text/html}"),
    key("json", "true", "{a: 1}"),
    key("body", r#"{"type": "string"}"#, "x=1"),
    key("timeout", r#"{"type": "string"}"#, "5s"),
    key("check", r#"{"type": "object"}"#, "{status: 200}"),
    key("save", r#"{"type": "object"}"#, "{id: json.id}"),
];
const SETTINGS: &[Key] = &[key("tls", r#"{"type": "object"}"#, "{verify: false}")];

impl StepGrammar for Echo {
    fn protocol(&self) -> &'static str {
        "echo"
    }

    fn openers(&self) -> &'static [Key] {
        OPENERS
    }

    fn step_keys(&self) -> &'static [Key] {
        STEP
    }

    fn settings_keys(&self) -> &'static [Key] {
        SETTINGS
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        if let Some(table) = fields.table("save") {
            table.all().for_each(|(name, _, _)| drop(context.symbols.define(name)));
        }
        for key in ["headers", "json", "body", "check"] {
            fields.get(key);
        }
        fields.duration("timeout");
        let (get, post) = (fields.text("get"), fields.text("post"));
        for (key, text) in [("get", &get), ("post", &post)] {
            if let Some(Err(hint)) = text.as_ref().map(|text| Template::parse(text, &context.symbols)) {
                fields.error(key, "this cannot be read here", hint);
            }
        }
        let default_name = match (get, post) {
            (Some(path), _) => format!("GET {path}"),
            (_, Some(path)) => format!("POST {path}"),
            _ => return None,
        };
        Some(StepSpec { default_name, checks: Vec::new(), measures: Vec::new(), body: Arc::new(()) })
    }

    fn settings(&self, fields: &Fields<'_>, _context: &StepContext) -> Arc<dyn Any + Send + Sync> {
        let mut verify = true;
        if let Some(tls) = fields.table("tls") {
            verify = tls.flag("verify").unwrap_or(true);
            tls.finish();
        }
        Arc::new(verify)
    }

    fn remarks(&self, settings: &(dyn Any + Send + Sync)) -> Vec<String> {
        match settings.downcast_ref() {
            Some(false) => vec!["certificates are not verified".into()],
            _ => Vec::new(),
        }
    }
}

/// Rows that stand in the plan itself.
#[derive(Debug)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Feeder for Rows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }

    fn row(&self, index: u64) -> Result<Row, String> {
        Ok(Arc::clone(&self.rows[index as usize]))
    }
}

fn open_feeder(spec: &FeederSpec) -> Result<Arc<dyn Feeder>, String> {
    let NodeKind::List(rows) = &spec.source.kind else { return Err("no file is read here\nuse rows".into()) };
    let columns = rows.iter().filter_map(|row| row.as_map()).flat_map(|map| &map.entries);
    let columns = columns.map(|(name, _, _)| name.clone()).collect();
    let row = |node: &crucible_core::Node| -> Row {
        let entries = node.as_map().into_iter().flat_map(|map| &map.entries);
        entries.map(|(_, _, node)| Value::text(&node.scalar().unwrap_or_default())).collect()
    };
    Ok(Arc::new(Rows { columns, rows: rows.iter().map(row).collect() }))
}

/// Variables of every test.
pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "RATE" => Some("20/s".into()),
        "VUS" => Some("7".into()),
        "TOKEN" => Some("from the environment".into()),
        _ => None,
    }
}

pub(crate) fn options() -> ReadOptions<'static> {
    ReadOptions {
        grammars: &[&Echo],
        env: &env,
        folder: PathBuf::from("."),
        expressions: None,
        open_feeder: &open_feeder,
        read_file: &|name| {
            if name == "traffic.csv" { Ok("0s,50/s\n10s,100/s\n".into()) } else { Err("no such file".into()) }
        },
        target: None,
        seed: None,
    }
}

/// The plan, which must be good.
pub(crate) fn plan(text: &str) -> Plan {
    match read(text, &options()) {
        Ok(plan) => plan,
        Err(told) => {
            let told: Vec<String> = told.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", told.join("\n"))
        }
    }
}

/// The mistakes of a plan, one on each line; empty if it is good.
pub(crate) fn told(text: &str) -> String {
    let list = match read(text, &options()) {
        Ok(plan) => plan.warnings,
        Err(told) => told,
    };
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A large plan that uses everything once.
pub(crate) const EVERYTHING: &str = include_str!("../tests/everything.yaml");
