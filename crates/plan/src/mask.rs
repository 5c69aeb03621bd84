//! The plan's text as records keep it: secrets masked, everything else as its author wrote it.
//!
//! Two passes. The first follows the syntax: the value of every key that looks like a secret's is replaced, whatever
//! its quoting, aliases included. The second reads lines: credentials in URLs, `password=...` in queries and forms,
//! JSON inside text, `Bearer ...`, comments. What results must still be YAML without an unmasked secret; if it is
//! not, the tree itself is written out instead. References such as `${env.PASSWORD}` say nothing and are kept.

use crate::yaml;
use crucible_core::{Diagnostics, Node, NodeKind};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Parts of keys, without `-`, `_` and `.`, in lower case, whose values are secrets.
const SECRET_PARTS: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "subscriptionkey",
    "credential",
    "sessionid",
    "bearer",
    "passcode",
];

/// Whether the value of `key` looks like a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let bare: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(bare.as_str(), "auth" | "pass" | "pin" | "otp" | "xauth")
        || SECRET_PARTS.iter().any(|part| bare.contains(part))
}

/// Words before a secret that tell nothing.
const SCHEMES: [&str; 6] = ["Bearer ", "Basic ", "Token ", "bearer ", "basic ", "token "];

/// Whether a text consists of `${...}` places without defaults (and words such as `Bearer` before them): it names a
/// secret but does not tell it.
fn is_reference(text: &str) -> bool {
    let mut rest = text.trim();
    for scheme in SCHEMES {
        rest = rest.strip_prefix(scheme).unwrap_or(rest).trim_start();
    }
    if rest.is_empty() {
        return text.trim().is_empty();
    }
    while let Some(inner) = rest.strip_prefix("${") {
        match inner.split_once('}') {
            Some((name, after)) if !name.contains(":-") && !name.contains('(') => {
                rest = after.trim_start_matches([' ', ':']);
            }
            _ => return false,
        }
    }
    rest.is_empty()
}

fn tells_secret(text: &str) -> bool {
    text.trim() != MASK && !is_reference(text)
}

/// An address without its user and password.
pub fn without_credentials(address: &str) -> String {
    mask_userinfo(address)
}

/// The value of something called `name` as records keep it: nothing of it where the name is a secret's, without credentials
/// where it is an address.
pub fn masked(name: &str, value: &str) -> String {
    if is_secret(name) { MASK.to_owned() } else { mask_userinfo(value) }
}

/// See the module text.
pub(crate) fn mask(text: &str) -> String {
    let masked = mask_lines(&mask_syntax(text), true);
    if is_clean(&masked) { masked } else { rewrite(text) }
}

fn is_clean(text: &str) -> bool {
    let diagnostics = Diagnostics::new();
    let tree = yaml::parse(text, &|_| Ok(None), &diagnostics);
    !diagnostics.has_errors() && tree.is_some_and(|tree| node_is_clean(&tree, false))
}

fn node_is_clean(node: &Node, secret: bool) -> bool {
    match &node.kind {
        NodeKind::Null | NodeKind::Bool(_) => true,
        NodeKind::Int(_) | NodeKind::Float(_) => !secret,
        NodeKind::Text(text) => !(secret && tells_secret(text)),
        NodeKind::List(items) => items.iter().all(|item| node_is_clean(item, secret)),
        NodeKind::Map(map) => {
            map.entries.iter().all(|(key, _, node)| node_is_clean(node, secret || is_secret(key)))
        }
    }
}

/// The tree as JSON, which is YAML too. Aliases are written out, so a text that is a secret in one place is masked
/// in all.
fn rewrite(text: &str) -> String {
    let Some(tree) = yaml::parse(text, &|_| Ok(None), &Diagnostics::new()) else { return String::new() };
    let mut secrets = HashSet::new();
    collect(&tree, false, &mut secrets);
    serde_json::to_string_pretty(&json(&tree, false, &secrets)).unwrap_or_default()
}

fn collect<'t>(node: &'t Node, secret: bool, secrets: &mut HashSet<&'t str>) {
    match &node.kind {
        NodeKind::Text(text) if secret && tells_secret(text) => {
            secrets.insert(text);
        }
        NodeKind::List(items) => items.iter().for_each(|item| collect(item, secret, secrets)),
        NodeKind::Map(map) => {
            map.entries.iter().for_each(|(key, _, node)| collect(node, secret || is_secret(key), secrets));
        }
        _ => {}
    }
}

