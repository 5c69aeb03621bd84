//! The database: schema and opening. Acknowledged writes survive a kill of the process (WAL).

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO settings VALUES ('secret', randomblob(32));
CREATE TABLE users (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, email TEXT NOT NULL UNIQUE COLLATE NOCASE,
    salt TEXT NOT NULL, password TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), refresh TEXT NOT NULL UNIQUE,
    expires_ms INTEGER NOT NULL, revoked_ms INTEGER);
CREATE TABLE workers (
    id TEXT PRIMARY KEY, machine_id TEXT NOT NULL UNIQUE, machine_name TEXT NOT NULL, system_info TEXT NOT NULL,
    tools TEXT NOT NULL, status TEXT NOT NULL, resources TEXT NOT NULL, current_task TEXT,
    registered_ms INTEGER NOT NULL, heartbeat_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX workers_by_status ON workers(status, heartbeat_ms);
CREATE TABLE api_keys (
    hash TEXT PRIMARY KEY, name TEXT NOT NULL, user_id INTEGER NOT NULL REFERENCES users(id),
    created_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_id INTEGER NOT NULL REFERENCES users(id),
    description TEXT NOT NULL, task_type TEXT NOT NULL, options TEXT NOT NULL, status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, completed_ms INTEGER);
CREATE INDEX tasks_by_user ON tasks(user_id, number);
CREATE INDEX tasks_by_status ON tasks(status, number);
CREATE TABLE subtasks (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL REFERENCES tasks(id),
    place INTEGER NOT NULL, needs INTEGER NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, worker_id TEXT,
    attempts INTEGER NOT NULL, result TEXT, updated_ms INTEGER NOT NULL, UNIQUE(task_id, place));
CREATE INDEX subtasks_by_status ON subtasks(status, number);
CREATE INDEX subtasks_by_worker ON subtasks(worker_id, status);
CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL REFERENCES tasks(id), subtask_id TEXT,
    level TEXT NOT NULL, message TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX logs_by_task ON logs(task_id, id);
";

/// Opens the connection that writes; makes the schema in a new database, all or nothing.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, String> {
    let told = |e: rusqlite::Error| format!("cannot open the database {}: {e}", path.display());
    let mut connection = Connection::open(path).map_err(told)?;
    settle(&connection).map_err(told)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(told)?;
    // survives the death of the process; FULL would survive the death of the machine, too
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(told)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(told)?;
    if version == VERSION {
        return Ok(connection);
    }
    if version != 0 {
        return Err(format!("the database {} has schema {version}; {VERSION} is known", path.display()));
    }
    let transaction = connection.transaction().map_err(told)?;
    transaction.execute_batch(SCHEMA).map_err(told)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(told)?;
    transaction.commit().map_err(told)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, String> {
    let told = |e: rusqlite::Error| format!("cannot open the database {}: {e}", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    settle(&connection).map_err(told)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "foreign_keys", true)
}
