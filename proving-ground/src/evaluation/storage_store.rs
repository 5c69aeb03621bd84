//! The rows of storage: one per job, one per execution, and the events.
//!
//! Invariants: a final state stays; a result is taken from the latest claim only; at most one execution of a job
//! has an effect (a unique index says so, too). The bugs on demand are the only exceptions.

use super::job::{Claim, Closing, Ending, Entry, FINAL, Outcome, Return};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use serde::{Deserialize, Serialize};

/// The tables. `again` tells the effect of a repetition on demand from the proper one.
pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS evaluations (
    serial INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, number INTEGER NOT NULL, reference TEXT,
    created_us INTEGER NOT NULL, queued_us INTEGER NOT NULL, started_us INTEGER, completed_us INTEGER,
    status TEXT NOT NULL, reason TEXT, output TEXT, error TEXT, worker TEXT, attempt INTEGER NOT NULL DEFAULT 0,
    effects INTEGER NOT NULL DEFAULT 0, execution_us INTEGER, cpu_us INTEGER, peak_memory INTEGER);
CREATE INDEX IF NOT EXISTS evaluations_by_status ON evaluations(status, serial);
CREATE TABLE IF NOT EXISTS executions (
    id TEXT NOT NULL, attempt INTEGER NOT NULL, again INTEGER NOT NULL, worker TEXT NOT NULL,
    started_us INTEGER NOT NULL, ended_us INTEGER, effect INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id, attempt)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS one_effect ON executions(id, again) WHERE effect = 1;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL);
";

/// Events that are kept.
const EVENTS: u64 = 10_000;

/// A job as storage knows it; times in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) reference: Option<String>,
    pub(crate) created_us: u64,
    pub(crate) queued_us: u64,
    pub(crate) started_us: Option<u64>,
    pub(crate) completed_us: Option<u64>,
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) attempt: u64,
    /// Executions that had an effect.
    pub(crate) effects: u64,
    /// Executions that began.
    pub(crate) executions: u64,
    pub(crate) execution_us: Option<u64>,
    pub(crate) cpu_us: Option<u64>,
    pub(crate) peak_memory: Option<u64>,
}

/// The columns of a record; without texts the output and the error are left out.
fn columns(texts: bool) -> String {
    let texts = if texts { "output, error" } else { "NULL, NULL" };
    format!(
        "id, number, reference, created_us, queued_us, started_us, completed_us, status, reason, {texts}, worker, \
         attempt, effects, execution_us, cpu_us, peak_memory, \
         (SELECT count(*) FROM executions WHERE executions.id = evaluations.id)"
    )
}

fn record(row: &Row<'_>) -> Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        number: row.get(1)?,
        reference: row.get(2)?,
        created_us: row.get(3)?,
        queued_us: row.get(4)?,
        started_us: row.get(5)?,
        completed_us: row.get(6)?,
        status: row.get(7)?,
        reason: row.get(8)?,
        output: row.get(9)?,
        error: row.get(10)?,
        worker: row.get(11)?,
        attempt: row.get(12)?,
        effects: row.get(13)?,
        execution_us: row.get(14)?,
        cpu_us: row.get(15)?,
        peak_memory: row.get(16)?,
        executions: row.get(17)?,
    })
}

/// Jobs that a queue has taken in.
pub(crate) fn enter(db: &Connection, entries: &[Entry], now_us: u64) -> Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO evaluations (id, number, reference, created_us, queued_us, status) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued')",
    )?;
    for entry in entries {
        let Entry { id, number, reference, created_us, queued_us } = entry;
        if insert.execute(params![id, number, reference, created_us, queued_us])? > 0 {
            event(db, "queued", id, now_us)?;
        }
    }
    Ok(())
}

fn event(db: &Connection, kind: &str, id: &str, now_us: u64) -> Result<()> {
    db.prepare_cached("INSERT INTO events (at_us, kind, id) VALUES (?1, ?2, ?3)")?
        .execute(params![now_us, kind, id])?;
    let last = db.last_insert_rowid().unsigned_abs();
    if last.is_multiple_of(1_000) && last > EVENTS {
        db.execute("DELETE FROM events WHERE seq <= ?1", [last - EVENTS])?;
    }
    Ok(())
}

