//! The run store.
use crate::error::StoreError;
use crate::event::{RunEvent, RunStarted};
use std::path::Path;

/// One SQLite file with any number of runs. Several processes may use it at the same time.
#[derive(Clone, Debug)]
pub struct Store {}

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

/// Appends the events of one run. Its own connection: may be sent to a thread of its own.
#[derive(Debug)]
pub struct RunWriter {}

/// The entries of a run in order. Owns its connection; reads in small pages, so memory is constant.
#[derive(Debug)]
pub struct Events {}

impl Iterator for Events {
    type Item = Result<RunEvent, StoreError>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl Store {
    /// Opens or creates the store at `path`, and its folder.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let _ = path;
        Ok(Store {})
    }

    /// Opens an existing store for reading only.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        let _ = path;
        Ok(Store {})
    }

    /// A store in memory, for tests and throw-away runs. Clones share it.
    pub fn in_memory() -> Result<Store, StoreError> {
        Ok(Store {})
    }

    /// Begins a run: writes its first entry.
    pub fn begin(&self, started: &RunStarted) -> Result<RunWriter, StoreError> {
        let _ = started;
        Ok(RunWriter {})
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunSummary>, StoreError> {
        Ok(Vec::new())
    }

    /// The identifier of the run with this prefix, or of the newest one for `last`.
    pub fn find(&self, prefix: &str) -> Result<String, StoreError> {
        Err(StoreError::UnknownRun { asked: prefix.to_owned(), near: Vec::new() })
    }

    /// The entries of a run. A damaged one is an error, after which reading goes on.
    pub fn events(&self, id: &str) -> Result<Events, StoreError> {
        let _ = id;
        Ok(Events {})
    }

    /// Deletes a run.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let _ = id;
        Ok(())
    }

    /// Notes the verdict of a run for lists.
    pub fn set_verdict(&self, id: &str, verdict: &str) -> Result<(), StoreError> {
        let _ = (id, verdict);
        Ok(())
    }

    /// Writes one run to a new store file at `path`.
    pub fn export(&self, id: &str, path: &Path) -> Result<(), StoreError> {
        let _ = (id, path);
        Ok(())
    }

    /// Takes over all runs of the store file at `path` that are not here yet; returns their identifiers.
    pub fn import(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        let _ = path;
        Ok(Vec::new())
    }
}

impl RunWriter {
    /// The run's identifier.
    pub fn run(&self) -> &str {
        ""
    }

    /// Appends one event in a transaction of its own: it survives a kill -9 of this process as soon as this
    /// returns. After an error it may be called again; what was lost in between is told as a gap.
    pub fn append(&mut self, event: &RunEvent) -> Result<(), StoreError> {
        let _ = event;
        Ok(())
    }

    /// Closes the writer after the last event.
    pub fn finish(self) -> Result<(), StoreError> {
        Ok(())
    }
}
