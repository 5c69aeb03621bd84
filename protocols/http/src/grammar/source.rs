//! `json.items[0].id`, `header.Location`, `{css: 'input[name=csrf]', attribute: value}`: where a value is found.

use crate::html::Selector;
use crate::json::JsonQuery;
use crate::source::{Capture, Part, Pick, Source};
use crucible_core::fields::suggest;
use crucible_core::{Fields, NodeKind};
use regex::bytes::RegexBuilder;

const PARTS: [&str; 8] =
    ["json.PATH", "header.NAME", "cookie.NAME", "body", "status", "size", "latency", "json"];
/// Largest compiled form of a regular expression, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// Reads the short form. The error is a hint.
pub(super) fn short(text: &str) -> Result<Part, String> {
    let text = text.trim();
    let (kind, rest) = text.split_once('.').unwrap_or((text, ""));
    match (kind, rest) {
        ("json", "") => JsonQuery::parse("$").map(Part::Json),
        ("json", path) => JsonQuery::parse(path).map(Part::Json),
        ("header", name) => header(name),
        ("cookie", name) => cookie(name),
        ("body", "") => Ok(Part::Body),
        ("status", "") => Ok(Part::Status),
        ("size", "") => Ok(Part::Size),
        ("latency", "") => Ok(Part::Latency),
        _ => Err(format!("a value is found in an answer as one of: {}", PARTS[..7].join(", "))),
    }
}

fn header(name: &str) -> Result<Part, String> {
    match crate::spec::is_token(name) {
        true => Ok(Part::Header(name.to_owned())),
        false => Err(format!("{name:?} is not a header name; write header.NAME")),
    }
}

fn cookie(name: &str) -> Result<Part, String> {
    match crate::spec::is_token(name) {
        true => Ok(Part::Cookie(name.to_owned())),
        false => Err(format!("{name:?} is not a cookie name; write cookie.NAME")),
    }
}

/// Reads the keys `from`, `json`, `header`, `cookie`, `css`, `attribute`, `regex`, `group` and `pick` of a table. `None` if
/// there is no source in it or a mistake was noted; `required` makes the first of these a mistake.
pub(super) fn table(fields: &Fields<'_>, required: bool) -> Option<Source> {
    let ways = ["from", "json", "header", "cookie", "css"];
    let present: Vec<&str> = ways.into_iter().filter(|way| fields.has(way)).collect();
    if let [_, second, ..] = present.as_slice() {
        fields.error(second, "a value is found in one way", format!("keep one of {}", present.join(", ")));
    }
    let short_text = fields.text("from");
    let from = part(fields, "from", short_text.clone(), short);
    let json = part(fields, "json", fields.text("json"), |path| JsonQuery::parse(path).map(Part::Json));
    let header = part(fields, "header", fields.text("header"), header);
    let cookie = part(fields, "cookie", fields.text("cookie"), cookie);
    let css = css(fields);
    let regex = regex(fields);
    let pick = fields.parse("pick", |text| {
        let words = Pick::WORDS.map(|word| word.0);
        Pick::WORDS.iter().find(|word| word.0 == text).map(|word| word.1).ok_or_else(|| suggest(text, &words))
    });
    let found = from.or(json).or(header).or(cookie).or(css).filter(|_| present.len() == 1);
    let (part, mut text) = match found {
        Some(found) => found,
        None if present.is_empty() && fields.has("regex") => (Part::Body, "body".to_owned()),
        None => {
            if present.is_empty() && required {
                let hint = "write one of `from: json.PATH`, `json`, `header`, `cookie`, `css`, `regex`";
                fields.diagnostics().error(
                    fields.at,
                    &fields.path,
                    "it is not said where the value is found",
                    hint,
                );
            }
            return None;
        }
    };
    if let Some((_, shown)) = &regex {
        text = format!("/{shown}/ in {text}");
    }
    if let Some(pick) = pick {
        let word = Pick::WORDS.iter().find(|word| word.1 == pick).map_or("", |word| word.0);
        text = format!("{word} of {text}");
    }
    if fields.has("regex") && regex.is_none() {
        return None;
    }
    Some(Source { part, regex: regex.map(|(capture, _)| capture), pick, text })
}

fn part(
    fields: &Fields<'_>,
    key: &str,
    text: Option<String>,
    read: impl FnOnce(&str) -> Result<Part, String>,
) -> Option<(Part, String)> {
    let text = text?;
    match read(&text) {
        Ok(part) => Some((part, if key == "from" { text } else { format!("{key}.{text}") })),
        Err(hint) => {
            fields.error(key, format!("{text:?} cannot be read here"), hint);
            None
        }
    }
}

fn css(fields: &Fields<'_>) -> Option<(Part, String)> {
    let attribute = fields.text("attribute");
    if attribute.is_some() && !fields.has("css") {
        fields.error(
            "attribute",
            "`attribute` needs `css` beside it",
            "write {css: 'input[name=csrf]', attribute: value}",
        );
    }
    let text = fields.text("css")?;
    match Selector::parse(&text, attribute.as_deref()) {
        Ok(selector) => Some((Part::Html(selector), format!("css {text}"))),
        Err(hint) => {
            fields.error("css", format!("{text:?} cannot be read as a selector"), hint);
            None
        }
    }
}

/// The expression with its group, and its text.
fn regex(fields: &Fields<'_>) -> Option<(Capture, String)> {
    let wanted = fields.get("group").map(|node| (node, node.scalar().unwrap_or_default()));
    let text = fields.text("regex");
    if wanted.is_some() && text.is_none() && !fields.has("regex") {
        fields.error("group", "`group` needs `regex` beside it", "");
    }
    let text = text?;
    let expression = match compile(&text) {
        Ok(expression) => expression,
        Err(hint) => {
            fields.error("regex", format!("{text:?} finds nothing"), hint);
            return None;
        }
    };
    let groups = expression.captures_len() - 1;
    let group = match wanted {
        None => groups.min(1),
        Some((node, name)) => {
            let number = match node.kind {
                NodeKind::Int(number) => usize::try_from(number).ok().filter(|number| *number <= groups),
                _ => expression.capture_names().position(|known| known == Some(name.as_str())),
            };
            let Some(number) = number else {
                fields.error(
                    "group",
                    format!("the expression has no group {name}"),
                    format!("it has {groups}"),
                );
                return None;
            };
            number
        }
    };
    Some((Capture { expression, group }, text))
}

/// Compiles a regular expression that can match something. The error is a hint.
pub(super) fn compile(text: &str) -> Result<regex::bytes::Regex, String> {
    let expression = RegexBuilder::new(text).size_limit(REGEX_LIMIT).build().map_err(|error| {
        // the last line says what is wrong, those before it draw where
        let text = error.to_string();
        let line = text.lines().last().unwrap_or_default();
        format!("not a regular expression: {}", line.trim_start_matches("error: "))
    })?;
    // bytes that are no text may be matched, as the engine itself allows
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(text);
    match parsed.map(|hir| hir.properties().minimum_len()) {
        Ok(None) => Err("no text can match this expression".to_owned()),
        _ => Ok(expression),
    }
}
