//! `check: {status: 200, header.etag: {exists: true}, json.items[0].id: 7, size: {max: 10KB}, latency: < 300ms}`.

use super::source::compile;
use super::text::template_at;
use crate::checks::{Check, ValueTest};
use crate::operand::Operand;
use crate::status::StatusMatch;
use crucible_core::fields::suggest;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Node, NodeKind, Template, Value, units};

const KNOWN: [&str; 7] = ["status", "header.NAME", "body", "json.PATH", "size", "latency", "that"];
const TESTS: [&str; 7] = ["equals", "in", "contains", "matches", "exists", "gt", "lt"];

/// Reads the checks of a step; each condition becomes one check.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Vec<Check> {
    let Some(table) = fields.table("check") else { return Vec::new() };
    let mut checks = Vec::new();
    for (name, _, node) in table.all() {
        let (kind, rest) = name.split_once('.').unwrap_or((name, ""));
        match (kind, rest) {
            ("status", "") => checks.extend(status(&table, node)),
            ("body", "") => checks.extend(tests(&table, name, node, context).into_iter().map(Check::Body)),
            ("that", "") => checks.extend(that(&table, node, context)),
            ("size", "") => checks.extend(size(&table, node)),
            ("latency", "") => checks.extend(latency(&table, node)),
            ("header", "") => nested(&table, name, node, |inner, key, node| {
                checks.extend(header(inner, key, key, node, context));
            }),
            ("json", "")
                if node
                    .as_map()
                    .is_some_and(|map| map.entries.iter().all(|(n, ..)| !TESTS.contains(&n.as_str()))) =>
            {
                nested(&table, name, node, |inner, key, node| {
                    checks.extend(json(inner, key, key, node, context));
                });
            }
            ("json", "") => checks.extend(json(&table, name, "$", node, context)),
            ("header", header_name) => checks.extend(header(&table, name, header_name, node, context)),
            ("json", path) => checks.extend(json(&table, name, path, node, context)),
            _ => table.error(name, format!("unknown check `{name}`"), suggest(name, &KNOWN)),
        }
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

fn header(table: &Fields<'_>, key: &str, name: &str, node: &Node, context: &StepContext) -> Vec<Check> {
    if !crate::spec::is_token(name) {
        table.error(key, format!("{name:?} is not a header name"), "");
        return Vec::new();
    }
    tests(table, key, node, context).into_iter().map(|test| Check::Header(name.to_owned(), test)).collect()
}

fn json(table: &Fields<'_>, key: &str, path: &str, node: &Node, context: &StepContext) -> Vec<Check> {
    let mut checks = Vec::new();
    for test in tests(table, key, node, context) {
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

/// `that: "${n > 3}"`, or a list of such.
fn that(table: &Fields<'_>, node: &Node, context: &StepContext) -> Vec<Check> {
    let mut checks = Vec::new();
    for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        let Some(text) = item.scalar() else {
            let hint = "write an expression, as in \"${total > 0}\"";
            table.error("that", format!("this is {}, a condition is needed", item.kind_name()), hint);
            continue;
        };
        context.symbols.reading(item.at, &table.path_of("that"));
        match Template::condition(&text, &context.symbols) {
            Ok(condition) if condition.literal().is_some() => {
                table.error(
                    "that",
                    format!("{text:?} is always the same"),
                    "name a value, as in \"${total > 0}\"",
                );
            }
            Ok(condition) => {
                let shown = text.trim();
                let inner = shown.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                let shown = inner.filter(|_| condition.is_place()).unwrap_or(shown).trim();
                checks.push(Check::That(condition, shown.into()));
            }
            Err(hint) => table.error("that", format!("{text:?} cannot be read here"), hint),
        }
    }
    checks
}

/// The conditions on one value: a value, a list of which one must hold, or a table of tests.
fn tests(table: &Fields<'_>, key: &str, node: &Node, context: &StepContext) -> Vec<ValueTest> {
    let path = table.path_of(key);
    let reader = Operands { table, path: &path, context };
    match &node.kind {
        NodeKind::List(items) => reader.all(items).map(ValueTest::OneOf).into_iter().collect(),
        NodeKind::Map(map) => {
            let mut tests = Vec::new();
            for (name, at, node) in &map.entries {
                let path = format!("{path}.{name}");
                match test(name, node, &Operands { path: &path, ..reader }) {
                    Ok(test) => tests.extend(test),
                    Err(hint) => {
                        let message = format!("this test of `{key}` cannot be read");
                        table.diagnostics().error(*at, &path, message, hint);
                    }
                }
            }
            tests
        }
        _ => reader.one(node).map(ValueTest::Equals).into_iter().collect(),
    }
}

/// One test; `Ok(None)` if a mistake in it was noted already. The error is a hint.
fn test(name: &str, node: &Node, operands: &Operands<'_, '_>) -> Result<Option<ValueTest>, String> {
    let text = || node.scalar().ok_or_else(|| format!("this is {}, text is needed", node.kind_name()));
    let number = || -> Result<Option<Operand>, String> {
        let operand = operands.one(node);
        match &operand {
            Some(Operand::Fixed(value)) if value.number().is_none() => Err("write a number".to_owned()),
            _ => Ok(operand),
        }
    };
    match name {
        "equals" => Ok(operands.one(node).map(ValueTest::Equals)),
        "in" => match node.as_list() {
            Some(items) => Ok(operands.all(items).map(ValueTest::OneOf)),
            None => Err("write a list, as in [a, b]".to_owned()),
        },
        "contains" => Ok(operands.text(node, &text()?).map(ValueTest::Contains)),
        "matches" => compile(&text()?).map(ValueTest::Matches).map(Some),
        "exists" => match node.kind {
            NodeKind::Bool(wanted) => Ok(Some(ValueTest::Exists(wanted))),
            _ => Err("write true or false".to_owned()),
        },
        "gt" | "above" => Ok(number()?.map(ValueTest::Above)),
        "lt" | "below" => Ok(number()?.map(ValueTest::Below)),
        _ => Err(suggest(name, &TESTS)),
    }
}

/// Reads what is compared with.
#[derive(Clone, Copy)]
struct Operands<'o, 'f> {
    table: &'o Fields<'f>,
    path: &'o str,
    context: &'o StepContext,
}

impl Operands<'_, '_> {
    /// A value; a text with places is rendered when the check is made.
    fn one(&self, node: &Node) -> Option<Operand> {
        match &node.kind {
            NodeKind::Text(text) => self.text(node, text),
            _ => Some(Operand::Fixed(super::save::value(node))),
        }
    }

    fn all(&self, items: &[Node]) -> Option<Vec<Operand>> {
        items.iter().map(|item| self.one(item)).collect()
    }

    fn text(&self, node: &Node, text: &str) -> Option<Operand> {
        let template = template_at(self.context, self.table, node.at, self.path, text)?;
        Some(match template.literal() {
            Some(text) => Operand::Fixed(Value::text(text)),
            None => Operand::Rendered(template, text.into()),
        })
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