fn standing(db: &Connection, id: &str) -> Result<(String, u64)> {
    db.prepare_cached("SELECT status, attempt FROM evaluations WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn is_final(status: &str) -> bool {
    FINAL.contains(&status)
}

/// A worker wants to run a job. False: there is a final state, or a later delivery has begun.
pub(crate) fn claim(db: &Connection, claim: &Claim, now_us: u64) -> Result<bool> {
    enter(db, std::slice::from_ref(&claim.entry), now_us)?;
    let id = &claim.entry.id;
    let (status, fence) = standing(db, id)?;
    if (is_final(&status) && !claim.again) || claim.attempt < fence {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT OR IGNORE INTO executions (id, attempt, again, worker, started_us) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id, claim.attempt, claim.again, claim.worker, now_us])?;
    db.execute("UPDATE evaluations SET attempt = ?2 WHERE id = ?1", params![id, claim.attempt])?;
    if !claim.again {
        db.prepare_cached(
            "UPDATE evaluations SET status = 'running', worker = ?2, started_us = ?3 WHERE id = ?1",
        )?
        .execute(params![id, claim.worker, now_us])?;
        event(db, "running", id, now_us)?;
    }
    Ok(true)
}

/// A result. False: it has no effect, because a later delivery has begun or a final state stands.
pub(crate) fn finish(db: &Connection, outcome: &Outcome, now_us: u64) -> Result<bool> {
    let Claim { entry, attempt, again, .. } = &outcome.claim;
    enter(db, std::slice::from_ref(entry), now_us)?;
    let (status, fence) = standing(db, &entry.id)?;
    let done = params![entry.id, attempt];
    // the same message may come twice: the second time nothing changes
    let known: Option<bool> = db
        .query_row("SELECT effect FROM executions WHERE id = ?1 AND attempt = ?2", done, |row| row.get(0))
        .optional()?;
    if known == Some(true) {
        return Ok(true);
    }
    db.prepare_cached("UPDATE executions SET ended_us = ?3 WHERE id = ?1 AND attempt = ?2")?
        .execute(params![entry.id, attempt, now_us])?;
    if (is_final(&status) && !again) || *attempt != fence {
        return Ok(false);
    }
    db.execute("UPDATE executions SET effect = 1 WHERE id = ?1 AND attempt = ?2", done)?;
    db.execute("UPDATE evaluations SET effects = effects + 1 WHERE id = ?1", [&entry.id])?;
    if !again {
        settle(db, &entry.id, &outcome.ending, now_us)?;
    }
    Ok(true)
}

/// A job ends without a run, unless a final state stands.
pub(crate) fn close(db: &Connection, closing: &Closing, now_us: u64) -> Result<bool> {
    enter(db, std::slice::from_ref(&closing.entry), now_us)?;
    let (status, _) = standing(db, &closing.entry.id)?;
    if is_final(&status) {
        return Ok(false);
    }
    settle(db, &closing.entry.id, &closing.ending, now_us)?;
    Ok(true)
}

/// A job that was running waits again, unless a later delivery has begun.
pub(crate) fn give_back(db: &Connection, back: &Return, now_us: u64) -> Result<()> {
    let changed = db
        .prepare_cached(
            "UPDATE evaluations SET status = 'queued', worker = NULL, started_us = NULL \
             WHERE id = ?1 AND status = 'running' AND attempt = ?2",
        )?
        .execute(params![back.id, back.attempt])?;
    if changed > 0 { event(db, "queued", &back.id, now_us) } else { Ok(()) }
}

fn settle(db: &Connection, id: &str, ending: &Ending, now_us: u64) -> Result<()> {
    db.prepare_cached(
        "UPDATE evaluations SET status = ?2, reason = ?3, output = ?4, error = ?5, completed_us = ?6, \
         execution_us = ?7, cpu_us = ?8, peak_memory = ?9 WHERE id = ?1",
    )?
    .execute(params![
        id,
        ending.status,
        ending.reason,
        ending.output,
        ending.error,
        now_us,
        ending.execution_us,
        ending.cpu_us,
        ending.peak_memory
    ])?;
    let kind = if ending.status == "timeout" { "failed" } else { ending.status.as_str() };
    event(db, kind, id, now_us)
}

