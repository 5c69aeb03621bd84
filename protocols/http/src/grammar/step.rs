//! One step: where to, with what, and what is demanded of the answer.

use super::text::{find_outside, pattern, place_length, template, template_at};
use super::{auth, check, measure, payload, save};
use crate::encode::{self, has_line_end};
use crate::origin::Origin;
use crate::pattern::{Form, Link, Pattern};
use crate::prepare::check_header;
use crate::spec::{CHECKS_MAX, RequestSpec, StepLimits, is_token};
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Template};
use url::Url;

const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

/// Reads a step; mistakes go to the fields' diagnostics.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Option<RequestSpec> {
    let place = opener(fields);
    // everything else is read even if the opener is wrong, so that all mistakes are told at once
    let query = query(fields, context);
    let headers: Vec<(String, Pattern)> = headers(fields, context)
        .into_iter()
        .map(|(name, value)| (name, Pattern::text(value, Form::Header)))
        .collect();
    let auth = auth::read(fields, context);
    let body = payload::read(fields, context);
    let checks = check::read(fields, context);
    let saves = save::read(fields, context);
    let feeds = measure::read(fields, context);
    let limits = limits(fields);
    let redirects = redirects(fields);
    let content_type = fields.text("content_type");
    let (key, method, text) = place?;
    let (base, target) = address(fields, key, &text, &query, context)?;
    let mut spec = RequestSpec::new(&method, base.as_str())
        .map_err(|hint| fields.error(key, format!("{text:?} cannot be requested"), hint))
        .ok()?;
    let shown = &text[..find_outside(&text, &['?', '#']).unwrap_or(text.len())];
    spec.name = format!("{method} {}", if shown.is_empty() { "/" } else { shown });
    spec.target = target;
    spec.headers = headers;
    if let Some((payload, kind)) = body {
        spec.payload = payload;
        spec.content_type = Some(content_type.unwrap_or(kind));
    }
    spec.checks = checks;
    spec.saves = saves;
    spec.feeds = feeds;
    spec.auth = auth;
    spec.limits = limits;
    spec.redirects = redirects;
    if spec.check_names().len() > CHECKS_MAX {
        let hint = "make it two steps; saves and measures that are not optional count too";
        fields.error("check", format!("a step has at most {CHECKS_MAX} checks"), hint);
        return None;
    }
    Some(spec)
}

/// The request that a line begins with (a socket, a stream of events): GET of the address that stands under `key`, with the
/// step's query, headers and credentials.
pub(crate) fn read_get(
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    context: &StepContext,
) -> Option<RequestSpec> {
    let query = query(fields, context);
    let headers = headers(fields, context).into_iter();
    let headers = headers.map(|(name, value)| (name, Pattern::text(value, Form::Header))).collect();
    let auth = auth::read(fields, context);
    let (base, target) = address(fields, key, text, &query, context)?;
    let mut spec = RequestSpec::new("GET", base.as_str())
        .map_err(|hint| fields.error(key, format!("{text:?} cannot be requested"), hint))
        .ok()?;
    spec.target = target;
    spec.headers = headers;
    spec.auth = auth;
    Some(spec)
}

/// The opener that stands in the step: its key, the method, the path or URL.
fn opener(fields: &Fields<'_>) -> Option<(&'static str, String, String)> {
    let mut found = None;
    for (key, method) in METHODS {
        if let Some(text) = fields.text(key) {
            if found.is_some() {
                fields.error(key, "a step makes one request", "make it a step of its own");
            } else {
                found = Some((key, method.to_owned(), text));
            }
        }
    }
    if let Some(request) = fields.table("request") {
        let (method, url) = (request.text("method"), request.text("url"));
        request.finish();
        for (key, missing) in [("method", method.is_none()), ("url", url.is_none())] {
            if missing && !request.has(key) {
                fields.error("request", format!("`{key}` is missing"), "write {method: PURGE, url: /cache}");
            }
        }
        let (method, url) = (method?, url?);
        if !is_token(&method) {
            request.error("method", format!("{method:?} is not a method name"), "write a word such as PURGE");
            return None;
        }
        if found.is_some() {
            fields.error("request", "a step makes one request", "make it a step of its own");
        } else {
            found = Some(("request", method, url));
        }
    }
    found
}

/// Base URL (with places left out) and what stands in the request line.
fn address(
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    query: &[(Pattern, Pattern)],
    context: &StepContext,
) -> Option<(Url, Pattern)> {
    let (origin, prefix, path) = split_address(fields, key, text, context)?;
    if origin.contains("${") {
        fields.error(
            key,
            "the host cannot differ between requests",
            "write the host out; places may stand in the path",
        );
        return None;
    }
    let mut target = match place_length(path) {
        Some(length) => link(fields, key, &origin, path, length, context)?,
        None => {
            let mut target = Pattern::bytes(encode::path(&prefix));
            if prefix.is_empty() && !path.starts_with('/') {
                target.push_bytes(b"/");
            }
            target.extend(pattern(context, fields, key, path, Form::Path)?);
            target
        }
    };
    let mut mark: &[u8] = if find_outside(path, &['?']).is_some() { b"&" } else { b"?" };
    for (name, value) in query {
        target.push_bytes(mark);
        target.extend(name.clone());
        target.push_bytes(b"=");
        target.extend(value.clone());
        mark = b"&";
    }
    let literal = target.literal().map(String::from_utf8_lossy);
    let shown = literal.map_or_else(|| format!("{origin}/"), |path| format!("{origin}{path}"));
    match crate::spec::parse_url(&shown).and_then(|url| Origin::of(&url).map(|_| url)) {
        Ok(mut url) => {
            // credentials in a URL are not sent; `auth` is the place for them
            if !url.username().is_empty() || url.password().is_some() {
                fields.error(
                    key,
                    "credentials stand in the URL",
                    "write `auth: {basic: {user: ..., password: ...}}`",
                );
            }
            let _ = url.set_username("");
            let _ = url.set_password(None);
            Some((url, target))
        }
        Err(hint) => {
            fields.error(key, format!("{text:?} cannot be requested"), hint);
            None
        }
    }
}

