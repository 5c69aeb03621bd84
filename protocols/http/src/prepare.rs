//! Requests made ready once: a request without places is one block of bytes.

use crate::auth::{Credentials, UserPassword};
use crate::checks::Check;
use crate::encode::has_line_end;
use crate::extract::{Feed, From, Save};
use crate::grammar::Said;
use crate::json::JsonPlan;
use crate::origin::Origin;
use crate::pattern::{Form, Pattern};
use crate::settings::{HttpSettings, Timeouts};
use crate::source::{Part, Source};
use crate::spec::{CHECKS_MAX, RequestSpec, is_token};
use crucible_core::{Scope, VuId};
use std::io::Write;
use std::sync::Arc;
use url::Url;

/// A step as the session runs it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub origin: Arc<Origin>,
    /// Value of `Host` unless a header names it.
    authority: String,
    pub method: String,
    /// No body follows the answer's head.
    pub silent: bool,
    /// May be sent again if nobody answered (RFC 9110 9.2.2).
    pub idempotent: bool,
    /// The whole request, if it is always the same.
    pub fixed: Option<Vec<u8>>,
    pub target: Pattern,
    /// All headers but `Host`, `Cookie` and those of the body.
    pub headers: Vec<(String, Pattern)>,
    /// Value of `Host`, if a header names it.
    pub host: Option<Pattern>,
    pub payload: Pattern,
    pub content_type: Option<String>,
    /// `Expect: 100-continue` is among the headers and a body follows.
    pub expects: bool,
    pub checks: Vec<Check>,
    pub saves: Vec<Save>,
    pub feeds: Vec<Feed>,
    /// Something is taken out of a good answer, or looked at after that.
    pub takes: bool,
    /// Names of all checks by bit.
    pub check_names: Vec<String>,
    /// What is asked of JSON bodies.
    pub json: JsonPlan,
    /// Credentials that depend on what the server asks for.
    pub digest: Option<UserPassword>,
    pub reads_head: bool,
    pub reads_body: bool,
    pub redirects: u32,
    pub timeouts: Timeouts,
    /// Base of relative redirects.
    pub base: Url,
}

