//! The database outside: PostgreSQL.
//!
//! Each connection lives on a thread of the pool. A connection that is lost is made again at the next call;
//! reads are then tried once more, writes are not, because nobody knows whether they were done.

use super::repository::{
    Change, Changed, Draft, Found, Page, Pick, Profile, Repository, Shelf, Shelved, Story, Summary, User,
    Whisper,
};
use super::seed;
use crate::clock::unix_ms;
use crate::pool::PoolError;
use ::postgres::error::SqlState;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, Error, NoTls, Row, Statement, Transaction};
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

const SCHEMA: &str = "
CREATE TABLE users (
    id BIGINT PRIMARY KEY, handle TEXT NOT NULL UNIQUE, name TEXT NOT NULL, bio TEXT NOT NULL,
    role TEXT NOT NULL, created_ms BIGINT NOT NULL);
CREATE TABLE sessions (
    token TEXT PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users(id), created_ms BIGINT NOT NULL);
CREATE TABLE stories (
    id BIGSERIAL PRIMARY KEY, slug TEXT NOT NULL UNIQUE, title TEXT NOT NULL, blurb TEXT NOT NULL,
    body TEXT NOT NULL, genre TEXT NOT NULL, author_id BIGINT NOT NULL REFERENCES users(id),
    status TEXT NOT NULL, reads BIGINT NOT NULL, likes BIGINT NOT NULL, created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    text TSVECTOR GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || blurb || ' ' || body)) STORED);
CREATE INDEX stories_by_author ON stories(author_id, id);
CREATE INDEX stories_by_genre ON stories(genre, id);
CREATE INDEX stories_by_text ON stories USING gin(text);
CREATE TABLE shelves (
    id BIGSERIAL PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users(id), name TEXT NOT NULL,
    created_ms BIGINT NOT NULL, UNIQUE(user_id, name));
CREATE TABLE shelf_items (
    shelf_id BIGINT NOT NULL REFERENCES shelves(id), story_id BIGINT NOT NULL REFERENCES stories(id),
    PRIMARY KEY (shelf_id, story_id));
CREATE TABLE whispers (
    id BIGSERIAL PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users(id), body TEXT NOT NULL,
    created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL);
";

const STORY: &str = "SELECT stories.id, slug, stories.title, stories.blurb, genre, users.handle, reads, likes, \
     stories.created_ms, stories.body, status, updated_ms FROM stories JOIN users ON users.id = author_id";
/// Guards the making of the schema against a second process that starts at the same time.
const LOCK: i64 = 0x0063_7275_6369;

/// One connection.
pub(super) struct Postgres {
    config: Config,
    open: Option<Open>,
}

struct Open {
    client: Client,
    statements: HashMap<String, Statement>,
}

/// Reads the address. Errors fit "failed to start ...".
pub(super) fn config(url: &str) -> Result<Config, String> {
    let mut config =
        Config::from_str(url).map_err(|e| format!("cannot read the address of PostgreSQL: {e}"))?;
    config.application_name("crucible-ground stories");
    config.connect_timeout(Duration::from_secs(1));
    config.tcp_user_timeout(Duration::from_secs(3));
    config.options("-c statement_timeout=30000");
    Ok(config)
}

/// Makes the schema and the first data in an empty database. All or nothing.
pub(super) fn prepare(config: &Config, number: u64) -> Result<(), String> {
    let mut client =
        config.connect(NoTls).map_err(|e| format!("cannot connect to PostgreSQL: {}", told(&e)))?;
    let mut work = || -> Result<(), Error> {
        let mut step = client.transaction()?;
        step.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])?;
        let there: bool = step.query_one("SELECT to_regclass('stories') IS NOT NULL", &[])?.get(0);
        if !there {
            step.batch_execute(SCHEMA)?;
            fill(&mut step, number)?;
        }
        step.commit()
    };
    work().map_err(|e| format!("cannot fill the PostgreSQL database: {}", told(&e)))
}