fn json(node: &Node, secret: bool, secrets: &HashSet<&str>) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(value) => Value::Bool(*value),
        NodeKind::Int(_) | NodeKind::Float(_) if secret => MASK.into(),
        NodeKind::Int(value) => (*value).into(),
        NodeKind::Float(value) => serde_json::Number::from_f64(*value).map_or(Value::Null, Value::Number),
        NodeKind::Text(text) if secrets.contains(text.as_str()) => MASK.into(),
        NodeKind::Text(text) => mask_lines(text, false).into(),
        NodeKind::List(items) => items.iter().map(|item| json(item, secret, secrets)).collect(),
        NodeKind::Map(map) => {
            let entries = map.entries.iter();
            entries
                .map(|(key, _, node)| (key.clone(), json(node, secret || is_secret(key), secrets)))
                .collect()
        }
    }
}

/// A scalar in the text.
struct Found {
    /// In characters. Includes an anchor and a tag; of a block of text, the header only if there is one of those.
    range: Range<usize>,
    secret: bool,
    block: bool,
    properties: bool,
}

impl Found {
    /// The mask, with as much of the syntax around it as belongs to the range.
    fn masked(&self, value: &str) -> String {
        let mut start = 0;
        while self.properties && value[start..].starts_with(['&', '!']) {
            let rest = &value[start..];
            let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
            start += word + (rest[word..].len() - rest[word..].trim_start().len());
        }
        if self.block && self.properties {
            start += value[start..].find('\n').unwrap_or(0);
        }
        if self.block {
            start += value[start..].len() - value[start..].trim_start().len();
        }
        let start = start.min(value.trim_end().len());
        let quote = if self.block { "" } else { "\"" };
        // ends of lines behind a block of text belong to the syntax
        format!("{}{quote}{MASK}{quote}{}", &value[..start], &value[value.trim_end().len()..])
    }
}

struct Level {
    map: bool,
    /// The key whose value comes next is a secret's.
    secret: bool,
    /// A key comes next.
    key_next: bool,
    anchor: usize,
    /// Scalars seen before it began.
    first: usize,
}

/// All scalars in the order of the text, and those under each anchor.
#[derive(Default)]
struct Scalars {
    levels: Vec<Level>,
    found: Vec<Found>,
    anchored: HashMap<usize, Range<usize>>,
    secret_anchors: HashSet<usize>,
}

impl Scalars {
    fn secret(&self) -> bool {
        self.levels.last().is_some_and(|level| level.secret)
    }

    /// A value is complete: a key comes next, if this is a table.
    fn done(&mut self) {
        let inherited = self.levels.iter().rev().nth(1).is_some_and(|level| level.secret);
        if let Some(level) = self.levels.last_mut().filter(|level| level.map) {
            level.key_next = true;
            level.secret = inherited;
        }
    }

    fn begin(&mut self, map: bool, anchor: usize) {
        let secret = self.secret();
        self.levels.push(Level { map, secret, key_next: map, anchor, first: self.found.len() });
    }

    fn event(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let inherited = self.levels.iter().rev().nth(1).is_some_and(|level| level.secret);
                if let Some(level) = self.levels.last_mut().filter(|level| level.key_next) {
                    level.key_next = false;
                    level.secret = inherited || is_secret(text);
                    return;
                }
                let secret = self.secret() && tells_secret(text) && !matches!(&**text, "true" | "false" | "");
                if *anchor != 0 {
                    self.anchored.insert(*anchor, self.found.len()..self.found.len() + 1);
                }
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let properties = *anchor != 0 || tag.is_some();
                self.found.push(Found { range, secret, block, properties });
                self.done();
            }
            Event::SequenceStart(anchor, _) => self.begin(false, *anchor),
            Event::MappingStart(anchor, _) => self.begin(true, *anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(level) = self.levels.pop() {
                    self.anchored.insert(level.anchor, level.first..self.found.len());
                }
                self.done();
            }
            Event::Alias(id) => {
                if self.secret() {
                    self.secret_anchors.insert(*id);
                }
                self.done();
            }
            _ => {}
        }
    }
}

/// Replaces the values of secret-looking keys.
fn mask_syntax(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scalars = Scalars::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        scalars.event(&event, span.start.index()..span.end.index());
    }
    for id in &scalars.secret_anchors {
        let range = scalars.anchored.get(id).cloned().unwrap_or_default();
        scalars.found[range].iter_mut().for_each(|found| found.secret = true);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut at = 0;
    let secrets = scalars.found.iter().filter(|found| found.secret && !found.range.is_empty());
    for found in secrets {
        if found.range.start < at {
            continue;
        }
        out.extend(chars.by_ref().take(found.range.start - at));
        let value: String = chars.by_ref().take(found.range.len()).collect();
        at = found.range.end;
        out.push_str(&found.masked(&value));
    }
    out.extend(chars);
    out
}

/// Masks what looks like a secret in any text, line by line. In a plan's text (`plan`) braces, aliases and the like
/// behind a key are syntax, which has been seen to.
fn mask_lines(text: &str, plan: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = mask_userinfo(line);
        let line = mask_schemes(&line);
        out.push_str(&mask_assignments(&line, plan));
    }
    out
}

