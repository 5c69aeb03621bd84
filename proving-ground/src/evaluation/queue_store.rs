//! The rows of a queue and what can happen to them.
//!
//! States: `waiting` -> `leased` -> `done`; back to `waiting` when a lease ends without a result; `dead` after too
//! many failures; `cancelled` before a delivery. Invariant: the attempt of a job only grows.

use super::job::{Delivery, Entry, Task};
use super::switches::strikes;
use crate::truth::Truth;
use crucible_core::Rng;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use serde::Serialize;
use serde_json::{Value, json};

/// Deliveries that may fail before a job is given up: the first and five more.
pub(crate) const MOST_FAILURES: u64 = 6;
/// Back-off after the first failure, microseconds; doubled for each further one.
const BACK_OFF_US: u64 = 100_000;
const LONGEST_BACK_OFF_US: u64 = 10_000_000;

/// The table.
pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL,
    priority INTEGER NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, worker TEXT, incarnation TEXT, lease_until_us INTEGER NOT NULL DEFAULT 0,
    not_before_us INTEGER NOT NULL DEFAULT 0, queued_us INTEGER NOT NULL, again INTEGER NOT NULL DEFAULT 0,
    stop INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0, why TEXT);
CREATE INDEX IF NOT EXISTS tasks_by_state ON tasks(state, priority DESC, number);
CREATE INDEX IF NOT EXISTS tasks_by_told ON tasks(told) WHERE told = 0;
CREATE INDEX IF NOT EXISTS tasks_by_worker ON tasks(worker) WHERE state = 'leased';
";

/// Adds jobs that are not there yet. Returns how many wait after that.
pub(crate) fn push(db: &Connection, tasks: &[Task], truth: &Truth, now_us: u64) -> Result<u64> {
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO tasks (id, task, priority, state, queued_us) VALUES (?1, ?2, ?3, 'waiting', ?4)",
    )?;
    for task in tasks {
        let text = serde_json::to_string(task).unwrap_or_default();
        if insert.execute(params![task.id, text, task.priority, now_us])? == 0 {
            continue;
        }
        let number = db.last_insert_rowid().unsigned_abs();
        if strikes(truth.bugs.lose, truth.seed, "lose", number) {
            // its number stays taken, its row goes: acknowledged, and nowhere
            db.execute("DELETE FROM tasks WHERE number = ?1", [number])?;
        }
    }
    db.query_row("SELECT count(*) FROM tasks WHERE state = 'waiting'", [], |row| row.get(0))
}

/// What a question for work gives.
#[derive(Debug)]
pub(crate) enum Next {
    /// A job.
    Found(Box<Delivery>),
    /// None now; at this time one comes of age, if no other comes before.
    Later(Option<u64>),
}

/// The next job for a worker. What an earlier life of the same worker held is given back first.
pub(crate) fn next(
    db: &Connection,
    (worker, incarnation): (&str, &str),
    truth: &Truth,
    now_us: u64,
) -> Result<Next> {
    let held: Vec<u64> = db
        .prepare_cached(
            "SELECT number FROM tasks WHERE worker = ?1 AND state = 'leased' AND incarnation <> ?2",
        )?
        .query_map([worker, incarnation], |row| row.get(0))?
        .collect::<Result<_>>()?;
    for number in held {
        give_back(db, number, "the worker died", truth, now_us)?;
    }
    let order = if truth.bugs.reorder { "random()" } else { "priority DESC, number" };
    let query = format!(
        "SELECT task, number, queued_us, attempt, again FROM tasks WHERE state = 'waiting' AND not_before_us <= ?1 \
         ORDER BY {order} LIMIT 1"
    );
    let found = db.prepare_cached(&query)?.query_row([now_us], delivery).optional()?;
    let Some(Some(mut delivery)) = found else {
        let due = "SELECT min(not_before_us) FROM tasks WHERE state = 'waiting' AND not_before_us > ?1";
        return db.prepare_cached(due)?.query_row([now_us], |row| row.get(0)).map(Next::Later);
    };
    delivery.attempt += 1;
    db.prepare_cached(
        "UPDATE tasks SET state = 'leased', attempt = ?2, worker = ?3, incarnation = ?4, lease_until_us = ?5 \
         WHERE number = ?1",
    )?
    .execute(params![
        delivery.number,
        delivery.attempt,
        worker,
        incarnation,
        now_us + lease_us(truth)
    ])?;
    Ok(Next::Found(Box::new(delivery)))
}

fn lease_us(truth: &Truth) -> u64 {
    truth.bugs.lease.0 / 1_000
}

