//! From a view to a verdict.

use crate::verdict::{Assessment, TestAssessment, Verdict};
use crate::view::RunView;

/// Judges a run by all criteria. The verdict is the worst of all judgements.
pub fn assess(view: &RunView) -> Assessment {
    let tests = view
        .started
        .tests
        .iter()
        .map(|t| TestAssessment {
            name: t.name.clone(),
            verdict: Verdict::Inconclusive,
            judgements: Vec::new(),
        })
        .collect();
    Assessment { verdict: Verdict::Inconclusive, tests, run: Vec::new() }
}

/// The canonical text of a threshold with `abort` that is broken now; `None` if none is. For the conductor of a live
/// run, to be asked after each window.
pub fn broken_abort(view: &RunView) -> Option<String> {
    let _ = view;
    None
}
