//! What a test asks for, after its profile has been read: phases of open or closed load.

use crucible_core::Ns;

/// An instant at which one iteration is to begin, counted from the start of its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Number over all shares, from 0.
    pub seq: u64,
    /// When.
    pub at: Ns,
}

/// A stream of arrivals in rising order. Instants, not permits: an instant can be slept on, counted and plotted.
pub trait ArrivalProcess: Send {
    /// The next one; `None` after the last.
    fn next(&mut self) -> Option<Arrival>;
}

/// A piece of a piecewise linear curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// How long.
    pub length: Ns,
    /// Value at its begin (operations per second, or users).
    pub from: f64,
    /// Value at its end.
    pub to: f64,
}

/// A piecewise linear function of the time since the start of the phase; zero after its end.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Curve {
    /// The pieces, one behind the other. Jumps between pieces are allowed.
    pub pieces: Vec<Piece>,
}

/// How arrivals lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Spacing {
    /// At equal distances (in the curve's own time).
    #[default]
    Even,
    /// As a Poisson process, seeded.
    Poisson,
}

/// When a closed phase ends by count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iterations {
    /// All users together.
    Shared(u64),
    /// Each user.
    PerUser(u64),
}

/// Who decides when the next iteration begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Pacing {
    /// The schedule does, whatever the target does.
    Open {
        /// Arrivals per second over time.
        rate: Curve,
        /// How they lie in time.
        spacing: Spacing,
        /// Most users that may be busy at once; beyond it arrivals wait (pool lag).
        max_users: u64,
        /// An arrival that could not be begun this long after its instant is dropped; `None`: waits to the end of
        /// the phase.
        patience: Option<Ns>,
    },
    /// Each user does, when it has finished the one before.
    Closed {
        /// Users over time.
        users: Curve,
        /// End by count instead of (or before) time.
        iterations: Option<Iterations>,
    },
}

/// One phase of a test: a boundary of reporting.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPhase {
    /// Shown in reports: `20 users`, `500/s`, `ramp`.
    pub name: String,
    /// How long; for phases that end by count, the longest that they may take.
    pub length: Ns,
    /// Who decides.
    pub pacing: Pacing,
    /// Named instants inside the phase (stage boundaries), for telling.
    pub marks: Vec<(Ns, String)>,
}

/// The whole load of a test.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Name of the profile's row that it was read by.
    pub profile: &'static str,
    /// Wait before the first phase.
    pub start_delay: Ns,
    /// The phases, one behind the other.
    pub phases: Vec<LoadPhase>,
    /// How long operations in flight at the end of a phase may still take.
    pub graceful_stop: Ns,
}

/// A stretch of time in which one closed-model user is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSpan {
    /// The user, numbered over all shares from 0.
    pub user: u64,
    /// From when, since the start of the phase.
    pub from: Ns,
    /// Until when it may begin iterations.
    pub to: Ns,
}
