//! Reading the entries of one run.
//!
//! Invariants: entries come in order, one at a time, so memory is constant whatever the length of the run; a damaged
//! entry is told and passed over; entries that a live writer appends meanwhile are seen.

use crate::error::StoreError;
use crate::event::RunEvent;
use crate::store::Link;
use crate::wire;
use rusqlite::OptionalExtension;

/// Largest entry that is read, bytes.
const LARGEST_BODY: u32 = 256 << 20;

/// The entries of a run in order. After the last one it ends; asked again later, it goes on with what was appended
/// meanwhile.
#[derive(Debug)]
pub struct Events {
    link: Link,
    run: String,
    row: i64,
    next: u64,
    /// Entries that the run had when last looked.
    known: u64,
    broken: bool,
}

impl Events {
    pub(crate) fn new(link: Link, run: String, row: i64) -> Events {
        Events { link, run, row, next: 0, known: 0, broken: false }
    }

    /// Number of the entry that comes next, from 0.
    pub fn position(&self) -> u64 {
        self.next
    }

    fn read(&self, seq: u64) -> rusqlite::Result<Option<Result<RunEvent, String>>> {
        let conn = self.link.lock();
        let mut query = conn.prepare_cached(
            "SELECT format, kind, digest, CASE WHEN length(body) <= ?3 THEN body ELSE x'' END
             FROM events WHERE run = ?1 AND seq = ?2",
        )?;
        query
            .query_row((self.row, seq.cast_signed(), LARGEST_BODY), |row| {
                let (format, kind, digest): (u32, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let body = row.get_ref(3)?.as_blob()?;
                if wire::digest(body) != digest {
                    return Ok(Err("its bytes have changed since they were written".to_owned()));
                }
                Ok(wire::decode(&kind, format, body))
            })
            .optional()
    }

    fn entries(&self) -> rusqlite::Result<Option<u64>> {
        let conn = self.link.lock();
        let mut query = conn.prepare_cached("SELECT events FROM runs WHERE row = ?1")?;
        let count: Option<i64> = query.query_row([self.row], |row| row.get(0)).optional()?;
        Ok(count.map(|count| count.max(0).cast_unsigned()))
    }

    fn damaged(&self, row: u64, detail: String) -> StoreError {
        StoreError::Damaged { run: self.run.clone(), row, detail }
    }
}

impl Iterator for Events {
    type Item = Result<RunEvent, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        if self.next >= self.known {
            match self.entries() {
                Ok(count) => self.known = count.unwrap_or(0),
                Err(error) => {
                    self.broken = true;
                    return Some(Err(self.link.tell(&error)));
                }
            }
            if self.next >= self.known {
                return None;
            }
        }
        let seq = self.next;
        self.next += 1;
        Some(match self.read(seq) {
            Ok(Some(Ok(event))) => Ok(event),
            Ok(Some(Err(detail))) => Err(self.damaged(seq, detail)),
            Ok(None) => Err(self.damaged(seq, "it is missing".to_owned())),
            Err(error) => match self.link.tell(&error) {
                // waiting again for each of a day's windows would be a hang
                busy @ StoreError::Busy { .. } => {
                    self.broken = true;
                    Err(busy)
                }
                _ => Err(self.damaged(seq, error.to_string())),
            },
        })
    }
}
