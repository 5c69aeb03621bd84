//! Whether something grows without end in a test that is long enough: what components use up, and response times.
//!
//! Place in the flow: readings -> [`Course`] of each series and test -> [`crucible_stats::trend::leak()`] -> thresholds (`leak:
//! none`) and reports. Only the longest stretch of constant load is looked at, where there is one: what grows with the load is
//! no leak.
//!
//! Invariant: at most [`MOST_POINTS`] points for each series; of readings that share one the smallest is kept, so that the
//! troughs of a saw-tooth stay.

use crate::bounded::{Bounded, Joined};
use crate::verdict::Unit;
use crate::view::RunView;
use crate::warmup::{How, settled};
use crucible_core::monitor::{GENERATOR_NAME, USED_UP};
use crucible_core::{Ns, units};
use crucible_stats::trend::{Leak, LeakSettings, leak};

/// Most points of a series in a test.
const MOST_POINTS: usize = 720;
/// The part of the time, and the time, that is left out at the begin: what begins also grows, for a while.
const BEGIN: f64 = 0.25;
const BEGIN_MOST: Ns = Ns::from_secs(300);
/// Less than this is left of a test that is too short to say anything of growth: one of about five minutes. Asked, it says
/// how much longer it takes.
const SOAK: f64 = 0.75 * 300.0;

/// The smallest of a few neighbouring readings.
#[derive(Clone, Copy, Debug)]
struct Trough {
    from: Ns,
    to: Ns,
    count: u32,
    value: f64,
}

impl Joined for Trough {
    fn alike(&self, _: &Trough) -> bool {
        true
    }

    fn joined(&self, next: &Trough) -> Trough {
        let count = self.count.saturating_add(next.count);
        Trough { from: self.from, to: next.to, count, value: self.value.min(next.value) }
    }
}

/// A series over a test.
#[derive(Clone, Debug)]
pub(crate) struct Course(Bounded<Trough>);

impl Course {
    pub(crate) fn new() -> Course {
        Course(Bounded::new(MOST_POINTS))
    }

    /// Takes in the next reading.
    pub(crate) fn push(&mut self, at: Ns, value: f64) {
        if value.is_finite() {
            self.0.push(Trough { from: at, to: at, count: 1, value });
        }
    }

    /// (seconds, value) between two instants; a last point of fewer readings than the others is left out.
    fn between(&self, from: Ns, to: Ns) -> Vec<(f64, f64)> {
        let within = |point: &&Trough| point.from >= from && point.to <= to;
        let mut points: Vec<&Trough> = self.0.points().iter().filter(within).collect();
        if let [.., before, last] = points[..]
            && last.count < before.count
        {
            points.pop();
        }
        let middle = |point: &Trough| 0.5 * (point.from.as_secs_f64() + point.to.as_secs_f64());
        points.into_iter().map(|point| (middle(point), point.value)).collect()
    }
}

/// Less than this part of the level a minute is nothing to tell.
const SMALL: f64 = 1e-4;
/// The same of readings, which do not begin and end with the test.
const SHORTEST: f64 = 0.9 * SOAK;

/// Whether one thing grows.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// What: `api.memory`, `response time`.
    pub subject: String,
    /// Unit of its values.
    pub unit: Unit,
    /// What there is of it, by the plan.
    pub limit: Option<f64>,
    /// Its mean.
    pub level: f64,
    /// Whether its end lies above its begin.
    pub rose: bool,
    /// For how many seconds it was looked at.
    pub seconds: f64,
    /// The answer; slopes are a second.
    pub leak: Leak,
}

impl Growth {
    fn of(subject: String, unit: Unit, limit: Option<f64>, readings: &[(f64, f64)]) -> Growth {
        let seconds = match (readings.first(), readings.last()) {
            (Some(first), Some(last)) => last.0 - first.0,
            _ => 0.0,
        };
        let leak = match leak(readings, &LeakSettings { limit, ..LeakSettings::default() }) {
            _ if seconds < SHORTEST => {
                Leak::Undecided { why: "what begins also grows", seconds: (SOAK - seconds) / (1.0 - BEGIN) }
            }
            other => other,
        };
        let level = readings.iter().map(|(_, value)| value).sum::<f64>() / readings.len().max(1) as f64;
        let tenth = readings.len().div_ceil(10).min(readings.len());
        let sum = |part: &[(f64, f64)]| part.iter().map(|(_, value)| value).sum::<f64>();
        let rose = sum(&readings[readings.len() - tenth..]) > sum(&readings[..tenth]);
        Growth { subject, unit, limit, level, rose, seconds, leak }
    }

