//! `data`: sources of rows and who gets which. What a source is made of is not known here; the sources themselves
//! come in through [`crate::ReadOptions::open_feeder`].

use crate::model::{Scenario, Test};
use crate::program::{Feed, FeederSpec, OpenFeeder, Pick};
use crucible_core::{Diagnostics, FeederId, Fields, Key, Map, Node, Position, fields};
use crucible_schedule::{Load, Pacing, phase_seed};
use std::path::Path;

/// Keys of a source, without those of its kind.
pub(crate) const FEED_KEYS: &[Key] = &[
    Key {
        name: "pick",
        schema: r#"{"enum": ["sequential", "random", "unique", "once"]}"#,
        doc: "Who gets which row: the next one and from the first again (`sequential`, unless given), any (`random`), the \
              next one and none twice (`unique`), the one with the user's number (`once`).",
        example: "unique",
    },
    Key {
        name: "per",
        schema: r#"{"enum": ["iteration", "vu"]}"#,
        doc: "When a user gets another row: in each iteration, or never (`vu`). A row that `setup` uses is kept, unless \
              given.",
        example: "vu",
    },
];

/// The kinds of sources.
pub(crate) const KIND_KEYS: &[Key] = &[
    Key {
        name: "csv",
        schema: r#"{"type": "string"}"#,
        doc: "A file of comma-separated values, with the names of the columns in its first line.",
        example: "pupils.csv",
    },
    Key {
        name: "json",
        schema: r#"{"type": "string"}"#,
        doc: "A JSON file: a list of tables.",
        example: "pupils.json",
    },
    Key {
        name: "jsonl",
        schema: r#"{"type": "string"}"#,
        doc: "A file with a JSON table on each line.",
        example: "pupils.jsonl",
    },
    Key {
        name: "rows",
        schema: r#"{"type": "array", "minItems": 1, "items": {"type": "object"}}"#,
        doc: "The rows themselves.",
        example: "[{name: ada}, {name: eve}]",
    },
    Key {
        name: "generate",
        schema: r#"{"type": "object"}"#,
        doc: "Rows that are made up: an expression for each column.",
        example: "{name: \"user-${row}\"}",
    },
];

/// Most sources of a plan: their places have 16 bits.
const FEEDS_MAX: usize = 1_000;

/// A source and where it stands.
pub(crate) struct Placed {
    pub(crate) at: Position,
    pub(crate) path: String,
    pub(crate) feed: Feed,
}

/// The `data` of a plan.
pub(crate) fn read(
    root: &Fields<'_>,
    open: OpenFeeder<'_>,
    folder: &Path,
    seed: u64,
    diagnostics: &Diagnostics,
) -> Vec<Placed> {
    let Some(table) = root.table("data") else { return Vec::new() };
    let mut feeds: Vec<Placed> = Vec::new();
    for (name, at, node) in table.all() {
        let path = table.path_of(name);
        if feeds.len() >= FEEDS_MAX {
            diagnostics.error(at, &path, format!("more than {FEEDS_MAX} sources of data"), "join some");
            break;
        }
        if !crucible_core::symbols::is_name(name) || crucible_core::symbols::BUILT_IN.contains(&name) {
            let hint = "use letters, digits and `_`, and no word that has a meaning of its own";
            diagnostics.error(at, &path, format!("{name:?} cannot be a name of data"), hint);
            continue;
        }
        let spec = FeederSpec {
            name: name.to_owned(),
            kind: String::new(),
            source: node.clone(),
            options: Map::default(),
            folder: folder.to_owned(),
            seed,
        };
        if let Some(feed) = one(node, &path, spec, open, diagnostics) {
            feeds.push(Placed { at, path, feed });
        }
    }
    feeds
}

