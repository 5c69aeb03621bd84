//! Text with `${...}` places in it, compiled once.
//!
//! `${env.NAME}` is resolved before the plan is read and never reaches this module. What stays are values that
//! differ between requests. A text without places is one literal: rendering it copies bytes and nothing else; plain
//! names and the values known here are places of their own, and only what is more than that is an expression.

use crate::scope::{FeederId, Scope, Slot};
use crate::symbols::{BUILT_IN, Expression, Meaning, Symbols, is_name};
use crate::{Outcome, Value, fields};
use std::fmt;
use std::sync::Arc;

/// A value that differs between requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// The virtual user's number.
    Vu,
    /// The user's iteration.
    Iteration,
    /// The protocol's code of the last operation.
    Status,
    /// Whether the last operation ended well.
    Ok,
    /// A whole number, uniform, both ends possible.
    Random(u64, u64),
    /// One of the words, uniform.
    Choice(Vec<String>),
    /// 32 random hexadecimal digits in the form of a version 4 UUID (RFC 9562).
    Uuid,
    /// What a step has saved.
    Variable(Slot, Arc<str>),
    /// A column of the feeder's row that the user holds; the text is for messages.
    Column(FeederId, u16, Arc<str>),
    /// Anything else.
    Expression(Compiled),
}

/// An expression and its text.
#[derive(Clone)]
pub struct Compiled {
    text: Arc<str>,
    inner: Arc<dyn Expression>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({:?})", self.text)
    }
}

impl PartialEq for Compiled {
    fn eq(&self, other: &Compiled) -> bool {
        self.text == other.text
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Place(Place),
}

/// Compiled text. See the module text.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Compiles `text`. The error is a hint; `$${` stands for a literal `${`.
    pub fn parse(text: &str, symbols: &Symbols) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if rest[..start].ends_with('$') {
                literal.push_str(&rest[..start - 1]);
                literal.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            literal.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            let end = closing(inner).ok_or("`${` has no closing `}`")?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Place(place(inner[..end].trim(), symbols)?));
            rest = &inner[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// Text that is taken as it stands.
    pub fn of_literal(text: &str) -> Template {
        if text.is_empty() {
            return Template::default();
        }
        Template { parts: vec![Part::Text(text.to_owned())] }
    }

    /// Compiles a bare expression, as conditions are written: `${x > 1}`, or the same without `${}`.
    pub fn condition(text: &str, symbols: &Symbols) -> Result<Template, String> {
        let text = text.trim();
        if text.contains("${") {
            return Template::parse(text, symbols);
        }
        Ok(Template { parts: vec![Part::Place(place(text, symbols)?)] })
    }

    /// The text, if it is always the same.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same with `encode` applied to the text between the places: for texts that stand inside another form (a URL,
    /// JSON), whose places are then rendered with [`Template::render_with`].
    pub fn map_text(self, encode: impl Fn(&str) -> String) -> Template {
        let parts = self.parts.into_iter().map(|part| match part {
            Part::Text(text) => Part::Text(encode(&text)),
            place => place,
        });
        Template { parts: parts.collect() }
    }

    /// As [`Template::render`], and hands each place's text to `encode` where it stands: in `out`, from the given index to
    /// the end. So nothing is allocated where there is nothing to encode. Errors of both go through.
    pub fn render_with(
        &self,
        scope: &mut Scope,
        out: &mut Vec<u8>,
        encode: impl Fn(&mut Vec<u8>, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Place(place) => {
                    let start = out.len();
                    place.render(scope, out)?;
                    encode(out, start)?;
                }
            }
        }
        Ok(())
    }

    /// Whether it is one place and nothing else, so that its value keeps its kind.
    pub fn is_place(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Place(_)])
    }

    /// Appends [`Template::value`] as JSON: text in quotes, everything else as its kind is written. A value that is not
    /// there is an error, as in [`Template::render`].
    pub fn render_json(&self, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        match self.value(scope)? {
            // says which one is missing; what it writes is nothing
            Value::Absent => self.render(scope, out).and(Err("a value is missing".to_owned())),
            value => {
                value.write_json(out);
                Ok(())
            }
        }
    }

    /// Appends the text for this request. The error says which value is missing; what was appended before it stays.
    pub fn render(&self, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Place(place) => place.render(scope, out)?,
            }
        }
        Ok(())
    }

    /// The value: that of its place if it is one place and nothing else (so that lists, numbers and truth stay what they
    /// are), else the text.
    pub fn value(&self, scope: &mut Scope) -> Result<Value, String> {
        match self.parts.as_slice() {
            [Part::Place(place)] => place.value(scope),
            _ => {
                let mut text = Vec::new();
                self.render(scope, &mut text)?;
                Ok(Value::text(&String::from_utf8_lossy(&text)))
            }
        }
    }
}

