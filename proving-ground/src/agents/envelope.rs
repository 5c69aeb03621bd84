//! The one shape of error, and what wraps every request: an id and that shape.

use super::app::App;
use crate::clock::unix_ms;
use crate::pool::PoolError;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

const REQUEST_ID: &str = "x-request-id";

/// Why a request ends early.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into(), details: Value::Null }
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// 401
    pub(crate) fn unauthorized(message: &str) -> Refusal {
        Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    /// 404
    pub(crate) fn not_found(what: &str) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no such {what}"))
    }

    /// 409
    pub(crate) fn conflict(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    /// 422 for one field.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let details = json!([{"field": field, "message": message}]);
        let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", message);
        Refusal { details, ..refusal }
    }

    /// 503
    pub(crate) fn busy(message: &str) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_OVERLOADED", message)
    }
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Refusal {
        match error {
            PoolError::Full => Refusal::busy("too many queries are waiting for the database"),
            PoolError::Database(why) | PoolError::Gone(why) => {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "DATABASE_ERROR", why)
            }
        }
    }
}

/// The middleware writes the body: only it knows path and id.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = self.status.into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refusal>;

/// 200 with this value.
pub(crate) fn ok(value: impl Serialize) -> Response {
    axum::Json(value).into_response()
}

/// 201 with this value.
pub(crate) fn created(value: impl Serialize) -> Response {
    (StatusCode::CREATED, axum::Json(value)).into_response()
}

/// Reads a body: 422 if it is not what is wanted.
pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::invalid("body", e.to_string()))
}

/// Text of `low..=high` characters, blanks around it removed.
pub(crate) fn text(field: &str, text: &str, low: usize, high: usize) -> Result<String, Refusal> {
    let text = text.trim();
    let length = text.chars().count();
    if (low..=high).contains(&length) {
        return Ok(text.to_owned());
    }
    Err(Refusal::invalid(field, format!("{length} characters; {low} to {high} are allowed")))
}

/// One of some words.
pub(crate) fn one_of(field: &str, word: &str, known: &[&str]) -> Result<String, Refusal> {
    if known.contains(&word) {
        return Ok(word.to_owned());
    }
    Err(Refusal::invalid(field, format!("{word:?} is none of {}", known.join(", "))))
}

/// A point in time as the payloads write it.
pub(crate) fn stamp(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Now, as the payloads write it.
pub(crate) fn stamp_now() -> String {
    stamp(i64::try_from(unix_ms()).unwrap_or(i64::MAX))
}

/// Middleware for all routes: gives the request an id and errors their shape.
pub(crate) async fn wrap(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let id = match given {
        Some(id) if (1..=64).contains(&id.len()) => id.to_owned(),
        _ => app.ids.next(),
    };
    let mut answer = next.run(request).await;
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        answer = shape(answer, &path, &id).await;
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    answer
}

async fn shape(answer: Response, path: &str, id: &str) -> Response {
    let (mut parts, body) = answer.into_parts();
    let status = parts.status;
    let (code, message, details) = match parts.extensions.remove::<Refusal>() {
        Some(refusal) => (refusal.code.to_owned(), refusal.message, refusal.details),
        None => foreign(status, body).await,
    };
    let retryable = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let body = json!({"status": status.as_u16(), "error_code": code, "message": message, "details": details,
        "path": path, "timestamp": stamp_now(), "retryable": retryable, "request_id": id});
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(body.to_string()))
}

/// What others have refused: the gate (JSON with code and message) or the framework (text).
async fn foreign(status: StatusCode, body: Body) -> (String, String, Value) {
    let body = to_bytes(body, 64 * 1024).await.unwrap_or_default();
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let part = |key: &str| told["error"][key].as_str().map(str::to_owned);
    let code = part("code").map(|code| code.to_uppercase());
    let reason = status.canonical_reason().unwrap_or("error");
    let message = part("message").unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    (
        code.unwrap_or_else(|| reason.to_uppercase().replace(' ', "_")),
        if message.is_empty() { reason.to_owned() } else { message },
        Value::Null,
    )
}
