//! The database behind a store: connections, schema, and how its errors are told.
//!
//! Invariant: every writing transaction begins with `IMMEDIATE`, so that waiting for another writer happens at the
//! begin, under the busy timeout, and never in the middle.

use crate::error::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Version of the schema that is written.
pub(crate) const SCHEMA: i64 = 1;
/// Marks a database as ours: "CRUC".
const APPLICATION: i64 = 0x4352_5543;
/// How long to wait for another writer. A transaction takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, plan TEXT NOT NULL, plan_hash TEXT NOT NULL,
  target TEXT NOT NULL, tests TEXT NOT NULL, started_unix_ms INTEGER NOT NULL, reason TEXT, verdict TEXT,
  events INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE events(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, format INTEGER NOT NULL, kind TEXT NOT NULL,
  digest INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE(run, seq));
";

/// What stands beside the records, made anew where it is missing: names for runs, and figures that follow from a record
/// and are only kept to be quick. Versions that do not know these tables read and write the rest as ever, so they have no
/// part in the version of the schema; they name runs by identifier, because rows may be given out again.
const BESIDE: &str = "
CREATE TABLE IF NOT EXISTS baselines(
  name TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY(name, run)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures(
  run TEXT PRIMARY KEY, version TEXT NOT NULL, events INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
";

/// How the pages of a new file are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journal {
    /// Write-ahead log: readers and writers at the same time.
    Wal,
    /// One file only, to be handed on.
    SingleFile,
}

/// Opens or creates the database at `path`, and its folder.
pub(crate) fn open(path: &Path, journal: Journal) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| from_io(path, &error))?;
    }
    let tell = |error: rusqlite::Error| StoreError::from_sql(path, &error);
    let mut conn = Connection::open(path).map_err(tell)?;
    prepare(&conn).map_err(tell)?;
    check_owner(&conn, path)?;
    if journal == Journal::Wal {
        use_wal(&mut conn).map_err(tell)?;
    }
    conn.pragma_update(None, "synchronous", "NORMAL").map_err(tell)?;
    create_schema(&mut conn).map_err(tell)?;
    Ok(conn)
}

/// Opens an existing database for reading only, on a read-only medium too.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let tell = |error: rusqlite::Error| StoreError::from_sql(path, &error);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let plain = Connection::open_with_flags(path, flags).and_then(|conn| {
        prepare(&conn)?;
        // the first look at the file is what fails where the shared index cannot be made
        conn.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        Ok(conn)
    });
    let conn = match plain {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) => {
            Connection::open_with_flags(format!("file:{}?immutable=1", escape(path)), flags).map_err(tell)?
        }
        other => other.map_err(tell)?,
    };
    prepare(&conn).map_err(tell)?;
    check_owner(&conn, path)?;
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(tell)?;
    if version == 0 { Err(StoreError::NotAStore { path: path.to_owned() }) } else { Ok(conn) }
}

/// A database in memory.
pub(crate) fn in_memory() -> Result<Connection, StoreError> {
    let make = || {
        let mut conn = Connection::open_in_memory()?;
        prepare(&conn)?;
        create_schema(&mut conn)?;
        Ok(conn)
    };
    make().map_err(|error| StoreError::from_sql(Path::new(":memory:"), &error))
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(PATIENCE)
}

/// Refuses files of somebody else and of newer versions.
fn check_owner(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let tell = |error: rusqlite::Error| StoreError::from_sql(path, &error);
    let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(tell);
    let (version, owner) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(tell)?;
    if tables > 0 && owner != APPLICATION {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    if version > SCHEMA {
        let needs = conn.query_row("SELECT value FROM meta WHERE name = 'needs'", [], |row| row.get(0));
        let needs = needs.unwrap_or_else(|_| "of a later release".to_owned());
        return Err(StoreError::Newer { path: path.to_owned(), schema: version, needs });
    }
    Ok(())
}

fn use_wal(conn: &mut Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode.eq_ignore_ascii_case("wal") {
            return Ok(());
        }
        if mode.eq_ignore_ascii_case("delete") && tries == 0 {
            // lets deleted runs give their pages back; only heeded before the first table
            conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        match conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)) {
            Ok(_) => return Ok(()),
            Err(error) if tries < 20 && is_busy(&error) => {
                // The switch does not wait for others by itself, a transaction does.
                conn.transaction_with_behavior(TransactionBehavior::Immediate)?.commit()?;
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn create_schema(conn: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 {
        return if has_beside(conn)? { Ok(()) } else { conn.execute_batch(BESIDE) };
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // another process may have done it while we waited
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        tx.execute_batch(TABLES)?;
        tx.execute_batch(BESIDE)?;
        tx.execute("INSERT INTO meta VALUES ('needs', ?1)", [env!("CARGO_PKG_VERSION")])?;
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", SCHEMA)?;
    }
    tx.commit()
}

/// Whether the tables beside the records are there; a store that was only ever read by this version has none.
pub(crate) fn has_beside(conn: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = conn.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('baselines', 'figures')",
        [],
        |row| row.get(0),
    )?;
    Ok(tables == 2)
}

/// A path as it stands in a database URI (RFC 3986 escapes for what would end it).
fn escape(path: &Path) -> String {
    let mut out = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            '%' => out.push_str("%25"),
            '?' => out.push_str("%3f"),
            '#' => out.push_str("%23"),
            _ => out.push(c),
        }
    }
    out
}

pub(crate) fn from_io(path: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Permission { path },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::DiskFull { path, detail: error.to_string() }
        }
        _ => StoreError::Other { path, detail: error.to_string() },
    }
}
