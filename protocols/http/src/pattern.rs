//! Text and bytes of a request in pieces, with the form in which values come into each piece.
//!
//! Literal text is brought into its form when the plan is read, values when the request is made: in place, in the buffer
//! that the request is written to, so that plain values cost a look and nothing else.

use crate::encode;
use crate::origin::Origin;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crucible_core::{Scope, Template};
use std::sync::Arc;

/// Pieces, sent one behind the other. What bodies are, and every other text that may differ between requests.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    /// The pieces; none is no body.
    pub pieces: Vec<Piece>,
}

/// A piece.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text, rendered for each request; its literal text has its form already.
    Text(Template, Form),
    /// Bytes that are always the same.
    Bytes(Arc<[u8]>),
}

/// The form in which values come into a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Raw,
    /// Percent-encoded, all but unreserved characters: a segment of a path, a value of a query or a form.
    Url,
    /// The same among literal text that is a path and query.
    Path,
    /// A whole path and query, or a URL of the request's own origin: a link that an answer gave. Only first in a target.
    Link(Box<Link>),
    /// Inside a JSON string.
    JsonText,
    /// A JSON value of its own kind; the template is one place.
    Json,
    /// The value of a header: nothing that would end it.
    Header,
    /// User and password as `Basic` credentials have them (RFC 7617): the whole text as Base64.
    Basic,
}

/// What [`Form::Link`] knows of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub(crate) origin: Origin,
}

impl Pattern {
    /// Bytes that are always the same.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Pattern {
        let mut pattern = Pattern::default();
        pattern.push_bytes(&bytes.into());
        pattern
    }

    /// A text into which values come in one form.
    pub fn text(template: Template, form: Form) -> Pattern {
        let mut pattern = Pattern::default();
        pattern.push(template, form);
        pattern
    }

    /// Appends bytes.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        match self.pieces.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Piece::Bytes(before)) => *before = [before, bytes].concat().into(),
            _ => self.pieces.push(Piece::Bytes(bytes.into())),
        }
    }

    /// Appends a text, whose literal text is brought into the form here.
    pub fn push(&mut self, template: Template, form: Form) {
        let template = match &form {
            Form::Url => template.map_text(encode::value),
            Form::Path | Form::Link(_) => template.map_text(encode::path),
            Form::JsonText => template.map_text(encode::json_text),
            Form::Raw | Form::Json | Form::Header | Form::Basic => template,
        };
        match template.literal() {
            Some(text) if form == Form::Basic => self.push_bytes(STANDARD.encode(text).as_bytes()),
            Some(text) => self.push_bytes(text.as_bytes()),
            None => self.pieces.push(Piece::Text(template, form)),
        }
    }

    /// Appends the pieces of another.
    pub fn extend(&mut self, other: Pattern) {
        for piece in other.pieces {
            match piece {
                Piece::Bytes(bytes) => self.push_bytes(&bytes),
                text @ Piece::Text(..) => self.pieces.push(text),
            }
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The bytes, if they are always the same.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }

    /// Its length in bytes, if that is always the same.
    pub(crate) fn fixed_length(&self) -> Option<usize> {
        self.literal().map(<[u8]>::len)
    }

    /// Appends the bytes for this request. The error says which value is missing or cannot stand there.
    pub fn render(&self, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
                Piece::Text(template, form) => form.render(template, scope, out)?,
            }
        }
        Ok(())
    }
}

impl Form {
    fn render(&self, template: &Template, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Form::Raw => template.render(scope, out),
            Form::Url | Form::Path => template.render_with(scope, out, |out, start| {
                encode::in_place(out, start, encode::is_unreserved, encode::percent);
                Ok(())
            }),
            Form::JsonText => template.render_with(scope, out, |out, start| {
                encode::utf8(out, start);
                encode::in_place(out, start, encode::is_plain_json, encode::json_escape);
                Ok(())
            }),
            Form::Json => template.render_json(scope, out),
            Form::Header => {
                template.render_with(scope, out, |out, start| match encode::has_line_end(&out[start..]) {
                    true => Err("a value for a header holds a line end".to_owned()),
                    false => Ok(()),
                })
            }
            Form::Basic => {
                let start = out.len();
                template.render(scope, out)?;
                let end = out.len();
                // the encoded form is written behind the plain one, which then goes
                let most = (end - start).div_ceil(3) * 4;
                out.resize(end + most, 0);
                let (plain, room) = out.split_at_mut(end);
                let written = STANDARD.encode_slice(&plain[start..], room).unwrap_or(0);
                out.truncate(end + written);
                out.drain(start..end);
                Ok(())
            }
            Form::Link(link) => {
                let start = out.len();
                template.render(scope, out)?;
                link.settle(out, start)
            }
        }
    }
}

impl Link {
    /// Makes a path and query of what stands behind `start`.
    fn settle(&self, out: &mut Vec<u8>, start: usize) -> Result<(), String> {
        if let Some(fragment) = memchr::memchr(b'#', &out[start..]) {
            out.truncate(start + fragment);
        }
        if !out[start..].starts_with(b"/") || out[start..].starts_with(b"//") {
            let given = String::from_utf8_lossy(&out[start..]).into_owned();
            let url = url::Url::parse(&given).map_err(|_| {
                format!("{given:?} is neither a path nor a URL; write `/${{...}}` for a part of a path")
            })?;
            if Origin::of(&url).ok().as_ref() != Some(&self.origin) {
                return Err(format!("{given:?} leads to another host than the target"));
            }
            out.truncate(start);
            out.extend_from_slice(url[url::Position::BeforePath..].as_bytes());
        }
        encode::in_place(out, start, encode::is_path, encode::percent);
        Ok(())
    }
}
