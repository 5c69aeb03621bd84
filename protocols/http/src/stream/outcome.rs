//! From what came to an outcome: demands, values to keep, refusals.

use super::line::Accepted;
use super::message::Message;
use super::protocol::PreparedStep;
use super::step::Demand;
use crate::head;
use crucible_core::{ErrorClass, Outcome, Probe, Scope, Value};

/// What an operation has come to.
#[derive(Default)]
pub(crate) struct Done {
    /// The answer to the handshake, if there was one.
    pub(crate) said: Option<Accepted>,
    /// The message that was waited for.
    pub(crate) message: Option<Message>,
    /// The code that the peer closed with.
    pub(crate) closed: Option<u16>,
}

/// The outcome that goes with a class.
pub(crate) fn outcome_of(class: ErrorClass) -> Outcome {
    match class {
        ErrorClass::None => Outcome::Ok,
        ErrorClass::Timeout => Outcome::TimedOut,
        ErrorClass::Throttled => Outcome::Rejected,
        _ => Outcome::Failed,
    }
}

/// The server answered the handshake with something else than an open line.
pub(crate) fn refusal(step: &PreparedStep, done: &Done, probe: &mut Probe<'_>) -> Outcome {
    let Some(said) = &done.said else { return Outcome::Failed };
    let mut asked = None;
    for (index, demand) in step.spec.demands.iter().enumerate() {
        if let Demand::Status(wanted) = demand {
            let holds = wanted.contains(said.status);
            probe.check(index, holds);
            asked = Some(asked.unwrap_or(true) && holds);
        }
    }
    if asked == Some(true) {
        return Outcome::Ok;
    }
    let (outcome, class) = match said.status {
        429 => (Outcome::Rejected, ErrorClass::Throttled),
        503 if said.retry_after => (Outcome::Rejected, ErrorClass::ServerError),
        400..=499 => (Outcome::Failed, ErrorClass::ClientError),
        500.. => (Outcome::Failed, ErrorClass::ServerError),
        _ => (Outcome::Failed, ErrorClass::Unexpected),
    };
    probe.fail(class, || format!("the server answered the handshake with status {}", said.status));
    outcome
}

/// Looks at all demands, keeps values.
pub(crate) fn conclude(
    step: &PreparedStep,
    done: &Done,
    scope: &mut Scope,
    probe: &mut Probe<'_>,
) -> Outcome {
    let spec = &step.spec;
    for (index, demand) in spec.demands.iter().enumerate() {
        let holds = match (demand, &done.said, &done.message) {
            (Demand::Status(wanted), Some(said), _) => Some(wanted.contains(said.status)),
            (Demand::Header(name, condition), Some(said), _) => {
                let mut values = head::values(&said.head, name);
                Some(values.any(|value| condition.holds(&Message::new(value.to_vec(), false), scope)))
            }
            (Demand::Message(condition), _, Some(message)) => Some(condition.holds(message, scope)),
            (Demand::Closed(codes), ..) => {
                done.closed.map(|code| code != 0 && (codes.is_empty() || codes.contains(&code)))
            }
            _ => None,
        };
        if let Some(holds) = holds {
            probe.check(index, holds);
        }
    }
    for (index, keep) in spec.keeps.iter().enumerate() {
        let value = match (&keep.from, &done.said, &done.message) {
            (Ok(part), _, Some(message)) => part.value(message),
            (Err(header), Some(said), _) => {
                let mut values = head::values(&said.head, header);
                values.next().map(|value| Value::text(&String::from_utf8_lossy(value)))
            }
            _ => None,
        };
        probe.check(spec.demands.len() + index, value.is_some());
        scope.set(keep.slot, value.unwrap_or_default());
    }
    if probe.checks_failed == 0 {
        return Outcome::Ok;
    }
    let failed = probe.checks_failed;
    probe.fail(ErrorClass::Check, || {
        let names = spec.check_names().into_iter().enumerate();
        let names: Vec<String> =
            names.filter(|(index, _)| failed >> index & 1 == 1).map(|(_, name)| name).collect();
        format!("did not hold: {}", names.join(", "))
    });
    Outcome::Failed
}
