//! The database: schema, opening, passwords, the audit.

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;

/// Version of the schema, kept in `user_version`.
const VERSION: i64 = 1;
/// Rounds of hashing of a password. A demonstration, not a vault: a real system takes a slow hash.
const ROUNDS: usize = 1_000;

const SCHEMA: &str = "
CREATE TABLE users (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,
    salt TEXT NOT NULL, hash TEXT NOT NULL, active INTEGER NOT NULL, created_ms INTEGER NOT NULL);
CREATE INDEX users_by_role ON users(role, id);
CREATE TABLE sessions (
    token TEXT PRIMARY KEY, csrf TEXT NOT NULL, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions(user_id);
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    lesson INTEGER NOT NULL, activity INTEGER NOT NULL, state TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE INDEX revisions_by_activity ON revisions(user_id, lesson, activity, id);
CREATE TABLE marks (
    user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, lesson INTEGER NOT NULL,
    activity INTEGER NOT NULL, mark TEXT NOT NULL, comment TEXT NOT NULL, teacher TEXT NOT NULL,
    updated_ms INTEGER NOT NULL, PRIMARY KEY (user_id, lesson, activity)) WITHOUT ROWID;
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    detail TEXT NOT NULL);
";

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Pupil,
    Teacher,
    Admin,
}

impl Role {
    /// The word in the database and on the wire; unknown ones may do the least.
    pub(crate) fn read(word: &str) -> Role {
        match word {
            "admin" => Role::Admin,
            "teacher" => Role::Teacher,
            _ => Role::Pupil,
        }
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Pupil => "pupil",
            Role::Teacher => "teacher",
            Role::Admin => "admin",
        }
    }
}

/// Opens the connection that writes, makes the schema and calls `fill` on a new database. All or nothing.
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
    connection.pragma_update(None, "foreign_keys", true)
}

/// The stored form of a password.
pub(crate) fn hash(salt: &str, password: &str) -> String {
    let mut digest = Sha256::digest(format!("{salt}:{password}"));
    for _ in 1..ROUNDS {
        digest = Sha256::digest(digest);
    }
    digest.iter().fold(String::with_capacity(64), |mut out, byte| {
        out.push_str(&format!("{byte:02x}"));
        out
    })
}

/// Somebody whose password was right.
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) active: bool,
}

/// The account, if the password is right.
pub(crate) fn check_password(
    db: &Connection,
    username: &str,
    password: &str,
) -> rusqlite::Result<Option<Account>> {
    let row = db
        .prepare_cached("SELECT id, name, role, active, salt, hash FROM users WHERE username = ?1")?
        .query_row([username], |row| {
            let role: String = row.get(2)?;
            let account =
                Account { id: row.get(0)?, name: row.get(1)?, role: Role::read(&role), active: row.get(3)? };
            Ok((account, row.get::<_, String>(4)?, row.get::<_, String>(5)?))
        })
        .optional()?;
    // an unknown name costs the same time as a known one
    let salt = row.as_ref().map_or("nobody", |(_, salt, _)| salt);
    let shown = hash(salt, password);
    Ok(row.filter(|(_, _, stored)| *stored == shown).map(|(account, _, _)| account))
}

/// Writes down who did what.
pub(crate) fn audit(db: &Connection, actor: &str, action: &str, detail: &str) -> rusqlite::Result<()> {
    let now = crate::clock::unix_ms() as i64;
    db.prepare_cached("INSERT INTO audit(at_ms, actor, action, detail) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![now, actor, action, detail])?;
    Ok(())
}
