//! From an answer to an outcome.
//!
//! Without a check on the status: 2xx is ok; 3xx that nobody follows is ok with its code; 429, and 503 with
//! `Retry-After`, is a rejection; other 4xx and 5xx are failures. A check on the status replaces this rule. A
//! failed check is a failure of class `check`, unless the status itself tells more.

use crate::checks::Check;
use crucible_core::{ErrorClass, Outcome};

/// Outcome and class of a complete answer, `failed` of whose checks did not hold.
pub(crate) fn conclude(
    status: u16,
    retry_after: bool,
    checks: &[Check],
    failed: bool,
) -> (Outcome, ErrorClass) {
    let own_rule = checks.iter().any(|check| matches!(check, Check::Status(_)));
    if own_rule && !failed {
        return (Outcome::Ok, ErrorClass::None);
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
