//! T3: arrivals asked are arrivals made, they lie in time as they should, and shares make no difference.

use crate::Failure;
use crate::truth::simulation;
use crate::truth::table::{Row, settle};
use crate::truth::{Claim, Needs, Settings};
use crucible_core::{Ns, Share};
use crucible_engine::Control;
use crucible_record::RunEvent;
use crucible_schedule::{Arrival, ArrivalProcess, Arrivals, Curve, Mix, Spacing, expected, phase_seed};
use crucible_testkit::Law;
use crucible_testkit::servers::{Behaviour, TruthConfig, TruthServer};
use crucible_testkit::sim::{QueueConfig, SimProtocol};

pub(super) const CLAIM: Claim =
    Claim { id: "T3", about: "the schedule is kept exactly", needs: Needs::Product, rows };

const SHARES: [u32; 4] = [1, 2, 3, 7];

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let mut rows = vec![shares_agree(Spacing::Even), shares_agree(Spacing::Poisson)];
    rows.push(poisson_fits());
    rows.push(even_fits());
    for spacing in [Spacing::Even, Spacing::Poisson] {
        rows.push(settle("simulated", simulated(spacing)));
    }
    rows.push(settle("1,000/s over real sockets", real(settings)));
    Ok(rows)
}

fn stream(curve: &Curve, spacing: Spacing, seed: u64, share: Share) -> Vec<Arrival> {
    let mut arrivals = Arrivals::new(curve, spacing, seed, share, &Mix::new(&[1.0]), None);
    std::iter::from_fn(|| arrivals.next()).collect()
}

fn shares_agree(spacing: Spacing) -> Row {
    let curve = Curve::constant(997.0, Ns::from_secs(60));
    let whole = stream(&curve, spacing, 5, Share::ALL);
    let mut agree = true;
    for of in SHARES {
        let mut union: Vec<Arrival> =
            (0..of).flat_map(|index| stream(&curve, spacing, 5, Share { index, of })).collect();
        union.sort_by_key(|arrival| arrival.seq);
        agree &= union == whole;
    }
    let count = expected(&curve, spacing, 5);
    let measured = format!("{} arrivals of {count}, the same: {agree}", whole.len());
    let holds = agree && whole.len() as u64 == count;
    Row::new(format!("{spacing:?} arrivals, 1, 2, 3 and 7 shares"), measured, "exactly the same", holds)
}

/// Kolmogorov and Smirnov's distance of the gaps from the exponential law; 1.63 / sqrt(n) is its 1 % point.
fn poisson_fits() -> Row {
    let rate = 1000.0;
    let arrivals = stream(&Curve::constant(rate, Ns::from_secs(100)), Spacing::Poisson, 11, Share::ALL);
    let mut gaps: Vec<f64> =
        arrivals.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs_f64() * rate).collect();
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let distance = gaps
        .iter()
        .enumerate()
        .map(|(rank, gap)| {
            let law = 1.0 - (-gap).exp();
            (law - rank as f64 / n).abs().max(((rank + 1) as f64 / n - law).abs())
        })
        .fold(0.0, f64::max);
    let limit = 1.63 / n.sqrt();
    let measured = format!("KS distance {distance:.5}, {n:.0} gaps");
    Row::new("Poisson gaps are exponential", measured, format!("< {limit:.5} (1 %)"), distance < limit)
}

fn even_fits() -> Row {
    let arrivals = stream(&Curve::constant(999.0, Ns::from_secs(100)), Spacing::Even, 11, Share::ALL);
    let worst = arrivals
        .iter()
        .map(|arrival| (arrival.at.0 as f64 - arrival.seq as f64 / 999.0 * 1e9).abs())
        .fold(0.0, f64::max);
    Row::new(
        "even arrivals, worst error",
        format!("{worst:.1} ns of {}", arrivals.len()),
        "<= 1 ns",
        worst <= 1.0,
    )
}

/// The engine in virtual time makes exactly the arrivals of the schedule, on any number of shards.
fn simulated(spacing: Spacing) -> Result<Row, Failure> {
    let mut counts = Vec::new();
    let mut asked = 0;
    for shards in SHARES {
        let protocol = SimProtocol::new(QueueConfig::exponential(64, Ns::from_millis(10)));
        let plan = simulation::plan(vec![simulation::open(1234.5, Ns::from_secs(20), spacing, 700)], 9);
        asked = plan.tests[0].load.phases[0].expected(phase_seed(9, 0)).unwrap_or(0);
        let (mut made, mut due) = (0, 0);
        simulation::run(plan, &protocol, shards, &Control::new(), |_| {}, &mut |event| {
            if let RunEvent::Window(window) = event {
                due += window.due;
                made += window.iterations.iter().map(|(_, frame)| frame.planned).sum::<u64>();
            }
        })?;
        counts.push((due, made, protocol.calls()));
    }
    let holds = counts.iter().all(|count| *count == (asked, asked, asked));
    let measured = format!("asked {asked}; due, made, sent: {:?}", counts[0]);
    let claim = format!("{spacing:?}, simulated, 1, 2, 3 and 7 shards");
    let measured = if holds { measured } else { format!("asked {asked}; due, made, sent: {counts:?}") };
    Ok(Row::new(claim, measured, "all equal", holds))
}

fn real(settings: &Settings) -> Result<Row, Failure> {
    let config = TruthConfig::of(Behaviour::delayed(Law::Fixed(Ns::from_millis(1))));
    let server = TruthServer::start(config).map_err(|error| format!("failed to start a server: {error}"))?;
    let seconds = if settings.fast { 3u64 } else { 10 };
    let duration = format!("{seconds}s");
    let told =
        settings.product.bench(&[&server.url("/"), "-r", "1000", "-d", &duration, "-c", "100"], None)?;
    let planned = told.figure("all/planned")? as u64;
    let (asked, arrived) = (seconds * 1000, server.record().requests);
    let measured = format!("asked {asked}, made {planned}, arrived {arrived}");
    Ok(Row::new("1,000/s over real sockets", measured, "all equal", planned == asked && arrived == asked))
}
