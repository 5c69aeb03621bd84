//! The way from text to [`Plan`], and what it depends on.

use crate::Plan;
use crucible_core::{Diagnostic, Diagnostics, Position, StepGrammar};
use std::path::PathBuf;

/// What a plan is read with. Nothing else reaches the reader: it does no I/O.
pub struct ReadOptions<'a> {
    /// The protocols whose steps may stand in a plan.
    pub grammars: &'a [&'a dyn StepGrammar],
    /// Looks a variable up for `${env.NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Folder that relative file names in the plan start from.
    pub folder: PathBuf,
    /// Used instead of the plan's `target`.
    pub target: Option<String>,
    /// Used instead of the plan's `seed`.
    pub seed: Option<u64>,
}

/// Reads and validates a plan. The error holds every mistake and warning of the text in its order; warnings of a
/// good plan are in [`Plan::warnings`]. Never panics, whatever the text.
pub fn read(_text: &str, _options: &ReadOptions<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let diagnostics = Diagnostics::new();
    diagnostics.error(Position { line: 1, column: 1 }, "", "plans cannot be read yet", "");
    Err(diagnostics.into_sorted())
}
