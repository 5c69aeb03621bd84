//! The scalability law against laws that are known.
#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::Rng;
use crucible_stats::usl::{Law, Point, Prediction, fit};

const LOADS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0];

fn truth(a: f64, b: f64, load: f64) -> f64 {
    1000.0 * load / (1.0 + a * (load - 1.0) + b * load * (load - 1.0))
}

fn points(a: f64, b: f64, loads: &[f64], noise: f64, seed: u64) -> Vec<Point> {
    let mut rng = Rng::new(seed, "usl", 0);
    loads.iter().map(|load| Point::new(*load, truth(a, b, *load) * (1.0 + noise * rng.normal()))).collect()
}

fn law(a: f64, b: f64, loads: &[f64], noise: f64, seed: u64) -> Law {
    fit(&points(a, b, loads, noise, seed)).unwrap()
}

#[test]
fn without_noise_the_law_comes_out_exactly() {
    let law = law(0.03, 1e-3, &LOADS, 0.0, 1);
    let near = |told: f64, truth: f64| assert!((told / truth - 1.0).abs() < 1e-4, "{told} for {truth}");
    near(law.contention.value, 0.03);
    near(law.coherency.value, 1e-3);
    near(law.one.value, 1000.0);
    near(law.peak.unwrap().load.value, (0.97_f64 / 1e-3).sqrt());
    near(law.ceiling.unwrap().value, 1000.0 / 0.03);
    near(law.efficiency(32.0), truth(0.03, 1e-3, 32.0) / 32_000.0);
}

#[test]
fn intervals_of_the_coefficients_cover_the_truth() {
    let runs = 100;
    for (a, b, noise) in [(0.03, 1e-3, 0.05), (0.1, 1e-3, 0.02)] {
        let (mut first, mut second) = (0, 0);
        for seed in 0..runs {
            let law = law(a, b, &LOADS, noise, seed);
            first += u32::from(law.contention.low <= a && a <= law.contention.high);
            second += u32::from(law.coherency.low <= b && b <= law.coherency.high);
        }
        // 95 of 100 are expected; the standard deviation is 2.2
        assert!((88..=100).contains(&first), "a {a} noise {noise}: {first} of {runs}");
        assert!((88..=100).contains(&second), "b {b} noise {noise}: {second} of {runs}");
    }
}

#[test]
fn coefficients_are_never_negative_and_open_ends_are_open() {
    for seed in 0..20 {
        let law = law(0.02, 0.0, &LOADS, 0.03, seed);
        assert!(law.coherency.value >= 0.0 && law.coherency.low >= 0.0 && law.contention.low >= 0.0);
        if let Some(peak) = law.peak.filter(|_| law.coherency.low == 0.0) {
            assert!(peak.load.high.is_infinite(), "seed {seed}: {peak:?}");
        }
    }
}

#[test]
fn it_does_not_extrapolate_where_it_would_be_far_off() {
    // measured to half of the peak only
    let loads = [1.0, 3.0, 6.0, 9.0, 12.0, 16.0, 20.0, 24.0, 28.0, 35.0];
    let peak = (0.98_f64 / 2e-4).sqrt();
    let mut far_off = 0;
    for seed in 0..40 {
        let law = law(0.02, 2e-4, &loads, 0.05, seed);
        let told = law.peak.map_or(f64::INFINITY, |peak| law.throughput(peak.load.value));
        if (told / truth(0.02, 2e-4, peak) - 1.0).abs() > Law::TOLERANCE {
            far_off += 1;
            let said = law.predict_peak();
            assert!(
                matches!(said, Prediction::Refused { load_to, .. } if load_to > 35.0),
                "{seed}: {said:?}"
            );
        }
    }
    assert!(far_off > 4, "the case is too easy: {far_off}");
    assert!(matches!(law(0.02, 2e-4, &loads, 0.01, 1).predict(20.0), Prediction::Throughput(_)));
    assert!(matches!(law(0.03, 1e-3, &LOADS, 0.02, 1).predict_peak(), Prediction::Throughput(_)));
}

#[test]
fn what_cannot_be_fitted_is_refused_with_the_reason() {
    let three: Vec<Point> = [1.0, 2.0, 3.0].map(|load| Point::new(load, load)).to_vec();
    assert_eq!(fit(&three).unwrap_err().why, "3 different loads; three unknowns need at least four");
    for (load, throughput) in [(0.5, 1.0), (f64::NAN, 1.0), (2.0, 0.0), (2.0, f64::INFINITY)] {
        let mut points = points(0.03, 1e-3, &LOADS, 0.02, 1);
        points.push(Point::new(load, throughput));
        assert!(fit(&points).unwrap_err().why.contains("the load at least 1"), "{load} {throughput}");
    }
}
