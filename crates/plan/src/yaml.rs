//! YAML text to a tree of [`Node`]s with positions.
//!
//! Place in the flow: first step of [`crate::read`]. YAML 1.2 with its core schema: only plain scalars can be
//! numbers, `true`/`false` or nothing, and `no` and `on` are text. Anchors, aliases and merge keys (`<<`) are
//! resolved here, so the rest of the crate never sees them.
//!
//! Invariants: the text is hostile. No recursion follows its nesting, and depth, number of values (aliases
//! expanded) and keys per table are bounded.

use crucible_core::{Diagnostics, Map, Node, NodeKind, Position};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Deepest nesting, aliases expanded.
pub(crate) const DEPTH_MAX: usize = 64;
/// Most values, aliases expanded; long texts count more.
const WEIGHT_MAX: usize = 2_000_000;
/// Most keys in one table: what reads tables compares their keys pairwise.
const KEYS_MAX: usize = 10_000;
/// After so many mistakes reading ends: nobody reads on, and memory is bounded.
const MISTAKES_MAX: usize = 1_000;
/// Longest text in bytes.
const TEXT_MAX: usize = 32 << 20;

/// Turns the text of a scalar into another one, if it differs. The error is what is wrong and what would be right.
pub(crate) type Expand<'f> = &'f dyn Fn(&str) -> Result<Option<String>, (String, String)>;

/// Where a span begins.
pub(crate) fn position(span: &Span) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(span.start.line()), column: number(span.start.col()).saturating_add(1) }
}

/// Reads `text` as one document, the values of its scalars passed through `expand`. Mistakes go to `diagnostics`; `None` if there is no tree to go on with.
pub(crate) fn parse(text: &str, expand: Expand<'_>, diagnostics: &Diagnostics) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > TEXT_MAX {
        let message = format!("this text has {} MiB, a plan ends at {}", text.len() >> 20, TEXT_MAX >> 20);
        diagnostics.error(Position { line: 1, column: 1 }, "", message, "keep data in files of their own");
        return None;
    }
    if let Some((at, c)) = forbidden(text) {
        let message = format!("the character U+{:04X} may not stand in a plan", u32::from(c));
        let hint = "remove it; in a \"quoted\" text write it as an escape, as in \"\\u0007\"";
        diagnostics.error(at, "", message, hint);
        return None;
    }
    let mut loader = Loader::new(diagnostics, expand);
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                if loader.event(event, &span).is_err() {
                    return None;
                }
            }
            Err(error) => {
                syntax_error(text, &error, &loader.path(), diagnostics);
                return None;
            }
        }
    }
    if loader.root.as_ref().is_none_or(|root| root.kind == NodeKind::Null) {
        let hint = "a plan begins with `name:`, `target:`, `scenarios:` and `tests:`";
        diagnostics.error(Position { line: 1, column: 1 }, "", "the plan is empty", hint);
        return None;
    }
    loader.root
}

/// The first character that YAML 1.2 does not allow (section 5.1, `c-printable`).
fn forbidden(text: &str) -> Option<(Position, char)> {
    let bad = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'),
    };
    let (index, c) = text.char_indices().find(|(_, c)| bad(*c))?;
    let before = &text[..index];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() as u32 + 1;
    Some((Position { line, column }, c))
}

fn syntax_error(text: &str, error: &ScanError, path: &str, diagnostics: &Diagnostics) {
    let marker = *error.marker();
    let at = position(&Span::empty(marker));
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or("");
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let info = error.info();
    if info.contains("recursion limit") {
        diagnostics.error(at, path, format!("more than {DEPTH_MAX} levels of nesting"), "flatten it");
        return;
    }
    let hint = if indent.contains('\t') || info.contains("tab") {
        "indent with spaces, not with tabs"
    } else if info.contains("mapping values are not allowed") || info.contains("simple key") {
        "put quotes around a text that contains `: `, and check the indentation"
    } else if info.contains("anchor") {
        "define it before with `&name`, or put quotes around a text that begins with `*`"
    } else if info.contains("unexpected character") || info.contains("start any token") {
        "put quotes around a text that begins with @, `, % or another special character"
    } else if info.contains("quoted scalar") || info.contains("end of stream") || info.contains("EOF") {
        "something that was opened (a quote, `{` or `[`) is never closed"
    } else {
        "check the indentation, the quotes and the brackets here and on the line above"
    };
    diagnostics.error(at, path, format!("this is not valid YAML: {info}"), hint);
}

