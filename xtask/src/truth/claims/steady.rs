//! T13: the end of warm-up is found, and no steady state is seen where there is none.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Rng;
use crucible_stats::steady::{Settings as Steadiness, State, find};

pub(super) const CLAIM: Claim =
    Claim { id: "T13", about: "the end of warm-up, and whether there is one", needs: Needs::Nothing, rows };

/// A level by window, the window from which it is steady (`None`: never), and its name.
type Shape = (&'static str, fn(&Drawn) -> Option<f64>, fn(&Drawn, f64) -> f64);

/// What is drawn anew for each series.
struct Drawn {
    change: f64,
    time: f64,
    turn: f64,
}

const WINDOWS: usize = 600;
const NOISE: f64 = 0.03;
/// Correlation of neighbouring windows.
const KEEP: [f64; 2] = [0.0, 0.5];

const SHAPES: &[Shape] = &[
    // an approach is over when it is within 2 % of its level
    ("exponential", |drawn| Some(drawn.time * 50.0_f64.ln()), |drawn, t| 1.0 + (-t / drawn.time).exp()),
    ("step", |drawn| Some(drawn.change), |drawn, t| if t < drawn.change { 1.5 } else { 1.0 }),
    (
        "two-phase",
        |drawn| Some(drawn.change),
        |drawn, t| match t {
            t if t < drawn.change / 2.5 => 2.0,
            t if t < drawn.change => 1.4,
            _ => 1.0,
        },
    ),
    ("slow-down", |drawn| Some(drawn.change), |drawn, t| if t < drawn.change { 0.7 } else { 1.0 }),
    ("flat", |_| Some(0.0), |_, _| 1.0),
    ("drift", |_| None, |_, t| 1.0 + 0.5 * t / WINDOWS as f64),
    ("late change", |_| None, |_, t| if t < 0.87 * WINDOWS as f64 { 1.0 } else { 1.4 }),
    ("still settling", |_| None, |_, t| 1.0 + (-t / 400.0).exp()),
    ("slow cycle", |_| None, |drawn, t| 1.0 + 0.3 * (t / 32.0 + drawn.turn).sin()),
];

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let runs = if settings.fast { 60 } else { 500 };
    Ok(SHAPES.iter().map(|shape| row(shape, runs)).collect())
}

fn row((name, truth, level): &Shape, runs: u64) -> Row {
    let (mut right, mut never, mut all, mut has_one) = (0, 0, 0, true);
    for keep in KEEP {
        for seed in 0..runs {
            let mut rng = Rng::new(seed, name, 0);
            let drawn = Drawn {
                change: 60.0 + 200.0 * rng.unit(),
                time: 12.0 + 40.0 * rng.unit(),
                turn: std::f64::consts::TAU * rng.unit(),
            };
            let series = series(&mut rng, keep, |t| level(&drawn, t));
            let truth = truth(&drawn);
            has_one = truth.is_some();
            all += 1;
            match find(&series, &Steadiness::default()) {
                State::Steady(steady) => {
                    // a window is the least that can be told apart
                    let near = |truth: f64| (steady.from as f64 - truth).abs() <= (0.1 * truth).max(1.0);
                    right += u32::from(truth.is_some_and(near));
                }
                State::Unsteady(_) | State::TooShort => never += 1,
            }
        }
    }
    let share = |count: u32| f64::from(count) / f64::from(all);
    let (right, never) = (share(right), share(never));
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    if has_one {
        let measured = format!("within 10 % {}, none said {}", percent(right), percent(never));
        Row::new(*name, measured, ">= 95 %, <= 1 %", right >= 0.95 && never <= 0.01)
    } else {
        Row::new(
            format!("no steady state: {name}"),
            format!("said {}", percent(never)),
            ">= 95 %",
            never >= 0.95,
        )
    }
}

fn series(rng: &mut Rng, keep: f64, level: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut noise = rng.normal();
    let mut next = |index: usize| {
        noise = keep * noise + (1.0 - keep * keep).sqrt() * rng.normal();
        level(index as f64) * (1.0 + NOISE * noise)
    };
    (0..WINDOWS).map(&mut next).collect()
}
