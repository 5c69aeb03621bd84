//! Why the run ended: completed, stopped by the user, stopped by a threshold, or by a fault of ours.

use crate::verdict::{Judgement, Verdict};
use crate::view::RunView;
use crucible_record::StopReason;

const NAME: &str = "ending";

pub(crate) fn judge(view: &RunView) -> Vec<Judgement> {
    let Some(finished) = &view.finished else { return Vec::new() };
    let say = |verdict, why: String| Judgement::new(NAME, "run", "end", verdict, why);
    vec![match &finished.reason {
        StopReason::Completed => say(Verdict::Pass, "everything planned was done".into()),
        StopReason::Interrupted => {
            say(Verdict::Inconclusive, format!("the run was interrupted at {}", finished.at))
                .remedy("let it run to its end")
        }
        StopReason::Threshold(text) => say(
            Verdict::Fail,
            format!("the run was aborted at {} because a threshold was broken: {text}", finished.at),
        )
        .remedy("see the judgement on that threshold"),
        StopReason::Error(text) => {
            say(Verdict::Invalid, format!("the generator failed at {}: {text}", finished.at))
                .remedy("mend the cause and run it again")
        }
    }]
}