impl Place {
    fn render(&self, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        use std::io::Write;
        // writing to a Vec cannot fail
        let _ = match self {
            Place::Vu => write!(out, "{}", scope.vu.0),
            Place::Iteration => write!(out, "{}", scope.iteration),
            Place::Status => write!(out, "{}", scope.status),
            Place::Ok => write!(out, "{}", scope.outcome == Outcome::Ok),
            Place::Random(low, high) => write!(out, "{}", scope.rng.between(*low, *high)),
            Place::Choice(words) => {
                let pick = scope.rng.between(0, words.len() as u64 - 1) as usize;
                out.write_all(words[pick].as_bytes())
            }
            Place::Uuid => {
                let (a, b) = (scope.rng.next_u64(), scope.rng.next_u64());
                write!(
                    out,
                    "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                    a >> 32,
                    a >> 16 & 0xffff,
                    a & 0xfff,
                    b >> 48 & 0x3fff | 0x8000,
                    b & 0xffff_ffff_ffff
                )
            }
            Place::Variable(slot, name) => {
                let value = scope.get(*slot);
                if *value == Value::Absent {
                    return Err(format!("`{name}` has no value: nothing has saved one yet"));
                }
                value.write(out);
                Ok(())
            }
            Place::Column(feeder, column, name) => {
                let row = scope.row(*feeder).and_then(|row| row.get(usize::from(*column)));
                row.ok_or_else(|| format!("`{name}` has no value: the user holds no row of it"))?.write(out);
                Ok(())
            }
            Place::Expression(compiled) => {
                compiled.inner.value(scope)?.write(out);
                Ok(())
            }
        };
        Ok(())
    }

    fn value(&self, scope: &mut Scope) -> Result<Value, String> {
        match self {
            Place::Vu => Ok(Value::Int(scope.vu.0 as i64)),
            Place::Iteration => Ok(Value::Int(scope.iteration as i64)),
            Place::Status => Ok(Value::Int(i64::from(scope.status))),
            Place::Ok => Ok(Value::Bool(scope.outcome == Outcome::Ok)),
            Place::Random(low, high) => Ok(Value::Int(scope.rng.between(*low, *high) as i64)),
            Place::Variable(slot, _) => Ok(scope.get(*slot).clone()),
            Place::Column(feeder, column, _) => {
                let row = scope.row(*feeder).and_then(|row| row.get(usize::from(*column)));
                Ok(row.cloned().unwrap_or_default())
            }
            Place::Expression(compiled) => compiled.inner.value(scope),
            Place::Choice(_) | Place::Uuid => {
                let mut text = Vec::new();
                self.render(scope, &mut text)?;
                Ok(Value::text(&String::from_utf8_lossy(&text)))
            }
        }
    }
}

/// Where the `}` stands that closes a place whose text begins here (behind its `${`): not inside quotes, not one that
/// closes a brace opened inside.
pub fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(index),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    // a lone apostrophe, as in `choice(don't, do)`, opens no quote
    if quote.is_some() { text.find('}') } else { None }
}

fn place(text: &str, symbols: &Symbols) -> Result<Place, String> {
    let call = |name: &str| text.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')');
    match text {
        "vu" => return Ok(Place::Vu),
        "iteration" => return Ok(Place::Iteration),
        "status" => return Ok(Place::Status),
        "ok" => return Ok(Place::Ok),
        "uuid" => return Ok(Place::Uuid),
        "true" | "false" | "none" => {}
        name if is_name(name) => return named(name, symbols),
        _ => {}
    }
    if let Some((feeder, column)) = text.split_once('.')
        && is_name(feeder)
        && let Ok(Meaning::Feeder(id, columns)) = known_feeder(feeder, symbols)
        && !column.contains(['(', '|', ' ', '+', '-', '*', '/', '=', '<', '>', '[', '~', '%'])
    {
        let Some(index) = columns.iter().position(|name| name == column) else {
            let known: Vec<&str> = columns.iter().map(String::as_str).collect();
            let hint = fields::suggest(column, &known);
            return Err(format!("the data `{feeder}` has no column `{column}`; {hint}"));
        };
        return Ok(Place::Column(id, index as u16, text.into()));
    }
    if let Some(arguments) = call("random") {
        let bounds: Vec<Option<u64>> = arguments.split(',').map(|a| a.trim().parse().ok()).collect();
        match bounds.as_slice() {
            [Some(low), Some(high)] if low <= high => return Ok(Place::Random(*low, *high)),
            [Some(_), Some(_)] | [] | [_] => {
                let hint = "random takes two whole numbers, the smaller first, as in ${random(1, 100)}";
                return Err(hint.into());
            }
            _ => {}
        }
    }
    if let Some(arguments) = call("choice").filter(|arguments| !arguments.contains(['"', '\'', '(', '['])) {
        let words: Vec<String> = arguments.split(',').map(|a| a.trim().to_owned()).collect();
        // one bare name is a list that something has saved: a choice of one word is none
        if let [only] = words.as_slice()
            && is_name(only)
            && symbols.has_language()
        {
            let inner = symbols.compile(text)?;
            return Ok(Place::Expression(Compiled { text: text.into(), inner }));
        }
        return if words.iter().any(String::is_empty) {
            Err("choice takes words with commas between them, as in ${choice(red, green)}".into())
        } else {
            Ok(Place::Choice(words))
        };
    }
    let inner = symbols.compile(text)?;
    Ok(Place::Expression(Compiled { text: text.into(), inner }))
}