/// `None`: a row that cannot be read.
fn delivery(row: &Row<'_>) -> Result<Option<Delivery>> {
    let text: String = row.get(0)?;
    let (number, queued_us, attempt, again) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
    Ok(serde_json::from_str(&text).ok().map(|task| Delivery { task, number, queued_us, attempt, again }))
}

/// A sign of life. Returns whether the lease still holds and whether the job is to be stopped.
pub(crate) fn extend(
    db: &Connection,
    id: &str,
    attempt: u64,
    truth: &Truth,
    now_us: u64,
) -> Result<(bool, bool)> {
    let held = db
        .prepare_cached(
            "UPDATE tasks SET lease_until_us = ?3 WHERE id = ?1 AND attempt = ?2 AND state = 'leased'",
        )?
        .execute(params![id, attempt, now_us + lease_us(truth)])?;
    let stop = db.query_row("SELECT stop FROM tasks WHERE id = ?1", [id], |row| row.get(0)).optional()?;
    Ok((held > 0, stop.unwrap_or(false)))
}

/// Storage has a final state: the job is done. False: this is not the latest delivery, which goes on.
pub(crate) fn complete(db: &Connection, id: &str, attempt: u64, truth: &Truth) -> Result<bool> {
    let row = db
        .query_row(
            "SELECT number, again FROM tasks WHERE id = ?1 AND attempt = ?2 AND state <> 'done'",
            params![id, attempt],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((number, again)): Option<(u64, bool)> = row else { return Ok(false) };
    let once_more = !again && strikes(truth.bugs.repeat, truth.seed, "repeat", number);
    let (state, again) = if once_more { ("waiting", true) } else { ("done", again) };
    db.prepare_cached("UPDATE tasks SET state = ?2, again = ?3, worker = NULL WHERE number = ?1")?
        .execute(params![number, state, again])?;
    Ok(true)
}

/// A worker hands a job back. `failed`: it tried in vain; otherwise it only stops working.
pub(crate) fn hand_back(
    db: &Connection,
    (id, attempt): (&str, u64),
    failed: Option<&str>,
    truth: &Truth,
    now_us: u64,
) -> Result<bool> {
    let number = db
        .query_row(
            "SELECT number FROM tasks WHERE id = ?1 AND attempt = ?2 AND state = 'leased'",
            params![id, attempt],
            |row| row.get::<_, u64>(0),
        )
        .optional()?;
    let Some(number) = number else { return Ok(false) };
    match failed {
        Some(why) => give_back(db, number, why, truth, now_us)?,
        None => {
            db.execute(
                "UPDATE tasks SET state = 'waiting', worker = NULL, told = 0 WHERE number = ?1",
                [number],
            )?;
        }
    }
    Ok(true)
}

/// Takes back leases that ran out. Returns how many.
pub(crate) fn expire(db: &Connection, truth: &Truth, now_us: u64) -> Result<usize> {
    let late: Vec<u64> = db
        .prepare_cached("SELECT number FROM tasks WHERE state = 'leased' AND lease_until_us < ?1")?
        .query_map([now_us], |row| row.get(0))?
        .collect::<Result<_>>()?;
    for number in &late {
        give_back(db, *number, "the lease ran out", truth, now_us)?;
    }
    Ok(late.len())
}

/// After a start: workers could not give a sign of life while nobody listened.
pub(crate) fn grant_grace(db: &Connection, truth: &Truth, now_us: u64) -> Result<usize> {
    db.execute("UPDATE tasks SET lease_until_us = ?1 WHERE state = 'leased'", [now_us + lease_us(truth)])
}

/// One more failure: wait, exponentially longer each time and with jitter, or give the job up.
fn give_back(db: &Connection, number: u64, why: &str, truth: &Truth, now_us: u64) -> Result<()> {
    let failures: u64 =
        db.query_row("SELECT failures + 1 FROM tasks WHERE number = ?1", [number], |row| row.get(0))?;
    let state = if failures >= MOST_FAILURES { "dead" } else { "waiting" };
    db.prepare_cached(
        "UPDATE tasks SET state = ?2, failures = ?3, not_before_us = ?4, why = ?5, worker = NULL, told = 0 \
         WHERE number = ?1",
    )?
    .execute(params![
        number,
        state,
        failures,
        now_us + back_off_us(truth.seed, number, failures),
        why
    ])?;
    Ok(())
}

/// The pause before delivery `failures + 1`: between half and one and a half times the doubled base.
fn back_off_us(seed: u64, number: u64, failures: u64) -> u64 {
    let doubled = BACK_OFF_US << failures.saturating_sub(1).min(20);
    let jitter = 0.5 + Rng::new(seed, "back-off", number << 8 | failures).unit();
    (doubled.min(LONGEST_BACK_OFF_US) as f64 * jitter) as u64
}

/// Ends a waiting job, or asks for the end of a running one. Returns the state that it found.
pub(crate) fn cancel(db: &Connection, id: &str, terminate: bool) -> Result<Option<String>> {
    let state: Option<String> =
        db.query_row("SELECT state FROM tasks WHERE id = ?1", [id], |row| row.get(0)).optional()?;
    match state.as_deref() {
        Some("waiting") => {
            // storage is told by the same way as of a new job
            db.execute("UPDATE tasks SET state = 'cancelled', told = 0 WHERE id = ?1", [id])?;
        }
        Some("leased") if terminate => {
            db.execute("UPDATE tasks SET stop = 1 WHERE id = ?1", [id])?;
        }
        _ => {}
    }
    Ok(state)
}

/// What storage does not know yet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct News {
    pub(crate) entry: Entry,
    pub(crate) state: String,
    /// Deliveries so far: a job that waits after some of them has come back.
    pub(crate) attempt: u64,
    pub(crate) why: Option<String>,
}

