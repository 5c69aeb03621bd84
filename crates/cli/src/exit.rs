//! Exit codes. Documented in `docs/reference/exit-codes.md`; append only.

use crucible_analysis::Verdict;

/// Everything held.
pub const PASS: u8 = 0;
/// A fault of the tool or its environment.
pub const INTERNAL: u8 = 1;
/// A mistake in the command or the plan.
pub const USAGE: u8 = 2;
/// The measurement cannot be trusted.
pub const INVALID: u8 = 97;
/// The evidence does not decide.
pub const INCONCLUSIVE: u8 = 98;
/// A threshold does not hold.
pub const FAIL: u8 = 99;
/// The user stopped it.
pub const INTERRUPTED: u8 = 130;

/// The code of a verdict.
pub fn of(verdict: Verdict, allow_inconclusive: bool) -> u8 {
    match verdict {
        Verdict::Pass => PASS,
        Verdict::Inconclusive if allow_inconclusive => PASS,
        Verdict::Inconclusive => INCONCLUSIVE,
        Verdict::Fail => FAIL,
        Verdict::Invalid => INVALID,
    }
}

/// An error for the user: the code to end with and what to say.
#[derive(Debug)]
pub struct CliError {
    /// Exit code.
    pub code: u8,
    /// What happened, where, and what to do; may have several lines.
    pub text: String,
}

impl CliError {
    /// A mistake in the command or the plan.
    pub fn usage(text: impl Into<String>) -> CliError {
        CliError { code: USAGE, text: text.into() }
    }

    /// A fault of the tool or its environment.
    pub fn internal(text: impl Into<String>) -> CliError {
        CliError { code: INTERNAL, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_never_change_and_nothing_turns_invalid_into_success() {
        let all = [PASS, INTERNAL, USAGE, INVALID, INCONCLUSIVE, FAIL, INTERRUPTED];
        assert_eq!(all, [0, 1, 2, 97, 98, 99, 130]);
        assert_eq!(of(Verdict::Invalid, true), 97);
        assert_eq!((of(Verdict::Inconclusive, true), of(Verdict::Inconclusive, false)), (0, 98));
        assert_eq!(of(Verdict::Fail, true), 99);
    }
}