fn one(
    node: &Node,
    path: &str,
    mut spec: FeederSpec,
    open: OpenFeeder<'_>,
    diagnostics: &Diagnostics,
) -> Option<Feed> {
    let fields = Fields::new(node, path, diagnostics)?;
    fields.expect(FEED_KEYS);
    fields.expect(KIND_KEYS);
    let pick = match fields.get("pick") {
        None => Some(Pick::Sequential),
        Some(_) => fields.parse("pick", |text| {
            let names = Pick::ALL.map(Pick::name);
            let found = Pick::ALL.into_iter().find(|pick| pick.name() == text);
            found.ok_or_else(|| fields::suggest(text, &names))
        }),
    };
    let per_user = match fields.get("per") {
        None => Some(None),
        Some(_) => fields.parse("per", |text| match text {
            "vu" => Ok(Some(true)),
            "iteration" => Ok(Some(false)),
            other => Err(fields::suggest(other, &["vu", "iteration"])),
        }),
    };
    let kinds: Vec<&Key> = KIND_KEYS.iter().filter(|key| fields.has(key.name)).collect();
    let [kind] = kinds.as_slice() else {
        let names: Vec<&str> = KIND_KEYS.iter().map(|key| key.name).collect();
        let message = match kinds.len() {
            0 => "this does not say where the rows come from",
            _ => "the rows come from more than one source",
        };
        diagnostics.error(node.at, path, message, format!("write one of: {}", names.join(", ")));
        return None;
    };
    spec.kind = kind.name.to_owned();
    spec.source = fields.get(kind.name)?.clone();
    // what else stands here is the source's own business, which tells what it does not know
    spec.options.entries = fields
        .all()
        .filter(|(name, _, _)| *name != kind.name && !FEED_KEYS.iter().any(|key| key.name == *name))
        .map(|(name, at, node)| (name.to_owned(), at, node.clone()))
        .collect();
    match open(&spec) {
        Ok(source) => Some(Feed { name: spec.name, pick: pick?, per_user: per_user?, source }),
        Err(why) => {
            let (message, hint) = why.split_once('\n').unwrap_or((&why, ""));
            fields.error(kind.name, message, hint.trim());
            None
        }
    }
}

/// Settles which rows users keep for life, and warns where rows will not be enough.
pub(crate) fn settle(
    scenarios: &mut [Scenario],
    tests: &[Test],
    feeds: &[Placed],
    seed: u64,
    diagnostics: &Diagnostics,
) {
    for scenario in scenarios.iter_mut() {
        for (id, kept) in &mut scenario.feeds {
            if let Some(placed) = feeds.get(usize::from(id.0)) {
                *kept = match placed.feed.pick {
                    Pick::Once => true,
                    _ => placed.feed.per_user.unwrap_or(*kept),
                };
            }
        }
    }
    for (index, placed) in feeds.iter().enumerate() {
        let Some(rows) = placed.feed.source.rows() else { continue };
        if rows == 0 {
            diagnostics.error(placed.at, &placed.path, "there is no row in it", "add rows");
            continue;
        }
        if matches!(placed.feed.pick, Pick::Sequential | Pick::Random) {
            continue;
        }
        let id = FeederId(index as u16);
        for test in tests {
            let used = test.scenarios.iter().filter_map(|scenario| scenarios.get(usize::from(scenario.0)));
            let kept: Vec<bool> = used
                .flat_map(|scenario| &scenario.feeds)
                .filter(|(feed, _)| *feed == id)
                .map(|feed| feed.1)
                .collect();
            if kept.is_empty() {
                continue;
            }
            let (needed, of) = match kept.iter().all(|kept| *kept) {
                true => (closed_users(&test.load), "users"),
                false => (iterations(&test.load, seed), "iterations"),
            };
            if test.scenarios.len() == 1 && needed.is_some_and(|needed| needed > rows) {
                let needed = needed.unwrap_or_default();
                let noun = if rows == 1 { "row" } else { "rows" };
                let message = format!("{rows} {noun}, but the test `{}` has {needed} {of}", test.name);
                let hint = "those that get none fail; add rows, or write `pick: sequential`";
                diagnostics.warning(placed.at, &placed.path, message, hint);
                break;
            }
        }
    }
}

/// Users of a load whose number is certain.
fn closed_users(load: &Load) -> Option<u64> {
    let closed = load.phases.iter().all(|phase| matches!(phase.pacing, Pacing::Closed { .. }));
    closed.then(|| load.max_users())
}

/// Iterations of a load, as far as they are certain.
fn iterations(load: &Load, seed: u64) -> Option<u64> {
    let phases = load.phases.iter().enumerate();
    phases.map(|(number, phase)| phase.expected(phase_seed(seed, number as u64))).sum()
}