/// Scheme and host, the path of the target that goes before, and what the plan wrote behind the host.
fn split_address<'t>(
    fields: &Fields<'_>,
    key: &str,
    text: &'t str,
    context: &StepContext,
) -> Option<(String, String, &'t str)> {
    let text = text.trim();
    let text = &text[..find_outside(text, &['#']).unwrap_or(text.len())];
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let end = find_outside(rest, &['/', '?']).unwrap_or(rest.len());
            if end == 0 {
                fields.error(key, format!("{text:?} cannot be requested"), "the URL names no host");
                return None;
            }
            Some((format!("{scheme}://{}", &rest[..end]), String::new(), &rest[end..]))
        }
        _ => {
            let Some(target) = &context.target else {
                let hint = "give the plan a `target: http://HOST:PORT`, or the `ground` that it starts, or \
                            write a whole URL";
                fields.error(key, format!("{text:?} is a path, and the plan has no target"), hint);
                return None;
            };
            if !text.is_empty() && !text.starts_with(['/', '?']) && place_length(text).is_none() {
                fields.error(key, format!("{text:?} is not a path"), format!("did you mean `/{text}`?"));
                return None;
            }
            // a mistake in the target is told where it stands
            let base = crate::spec::parse_url(target).ok()?;
            let prefix = base.path().trim_end_matches('/').to_owned();
            Some((base[..url::Position::BeforePath].to_owned(), prefix, text))
        }
    }
}

/// An address that begins with a place: the path and query, or the URL, that an answer gave.
fn link(
    fields: &Fields<'_>,
    key: &str,
    origin: &str,
    path: &str,
    length: usize,
    context: &StepContext,
) -> Option<Pattern> {
    if fields.has("query") {
        let hint = "write the parameters behind the place, as in ${next}&page=2";
        fields.error("query", "the address is a link, which may have parameters of its own", hint);
    }
    // a wrong origin is told where the whole address is looked at
    let origin = crate::spec::parse_url(origin).ok().and_then(|url| Origin::of(&url).ok())?;
    let (first, rest) = path.split_at(length);
    let mut target = pattern(context, fields, key, first, Form::Link(Box::new(Link { origin })))?;
    target.extend(pattern(context, fields, key, rest, Form::Path)?);
    Some(target)
}

fn query(fields: &Fields<'_>, context: &StepContext) -> Vec<(Pattern, Pattern)> {
    let Some(table) = fields.table("query") else { return Vec::new() };
    let mut pairs = Vec::new();
    for (name, _, node) in table.all() {
        for value in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let Some(text) = value.scalar() else {
                table.error(name, format!("this is {}, one value is needed", value.kind_name()), "");
                continue;
            };
            if let Some(value) = template_at(context, &table, value.at, &table.path_of(name), &text) {
                pairs.push((Pattern::bytes(encode::value(name)), Pattern::text(value, Form::Url)));
            }
        }
    }
    pairs
}

/// A table of headers, of a step or of the settings.
pub(super) fn headers(fields: &Fields<'_>, context: &StepContext) -> Vec<(String, Template)> {
    let Some(table) = fields.table("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, _, node) in table.all() {
        let Some(text) = node.scalar() else {
            table.error(name, format!("this is {}, one value is needed", node.kind_name()), "");
            continue;
        };
        if has_line_end(text.as_bytes()) {
            table.error(name, "a header value holds a line end", "write it on one line");
            continue;
        }
        if let Some(value) = template(context, &table, name, text.trim()) {
            match check_header(name, value.literal().map(str::as_bytes)) {
                Ok(()) => headers.push((name.to_owned(), value)),
                Err(text) => table.error(name, text, ""),
            }
        }
    }
    headers
}

fn redirects(fields: &Fields<'_>) -> Option<u32> {
    let most = fields.count("redirects").map(|most| u32::try_from(most).unwrap_or(u32::MAX));
    match fields.flag("follow") {
        Some(false) => Some(0),
        Some(true) => most.or(Some(10)),
        None => most,
    }
}

/// Time limits, of a step or of the settings.
pub(super) fn limits(fields: &Fields<'_>) -> StepLimits {
    let mut limits = StepLimits { total: fields.duration("timeout"), ..StepLimits::default() };
    if let Some(table) = fields.table("timeouts") {
        if let Some(total) = table.duration("total") {
            if limits.total.is_some() {
                table.error("total", "the limit stands twice", "keep `timeout` or `timeouts: {total: ...}`");
            }
            limits.total = Some(total);
        }
        limits.resolve = table.duration("resolve");
        limits.connect = table.duration("connect");
        limits.tls = table.duration("tls");
        limits.send = table.duration("send");
        limits.first_byte = table.duration("first_byte");
        limits.receive = table.duration("receive");
        table.finish();
    }
    limits
}
