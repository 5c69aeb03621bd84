//! Warm-up and steady state against series made to have them, or not to.

use crucible_core::Rng;
use crucible_stats::steady::{Settings, State, Why, find, mser5};

/// A series of 600 windows around a level, with dependent noise of three percent.
fn series(level: impl Fn(f64) -> f64, keep: f64, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed, "steady", 0);
    let mut noise = rng.normal();
    let mut next = |index: usize| {
        noise = keep * noise + (1.0 - keep * keep).sqrt() * rng.normal();
        level(index as f64) * (1.0 + 0.03 * noise)
    };
    (0..600).map(&mut next).collect()
}

fn within_a_tenth(level: impl Fn(f64) -> f64, truth: f64) -> usize {
    let close = |seed: u64| match find(&series(&level, 0.3, seed), &Settings::default()) {
        State::Steady(steady) => (steady.from as f64 / truth - 1.0).abs() <= 0.1,
        _ => false,
    };
    (0..40).filter(|seed| close(*seed)).count()
}

#[test]
fn the_end_of_warm_up_is_found_within_a_tenth() {
    let step = |t: f64| if t < 110.0 { 1.5 } else { 1.0 };
    let slow_down = |t: f64| if t < 150.0 { 0.7 } else { 1.0 };
    let two = |t: f64| {
        if t < 60.0 {
            2.0
        } else if t < 170.0 {
            1.4
        } else {
            1.0
        }
    };
    let fading = |t: f64| 1.0 + (-t / 30.0).exp();
    assert!(within_a_tenth(step, 110.0) >= 39);
    assert!(within_a_tenth(slow_down, 150.0) >= 39);
    assert!(within_a_tenth(two, 170.0) >= 39);
    assert!(within_a_tenth(fading, 30.0 * 50.0_f64.ln()) >= 37);
}

#[test]
fn a_flat_series_is_steady_from_the_start_spikes_or_not() {
    for seed in 0..40 {
        let mut flat = series(|_| 1.0, 0.5, seed);
        for index in [40, 41, 200, 350, 500] {
            flat[index] = 6.0;
        }
        let state = find(&flat, &Settings::default());
        assert!(matches!(state, State::Steady(steady) if steady.from == 0), "seed {seed}: {state:?}");
    }
}

#[test]
fn what_is_not_steady_is_said_not_to_be_and_why() {
    let said = |level: &dyn Fn(f64) -> f64, seed| find(&series(level, 0.3, seed), &Settings::default());
    for seed in 0..20 {
        let late = said(&|t| if t < 520.0 { 1.0 } else { 1.4 }, seed);
        assert_eq!(late, State::Unsteady(Why::ChangesLate), "seed {seed}");
        let settling = said(&|t| 1.0 + (-t / 400.0).exp(), seed);
        assert_eq!(settling, State::Unsteady(Why::Settling), "seed {seed}");
        for level in [|t: f64| 1.0 + 0.5 * t / 600.0, |t: f64| 1.0 + 0.3 * (t / 32.0).sin()] {
            let state = said(&level, seed);
            assert!(matches!(state, State::Unsteady(_)), "seed {seed}: {state:?}");
        }
    }
}

#[test]
fn too_little_and_nonsense_are_too_short() {
    assert_eq!(find(&[1.0; 19], &Settings::default()), State::TooShort);
    let mut odd = vec![1.0; 100];
    odd[7] = f64::NAN;
    assert_eq!(find(&odd, &Settings::default()), State::TooShort);
    assert!(matches!(find(&[1.0; 100], &Settings::default()), State::Steady(steady) if steady.from == 0));
    assert!(matches!(find(&[0.0; 100], &Settings::default()), State::Steady(steady) if steady.from == 0));
}

#[test]
fn a_day_of_windows_is_averaged_down() {
    let mut day: Vec<f64> = (0..864).flat_map(|seed| vec![1.0 + 0.01 * (seed as f64).sin(); 100]).collect();
    day[..20_000].fill(2.0);
    let State::Steady(steady) = find(&day, &Settings::default()) else { panic!("not steady") };
    assert!(steady.from.abs_diff(20_000) < 500, "{steady:?}");
}

#[test]
fn mser_cuts_the_warm_up_or_says_too_short() {
    let cut = mser5(&series(|t| if t < 110.0 { 1.5 } else { 1.0 }, 0.0, 1)).unwrap();
    assert!((105..=150).contains(&cut), "{cut}");
    assert_eq!(mser5(&series(|t| 1.0 + t / 600.0, 0.0, 1)), None);
}
