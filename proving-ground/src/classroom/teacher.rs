//! What teachers see and do.

use super::activity::{ACTIVITIES, LESSONS, value};
use super::app::{App, Shared};
use super::auth::{User, user_of};
use super::reply::{Answer, Refusal, numbered, ok, read_body, text_of};
use super::store;
use crate::clock::unix_ms;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn teacher(app: &App, headers: &HeaderMap, writes: bool) -> Result<User, Refusal> {
    let user = user_of(app, headers, writes).await?;
    user.teaches()?;
    Ok(user)
}

fn rows(
    db: &Connection,
    sql: &str,
    values: impl Params,
    row: impl Fn(&Row<'_>) -> rusqlite::Result<Value>,
) -> rusqlite::Result<Vec<Value>> {
    db.prepare_cached(sql)?.query_map(values, row)?.collect()
}

/// GET /api/teacher/users: the pupils.
pub(crate) async fn users(state: Shared, headers: HeaderMap) -> Answer {
    teacher(&state, &headers, false).await?;
    let sql = "SELECT username, name, active FROM users WHERE role = 'pupil' ORDER BY id LIMIT 1000";
    let all = state.readers.run(move |db| {
        rows(db, sql, [], |row| {
            let (username, name, active): (String, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(json!({"username": username, "name": name, "active": active}))
        })
    });
    let all = all.await?;
    Ok(ok(&json!({"ok": true, "count": all.len(), "users": all})))
}

/// GET /api/teacher/overview: for each pupil, activities begun, revisions and marks.
pub(crate) async fn overview(state: Shared, headers: HeaderMap) -> Answer {
    teacher(&state, &headers, false).await?;
    let sql = "SELECT username,
                (SELECT count(DISTINCT lesson * 100 + activity) FROM revisions WHERE user_id = users.id),
                (SELECT count(*) FROM revisions WHERE user_id = users.id),
                (SELECT count(*) FROM marks WHERE user_id = users.id)
         FROM users WHERE role = 'pupil' ORDER BY users.id LIMIT 1000";
    let all = state.readers.run(move |db| {
        rows(db, sql, [], |row| {
            let username: String = row.get(0)?;
            let (begun, revisions, marks): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(json!({"username": username, "activities": begun, "revisions": revisions, "marks": marks}))
        })
    });
    let all = all.await?;
    let activities = LESSONS * ACTIVITIES;
    Ok(ok(&json!({"ok": true, "lessons": LESSONS, "activities": activities, "pupils": all})))
}

/// GET /api/teacher/stats
pub(crate) async fn stats(state: Shared, headers: HeaderMap) -> Answer {
    teacher(&state, &headers, false).await?;
    let sql = "SELECT (SELECT count(*) FROM users WHERE role = 'pupil'),
                (SELECT count(DISTINCT user_id) FROM revisions), (SELECT count(*) FROM revisions),
                (SELECT count(*) FROM marks)";
    let counts = state.readers.run(move |db| {
        db.prepare_cached(sql)?.query_row([], |row| {
            let counts: (i64, i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(counts)
        })
    });
    let (pupils, active, revisions, marks) = counts.await?;
    let (runs, timeouts, _) = state.runner.figures();
    Ok(ok(&json!({
        "ok": true, "pupils": pupils, "active_pupils": active, "revisions": revisions, "marks": marks,
        "python_runs": runs, "python_timeouts": timeouts,
    })))
}

/// GET /api/teacher/attention: pupils who have begun nothing, or whose newest work is unmarked.
pub(crate) async fn attention(state: Shared, headers: HeaderMap) -> Answer {
    teacher(&state, &headers, false).await?;
    let sql = "SELECT username, max(revisions.created_ms) AS last, count(revisions.id)
         FROM users LEFT JOIN revisions ON revisions.user_id = users.id
         WHERE role = 'pupil' AND active = 1 GROUP BY users.id
         HAVING last IS NULL
             OR last > coalesce((SELECT max(updated_ms) FROM marks WHERE user_id = users.id), 0)
         ORDER BY last IS NULL, last, users.id LIMIT 50";
    let all = state.readers.run(move |db| {
        rows(db, sql, [], |row| {
            let (username, last): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let why = if last.is_some() { "unmarked work" } else { "nothing begun" };
            Ok(json!({"username": username, "last_saved_at": last, "reason": why}))
        })
    });
    let all = all.await?;
    Ok(ok(&json!({"ok": true, "count": all.len(), "pupils": all})))
}

fn pupil(db: &Connection, username: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM users WHERE username = ?1 AND role = 'pupil'";
    db.prepare_cached(sql)?.query_row([username], |row| row.get(0)).optional()
}

/// GET /api/teacher/pupil/{user}/lesson/{lesson}
pub(crate) async fn lesson(
    state: Shared,
    Path((name, lesson)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    teacher(&state, &headers, false).await?;
    let number = numbered(&lesson, "lesson-", LESSONS)?;
    let looked = name.clone();
    let found = state.readers.run(move |db| {
        let Some(id) = pupil(db, &looked)? else { return Ok(None) };
        let sql = "SELECT newest.activity, newest.state, newest.created_ms, newest.id, mark, comment
             FROM revisions AS newest LEFT JOIN marks
                 ON marks.user_id = newest.user_id AND marks.lesson = newest.lesson AND marks.activity = newest.activity
             WHERE newest.id IN (SELECT max(id) FROM revisions WHERE user_id = ?1 AND lesson = ?2 GROUP BY activity)
             ORDER BY newest.activity";
        let all = rows(db, sql, params![id, number], |row| {
            let (activity, text, at): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (revision, mark): (i64, Option<String>) = (row.get(3)?, row.get(4)?);
            let comment: Option<String> = row.get(5)?;
            Ok(json!({
                "activity_id": format!("a{activity}"), "state": value(text), "updated_at": at,
                "revision_id": revision, "mark": mark, "comment": comment,
            }))
        })?;
        Ok(Some(all))
    });
    let all = found.await?.ok_or(Refusal::NotFound("there is no pupil of this name"))?;
    Ok(ok(&json!({"ok": true, "username": name, "lesson_id": lesson, "activities": all})))
}

#[derive(Deserialize)]
struct Mark {
    username: String,
    lesson_id: String,
    activity_id: String,
    #[serde(alias = "status")]
    mark: String,
    #[serde(default)]
    comment: String,
}

/// POST /api/teacher/mark
pub(crate) async fn mark(state: Shared, headers: HeaderMap, body: Bytes) -> Answer {
    let user = teacher(&state, &headers, true).await?;
    let asked: Mark = read_body(&body)?;
    let lesson = numbered(&asked.lesson_id, "lesson-", LESSONS)?;
    let activity = numbered(&asked.activity_id, "a", ACTIVITIES)?;
    let mark = text_of("mark", &asked.mark, 1, 40)?;
    let comment = text_of("comment", &asked.comment, 0, 2_000)?;
    let said = state.allow(&state.limits.marks, &user.username)?;
    let now = unix_ms() as i64;
    let done = state.writer.run(move |db| {
        let Some(id) = pupil(db, &asked.username)? else { return Ok(false) };
        let step = db.savepoint()?;
        step.prepare_cached(
            "INSERT INTO marks(user_id, lesson, activity, mark, comment, teacher, updated_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET mark = excluded.mark, comment = excluded.comment,
                 teacher = excluded.teacher, updated_ms = excluded.updated_ms",
        )?
        .execute(params![id, lesson, activity, mark, comment, user.username, now])?;
        let detail = format!("{} lesson-{lesson} a{activity}: {mark}", asked.username);
        store::audit(&step, &user.username, "mark", &detail)?;
        step.commit()?;
        Ok(true)
    });
    if !done.await? {
        return Err(Refusal::NotFound("there is no pupil of this name"));
    }
    state.counts.marks.fetch_add(1, Ordering::Relaxed);
    Ok(state.told(ok(&json!({"ok": true, "updated_at": now})), said))
}
