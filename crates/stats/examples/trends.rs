//! How often leaks are found and invented, by family.
#![allow(clippy::print_stdout, reason = "an example prints")]

use crucible_core::Rng;
use crucible_stats::trend::known::Benign;
use crucible_stats::trend::{Leak, LeakSettings, leak};

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
}
