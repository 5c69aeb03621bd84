//! How often leaks and change points are found and invented, by family.
#![allow(clippy::print_stdout, reason = "an example prints")]

use crucible_core::Rng;
use crucible_stats::trend::known::{Benign, History};
use crucible_stats::trend::{Leak, LeakSettings, changes, leak};

fn main() {
    let tries: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let settings = LeakSettings::default();
    for (family, name, cycle) in Benign::ALL {
        let due = (6.0 * cycle).max(600.0) as usize;
        for seconds in [600, 1200, due.max(1800)] {
            let count = |growth: f64| {
                let (mut found, mut undecided) = (0, 0);
                for seed in 0..tries {
                    let mut rng = Rng::new(seed, name, seconds as u64);
                    match leak(&family.series(seconds, growth, &mut rng), &settings) {
                        Leak::Found { .. } => found += 1,
                        Leak::Undecided { .. } => undecided += 1,
                        Leak::None { .. } => {}
                    }
                }
                (found as f64 / tries as f64, undecided as f64 / tries as f64)
            };
            let (false_alarms, u0) = count(0.0);
            let (found, u1) = count(1.0);
            println!(
                "{name:<12} {seconds:>5} s (due {due:>5})  false {false_alarms:.3} (undecided {u0:.2})  found {found:.3} (undecided {u1:.2})"
            );
        }
    }
    for (kind, name) in History::ALL {
        let (mut false_points, mut found, mut near) = (0, 0, 0);
        for seed in 0..tries * 5 {
            let mut rng = Rng::new(seed, name, 1);
            false_points += u64::from(!changes(&kind.series(100, 100, 0.0, &mut rng)).points.is_empty());
            let points = changes(&kind.series(100, 80, 1.5, &mut rng)).points;
            found += u64::from(points.iter().any(|p| p.at.abs_diff(80) <= 3));
            near += u64::from(points.iter().any(|p| p.at.abs_diff(80) <= 1));
        }
        let of = |n: u64| n as f64 / (tries * 5) as f64;
        println!(
            "{name:<12} false {:.4}  found within 3 {:.3}, within 1 {:.3}",
            of(false_points),
            of(found),
            of(near)
        );
    }
}
