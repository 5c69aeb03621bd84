//! One request as the plan or the command line says it, before it is prepared for sending.

use crate::checks::{Check, StatusMatch};
use crate::extract::Save;
use crate::settings::Timeouts;
use crucible_core::{Ns, StepSpec, Template};
use std::sync::Arc;
use url::Url;

/// A request, its limits and the checks on its answer. What [`StepSpec::body`] holds for this protocol.
#[derive(Clone, Debug)]
pub struct RequestSpec {
    /// Method, as sent.
    pub(crate) method: String,
    /// Scheme, host and port; path and query are in `target`.
    pub(crate) base: Url,
    /// Path and query as sent in the request line, already percent-encoded.
    pub(crate) target: Template,
    /// Headers of this request.
    pub(crate) headers: Vec<(String, Template)>,
    /// The body.
    pub(crate) payload: Payload,
    /// `Content-Type` that goes with the body unless a header says otherwise.
    pub(crate) content_type: Option<String>,
    /// Checks in the order of their bits.
    pub(crate) checks: Vec<Check>,
    /// What is saved of a good answer.
    pub(crate) saves: Vec<Save>,
    /// Redirects to follow, if other than the settings say.
    pub(crate) redirects: Option<u32>,
    /// Time limits that replace those of the settings.
    pub(crate) limits: StepLimits,
    /// For reports: method and path as the plan wrote them.
    pub(crate) name: String,
    /// First mistake made while building, told when the protocol is made.
    pub(crate) mistake: Option<String>,
}

/// Time limits of one step; `None` leaves the settings' own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepLimits {
    pub total: Option<Ns>,
    pub resolve: Option<Ns>,
    pub connect: Option<Ns>,
    pub tls: Option<Ns>,
    pub send: Option<Ns>,
    pub first_byte: Option<Ns>,
    pub receive: Option<Ns>,
}

impl StepLimits {
    /// These limits, with gaps filled from `base`.
    pub(crate) fn over(&self, base: &Timeouts) -> Timeouts {
        Timeouts {
            total: self.total.unwrap_or(base.total),
            resolve: self.resolve.or(base.resolve),
            connect: self.connect.or(base.connect),
            tls: self.tls.or(base.tls),
            send: self.send.or(base.send),
            first_byte: self.first_byte.or(base.first_byte),
            receive: self.receive.or(base.receive),
        }
    }
}

/// A body in pieces, sent one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    /// The pieces; none is no body.
    pub pieces: Vec<Piece>,
}

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Text, rendered for each request.
    Text(Template),
    /// Bytes that are always the same.
    Bytes(Arc<[u8]>),
}

impl RequestSpec {
    /// A request to an absolute `http` or `https` URL, which is taken literally. The error is a hint.
    pub fn new(method: &str, url: &str) -> Result<RequestSpec, String> {
        if !is_token(method) {
            return Err(format!("{method:?} is not a method name"));
        }
        let base = parse_url(url)?;
        let mut target = base.path().to_owned();
        if let Some(query) = base.query() {
            target.push('?');
            target.push_str(query);
        }
        Ok(RequestSpec {
            method: method.to_owned(),
            name: format!("{method} {}", base.path()),
            target: literal(&target),
            base,
            headers: Vec::new(),
            payload: Payload::default(),
            content_type: None,
            checks: Vec::new(),
            saves: Vec::new(),
            redirects: None,
            limits: StepLimits::default(),
            mistake: None,
        })
    }

    /// Adds a header, taken literally. A bad name or value is told when the protocol is made.
    pub fn header(mut self, name: &str, value: &str) -> RequestSpec {
        self.headers.push((name.to_owned(), literal(value)));
        self
    }

    /// Sets the body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> RequestSpec {
        let bytes: Vec<u8> = bytes.into();
        self.payload = Payload { pieces: vec![Piece::Bytes(bytes.into())] };
        self
    }

    /// Demands a status, as in `200`, `200..=299` or a [`StatusMatch`]. Replaces the default rule.
    pub fn check_status(self, status: impl Into<StatusMatch>) -> RequestSpec {
        self.check(Check::Status(status.into()))
    }

    /// Adds a check.
    pub fn check(mut self, check: Check) -> RequestSpec {
        self.checks.push(check);
        self
    }

    /// Follows this many redirects whatever the settings say.
    pub fn redirects(mut self, most: u32) -> RequestSpec {
        self.redirects = Some(most);
        self
    }

    /// Sets the time limit of the whole operation.
    pub fn timeout(mut self, total: Ns) -> RequestSpec {
        self.limits.total = Some(total);
        self
    }

    /// Names of the checks in the order of their bits.
    pub fn check_names(&self) -> Vec<String> {
        let own = self.checks.iter().map(Check::name);
        own.chain(self.saves.iter().filter_map(Save::check_name)).collect()
    }

    /// Method and path, as in `GET /api/health`.
    pub fn default_name(&self) -> &str {
        &self.name
    }

    /// The form in which steps carry it.
    pub fn into_step(self) -> StepSpec {
        StepSpec {
            default_name: self.name.clone(),
            checks: self.check_names(),
            measures: Vec::new(),
            body: Arc::new(self),
        }
    }
}

/// Reads an absolute URL. The error is a hint.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return Err(format!("{text:?} is not a whole URL; write http://HOST:PORT/PATH"));
        }
        Err(error) => return Err(format!("{text:?} is not a URL: {error}")),
    };
    match crate::origin::Origin::of(&url) {
        Ok(_) => Ok(url),
        // `localhost:8080/x` parses with the scheme `localhost`
        Err(_) if !text.contains("://") => Err(format!("write the scheme: http://{text}")),
        Err(hint) => Err(hint),
    }
}

/// A template that renders to exactly `text`.
pub(crate) fn literal(text: &str) -> Template {
    Template::of_literal(text)
}

/// Whether `text` is a token (RFC 9110 5.6.2): the form of methods and header names.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(crate::head::is_token_byte)
}
