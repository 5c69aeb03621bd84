//! A document of headings, sentences and tables, written for a terminal of 80 columns or as Markdown.
//!
//! Place in the flow: an overview makes a [`Page`], one of the two writers here puts it on lines. Invariant: foreign text is
//! made harmless here and nowhere else, so no overview can forget it.

use crate::formats::safe;
use crate::report::Options;
use crate::text::{clean, wrap};
use std::fmt::{self, Write};

/// Widest line for terminals.
const WIDTH: usize = 80;
/// Blanks before the lines beneath a row.
const INDENT: usize = 6;

/// The document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// A part of it.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// Begins a section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// A command to type.
    Command(String),
    /// Sentences, each on its own.
    List(Vec<String>),
    /// Rows of cells.
    Table(Table),
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    /// Columns whose cells stand at the right.
    pub(crate) right: Vec<usize>,
    pub(crate) rows: Vec<Row>,
    /// What Markdown calls the column of what stands beneath the rows.
    pub(crate) beneath: &'static str,
}

/// A row, and what stands beneath it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    pub(crate) said: Vec<String>,
    pub(crate) command: Option<String>,
}

impl Row {
    pub(crate) fn new<const N: usize>(cells: [String; N]) -> Row {
        Row { cells: cells.into(), ..Row::default() }
    }

    pub(crate) fn says(mut self, text: impl Into<String>) -> Row {
        self.said.push(text.into());
        self
    }
}

impl Page {
    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub(crate) fn list(&mut self, list: Vec<String>) {
        if !list.is_empty() {
            self.blocks.push(Block::List(list));
        }
    }

    pub(crate) fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
    }

    /// For a terminal.
    pub(crate) fn terminal(&self, options: Options) -> String {
        let mut out = String::new();
        // writing to a String cannot fail
        let _ = self.write_terminal(options, &mut out);
        if options.ascii { ascii(&out) } else { out }
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = self.write_markdown(&mut out);
        out
    }

    fn write_terminal(&self, options: Options, out: &mut String) -> fmt::Result {
        let bold = |text: &str| {
            if options.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let mut title = String::new();
        wrap(&mut title, "", 0, WIDTH, &clean(&self.title))?;
        writeln!(out, "{}", bold(title.trim_end()))?;
        for block in &self.blocks {
            match block {
                Block::Heading(text) => writeln!(out, "\n{}", bold(&clean(text).to_uppercase()))?,
                Block::Text(text) => {
                    writeln!(out)?;
                    wrap(out, "", 0, WIDTH, &clean(text))?;
                }
                Block::Command(command) => writeln!(out, "    {}", clean(command))?,
                Block::List(list) => {
                    writeln!(out)?;
                    for text in list {
                        wrap(out, "  -", 4, WIDTH, &clean(text))?;
                    }
                }
                Block::Table(table) => {
                    writeln!(out)?;
                    table.write_terminal(out)?;
                }
            }
        }
        Ok(())
    }

    fn write_markdown(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "# {}", safe(&self.title))?;
        for block in &self.blocks {
            match block {
                Block::Heading(text) => writeln!(out, "\n## {}", safe(text))?,
                Block::Text(text) => writeln!(out, "\n{}", safe(text))?,
                Block::Command(command) => writeln!(out, "\n    {}", clean(command))?,
                Block::List(list) => {
                    writeln!(out)?;
                    list.iter().try_for_each(|text| writeln!(out, "- {}", safe(text)))?;
                }
                Block::Table(table) => table.write_markdown(out)?,
            }
        }
        Ok(())
    }
}

/// Signs outside of ASCII that overviews use, by others.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

