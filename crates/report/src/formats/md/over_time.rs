//! How the test went over its time: its warm-up, what grows, and its figures by slice of time.

use super::safe;
use crate::Report;
use crate::soak;
use std::fmt::{self, Write};

/// The warm-up of each phase of which there is something to say.
pub(super) fn warm_up(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let list = soak::warm_up(report.view, test);
    for text in &list {
        writeln!(out, "- Warm-up: {}.", safe(text))?;
    }
    if list.is_empty() { Ok(()) } else { writeln!(out) }
}

/// What grows without end, what is undecided, and what is well.
pub(super) fn growth(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let said = soak::growth(&crucible_analysis::growth(report.view, test));
    let all = [("**Grows**", &said.found), ("Undecided", &said.undecided), ("No leak", &said.well)];
    if all.iter().all(|(_, list)| list.is_empty()) {
        return Ok(());
    }
    for (word, list) in all {
        for text in list {
            writeln!(out, "- {word}: {}.", safe(text))?;
        }
    }
    writeln!(out)
}

/// Figures by slice of time.
pub(super) fn slices(report: &Report<'_>, test: usize, out: &mut dyn Write) -> fmt::Result {
    let Some(slices) = soak::slices(report.view, test) else { return Ok(()) };
    let head: Vec<String> = slices.head.iter().map(|word| safe(word)).collect();
    writeln!(out, "| {} |\n|---|{}", head.join(" | "), "--:|".repeat(head.len() - 1))?;
    for row in &slices.rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    writeln!(out)
}