/// The output of a job that is completed already: a bug on demand.
pub(crate) fn set_output(db: &Connection, id: &str, output: &str) -> Result<usize> {
    db.execute("UPDATE evaluations SET output = ?2 WHERE id = ?1", [id, output])
}

/// A status from yesterday: a bug on demand.
pub(crate) fn overwrite_status(db: &Connection, id: &str) -> Result<usize> {
    db.execute("UPDATE evaluations SET status = 'running', completed_us = NULL WHERE id = ?1", [id])
}

/// One job.
pub(crate) fn get(db: &Connection, id: &str) -> Result<Option<Record>> {
    db.prepare_cached(&format!("SELECT {} FROM evaluations WHERE id = ?1", columns(true)))?
        .query_row([id], record)
        .optional()
}

/// What a list asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    pub(crate) status: Option<String>,
}

/// A page of jobs in the order in which storage heard of them, without their outputs, and how many there are in
/// all.
pub(crate) fn list(db: &Connection, page: &Page) -> Result<(Vec<Record>, u64)> {
    let total = db.query_row(
        "SELECT count(*) FROM evaluations WHERE ?1 IS NULL OR status = ?1",
        [&page.status],
        |row| row.get(0),
    )?;
    let columns = columns(false);
    let query = format!(
        "SELECT {columns} FROM evaluations WHERE ?1 IS NULL OR status = ?1 ORDER BY serial LIMIT ?2 OFFSET ?3"
    );
    let mut query = db.prepare_cached(&query)?;
    let rows = query.query_map(params![page.status, page.limit, page.offset], record)?;
    Ok((rows.collect::<Result<_>>()?, total))
}

/// One execution of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Execution {
    pub(crate) attempt: u64,
    pub(crate) worker: String,
    pub(crate) started_us: u64,
    pub(crate) ended_us: Option<u64>,
    pub(crate) effect: bool,
}

/// All executions of a job, the first one first.
pub(crate) fn executions(db: &Connection, id: &str) -> Result<Vec<Execution>> {
    let mut query = db.prepare_cached(
        "SELECT attempt, worker, started_us, ended_us, effect FROM executions WHERE id = ?1 ORDER BY attempt",
    )?;
    let rows = query.query_map([id], |row| {
        let (attempt, worker, started_us) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Execution { attempt, worker, started_us, ended_us: row.get(3)?, effect: row.get(4)? })
    })?;
    rows.collect()
}

/// Sums over all jobs; times are means in milliseconds over those that ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Statistics {
    pub(crate) total: u64,
    pub(crate) by_status: std::collections::BTreeMap<String, u64>,
    pub(crate) executions: u64,
    pub(crate) effects: u64,
    /// Jobs with more than one effect.
    pub(crate) duplicates: u64,
    pub(crate) mean_queue_wait_ms: Option<f64>,
    pub(crate) mean_execution_ms: Option<f64>,
    pub(crate) mean_total_ms: Option<f64>,
}

/// Computes the sums.
pub(crate) fn statistics(db: &Connection) -> Result<Statistics> {
    let mut result = Statistics::default();
    let mut query = db.prepare_cached("SELECT status, count(*) FROM evaluations GROUP BY status")?;
    for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))? {
        let (status, count) = row?;
        result.total += count;
        result.by_status.insert(status, count);
    }
    result.executions = db.query_row("SELECT count(*) FROM executions", [], |row| row.get(0))?;
    db.query_row(
        "SELECT coalesce(sum(effects), 0), coalesce(sum(effects > 1), 0), avg(started_us - queued_us) / 1000.0, \
         avg(execution_us) / 1000.0, avg(completed_us - created_us) / 1000.0 FROM evaluations",
        [],
        |row| {
            (result.effects, result.duplicates) = (row.get(0)?, row.get(1)?);
            result.mean_queue_wait_ms = row.get(2)?;
            result.mean_execution_ms = row.get(3)?;
            result.mean_total_ms = row.get(4)?;
            Ok(())
        },
    )?;
    Ok(result)
}

