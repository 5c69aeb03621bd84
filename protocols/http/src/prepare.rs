//! Requests made ready once: a request without places is one block of bytes.

use crate::checks::Check;
use crate::origin::Origin;
use crate::settings::{HttpSettings, Timeouts};
use crate::spec::{Payload, Piece, RequestSpec, is_token, literal};
use crucible_core::{Scope, Template, VuId};
use std::io::Write;
use std::sync::Arc;
use url::Url;

/// A step as the session runs it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub origin: Arc<Origin>,
    pub method: String,
    /// No body follows the answer's head.
    pub silent: bool,
    /// May be sent again if nobody answered (RFC 9110 9.2.2).
    pub idempotent: bool,
    /// The whole request, if it is always the same.
    pub fixed: Option<Vec<u8>>,
    pub target: Template,
    /// All headers but `Host`, `Cookie` and those of the body.
    pub headers: Vec<(String, Template)>,
    /// Value of `Host`, if a header names it.
    pub host: Option<Template>,
    pub payload: Payload,
    pub content_type: Option<String>,
    /// `Expect: 100-continue` is among the headers and a body follows.
    pub expects: bool,
    pub checks: Vec<Check>,
    pub reads_head: bool,
    pub reads_body: bool,
    pub redirects: u32,
    pub timeouts: Timeouts,
    /// Base of relative redirects.
    pub base: Url,
}

/// What a request that is not sent as planned has instead: after a redirect.
#[derive(Clone, Debug)]
pub(crate) struct Detour {
    pub url: Url,
    pub origin: Arc<Origin>,
    pub method: String,
    /// The body goes along.
    pub with_body: bool,
    /// Still the origin of the plan, so that credentials may go along.
    pub same_origin: bool,
}

impl Prepared {
    /// Prepares a step. The error says what is wrong with the request.
    pub(crate) fn new(spec: &RequestSpec, settings: &HttpSettings) -> Result<Prepared, String> {
        if let Some(mistake) = &spec.mistake {
            return Err(mistake.clone());
        }
        let origin = Arc::new(Origin::of(&spec.base)?);
        if origin.secure && settings.unix_socket.is_some() {
            return Err("https over a Unix socket is not supported; write http://".to_owned());
        }
        let headers = merge_headers(spec, settings)?;
        let named =
            |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|h| h.1.clone());
        let host = named("host");
        let expects = !spec.payload.pieces.is_empty()
            && named("expect").and_then(|v| v.literal().map(|v| v.eq_ignore_ascii_case("100-continue")))
                == Some(true);
        let content_type = match named("content-type") {
            Some(_) => None,
            None => spec.content_type.clone(),
        };
        let mut prepared = Prepared {
            origin,
            silent: spec.method == "HEAD",
            idempotent: matches!(
                spec.method.as_str(),
                "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"
            ),
            method: spec.method.clone(),
            fixed: None,
            target: spec.target.clone(),
            headers: headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).collect(),
            host,
            payload: spec.payload.clone(),
            content_type,
            expects,
            reads_head: spec.checks.iter().any(Check::reads_head),
            reads_body: spec.checks.iter().any(Check::reads_body),
            checks: spec.checks.clone(),
            redirects: spec.redirects.unwrap_or(settings.redirects),
            timeouts: spec.limits.over(&settings.timeouts),
            base: spec.base.clone(),
        };
        if prepared.checks.len() > 64 {
            return Err("a step has at most 64 checks".to_owned());
        }
        if prepared.is_fixed() {
            let mut bytes = Vec::new();
            prepared.render(&mut Scope::new(VuId(0), 0), None, &|_| None, &mut bytes)?;
            prepared.fixed = Some(bytes);
        }
        Ok(prepared)
    }

    fn is_fixed(&self) -> bool {
        self.target.literal().is_some()
            && self.headers.iter().all(|(_, value)| value.literal().is_some())
            && self.host.as_ref().is_none_or(|host| host.literal().is_some())
            && self.payload.is_fixed()
    }

    /// Writes the whole request to `out`, which must be empty; returns where its body begins. `cookies` gives the
    /// value of `Cookie` for a path and query.
    pub(crate) fn render(
        &self,
        scope: &mut Scope,
        detour: Option<&Detour>,
        cookies: &dyn Fn(&str) -> Option<String>,
        out: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let with_body = detour.is_none_or(|detour| detour.with_body);
        self.render_head(scope, detour, with_body, out)?;
        let target = std::str::from_utf8(out).ok().and_then(|head| head.split(' ').nth(1));
        if let Some(cookies) = target.and_then(cookies) {
            // writing to a Vec cannot fail
            let _ = write!(out, "Cookie: {cookies}\r\n");
        }
        let has_body = with_body && (!self.payload.pieces.is_empty() || self.wants_length());
        if !has_body {
            out.extend_from_slice(b"\r\n");
            return Ok(out.len());
        }
        if let Some(content_type) = &self.content_type {
            let _ = write!(out, "Content-Type: {content_type}\r\n");
        }
        // twenty digits cover every length; the number is written once the body is there
        out.extend_from_slice(b"Content-Length: ");
        let number = out.len();
        match self.payload.fixed_length() {
            Some(length) => {
                let _ = write!(out, "{length}\r\n\r\n");
                let body = out.len();
                self.payload.render(scope, out)?;
                Ok(body)
            }
            None => {
                out.extend_from_slice(b"\r\n\r\n");
                let body = out.len();
                self.payload.render(scope, out)?;
                let length = (out.len() - body).to_string();
                let end = number..number;
                out.splice(end, length.bytes());
                Ok(body + length.len())
            }
        }
    }

    fn render_head(
        &self,
        scope: &mut Scope,
        detour: Option<&Detour>,
        with_body: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        // writing to a Vec cannot fail
        match detour {
            None => {
                out.extend_from_slice(self.method.as_bytes());
                out.push(b' ');
                self.target.render(scope, out)?;
                out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
                match &self.host {
                    Some(host) => host.render(scope, out)?,
                    None => out.extend_from_slice(self.origin.authority().as_bytes()),
                }
            }
            Some(detour) => {
                let query = detour.url.query().map(|query| format!("?{query}")).unwrap_or_default();
                let host = detour.origin.authority();
                let _ =
                    write!(out, "{} {}{query} HTTP/1.1\r\nHost: {host}", detour.method, detour.url.path());
            }
        }
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            let secret = ["authorization", "cookie", "proxy-authorization"];
            let about_body = ["content-type", "content-encoding", "content-language", "expect"];
            let is_one = |list: &[&str]| list.iter().any(|known| name.eq_ignore_ascii_case(known));
            if detour.is_some_and(|detour| !detour.same_origin) && is_one(&secret)
                || !with_body && is_one(&about_body)
            {
                continue;
            }
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            value.render(scope, out)?;
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Methods that announce an empty body too (RFC 9110 8.6).
    fn wants_length(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }
}

