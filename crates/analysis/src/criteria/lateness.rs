//! The generator itself was not late against what it measured.
//!
//! Three figures: how late operations were started after they could have been (`generator lag`), how long ready work
//! waited inside the generator's loop (`heartbeat`), and how much of its time a shard was busy or waited for a CPU
//! (`saturation`). The p99 of the first two may be at most the larger of a floor and a share of the median service
//! time, both from the plan; service time, because response time holds the very waiting that a starved generator
//! causes. A generator without CPU time to spare was the bottleneck, however short its own queues: arrivals then
//! wait for users that it could not serve faster, and closed load measures the generator's own throughput.

use crate::verdict::{Judgement, Unit, Verdict};
use crate::view::RunView;
use crucible_core::{Histogram, LagFrame, Ns, units};
use crucible_record::Model;

const NAME: &str = "lateness";

/// Share of the time in which the generator wanted a CPU and had none from which on half of the lateness budget
/// condemns the run.
const CPU_WAIT: f64 = 0.05;

/// So often it must have been late by half of the budget for that: in a test of a fraction of a second one or two slices of
/// another process's time are a tenth of all.
const SEVERAL: u64 = 10;

/// Share of a phase in which the shards worked or waited for a CPU, from which on they had nothing to spare.
const SATURATED: f64 = 0.95;

pub(crate) fn judge(view: &RunView, test: usize) -> Vec<Judgement> {
    let totals = &view.tests[test];
    if totals.all.ended() == 0 {
        return Vec::new();
    }
    let mut out = of(view, &totals.lag, &totals.all.service, keeps_time(view, test));
    out.extend(saturation(view, test));
    out
}

/// The lateness of all tests taken together: for experiments whose many short tests are one measurement (the slices of a
/// duet), where a single one holds too few operations to say anything about a p99.
pub fn lateness_of_all(view: &RunView) -> Vec<Judgement> {
    let (mut lag, mut service) = (LagFrame::default(), Histogram::default());
    for totals in &view.tests {
        lag.merge(&totals.lag);
        service.merge(&totals.all.service);
    }
    if service.is_empty() {
        return Vec::new();
    }
    let keeps_time = (0..view.tests.len()).any(|test| keeps_time(view, test));
    let mut out = of(view, &lag, &service, keeps_time);
    out.push(busy("the run", busy_share(&lag)));
    out
}

fn of(view: &RunView, lag: &LagFrame, service: &Histogram, keeps_time: bool) -> Vec<Judgement> {
    let median = service.quantile(0.5).unwrap_or(Ns::ZERO);
    let share =
        if view.started.lateness_share.is_finite() { view.started.lateness_share.max(0.0) } else { 0.0 };
    let budget = view.started.lateness_floor.max(Ns((median.0 as f64 * share).round() as u64));
    let wait = lag.cpu_wait.0 as f64 / lag.wall.0.max(1) as f64;
    let judge = |measure: &str, histogram: &Histogram| one(measure, histogram, budget, median, wait);
    let mut out = vec![judge("heartbeat p99", &lag.heartbeat)];
    if !lag.generator.is_empty() || keeps_time {
        out.insert(0, judge("generator lag p99", &lag.generator));
    }
    out
}

/// The share of its time in which the generator worked or waited for a CPU.
fn busy_share(lag: &LagFrame) -> f64 {
    (lag.cpu + lag.cpu_wait).0 as f64 / lag.wall.0.max(1) as f64
}

/// How busy the shards were in the busiest phase of the test; `None` if that was not recorded.
fn saturation(view: &RunView, test: usize) -> Option<Judgement> {
    let (phase, share) = view
        .started
        .phases
        .iter()
        .zip(&view.phases)
        .filter(|(meta, totals)| usize::from(meta.test) == test && totals.lag.wall > Ns::ZERO)
        .map(|(meta, totals)| (meta, busy_share(&totals.lag)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(busy(&format!("phase `{}`", phase.name), share))
}

fn busy(place: &str, share: f64) -> Judgement {
    let shown = units::show_share(share.min(1.0));
    let judgement = if share >= SATURATED {
        let why = format!(
            "the generator worked or waited for a CPU in {shown} of {place}: it was the bottleneck, the target may \
             carry more"
        );
        Judgement::new(NAME, "generator", "saturation", Verdict::Invalid, why)
            .remedy("give the generator more CPUs (`--shards`), use more machines, or ask for less load")
    } else {
        let why = format!("the generator was busy in {shown} of its busiest phase");
        Judgement::new(NAME, "generator", "saturation", Verdict::Pass, why)
    };
    judgement.figure(Unit::Share, share.min(1.0), Some(SATURATED))
}

/// Whether some phase of the test has instants to be late for. Closed load without pauses has none: each iteration
/// begins when the one before ends, and only the heartbeat can tell of lateness.
fn keeps_time(view: &RunView, test: usize) -> bool {
    view.started.phases.iter().any(|phase| usize::from(phase.test) == test && phase.model == Model::Open)
}

fn one(measure: &str, histogram: &Histogram, budget: Ns, median: Ns, wait: f64) -> Judgement {
    let Some(late) = histogram.quantile(0.99) else {
        let why = "the generator's own lateness was not recorded";
        return Judgement::new(NAME, "generator", measure, Verdict::Inconclusive, why)
            .remedy("run it again with a generator that records it");
    };
    let half = Ns(budget.0 / 2);
    let starved = wait > CPU_WAIT && late > half && histogram.count_above(half) >= SEVERAL;
    let allowed = format!("{budget} are allowed at a median service time of {median}");
    let waited = units::show_share(wait);
    let judgement = if late > budget || starved {
        let why = format!(
            "the generator was late by {late} at p99, {allowed}; it waited {waited} of its time for a CPU: its \
             figures say more about itself than about the target"
        );
        let remedy = if wait > CPU_WAIT {
            "free a core for the generator (other processes took it), or move it to another machine"
        } else {
            "ask for less load, give the generator more cores, or use more machines; `crucible doctor` shows what \
             this one can do"
        };
        Judgement::new(NAME, "generator", measure, Verdict::Invalid, why).remedy(remedy)
    } else {
        let why = format!("the generator was late by {late} at p99, {allowed}");
        Judgement::new(NAME, "generator", measure, Verdict::Pass, why)
    };
    judgement.figure(Unit::Duration, late.0 as f64, Some(budget.0 as f64)).evidence(histogram.count())
}
