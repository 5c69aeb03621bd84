//! The run over time, in a bounded number of points.
//!
//! Invariant: at most [`MOST_POINTS`] points; when one more comes, neighbours are merged pairwise, so that a run of
//! any length is told with equal detail over its length.

use crucible_core::Ns;

/// Most points that are kept.
pub const MOST_POINTS: usize = 3_600;

/// What happened in one window, or in several neighbouring ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Begin, on the run's clock.
    pub from: Ns,
    /// End.
    pub to: Ns,
    /// Index of the phase.
    pub phase: u16,
    /// Iterations that the schedule wanted (open load).
    pub due: u64,
    /// Iterations that were begun or claimed.
    pub planned: u64,
    /// Operations that ended, however.
    pub ended: u64,
    /// `Ok` operations.
    pub ok: u64,
    /// Errors.
    pub errors: u64,
    /// Median of the judged response time; `None` if nothing ended. Of merged points: the mean, weighted by `ended`.
    pub p50: Option<Ns>,
    /// As `p50`; of merged points the larger one.
    pub p95: Option<Ns>,
    /// As `p95`.
    pub p99: Option<Ns>,
    /// Active users at the end.
    pub users_active: u64,
    /// Users in an iteration at the end.
    pub users_busy: u64,
    /// Operations under way at the end.
    pub in_flight: u64,
    /// CPU that the generator process used, as a share of one core (may exceed 1).
    pub cpu_share: f64,
    /// Resident memory of the generator process at the end, bytes.
    pub rss: u64,
    /// p99 of the generator's lateness.
    pub lag_p99: Option<Ns>,
}

impl Point {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.to.since(self.from).as_secs_f64()
    }

    /// `Ok` operations per second; 0 for an empty stretch.
    pub fn ok_rate(&self) -> f64 {
        self.per_second(self.ok)
    }

    /// Iterations begun per second.
    pub fn planned_rate(&self) -> f64 {
        self.per_second(self.planned)
    }

    /// Iterations that the schedule wanted per second.
    pub fn due_rate(&self) -> f64 {
        self.per_second(self.due)
    }

    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }
}

/// See the module text.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    points: Vec<Point>,
}

impl Timeline {
    /// The points in order.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The last one.
    pub fn last(&self) -> Option<&Point> {
        self.points.last()
    }
}
