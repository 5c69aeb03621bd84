//! The database: schema, opening, and the settings that make acknowledged writes survive a kill.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Version of the schema, kept in `user_version`.
const VERSION: i64 = 1;

/// The tables.
pub(super) const SCHEMA: &str = "
CREATE TABLE users (
    id INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, name TEXT NOT NULL, bio TEXT NOT NULL,
    role TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE sessions (
    token TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stories (
    id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, blurb TEXT NOT NULL,
    body TEXT NOT NULL, genre TEXT NOT NULL, author_id INTEGER NOT NULL REFERENCES users(id),
    status TEXT NOT NULL, reads INTEGER NOT NULL, likes INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL);
CREATE INDEX stories_by_author ON stories(author_id, id);
CREATE INDEX stories_by_genre ON stories(genre, id);
CREATE VIRTUAL TABLE stories_text USING fts5(title, blurb, body, content='stories', content_rowid='id');
CREATE TRIGGER stories_added AFTER INSERT ON stories BEGIN
    INSERT INTO stories_text(rowid, title, blurb, body) VALUES (new.id, new.title, new.blurb, new.body);
END;
CREATE TRIGGER stories_changed AFTER UPDATE OF title, blurb, body ON stories BEGIN
    INSERT INTO stories_text(stories_text, rowid, title, blurb, body)
        VALUES ('delete', old.id, old.title, old.blurb, old.body);
    INSERT INTO stories_text(rowid, title, blurb, body) VALUES (new.id, new.title, new.blurb, new.body);
END;
CREATE TABLE shelves (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), name TEXT NOT NULL,
    created_ms INTEGER NOT NULL, UNIQUE(user_id, name));
CREATE TABLE shelf_items (
    shelf_id INTEGER NOT NULL REFERENCES shelves(id), story_id INTEGER NOT NULL REFERENCES stories(id),
    PRIMARY KEY (shelf_id, story_id)) WITHOUT ROWID;
CREATE TABLE whispers (
    id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), body TEXT NOT NULL,
    created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);
";

/// Opens the connection that writes, makes the schema and calls `fill` on a new database. All or nothing: a
/// kill in the middle leaves an empty file, which the next start fills.
pub(crate) fn open_writer(
    path: &Path,
    fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, String> {
    let told = |e: rusqlite::Error| format!("cannot open the database {}: {e}", path.display());
    let mut connection = Connection::open(path).map_err(told)?;
    settle(&connection).map_err(told)?;
    // WAL with NORMAL survives the death of the process; FULL would survive the death of the machine, too
    connection.pragma_update(None, "journal_mode", "WAL").map_err(told)?;
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(told)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(told)?;
    match version {
        VERSION => Ok(connection),
        0 => {
            let work = || {
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                fill(&transaction)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()
            };
            work().map_err(|e| format!("cannot fill the database {}: {e}", path.display()))?;
            Ok(connection)
        }
        other => Err(format!("the database {} has schema {other}; {VERSION} is known", path.display())),
    }
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
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -8_000)
}
