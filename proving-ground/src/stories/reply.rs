//! Answers and request bodies: JSON in, JSON out, one shape of error.

use crate::gate::refuse;
use crate::pool::PoolError;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Everything that ends a request early.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 400: the request cannot be read.
    Malformed(String),
    /// 401: no token, or one that nobody has.
    Unauthorized,
    /// 403: somebody else's.
    Forbidden,
    /// 404: there is no such thing.
    NotFound(&'static str),
    /// 409: there is one already.
    Conflict(&'static str),
    /// 422: readable, but not acceptable.
    Invalid(String),
    /// 500 or 503: the database.
    Pool(PoolError),
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Refusal {
        Refusal::Pool(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::Malformed(why) => refuse(StatusCode::BAD_REQUEST, "malformed", &why),
            Refusal::Unauthorized => {
                let mut answer =
                    refuse(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                answer
            }
            Refusal::Forbidden => refuse(StatusCode::FORBIDDEN, "forbidden", "this belongs to somebody else"),
            Refusal::NotFound(what) => refuse(StatusCode::NOT_FOUND, "not_found", what),
            Refusal::Conflict(what) => refuse(StatusCode::CONFLICT, "conflict", what),
            Refusal::Invalid(why) => refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", &why),
            Refusal::Pool(PoolError::Full) => {
                let why = "too many queries are waiting for the database";
                let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, "database_busy", why);
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                answer
            }
            Refusal::Pool(PoolError::Gone(why)) => {
                refuse(StatusCode::SERVICE_UNAVAILABLE, "database_gone", &why)
            }
            Refusal::Pool(PoolError::Database(why)) => {
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "database", &why)
            }
        }
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refusal>;

/// JSON text of a value.
pub(crate) fn json_bytes(value: &impl Serialize) -> Bytes {
    // maps with keys that are not text do not occur, and nothing else can fail
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// An answer with a body that is JSON already.
pub(crate) fn json_answer(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// 200 with this value.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    json_answer(StatusCode::OK, json_bytes(value))
}

/// 201 with this value.
pub(crate) fn created(value: &impl Serialize) -> Response {
    json_answer(StatusCode::CREATED, json_bytes(value))
}

/// Reads a request body: 400 if it is not JSON, 422 if it is JSON of another shape.
pub(crate) fn read_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| {
        if e.is_data() { Refusal::Invalid(e.to_string()) } else { Refusal::Malformed(e.to_string()) }
    })
}

/// Demands text of `low..=high` characters, blanks around it removed.
pub(crate) fn text_of(name: &str, text: &str, low: usize, high: usize) -> Result<String, Refusal> {
    let text = text.trim();
    let length = text.chars().count();
    if text.contains('\0') {
        Err(Refusal::Invalid(format!("{name} holds a zero byte")))
    } else if (low..=high).contains(&length) {
        Ok(text.to_owned())
    } else {
        Err(Refusal::Invalid(format!("{name} has {length} characters; {low} to {high} are allowed")))
    }
}