/// The scalar as YAML's core schema reads it (YAML 1.2.2, section 10.3.2). Whole numbers beyond 64 bits become
/// [`NodeKind::Float`].
pub(crate) fn plain(text: &str) -> NodeKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return NodeKind::Null,
        "true" | "True" | "TRUE" => return NodeKind::Bool(true),
        "false" | "False" | "FALSE" => return NodeKind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return NodeKind::Float(f64::NAN),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return NodeKind::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix).filter(|d| d.chars().all(|c| c.is_digit(radix)))?;
        i64::from_str_radix(digits, radix).ok()
    };
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return NodeKind::Int(value);
    }
    if unsigned.len() <= 400 && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        let whole = unsigned.bytes().all(|b| b.is_ascii_digit());
        if let (true, Ok(value)) = (whole, text.parse()) {
            return NodeKind::Int(value);
        }
        let number = unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        if let (true, Ok(value)) = (number, text.parse()) {
            return NodeKind::Float(value);
        }
    }
    NodeKind::Text(text.to_owned())
}

/// The document cannot be read on; the reason is in the diagnostics.
struct Stop;

struct Anchored {
    node: Node,
    weight: usize,
    depth: usize,
}

struct Open {
    at: Position,
    anchor: usize,
    weight: usize,
    depth: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<(String, Position, Node)>,
    seen: HashMap<String, Position>,
    /// The key whose value comes next; `true` for a merge key.
    key: Option<(String, Position, bool)>,
    merged: Vec<Node>,
}

struct Loader<'d> {
    diagnostics: &'d Diagnostics,
    expand: Expand<'d>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    documents: usize,
    weight: usize,
    mistakes: Cell<usize>,
}