/// Copies the seeded data over from an embedded database, so that both begin with the same.
fn fill(step: &mut Transaction<'_>, number: u64) -> Result<(), Error> {
    let Ok(tables) = seed::tables(number) else { return Ok(()) };
    for (table, columns, rows) in tables {
        let head = format!("INSERT INTO {table}({}) VALUES ", columns.join(", "));
        for block in rows.chunks(200) {
            let rows: Vec<String> = block.iter().map(|row| format!("({})", row.join(", "))).collect();
            step.batch_execute(&format!("{head}{}", rows.join(", ")))?;
        }
    }
    for table in ["stories", "shelves", "whispers"] {
        step.batch_execute(&format!("SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))?;
    }
    step.batch_execute("ANALYZE")
}

fn told(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn now() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}

fn failed(error: &Error) -> PoolError {
    let ending = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    let gone = error.is_closed() || error.code().is_none_or(|code| ending.contains(code));
    if gone { PoolError::Gone(told(error)) } else { PoolError::Database(told(error)) }
}

impl Open {
    fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Postgres {
    /// A connection that is made at the first call.
    pub(super) fn new(config: &Config) -> Postgres {
        Postgres { config: config.clone(), open: None }
    }

    fn open(&mut self) -> Found<&mut Open> {
        if self.open.as_ref().is_some_and(|open| open.client.is_closed()) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let client = self.config.connect(NoTls).map_err(|e| failed(&e))?;
                Open { client, statements: HashMap::new() }
            }
        };
        Ok(self.open.insert(open))
    }

    fn done<T>(&mut self, result: Result<T, Error>) -> Found<T> {
        result.map_err(|error| {
            let error = failed(&error);
            if matches!(error, PoolError::Gone(_)) {
                self.open = None;
            }
            error
        })
    }

    /// Reads; once more if the connection turns out to be lost.
    fn read(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Found<Vec<Row>> {
        let kept = self.open.is_some();
        let result = self.once(sql, values);
        if kept && matches!(result, Err(PoolError::Gone(_))) { self.once(sql, values) } else { result }
    }

    fn once(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Found<Vec<Row>> {
        let open = self.open()?;
        let result = open.statement(sql).and_then(|statement| open.client.query(&statement, values));
        self.done(result)
    }

    /// Writes in one transaction on a connection that has just answered.
    fn write<T>(&mut self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>) -> Found<T> {
        let lost =
            self.open.as_mut().is_some_and(|open| open.client.is_valid(Duration::from_secs(1)).is_err());
        if lost {
            self.open = None;
        }
        let open = self.open()?;
        let result = open.client.transaction().and_then(|mut step| {
            let made = work(&mut step)?;
            step.commit()?;
            Ok(made)
        });
        self.done(result)
    }
}

fn summary(row: &Row) -> Summary {
    Summary {
        id: row.get(0),
        slug: row.get(1),
        title: row.get(2),
        blurb: row.get(3),
        genre: row.get(4),
        author: row.get(5),
        reads: row.get(6),
        likes: row.get(7),
        created_ms: row.get(8),
    }
}

fn story(row: &Row) -> Story {
    Story { summary: summary(row), body: row.get(9), status: row.get(10), updated_ms: row.get(11) }
}

/// PostgreSQL's text holds no zero byte, so nothing is stored under a name with one.
fn storable(text: &str) -> bool {
    !text.contains('\0')
}

impl Repository for Postgres {
    fn ping(&mut self) -> Found<()> {
        self.read("SELECT 1 FROM users LIMIT 1", &[]).map(drop)
    }

    fn user_of(&mut self, token: &str) -> Found<Option<User>> {
        if !storable(token) {
            return Ok(None);
        }
        let sql =
            "SELECT users.id, users.handle FROM sessions JOIN users ON users.id = user_id WHERE token = $1";
        let rows = self.read(sql, &[&token])?;
        Ok(rows.first().map(|row| User { id: row.get(0), handle: row.get(1) }))
    }

    fn open_session(&mut self, handle: &str) -> Found<Option<String>> {
        if !storable(handle) {
            return Ok(None);
        }
        let sql = "INSERT INTO sessions(token, user_id, created_ms)
             SELECT 'session-' || replace(gen_random_uuid()::text, '-', ''), id, $2 FROM users WHERE handle = $1
             RETURNING token";
        let row = self.write(|step| step.query_opt(sql, &[&handle, &now()]))?;
        Ok(row.map(|row| row.get(0)))
    }

    fn profile(&mut self, handle: &str) -> Found<Option<Profile>> {
        if !storable(handle) {
            return Ok(None);
        }
        let sql = "SELECT id, handle, name, bio, role, created_ms,
                (SELECT count(*) FROM stories WHERE author_id = users.id),
                (SELECT count(*) FROM shelves WHERE user_id = users.id)
             FROM users WHERE handle = $1";
        let rows = self.read(sql, &[&handle])?;
        Ok(rows.first().map(|row| Profile {
            id: row.get(0),
            handle: row.get(1),
            name: row.get(2),
            bio: row.get(3),
            role: row.get(4),
            created_ms: row.get(5),
            stories: row.get(6),
            shelves: row.get(7),
        }))
    }

    fn stories(&mut self, pick: &Pick, page: Page) -> Found<Vec<Summary>> {
        let paged = |middle: &str| format!("{STORY} {middle} LIMIT $1 OFFSET $2");
        let (limit, offset) = (page.limit, page.offset);
        let rows = match pick {
            Pick::Trending => {
                let middle = "WHERE status = 'published' ORDER BY reads + 20 * likes DESC, stories.id";
                self.read(&paged(middle), &[&limit, &offset])
            }
            Pick::Newest => self.read(&paged("ORDER BY stories.id DESC"), &[&limit, &offset]),
            Pick::Genre(genre) => {
                self.read(&paged("WHERE genre = $3 ORDER BY stories.id DESC"), &[&limit, &offset, genre])
            }
            Pick::Author(author) => {
                self.read(&paged("WHERE author_id = $3 ORDER BY stories.id DESC"), &[&limit, &offset, author])
            }
            Pick::Words(words) => {
                // plain words: nothing that a user writes is an operator of the search language
                let text = words.join(" ");
                let middle = "WHERE text @@ plainto_tsquery('simple', $3)
                     ORDER BY ts_rank(text, plainto_tsquery('simple', $3)) DESC, stories.id";
                self.read(&paged(middle), &[&limit, &offset, &text])
            }
        };
        Ok(rows?.iter().map(summary).collect())
    }

    fn story(&mut self, slug: &str) -> Found<Option<Story>> {
        if !storable(slug) {
            return Ok(None);
        }
        let rows = self.read(&format!("{STORY} WHERE slug = $1"), &[&slug])?;
        Ok(rows.first().map(story))
    }

    fn add_story(&mut self, draft: &Draft) -> Found<Story> {
        let row = self.write(|step| {
            let id: i64 = step.query_one("SELECT nextval('stories_id_seq')", &[])?.get(0);
            let slug = format!("story-{id}");
            step.execute(
                "INSERT INTO stories(id, slug, title, blurb, body, genre, author_id, status, reads, likes,
                 created_ms, updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, 'published', 0, 0, $8, $8)",
                &[&id, &slug, &draft.title, &draft.blurb, &draft.body, &draft.genre, &draft.author, &now()],
            )?;
            step.query_one(&format!("{STORY} WHERE stories.id = $1"), &[&id])
        })?;
        Ok(story(&row))
    }

    fn change_story(&mut self, id: i64, author: i64, change: &Change) -> Found<Changed<Story>> {
        self.write(|step| {
            let owner = step.query_opt("SELECT author_id FROM stories WHERE id = $1 FOR UPDATE", &[&id])?;
            match owner.map(|row| row.get::<_, i64>(0)) {
                None => return Ok(Changed::Missing),
                Some(owner) if owner != author => return Ok(Changed::Foreign),
                Some(_) => {}
            }
            step.execute(
                "UPDATE stories SET title = coalesce($2, title), body = coalesce($3, body),
                 blurb = coalesce($4, blurb), updated_ms = $5 WHERE id = $1",
                &[&id, &change.title, &change.body, &change.blurb, &now()],
            )?;
            let row = step.query_one(&format!("{STORY} WHERE stories.id = $1"), &[&id])?;
            Ok(Changed::Done(story(&row)))
        })
    }

    fn shelves(&mut self, user: i64) -> Found<Vec<Shelf>> {
        let sql = "SELECT shelves.id, name, shelves.created_ms,
                coalesce(array_agg(slug ORDER BY story_id) FILTER (WHERE slug IS NOT NULL), '{}')
             FROM shelves LEFT JOIN shelf_items ON shelf_id = shelves.id LEFT JOIN stories ON stories.id = story_id
             WHERE user_id = $1 GROUP BY shelves.id ORDER BY shelves.id";
        let rows = self.read(sql, &[&user])?;
        let shelf = |row: &Row| Shelf {
            id: row.get(0),
            name: row.get(1),
            created_ms: row.get(2),
            stories: row.get(3),
        };
        Ok(rows.iter().map(shelf).collect())
    }

    fn add_shelf(&mut self, user: i64, name: &str, stories: &[String]) -> Found<Shelved> {
        if !stories.iter().all(|slug| storable(slug)) {
            return Ok(Shelved::NoStory);
        }
        let now = now();
        self.write(|step| {
            let wanted: Vec<&str> = stories.iter().map(String::as_str).collect();
            let known = step.query("SELECT id, slug FROM stories WHERE slug = ANY($1)", &[&wanted])?;
            let made = step.query_opt(
                "INSERT INTO shelves(user_id, name, created_ms) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING RETURNING id",
                &[&user, &name, &now],
            )?;
            let Some(id) = made.map(|row| row.get::<_, i64>(0)) else { return Ok(Shelved::Taken) };
            let missing = wanted.iter().any(|slug| known.iter().all(|row| row.get::<_, &str>(1) != *slug));
            if missing {
                // leaving with an open transaction would keep the shelf: take it away again
                step.execute("DELETE FROM shelves WHERE id = $1", &[&id])?;
                return Ok(Shelved::NoStory);
            }
            for row in &known {
                let story: i64 = row.get(0);
                step.execute("INSERT INTO shelf_items(shelf_id, story_id) VALUES ($1, $2)", &[&id, &story])?;
            }
            Ok(Shelved::Made(Shelf { id, name: name.to_owned(), created_ms: now, stories: stories.to_vec() }))
        })
    }

    fn whispers(&mut self, limit: i64) -> Found<Vec<Whisper>> {
        let sql = "SELECT whispers.id, handle, body, whispers.created_ms FROM whispers
             JOIN users ON users.id = user_id ORDER BY whispers.id DESC LIMIT $1";
        let rows = self.read(sql, &[&limit])?;
        let whisper = |row: &Row| Whisper {
            id: row.get(0),
            author: row.get(1),
            body: row.get(2),
            created_ms: row.get(3),
        };
        Ok(rows.iter().map(whisper).collect())
    }

    fn add_whisper(&mut self, user: i64, body: &str) -> Found<(i64, i64)> {
        let now = now();
        let sql = "INSERT INTO whispers(user_id, body, created_ms, updated_ms) VALUES ($1, $2, $3, $3) RETURNING id";
        let row = self.write(|step| step.query_one(sql, &[&user, &body, &now]))?;
        Ok((row.get(0), now))
    }

    fn change_whisper(&mut self, id: i64, user: i64, body: &str) -> Found<Changed<i64>> {
        self.write(|step| {
            let sql = "UPDATE whispers SET body = $3, updated_ms = $4 WHERE id = $1 AND user_id = $2
                 RETURNING created_ms";
            if let Some(row) = step.query_opt(sql, &[&id, &user, &body, &now()])? {
                return Ok(Changed::Done(row.get(0)));
            }
            let there = step.query_opt("SELECT 1 FROM whispers WHERE id = $1", &[&id])?;
            Ok(if there.is_some() { Changed::Foreign } else { Changed::Missing })
        })
    }

    fn begin(&mut self) -> Found<()> {
        Err(PoolError::Database("transactions around several operations are for SQLite".into()))
    }

    fn commit(&mut self) -> Found<()> {
        Ok(())
    }
}
