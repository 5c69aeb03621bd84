//! The record is whole: no gaps, no damage, no note that condemns it, and an end. A component that could not be read is
//! another matter: what is demanded of it is not shown, the rest is not touched by it.

use crate::verdict::{Judgement, Verdict, counted};
use crate::view::{Completeness, RunView};
use crucible_record::NoteKind;

const NAME: &str = "record";

pub(crate) fn judge(view: &RunView) -> Vec<Judgement> {
    let mut out = Vec::new();
    let invalid = |measure: &str, why: String| Judgement::new(NAME, "record", measure, Verdict::Invalid, why);
    if view.completeness() == Completeness::Open {
        let why = format!("incomplete: the record ends at {} without an end, the run was killed", view.now());
        out.push(invalid("end", why).remedy("run it again"));
    }
    let gaps = || view.gaps.iter().filter(|gap| gap.component.is_empty());
    if let Some(first) = gaps().next() {
        let count = gaps().count() as u64;
        let why = format!(
            "{} in what was observed; the first, from {}: {}",
            counted(count, "gap"),
            first.from,
            first.text
        );
        out.push(
            invalid("gaps", why).evidence(count).remedy("mend the cause that the gap names and run it again"),
        );
    }
    if view.invalidated {
        let condemned = view.notes.iter().find(|note| note.kind == NoteKind::Invalid);
        let why =
            condemned.map_or("a note that is no longer kept says so".to_owned(), |note| note.text.clone());
        out.push(invalid("notes", why).remedy("mend the cause and run it again"));
    }
    if out.is_empty() {
        let windows: u64 = view.tests.iter().map(|test| test.windows).sum();
        let why = "the record is complete and without gaps";
        out.push(Judgement::new(NAME, "record", "end", Verdict::Pass, why).evidence(windows));
    }
    out
}
