//! The run store: one SQLite file with any number of runs.
//!
//! Place in the flow: a writer appends a run's events while the load goes on; readers of any process see every entry
//! that was committed. Invariants: an entry is either whole or absent; entries of a run are numbered from 0 without
//! holes; two runs may be written at the same time.

use crate::error::StoreError;
use crate::event::{RunEvent, RunStarted};
use crate::reader::Events;
use crate::sql::{self, Journal};
use crate::writer::RunWriter;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One SQLite file with any number of runs. Several processes may use it at the same time; clones share one
/// connection, writers of a file have their own.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) link: Link,
    own_connections: bool,
}

/// A connection and the name under which its errors are told.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    conn: Arc<Mutex<Connection>>,
}

impl Link {
    pub(crate) fn new(path: &Path, conn: Connection) -> Link {
        Link { path: path.to_owned(), conn: Arc::new(Mutex::new(conn)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // a panic elsewhere leaves at worst an open transaction, which the next begin reports
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::from_sql(&self.path, error)
    }
}

/// How far a stored run came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It has its last entry; why it ended: `completed`, `interrupted`, `threshold: ...`, `error: ...`.
    Complete(String),
    /// It has not: it is still going on, or was killed.
    Incomplete,
}

/// A stored run in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its identifier.
    pub id: String,
    /// Name of its plan.
    pub plan: String,
    /// Hash of its plan.
    pub plan_hash: String,
    /// Base address of the system under test.
    pub target: String,
    /// Names of its tests.
    pub tests: Vec<String>,
    /// Its begin, milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// How far it came.
    pub state: RunState,
    /// The verdict, if one was noted with [`Store::set_verdict`].
    pub verdict: Option<String>,
    /// Number of entries.
    pub events: u64,
    /// Bytes of all entries.
    pub bytes: u64,
}

