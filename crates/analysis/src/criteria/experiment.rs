//! What an experiment came to: its finding is the verdict, not the tests that it was made of.
//!
//! The trials of a search are meant to fail at loads that are too high, and the slices of a duet are too short to be judged
//! one by one. Whoever made the experiment has judged its validity, the generator's lateness included, and said so beside
//! the finding. Without one the experiment was not finished, and nothing is known.

use crate::verdict::{Judgement, Verdict};
use crate::view::RunView;

const NAME: &str = "experiment";

pub(crate) fn judge(view: &RunView) -> Vec<Judgement> {
    let kind = view.started.experiment.as_str();
    if kind.is_empty() {
        return Vec::new();
    }
    let found = view.findings.iter().rev().find(|finding| finding.kind == kind);
    let say = |verdict, why: String| Judgement::new(NAME, kind, "finding", verdict, why);
    vec![match found.map(|finding| (Verdict::from_name(&finding.verdict), finding)) {
        Some((Some(verdict), finding)) => say(verdict, finding.why.clone()),
        Some((None, _)) => say(Verdict::Inconclusive, "its finding says nothing of what it means".into())
            .remedy("run it again with this version"),
        None => say(Verdict::Inconclusive, "it was not finished: nothing was found".into())
            .remedy("let it run to its end"),
    }]
}
