//! What stands beside the records: names for runs, and figures that follow from a record and are kept to be quick.
//!
//! Invariants: nothing here is needed to read or judge a run; a run that is gone is in no baseline; kept figures are given
//! out only to the version that made them, and only while the record is as long as it was.

use crate::error::StoreError;
use crate::sql;
use crate::store::Store;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior};

/// A name for one or more runs that others are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// The name.
    pub name: String,
    /// Identifiers of its runs, the oldest first; never empty.
    pub runs: Vec<String>,
}

impl Store {
    /// Gives `runs` a name, in place of those that had it. The runs must be known.
    pub fn set_baseline(&self, name: &str, runs: &[String]) -> Result<(), StoreError> {
        for run in runs {
            self.row(run)?;
        }
        let mut conn = self.link.lock();
        let mut write = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute("DELETE FROM baselines WHERE name = ?1", [name])?;
            for run in runs {
                tx.execute("INSERT OR IGNORE INTO baselines(name, run) VALUES (?1, ?2)", [name, run])?;
            }
            tx.commit()
        };
        write().map_err(|error| self.link.tell(&error))
    }

    /// All baselines by name. Runs that are gone are left out, and baselines of none but such.
    pub fn baselines(&self) -> Result<Vec<Baseline>, StoreError> {
        let conn = self.link.lock();
        let read = || {
            if !sql::has_beside(&conn)? {
                return Ok(Vec::new());
            }
            let mut query = conn.prepare(
                "SELECT name, run FROM baselines JOIN runs ON runs.id = baselines.run
                 ORDER BY name, started_unix_ms, row",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut found: Vec<Baseline> = Vec::new();
            for row in rows {
                let (name, run): (String, String) = row?;
                match found.last_mut().filter(|last| last.name == name) {
                    Some(last) => last.runs.push(run),
                    None => found.push(Baseline { name, runs: vec![run] }),
                }
            }
            Ok(found)
        };
        read().map_err(|error| self.link.tell(&error))
    }

    /// Takes a name away; whether there was one. The runs stay.
    pub fn delete_baseline(&self, name: &str) -> Result<bool, StoreError> {
        let deleted = self.link.lock().execute("DELETE FROM baselines WHERE name = ?1", [name]);
        deleted.map(|rows| rows > 0).map_err(|error| self.link.tell(&error))
    }

    /// Figures of a run that this `version` kept, unless the record has changed since.
    pub fn kept_figures(&self, run: &str, version: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let conn = self.link.lock();
        let read = || {
            if !sql::has_beside(&conn)? {
                return Ok(None);
            }
            let mut query = conn.prepare_cached(
                "SELECT figures.body FROM figures JOIN runs ON runs.id = figures.run
                 WHERE figures.run = ?1 AND figures.version = ?2 AND figures.events = runs.events",
            )?;
            query.query_row([run, version], |row| row.get(0)).optional()
        };
        read().map_err(|error| self.link.tell(&error))
    }

    /// Keeps figures of runs, in place of earlier ones.
    pub fn keep_figures(&self, version: &str, figures: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        let mut conn = self.link.lock();
        let mut write = || {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (run, body) in figures {
                tx.execute(
                    "INSERT OR REPLACE INTO figures(run, version, events, body)
                     SELECT id, ?2, events, ?3 FROM runs WHERE id = ?1",
                    (run, version, body),
                )?;
            }
            tx.commit()
        };
        write().map_err(|error| self.link.tell(&error))
    }
}

/// Takes a run out of everything that stands beside the records.
pub(crate) fn forget(tx: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    tx.execute("DELETE FROM baselines WHERE run = ?1", [run])?;
    tx.execute("DELETE FROM figures WHERE run = ?1", [run])?;
    Ok(())
}
