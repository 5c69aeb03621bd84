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
    format!("{} → {}", row.example, row.gives)
}

/// Bars would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    let ticks = if text.contains('`') { "``" } else { "`" };
    format!("{ticks}{}{ticks}", cell(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::{Ns, Scope, Symbols, VuId};

    /// What an example gives to the first user, in its second iteration, at 2026-01-02T03:04:05.678Z.
    fn value_of(text: &str) -> String {
        let symbols = Symbols::new(Some(crate::language()), Vec::new());
        let compiled = symbols.compile(text).unwrap_or_else(|hint| panic!("{text}: {hint}"));
        let mut scope = Scope::new(VuId(0), 1);
        scope.iteration = 1;
        scope.unix = Ns(1_767_323_045_678_000_000);
        compiled.value(&mut scope).unwrap_or_else(|problem| panic!("{problem}")).to_string()
    }

    #[test]
    fn examples_give_what_they_say() {
        let rows = GROUPS.iter().flat_map(|(_, rows)| rows.iter());
        let wrong: Vec<String> = rows
            .filter(|row| value_of(row.example) != row.gives)
            .map(|row| format!("{}: {} gives {}", row.name, row.example, value_of(row.example)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn names_are_unique_and_parameters_in_order() {
        let rows: Vec<&Function> = GROUPS.iter().flat_map(|(_, rows)| rows.iter()).collect();
        for (index, row) in rows.iter().enumerate() {
            assert!(rows[..index].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(row.example.contains(row.name) || row.example.contains(" is "), "{}", row.name);
            let optional = |name: &&str| name.ends_with('?');
            assert!(row.parameters.is_sorted_by_key(optional), "{}", row.name);
        }
    }

    #[test]
    fn the_written_reference_is_that_of_the_table() {
        let written = include_str!("../../../docs/reference/expressions.md");
        assert!(
            written == reference(),
            "run `cargo run -q -p crucible-expr --example reference > docs/reference/expressions.md`"
        );
    }
}
