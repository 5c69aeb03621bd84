//! From a view to a verdict: all criteria, the worst judgement wins.

use crate::criteria::{CRITERIA, Scope, thresholds};
use crate::verdict::{Assessment, Judgement, TestAssessment, Verdict};
use crate::view::RunView;
use crate::warmup::Cut;
use crucible_core::Ns;

/// The criteria that the parts of an experiment are judged by one by one: what fails for want of something on our own machine
/// is no answer of the target. The rest is for the whole.
const OF_PARTS: &[&str] = &["local"];

/// Judges a run by all criteria. The verdict is the worst of all judgements; a run without tests is inconclusive
/// unless it is an experiment.
/// A pure function of the view, and so of the record.
pub fn assess(view: &RunView) -> Assessment {
    let experiment = !view.started.experiment.is_empty();
    let tests: Vec<TestAssessment> = view
        .started
        .tests
        .iter()
        .enumerate()
        .map(|(index, meta)| {
            let judgements: Vec<Judgement> = CRITERIA
                .iter()
                .flat_map(|criterion| match criterion.scope {
                    Scope::Test(_) if experiment && !OF_PARTS.contains(&criterion.name) => Vec::new(),
                    Scope::Test(judge) => judge(view, index),
                    Scope::Run(_) => Vec::new(),
                })
                .collect();
            // nothing is asked of a part of an experiment, so nothing is missing
            let asked = !experiment || !judgements.is_empty();
            let verdict =
                if asked { Verdict::worst(judgements.iter().map(|j| j.verdict)) } else { Verdict::Pass };
            TestAssessment { name: meta.name.clone(), verdict, judgements }
        })
        .collect();
    let run: Vec<Judgement> = CRITERIA
        .iter()
        .flat_map(|criterion| match criterion.scope {
            Scope::Run(judge) => judge(view),
            Scope::Test(_) => Vec::new(),
        })
        .collect();
    // a search may be made of single requests, without tests
    let of_tests = match tests.as_slice() {
        [] if experiment => Verdict::Pass,
        tests => Verdict::worst(tests.iter().map(|test| test.verdict)),
    };
    let verdict = Verdict::worst(run.iter().map(|j| j.verdict)).max(of_tests);
    Assessment { verdict, tests, run }
}

/// The canonical text of a threshold with `abort` that is broken now; `None` if none is. For the conductor of a live
/// run, to be asked after each window.
///
/// A threshold with `over` is broken when its last stretch is. Others are broken when the whole test so far fails them
/// beyond reasonable doubt: because the question is asked after every window, with a one-sided error of 0.1 %. A warm-up is
/// not left out: what is left out is known only at the end.
pub fn broken_abort(view: &RunView) -> Option<String> {
    let test = usize::from(view.started.phases.get(view.current_phase?)?.test);
    let began = view.tests.get(test)?.from?;
    let elapsed = view.now().since(began);
    let broken = view.trackers[test].iter().filter(|tracker| tracker.threshold.abort).find(|tracker| {
        match &tracker.stretches {
            Some(stretches) => stretches.broken_now,
            None => {
                elapsed >= tracker.threshold.after
                    && elapsed > Ns::ZERO
                    && thresholds::judge_one(view, test, tracker, thresholds::ABORT_TAILS, &Cut::default())
                        .verdict
                        == Verdict::Fail
            }
        }
    });
    broken.map(|tracker| tracker.text.clone())
}