impl Payload {
    /// Whether it is always the same.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed_length().is_some()
    }

    fn fixed_length(&self) -> Option<usize> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.literal().map(str::len),
                Piece::Bytes(bytes) => Some(bytes.len()),
            })
            .sum()
    }

    fn render(&self, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => text.render(scope, out)?,
                Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            }
        }
        Ok(())
    }
}

/// The step's headers over those of the settings over our own.
fn merge_headers(spec: &RequestSpec, settings: &HttpSettings) -> Result<Vec<(String, Template)>, String> {
    let mut merged: Vec<(String, Template)> = Vec::new();
    let has =
        |list: &[(String, Template)], name: &str| list.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    for (name, value) in settings.headers.iter().filter(|(name, _)| !has(&spec.headers, name)) {
        merged.push((name.clone(), value.clone()));
    }
    merged.extend(spec.headers.iter().cloned());
    for (name, value) in &merged {
        check_header(name, value)?;
    }
    let mut own = Vec::new();
    if !settings.user_agent.is_empty() {
        own.push(("User-Agent", settings.user_agent.clone()));
    }
    own.push(("Accept", "*/*".to_owned()));
    if let Some(encodings) = &settings.accept_encoding {
        own.push(("Accept-Encoding", encodings.clone()));
    }
    if !settings.keep_alive {
        own.push(("Connection", "close".to_owned()));
    }
    for (name, value) in own {
        if !has(&merged, name) {
            let value = literal(&value);
            check_header(name, &value)?;
            merged.push((name.to_owned(), value));
        }
    }
    Ok(merged)
}

/// Whether a header can be sent as it stands. The error says why not.
pub(crate) fn check_header(name: &str, value: &Template) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!("{name:?} is not a header name"));
    }
    if ["content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("the header {name} follows from the body and cannot be set"));
    }
    // texts with places were looked at when they were read
    match value.literal() {
        Some(text) if has_line_end(text) => Err(format!("the value of the header {name} holds a line end")),
        _ => Ok(()),
    }
}

/// Whether a header would end inside this text.
pub(crate) fn has_line_end(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
