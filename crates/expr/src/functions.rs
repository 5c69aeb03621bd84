//! The functions: a row each, and how arguments are bound to them.
//!
//! `f(x, y)`, `x | f(y)` and `x.f(y)` are the same call.

mod call;
mod encode;
mod fakes;
mod hashes;
mod jwt;
mod lists;
mod numbers;
mod random;
mod tests_of;
mod texts;
mod times;

pub(crate) use call::{Call, FIXED_MAX, Function, Prepared};
pub(crate) use tests_of::{test_name, test_names};

use crucible_core::fields;

/// The table in the order of the reference: groups and their functions.
pub(crate) const GROUPS: &[(&str, &[Function])] = &[
    ("Random values", random::ROWS),
    ("Made-up people and words", fakes::ROWS),
    ("Texts", texts::ROWS),
    ("Numbers", numbers::ROWS),
    ("Lists and tables", lists::ROWS),
    ("Time", times::ROWS),
    ("Encodings", encode::ROWS),
    ("Hashes and signatures", hashes::ROWS),
    ("Tokens", jwt::ROWS),
    ("Questions", tests_of::ROWS),
];

/// The function of this name. The error is a hint.
pub(crate) fn find(name: &str) -> Result<&'static Function, String> {
    let mut all = GROUPS.iter().flat_map(|(_, rows)| rows.iter());
    all.find(|function| function.name == name).ok_or_else(|| {
        let known: Vec<&str> = GROUPS.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.name)).collect();
        // all names would not help: there are too many
        match fields::suggest(name, &known) {
            hint if hint.starts_with("did you mean") => format!("there is no function `{name}`; {hint}"),
            _ => format!("there is no function `{name}`; the reference of expressions lists all"),
        }
    })
}
