//! Appending the events of one run.
//!
//! Invariants: each event is one transaction; an event that could not be written leaves the record as it was, and
//! the next one that can be is preceded by a gap that tells of it.

use crate::error::StoreError;
use crate::event::{Gap, RunEvent, RunStarted, StopReason};
use crate::store::Link;
use crate::wire;
use crucible_core::Ns;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Appends the events of one run. May be sent to a thread of its own.
#[derive(Debug)]
pub struct RunWriter {
    link: Link,
    run: String,
    row: i64,
    next: u64,
    missed: Option<Missed>,
}

#[derive(Debug)]
struct Missed {
    from: Ns,
    to: Ns,
    entries: u64,
    why: String,
}

impl RunWriter {
    pub(crate) fn begin(link: Link, started: &RunStarted) -> Result<RunWriter, StoreError> {
        let first = RunEvent::Started(Box::new(started.clone()));
        let body =
            wire::encode(&first).map_err(|detail| StoreError::Other { path: link.path.clone(), detail })?;
        let names: Vec<&str> = started.tests.iter().map(|test| test.name.as_str()).collect();
        let tests = serde_json::to_string(&names).unwrap_or_default();
        let write = |conn: &mut Connection| {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute(
                "INSERT INTO runs(id, plan, plan_hash, target, tests, started_unix_ms, events, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)",
                (
                    &started.run,
                    &started.plan,
                    &started.plan_hash,
                    &started.target,
                    tests,
                    started.started_unix_ms.cast_signed(),
                ),
            )?;
            let row = tx.last_insert_rowid();
            insert(&tx, row, 0, &first, &body)?;
            tx.commit()?;
            Ok(row)
        };
        let written = write(&mut link.lock());
        let row = written.map_err(|error: rusqlite::Error| {
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
                StoreError::RunExists { run: started.run.clone() }
            } else {
                link.tell(&error)
            }
        })?;
        Ok(RunWriter { link, run: started.run.clone(), row, next: 1, missed: None })
    }

    /// The run's identifier.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Appends one event in a transaction of its own: it survives a kill -9 of this process as soon as this
    /// returns. After an error it may be called again; what was lost in between is told as a gap.
    pub fn append(&mut self, event: &RunEvent) -> Result<(), StoreError> {
        let written = self.try_append(event);
        match &written {
            Ok(()) => self.missed = None,
            Err(error) => self.miss(event, error),
        }
        written
    }

    fn try_append(&mut self, event: &RunEvent) -> Result<(), StoreError> {
        let gap = self.missed.as_ref().map(Missed::gap);
        let mut entries = Vec::with_capacity(2);
        for event in gap.iter().chain([event]) {
            let body = wire::encode(event)
                .map_err(|detail| StoreError::Other { path: self.link.path.clone(), detail })?;
            entries.push((event, body));
        }
        let (row, first) = (self.row, self.next);
        let write = |conn: &mut Connection| {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (seq, (event, body)) in (first..).zip(&entries) {
                insert(&tx, row, seq, event, body)?;
            }
            tx.commit()
        };
        write(&mut self.link.lock()).map_err(|error| self.link.tell(&error))?;
        self.next += entries.len() as u64;
        Ok(())
    }

    fn miss(&mut self, event: &RunEvent, error: &StoreError) {
        let (from, to) = match event {
            RunEvent::Window(window) => (window.from, window.to),
            RunEvent::Phase(phase) => (phase.at, phase.at),
            RunEvent::Note(note) => (note.at, note.at),
            RunEvent::Gap(gap) => (gap.from, gap.to),
            RunEvent::Finished(end) => (end.at, end.at),
            RunEvent::Reading(reading) => (reading.at, reading.at),
            RunEvent::Finding(finding) => (finding.at, finding.at),
            RunEvent::Started(_) | RunEvent::Planned(_) => (Ns::ZERO, Ns::ZERO),
        };
        let missed =
            self.missed.get_or_insert_with(|| Missed { from, to, entries: 0, why: error.to_string() });
        missed.from = missed.from.min(from);
        missed.to = missed.to.max(to);
        missed.entries += 1;
    }

    /// Closes the writer after the last event. An error says that entries are missing at the end of the record.
    pub fn finish(self) -> Result<(), StoreError> {
        match self.missed {
            None => Ok(()),
            Some(missed) => Err(StoreError::Other {
                path: self.link.path,
                detail: format!("{} entries of run {} were lost: {}", missed.entries, self.run, missed.why),
            }),
        }
    }
}

impl Missed {
    fn gap(&self) -> RunEvent {
        let text = format!("{} entries could not be stored: {}", self.entries, self.why);
        RunEvent::Gap(Gap { from: self.from, to: self.to, text, ..Gap::default() })
    }
}

fn insert(tx: &Transaction<'_>, row: i64, seq: u64, event: &RunEvent, body: &[u8]) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO events(run, seq, format, kind, digest, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((row, seq.cast_signed(), wire::FORMAT, wire::kind(event), wire::digest(body), body))?;
    let reason = match event {
        RunEvent::Finished(end) => Some(match &end.reason {
            StopReason::Completed => "completed".to_owned(),
            StopReason::Interrupted => "interrupted".to_owned(),
            StopReason::Threshold(text) => format!("threshold: {text}"),
            StopReason::Error(text) => format!("error: {text}"),
        }),
        _ => None,
    };
    let changed = tx
        .prepare_cached(
            "UPDATE runs SET events = ?2, bytes = bytes + ?3, reason = coalesce(?4, reason) WHERE row = ?1",
        )?
        .execute((row, seq.cast_signed() + 1, body.len() as i64, reason))?;
    // the run was deleted under us: entries without a run would never be found again
    if changed == 0 { Err(rusqlite::Error::QueryReturnedNoRows) } else { Ok(()) }
}