/// The oldest news, a hundred at most.
pub(crate) fn news(db: &Connection) -> Result<Vec<News>> {
    let mut query = db.prepare_cached(
        "SELECT task, number, queued_us, attempt, again, state, why FROM tasks WHERE told = 0 ORDER BY number LIMIT 100",
    )?;
    let rows = query.query_map([], |row| {
        let news = |d: Delivery| {
            let (entry, attempt) = (d.entry(), d.attempt);
            Ok(News { entry, attempt, state: row.get(5)?, why: row.get(6)? })
        };
        delivery(row)?.map(news).transpose()
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// Storage knows these now, unless they have changed since.
pub(crate) fn told(db: &Connection, news: &[News]) -> Result<()> {
    let mut update = db.prepare_cached(
        "UPDATE tasks SET told = 1 WHERE number = ?1 \
         AND (state IN ('leased', 'done') OR state = ?2 AND attempt = ?3)",
    )?;
    for one in news {
        update.execute(params![one.entry.number, one.state, one.attempt])?;
    }
    Ok(())
}

/// A job as the queue sees it.
pub(crate) fn get(db: &Connection, id: &str) -> Result<Option<Value>> {
    db.query_row(
        "SELECT task, number, queued_us, attempt, again, state, worker, failures, why FROM tasks WHERE id = ?1",
        [id],
        |row| {
            let entry = delivery(row)?.map(|d| d.entry());
            let attempt: u64 = row.get(3)?;
            let (state, worker): (String, Option<String>) = (row.get(5)?, row.get(6)?);
            let (failures, why): (u64, Option<String>) = (row.get(7)?, row.get(8)?);
            Ok(json!({"entry": entry, "attempt": attempt, "state": state, "worker": worker,
                "failures": failures, "why": why}))
        },
    )
    .optional()
}

/// Numbers of rows by state, and the age of the oldest one that waits.
pub(crate) fn statistics(db: &Connection, now_us: u64) -> Result<Value> {
    let mut counts = json!({"waiting": 0, "leased": 0, "done": 0, "dead": 0, "cancelled": 0});
    let mut query = db.prepare_cached("SELECT state, count(*) FROM tasks GROUP BY state")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))? {
        let (state, count) = row?;
        counts[state] = count.into();
    }
    let oldest: Option<u64> =
        db.query_row("SELECT min(queued_us) FROM tasks WHERE state = 'waiting'", [], |row| row.get(0))?;
    let (redelivered, failures): (u64, u64) = db.query_row(
        "SELECT coalesce(sum(max(attempt - 1 - again, 0)), 0), coalesce(sum(failures), 0) FROM tasks",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(json!({"jobs": counts, "oldest_waiting_ms": oldest.map_or(0, |at| now_us.saturating_sub(at) / 1_000),
        "redelivered": redelivered, "failures": failures}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::switches::Bugs;

    fn table() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db
    }

    fn task(id: &str, priority: bool) -> Task {
        let (id, code) = (id.to_owned(), String::new());
        Task { id, code, timeout_ms: 1, priority, reference: None, created_us: 0 }
    }

    fn take(db: &Connection, worker: &str, life: &str, truth: &Truth, now: u64) -> Option<(String, u64)> {
        match next(db, (worker, life), truth, now).unwrap() {
            Next::Found(delivery) => Some((delivery.task.id, delivery.attempt)),
            Next::Later(_) => None,
        }
    }

    #[test]
    fn jobs_come_in_order_and_priority_first() {
        let (db, truth) = (table(), Truth::default());
        let tasks = [task("a", false), task("b", false), task("c", true)];
        assert_eq!(push(&db, &tasks, &truth, 0).unwrap(), 3);
        assert_eq!(push(&db, &tasks[..1], &truth, 0).unwrap(), 3, "the same job is added once");
        let order: Vec<String> = (0..3).filter_map(|_| take(&db, "w", "1", &truth, 0)).map(|t| t.0).collect();
        assert_eq!(order, ["c", "a", "b"]);
        assert_eq!(take(&db, "w", "1", &truth, 0), None);
    }

    #[test]
    fn a_lease_that_runs_out_is_delivered_again_later_and_later_and_then_given_up() {
        let (db, truth) = (table(), Truth::default());
        push(&db, &[task("a", false)], &truth, 0).unwrap();
        let mut now = 0;
        for attempt in 1..=MOST_FAILURES {
            assert_eq!(take(&db, "w", "1", &truth, now), Some(("a".into(), attempt)));
            assert_eq!(extend(&db, "a", attempt, &truth, now).unwrap(), (true, false));
            assert!(!extend(&db, "a", attempt - 1, &truth, now).unwrap().0, "a former delivery");
            assert_eq!(expire(&db, &truth, now + lease_us(&truth)).unwrap(), 0);
            now += lease_us(&truth) + 1;
            assert_eq!(expire(&db, &truth, now).unwrap(), 1);
            assert_eq!(take(&db, "w", "1", &truth, now), None, "it waits");
            now += 2 * (BACK_OFF_US << attempt);
        }
        assert_eq!(take(&db, "w", "1", &truth, now), None);
        assert_eq!(get(&db, "a").unwrap().unwrap()["state"], "dead");
        assert_eq!(news(&db).unwrap()[0].state, "dead");
    }

    #[test]
    fn a_new_life_of_a_worker_gives_back_what_the_old_one_held() {
        let (db, truth) = (table(), Truth::default());
        push(&db, &[task("a", false)], &truth, 0).unwrap();
        assert_eq!(take(&db, "w", "1", &truth, 0), Some(("a".into(), 1)));
        assert_eq!(take(&db, "other", "1", &truth, 0), None);
        assert_eq!(take(&db, "w", "2", &truth, 0), None, "after a pause");
        assert_eq!(take(&db, "other", "1", &truth, 2 * BACK_OFF_US), Some(("a".into(), 2)));
        assert!(!hand_back(&db, ("a", 1), None, &truth, 0).unwrap(), "a former delivery");
    }

    #[test]
    fn news_are_told_once_and_changes_again() {
        let (db, truth) = (table(), Truth::default());
        push(&db, &[task("a", false)], &truth, 0).unwrap();
        let first = news(&db).unwrap();
        assert_eq!(cancel(&db, "a", false).unwrap().as_deref(), Some("waiting"));
        told(&db, &first).unwrap();
        let second = news(&db).unwrap();
        assert_eq!(second.len(), 1, "the cancellation came after the first telling");
        told(&db, &second).unwrap();
        assert!(news(&db).unwrap().is_empty());
    }

    #[test]
    fn bugs_strike_exactly_one_in_n() {
        let mut truth = Truth::default();
        truth.bugs.lose = Some(10);
        let db = table();
        let tasks: Vec<Task> = (0..100).map(|n| task(&n.to_string(), false)).collect();
        assert_eq!(push(&db, &tasks, &truth, 0).unwrap(), 90);
        truth.bugs = Bugs { repeat: Some(4), ..Bugs::default() };
        let mut deliveries = 0;
        while let Some((id, attempt)) = take(&db, "w", "1", &truth, 0) {
            deliveries += 1;
            assert!(!complete(&db, &id, attempt - 1, &truth).unwrap());
            assert!(complete(&db, &id, attempt, &truth).unwrap());
        }
        // 25 blocks of four numbers; the jobs that are lost may have been among the chosen
        assert!((90 + 15..=90 + 25).contains(&deliveries), "{deliveries}");
    }

    #[test]
    fn back_off_grows_with_jitter_up_to_a_limit() {
        for failures in 1..40 {
            let base = (BACK_OFF_US << (failures - 1).min(20)).min(LONGEST_BACK_OFF_US);
            let pause = back_off_us(1, 5, failures);
            assert!((base / 2..=base * 3 / 2).contains(&pause), "{failures}: {pause}");
        }
    }
}