/// Something that happened to a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) at_us: u64,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub(crate) kind: String,
    pub(crate) id: String,
}

/// Events after `seq`, a thousand at most; without a number only the latest one.
pub(crate) fn events(db: &Connection, after: Option<u64>) -> Result<Vec<Event>> {
    let event = |row: &Row<'_>| {
        Ok(Event { seq: row.get(0)?, at_us: row.get(1)?, kind: row.get(2)?, id: row.get(3)? })
    };
    let (text, from) = match after {
        Some(seq) => ("SELECT seq, at_us, kind, id FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1000", seq),
        None => ("SELECT seq, at_us, kind, id FROM events WHERE seq > ?1 ORDER BY seq DESC LIMIT 1", 0),
    };
    let mut query = db.prepare_cached(text)?;
    query.query_map([from], event)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db
    }

    fn claim_of(attempt: u64, again: bool) -> Claim {
        let entry = Entry { id: "a".into(), number: 1, reference: None, created_us: 0, queued_us: 1 };
        Claim { entry, attempt, worker: format!("w{attempt}"), again }
    }

    fn outcome(attempt: u64, output: &str, again: bool) -> Outcome {
        let ending = Ending { status: "completed".into(), output: output.into(), ..Ending::default() };
        Outcome { claim: claim_of(attempt, again), ending }
    }

    fn output(db: &Connection) -> (String, Option<String>, u64) {
        let record = get(db, "a").unwrap().unwrap();
        (record.status, record.output, record.effects)
    }

    #[test]
    fn the_latest_claim_has_the_one_effect() {
        let db = open();
        assert!(claim(&db, &claim_of(1, false), 10).unwrap());
        assert!(claim(&db, &claim_of(2, false), 20).unwrap(), "delivered again");
        assert!(!claim(&db, &claim_of(1, false), 25).unwrap(), "the first one is fenced off");
        assert!(!finish(&db, &outcome(1, "late", false), 30).unwrap());
        assert_eq!(output(&db), ("running".into(), None, 0));
        give_back(&db, &Return { id: "a".into(), attempt: 1 }, 35).unwrap();
        assert_eq!(output(&db).0, "running", "the return of a former delivery");
        assert!(finish(&db, &outcome(2, "right", false), 40).unwrap());
        assert!(finish(&db, &outcome(2, "right", false), 50).unwrap(), "the same message again is no error");
        assert_eq!(output(&db), ("completed".into(), Some("right".into()), 1));
        assert!(!claim(&db, &claim_of(3, false), 60).unwrap(), "nothing to do any more");
        let log: Vec<(u64, bool)> =
            executions(&db, "a").unwrap().iter().map(|e| (e.attempt, e.effect)).collect();
        assert_eq!(log, [(1, false), (2, true)]);
    }

    #[test]
    fn final_states_stay() {
        let db = open();
        claim(&db, &claim_of(1, false), 10).unwrap();
        let ending = Ending { status: "cancelled".into(), ..Ending::default() };
        let closing = Closing { entry: claim_of(1, false).entry, ending };
        assert!(close(&db, &closing, 20).unwrap());
        assert!(!close(&db, &closing, 21).unwrap());
        assert!(!finish(&db, &outcome(1, "late", false), 30).unwrap());
        assert_eq!(output(&db).0, "cancelled");
        enter(&db, &[closing.entry], 40).unwrap();
        assert_eq!(output(&db).0, "cancelled");
        let kinds: Vec<String> = events(&db, Some(0)).unwrap().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["queued", "running", "cancelled"]);
    }

    #[test]
    fn a_repetition_on_demand_is_a_second_effect() {
        let db = open();
        claim(&db, &claim_of(1, false), 10).unwrap();
        finish(&db, &outcome(1, "x", false), 20).unwrap();
        assert!(claim(&db, &claim_of(2, true), 30).unwrap());
        assert!(finish(&db, &outcome(2, "x", true), 40).unwrap());
        assert_eq!(output(&db), ("completed".into(), Some("x".into()), 2));
        let sums = statistics(&db).unwrap();
        assert_eq!((sums.total, sums.effects, sums.duplicates), (1, 2, 1));
    }
}
