//! JSON: a list of tables, or a table on each line. Their values keep their types; what a row lacks is absent.

use crate::columns::{Mistakes, ROW_MAX, check};
use crate::csv_rows::{text_start, unreadable};
use crate::indexed::Rows;
use crate::table::Table;
use crucible_core::Value;
use crucible_core::scope::Row;
use serde_json::{Map, Value as Json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Largest file with one list: all of it is read.
const LIST_MAX: u64 = 64 << 20;

/// The rows of a file with one list.
pub(crate) fn list(path: &Path, mut file: File, size: u64) -> Result<Table, String> {
    let shown = path.display();
    if size > LIST_MAX {
        let (mib, most) = (size >> 20, LIST_MAX >> 20);
        return Err(format!(
            "{shown} has {mib} MiB, as one list {most} are the most\nwrite a table on each line (jq -c '.[]') and use jsonl"
        ));
    }
    let failed = |e: std::io::Error| unreadable(path, &e);
    let start = text_start(&mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(LIST_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let all: Vec<Json> = serde_json::from_slice(&bytes).map_err(|e| {
        format!("{shown} is broken: {e}\nit is one list of tables, as in [{{\"name\": \"ada\"}}]")
    })?;
    let mut columns = Vec::new();
    let mut rows = Vec::new();
    for (index, row) in all.iter().enumerate() {
        let Json::Object(row) = row else {
            return Err(format!("{shown} is broken: item {index} is no table\nit is a list of tables"));
        };
        learn(row, &mut columns);
        rows.push(row);
    }
    let rows = rows.into_iter().map(|row| values(row, &columns)).collect();
    Table::of_rows(columns, rows).map_err(|problem| format!("{shown}: {problem}"))
}

/// A file with a table on each line; empty lines do not count.
#[derive(Debug)]
pub(crate) struct JsonLines {
    path: PathBuf,
    file: File,
    start: u64,
    columns: Vec<String>,
}

impl JsonLines {
    pub(crate) fn new(path: &Path, mut file: File) -> Result<JsonLines, String> {
        let start = text_start(&mut file).map_err(|e| unreadable(path, &e))?;
        Ok(JsonLines { path: path.to_owned(), file, start, columns: Vec::new() })
    }

    /// All rows, held.
    pub(crate) fn into_table(mut self) -> Result<Table, String> {
        self.scan(&mut |_| {})?;
        let mut rows = Vec::new();
        self.lines(&mut |_, _, line| {
            let row = serde_json::from_slice(line).map_err(|_| self.changed());
            rows.push(row.map(|row| values(&row, &self.columns)));
        })?;
        let rows = rows.into_iter().collect::<Result<_, _>>()?;
        let shown = self.path.display();
        Table::of_rows(self.columns.clone(), rows).map_err(|problem| format!("{shown}: {problem}"))
    }

    /// Hands out every line that is not empty: its number, its offset and its bytes.
    fn lines(&self, each: &mut dyn FnMut(u64, u64, &[u8])) -> Result<(), String> {
        let failed = |e: std::io::Error| unreadable(&self.path, &e);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let (mut line, mut number, mut offset) = (Vec::new(), 0, self.start);
        loop {
            line.clear();
            let count = Read::by_ref(&mut reader).take(ROW_MAX as u64 + 1).read_until(b'\n', &mut line);
            let count = count.map_err(failed)?;
            number += 1;
            if count == 0 {
                return Ok(());
            }
            if count > ROW_MAX {
                let shown = self.path.display();
                return Err(format!(
                    "{shown} is broken: line {number} is larger than 1 MiB\nmake rows smaller"
                ));
            }
            if !line.trim_ascii().is_empty() {
                each(number, offset, &line);
            }
            offset += count as u64;
        }
    }

    fn changed(&self) -> String {
        format!("{} has changed since the plan was read", self.path.display())
    }
}

impl Rows for JsonLines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn file(&self) -> &File {
        &self.file
    }

    fn scan(&mut self, seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let mut mistakes = Mistakes::default();
        let mut columns = Vec::new();
        self.lines(&mut |number, offset, line| match serde_json::from_slice::<Map<String, Json>>(line) {
            Ok(row) => {
                learn(&row, &mut columns);
                seen(offset);
            }
            Err(e) => {
                let what = e.to_string();
                let what = what.split(" at line ").next().unwrap_or_default();
                mistakes.tell(number, format_args!("{what}, column {}", e.column()));
            }
        })?;
        self.columns = columns;
        mistakes.finish(&self.path, "each line is a table, as in {\"name\": \"ada\"}")?;
        check(&self.columns).map_err(|_| format!("{} has no rows\nadd at least one", self.path.display()))
    }

    fn row(&self, bytes: &[u8], skip: usize) -> Result<Row, String> {
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let line = lines.nth(skip).ok_or_else(|| self.changed())?;
        let row: Map<String, Json> = serde_json::from_slice(line).map_err(|_| self.changed())?;
        Ok(values(&row, &self.columns))
    }
}

/// Adds the names that a row brings; beyond a bound they are refused later, so no more are gathered.
fn learn(row: &Map<String, Json>, columns: &mut Vec<String>) {
    for name in row.keys() {
        if columns.len() <= 1_000 && !columns.contains(name) {
            columns.push(name.clone());
        }
    }
}

fn values(row: &Map<String, Json>, columns: &[String]) -> Row {
    columns.iter().map(|name| row.get(name).map(Value::from_json).unwrap_or_default()).collect()
}
