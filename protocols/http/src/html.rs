//! Selectors over HTML: a stream of tags with a stack of what is open, no document.
//!
//! The tokenizer is html5gum's (WHATWG HTML 13.2.5). A tree as browsers build it (html5ever and what stands on it)
//! costs many times the memory of the page and, for pages that nest on purpose, time that grows with the square of their
//! length: both would be the generator's. So selectors are the subset of CSS that can be decided when a tag opens: type,
//! `*`, `#id`, `.class`, `[attribute]` with `=`, `~=`, `^=`, `$=`, `*=`, descendants and children, lists with commas.

use html5gum::{HtmlString, Spanned, Token, Tokenizer};
use std::collections::BTreeMap;

/// Largest page that is looked through, in bytes; what follows is not seen.
const PAGE_LIMIT: usize = 8 << 20;
/// Deepest nesting that is followed; elements below count as children of the deepest.
const DEPTH_LIMIT: usize = 256;
/// Most values of one selector in one page, and most text of one element.
const FOUND_LIMIT: (usize, usize) = (10_000, 64 << 10);
/// Most parts of a path: what they have come to is kept in bits.
const PARTS_LIMIT: usize = 64;
/// Elements that have no content (WHATWG HTML 13.1.2).
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

type Attributes = BTreeMap<HtmlString, Spanned<HtmlString, ()>>;

/// A selector, and what is taken of the elements that it finds.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    any: Vec<Vec<Compound>>,
    /// This attribute; the text if none.
    attribute: Option<String>,
}

/// What one element must be, and how it stands to the one before it in the selector.
#[derive(Clone, Debug, Default)]
struct Compound {
    /// Directly inside the one before it.
    child: bool,
    tag: Option<String>,
    tests: Vec<(String, Test)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    There,
    Is(String),
    Word(String),
    Begins(String),
    Ends(String),
    Contains(String),
}

impl Selector {
    /// Reads a selector. The error is a hint.
    pub(crate) fn parse(text: &str, attribute: Option<&str>) -> Result<Selector, String> {
        let mut reader = Reader { rest: text.trim() };
        let mut any = vec![Vec::new()];
        let mut child = false;
        loop {
            let mut compound = reader.compound()?;
            compound.child = child;
            if let Some(path) = any.last_mut() {
                path.push(compound);
                if path.len() > PARTS_LIMIT {
                    return Err("a selector has at most 64 parts".to_owned());
                }
            }
            let spaces = reader.rest.starts_with(char::is_whitespace);
            reader.rest = reader.rest.trim_start();
            child = reader.skip('>');
            if reader.rest.is_empty() && !child {
                break;
            }
            if !child && reader.skip(',') {
                any.push(Vec::new());
            } else if !child && !spaces {
                return Err(reader.unknown());
            }
            reader.rest = reader.rest.trim_start();
        }
        Ok(Selector { any, attribute: attribute.map(str::to_ascii_lowercase) })
    }

    /// What it finds in a page, in the order of the page.
    pub(crate) fn find(&self, page: &[u8]) -> Vec<String> {
        let page = &page[..page.len().min(PAGE_LIMIT)];
        let mut finder = Finder { selector: self, open: Vec::new(), texts: Vec::new(), found: Vec::new() };
        for Ok(token) in Tokenizer::new(page) {
            match token {
                Token::StartTag(tag) => finder.opens(lossy(&tag.name), &tag.attributes),
                Token::EndTag(tag) => finder.closes(&lossy(&tag.name)),
                Token::String(text) => finder.text(&text),
                _ => {}
            }
            if finder.found.len() >= FOUND_LIMIT.0 {
                break;
            }
        }
        finder.found.into_iter().map(|text| text.trim().to_owned()).collect()
    }
}

/// An open element: what the selector's paths have come to with it.
struct Element {
    tag: String,
    reached: Vec<Reached>,
}

/// Bit `i`: the first `i + 1` parts of a path are matched, ...
#[derive(Clone, Copy, Default)]
struct Reached {
    /// ... the last of them by this element.
    here: u64,
    /// ... the last of them by this element or one around it.
    around: u64,
}

struct Finder<'s> {
    selector: &'s Selector,
    open: Vec<Element>,
    /// Elements whose text is gathered: depth, index in `found`.
    texts: Vec<(usize, usize)>,
    found: Vec<String>,
}

