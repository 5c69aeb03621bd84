//! Pages that need no session: the entrance, the lessons, their manifest.

use super::activity::{ACTIVITIES, LESSONS};
use super::reply::{Refusal, numbered};
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

fn cached(answer: impl IntoResponse) -> Response {
    let mut answer = answer.into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer
}

fn page(title: &str, body: &str) -> Response {
    cached(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    )))
}

/// GET /
pub(crate) async fn index() -> Response {
    let links: String =
        (1..=LESSONS).map(|n| format!("<li><a href=\"/lessons/lesson-{n}\">lesson {n}</a>")).collect();
    page("Classroom", &format!("<ul>{links}</ul>"))
}

/// GET /admin-metrics.html
pub(crate) async fn admin() -> Response {
    page(
        "Figures",
        "<p>Log in as an admin and read <a href=\"/api/admin/metrics\">/api/admin/metrics</a>.</p>",
    )
}

/// GET /lessons/{lesson}
pub(crate) async fn lesson(Path(lesson): Path<String>) -> Result<Response, Refusal> {
    let number = numbered(lesson.trim_end_matches(".html"), "lesson-", LESSONS)
        .map_err(|_| Refusal::NotFound("there is no such lesson"))?;
    let items: String = (1..=ACTIVITIES).map(|a| format!("<li>activity a{a}")).collect();
    Ok(page(&format!("Lesson {number}"), &format!("<ol>{items}</ol>")))
}

/// GET /lessons/manifest.json
pub(crate) async fn manifest() -> Response {
    let lessons: Vec<Value> = (1..=LESSONS)
        .map(|n| {
            let activities: Vec<String> = (1..=ACTIVITIES).map(|a| format!("a{a}")).collect();
            json!({"id": format!("lesson-{n}"), "title": format!("Lesson {n}"), "activities": activities})
        })
        .collect();
    let kind = HeaderValue::from_static("application/json");
    cached(([(header::CONTENT_TYPE, kind)], json!({"version": 1, "lessons": lessons}).to_string()))
}
