//! Answers and request bodies: JSON in, JSON out, one shape of error.

use crate::gate::refuse;
use crate::pool::PoolError;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Everything that ends a request early.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 400: the request cannot be read or is not acceptable.
    Malformed(String),
    /// 401: no session, or wrong words to begin one.
    Unauthorized(&'static str),
    /// 403: not for this user, or without the token against foreign sites.
    Forbidden(&'static str),
    /// 404: there is no such thing.
    NotFound(&'static str),
    /// 409: there is one already.
    Conflict(&'static str),
    /// 503: not now.
    Busy(&'static str, String),
    /// 500: the sandbox.
    Broken(String),
    /// 500 or 503: the database.
    Pool(PoolError),
    /// Made elsewhere.
    Ready(Box<Response>),
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Refusal {
        Refusal::Pool(error)
    }
}

impl From<Response> for Refusal {
    fn from(ready: Response) -> Refusal {
        Refusal::Ready(Box::new(ready))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let busy = |code, why: &str| {
            let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, code, why);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        };
        match self {
            Refusal::Malformed(why) => refuse(StatusCode::BAD_REQUEST, "bad_request", &why),
            Refusal::Unauthorized(why) => refuse(StatusCode::UNAUTHORIZED, "unauthorized", why),
            Refusal::Forbidden(why) => refuse(StatusCode::FORBIDDEN, "forbidden", why),
            Refusal::NotFound(what) => refuse(StatusCode::NOT_FOUND, "not_found", what),
            Refusal::Conflict(what) => refuse(StatusCode::CONFLICT, "conflict", what),
            Refusal::Busy(code, why) => busy(code, &why),
            Refusal::Broken(why) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "runner", &why),
            Refusal::Pool(PoolError::Full) => busy("database_busy", "too many queries wait for the database"),
            Refusal::Pool(PoolError::Gone(why)) => busy("database_gone", &why),
            Refusal::Pool(PoolError::Database(why)) => {
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "database", &why)
            }
            Refusal::Ready(answer) => *answer,
        }
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refusal>;

/// This value with this status.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    let kept = HeaderValue::from_static("no-store");
    (status, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], value.to_string()).into_response()
}

/// 200 with this value.
pub(crate) fn ok(value: &Value) -> Response {
    json(StatusCode::OK, value)
}

/// Reads a request body.
pub(crate) fn read_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::Malformed(e.to_string()))
}

/// Demands `N` of `PREFIXN` from 1 to `last`.
pub(crate) fn numbered(text: &str, prefix: &str, last: u32) -> Result<u32, Refusal> {
    let number = text.strip_prefix(prefix).and_then(|n| n.parse::<u32>().ok());
    number
        .filter(|n| (1..=last).contains(n) && text.len() == prefix.len() + n.to_string().len())
        .ok_or_else(|| Refusal::Malformed(format!("write {prefix}1 to {prefix}{last}")))
}

/// Demands text of `low..=high` characters, blanks around it removed.
pub(crate) fn text_of(name: &str, text: &str, low: usize, high: usize) -> Result<String, Refusal> {
    let text = text.trim();
    let length = text.chars().count();
    if (low..=high).contains(&length) {
        Ok(text.to_owned())
    } else {
        Err(Refusal::Malformed(format!("{name} has {length} characters; {low} to {high} are allowed")))
    }
}
