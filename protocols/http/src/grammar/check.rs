//! `check: {status: 200, header.etag: {exists: true}, json.items[0].id: 7, size: {max: 10KB}, latency: < 300ms}`.

use crate::checks::{Check, StatusMatch, ValueTest};
use crucible_core::fields::suggest;
use crucible_core::{Fields, Node, NodeKind, units};
use regex::bytes::RegexBuilder;
use serde_json::Value;

const KNOWN: [&str; 6] = ["status", "header.NAME", "body", "json.PATH", "size", "latency"];
const TESTS: [&str; 7] = ["equals", "in", "contains", "matches", "exists", "gt", "lt"];

/// Reads the checks of a step; each condition becomes one check.
pub(super) fn read(fields: &Fields<'_>) -> Vec<Check> {
    let Some(table) = fields.table("check") else { return Vec::new() };
    let mut checks = Vec::new();
    for (name, _, node) in table.all() {
        let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
        match (kind, rest) {
            ("status", "") => checks.extend(status(&table, node)),
            ("body", "") => checks.extend(tests(&table, name, node).into_iter().map(Check::Body)),
            ("size", "") => checks.extend(size(&table, node)),
            ("latency", "") => checks.extend(latency(&table, node)),
            ("header", "") => {
                nested(&table, name, node, |inner, key, node| checks.extend(header(inner, key, key, node)))
            }
            ("json", "")
                if node
                    .as_map()
                    .is_some_and(|map| map.entries.iter().all(|(n, ..)| !TESTS.contains(&n.as_str()))) =>
            {
                nested(&table, name, node, |inner, key, node| checks.extend(json(inner, key, key, node)));
            }
            ("json", "") => checks.extend(json(&table, name, "$", node)),
            ("header", header_name) => checks.extend(header(&table, name, header_name, node)),
            ("json", path) => checks.extend(json(&table, name, path, node)),
            _ => table.error(name, format!("unknown check `{name}`"), suggest(name, &KNOWN)),
        }
    }
    if checks.len() > 64 {
        fields.error("check", "a step has at most 64 checks", "make it two steps");
        checks.truncate(64);
    }
    checks
}

fn nested<'a>(
    table: &Fields<'a>,
    name: &str,
    node: &'a Node,
    mut read: impl FnMut(&Fields<'a>, &'a str, &'a Node),
) {
    if let Some(inner) = Fields::new(node, table.path_of(name), table.diagnostics()) {
        for (key, _, node) in inner.all() {
            read(&inner, key, node);
        }
    }
}

fn status(table: &Fields<'_>, node: &Node) -> Option<Check> {
    let mut ranges = Vec::new();
    for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        let text = item.scalar().unwrap_or_default();
        match StatusMatch::parse(&text) {
            Ok(status) => ranges.extend(status.ranges),
            Err(hint) => table.error("status", format!("{text:?} is not a status"), hint),
        }
    }
    (!ranges.is_empty()).then_some(Check::Status(StatusMatch { ranges }))
}

fn header(table: &Fields<'_>, key: &str, name: &str, node: &Node) -> Vec<Check> {
    if !crate::spec::is_token(name) {
        table.error(key, format!("{name:?} is not a header name"), "");
        return Vec::new();
    }
    tests(table, key, node).into_iter().map(|test| Check::Header(name.to_owned(), test)).collect()
}

fn json(table: &Fields<'_>, key: &str, path: &str, node: &Node) -> Vec<Check> {
    let mut checks = Vec::new();
    for test in tests(table, key, node) {
        match Check::json(path, test) {
            Ok(check) => checks.push(check),
            Err(hint) => {
                table.error(key, format!("{path:?} cannot be read as a path"), hint);
                break;
            }
        }
    }
    checks
}

/// The conditions on one value: a value, a list of which one must hold, or a table of tests.
fn tests(table: &Fields<'_>, key: &str, node: &Node) -> Vec<ValueTest> {
    match &node.kind {
        NodeKind::List(items) => vec![ValueTest::OneOf(items.iter().map(value).collect())],
        NodeKind::Map(map) => {
            let mut tests = Vec::new();
            for (name, at, node) in &map.entries {
                match test(name, node) {
                    Ok(test) => tests.push(test),
                    Err(hint) => {
                        let path = format!("{}.{name}", table.path_of(key));
                        table.diagnostics().error(
                            *at,
                            &path,
                            format!("this test of `{key}` cannot be read"),
                            hint,
                        );
                    }
                }
            }
            tests
        }
        _ => vec![ValueTest::Equals(value(node))],
    }
}

fn test(name: &str, node: &Node) -> Result<ValueTest, String> {
    let text = || node.scalar().ok_or_else(|| format!("this is {}, text is needed", node.kind_name()));
    let number = || text()?.parse::<f64>().map_err(|_| "write a number".to_owned());
    match name {
        "equals" => Ok(ValueTest::Equals(value(node))),
        "in" => match node.as_list() {
            Some(items) => Ok(ValueTest::OneOf(items.iter().map(value).collect())),
            None => Err("write a list, as in [a, b]".to_owned()),
        },
        "contains" => Ok(ValueTest::Contains(text()?)),
        "matches" => {
            let expression = RegexBuilder::new(&text()?).size_limit(1 << 20).build();
            expression.map(ValueTest::Matches).map_err(|error| format!("not a regular expression: {error}"))
        }
        "exists" => match node.kind {
            NodeKind::Bool(wanted) => Ok(ValueTest::Exists(wanted)),
            _ => Err("write true or false".to_owned()),
        },
        "gt" | "above" => Ok(ValueTest::Above(number()?)),
        "lt" | "below" => Ok(ValueTest::Below(number()?)),
        _ => Err(suggest(name, &TESTS)),
    }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(value) => Value::from(*value),
        NodeKind::Int(value) => Value::from(*value),
        NodeKind::Float(value) => Value::from(*value),
        NodeKind::Text(value) => Value::from(value.as_str()),
        NodeKind::List(items) => items.iter().map(value).collect(),
        NodeKind::Map(map) => map.entries.iter().map(|(name, _, node)| (name.clone(), value(node))).collect(),
    }
}

fn size(table: &Fields<'_>, node: &Node) -> Vec<Check> {
    if node.as_map().is_none() {
        return match node.scalar().ok_or_else(String::new).and_then(|text| units::parse_size(&text)) {
            Ok(bytes) => vec![Check::SizeMin(bytes), Check::SizeMax(bytes)],
            Err(hint) => {
                table.error("size", "this is not a size", hint);
                Vec::new()
            }
        };
    }
    let Some(inner) = Fields::new(node, table.path_of("size"), table.diagnostics()) else {
        return Vec::new();
    };
    let checks = [inner.size("min").map(Check::SizeMin), inner.size("max").map(Check::SizeMax)];
    inner.finish();
    checks.into_iter().flatten().collect()
}

fn latency(table: &Fields<'_>, node: &Node) -> Option<Check> {
    let text = node.scalar().unwrap_or_default();
    let limit = text.trim().trim_start_matches('<').trim();
    match units::parse_duration(limit) {
        Ok(limit) => Some(Check::Latency(limit)),
        Err(hint) => {
            table.error(
                "latency",
                format!("{text:?} is not a time limit"),
                format!("write `latency: < 300ms`; {hint}"),
            );
            None
        }
    }
}