impl Store {
    /// Opens or creates the store at `path`, and its folder.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let conn = sql::open(path, Journal::Wal)?;
        Ok(Store { link: Link::new(path, conn), own_connections: true })
    }

    /// Opens an existing store for reading only; nothing is written beside it.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        let conn = sql::open_read_only(path)?;
        Ok(Store { link: Link::new(path, conn), own_connections: false })
    }

    /// A store in memory, for tests and throw-away runs. Clones share it.
    pub fn in_memory() -> Result<Store, StoreError> {
        Ok(Store { link: Link::new(Path::new(":memory:"), sql::in_memory()?), own_connections: false })
    }

    /// The file; `:memory:` for a store in memory.
    pub fn path(&self) -> &Path {
        &self.link.path
    }

    /// Begins a run: writes its first entry.
    pub fn begin(&self, started: &RunStarted) -> Result<RunWriter, StoreError> {
        let link = if self.own_connections {
            Link::new(&self.link.path, sql::open(&self.link.path, Journal::Wal)?)
        } else {
            self.link.clone()
        };
        RunWriter::begin(link, started)
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        let conn = self.link.lock();
        let read = || {
            let mut query = conn.prepare(
                "SELECT id, plan, plan_hash, target, tests, started_unix_ms, reason, verdict, events, bytes
                 FROM runs ORDER BY started_unix_ms DESC, row DESC",
            )?;
            query.query_map([], summary)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error| self.link.tell(&error))
    }

    /// The identifier of the run with this prefix, or of the newest one for `last`.
    pub fn find(&self, prefix: &str) -> Result<String, StoreError> {
        let ids: Vec<String> = self.runs()?.into_iter().map(|run| run.id).collect();
        let unknown = |near: Vec<String>| StoreError::UnknownRun { asked: prefix.to_owned(), near };
        if prefix == "last" {
            return ids.into_iter().next().ok_or_else(|| unknown(Vec::new()));
        }
        if ids.iter().any(|id| id == prefix) {
            return Ok(prefix.to_owned());
        }
        let mut near: Vec<String> = ids.into_iter().filter(|id| id.starts_with(prefix)).take(9).collect();
        if near.len() == 1 && !prefix.is_empty() { Ok(near.remove(0)) } else { Err(unknown(near)) }
    }

    /// The entries of a run. A damaged one is an error, after which reading goes on.
    pub fn events(&self, id: &str) -> Result<Events, StoreError> {
        Ok(Events::new(self.link.clone(), id.to_owned(), self.row(id)?))
    }

    /// The first entry of a run: what was known before the first byte.
    pub fn started(&self, id: &str) -> Result<RunStarted, StoreError> {
        match self.events(id)?.next() {
            Some(Ok(RunEvent::Started(started))) => Ok(*started),
            Some(Err(error)) => Err(error),
            _ => Err(StoreError::Damaged {
                run: id.to_owned(),
                row: 0,
                detail: "it does not begin with what the run is of".into(),
            }),
        }
    }

    /// Deletes a run, takes it out of baselines and gives its space back.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let row = self.row(id)?;
        let mut conn = self.link.lock();
        let mut delete = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute("DELETE FROM events WHERE run = ?1", [row])?;
            tx.execute("DELETE FROM runs WHERE row = ?1", [row])?;
            crate::beside::forget(&tx, id)?;
            tx.commit()?;
            conn.execute_batch("PRAGMA incremental_vacuum")
        };
        delete().map_err(|error| self.link.tell(&error))
    }

    /// Notes the verdict of a run for lists.
    pub fn set_verdict(&self, id: &str, verdict: &str) -> Result<(), StoreError> {
        let row = self.row(id)?;
        let noted = self.link.lock().execute("UPDATE runs SET verdict = ?2 WHERE row = ?1", (row, verdict));
        noted.map(|_| ()).map_err(|error| self.link.tell(&error))
    }

    /// Writes one run to a new store file at `path`, a single file that can be handed on.
    pub fn export(&self, id: &str, path: &Path) -> Result<(), StoreError> {
        let row = self.row(id)?;
        if path.exists() {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        let target = Link::new(path, sql::open(path, Journal::SingleFile)?);
        let done = copy(&self.link, row, &target);
        drop(target);
        if done.is_err() {
            // half a run must not look like a run
            let _ = std::fs::remove_file(path);
        }
        done
    }

    /// Takes over all runs of the store file at `path` that are not here yet; returns their identifiers.
    pub fn import(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        let source = Store::open_read_only(path)?;
        let here: Vec<String> = self.runs()?.into_iter().map(|run| run.id).collect();
        let mut taken = Vec::new();
        for run in source.runs()? {
            if !here.contains(&run.id) {
                copy(&source.link, source.row(&run.id)?, &self.link)?;
                taken.push(run.id);
            }
        }
        Ok(taken)
    }

    /// Sets the most pages that the store may have, for tests of a full disk. Concerns this store's connection only.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages: u32) {
        let _ = self.link.lock().pragma_update(None, "max_page_count", pages);
    }

    pub(crate) fn row(&self, id: &str) -> Result<i64, StoreError> {
        let found = self
            .link
            .lock()
            .query_row("SELECT row FROM runs WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .map_err(|error| self.link.tell(&error))?;
        found.ok_or_else(|| StoreError::UnknownRun { asked: id.to_owned(), near: Vec::new() })
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    let (tests, reason): (String, Option<String>) = (row.get(4)?, row.get(6)?);
    let number = |index: usize| row.get(index).map(|value: i64| value.max(0).cast_unsigned());
    Ok(RunSummary {
        id: row.get(0)?,
        plan: row.get(1)?,
        plan_hash: row.get(2)?,
        target: row.get(3)?,
        // only for lists: a damaged one is no reason to hide the run
        tests: serde_json::from_str(&tests).unwrap_or_default(),
        started_unix_ms: number(5)?,
        state: reason.map_or(RunState::Incomplete, RunState::Complete),
        verdict: row.get(7)?,
        events: number(8)?,
        bytes: number(9)?,
    })
}

/// Copies a run, entries as they are, in one transaction. The two links must differ.
fn copy(from: &Link, row: i64, to: &Link) -> Result<(), StoreError> {
    let source = from.lock();
    let mut target = to.lock();
    let mut write = || {
        let tx = target.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut run = source.prepare(
            "SELECT id, plan, plan_hash, target, tests, started_unix_ms, reason, verdict, events, bytes
             FROM runs WHERE row = ?1",
        )?;
        let values: Vec<rusqlite::types::Value> =
            run.query_row([row], |r| (0..10).map(|column| r.get(column)).collect())?;
        tx.execute(
            "INSERT INTO runs(id, plan, plan_hash, target, tests, started_unix_ms, reason, verdict, events, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            rusqlite::params_from_iter(values),
        )?;
        let new_row = tx.last_insert_rowid();
        {
            let mut read = source
                .prepare("SELECT seq, format, kind, digest, body FROM events WHERE run = ?1 ORDER BY seq")?;
            let mut insert = tx.prepare(
                "INSERT INTO events(seq, format, kind, digest, body, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut rows = read.query([row])?;
            while let Some(entry) = rows.next()? {
                for column in 0..5 {
                    insert.raw_bind_parameter(column + 1, entry.get::<_, rusqlite::types::Value>(column)?)?;
                }
                insert.raw_bind_parameter(6, new_row)?;
                insert.raw_execute()?;
            }
        }
        tx.commit()
    };
    write().map_err(|error| to.tell(&error))
}
