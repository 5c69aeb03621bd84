//! What one user may do in a minute, and how often one address may be wrong.

use super::app::App;
use super::reply::Refusal;
use crate::gate::refuse;
use crate::limit::{Decision, Kind, Limiter, Rule};
use crate::truth::Truth;
use axum::http::StatusCode;
use axum::response::Response;
use crucible_core::Ns;
use std::sync::atomic::Ordering;

const MINUTE: Ns = Ns::from_secs(60);

/// The limiters; sliding logs, so that no edge of a window lets twice the limit through.
pub(crate) struct Limits {
    on: bool,
    pub(super) saves: Limiter,
    pub(super) runs: Limiter,
    pub(super) marks: Limiter,
    pub(super) wrong_by_address: Limiter,
}

impl Limits {
    pub(super) fn new(truth: &Truth) -> Limits {
        let minute = |requests| {
            Limiter::new(Rule { kind: Kind::SlidingLog, requests, window: MINUTE }, truth.limit.cost())
        };
        Limits {
            on: truth.own_limits,
            saves: minute(60),
            runs: minute(20),
            marks: minute(30),
            wrong_by_address: minute(100),
        }
    }
}

/// A limiter and what it said, to be told with the answer.
pub(super) struct Said<'a>(Option<(&'a Limiter, Decision)>);

impl App {
    /// Asks one of the limits for a user.
    pub(super) fn allow<'a>(&'a self, limiter: &'a Limiter, key: &str) -> Result<Said<'a>, Refusal> {
        if !self.limits.on {
            return Ok(Said(None));
        }
        let decision = limiter.ask(key, self.gate.now());
        if decision.passes() {
            return Ok(Said(Some((limiter, decision))));
        }
        self.counts.limited.fetch_add(1, Ordering::Relaxed);
        let why = "too many of these within a minute";
        let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limited", why);
        self.gate.tell(answer.headers_mut(), limiter, decision);
        Err(answer.into())
    }

    /// Puts what the limit said onto the answer.
    pub(super) fn told(&self, mut answer: Response, said: Said<'_>) -> Response {
        if let Some((limiter, decision)) = said.0 {
            self.gate.tell(answer.headers_mut(), limiter, decision);
        }
        answer
    }
}
