//! Levels of load from a record.

use crate::totals::Totals;
use crate::view::RunView;
use crucible_core::{Frame, Ns, Outcome};
use crucible_record::Model;

/// What the load of a level counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// Virtual users of closed load, their pauses included.
    Users,
    /// Operations under way in the system on average: throughput times mean service time (Little 1961).
    Concurrency,
    /// Instances, cores, or whatever the user gave a number for.
    Given(String),
}

impl Over {
    /// The word for it.
    pub fn word(&self) -> &str {
        match self {
            Over::Users => "users",
            Over::Concurrency => "at once",
            Over::Given(word) => word,
        }
    }
}

/// One measured level of load.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Its name: that of the phase, trial or run.
    pub name: String,
    /// The load.
    pub load: f64,
    /// `Ok` operations a second.
    pub throughput: f64,
    /// How much time it rests on, seconds.
    pub seconds: f64,
    /// Errors as a share.
    pub errors: f64,
    /// Mean service time.
    pub service: Option<Ns>,
    /// 95th percentile of the response time.
    pub p95: Option<Ns>,
    /// By series of the record: mean and largest of its readings; `None` where there were none.
    pub series: Vec<Option<(f64, f64)>>,
}

/// Levels that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// The test, or `capacity search`.
    pub test: String,
    /// What their load counts.
    pub over: Over,
    /// By rising load.
    pub levels: Vec<Level>,
    /// Levels that were left out, and why.
    pub left_out: Vec<String>,
}

/// Fewest operations and seconds of a level.
const FEWEST: u64 = 30;
const SHORTEST: f64 = 1.0;
/// Share of arrivals that must have ended in their phase: below, the backlog grew, and there was no steady level.
const KEPT_UP: f64 = 0.97;
/// Times that a user must have gone round.
const ROUNDS: f64 = 2.0;
/// Share of a phase after which its users may be on their way out.
const WHOLE: f64 = 0.97;
/// Errors beyond this share: the system did not do the work that is counted.
const ERRORS: f64 = 0.05;

/// The ladders of a record: one for each test with several phases; one for all trials of a capacity search.
pub fn ladders(view: &RunView) -> Vec<Levels> {
    let search = view.findings.iter().any(|finding| finding.kind == "capacity");
    let phases = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let all = view.started.phases.iter().enumerate();
        all.filter(|(_, meta)| wanted(usize::from(meta.test))).map(|(index, _)| index).collect()
    };
    if search {
        return ladder(view, "capacity search", &phases(&|_| true)).into_iter().collect();
    }
    let tests = view.started.tests.iter().enumerate();
    tests
        .filter_map(|(test, meta)| ladder(view, &meta.name, &phases(&|of| of == test)))
        .filter(|ladder| ladder.levels.len() + ladder.left_out.len() > 1)
        .collect()
}

fn ladder(view: &RunView, test: &str, phases: &[usize]) -> Option<Levels> {
    let first = view.started.phases.get(*phases.first()?)?;
    let over = if first.model == Model::Open { Over::Concurrency } else { Over::Users };
    let (mut levels, mut left_out) = (Vec::new(), Vec::new());
    for index in phases.iter().copied() {
        let name = name_of(view, index, phases.len());
        match level(view, index, &over) {
            Ok(level) => levels.push(Level { name, ..level }),
            Err(why) => left_out.push(format!("{name}: {why}")),
        }
    }
    levels.sort_by(|a, b| a.load.total_cmp(&b.load));
    Some(Levels { test: test.to_owned(), over, levels, left_out })
}

/// Trials have one phase each, and their test's name says more.
fn name_of(view: &RunView, phase: usize, of: usize) -> String {
    let meta = &view.started.phases[phase];
    let alone = view.started.phases.iter().filter(|other| other.test == meta.test).count() == 1;
    let test = view.started.tests.get(usize::from(meta.test)).filter(|_| alone && of > 1);
    test.map_or(&meta.name, |test| &test.name).clone()
}

