//! What can go wrong with a store, in words that say where and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a store could not do what was asked. The text is a fragment that fits behind "failed to ...: ".
#[derive(Debug)]
pub enum StoreError {
    /// The file or its folder may not be read or written.
    Permission {
        /// The store.
        path: PathBuf,
    },
    /// The file is something else.
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file.
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is in the way of something that would be written.
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The store was written by a newer version.
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        schema: i64,
        /// The version of the tool that it needs.
        needs: String,
    },
    /// Another process held the store for too long.
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// The file system has no room, or a limit was reached.
    DiskFull {
        /// The store.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// There is a run of this name already.
    RunExists {
        /// The run.
        run: String,
    },
    /// No run has this name.
    UnknownRun {
        /// What was asked for.
        asked: String,
        /// What there is that looks like it (for an ambiguous prefix: all that begin with it).
        near: Vec<String>,
    },
    /// One entry of a run cannot be read; the others can.
    Damaged {
        /// The run.
        run: String,
        /// Number of the entry in the run, from 0.
        row: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// Anything else that the database or the system said.
    Other {
        /// The store.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
}

impl StoreError {
    /// Whether there was no room; the writer may be tried again later.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, StoreError::DiskFull { .. })
    }

    /// Whether only one entry is concerned and reading can go on.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. })
    }

    pub(crate) fn from_sql(path: &Path, error: &rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match error.sqlite_error_code() {
            // A file size limit, a quota or a dying disk come as an input/output failure: no room either way.
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                StoreError::DiskFull { path, detail: error.to_string() }
            }
            Some(ErrorCode::CannotOpen) if path.is_dir() => StoreError::NotAStore { path },
            Some(ErrorCode::CannotOpen) => StoreError::Permission { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::NotAStore { path },
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied,
            ) => StoreError::Permission { path },
            _ => StoreError::Other { path, detail: error.to_string() },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Permission { path } => write!(
                f,
                "no permission to write the run store {} (change the owner or mode of the file and its folder, or name \
                 another store with --store)",
                path.display()
            ),
            StoreError::NotAStore { path } => write!(
                f,
                "{} is not a run store, or it is damaged (name another file with --store, or move it away to begin a \
                 new one)",
                path.display()
            ),
            StoreError::Missing { path } => {
                write!(f, "there is no run store at {} (check the path)", path.display())
            }
            StoreError::Exists { path } => {
                write!(f, "{} exists already (name another file, or delete it first)", path.display())
            }
            StoreError::Newer { path, schema, needs } => write!(
                f,
                "the run store {} has schema {schema} and needs crucible {needs} or newer (update crucible, or name \
                 another store with --store)",
                path.display()
            ),
            StoreError::Busy { path } => write!(
                f,
                "the run store {} is held by another process (wait until it is done, or name another store with \
                 --store)",
                path.display()
            ),
            StoreError::DiskFull { path, detail } => write!(
                f,
                "no room for the run store {} ({detail}; free some space, raise the file size limit, or name a store \
                 on another file system with --store)",
                path.display()
            ),
            StoreError::RunExists { run } => write!(f, "there is a run {run} already (begin it again)"),
            StoreError::UnknownRun { asked, near } if near.is_empty() => {
                write!(f, "there is no run {asked} (see `crucible runs`)")
            }
            StoreError::UnknownRun { asked, near } => {
                write!(
                    f,
                    "there is no single run {asked}; did you mean {} (see `crucible runs`)",
                    near.join(", ")
                )
            }
            StoreError::Damaged { run, row, detail } => {
                write!(f, "entry {row} of run {run} is damaged ({detail}); the other entries can be read")
            }
            StoreError::Other { path, detail } => write!(f, "run store {}: {detail}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}
