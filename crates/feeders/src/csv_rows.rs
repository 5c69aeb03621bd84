//! Separated values (RFC 4180): quotes, line ends of all kinds, a byte order mark.
//!
//! Types belong to columns: a column all of whose values read and write alike as whole numbers holds numbers, every
//! other one holds texts. So `007` stays `007`, and then `12` in the same column is a text too.

use crate::columns::{self, Mistakes, ROW_MAX};
use crate::indexed::Rows;
use crate::table::Table;
use crucible_core::Value;
use crucible_core::scope::Row;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

const BUFFER: usize = 64 << 10;

/// See the module text.
#[derive(Debug)]
pub(crate) struct Csv {
    path: PathBuf,
    file: File,
    separator: u8,
    /// Where the text begins: behind the byte order mark.
    start: u64,
    /// Whether the first line names the columns.
    headed: bool,
    columns: Vec<String>,
    /// Which columns hold numbers, and that was found out by reading all.
    numeric: Vec<bool>,
}

impl Csv {
    /// A file with these columns, or those that its first line names.
    pub(crate) fn new(
        path: &Path,
        mut file: File,
        separator: u8,
        given: Option<Vec<String>>,
    ) -> Result<Csv, String> {
        let start = text_start(&mut file).map_err(|e| unreadable(path, &e))?;
        let headed = given.is_none();
        let path = path.to_owned();
        let columns = given.unwrap_or_default();
        let mut csv = Csv { path, file, separator, start, headed, columns, numeric: Vec::new() };
        if headed {
            let mut first = ByteRecord::new();
            let (mut reader, _) = csv.reader().map_err(|e| unreadable(&csv.path, &e))?;
            let found = reader.read_byte_record(&mut first);
            found.map_err(|e| csv.told(1, &e))?;
            let names = first.iter().map(|name| String::from_utf8(name.trim_ascii().to_vec()));
            csv.columns = names
                .collect::<Result<_, _>>()
                .map_err(|_| format!("{} is no UTF-8 text\nsave it as UTF-8", csv.path.display()))?;
        }
        columns::check(&csv.columns).map_err(|problem| format!("{}: {problem}", csv.path.display()))?;
        Ok(csv)
    }

    /// All rows, held.
    pub(crate) fn into_table(mut self) -> Result<Table, String> {
        self.scan(&mut |_| {})?;
        let mut rows = Vec::new();
        let (mut reader, taken) = self.reader().map_err(|e| unreadable(&self.path, &e))?;
        let mut record = ByteRecord::new();
        let mut skip = self.headed;
        while reader.read_byte_record(&mut record).map_err(|e| self.told(reader_line(&reader), &e))? {
            taken.set(0);
            if !std::mem::take(&mut skip) {
                rows.push(self.values(&record)?);
            }
        }
        let empty = |problem: String| format!("{}: {problem}", self.path.display());
        Table::of_rows(self.columns.clone(), rows).map_err(empty)
    }

    /// A reader of the whole text, and what it has taken since that was set to 0.
    fn reader(&self) -> io::Result<(Reader<Bounded<'_>>, Rc<Cell<usize>>)> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start))?;
        let taken = Rc::new(Cell::new(0));
        let bounded = Bounded { file, taken: Rc::clone(&taken) };
        Ok((self.builder().buffer_capacity(BUFFER).from_reader(bounded), taken))
    }

    fn builder(&self) -> ReaderBuilder {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.separator);
        builder
    }

    fn values(&self, record: &ByteRecord) -> Result<Row, String> {
        if record.len() != self.columns.len() {
            return Err(self.changed());
        }
        let value = |(cell, numeric): (&[u8], &bool)| {
            let text = std::str::from_utf8(cell).map_err(|_| self.changed())?;
            match numeric {
                true => text.parse().map(Value::Int).map_err(|_| self.changed()),
                false => Ok(Value::text(text)),
            }
        };
        record.iter().zip(&self.numeric).map(value).collect()
    }

    fn changed(&self) -> String {
        format!("{} has changed since the plan was read", self.path.display())
    }

    fn told(&self, line: u64, error: &csv::Error) -> String {
        let mut mistakes = Mistakes::default();
        mistakes.tell(line, shown(error));
        mistakes.finish(&self.path, REMEDY).err().unwrap_or_default()
    }
}

const REMEDY: &str =
    "every line has a value for each column; quote values with a separator, a quote or a line end in them";

impl Rows for Csv {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn file(&self) -> &File {
        &self.file
    }

    fn scan(&mut self, seen: &mut dyn FnMut(u64)) -> Result<(), String> {
        let (mut reader, taken) = self.reader().map_err(|e| unreadable(&self.path, &e))?;
        let mut record = ByteRecord::new();
        let mut mistakes = Mistakes::default();
        let mut numeric = vec![true; self.columns.len()];
        let mut skip = self.headed;
        loop {
            let line = reader_line(&reader);
            match reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => taken.set(0),
                Err(e) => {
                    mistakes.tell(line, shown(&e));
                    break;
                }
            }
            if std::mem::take(&mut skip) {
                continue;
            }
            let at = record.position();
            let line = at.map_or(line, csv::Position::line);
            if record.len() != self.columns.len() {
                let wanted = self.columns.len();
                mistakes.tell(line, format_args!("{} values for {wanted} columns", record.len()));
            } else if record.iter().any(|cell| std::str::from_utf8(cell).is_err()) {
                mistakes.tell(line, "it is no UTF-8 text");
            } else {
                record.iter().zip(&mut numeric).for_each(|(cell, numeric)| *numeric &= is_whole(cell));
                seen(self.start + at.map_or(0, csv::Position::byte));
            }
        }
        drop(reader);
        self.numeric = numeric;
        mistakes.finish(&self.path, REMEDY)
    }

    fn row(&self, bytes: &[u8], skip: usize) -> Result<Row, String> {
        let mut reader = self.builder().buffer_capacity(bytes.len().clamp(1, 8 << 10)).from_reader(bytes);
        let mut record = ByteRecord::new();
        for _ in 0..=skip {
            if !reader.read_byte_record(&mut record).map_err(|_| self.changed())? {
                return Err(self.changed());
            }
        }
        self.values(&record)
    }
}

/// A file that ends with an error when one row takes too much: behind a quote that is never closed there is no end.
struct Bounded<'a> {
    file: &'a File,
    taken: Rc<Cell<usize>>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken.get() > ROW_MAX {
            return Err(io::Error::other(
                "the row that begins here is larger than 1 MiB: is a quote not closed?",
            ));
        }
        let count = self.file.read(buffer)?;
        self.taken.set(self.taken.get() + count);
        Ok(count)
    }
}

/// Whether the text is exactly how the whole number that it reads as is written.
fn is_whole(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let plain = match digits {
        [b'0'] => cell.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    plain && std::str::from_utf8(cell).is_ok_and(|text| text.parse::<i64>().is_ok())
}

fn reader_line<R: Read>(reader: &Reader<R>) -> u64 {
    reader.position().line()
}

fn shown(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(e) => e.to_string(),
        _ => error.to_string(),
    }
}

/// The error of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("failed to read {}: {error}\ncheck the file and its disk", path.display())
}

/// Where the text of a file begins: behind its byte order mark, if it has one.
pub(crate) fn text_start(file: &mut File) -> io::Result<u64> {
    let mut mark = Vec::new();
    Read::by_ref(file).take(3).read_to_end(&mut mark)?;
    Ok(if mark == b"\xef\xbb\xbf" { 3 } else { 0 })
}