impl<'d> Loader<'d> {
    fn new(diagnostics: &'d Diagnostics, expand: Expand<'d>) -> Loader<'d> {
        Loader {
            diagnostics,
            expand,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            weight: 0,
            mistakes: Cell::new(0),
        }
    }

    /// Path of the value that comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.kind {
                OpenKind::List(items) => path.push_str(&format!("[{}]", items.len())),
                OpenKind::Map(map) => {
                    let Some((key, _, _)) = &map.key else { continue };
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
            }
        }
        path
    }

    fn error(&self, at: Position, message: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.set(self.mistakes.get() + 1);
        self.diagnostics.error(at, &self.path(), message, hint);
    }

    /// As [`Loader::error`], at an entry of the table that is open.
    fn error_at_key(&self, key: &str, at: Position, message: &str, hint: String) {
        self.mistakes.set(self.mistakes.get() + 1);
        let path = self.path();
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        self.diagnostics.error(at, &path, message, hint);
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        if self.mistakes.get() > MISTAKES_MAX {
            return Err(Stop);
        }
        let at = position(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.error(at, "a second document begins here", "a plan is one document; remove `---`");
                    return Err(Stop);
                }
                Ok(())
            }
            Event::Alias(id) => self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(anchor, tag) => {
                self.begin(at, anchor, tag.as_deref(), "seq", OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(at, anchor, tag.as_deref(), "map", OpenKind::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        anchor: usize,
        tag: Option<&Tag>,
        expected: &str,
        kind: OpenKind,
    ) -> Result<(), Stop> {
        if self.key_is_next() {
            self.error(at, "a list or table stands where a key is needed", "keys are text; quote it");
            return Err(Stop);
        }
        if self.open.len() >= DEPTH_MAX {
            self.error(at, format!("more than {DEPTH_MAX} levels of nesting"), "flatten it");
            return Err(Stop);
        }
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && tag.suffix == expected)) {
            self.unknown_tag(at, tag);
        }
        self.open.push(Open { at, anchor, weight: 1, depth: 1, kind });
        Ok(())
    }

    fn unknown_tag(&self, at: Position, tag: &Tag) {
        self.error(at, format!("the tag `{tag}` means nothing here"), "remove it");
    }

    fn key_is_next(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map(map), .. }) if map.key.is_none())
    }

    fn end(&mut self) -> Result<(), Stop> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let kind = match open.kind {
            OpenKind::List(items) => NodeKind::List(items),
            OpenKind::Map(map) => NodeKind::Map(self.close(map)),
        };
        self.value(Node { at: open.at, kind }, open.anchor, open.weight, open.depth)
    }

    /// Adds what merge keys bring: own keys win, earlier merged tables win over later ones
    /// (<https://yaml.org/type/merge.html>).
    fn close(&self, map: OpenMap) -> Map {
        let mut entries = map.entries;
        let mut names: HashSet<String> = map.seen.into_keys().collect();
        for node in map.merged {
            if let NodeKind::Map(merged) = node.kind {
                for entry in merged.entries {
                    if entries.len() < KEYS_MAX && names.insert(entry.0.clone()) {
                        entries.push(entry);
                    }
                }
            }
        }
        Map { entries }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Stop> {
        let is_plain = style == ScalarStyle::Plain;
        if self.key_is_next() {
            return self.key(text, is_plain, at);
        }
        let expanded = match (self.expand)(text) {
            Ok(expanded) => expanded,
            Err((message, hint)) => {
                self.error(at, message, hint);
                None
            }
        };
        let text = expanded.as_deref().unwrap_or(text);
        let kind = match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => NodeKind::Text(text.to_owned()),
            Some(tag)
                if tag.is_yaml_core_schema()
                    && matches!(tag.suffix.as_str(), "int" | "float" | "bool" | "null") =>
            {
                plain(text)
            }
            Some(tag) => {
                self.unknown_tag(at, tag);
                NodeKind::Text(text.to_owned())
            }
            None if is_plain => self.plain(text, at),
            None => NodeKind::Text(text.to_owned()),
        };
        self.value(Node { at, kind }, anchor, 1 + text.len() / 32, 0)
    }

    /// [`plain`], with a word where digits would be lost.
    fn plain(&self, text: &str, at: Position) -> NodeKind {
        let kind = plain(text);
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match kind {
            NodeKind::Float(_) if whole => {
                let hint = "put it in quotes to have it as text";
                self.error(at, format!("the whole number {text} does not fit into 64 bits"), hint);
            }
            NodeKind::Int(value) if whole && digits.len() > 1 && digits.starts_with('0') => {
                let hint = "put it in quotes if the zeros matter";
                let message = format!("{text} is read as the number {value}");
                self.diagnostics.warning(at, &self.path(), message, hint);
            }
            _ => {}
        }
        kind
    }

    fn key(&mut self, text: &str, is_plain: bool, at: Position) -> Result<(), Stop> {
        let Some(Open { kind: OpenKind::Map(map), .. }) = self.open.last_mut() else { return Ok(()) };
        if map.seen.len() >= KEYS_MAX {
            let hint = "split it, or make it a list";
            self.error(at, format!("more than {KEYS_MAX} keys in one table"), hint);
            return Err(Stop);
        }
        map.key = Some((text.to_owned(), at, is_plain && text == "<<"));
        Ok(())
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Stop> {
        if self.key_is_next() {
            self.error(at, "an alias stands where a key is needed", "write the key out");
            return Err(Stop);
        }
        let Some(anchored) = self.anchors.get(&id) else {
            self.error(at, "this alias lies inside of what it stands for", "write it out");
            return Err(Stop);
        };
        let (weight, depth) = (anchored.weight, anchored.depth);
        if self.open.len() + depth > DEPTH_MAX {
            self.error(at, format!("more than {DEPTH_MAX} levels of nesting"), "flatten it");
            return Err(Stop);
        }
        // before the copy, so that a bomb is refused rather than built
        self.grow(weight, at)?;
        let node = self.anchors[&id].node.clone();
        self.place(node, weight, depth)
    }

    fn grow(&mut self, weight: usize, at: Position) -> Result<(), Stop> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > WEIGHT_MAX {
            let hint = "keep data in files of their own, and use aliases sparingly";
            self.error(at, "the plan has more values than can be read, aliases written out", hint);
            return Err(Stop);
        }
        Ok(())
    }

    /// A complete value: remembered if it is anchored, then placed. `weight` is that of the whole subtree.
    fn value(&mut self, node: Node, anchor: usize, weight: usize, depth: usize) -> Result<(), Stop> {
        let own = match node.kind {
            NodeKind::List(_) | NodeKind::Map(_) => 1,
            _ => weight,
        };
        self.grow(own, node.at)?;
        if anchor != 0 {
            self.grow(weight, node.at)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), weight, depth });
        }
        self.place(node, weight, depth)
    }

    fn place(&mut self, node: Node, weight: usize, depth: usize) -> Result<(), Stop> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.weight = open.weight.saturating_add(weight);
        open.depth = open.depth.max(depth + 1);
        let map = match &mut open.kind {
            OpenKind::List(items) => {
                items.push(node);
                return Ok(());
            }
            OpenKind::Map(map) => map,
        };
        let Some((key, at, merge)) = map.key.take() else { return Ok(()) };
        if merge {
            let nodes = match node.kind {
                NodeKind::List(items) => items,
                _ => vec![node],
            };
            if nodes.iter().any(|n| n.as_map().is_none()) {
                let hint = "write `<<: *name` with the anchor of a table".to_owned();
                self.error_at_key(&key, at, "`<<` takes tables", hint);
            } else {
                map.merged.extend(nodes);
            }
            return Ok(());
        }
        match map.seen.get(&key) {
            Some(first) => {
                let hint = format!("keep one of the two; the first stands on line {}", first.line);
                self.error_at_key(&key, at, "this key stands twice", hint);
            }
            None => {
                map.seen.insert(key.clone(), at);
                map.entries.push((key, at, node));
            }
        }
        Ok(())
    }
}
