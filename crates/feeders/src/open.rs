//! From what stands in a plan to a feeder.

use crate::csv_rows::Csv;
use crate::generate::{self, Generated};
use crate::indexed::Indexed;
use crate::json_rows::{self, JsonLines};
use crate::table::Table;
use crucible_core::{Expressions, Feeder, Map, Node, NodeKind, Template, Value, fields};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A source as it stands in a plan.
pub struct Wanted<'a> {
    /// Its name, as in `${name.column}`.
    pub name: &'a str,
    /// `csv`, `json`, `jsonl`, `rows` or `generate`.
    pub kind: &'a str,
    /// What stands under that word: a file's name, a list of rows, a table of columns.
    pub source: &'a Node,
    /// What stands beside it: `separator` and `columns` (csv), `count` (generate).
    pub options: &'a Map,
    /// Folder that relative names of files start from.
    pub folder: &'a Path,
    /// Seed of generated rows.
    pub seed: u64,
    /// The language of generated rows.
    pub language: Option<Arc<dyn Expressions>>,
}

/// Where rows come from.
pub enum Source {
    /// A file of separated values; names of the columns are in its first line unless given.
    Csv {
        /// The file.
        path: PathBuf,
        /// What stands between values.
        separator: u8,
        /// The columns, if the first line is a row already.
        columns: Option<Vec<String>>,
    },
    /// A file with a list of tables.
    Json {
        /// The file.
        path: PathBuf,
    },
    /// A file with a table on each line.
    JsonLines {
        /// The file.
        path: PathBuf,
    },
    /// The rows themselves.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows, each with a value for each column.
        rows: Vec<Vec<Value>>,
    },
    /// Rows made by templates; see [`Generated`].
    Generate(Generated),
}

/// When rows stay in their file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest file that is held as rows, in bytes.
    pub held: u64,
    /// Most offsets that are kept of a larger one, 8 bytes each.
    pub offsets: usize,
}

impl Default for Limits {
    /// 16 MiB, which as rows take about five times as much, and 8 MiB of offsets.
    fn default() -> Limits {
        Limits { held: 16 << 20, offsets: 1 << 20 }
    }
}

/// Makes the feeder. The error is what is wrong, and on a line of its own what to do about it.
pub fn open(wanted: &Wanted<'_>) -> Result<Arc<dyn Feeder>, String> {
    open_source(source(wanted)?, Limits::default())
}

/// As [`open`], of a source that does not stand in a plan.
pub fn open_source(source: Source, limits: Limits) -> Result<Arc<dyn Feeder>, String> {
    match source {
        Source::Csv { path, separator, columns } => {
            let (file, size) = file(&path)?;
            let csv = Csv::new(&path, file, separator, columns)?;
            if size > limits.held {
                return Ok(Arc::new(Indexed::new(path, csv, limits.offsets)?));
            }
            csv.into_table().map(|table| Arc::new(table) as Arc<dyn Feeder>)
        }
        Source::Json { path } => {
            let (file, size) = file(&path)?;
            Ok(Arc::new(json_rows::list(&path, file, size)?))
        }
        Source::JsonLines { path } => {
            let (file, size) = file(&path)?;
            let lines = JsonLines::new(&path, file)?;
            if size > limits.held {
                return Ok(Arc::new(Indexed::new(path, lines, limits.offsets)?));
            }
            lines.into_table().map(|table| Arc::new(table) as Arc<dyn Feeder>)
        }
        Source::Rows { columns, rows } => Ok(Arc::new(Table::new(columns, rows)?)),
        Source::Generate(generated) => {
            // what fails for every row is told now
            generated.row(0)?;
            Ok(Arc::new(generated))
        }
    }
}

fn file(path: &Path) -> Result<(File, u64), String> {
    let failed = |e: std::io::Error| {
        let remedy = match e.kind() {
            std::io::ErrorKind::NotFound => "names of files start from the folder of the plan",
            _ => "check its permissions",
        };
        format!("failed to read {}: {e}\n{remedy}", path.display())
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(format!("{} is no plain file\ngive the name of a file with rows", path.display()));
    }
    Ok((file, about.len()))
}

