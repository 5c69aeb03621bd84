//! The database in the process: SQLite.
//!
//! A process that has a deleted file open would go on writing into nothing. So each operation looks first
//! whether the file is still the one that was opened.

use super::repository::{
    Change, Changed, Draft, Found, Page, Pick, Profile, Repository, Shelf, Shelved, Story, Summary, User,
    Whisper,
};
use crate::clock::unix_ms;
use crate::pool::PoolError;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, params};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const STORY: &str = "SELECT stories.id, slug, stories.title, stories.blurb, genre, users.handle, reads, likes, \
     stories.created_ms, stories.body, status, updated_ms FROM stories JOIN users ON users.id = author_id";

/// One connection.
pub(super) struct Sqlite {
    db: Connection,
    path: PathBuf,
    inode: u64,
}

impl Sqlite {
    pub(super) fn new(db: Connection, path: &Path) -> Result<Sqlite, String> {
        let file = std::fs::metadata(path).map_err(|e| format!("cannot look at {}: {e}", path.display()))?;
        Ok(Sqlite { db, path: path.to_owned(), inode: file.ino() })
    }

    fn here(&mut self) -> Found<&mut Connection> {
        match std::fs::metadata(&self.path) {
            Ok(file) if file.ino() == self.inode => Ok(&mut self.db),
            Ok(_) => Err(PoolError::Gone("the database file was replaced".into())),
            Err(e) => Err(PoolError::Gone(format!("the database file is gone: {e}"))),
        }
    }
}

fn now() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        slug: row.get(1)?,
        title: row.get(2)?,
        blurb: row.get(3)?,
        genre: row.get(4)?,
        author: row.get(5)?,
        reads: row.get(6)?,
        likes: row.get(7)?,
        created_ms: row.get(8)?,
    })
}

fn story(row: &Row<'_>) -> rusqlite::Result<Story> {
    Ok(Story { summary: summary(row)?, body: row.get(9)?, status: row.get(10)?, updated_ms: row.get(11)? })
}

fn list(db: &Connection, tail: &str, values: impl Params) -> Found<Vec<Summary>> {
    let mut statement = db.prepare_cached(&format!("{STORY} {tail}"))?;
    Ok(statement.query_map(values, summary)?.collect::<Result<_, _>>()?)
}

impl Repository for Sqlite {
    fn ping(&mut self) -> Found<()> {
        self.here()?.query_row("SELECT count(*) FROM users", [], |_| Ok(()))?;
        Ok(())
    }

    fn user_of(&mut self, token: &str) -> Found<Option<User>> {
        let sql = "SELECT users.id, users.handle FROM sessions JOIN users ON users.id = sessions.user_id
             WHERE token = ?1";
        let mut statement = self.here()?.prepare_cached(sql)?;
        let user = statement.query_row([token], |row| Ok(User { id: row.get(0)?, handle: row.get(1)? }));
        Ok(user.optional()?)
    }

    fn open_session(&mut self, handle: &str) -> Found<Option<String>> {
        let sql = "INSERT INTO sessions(token, user_id, created_ms)
             SELECT 'session-' || lower(hex(randomblob(16))), id, ?2 FROM users WHERE handle = ?1 RETURNING token";
        let mut statement = self.here()?.prepare_cached(sql)?;
        Ok(statement.query_row(params![handle, now()], |row| row.get(0)).optional()?)
    }