    /// What people read, without the subject: `grows 1.02MB a minute (95 %: 0.98MB to 1.05MB), exhausted in 41m`.
    pub fn words(&self) -> String {
        let show = |slope: f64| self.unit.show(60.0 * slope);
        let span = |seconds: f64| units::show_duration(Ns::from_secs_f64(seconds.clamp(1.0, 1e9).ceil()));
        match &self.leak {
            Leak::Found { slope, exhausted_in } => {
                let (low, high) = (show(slope.low), show(slope.high));
                let left = exhausted_in.map_or(String::new(), |left| match left {
                    left if left < 1.0 => ", exhausted now".into(),
                    left => format!(", exhausted in {}", span(left)),
                });
                format!("grows {} a minute (95 %: {low} to {high}){left}", show(slope.value))
            }
            Leak::None { .. } if !self.rose => "does not grow".into(),
            Leak::None { like: "levels off", .. } => "levels off".into(),
            Leak::None { like: "one step", .. } => "made one step and stays there".into(),
            Leak::None { excluded, .. } if 60.0 * excluded < SMALL * self.level => "does not grow".into(),
            Leak::None { excluded, .. } => format!("does not grow (less than {} a minute)", show(*excluded)),
            Leak::Undecided { why, seconds } => {
                format!("undecided: {why}; {} more would tell", span(*seconds))
            }
        }
    }
}

/// The longest stretch of constant load of a test without its warm-up, or the whole test, without its first quarter (five
/// minutes at most).
fn stretch(view: &RunView, test: usize) -> (Option<usize>, Ns, Ns) {
    let totals = &view.tests[test];
    let settled = settled(view, test);
    let phases = view.started.phases.iter().enumerate().filter(|(_, meta)| usize::from(meta.test) == test);
    let constant = phases.filter_map(|(phase, meta)| {
        let (began, (from, to)) = (view.phases[phase].from?, meta.constant?);
        let cut = settled.iter().find_map(|one| match one.how {
            How::WarmedUp { cut, .. } if one.phase == phase => Some(cut),
            _ => None,
        });
        let (from, to) = (began + from, (began + to).min(view.phases[phase].to));
        let from = begun(from, to).max(began + cut.unwrap_or(Ns::ZERO));
        (to > from).then_some((Some(phase), from, to))
    });
    let from = totals.from.unwrap_or(Ns::ZERO);
    let whole = (None, begun(from, totals.to), totals.to);
    constant.max_by_key(|(_, from, to)| to.since(*from)).unwrap_or(whole)
}

/// When a stretch is over its begin.
fn begun(from: Ns, to: Ns) -> Ns {
    from + Ns((BEGIN * to.since(from).0 as f64) as u64).min(BEGIN_MOST)
}

/// Whether one series grows in a test, however short it is.
pub(crate) fn of_series(view: &RunView, test: usize, series: usize) -> Growth {
    let (_, from, to) = stretch(view, test);
    series_between(view, test, series, (from, to))
}

fn series_between(view: &RunView, test: usize, series: usize, (from, to): (Ns, Ns)) -> Growth {
    let meta = &view.started.series[series];
    let readings =
        view.courses[test][series].as_ref().map_or_else(Vec::new, |course| course.between(from, to));
    let subject = format!("{}.{}", meta.component, meta.name);
    Growth::of(subject, Unit::of_series(&meta.unit), meta.limit, &readings)
}

/// What grows, and what does not, in a test of five minutes and more: what components use up, and response times under
/// constant load. Nothing of shorter ones.
pub fn growth(view: &RunView, test: usize) -> Vec<Growth> {
    let (phase, from, to) = stretch(view, test);
    if to.since(from).as_secs_f64() < SOAK {
        return Vec::new();
    }
    let used_up = view
        .started
        .series
        .iter()
        .enumerate()
        .filter(|(_, meta)| meta.component != GENERATOR_NAME && USED_UP.contains(&meta.name.as_str()));
    let mut all: Vec<Growth> =
        used_up.map(|(series, _)| series_between(view, test, series, (from, to))).collect();
    if let Some(phase) = phase {
        let times = view.settling[phase].response_times(from);
        all.push(Growth::of("response time".into(), Unit::Duration, None, &times));
    }
    all.retain(|growth| growth.seconds >= SHORTEST);
    all
}

/// Whether a series is one that is kept for [`growth`].
pub(crate) fn is_kept(name: &str) -> bool {
    USED_UP.contains(&name)
}
