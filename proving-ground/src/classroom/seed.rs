//! The users that a new database begins with: `pupil-1` to `pupil-200`, `teacher-1` to `teacher-10`, `admin-1`
//! to `admin-3`, all with the password `crucible`.

use super::store::hash;
use rusqlite::{Connection, params};

/// Password of every seeded user.
pub(crate) const PASSWORD: &str = "crucible";
/// 2025-01-01.
const BEGIN_MS: i64 = 1_735_689_600_000;

/// Fills an empty database.
pub(crate) fn fill(db: &Connection) -> rusqlite::Result<()> {
    let mut insert = db.prepare(
        "INSERT INTO users(username, name, role, salt, hash, active, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)",
    )?;
    // one salt for all of the seeded users: their password is public anyhow, and a start should be quick
    let salt = "proving-ground";
    let hash = hash(salt, PASSWORD);
    for (role, count) in [("pupil", 200), ("teacher", 10), ("admin", 3)] {
        for number in 1..=count {
            let username = format!("{role}-{number}");
            let name = format!("{}{} {number}", role[..1].to_uppercase(), &role[1..]);
            insert.execute(params![username, name, role, salt, hash, BEGIN_MS])?;
        }
    }
    Ok(())
}
