//! From an answer to an outcome.
//!
//! Without a check on the status: 2xx is ok; 3xx that nobody follows is ok with its code; 429, and 503 with
//! `Retry-After`, is a rejection; other 4xx and 5xx are failures. A check on the status replaces this rule. A
//! failed check is a failure of class `check`, unless a status that the plan did not ask for tells more.

use crate::checks::{Answer, Check};
use crate::decode::decode;
use crate::exchange::Incoming;
use crate::fault::Fault;
use crate::head::Encoding;
use crate::prepare::Prepared;
use crate::protocol::Shard;
use crucible_core::{ErrorClass, Ns, Outcome, Probe};

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

/// Notes the result of every check; tells whether one failed.
pub(crate) fn check(step: &Prepared, answer: &Incoming, latency: Ns, probe: &mut Probe<'_>) -> bool {
    let seen = Answer {
        status: answer.head.status,
        head: &answer.kept_head,
        body: answer.sink.keep.as_deref(),
        size: answer.sink.seen,
        latency,
    };
    let mut json = None;
    let mut failed = false;
    for (index, check) in step.checks.iter().enumerate() {
        let holds = check.holds(&seen, &mut json);
        probe.check(index, holds);
        failed |= !holds;
    }
    failed
}

/// What went wrong, for people; `failed` has a bit for each check that did not hold.
pub(crate) fn failure_text(status: u16, step: &Prepared, failed: u64) -> String {
    let names: Vec<String> = step
        .checks
        .iter()
        .enumerate()
        .filter(|(index, _)| failed >> index & 1 == 1)
        .map(|(_, c)| c.name())
        .collect();
    match names.as_slice() {
        [] => format!("status {status}"),
        names => format!("status {status}; did not hold: {}", names.join(", ")),
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
    use crate::checks::{StatusMatch, ValueTest};

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