impl Table {
    /// Widths of the columns: as wide as their widest cell; the first gives way, then the widest, until a line fits.
    fn widths(&self) -> Vec<usize> {
        let columns = self.head.len();
        let cell =
            |row: &Row, column: usize| row.cells.get(column).map_or(0, |cell| clean(cell).chars().count());
        let mut widths: Vec<usize> = (0..columns)
            .map(|column| {
                let most = self.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0);
                most.max(self.head[column].chars().count())
            })
            .collect();
        let room = WIDTH - 2 - 2 * columns.saturating_sub(1);
        while widths.iter().sum::<usize>() > room {
            let widest = (0..columns).max_by_key(|column| (widths[*column], *column == 0));
            match widest.filter(|column| widths[*column] > 8) {
                Some(column) => widths[column] -= 1,
                None => break,
            }
        }
        widths
    }

    fn write_terminal(&self, out: &mut String) -> fmt::Result {
        let widths = self.widths();
        let head: Vec<String> = self.head.iter().map(|name| (*name).to_owned()).collect();
        self.line(&head, &widths, out)?;
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(out, "  {}", rule.join("  "))?;
        for row in &self.rows {
            self.line(&row.cells, &widths, out)?;
            for text in &row.said {
                wrap(out, "", INDENT, WIDTH, &clean(text))?;
            }
            if let Some(command) = &row.command {
                // a command is one line to copy, however long
                writeln!(out, "{:INDENT$}{}", "", clean(command))?;
            }
        }
        Ok(())
    }

    /// One row on as many lines as its longest cell needs.
    fn line(&self, cells: &[String], widths: &[usize], out: &mut String) -> fmt::Result {
        let broken: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| lines_of(&clean(cell), *width)).collect();
        let tall = broken.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..tall {
            let mut line = String::from(" ");
            for (column, (lines, width)) in broken.iter().zip(widths).enumerate() {
                let text = lines.get(at).map_or("", String::as_str);
                let pad = " ".repeat(width.saturating_sub(text.chars().count()));
                line.push_str(if column == 0 { " " } else { "  " });
                if self.right.contains(&column) {
                    line.extend([pad.as_str(), text]);
                } else {
                    line.extend([text, pad.as_str()]);
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_markdown(&self, out: &mut String) -> fmt::Result {
        let beneath = self.rows.iter().any(|row| !row.said.is_empty() || row.command.is_some());
        let mut head: Vec<&str> = self.head.clone();
        if beneath {
            head.push(self.beneath);
        }
        let rule: Vec<&str> =
            (0..head.len()).map(|at| if self.right.contains(&at) { "--:" } else { "---" }).collect();
        writeln!(out, "\n| {} |\n|{}|", head.join(" | "), rule.join("|"))?;
        for row in &self.rows {
            let mut cells: Vec<String> = row.cells.iter().map(|cell| safe(cell)).collect();
            if beneath {
                let mut said: Vec<String> = row.said.iter().map(|text| safe(text)).collect();
                said.extend(row.command.iter().map(|command| format!("`{}`", literal(command))));
                cells.push(said.join("<br>"));
            }
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// A command between backticks in a cell: neither can be left.
fn literal(command: &str) -> String {
    clean(command).replace('`', "'").replace('|', "\\|")
}

/// A cell in lines of at most `width` characters.
fn lines_of(text: &str, width: usize) -> Vec<String> {
    let mut out = String::new();
    let mut lines = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        if !out.is_empty() && out.chars().count() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut out));
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word);
    }
    if !out.is_empty() || lines.is_empty() {
        lines.push(out);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let hostile = "a|b `c` <d> \u{1b}[31m @e ".repeat(6);
        let mut page = Page { title: "t".into(), ..Page::default() };
        page.heading("section");
        page.text(&hostile);
        page.list(vec![hostile.clone()]);
        let row = Row::new([hostile.clone(), "1".into(), "a long cell of many words".into()]).says(&hostile);
        let command = Some("crucible run plan.yaml 'a|`b'".into());
        let rows = vec![Row { command, ..row }, Row::new(["x".into(), "22".into(), String::new()])];
        page.table(Table { head: vec!["first", "n", "last"], right: vec![1], rows, beneath: "evidence" });
        page
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_and_nothing_commands_it() {
        let text = page().terminal(Options::default());
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > WIDTH).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        assert!(!text.chars().any(|c| c != '\n' && crate::text::is_unsafe(c)), "{text}");
        assert!(page().terminal(Options { ascii: true, ..Options::default() }).is_ascii());
    }

    #[test]
    fn cells_of_markdown_cannot_be_left() {
        let text = page().markdown();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 4, "{text}");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(rows.iter().all(|row| bars(row) == bars(rows[0])), "{rows:#?}");
        assert!(
            !text.replace("<br>", "").contains('<') && text.contains("`crucible run plan.yaml 'a\\|'b'`")
        );
    }

    #[test]
    fn words_are_broken_only_where_they_must_be() {
        assert_eq!(lines_of("one two three", 7), ["one two", "three"]);
        assert_eq!(lines_of("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(lines_of("", 4), [""]);
    }
}