fn level(view: &RunView, index: usize, over: &Over) -> Result<Level, String> {
    let (meta, totals) = (&view.started.phases[index], &view.phases[index]);
    let main = main_of(view, totals);
    let (ok, seconds) = (main.of(Outcome::Ok), totals.covered.as_secs_f64());
    if ok < FEWEST || seconds < SHORTEST {
        return Err(format!("{ok} operations in {} are too few", Ns::from_secs_f64(seconds)));
    }
    let errors = totals.all.error_rate().unwrap_or(0.0);
    if errors > ERRORS {
        return Err(format!("{} errors", crucible_core::units::show_share(errors)));
    }
    if late(view, totals) {
        return Err("the load generator was late: it was the bottleneck".into());
    }
    let throughput = ok as f64 / seconds;
    let service = main.service.mean();
    let load = match (over, meta.model) {
        (Over::Concurrency, Model::Open) => {
            let all = &totals.all;
            if (all.ended() as f64) < KEPT_UP * all.planned as f64 || all.of(Outcome::Dropped) > 0 {
                return Err("overload: the backlog grew, there was no steady level".into());
            }
            throughput * service.map_or(0.0, Ns::as_secs_f64)
        }
        (Over::Users, Model::Closed) => {
            let users = users(view, index, meta.max_users);
            if (totals.all_iterations().completed as f64) < ROUNDS * users {
                return Err("too short: users went round less than twice".into());
            }
            users
        }
        _ => return Err("another kind of load than the others".into()),
    };
    if load < 1.0 {
        return Err(format!("less than one operation at a time ({load:.2})"));
    }
    let p95 = crate::totals::judged_response(&main).quantile(0.95);
    let series = readings(totals);
    Ok(Level { name: String::new(), load, throughput, seconds, errors, service, p95, series })
}

/// What users do again and again: how they come and go is no steady work.
fn main_of(view: &RunView, totals: &Totals) -> Frame {
    let mut sum = Frame::new(0);
    let steps = view.started.steps.iter().zip(&totals.steps);
    steps.filter(|(step, _)| step.role == "main").for_each(|(_, frame)| sum.merge(frame));
    sum
}

/// Lateness says something from so many operations on.
const TELLING: u64 = 200;

/// Whether the generator was later than the plan allows.
fn late(view: &RunView, totals: &Totals) -> bool {
    let (lag, median) = (&totals.lag.generator, totals.all.response.quantile(0.5));
    let share = median.map_or(0.0, |median| median.0 as f64 * view.started.lateness_share);
    let allowed = view.started.lateness_floor.max(Ns(share as u64));
    lag.count() >= TELLING && lag.quantile(0.99).is_some_and(|late| late > allowed)
}

/// The users that were there on average, or the number asked for where it differs by little. They are counted at the ends
/// of windows; where the phase is at its end they have gone.
fn users(view: &RunView, phase: usize, asked: u64) -> f64 {
    let own: Vec<_> =
        view.timeline.points().iter().filter(|point| usize::from(point.phase) == phase).collect();
    let begun = view.phases[phase].from.unwrap_or_default();
    let end = begun + Ns((view.started.phases[phase].length.0 as f64 * WHOLE) as u64);
    let inner = || own[..own.len().saturating_sub(1)].iter().filter(|point| point.to < end);
    let time: f64 = inner().map(|point| point.seconds()).sum();
    let sum: f64 = inner().map(|point| point.seconds() * point.users_active as f64).sum();
    let asked = asked as f64;
    match time > 0.0 && sum < 0.9 * asked * time {
        true => (sum / time).max(1.0),
        false => asked,
    }
}

fn readings(totals: &Totals) -> Vec<Option<(f64, f64)>> {
    totals.series.iter().map(|series| series.mean().map(|mean| (mean, series.max))).collect()
}
