//! The reference of expressions, written from the table of functions.

use crate::functions::{Function, GROUPS};
use std::fmt::Write as _;

const INTRODUCTION: &str = include_str!("reference.md");

/// The text of `docs/reference/expressions.md`.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for (group, rows) in GROUPS {
        // writing to a String cannot fail
        let _ = write!(text, "\n## {group}\n\n| function | gives | example |\n|---|---|---|\n");
        for row in *rows {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                code(&row.signature()),
                cell(row.doc),
                code(&example(row))
            );
        }
    }
    text
}

fn example(row: &Function) -> String {
    if row.gives.is_empty() { row.example.to_owned() } else { format!("{} → {}", row.example, row.gives) }
}

/// Bars would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    let ticks = if text.contains('`') { "``" } else { "`" };
    format!("{ticks}{}{ticks}", cell(text))
}
