//! T14: capacity within one percent, with an interval that holds what it says, on queues whose capacity is known.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Ns;
use crucible_stats::capacity::{
    Answer, Limit, Predicate, Proposal, Purpose, Scale, Search, Settings as Wanted, Trial,
};
use crucible_stats::queues::{Running, Service, Station, edge, erlang_b, mmc_slower};

pub(super) const CLAIM: Claim =
    Claim { id: "T14", about: "capacity and its interval on known queues", needs: Needs::Nothing, rows };

/// A system, what it is allowed, and its capacity.
struct Case {
    name: &'static str,
    station: Station,
    allowed: f64,
    truth: f64,
    seconds: u64,
}

/// Milliseconds as seconds.
const MS: f64 = 1e-3;
/// Load at which the search begins.
const START: f64 = 10.0;

/// `servers` exponential servers, p99 within `limit`, all in milliseconds.
fn mmc(name: &'static str, servers: usize, mean: f64, limit: f64) -> Case {
    let (mean, limit) = (mean * MS, limit * MS);
    let truth = edge(0.01, 1.0, servers as f64 / mean, |rate| mmc_slower(servers, mean, rate, limit));
    let station = Station::new(servers, Service::Exponential(mean), limit);
    Case { name, station, allowed: 0.01, truth, seconds: 300 }
}

fn cases() -> Vec<Case> {
    let erlang = edge(0.01, 0.1, 32.0, |erlang| erlang_b(32, erlang));
    let hidden = Station { before: 4.0 * MS, ..Station::new(20, Service::Exponential(8.0 * MS), 60.0 * MS) };
    let far = Station { before: 120.0 * MS, ..Station::new(8, Service::Exponential(5.0 * MS), 170.0 * MS) };
    let full = Station { places: Some(32), ..Station::new(32, Service::Exponential(20.0 * MS), 100.0) };
    vec![
        mmc("M/M/1, p99 of 2 ms", 1, 0.2, 2.0),
        mmc("M/M/4, p99 of 20 ms", 4, 2.0, 20.0),
        mmc("M/M/8, p99 of 50 ms", 8, 5.0, 50.0),
        mmc("M/M/8 slow, p99 of 100 ms", 8, 10.0, 100.0),
        mmc("M/M/32, p99 of 60 ms", 32, 10.0, 60.0),
        Case {
            name: "M/G/4 log-normal, p99 of 15 ms",
            station: Station::new(4, Service::LogNormal(MS, 1.0), 15.0 * MS),
            allowed: 0.01,
            truth: LOG_NORMAL,
            seconds: 300,
        },
        Case {
            name: "hidden pool of 20, p99 of 60 ms",
            station: hidden,
            allowed: 0.01,
            truth: edge(0.01, 1.0, 2500.0, |rate| mmc_slower(20, 8.0 * MS, rate, 56.0 * MS)),
            seconds: 300,
        },
        Case {
            name: "M/M/8 120 ms away, p99 of 170 ms",
            station: far,
            allowed: 0.01,
            truth: edge(0.01, 1.0, 1600.0, |rate| mmc_slower(8, 5.0 * MS, rate, 50.0 * MS)),
            seconds: 300,
        },
        Case {
            name: "errors <= 1 %, 32 places",
            station: full,
            allowed: 0.01,
            truth: erlang / (20.0 * MS),
            seconds: 300,
        },
    ]
}

/// Capacity of the log-normal station: 1,765.9 with twice the service time and limit, from nine loads around it, 40,000
/// simulated seconds each, by a straight line through the logarithm of the share.
const LOG_NORMAL: f64 = 2.0 * 1765.9;

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let runs = if settings.fast { 20 } else { 300 };
    let mut rows = Vec::new();
    for case in cases() {
        rows.extend(measure(&case, runs)?);
    }
    Ok(rows)
}

fn measure(case: &Case, runs: u64) -> Result<[Row; 2], Failure> {
    let (mut errors, mut covered) = (Vec::new(), 0);
    for seed in 0..runs {
        let Answer::Edge(edge) = search(case, seed)? else {
            errors.push(1.0);
            continue;
        };
        errors.push(edge.estimate / case.truth - 1.0);
        covered += u32::from(edge.low <= case.truth && case.truth <= edge.high);
    }
    let count = errors.len() as f64;
    let bias = 100.0 * errors.iter().sum::<f64>() / count;
    let mut sizes: Vec<f64> = errors.iter().map(|error| 100.0 * error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let at = |share: f64| sizes[((count * share) as usize).min(sizes.len() - 1)];
    let coverage = 100.0 * f64::from(covered) / count;
    // what chance alone adds in so few runs
    let slack = if runs < 100 { 3.0 } else { 1.0 };
    let close = at(0.5) <= slack && at(0.95) <= 2.0 * slack && bias.abs() <= 0.3 * slack;
    let holds = if runs < 100 { coverage >= 80.0 } else { (93.0..=97.0).contains(&coverage) };
    let bound = 100.0 * bound(case);
    let error =
        format!("median {:.2} %, 95th {:.2} % (bound {bound:.2} %), bias {bias:+.2} %", at(0.5), at(0.95));
    Ok([
        Row::new(format!("{}: error", case.name), error, "1 %, 2 %, 0.3 %", close),
        Row::new(format!("{}: interval", case.name), format!("covers {coverage:.1} %"), "93-97 %", holds),
    ])
}

/// The 95th percentile of the error of who knows the edge's place and the curve beside it, spends all the time there, and
/// reads the edge off the share of bad requests: no search by that share can be better, as it has to look for the edge first.
fn bound(case: &Case) -> f64 {
    let share = |load: f64, seconds: u64, seed: u64| {
        let settle = Ns::from_secs(10);
        let length = Ns::from_secs(seconds) + settle;
        let trial = Trial { number: 1, purpose: Purpose::Measure, load, length, settle };
        let result = Running::new(case.station.clone(), seed, 1.0).trial(trial, |_| false);
        result.ratio(0, &Predicate::target("target", Limit::Share(case.allowed))).unwrap_or(0.0)
    };
    let runs: Vec<f64> = (0..BOUND).map(|seed| share(case.truth, case.seconds, 50_000 + seed)).collect();
    let mean = runs.iter().sum::<f64>() / BOUND as f64;
    let squares: f64 = runs.iter().map(|run| (run / mean - 1.0).powi(2)).sum();
    let beside = |factor: f64| share(case.truth * factor, BOUND / 4 * case.seconds, 60_000);
    let slope = (beside(1.02) / beside(0.98)).ln() / 0.04;
    1.96 * (squares / (BOUND - 1) as f64).sqrt() / slope
}

/// Runs at the edge that the bound is taken from.
const BOUND: u64 = 40;

fn search(case: &Case, seed: u64) -> Result<Answer, Failure> {
    let target = Predicate::target("target", Limit::Share(case.allowed));
    let wanted = Wanted {
        start: START,
        within: Ns::from_secs(case.seconds),
        ..Wanted::new(Scale::Rate, vec![target])
    };
    let mut search = Search::new(wanted).map_err(|mistakes| mistakes.join("; "))?;
    let mut station = Running::new(case.station.clone(), seed, 1.0);
    loop {
        match search.propose() {
            Proposal::Done(finding) => return Ok(finding.answer),
            Proposal::Trial(trial) => {
                let result = station.trial(trial, |part| search.hopeless(part) || search.recovered(part));
                search.observe(result);
            }
        }
    }
}
