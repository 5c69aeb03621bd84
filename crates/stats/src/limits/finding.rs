//! What a probing found.

use super::honesty::Told;
use super::rule::{Class, Rule};

/// What it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A limiter; see [`Finding::rule`].
    Limiter,
    /// Nothing was refused or held back, up to [`Finding::rate`].
    None,
    /// Errors of a server that has too much to do, or is broken; they say nothing about a limiter.
    Overload,
    /// No request passed at all, so there was nothing to limit.
    Untestable,
    /// Refusals that no rule explains, or time ran out; why.
    Unknown(&'static str),
}

/// One experiment that was made.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it was.
    pub about: &'static str,
    /// When it began, seconds since the begin of the probing.
    pub at: f64,
    /// How long it took, seconds.
    pub took: f64,
    /// Requests sent.
    pub sent: u64,
    /// Requests that passed.
    pub passed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// The likeliest class after it, and its probability.
    pub favourite: Option<(Class, f64)>,
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it came to.
    pub outcome: Outcome,
    /// The limiter, if there is one.
    pub rule: Option<Rule>,
    /// Probability of its class, given that it is one of those that are known.
    pub probability: f64,
    /// Probability that two rules which explain all that was seen say different things: as long as it is not small, the
    /// figures are not settled.
    pub doubt: f64,
    /// Whether further experiments came out as the rule foretold.
    pub confirmed: bool,
    /// Classes that were weighed, the likeliest first.
    pub others: Vec<(Class, f64)>,
    /// Shortest and longest window that explains what was seen, seconds.
    pub window: (f64, f64),
    /// Of a lock-out that grows: for each lock how long it lasted at least and at most, seconds; else empty.
    pub locks: Vec<(f64, f64)>,
    /// For each variant of the request: above 5 it has a count of its own, below -5 it shares that of the plain one.
    pub keys: Vec<(u8, f64)>,
    /// When the class was known, seconds since the begin.
    pub decided: Option<f64>,
    /// How long it took, seconds.
    pub elapsed: f64,
    /// Requests sent.
    pub requests: u64,
    /// The fastest that requests passed without a refusal, in requests a second.
    pub rate: f64,
    /// What was done.
    pub steps: Vec<Step>,
    /// What headers said, and whether it is true.
    pub headers: Vec<Told>,
    /// How often each status came; 0 is no answer.
    pub statuses: Vec<(u16, u64)>,
    /// Whether it was pressed on to find a second limit.
    pub pressed: bool,
}

/// Least probability of a class, and most doubt about its figures, at which it is known.
const KNOWN: (f64, f64) = (0.95, 0.05);

impl Finding {
    /// Whether class and figures of a limiter are known, and have foretold what came then.
    pub fn known(&self) -> bool {
        self.rule.is_some() && self.confirmed && self.probability >= KNOWN.0 && self.doubt <= KNOWN.1
    }

    /// Windows that it took to know the class.
    pub fn windows(&self) -> Option<f64> {
        let rule = self.rule?;
        (rule.class != Class::Concurrency).then_some(self.decided? / rule.memory())
    }

    /// Whether a header lies; what is not known itself calls nobody a liar.
    pub fn lies(&self) -> bool {
        self.known() && self.headers.iter().any(|told| !told.true_enough)
    }
}
