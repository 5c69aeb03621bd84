//! Counts are conserved: what was planned has ended or is under way, in every window and in total.

use crate::verdict::{Judgement, Verdict, counted};
use crate::view::{Completeness, RunView};

const NAME: &str = "conservation";
const REMEDY: &str =
    "this is a fault of the generator, not of the system under test: report it with the exported record";

pub(crate) fn judge(view: &RunView) -> Vec<Judgement> {
    let books = &view.conservation;
    let broken = books.broken_step_windows + books.broken_iteration_windows;
    if let Some(first) = &books.first {
        let why = format!("counts do not add up in {}; the first: {first}", counted(broken, "window"));
        return vec![
            Judgement::new(NAME, "run", "counts", Verdict::Invalid, why).remedy(REMEDY).evidence(broken),
        ];
    }
    let whole = view.completeness() == Completeness::Complete && view.gaps.is_empty();
    for (what, balance) in [("operations", books.steps), ("iterations", books.iterations)] {
        let left = balance.planned != balance.ended;
        if whole && (left || balance.in_flight > 0) {
            let why = format!(
                "{} {what} were planned and {} ended, with {} under way after the end",
                balance.planned, balance.ended, balance.in_flight
            );
            return vec![Judgement::new(NAME, "run", "counts", Verdict::Invalid, why).remedy(REMEDY)];
        }
    }
    let why = format!("{} planned and accounted for", counted(books.steps.planned, "operation"));
    vec![Judgement::new(NAME, "run", "counts", Verdict::Pass, why).evidence(books.steps.planned)]
}
