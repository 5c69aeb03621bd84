//! Least squares on the logarithm of throughput, with any one figure held fast.
//!
//! Noise of throughput is relative (two percent of little is little), so residuals are differences of logarithms. The
//! throughput of one is found in closed form; a and b by Levenberg and Marquardt's method with an active set for
//! their lower bound of 0 (Nocedal and Wright, "Numerical Optimization", 2006, chapters 10 and 16).

use super::Point;

/// What is held fast while the rest is fitted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// Nothing.
    Free,
    /// Contention.
    Contention(f64),
    /// Coherency.
    Coherency(f64),
    /// Logarithm of the throughput at a load.
    Throughput { load: f64, ln: f64 },
    /// The load of the highest throughput.
    Peak(f64),
    /// Logarithm of g / a.
    Ceiling(f64),
}

/// The best fit under a hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Weighted sum of squared residuals.
    pub(super) squares: f64,
    /// Logarithm of the throughput of one.
    pub(super) ln_one: f64,
    pub(super) contention: f64,
    pub(super) coherency: f64,
}

/// Starting points, as contention and coherency.
const STARTS: [(f64, f64); 4] = [(0.02, 1e-4), (0.3, 1e-2), (1e-3, 1e-6), (0.05, 0.0)];

/// Fits from several starts, and from `near` if given.
pub(super) fn best(points: &[Point], hold: Hold, near: Option<&Best>) -> Best {
    let warm = near.map(|one| (one.contention, one.coherency));
    let starts = warm.into_iter().chain(STARTS);
    let mut found: Option<Best> = None;
    for (index, (a, b)) in starts.enumerate() {
        // a warm start that has converged is enough with one other beside it
        if near.is_some() && index > 1 {
            break;
        }
        let one = descend(points, hold, a, b);
        if found.is_none_or(|best| one.squares < best.squares) {
            found = Some(one);
        }
    }
    found.unwrap_or(Best { squares: f64::INFINITY, ln_one: 0.0, contention: 0.0, coherency: 0.0 })
}

/// Squares, their gradient and the Gauss-Newton matrix in (a, b), and the logarithm of the throughput of one.
struct There {
    squares: f64,
    gradient: [f64; 2],
    matrix: [[f64; 2]; 2],
    ln_one: f64,
}

/// Logarithm of the law's denominator at a load and its derivatives by a and b.
fn bottom(load: f64, a: f64, b: f64) -> (f64, [f64; 2]) {
    let (u, v) = (load - 1.0, load * (load - 1.0));
    let d = 1.0 + a * u + b * v;
    (d.ln(), [u / d, v / d])
}

/// Applies the hold to a and b, and says how they follow the free one.
fn tie(hold: Hold, a: f64, b: f64) -> (f64, f64) {
    match hold {
        Hold::Contention(value) => (value, b.max(0.0)),
        Hold::Coherency(value) => (a.max(0.0), value),
        Hold::Peak(load) => {
            let a = a.clamp(0.0, 1.0);
            (a, (1.0 - a) / (load * load))
        }
        Hold::Ceiling(_) => (a.max(1e-9), b.max(0.0)),
        _ => (a.max(0.0), b.max(0.0)),
    }
}

fn look(points: &[Point], hold: Hold, a: f64, b: f64) -> There {
    let total: f64 = points.iter().map(|point| point.weight).sum();
    let raw = |point: &Point| {
        let (ln, slope) = bottom(point.load, a, b);
        (point.throughput.ln() - point.load.ln() + ln, slope)
    };
    // what is taken off each residual, and its derivatives
    let (centre, shift) = match hold {
        Hold::Throughput { load, ln } => {
            let (below, slope) = bottom(load, a, b);
            (ln - load.ln() + below, slope)
        }
        Hold::Ceiling(ln) => (ln + a.ln(), [1.0 / a, 0.0]),
        _ => points.iter().fold((0.0, [0.0; 2]), |(sum, slopes), point| {
            let (value, slope) = raw(point);
            let share = point.weight / total;
            (sum + share * value, [slopes[0] + share * slope[0], slopes[1] + share * slope[1]])
        }),
    };
    let mut out = There { squares: 0.0, gradient: [0.0; 2], matrix: [[0.0; 2]; 2], ln_one: centre };
    for point in points {
        let (value, slope) = raw(point);
        let residual = value - centre;
        let mut j = [slope[0] - shift[0], slope[1] - shift[1]];
        match hold {
            Hold::Contention(_) => j[0] = 0.0,
            Hold::Coherency(_) => j[1] = 0.0,
            Hold::Peak(load) => j = [j[0] - j[1] / (load * load), 0.0],
            _ => {}
        }
        out.squares += point.weight * residual * residual;
        for (row, own) in j.iter().enumerate() {
            out.gradient[row] += point.weight * own * residual;
            for (column, other) in j.iter().enumerate() {
                out.matrix[row][column] += point.weight * own * other;
            }
        }
    }
    out
}

fn descend(points: &[Point], hold: Hold, a: f64, b: f64) -> Best {
    let (mut a, mut b) = tie(hold, a, b);
    let mut here = look(points, hold, a, b);
    let mut damping = 1e-3;
    for _ in 0..100 {
        // at its bound and pushed against it: fixed for this step
        let pinned = [a <= 0.0 && here.gradient[0] > 0.0, b <= 0.0 && here.gradient[1] > 0.0];
        let step = solve(&here, pinned, damping);
        let (next_a, next_b) = tie(hold, a + step[0], b + step[1]);
        let there = look(points, hold, next_a, next_b);
        if there.squares <= here.squares {
            let gain = here.squares - there.squares;
            (a, b, here) = (next_a, next_b, there);
            damping = (damping / 5.0).max(1e-12);
            if gain <= 1e-13 * here.squares {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    Best { squares: here.squares, ln_one: here.ln_one, contention: a, coherency: b }
}

/// One damped step. Each unknown is damped by its own scale.
fn solve(here: &There, pinned: [bool; 2], damping: f64) -> [f64; 2] {
    let m = here.matrix;
    let (p, q) = (m[0][0] * (1.0 + damping), m[1][1] * (1.0 + damping));
    let alone = |bend: f64, gradient: f64| if bend > 0.0 { -gradient / bend } else { 0.0 };
    match pinned {
        [true, true] => [0.0; 2],
        [true, false] => [0.0, alone(q, here.gradient[1])],
        [false, true] => [alone(p, here.gradient[0]), 0.0],
        [false, false] if p <= 0.0 || q <= 0.0 => [alone(p, here.gradient[0]), alone(q, here.gradient[1])],
        [false, false] => {
            let across = m[0][1];
            let determinant = p * q - across * across;
            if determinant <= 0.0 {
                return [alone(p, here.gradient[0]), 0.0];
            }
            let [g, h] = here.gradient;
            [(across * h - q * g) / determinant, (across * g - p * h) / determinant]
        }
    }
}
