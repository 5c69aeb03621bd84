//! No evidence is no pass: every step and every check of a test was seen to work at least once.
//!
//! A step that was sent and never succeeded fails, whatever the thresholds say. A step that was never sent, and a check
//! that was never made, leave the test inconclusive: in a sequence an earlier step stood in the way, and among weighted
//! tasks the draw may have missed it.

use crate::totals::is_operation;
use crate::verdict::{Judgement, Verdict, counted};
use crate::view::RunView;
use crucible_core::{ErrorClass, Frame, Outcome};
use crucible_record::StepMeta;

const NAME: &str = "evidence";

pub(crate) fn judge(view: &RunView, test: usize) -> Vec<Judgement> {
    let (meta, totals) = (&view.started.tests[test], &view.tests[test]);
    let (frames, all) = (&totals.steps, &totals.all);
    if totals.windows == 0 || all.ended() == 0 {
        let why = "nothing was done in this test, so nothing was shown";
        return vec![
            Judgement::new(NAME, "all steps", "operations", Verdict::Inconclusive, why)
                .remedy("run the test, to its end and with a load above zero"),
        ];
    }
    let mut out = Vec::new();
    for (step, frame) in view.started.steps.iter().zip(frames) {
        // a poll need not come to pass, nor a part of a transaction: the operation before it tells why; but a transaction
        // that was begun and never succeeded does not pass
        let own = is_operation(step) || (step.role == "timed" && attempted(frame) > 0);
        let here = step.test.is_none_or(|of| usize::from(of) == test);
        if meta.scenarios.contains(&step.scenario) && own && here {
            out.extend(judge_step(step, frame));
        }
    }
    let ok = all.of(Outcome::Ok);
    if out.is_empty() && ok == 0 {
        let why = format!("none of {} succeeded", counted(all.ended(), "operation"));
        out.push(Judgement::new(NAME, "all steps", "successes", Verdict::Fail, why).evidence(all.ended()));
    }
    if out.is_empty() {
        let why = "every step and every check was seen to work";
        out.push(Judgement::new(NAME, "all steps", "successes", Verdict::Pass, why).evidence(ok));
    }
    out
}

/// Operations that went out and came to an end of their own.
pub(crate) fn attempted(frame: &Frame) -> u64 {
    frame.ended().saturating_sub(frame.of(Outcome::Dropped)).saturating_sub(frame.of(Outcome::Aborted))
}

fn judge_step(step: &StepMeta, frame: &Frame) -> Vec<Judgement> {
    let (attempted, ok) = (attempted(frame), frame.of(Outcome::Ok));
    let say =
        |measure: &str, verdict, why: String| Judgement::new(NAME, step.name.clone(), measure, verdict, why);
    if attempted == 0 {
        let why = match frame.ended() {
            0 => "it was never sent".to_owned(),
            ended => format!(
                "none of its {} was sent and answered (dropped or cut off)",
                counted(ended, "operation")
            ),
        };
        let remedy = "in a sequence, mend the step before it; among weighted tasks, raise its weight or run longer; at \
                      overload, ask for less";
        return vec![say("samples", Verdict::Inconclusive, why).remedy(remedy)];
    }
    if ok == 0 {
        let why = format!("it never succeeded in {}: {}", counted(attempted, "attempt"), reasons(frame));
        let remedy = "check the request against the system (address, method, credentials, checks); a test whose \
                      operations all fail measures the failure";
        return vec![say("successes", Verdict::Fail, why).evidence(attempted).remedy(remedy)];
    }
    let mut out = Vec::new();
    for (index, check) in step.checks.iter().enumerate() {
        let (held, failed) = frame.checks.get(index).copied().unwrap_or_default();
        if held == 0 {
            let verdict = if failed == 0 { Verdict::Inconclusive } else { Verdict::Fail };
            let why = match failed {
                0 => format!("the check `{check}` was never made in {}", counted(attempted, "operation")),
                _ => format!("the check `{check}` never held: it failed {}", counted(failed, "time")),
            };
            let remedy = "see that the check can apply to the answers, or remove it";
            out.push(say("checks", verdict, why).evidence(held + failed).remedy(remedy));
        }
    }
    out
}

/// The most frequent result codes or error classes: `403 x 120, 405 x 3`.
fn reasons(frame: &Frame) -> String {
    let mut codes: Vec<(String, u64)> =
        frame.codes.iter().map(|(code, times)| (code.to_string(), *times)).collect();
    if codes.is_empty() {
        let classes = ErrorClass::ALL.iter().zip(frame.classes);
        codes = classes
            .filter(|(class, times)| **class != ErrorClass::None && *times > 0)
            .map(|(class, times)| (class.name().to_owned(), times))
            .collect();
    }
    codes.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let told: Vec<String> = codes.iter().take(3).map(|(what, times)| format!("{what} x {times}")).collect();
    if told.is_empty() { "no reason was recorded".into() } else { told.join(", ") }
}
