//! The data that a new database begins with: a pure function of the seed.
//!
//! Users `reader-1` to `reader-100` and `writer-1` to `writer-20`; stories `story-1` to `story-300`; three
//! shelves for each reader; 200 whispers.

use crucible_core::Rng;
use rusqlite::{Connection, params};

/// Readers.
pub(crate) const READERS: u64 = 100;
/// Writers.
pub(crate) const WRITERS: u64 = 20;
/// Stories.
pub(crate) const STORIES: u64 = 300;
/// Whispers.
const WHISPERS: u64 = 200;
/// When the first of them was written: 2025-01-01.
const BEGIN_MS: u64 = 1_735_689_600_000;
const HOUR_MS: u64 = 3_600_000;

/// The genres.
pub(crate) const GENRES: [&str; 6] = ["adventure", "fable", "mystery", "romance", "science", "sea"];

const WORDS: [&str; 48] = [
    "lantern", "harbour", "winter", "river", "clock", "garden", "stone", "letter", "bridge", "forest",
    "signal", "engine", "island", "mirror", "thread", "orchard", "tower", "market", "violin", "comet",
    "meadow", "anchor", "candle", "desert", "falcon", "glacier", "hollow", "ink", "jasmine", "kettle",
    "ladder", "marble", "needle", "ocean", "pepper", "quarry", "raven", "silver", "thunder", "umbrella",
    "valley", "willow", "yarn", "zephyr", "copper", "dragon", "ember", "fountain",
];

fn words(rng: &mut Rng, count: u64) -> String {
    let picks: Vec<&str> =
        (0..count).map(|_| WORDS[rng.between(0, WORDS.len() as u64 - 1) as usize]).collect();
    picks.join(" ")
}

fn body(rng: &mut Rng) -> String {
    let paragraphs = rng.between(3, 8);
    let paragraph = |rng: &mut Rng| {
        let sentences = rng.between(3, 6);
        let all: Vec<String> = (0..sentences)
            .map(|_| {
                let length = rng.between(6, 12);
                format!("The {}.", words(rng, length))
            })
            .collect();
        all.join(" ")
    };
    let all: Vec<String> = (0..paragraphs).map(|_| paragraph(rng)).collect();
    all.join("\n\n")
}

/// SQLite's integers are signed; nothing here comes near the end of them.
const fn int(value: u64) -> i64 {
    value as i64
}

/// Fills an empty database.
pub(crate) fn fill(db: &Connection, seed: u64) -> rusqlite::Result<()> {
    let mut user = db.prepare(
        "INSERT INTO users(id, handle, name, bio, role, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for id in 1..=READERS + WRITERS {
        let mut rng = Rng::new(seed, "user", id);
        let (role, number) = if id <= READERS { ("reader", id) } else { ("writer", id - READERS) };
        let name = words(&mut rng, 2);
        let bio = words(&mut rng, 12);
        user.execute(params![
            int(id),
            format!("{role}-{number}"),
            name,
            bio,
            role,
            int(BEGIN_MS + id * HOUR_MS)
        ])?;
    }
    let mut story = db.prepare(
        "INSERT INTO stories(id, slug, title, blurb, body, genre, author_id, status, reads, likes, created_ms,
         updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'published', ?8, ?9, ?10, ?10)",
    )?;
    for id in 1..=STORIES {
        let mut rng = Rng::new(seed, "story", id);
        let title = words(&mut rng, 4);
        let blurb = words(&mut rng, 20);
        let text = body(&mut rng);
        let genre = GENRES[rng.between(0, GENRES.len() as u64 - 1) as usize];
        let author = READERS + 1 + rng.between(0, WRITERS - 1);
        // few stories are read much and most a little, as in the real thing
        let reads = (200.0 * (1.5 * rng.normal()).exp()) as u64;
        let likes = reads / rng.between(5, 30);
        let created = int(BEGIN_MS + id * 7 * HOUR_MS);
        let slug = format!("story-{id}");
        story.execute(params![
            int(id),
            slug,
            title,
            blurb,
            text,
            genre,
            int(author),
            int(reads),
            int(likes),
            created
        ])?;
    }
    shelves(db, seed)?;
    let mut whisper =
        db.prepare("INSERT INTO whispers(user_id, body, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?3)")?;
    for id in 1..=WHISPERS {
        let mut rng = Rng::new(seed, "whisper", id);
        let length = rng.between(4, 20);
        whisper.execute(params![
            int(rng.between(1, READERS + WRITERS)),
            words(&mut rng, length),
            int(BEGIN_MS + id * 9 * HOUR_MS)
        ])?;
    }
    Ok(())
}

fn shelves(db: &Connection, seed: u64) -> rusqlite::Result<()> {
    let mut shelf =
        db.prepare("INSERT INTO shelves(id, user_id, name, created_ms) VALUES (?1, ?2, ?3, ?4)")?;
    let mut item = db.prepare("INSERT OR IGNORE INTO shelf_items(shelf_id, story_id) VALUES (?1, ?2)")?;
    for user in 1..=READERS {
        for (index, name) in ["reading", "later", "loved"].iter().enumerate() {
            let id = (user - 1) * 3 + index as u64 + 1;
            shelf.execute(params![int(id), int(user), name, int(BEGIN_MS + id * HOUR_MS)])?;
            let mut rng = Rng::new(seed, "shelf", id);
            for _ in 0..rng.between(2, 8) {
                item.execute(params![int(id), int(rng.between(1, STORIES))])?;
            }
        }
    }
    Ok(())
}

/// A table: its name, its columns, its rows as SQL literals.
pub(super) type Table = (&'static str, &'static [&'static str], Vec<Vec<String>>);

/// The same data as SQL literals, for another database.
pub(super) fn tables(seed: u64) -> rusqlite::Result<Vec<Table>> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(super::store::SCHEMA)?;
    fill(&db, seed)?;
    let all: [(&str, &[&str]); 5] = [
        ("users", &["id", "handle", "name", "bio", "role", "created_ms"]),
        (
            "stories",
            &[
                "id",
                "slug",
                "title",
                "blurb",
                "body",
                "genre",
                "author_id",
                "status",
                "reads",
                "likes",
                "created_ms",
                "updated_ms",
            ],
        ),
        ("shelves", &["id", "user_id", "name", "created_ms"]),
        ("shelf_items", &["shelf_id", "story_id"]),
        ("whispers", &["id", "user_id", "body", "created_ms", "updated_ms"]),
    ];
    all.into_iter()
        .map(|(table, columns)| {
            let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
            let mut statement = db.prepare(&format!("SELECT {} FROM {table}", quoted.join(", ")))?;
            let rows = statement
                .query_map([], |row| (0..columns.len()).map(|i| row.get(i)).collect::<rusqlite::Result<_>>())?
                .collect::<rusqlite::Result<_>>()?;
            Ok((table, columns, rows))
        })
        .collect()
}