/// `https://user:password@host` to `https://***@host`.
fn mask_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"'));
        let (authority, tail) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) if !is_reference(user) => {
                out.push_str(MASK);
                out.push('@');
                out.push_str(host);
            }
            _ => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// `Bearer abcdefgh` to `Bearer ***`.
fn mask_schemes(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let mut out = String::with_capacity(line.len());
    let mut done = 0;
    let mut words: Vec<(usize, &str)> =
        lower.match_indices("bearer ").chain(lower.match_indices("basic ")).collect();
    words.sort_unstable();
    for (start, word) in words {
        let start = start + word.len();
        let token =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '+' | '/' | '=' | '-');
        let length = line[start..].find(|c: char| !token(c)).unwrap_or(line.len() - start);
        if start >= done && length >= 8 {
            out.push_str(&line[done..start]);
            out.push_str(MASK);
            done = start + length;
        }
    }
    out.push_str(&line[done..]);
    out
}

/// Where in a line a secret's name was found.
#[derive(Clone, Copy)]
struct Around {
    /// In a comment, which ends with the line.
    comment: bool,
    /// Outside of quotes in a plan's text: what follows may be syntax.
    syntax: bool,
}

/// `password=x`, `"token": "x"`, `api-key: x` to the same with a mask. Linear in the length of the line.
fn mask_assignments(line: &str, plan: bool) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let comment_from = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
    let (mut single, mut double) = (false, false);
    let mut count = |text: &str| {
        for c in text.chars() {
            single ^= c == '\'';
            double ^= c == '"';
        }
        single || double
    };
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_word) {
        let length = rest[start..].find(|c| !is_word(c)).unwrap_or(rest.len() - start);
        let (before, after) = rest.split_at(start + length);
        let quoted = count(before);
        out.push_str(before);
        rest = after;
        if !is_secret(&before[start..]) {
            continue;
        }
        let at = line.len() - after.len();
        let comment = comment_from.is_some_and(|from| at > from);
        if let Some(value) = assigned(after, Around { comment, syntax: plan && !quoted && !comment }) {
            count(&after[..value.start]);
            out.push_str(&after[..value.start]);
            out.push_str(MASK);
            rest = &after[value.end..];
        }
    }
    out.push_str(rest);
    out
}

/// The range of the value in what follows a secret's name: ` = x`, `: x`, `": "x"`, `\": \"x\"`. In a comment, and
/// where it is a table or list inside of text, it goes to the end of the line.
fn assigned(after: &str, around: Around) -> Option<Range<usize>> {
    let skip =
        |from: usize, set: &[char]| from + after[from..].len() - after[from..].trim_start_matches(set).len();
    let sign_at = skip(0, &['"', '\'', '\\', ' ', ']', ')']);
    let sign = after[sign_at..].chars().next().filter(|c| matches!(c, '=' | ':'))?;
    let mut start = skip(sign_at + 1, &[' ', '=', ':', '\t']);
    let nested = after[start..].starts_with(['{', '[']);
    if around.syntax && (nested || after[start..].starts_with(['|', '>', '*', '&', '!', '#'])) {
        return None;
    }
    let escaped = after[start..].starts_with('\\');
    start += usize::from(escaped);
    let quote = after[start..].chars().next().filter(|c| matches!(c, '"' | '\''));
    start += usize::from(quote.is_some());
    let value = &after[start..];
    if value.starts_with(MASK) || (!around.comment && begins_with_reference(value)) {
        return None;
    }
    let end = match (quote, sign) {
        _ if around.comment || nested => value.find('\n'),
        (Some(quote), _) => value.find(|c| c == quote || (escaped && c == '\\') || c == '\n'),
        (None, '=') => {
            value.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | '"' | '\'' | ',' | '}'))
        }
        (None, _) => value.find(['\n', '"', '\'']),
    };
    let value = value[..end.unwrap_or(value.len())].trim_end();
    if is_reference(value) || matches!(value, "true" | "false" | "null" | "~") {
        return None;
    }
    Some(start..start + value.len())
}

/// Whether a value is a `${...}` without default, perhaps behind a word such as `Bearer`, and nothing more.
fn begins_with_reference(value: &str) -> bool {
    let bare = SCHEMES.iter().fold(value, |value, scheme| value.strip_prefix(scheme).unwrap_or(value));
    let Some((place, behind)) = bare.strip_prefix("${").and_then(|inner| inner.split_once('}')) else {
        return false;
    };
    let ends = behind.chars().next().is_none_or(|c| c.is_whitespace() || "\"'\\,}])&;".contains(c));
    ends && !place.contains(":-") && !place.contains('(')
}

#[cfg(test)]
mod tests;
