//! `measure: {queue: json.length, db: {from: json.timings.db, kind: trend, unit: ms}}` and
//! `split: {name: backend, by: header.X-Backend, expect: {old: 50%, new: 50%}}`.

use super::source;
use crate::extract::{Feed, From};
use crate::source::Source;
use crucible_core::fields::suggest;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, MeasureKind, MeasureSpec, Node, NodeKind, Template, units};

const KINDS: [(&str, MeasureKind); 4] = [
    ("trend", MeasureKind::Trend),
    ("gauge", MeasureKind::Gauge),
    ("counter", MeasureKind::Counter),
    ("rate", MeasureKind::Rate),
];
/// Most marks of a split.
const MARKS_MAX: usize = 64;

/// Reads the measures that a step feeds, splits among them.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Vec<Feed> {
    let mut feeds = Vec::new();
    if let Some(table) = fields.table("measure") {
        for (name, _, node) in table.all() {
            feeds.extend(measure(&table, name, node, context));
        }
    }
    if let Some(node) = fields.get("split") {
        for (index, item) in node.as_list().unwrap_or(std::slice::from_ref(node)).iter().enumerate() {
            let path = match node.as_list() {
                Some(_) => format!("{}[{index}]", fields.path_of("split")),
                None => fields.path_of("split"),
            };
            feeds.extend(
                Fields::new(item, path, fields.diagnostics()).and_then(|table| split(&table, context)),
            );
        }
    }
    feeds
}

fn measure(table: &Fields<'_>, name: &str, node: &Node, context: &StepContext) -> Option<Feed> {
    let spec = |kind, unit| MeasureSpec { name: name.to_owned(), kind, unit };
    if node.as_map().is_none() {
        let text = node.scalar().unwrap_or_default();
        return match from(&text, node, &table.path_of(name), context) {
            Ok(from) => {
                Some(Feed { measure: spec(MeasureKind::Trend, String::new()), from, optional: false })
            }
            Err(hint) => {
                table.error(name, format!("{text:?} cannot be read here"), hint);
                None
            }
        };
    }
    let inner = Fields::new(node, table.path_of(name), table.diagnostics())?;
    let kind = inner.parse("kind", |text| {
        let words = KINDS.map(|kind| kind.0);
        KINDS
            .iter()
            .find(|kind| kind.0 == text)
            .map(|kind| kind.1.clone())
            .ok_or_else(|| suggest(text, &words))
    });
    let unit = inner.text("unit").unwrap_or_default();
    let optional = inner.flag("optional").unwrap_or(false);
    let that = inner.text("that");
    let expression = match inner.get("from").and_then(Node::scalar).filter(|text| text.contains("${")) {
        Some(text) => expression(&inner, "from", &text, context),
        None => that.as_deref().and_then(|text| expression(&inner, "that", text, context)),
    };
    let is_condition = inner.has("that");
    let from = match expression {
        Some(from) => Some(from),
        None if is_condition => None,
        None => source::table(&inner, true).map(From::Answer),
    };
    if is_condition && kind.as_ref().is_some_and(|kind| *kind != MeasureKind::Rate) {
        inner.error("that", "a condition makes a rate", "write `kind: rate`, or `from:` instead of `that:`");
    }
    inner.finish();
    let usual = if is_condition { MeasureKind::Rate } else { MeasureKind::Trend };
    Some(Feed { measure: spec(kind.unwrap_or(usual), unit), from: from?, optional })
}

fn expression(fields: &Fields<'_>, key: &str, text: &str, context: &StepContext) -> Option<From> {
    context.symbols.reading(fields.position(key), &fields.path_of(key));
    match Template::condition(text, &context.symbols) {
        Ok(template) => Some(From::Scope(template, text.trim().to_owned())),
        Err(hint) => {
            fields.error(key, format!("{text:?} cannot be read here"), hint);
            None
        }
    }
}

/// A source in its short form, or an expression in `${...}`. The error is a hint.
fn from(text: &str, node: &Node, path: &str, context: &StepContext) -> Result<From, String> {
    if text.contains("${") {
        context.symbols.reading(node.at, path);
        return Ok(From::Scope(Template::parse(text, &context.symbols)?, text.to_owned()));
    }
    let part = source::short(text)?;
    Ok(From::Answer(Source { part, regex: None, pick: None, text: text.to_owned() }))
}

fn split(table: &Fields<'_>, context: &StepContext) -> Option<Feed> {
    let name = table.text("name").unwrap_or_else(|| "split".to_owned());
    let optional = table.flag("optional").unwrap_or(false);
    let by = table.get("by");
    let from = match by.map(|node| (node, node.scalar())) {
        Some((node, Some(text))) => from(&text, node, &table.path_of("by"), context)
            .map_err(|hint| table.error("by", format!("{text:?} cannot be read here"), hint))
            .ok(),
        Some((node, None)) => Fields::new(node, table.path_of("by"), table.diagnostics()).and_then(|inner| {
            let source = source::table(&inner, true);
            inner.finish();
            source.map(From::Answer)
        }),
        None => {
            table.diagnostics().error(
                table.at,
                &table.path,
                "`by` is missing",
                "write {by: header.X-Backend}",
            );
            None
        }
    };
    let marks = marks(table);
    table.finish();
    let measure = MeasureSpec { name, kind: MeasureKind::Tally(marks?), unit: String::new() };
    Some(Feed { measure, from: from?, optional })
}

/// The marks, with the shares that are expected.
fn marks(table: &Fields<'_>) -> Option<Vec<(String, Option<f64>)>> {
    let hint = "write the marks and their shares, as in {old: 50%, new: 50%}";
    let Some(node) = table.get("expect") else {
        table.diagnostics().error(table.at, &table.path, "`expect` is missing", hint);
        return None;
    };
    let mut marks: Vec<(String, Option<f64>)> = Vec::new();
    match &node.kind {
        NodeKind::List(items) => marks.extend(items.iter().filter_map(|item| Some((item.scalar()?, None)))),
        NodeKind::Map(map) => {
            for (mark, at, share) in &map.entries {
                match units::parse_share(&share.scalar().unwrap_or_default()) {
                    Ok(share) => marks.push((mark.clone(), Some(share))),
                    Err(hint) => {
                        let path = format!("{}.{mark}", table.path_of("expect"));
                        table.diagnostics().error(*at, &path, "this is not a share", hint);
                    }
                }
            }
        }
        _ => table.error("expect", format!("this is {}", node.kind_name()), hint),
    }
    let sum: f64 = marks.iter().filter_map(|mark| mark.1).sum();
    if sum > 1.0 + 1e-9 {
        table.error(
            "expect",
            format!("the shares come to {:.4} %", sum * 100.0),
            "together they are at most 100%",
        );
    }
    let stand = node.as_map().map_or(marks.len(), |map| map.entries.len());
    if stand > marks.len() {
        return None;
    }
    if marks.is_empty() || marks.len() > MARKS_MAX {
        table.error("expect", format!("a split has 1 to {MARKS_MAX} marks"), hint);
        return None;
    }
    Some(marks)
}