impl Finder<'_> {
    fn opens(&mut self, tag: String, attributes: &Attributes) {
        let void = VOID.contains(&tag.as_str());
        if self.open.len() >= DEPTH_LIMIT {
            self.open.pop();
            self.end_texts();
        }
        let mut selected = false;
        let mut reached = Vec::with_capacity(self.selector.any.len());
        for (number, path) in self.selector.any.iter().enumerate() {
            let parent = self.open.last().map_or(Reached::default(), |element| element.reached[number]);
            let mut here = 0;
            for (index, part) in path.iter().enumerate() {
                let before = if part.child { parent.here } else { parent.around };
                let may = index == 0 || before >> (index - 1) & 1 == 1;
                here |= u64::from(may && part.matches(&tag, attributes)) << index;
            }
            selected |= here >> (path.len() - 1) & 1 == 1;
            reached.push(Reached { here, around: parent.around | here });
        }
        self.open.push(Element { tag, reached });
        if selected {
            match &self.selector.attribute {
                Some(name) => self.found.extend(attributes.get(name.as_bytes()).map(|value| lossy(value))),
                None => {
                    self.texts.push((self.open.len(), self.found.len()));
                    self.found.push(String::new());
                }
            }
        }
        if void {
            self.open.pop();
            self.end_texts();
        }
    }

    fn closes(&mut self, tag: &str) {
        // an end without a beginning closes nothing; one with a beginning closes what was left open inside
        if let Some(depth) = self.open.iter().rposition(|element| element.tag == tag) {
            self.open.truncate(depth);
            self.end_texts();
        }
    }

    fn end_texts(&mut self) {
        let depth = self.open.len();
        self.texts.retain(|(begun, _)| *begun <= depth);
    }

    fn text(&mut self, text: &[u8]) {
        for (_, index) in &self.texts {
            let into = &mut self.found[*index];
            if into.len() < FOUND_LIMIT.1 {
                let room = FOUND_LIMIT.1 - into.len();
                into.push_str(&String::from_utf8_lossy(&text[..text.len().min(room)]));
            }
        }
    }
}

impl Compound {
    fn matches(&self, tag: &str, attributes: &Attributes) -> bool {
        self.tag.as_ref().is_none_or(|wanted| wanted == tag)
            && self.tests.iter().all(|(name, test)| {
                attributes.get(name.as_bytes()).is_some_and(|value| test.holds(&lossy(value)))
            })
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Test::There => true,
            Test::Is(wanted) => value == wanted,
            Test::Word(word) => value.split_ascii_whitespace().any(|own| own == word),
            Test::Begins(part) => !part.is_empty() && value.starts_with(part.as_str()),
            Test::Ends(part) => !part.is_empty() && value.ends_with(part.as_str()),
            Test::Contains(part) => !part.is_empty() && value.contains(part.as_str()),
        }
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn skip(&mut self, mark: char) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn unknown(&self) -> String {
        let known = "known are tags, `*`, `#id`, `.class`, `[attribute=value]`, spaces, `>` and commas";
        match self.rest.chars().next() {
            Some(c) => format!("`{c}` is not read here; {known}"),
            None => format!("something is missing at its end; {known}"),
        }
    }

    fn name(&mut self) -> Result<&'t str, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c) || !c.is_ascii();
        let end = self.rest.find(|c| !plain(c)).unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.unknown());
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name)
    }

    fn compound(&mut self) -> Result<Compound, String> {
        let mut compound = Compound::default();
        let mut any = self.skip('*');
        if !any && !self.rest.starts_with(['#', '.', '[']) {
            compound.tag = Some(self.name()?.to_ascii_lowercase());
            any = true;
        }
        loop {
            if self.skip('#') {
                compound.tests.push(("id".to_owned(), Test::Is(self.name()?.to_owned())));
            } else if self.skip('.') {
                compound.tests.push(("class".to_owned(), Test::Word(self.name()?.to_owned())));
            } else if self.skip('[') {
                compound.tests.push(self.attribute()?);
            } else if any {
                return Ok(compound);
            } else {
                return Err(self.unknown());
            }
            any = true;
        }
    }

    fn attribute(&mut self) -> Result<(String, Test), String> {
        self.rest = self.rest.trim_start();
        let name = self.name()?.to_ascii_lowercase();
        self.rest = self.rest.trim_start();
        if self.skip(']') {
            return Ok((name, Test::There));
        }
        type Make = fn(String) -> Test;
        let operators: [(&str, Make); 5] = [
            ("=", Test::Is),
            ("~=", Test::Word),
            ("^=", Test::Begins),
            ("$=", Test::Ends),
            ("*=", Test::Contains),
        ];
        let (mark, make) =
            *operators.iter().find(|(mark, _)| self.rest.starts_with(mark)).ok_or_else(|| self.unknown())?;
        self.rest = self.rest[mark.len()..].trim_start();
        let value = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = &self.rest[1..];
                let end = inner.find(quote).ok_or("a quote has no end")?;
                self.rest = &inner[end + 1..];
                &inner[..end]
            }
            _ => self.name()?,
        };
        self.rest = self.rest.trim_start();
        if self.skip(']') { Ok((name, make(value.to_owned()))) } else { Err("`]` is missing".to_owned()) }
    }
}
