//! From an answer to an outcome.
//!
//! Without a check on the status: 2xx is ok; 3xx that nobody follows is ok with its code; 429, and 503 with
//! `Retry-After`, is a rejection; other 4xx and 5xx are failures. A check on the status replaces this rule. A
//! failed check is a failure of class `check`, unless a status that the plan did not ask for tells more.

use crate::answer::Answer;
use crate::checks::Check;
use crate::decode::decode;
use crate::exchange::Incoming;
use crate::fault::Fault;
use crate::head::Encoding;
use crate::prepare::Prepared;
use crate::protocol::Shard;
use crucible_core::{ErrorClass, Outcome, Probe, Scope};

/// Outcome and class of a complete answer, `failed` of whose checks did not hold.
pub(crate) fn conclude(
    status: u16,
    retry_after: bool,
    checks: &[Check],
    failed: bool,
) -> (Outcome, ErrorClass) {
    let accepted = checks.iter().find_map(|check| match check {
        Check::Status(wanted) => Some(wanted.contains(status)),
        _ => None,
    });
    // what the plan asked for is no error by its code, whatever else is wrong with it
    match (accepted, failed) {
        (Some(true), false) => return (Outcome::Ok, ErrorClass::None),
        (Some(true), true) => return (Outcome::Failed, ErrorClass::Check),
        _ => {}
    }
    match status {
        429 => (Outcome::Rejected, ErrorClass::Throttled),
        503 if retry_after => (Outcome::Rejected, ErrorClass::ServerError),
        400..=499 => (Outcome::Failed, ErrorClass::ClientError),
        // codes above 599 are treated as 5xx (RFC 9110 15)
        500.. => (Outcome::Failed, ErrorClass::ServerError),
        _ if failed => (Outcome::Failed, ErrorClass::Check),
        _ => (Outcome::Ok, ErrorClass::None),
    }
}

/// Replaces a kept body by its decoded form.
pub(crate) fn decode_body(shard: &Shard, answer: &mut Incoming) -> Result<(), (ErrorClass, &'static str)> {
    if answer.head.encoding == Encoding::Identity || !shard.settings.decompress {
        return Ok(());
    }
    if let Some(body) = answer.sink.keep.take() {
        answer.sink.keep = Some(decode(body, answer.head.encoding, shard.settings.max_body)?);
    }
    Ok(())
}

/// Outcome and class of a complete answer, with all that the plan asks of it: checks, then saves, then conditions on
/// what is saved, then measures. What comes later is looked at only if everything before it held.
pub(crate) fn judge(
    step: &Prepared,
    answer: &Answer<'_>,
    retry_after: bool,
    scope: &mut Scope,
    probe: &mut Probe<'_>,
) -> (Outcome, ErrorClass) {
    let mut failed = false;
    for (index, check) in step.checks.iter().enumerate().filter(|(_, check)| !check.comes_last()) {
        failed |= !noted(probe, index, check.holds(answer, scope));
    }
    let end = |failed: bool| conclude(answer.status, retry_after, &step.checks, failed);
    if failed || !step.takes || end(false).0 != Outcome::Ok {
        return end(failed);
    }
    let mut bit = step.checks.len();
    for save in &step.saves {
        let there = save.save(answer, scope);
        if !save.optional && save.default.is_none() {
            failed |= !noted(probe, bit, there);
            bit += 1;
        }
    }
    if failed {
        return end(true);
    }
    for (index, check) in step.checks.iter().enumerate().filter(|(_, check)| check.comes_last()) {
        failed |= !noted(probe, index, check.holds(answer, scope));
    }
    if failed {
        return end(true);
    }
    for (index, feed) in step.feeds.iter().enumerate() {
        let value = feed.value(answer, scope);
        if let Some(value) = value {
            probe.measure(index, value);
        }
        if !feed.optional {
            failed |= !noted(probe, bit, value.is_some());
            bit += 1;
        }
    }
    if failed {
        // an answer counts as a whole or not at all
        probe.measures.clear();
    }
    end(failed)
}

fn noted(probe: &mut Probe<'_>, index: usize, holds: bool) -> bool {
    probe.check(index, holds);
    holds
}

/// What went wrong, for people; `failed` has a bit for each check that did not hold, `broken` says why a body was not read.
pub(crate) fn failure_text(status: u16, step: &Prepared, failed: u64, broken: Option<&str>) -> String {
    let names = step.check_names.iter().enumerate().filter(|(index, _)| failed >> index & 1 == 1);
    let names: Vec<&str> = names.map(|(_, name)| name.as_str()).collect();
    let broken = broken.map(|text| format!(" ({text})")).unwrap_or_default();
    match names.as_slice() {
        [] => format!("status {status}"),
        names => format!("status {status}; did not hold: {}{broken}", names.join(", ")),
    }
}

/// Notes a fault.
pub(crate) fn fail(fault: &Fault, probe: &mut Probe<'_>) -> Outcome {
    probe.fail(fault.class(), || fault.text());
    fault.outcome()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::ValueTest;
    use crate::status::StatusMatch;

    #[test]
    fn an_asked_for_status_is_never_the_reason() {
        let checks = [Check::Status(StatusMatch::from(404)), Check::Body(ValueTest::Exists(true))];
        assert_eq!(conclude(404, false, &checks, false), (Outcome::Ok, ErrorClass::None));
        assert_eq!(conclude(404, false, &checks, true), (Outcome::Failed, ErrorClass::Check));
        assert_eq!(conclude(410, false, &checks, true), (Outcome::Failed, ErrorClass::ClientError));
        assert_eq!(conclude(429, false, &checks[1..], true), (Outcome::Rejected, ErrorClass::Throttled));
        assert_eq!(conclude(404, false, &checks[1..], false), (Outcome::Failed, ErrorClass::ClientError));
    }
}
