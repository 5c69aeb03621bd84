//! Text with `${...}` places in it, compiled once.
//!
//! `${env.NAME}` is resolved before the plan is read and never reaches this module. What stays are values that
//! differ between requests. A text without places is one literal: rendering it copies bytes and nothing else.

use crate::rng::Rng;

/// A value that differs between requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The virtual user's number.
    Vu,
    /// The user's iteration.
    Iteration,
    /// A whole number, uniform, both ends possible.
    Random(u64, u64),
    /// One of the words, uniform.
    Choice(Vec<String>),
    /// 32 random hexadecimal digits in the form of a version 4 UUID (RFC 9562).
    Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// Compiled text. See the module text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// What a place may refer to when it is rendered.
pub struct Scope<'r> {
    /// The virtual user's number.
    pub vu: u64,
    /// The user's iteration.
    pub iteration: u64,
    /// The user's own random stream.
    pub rng: &'r mut Rng,
}

const KNOWN: [&str; 6] = ["env.NAME", "vu", "iteration", "random(1, 9)", "choice(a, b)", "uuid"];

impl Template {
    /// Compiles `text`. The error is a hint; `$${` stands for a literal `${`.
    pub fn parse(text: &str) -> Result<Template, String> {
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
            let end = inner.find('}').ok_or("`${` has no closing `}`")?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Place(place(inner[..end].trim())?));
            rest = &inner[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// The text, if it is always the same.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text for this request.
    pub fn render(&self, scope: &mut Scope<'_>, out: &mut Vec<u8>) {
        use std::io::Write;
        for part in &self.parts {
            // writing to a Vec cannot fail
            let _ = match part {
                Part::Text(text) => out.write_all(text.as_bytes()),
                Part::Place(Place::Vu) => write!(out, "{}", scope.vu),
                Part::Place(Place::Iteration) => write!(out, "{}", scope.iteration),
                Part::Place(Place::Random(low, high)) => write!(out, "{}", scope.rng.between(*low, *high)),
                Part::Place(Place::Choice(words)) => {
                    let pick = scope.rng.between(0, words.len() as u64 - 1) as usize;
                    out.write_all(words[pick].as_bytes())
                }
                Part::Place(Place::Uuid) => {
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
            };
        }
    }
}

fn place(text: &str) -> Result<Place, String> {
    let call = |name: &str| text.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')');
    let unknown = || format!("unknown value `${{{text}}}`; known: {}", KNOWN.join(", "));
    match text {
        "vu" => return Ok(Place::Vu),
        "iteration" => return Ok(Place::Iteration),
        "uuid" => return Ok(Place::Uuid),
        _ => {}
    }
    if let Some(arguments) = call("random") {
        let bounds: Vec<Option<u64>> = arguments.split(',').map(|a| a.trim().parse().ok()).collect();
        return match bounds.as_slice() {
            [Some(low), Some(high)] if low <= high => Ok(Place::Random(*low, *high)),
            _ => Err("random takes two whole numbers, the smaller first, as in ${random(1, 100)}".into()),
        };
    }
    if let Some(arguments) = call("choice") {
        let words: Vec<String> = arguments.split(',').map(|a| a.trim().to_owned()).collect();
        return if words.iter().any(String::is_empty) {
            Err("choice takes words with commas between them, as in ${choice(red, green)}".into())
        } else {
            Ok(Place::Choice(words))
        };
    }
    Err(unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        let mut rng = Rng::new(1, "test", 0);
        let mut out = Vec::new();
        Template::parse(text).unwrap().render(&mut Scope { vu: 7, iteration: 3, rng: &mut rng }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled_and_text_is_kept() {
        assert_eq!(render("/u/${vu}/i/${ iteration }?x=$${y}"), "/u/7/i/3?x=${y}");
        assert_eq!(render("plain"), "plain");
        assert_eq!(Template::parse("plain").unwrap().literal(), Some("plain"));
        assert_eq!(render("${random(4, 4)}${choice(a)}"), "4a");
        let uuid = render("${uuid}");
        assert_eq!((uuid.len(), &uuid[14..15], uuid.matches('-').count()), (36, "4", 4));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, part) in [
            ("${vuu}", "known: env.NAME"),
            ("${vu", "closing"),
            ("${random(9, 1)}", "smaller first"),
            ("${choice()}", "commas"),
        ] {
            assert!(Template::parse(text).is_err_and(|e| e.contains(part)), "{text}");
        }
    }
}
