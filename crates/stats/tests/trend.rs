//! Leaks against series whose truth is known.

use crucible_core::Rng;
use crucible_stats::trend::known::Benign;
use crucible_stats::trend::{Leak, LeakSettings, leak};

fn found(family: Benign, name: &str, seconds: usize, growth: f64, tries: u64) -> u64 {
    let leaks = (0..tries).filter(|seed| {
        let series = family.series(seconds, growth, &mut Rng::new(*seed, name, 7));
        matches!(leak(&series, &LeakSettings::default()), Leak::Found { .. })
    });
    leaks.count() as u64
}

#[test]
fn what_does_not_leak_is_not_named() {
    for (family, name, _) in Benign::ALL {
        assert_eq!(found(family, name, 600, 0.0, 2), 0, "{name}");
    }
}

#[test]
fn a_leak_is_named_with_its_slope_and_the_time_left() {
    let series = Benign::Remembering(0.5).series(1_200, 1.0, &mut Rng::new(1, "leak", 0));
    let settings = LeakSettings { limit: Some(200.0), ..LeakSettings::default() };
    let Leak::Found { slope, exhausted_in } = leak(&series, &settings) else { panic!("a leak") };
    let truth = 1.0 / 60.0;
    assert!(slope.low < truth && truth < slope.high, "{slope:?}");
    assert!((slope.value - truth).abs() < 0.15 * truth, "{slope:?}");
    // at 120 after 20 minutes, 80 minutes to 200
    let left = exhausted_in.unwrap();
    assert!((left - 4_800.0).abs() < 900.0, "{left}");
}

#[test]
fn too_little_is_told_with_what_is_missing() {
    assert!(matches!(leak(&[(0.0, 1.0), (1.0, 2.0)], &LeakSettings::default()), Leak::Undecided { .. }));
    let few = Benign::Collector(300.0).series(900, 1.0, &mut Rng::new(1, "few", 0));
    let Leak::Undecided { seconds, .. } = leak(&few, &LeakSettings::default()) else { panic!("undecided") };
    assert!(seconds > 300.0 && seconds.is_finite(), "{seconds}");
    assert!(matches!(leak(&[], &LeakSettings::default()), Leak::Undecided { .. }));
    let broken: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), f64::NAN)).collect();
    assert!(matches!(leak(&broken, &LeakSettings::default()), Leak::Undecided { .. }));
}
