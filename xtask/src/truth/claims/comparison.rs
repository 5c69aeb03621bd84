//! T9, T10, T11: equal systems are not called different, a slower one is, and intervals hold the truth as often as they say.
//!
//! Systems are simulated laws of response times ([`processes`]); what is measured is the comparison alone.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_stats::compare::{self, Change, Comparison, Evidence, Metric, Pair, Verdict, compare};
use crucible_stats::processes::{self, NAMED, Process};
use std::sync::OnceLock;

pub(super) const EQUAL: Claim =
    Claim { id: "T9", about: "equal systems are not called different", needs: Needs::Nothing, rows: equal };
pub(super) const POWER: Claim =
    Claim { id: "T10", about: "a 3 % slower service is found", needs: Needs::Nothing, rows: power };
pub(super) const COVERAGE: Claim =
    Claim { id: "T11", about: "intervals of ratios hold the truth", needs: Needs::Nothing, rows: coverage };

/// Requests a second and pairs of one second of each comparison of T9 and T11.
const RATE: f64 = 400.0;
const PAIRS: usize = 80;
const PERCENTILES: [f64; 3] = [0.5, 0.95, 0.99];
const ALPHA: f64 = 0.01;

fn asked() -> compare::Settings {
    compare::Settings { shift: false, self_checks: 0, ..compare::Settings::default() }
}

fn compared(evidence: &Evidence) -> Result<Comparison, Failure> {
    let told =
        |problems: Vec<compare::Problem>| problems.iter().map(|p| format!("{p}. ")).collect::<String>();
    compare(evidence, &asked()).map_err(told)
}

/// What many comparisons of equal systems came to.
#[derive(Clone, Debug)]
struct Tallied {
    name: String,
    made: u64,
    differed: u64,
    /// For each percentile: intervals given, and those that held 1.
    held: [(u64, u64); 3],
}

impl Tallied {
    fn new(name: &str) -> Tallied {
        Tallied { name: name.to_owned(), made: 0, differed: 0, held: [(0, 0); 3] }
    }

    fn take(&mut self, comparison: &Comparison) {
        self.made += 1;
        self.differed += u64::from(comparison.different().next().is_some());
        for (held, share) in self.held.iter_mut().zip(PERCENTILES) {
            let row = comparison.of(&Metric::Percentile(share));
            if let Some(interval) = row.and_then(|row| row.interval) {
                *held = (held.0 + 1, held.1 + u64::from(interval.holds(1.0)));
            }
        }
    }
}

/// Comparisons of equal systems by interleaved pairs, one entry for each process; made once for both claims.
fn interleaved(made: u64) -> &'static Result<Vec<Tallied>, Failure> {
    static DONE: OnceLock<Result<Vec<Tallied>, Failure>> = OnceLock::new();
    DONE.get_or_init(|| {
        NAMED
            .iter()
            .zip(1..)
            .map(|((name, process), family)| {
                let mut tallied = Tallied::new(name);
                for seed in 0..made {
                    let pairs = processes::pairs(*process, RATE, PAIRS, 1.0, 1.0, 10_000 * family + seed);
                    tallied.take(&compared(&Evidence::interleaved(pairs))?);
                }
                Ok(tallied)
            })
            .collect()
    })
}

/// Ten runs an arm, each in a state of its own (2 %): the run is the unit.
fn repeated(made: u64) -> Result<Tallied, Failure> {
    let mut tallied = Tallied::new("2 % run effect, 10 runs an arm");
    for seed in 0..made {
        let arm = |which: u64| {
            processes::runs(Process::LogNormal(0.5), RATE, 10, 6.0, 1.0, 0.02, 2 * (90_000 + seed) + which)
        };
        tallied.take(&compared(&Evidence::runs(arm(0), arm(1)))?);
    }
    Ok(tallied)
}

/// Ten rounds of six pairs; both systems are started anew for each round, into states of their own (2 %).
fn restarted(made: u64) -> Result<Tallied, Failure> {
    let mut tallied = Tallied::new("2 % start effect, 10 rounds of 6 pairs");
    for seed in 0..made {
        let arm = |which: u64| {
            processes::runs(Process::LogNormal(0.5), RATE, 10, 6.0, 1.0, 0.02, 2 * (190_000 + seed) + which)
        };
        let pairs = (0..)
            .zip(arm(0).into_iter().zip(arm(1)))
            .flat_map(|(round, (a, b))| a.into_iter().zip(b).map(move |(a, b)| Pair { a, b, round }));
        tallied.take(&compared(&Evidence::interleaved(pairs.collect()))?);
    }
    Ok(tallied)
}