/// Gives further header lines for a path and query, complete with their ends.
pub(crate) type Extra<'e> = dyn FnMut(&str, &mut Scope) -> Result<Option<String>, String> + 'e;

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
        let mut headers = merge_headers(spec, settings)?;
        let digest = credentials(spec, settings, &origin, &mut headers);
        let named =
            |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|h| h.1.clone());
        let host = named("host");
        let expects = !spec.payload.is_empty()
            && named("expect").and_then(|v| v.literal().map(|v| v.eq_ignore_ascii_case(b"100-continue")))
                == Some(true);
        let content_type = match named("content-type") {
            Some(_) => None,
            None => spec.content_type.clone(),
        };
        let mut prepared = Prepared {
            authority: origin.authority(),
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
            reads_head: settings.keep_heads,
            reads_body: false,
            takes: !spec.saves.is_empty()
                || !spec.feeds.is_empty()
                || spec.checks.iter().any(Check::comes_last),
            check_names: spec.check_names(),
            checks: spec.checks.clone(),
            saves: spec.saves.clone(),
            feeds: spec.feeds.clone(),
            json: JsonPlan::default(),
            digest,
            redirects: spec.redirects.unwrap_or(settings.redirects),
            timeouts: spec.limits.over(&settings.timeouts),
            base: spec.base.clone(),
        };
        if prepared.check_names.len() > CHECKS_MAX {
            return Err(format!("a step has at most {CHECKS_MAX} checks"));
        }
        prepared.gather();
        if prepared.is_fixed() {
            let mut bytes = Vec::new();
            prepared.render(&mut Scope::new(VuId(0), 0), None, &mut |_, _| Ok(None), &mut bytes)?;
            prepared.fixed = Some(bytes);
        }
        Ok(prepared)
    }

    /// Finds out what is read of answers, and numbers what is asked of JSON bodies.
    fn gather(&mut self) {
        let mut sources: Vec<&mut Source> = self.saves.iter_mut().map(|save| &mut save.source).collect();
        sources.extend(self.feeds.iter_mut().filter_map(|feed| match &mut feed.from {
            From::Answer(source) => Some(source),
            From::Scope(..) => None,
        }));
        self.reads_head = self.reads_head
            || self.checks.iter().any(Check::reads_head)
            || sources.iter().any(|source| source.reads_head())
            || self.digest.is_some();
        self.reads_body =
            self.checks.iter().any(Check::reads_body) || sources.iter().any(|source| source.reads_body());
        for check in &mut self.checks {
            if let Check::Json(values, _) = check {
                self.json.add(&mut values.query);
            }
        }
        for source in sources {
            if let Part::Json(query) = &mut source.part {
                self.json.add(query);
            }
        }
    }

    fn is_fixed(&self) -> bool {
        self.digest.is_none()
            && self.target.literal().is_some()
            && self.headers.iter().all(|(_, value)| value.literal().is_some())
            && self.host.as_ref().is_none_or(|host| host.literal().is_some())
            && self.payload.literal().is_some()
    }

    /// Writes the whole request to `out`, which must be empty; returns where its body begins. `extra` appends header lines
    /// that depend on the path and query.
    pub(crate) fn render(
        &self,
        scope: &mut Scope,
        detour: Option<&Detour>,
        extra: &mut Extra<'_>,
        out: &mut Vec<u8>,
    ) -> Result<usize, String> {
        let with_body = detour.is_none_or(|detour| detour.with_body);
        self.render_head(scope, detour, with_body, out)?;
        let target =
            out.split(|byte| *byte == b' ').nth(1).and_then(|target| std::str::from_utf8(target).ok());
        if let Some(lines) = extra(target.unwrap_or("/"), scope)? {
            out.extend_from_slice(lines.as_bytes());
        }
        let has_body = with_body && (!self.payload.is_empty() || self.wants_length());
        if !has_body {
            out.extend_from_slice(b"\r\n");
            return Ok(out.len());
        }
        if let Some(content_type) = &self.content_type {
            // writing to a Vec cannot fail
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
                let length = out.len() - body;
                let digits = length.checked_ilog10().unwrap_or(0) as usize + 1;
                // the number pushes what is behind it; the room for it is made at the end
                let end = out.len();
                let _ = write!(out, "{length}");
                out[number..].rotate_right(digits);
                debug_assert_eq!(out.len(), end + digits);
                Ok(body + digits)
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
                    None => out.extend_from_slice(self.authority.as_bytes()),
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

/// The step's headers over those of the settings over our own.
fn merge_headers(spec: &RequestSpec, settings: &HttpSettings) -> Result<Vec<(String, Pattern)>, String> {
    let mut merged: Vec<(String, Pattern)> = Vec::new();
    let has = |list: &[(String, Pattern)], name: &str| list.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    for (name, value) in settings.headers.iter().filter(|(name, _)| !has(&spec.headers, name)) {
        merged.push((name.clone(), Pattern::text(value.clone(), Form::Header)));
    }
    merged.extend(spec.headers.iter().cloned());
    let mut own = Vec::new();
    if !settings.user_agent.is_empty() {
        own.push(("User-Agent", settings.user_agent.as_str()));
    }
    own.push(("Accept", "*/*"));
    if let Some(encodings) = &settings.accept_encoding {
        own.push(("Accept-Encoding", encodings));
    }
    if !settings.keep_alive {
        own.push(("Connection", "close"));
    }
    for (name, value) in own {
        if !has(&merged, name) {
            merged.push((name.to_owned(), Pattern::bytes(value)));
        }
    }
    for (name, value) in &merged {
        check_header(name, value.literal())?;
    }
    Ok(merged)
}

/// Puts the credentials of the step, or those of the settings for its origin, among the headers; gives back those that
/// depend on what the server asks for. A header of the plan comes before both.
fn credentials(
    spec: &RequestSpec,
    settings: &HttpSettings,
    origin: &Origin,
    headers: &mut Vec<(String, Pattern)>,
) -> Option<UserPassword> {
    if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        return None;
    }
    let auth = match &spec.auth {
        Said::Use(auth) => auth,
        Said::None => return None,
        Said::Nothing => &settings.auth.as_ref().filter(|(own, _)| own == origin)?.1,
    };
    match &auth.0 {
        Credentials::Header(value) => {
            headers.insert(0, ("Authorization".to_owned(), value.clone()));
            None
        }
        Credentials::Digest(pair) => Some((**pair).clone()),
    }
}

/// Whether a header can be sent as it stands, with its value if that is always the same. The error says why not.
pub(crate) fn check_header(name: &str, value: Option<&[u8]>) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!("{name:?} is not a header name"));
    }
    if ["content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("the header {name} follows from the body and cannot be set"));
    }
    // values that differ between requests are looked at when they are rendered
    match value {
        Some(text) if has_line_end(text) => Err(format!("the value of the header {name} holds a line end")),
        _ => Ok(()),
    }
}