    fn profile(&mut self, handle: &str) -> Found<Option<Profile>> {
        let sql = "SELECT id, handle, name, bio, role, created_ms,
                (SELECT count(*) FROM stories WHERE author_id = users.id),
                (SELECT count(*) FROM shelves WHERE user_id = users.id)
             FROM users WHERE handle = ?1";
        let profile = |row: &Row<'_>| {
            Ok(Profile {
                id: row.get(0)?,
                handle: row.get(1)?,
                name: row.get(2)?,
                bio: row.get(3)?,
                role: row.get(4)?,
                created_ms: row.get(5)?,
                stories: row.get(6)?,
                shelves: row.get(7)?,
            })
        };
        Ok(self.here()?.prepare_cached(sql)?.query_row([handle], profile).optional()?)
    }

    fn stories(&mut self, pick: &Pick, page: Page) -> Found<Vec<Summary>> {
        let db = self.here()?;
        let (limit, offset) = (page.limit, page.offset);
        match pick {
            Pick::Trending => list(
                db,
                "WHERE status = 'published' ORDER BY reads + 20 * likes DESC, stories.id LIMIT ?1 OFFSET ?2",
                params![limit, offset],
            ),
            Pick::Newest => list(db, "ORDER BY stories.id DESC LIMIT ?1 OFFSET ?2", params![limit, offset]),
            Pick::Genre(genre) => {
                let tail = "WHERE genre = ?3 ORDER BY stories.id DESC LIMIT ?1 OFFSET ?2";
                list(db, tail, params![limit, offset, genre])
            }
            Pick::Author(author) => {
                let tail = "WHERE author_id = ?3 ORDER BY stories.id DESC LIMIT ?1 OFFSET ?2";
                list(db, tail, params![limit, offset, author])
            }
            Pick::Words(words) => {
                // each word as a quoted phrase: nothing that a user writes is an operator of the search language
                let quoted = words.iter().map(|w| format!("\"{}\"", w.replace('"', "\"\"")));
                let text = quoted.collect::<Vec<_>>().join(" ");
                let tail = "JOIN stories_text ON stories_text.rowid = stories.id WHERE stories_text MATCH ?3 \
                            ORDER BY stories_text.rank, stories.id LIMIT ?1 OFFSET ?2";
                list(db, tail, params![limit, offset, text])
            }
        }
    }

    fn story(&mut self, slug: &str) -> Found<Option<Story>> {
        let mut statement = self.here()?.prepare_cached(&format!("{STORY} WHERE slug = ?1"))?;
        Ok(statement.query_row([slug], story).optional()?)
    }

    fn add_story(&mut self, draft: &Draft) -> Found<Story> {
        let step = self.here()?.savepoint()?;
        // the slug's number is the row's: unique without a second look
        step.execute(
            "INSERT INTO stories(id, slug, title, blurb, body, genre, author_id, status, reads, likes,
             created_ms, updated_ms)
             SELECT next, 'story-' || next, ?1, ?2, ?3, ?4, ?5, 'published', 0, 0, ?6, ?6
             FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM stories)",
            params![draft.title, draft.blurb, draft.body, draft.genre, draft.author, now()],
        )?;
        let id = step.last_insert_rowid();
        let made = step.prepare_cached(&format!("{STORY} WHERE stories.id = ?1"))?.query_row([id], story)?;
        step.commit()?;
        Ok(made)
    }

    fn change_story(&mut self, id: i64, author: i64, change: &Change) -> Found<Changed<Story>> {
        let step = self.here()?.savepoint()?;
        let owner: Option<i64> = step
            .query_row("SELECT author_id FROM stories WHERE id = ?1", [id], |row| row.get(0))
            .optional()?;
        match owner {
            None => return Ok(Changed::Missing),
            Some(owner) if owner != author => return Ok(Changed::Foreign),
            Some(_) => {}
        }
        step.execute(
            "UPDATE stories SET title = coalesce(?2, title), body = coalesce(?3, body),
             blurb = coalesce(?4, blurb), updated_ms = ?5 WHERE id = ?1",
            params![id, change.title, change.body, change.blurb, now()],
        )?;
        let changed =
            step.prepare_cached(&format!("{STORY} WHERE stories.id = ?1"))?.query_row([id], story)?;
        step.commit()?;
        Ok(Changed::Done(changed))
    }

    fn shelves(&mut self, user: i64) -> Found<Vec<Shelf>> {
        let db = self.here()?;
        let mut shelves =
            db.prepare_cached("SELECT id, name, created_ms FROM shelves WHERE user_id = ?1 ORDER BY id")?;
        let mut items = db.prepare_cached(
            "SELECT slug FROM shelf_items JOIN stories ON stories.id = story_id WHERE shelf_id = ?1 ORDER BY story_id",
        )?;
        let heads = shelves.query_map([user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let all: rusqlite::Result<Vec<Shelf>> = heads
            .map(|head| {
                let (id, name, created_ms) = head?;
                let stories = items.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok(Shelf { id, name, created_ms, stories })
            })
            .collect();
        Ok(all?)
    }

    fn add_shelf(&mut self, user: i64, name: &str, stories: &[String]) -> Found<Shelved> {
        let now = now();
        let step = self.here()?.savepoint()?;
        let insert = "INSERT INTO shelves(user_id, name, created_ms) VALUES (?1, ?2, ?3)";
        match step.execute(insert, params![user, name, now]) {
            Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == ErrorCode::ConstraintViolation => {
                return Ok(Shelved::Taken);
            }
            other => other?,
        };
        let id = step.last_insert_rowid();
        for slug in stories {
            let story: Option<i64> = step
                .query_row("SELECT id FROM stories WHERE slug = ?1", [slug], |row| row.get(0))
                .optional()?;
            let Some(story) = story else { return Ok(Shelved::NoStory) };
            step.execute(
                "INSERT OR IGNORE INTO shelf_items(shelf_id, story_id) VALUES (?1, ?2)",
                params![id, story],
            )?;
        }
        step.commit()?;
        Ok(Shelved::Made(Shelf { id, name: name.to_owned(), created_ms: now, stories: stories.to_vec() }))
    }

    fn whispers(&mut self, limit: i64) -> Found<Vec<Whisper>> {
        let mut statement = self.here()?.prepare_cached(
            "SELECT whispers.id, handle, body, whispers.created_ms FROM whispers
             JOIN users ON users.id = user_id ORDER BY whispers.id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit], |row| {
            Ok(Whisper { id: row.get(0)?, author: row.get(1)?, body: row.get(2)?, created_ms: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn add_whisper(&mut self, user: i64, body: &str) -> Found<(i64, i64)> {
        let now = now();
        let db = self.here()?;
        db.prepare_cached(
            "INSERT INTO whispers(user_id, body, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute(params![user, body, now])?;
        Ok((db.last_insert_rowid(), now))
    }

    fn change_whisper(&mut self, id: i64, user: i64, body: &str) -> Found<Changed<i64>> {
        let db = self.here()?;
        let changed = db
            .prepare_cached(
                "UPDATE whispers SET body = ?3, updated_ms = ?4 WHERE id = ?1 AND user_id = ?2 RETURNING created_ms",
            )?
            .query_row(params![id, user, body, now()], |row| row.get::<_, i64>(0))
            .optional()?;
        if let Some(created_ms) = changed {
            return Ok(Changed::Done(created_ms));
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM whispers WHERE id = ?1)";
        let exists: bool = db.query_row(sql, [id], |row| row.get(0))?;
        Ok(if exists { Changed::Foreign } else { Changed::Missing })
    }

    fn begin(&mut self) -> Found<()> {
        Ok(self.here()?.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn commit(&mut self) -> Found<()> {
        Ok(self.db.execute_batch("COMMIT")?)
    }
}