/// `part` of `made` in percent, and whether it is within the bounds; a fast run is given three standard deviations.
fn within(part: u64, made: u64, low: f64, high: f64, settings: &Settings) -> (f64, bool) {
    let share = part as f64 / made.max(1) as f64;
    let slack =
        |edge: f64| if settings.fast { 3.0 * (edge * (1.0 - edge) / made.max(1) as f64).sqrt() } else { 0.0 };
    (100.0 * share, share >= low - slack(low) && share <= high + slack(high) && made > 0)
}

fn equal(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let made = if settings.fast { 40 } else { 2_000 };
    let mut all = interleaved(made).clone()?;
    all.push(repeated(made)?);
    all.push(restarted(made)?);
    let rows = all.iter().map(|tallied| {
        let (percent, holds) = within(tallied.differed, tallied.made, 0.0, ALPHA, settings);
        let measured = format!("{} of {} differ ({percent:.2} %)", tallied.differed, tallied.made);
        Row::new(format!("A/A, {}", tallied.name), measured, "<= 1 %", holds)
    });
    Ok(rows.collect())
}

fn coverage(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let made = if settings.fast { 40 } else { 2_000 };
    let rows = interleaved(made).clone()?.into_iter().map(|tallied| {
        let shown: Vec<(f64, bool)> =
            tallied.held.iter().map(|(given, held)| within(*held, *given, 0.93, 0.97, settings)).collect();
        let percents: Vec<String> = shown.iter().map(|(percent, _)| format!("{percent:.1}")).collect();
        let given = tallied.held[2].0 as f64 / tallied.made as f64;
        let some =
            if given < 0.995 { format!(" (p99 given in {:.0} %)", 100.0 * given) } else { String::new() };
        let claim = format!("95 % interval of p50, p95, p99 ratio, {}", tallied.name);
        let measured = format!("{} %{some}", percents.join(", "));
        Row::new(claim, measured, "93-97 %", shown.iter().all(|(_, holds)| *holds))
    });
    Ok(rows.collect())
}

/// At 10,000 requests a second, 60 slices of a second each.
const BUSY: f64 = 10_000.0;
const MINUTE: usize = 60;
const SLOWER: f64 = 1.03;

fn power(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let made = if settings.fast { 3 } else { 100 };
    let services = [
        ("M/M/1 at .5", Process::Queue(0.5)),
        ("M/M/1 at .3", Process::Queue(0.3)),
        ("M/G/1 at .5, heavy tail", Process::HeavyQueue(0.5)),
        ("log-normal", Process::LogNormal(1.0)),
    ];
    let mut rows = Vec::new();
    for (name, process) in services {
        let (mut found, mut wrong) = (0, 0);
        for seed in 0..made {
            let pairs = |slower| processes::pairs(process, BUSY, MINUTE, 1.0, slower, 5_000 + seed);
            found += u64::from(compared(&Evidence::interleaved(pairs(SLOWER)))?.any_worse());
            if seed % 4 == 0 {
                let same = compared(&Evidence::interleaved(pairs(1.0)))?;
                wrong += u64::from(same.different().next().is_some());
            }
        }
        let (percent, holds) = within(found, made, 0.95, 1.0, settings);
        let claim = format!("3 % slower service, {name}, 60 s an arm at 10,000/s");
        let measured = format!("found in {percent:.1} % of {made}; equal ones differ: {wrong}");
        rows.push(Row::new(claim, measured, ">= 95 %; 0", holds && wrong == 0));
    }
    rows.push(detectable(settings)?);
    Ok(rows)
}

/// What a comparison says that it could have seen is seen as often as it says.
fn detectable(settings: &Settings) -> Result<Row, Failure> {
    let made: u64 = if settings.fast { 20 } else { 600 };
    let process = Process::LogNormal(1.0);
    let row = |slower: f64, seed: u64| -> Result<Option<compare::Compared>, Failure> {
        let pairs = processes::pairs(process, RATE, PAIRS, 1.0, slower, 7_000 + seed);
        Ok(compared(&Evidence::interleaved(pairs))?.of(&Metric::Percentile(0.95)).cloned())
    };
    let mut sizes = Vec::new();
    for seed in 0..made.min(100) {
        sizes.extend(row(1.0, seed)?.and_then(|row| row.detectable));
    }
    let size = sizes.iter().sum::<f64>() / sizes.len().max(1) as f64;
    let mut found = 0;
    for seed in 0..made {
        let verdict = row(1.0 + size, 1_000 + seed)?.map(|row| row.verdict);
        found += u64::from(verdict == Some(Verdict::Different(Change::Worse)));
    }
    let (percent, holds) = within(found, made, 0.92, 1.0, settings);
    let measured = format!("{:.1} % is stated; found in {percent:.1} % of {made}", 100.0 * size);
    Ok(Row::new(
        "the smallest difference that a comparison says it could have seen (p95)",
        measured,
        ">= 92 %",
        holds,
    ))
}
