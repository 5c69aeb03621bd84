//! One request as the plan or the command line says it, before it is prepared for sending.

use crate::checks::Check;
use crate::extract::{Feed, Save};
use crate::grammar::Said;
use crate::pattern::Pattern;
use crate::settings::Timeouts;
use crate::status::StatusMatch;
use crucible_core::{Ns, StepSpec};
use std::sync::Arc;
use url::Url;

/// Most checks of a step, those of its saves and measures included: each is a bit of the probe.
pub(crate) const CHECKS_MAX: usize = 64;

/// A request, its limits and the checks on its answer. What [`StepSpec::body`] holds for this protocol.
#[derive(Clone, Debug)]
pub struct RequestSpec {
    /// Method, as sent.
    pub(crate) method: String,
    /// Scheme, host and port; path and query are in `target`.
    pub(crate) base: Url,
    /// Path and query as sent in the request line, already percent-encoded.
    pub(crate) target: Pattern,
    /// Headers of this request.
    pub(crate) headers: Vec<(String, Pattern)>,
    /// The body.
    pub(crate) payload: Pattern,
    /// `Content-Type` that goes with the body unless a header says otherwise.
    pub(crate) content_type: Option<String>,
    /// Checks in the order of their bits.
    pub(crate) checks: Vec<Check>,
    /// What is saved of a good answer.
    pub(crate) saves: Vec<Save>,
    /// What a good answer tells about the target, in the order of the measures.
    pub(crate) feeds: Vec<Feed>,
    /// Credentials.
    pub(crate) auth: Said,
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
            target: Pattern::bytes(target),
            base,
            headers: Vec::new(),
            payload: Pattern::default(),
            content_type: None,
            checks: Vec::new(),
            saves: Vec::new(),
            feeds: Vec::new(),
            auth: Said::Nothing,
            redirects: None,
            limits: StepLimits::default(),
            mistake: None,
        })
    }

    /// Adds a header, taken literally. A bad name or value is told when the protocol is made.
    pub fn header(mut self, name: &str, value: &str) -> RequestSpec {
        self.headers.push((name.to_owned(), Pattern::bytes(value)));
        self
    }

    /// Sets the body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> RequestSpec {
        self.payload = Pattern::bytes(bytes);
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
        let saves = self.saves.iter().filter_map(Save::check_name);
        own.chain(saves).chain(self.feeds.iter().filter_map(Feed::check_name)).collect()
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
            measures: self.feeds.iter().map(|feed| feed.measure.clone()).collect(),
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

/// Whether `text` is a token (RFC 9110 5.6.2): the form of methods and header names.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(crate::head::is_token_byte)
}