fn named(name: &str, symbols: &Symbols) -> Result<Place, String> {
    match symbols.refer(name)? {
        Meaning::Variable(slot) => Ok(Place::Variable(slot, name.into())),
        Meaning::Feeder(_, columns) => {
            let example = columns.first().map_or("COLUMN", String::as_str);
            Err(format!("`{name}` is data with columns; write ${{{name}.{example}}}"))
        }
    }
}

/// As [`Symbols::refer`], but a name that is no feeder is not made known as a variable.
fn known_feeder(name: &str, symbols: &Symbols) -> Result<Meaning, String> {
    if BUILT_IN.contains(&name) || !symbols.has_feeder(name) {
        return Err(String::new());
    }
    symbols.refer(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VuId;

    fn render(text: &str) -> String {
        let mut scope = Scope::new(VuId(7), 1);
        scope.iteration = 3;
        let mut out = Vec::new();
        let template = Template::parse(text, &Symbols::default()).unwrap();
        template.render(&mut scope, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled_and_text_is_kept() {
        let parse = |text| Template::parse(text, &Symbols::default()).unwrap();
        assert_eq!(render("/u/${vu}/i/${ iteration }?x=$${y}"), "/u/7/i/3?x=${y}");
        assert_eq!(render("plain"), "plain");
        assert_eq!(parse("plain").literal(), Some("plain"));
        assert_eq!(render("${random(4, 4)}${choice(a)}"), "4a");
        let uuid = render("${uuid}");
        assert_eq!((uuid.len(), &uuid[14..15], uuid.matches('-').count()), (36, "4", 4));
    }

    #[test]
    fn saved_values_and_columns_are_found() {
        let symbols = Symbols::new(None, vec![("pupils".into(), vec!["id".into(), "name".into()])]);
        let slot = symbols.define("csrf").unwrap();
        let template = Template::parse("${csrf}/${pupils.name}", &symbols).unwrap();
        let mut scope = Scope::new(VuId(0), 1);
        let mut out = Vec::new();
        assert!(template.render(&mut scope, &mut out).is_err_and(|e| e.contains("`csrf` has no value")));
        scope.set(slot, Value::text("abc"));
        assert!(template.render(&mut scope, &mut out).is_err_and(|e| e.contains("pupils.name")));
        scope.set_row(FeederId(0), Some(Arc::new([Value::Int(1), Value::text("eve")])));
        out.clear();
        template.render(&mut scope, &mut out).unwrap();
        assert_eq!(out, b"abc/eve");
        let missing = Template::parse("${pupils.nam}", &symbols);
        assert!(missing.is_err_and(|hint| hint.contains("did you mean") && hint.contains("name")));
    }

    #[test]
    fn places_are_encoded_and_text_is_not() {
        let symbols = Symbols::default();
        let slot = symbols.define("x").unwrap();
        let shout = |out: &mut Vec<u8>, start: usize| -> Result<(), String> {
            out[start..].make_ascii_uppercase();
            if out[start..].contains(&b'!') { Err("no".to_owned()) } else { Ok(()) }
        };
        let mut scope = Scope::new(VuId(0), 1);
        scope.set(slot, Value::text("abc"));
        let mut out = Vec::new();
        let template = Template::parse("a-${x}-${x}", &symbols).unwrap().map_text(|text| format!("({text})"));
        template.render_with(&mut scope, &mut out, shout).unwrap();
        assert_eq!(out, b"(a-)ABC(-)ABC");
        scope.set(slot, Value::text("!"));
        assert_eq!(template.render_with(&mut scope, &mut out, shout), Err("no".to_owned()));
        out.clear();
        let place = Template::parse("${x}", &symbols).unwrap();
        place.render_json(&mut scope, &mut out).unwrap();
        scope.set(slot, Value::Int(7));
        place.render_json(&mut scope, &mut out).unwrap();
        assert_eq!((out.as_slice(), place.is_place(), template.is_place()), (&b"\"!\"7"[..], true, false));
        scope.set(slot, Value::Absent);
        assert!(place.render_json(&mut scope, &mut out).is_err_and(|error| error.contains("`x`")));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, part) in [
            ("${vu", "closing"),
            ("${random(9, 1)}", "smaller first"),
            ("${choice()}", "commas"),
            ("${a + }", "neither"),
        ] {
            let result = Template::parse(text, &Symbols::default());
            assert!(result.is_err_and(|e| e.contains(part)), "{text}");
        }
    }

    #[test]
    fn braces_and_quotes_inside_a_place_do_not_end_it() {
        for (text, end) in [("a}", 1), ("{'x': '}'}}", 10), ("don't}", 5), ("'it\\'s }' ~ x}", 13)] {
            assert_eq!(closing(text), Some(end), "{text}");
        }
    }
}
