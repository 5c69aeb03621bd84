//! Operations that failed for want of something on our own machine (file descriptors, ports, memory) say nothing
//! about the target.

use crate::verdict::{Judgement, Unit, Verdict};
use crate::view::RunView;
use crucible_core::ErrorClass;

const NAME: &str = "local";

/// Share of ended operations that may fail for our own reasons.
const ALLOWED: f64 = 0.001;

pub(crate) fn judge(view: &RunView, test: usize) -> Vec<Judgement> {
    let all = &view.tests[test].all;
    let (ours, ended) = (all.classes[ErrorClass::Local as usize], all.ended());
    if ours == 0 || ended == 0 {
        return Vec::new();
    }
    let share = ours as f64 / ended as f64;
    let verdict = if share > ALLOWED { Verdict::Invalid } else { Verdict::Pass };
    let text = view
        .errors
        .iter()
        .find(|e| e.class == ErrorClass::Local.name())
        .map_or(String::new(), |e| format!(" ({:.120})", e.text));
    let why =
        format!("{ours} of {ended} operations failed for want of something on the generator's machine{text}");
    let remedy = match verdict {
        Verdict::Pass => "",
        _ => {
            "raise the limit (`ulimit -n` for file descriptors, more source addresses for ports), keep connections, or \
             use fewer users; `crucible doctor` shows the limits"
        }
    };
    vec![
        Judgement::new(NAME, "generator", "local errors", verdict, why)
            .figure(Unit::Share, share, Some(ALLOWED))
            .evidence(ended)
            .remedy(remedy),
    ]
}