fn source(wanted: &Wanted<'_>) -> Result<Source, String> {
    let known: &[&str] = match wanted.kind {
        "csv" => &["separator", "columns"],
        "generate" => &["count"],
        _ => &[],
    };
    let unknown = wanted.options.entries.iter().find(|(name, _, _)| !known.contains(&name.as_str()));
    if let Some((name, at, _)) = unknown {
        let all = [known, &["pick", "per"]].concat();
        return Err(format!("`{name}` on line {} is not known\n{}", at.line, fields::suggest(name, &all)));
    }
    let path = || match &wanted.source.kind {
        NodeKind::Text(name) => Ok(wanted.folder.join(name)),
        _ => Err(format!("`{}` takes the name of a file\nas in {0}: rows.{0}", wanted.kind)),
    };
    match wanted.kind {
        "csv" => {
            let separator = match wanted.options.get("separator").map(|node| &node.kind) {
                None => b',',
                Some(NodeKind::Text(text)) if text == "tab" => b'\t',
                Some(NodeKind::Text(text)) if text.len() == 1 && !text.contains(['"', '\n', '\r']) => {
                    text.as_bytes()[0]
                }
                Some(_) => return Err("`separator` is one character, or tab\nas in separator: \";\"".into()),
            };
            let columns = wanted.options.get("columns").map(names).transpose()?;
            Ok(Source::Csv { path: path()?, separator, columns })
        }
        "json" => Ok(Source::Json { path: path()? }),
        "jsonl" => Ok(Source::JsonLines { path: path()? }),
        "rows" => rows(wanted.source),
        "generate" => generated(wanted).map(Source::Generate),
        other => Err(format!(
            "rows cannot come from `{other}`\n{}",
            fields::suggest(other, &["csv", "json", "jsonl", "rows", "generate"])
        )),
    }
}

fn names(node: &Node) -> Result<Vec<String>, String> {
    let names = node.as_list().and_then(|list| list.iter().map(Node::scalar).collect::<Option<Vec<_>>>());
    names.ok_or_else(|| "`columns` is a list of names\nas in columns: [name, age]".into())
}

fn rows(node: &Node) -> Result<Source, String> {
    let wrong = |at: u32| format!("the row on line {at} is no table\nwrite {{name: ada, age: 12}}");
    let list = node.as_list().ok_or("`rows` is a list of tables\nas in rows: [{name: ada}, {name: eve}]")?;
    let mut columns: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for row in list {
        let row = row.as_map().ok_or_else(|| wrong(row.at.line))?;
        for (name, _, _) in &row.entries {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        found.push(row);
    }
    let value = |row: &&Map, name: &String| row.get(name).map(Value::from_node).unwrap_or_default();
    let rows = found.iter().map(|row| columns.iter().map(|name| value(row, name)).collect()).collect();
    Ok(Source::Rows { columns, rows })
}

fn generated(wanted: &Wanted<'_>) -> Result<Generated, String> {
    let count = match wanted.options.get("count").map(|node| &node.kind) {
        None => None,
        Some(NodeKind::Int(count)) if *count > 0 => Some(*count as u64),
        Some(_) => return Err("`count` is a whole number from 1\nleave it out for rows without end".into()),
    };
    let columns = wanted.source.as_map().filter(|map| !map.entries.is_empty());
    let columns =
        columns.ok_or("`generate` is a table of columns\nas in generate: {name: \"user-${row}\"}")?;
    let symbols = generate::symbols(wanted.language.clone());
    let mut made = Vec::new();
    for (name, at, node) in &columns.entries {
        let told = |problem: String| format!("the column `{name}` on line {}: {problem}\n", at.line);
        let template = match &node.kind {
            NodeKind::Text(text) => Template::parse(text, &symbols).map_err(told)?,
            _ => match node.scalar() {
                Some(text) => Template::of_literal(&text),
                None => return Err(told("it is made of a text, not of a list or a table".into())),
            },
        };
        made.push((generate::column(name, &symbols).map_err(told)?, template));
    }
    Ok(Generated::new(wanted.name, wanted.seed, count, &symbols, made))
}
