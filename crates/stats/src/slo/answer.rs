//! What is asked about a limit, and what is said.

/// How sure to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// One-sided error: how often, at most, a pass is said of a figure at its limit, and how often a fail. 0.005.
    pub tail: f64,
    /// The relative distance from the limit that is to be told from the limit: 0.02, for a figure 2 % below or above.
    /// It sets how much evidence is asked for, not the verdict.
    pub resolution: f64,
    /// The chance of a verdict with as much evidence as is asked for, for a figure that far from the limit: 0.95.
    pub power: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tail: 0.005, resolution: 0.02, power: 0.95 }
    }
}

/// Whether the limit is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is, surely enough.
    Pass,
    /// It is not, surely enough.
    Fail,
    /// The evidence does not decide.
    Inconclusive,
}

/// What is said about a limit. Shares are of bad operations: those beyond the limit, or that ended in an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The answer.
    pub answer: Answer,
    /// Operations that were judged.
    pub operations: f64,
    /// Those that were bad.
    pub bad: f64,
    /// The share of bad ones; `NaN` if nothing was judged.
    pub share: f64,
    /// The true share is at least this, with one-sided error `tail`.
    pub low: f64,
    /// The true share is at most this, with one-sided error `tail`.
    pub high: f64,
    /// The share that is allowed.
    pub allowed: f64,
    /// How many independent operations they are worth for this question.
    pub effective: f64,
    /// How many more seconds it takes to decide; `None` where it is decided, or where no reasonable time will do.
    pub more: Option<More>,
}

/// How much more is needed, if things go on as they did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct More {
    /// Seconds until a figure at the resolution's distance from the limit would be decided with the power asked for.
    /// This does not depend on where the figure happens to lie now.
    pub seconds: f64,
    /// Seconds until the figure is decided if it stays exactly where it is; `None` if it lies on the limit.
    pub seconds_as_is: Option<f64>,
}
