//! The run over time, window by window: at most [`MOST_POINTS`] points.

use crate::bounded::{Bounded, Joined};
use crucible_core::{Frame, Histogram, Ns, Outcome, StepId};
use crucible_record::Window;

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

impl Point {
    /// The point of one window; `operations` says by step which are operations of the plan's own, as in
    /// [`crate::Totals::all`].
    pub fn of(window: &Window, operations: &[bool]) -> Point {
        let steps = || {
            let counts = |id: &StepId| operations.get(usize::from(id.0)).copied().unwrap_or(false);
            window.steps.iter().filter(move |(id, _)| counts(id)).map(|(_, frame)| frame)
        };
        let mut judged = Histogram::default();
        for frame in steps() {
            judged.merge(&frame.response);
            judged.merge(&frame.censored);
        }
        let sum =
            |count: &dyn Fn(&Frame) -> u64| steps().fold(0u64, |all, frame| all.saturating_add(count(frame)));
        let wall = window.to.since(window.from).as_secs_f64();
        Point {
            from: window.from,
            to: window.to,
            phase: window.phase,
            due: window.due,
            planned: window.iterations.iter().map(|(_, frame)| frame.planned).sum(),
            ended: sum(&Frame::ended),
            ok: sum(&|frame| frame.of(Outcome::Ok)),
            errors: sum(&Frame::errors),
            p50: judged.quantile(0.5),
            p95: judged.quantile(0.95),
            p99: judged.quantile(0.99),
            users_active: window.users.active,
            users_busy: window.users.busy,
            in_flight: window.in_flight,
            cpu_share: if wall > 0.0 { window.process_cpu.as_secs_f64() / wall } else { 0.0 },
            rss: window.process_rss,
            lag_p99: window.lag.generator.quantile(0.99),
        }
    }
}

impl Joined for Point {
    fn alike(&self, next: &Point) -> bool {
        self.phase == next.phase
    }

    /// Counts add up; see the fields for the rest.
    fn joined(&self, next: &Point) -> Point {
        let (mine, theirs) = (self.seconds(), next.seconds());
        let share =
            |a: f64, b: f64, wa: f64, wb: f64| if wa + wb > 0.0 { (a * wa + b * wb) / (wa + wb) } else { b };
        let p50 = match (self.p50, next.p50) {
            (Some(a), Some(b)) => {
                Some(Ns(share(a.0 as f64, b.0 as f64, self.ended as f64, next.ended as f64).round() as u64))
            }
            (a, b) => a.or(b),
        };
        Point {
            from: self.from,
            due: self.due.saturating_add(next.due),
            planned: self.planned.saturating_add(next.planned),
            ended: self.ended.saturating_add(next.ended),
            ok: self.ok.saturating_add(next.ok),
            errors: self.errors.saturating_add(next.errors),
            p50,
            p95: self.p95.max(next.p95),
            p99: self.p99.max(next.p99),
            cpu_share: share(self.cpu_share, next.cpu_share, mine, theirs),
            lag_p99: self.lag_p99.max(next.lag_p99),
            ..*next
        }
    }
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct Timeline(Bounded<Point>);

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline(Bounded::new(MOST_POINTS))
    }
}

impl Timeline {
    /// The points in order.
    pub fn points(&self) -> &[Point] {
        self.0.points()
    }

    /// The last one.
    pub fn last(&self) -> Option<&Point> {
        self.0.last()
    }

    /// Takes in the next one.
    pub(crate) fn push(&mut self, point: Point) {
        self.0.push(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_seconds_keeps_its_counts_in_bounded_points() {
        let mut timeline = Timeline::default();
        for second in 0..86_400u64 {
            timeline.push(Point {
                from: Ns::from_secs(second),
                to: Ns::from_secs(second + 1),
                ended: 2,
                ok: 1,
                p50: Some(Ns(10)),
                p99: (second == 40_000).then_some(Ns(7)),
                cpu_share: 0.5,
                ..Point::default()
            });
        }
        let points = timeline.points();
        assert!(points.len() <= MOST_POINTS && points.len() > MOST_POINTS / 4, "{}", points.len());
        assert_eq!(points.iter().map(|p| p.ended).sum::<u64>(), 2 * 86_400);
        assert_eq!(points.iter().filter(|p| p.p99.is_some()).count(), 1);
        assert!(points.iter().all(|p| p.p50 == Some(Ns(10)) && (p.cpu_share - 0.5).abs() < 1e-9));
        assert!(points.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!((points[0].from, points[points.len() - 1].to), (Ns::ZERO, Ns::from_secs(86_400)));
        assert!((points[3].ok_rate() - 1.0).abs() < 1e-9);
    }
}
