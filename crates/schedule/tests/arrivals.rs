//! Laws of arrivals: counts, distances, distributions, shares, and the promise that a seed's stream never changes.

use crucible_core::{Ns, Rng, Share};
use crucible_schedule::{
    Arrival, ArrivalProcess, Arrivals, Curve, Mix, Piece, Spacing, expected, phase_seed,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn stream(rate: &Curve, spacing: Spacing, seed: u64) -> Arrivals {
    Arrivals::new(rate, spacing, seed, Share::ALL, &Mix::new(&[1.0]), None)
}

fn all(mut arrivals: Arrivals) -> Vec<Arrival> {
    std::iter::from_fn(|| arrivals.next()).collect()
}

fn curve(pieces: &[(f64, f64, f64)]) -> Curve {
    Curve {
        pieces: pieces
            .iter()
            .map(|(from, to, secs)| Piece::ramp(*from, *to, Ns::from_secs_f64(*secs)))
            .collect(),
    }
}

#[test]
fn even_counts_are_exact_and_instants_are_where_they_belong() {
    let check = |pieces: &[(f64, f64, f64)], count: u64| {
        let rate = curve(pieces);
        let arrivals = all(stream(&rate, Spacing::Even, 1));
        assert_eq!(arrivals.len() as u64, count, "{pieces:?}");
        assert_eq!(expected(&rate, Spacing::Even, 1), count, "{pieces:?}");
        assert!(arrivals.iter().enumerate().all(|(k, arrival)| arrival.seq == k as u64));
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(arrivals.iter().all(|arrival| arrival.at < rate.length()), "{pieces:?}");
        arrivals
    };
    let plain = check(&[(100.0, 100.0, 10.0)], 1000);
    assert!(plain.iter().all(|arrival| arrival.at == Ns(arrival.seq * 10_000_000)));
    check(&[(0.1, 0.1, 10.0)], 1);
    check(&[(0.5, 0.5, 3.0)], 2);
    check(&[(2000.0 / 60.0, 2000.0 / 60.0, 60.0)], 2000);
    check(&[(1000.0 / 3600.0, 1000.0 / 3600.0, 3600.0)], 1000);
    check(&[(0.7, 0.7, 10.0), (0.3, 0.3, 10.0)], 10);
    check(&[(0.0, 0.0, 10.0)], 0);
    check(&[], 0);
    check(&[(f64::NAN, -5.0, 10.0), (f64::INFINITY, 0.0, 10.0)], 0);
    // A pause in the middle and at the begin: the load goes on at the end of the pause.
    let paused = check(&[(0.0, 0.0, 1.0), (10.0, 10.0, 1.0), (0.0, 0.0, 5.0), (10.0, 10.0, 1.0)], 20);
    assert_eq!(
        (paused[0].at, paused[9].at, paused[10].at),
        (Ns(SECOND), Ns(19 * SECOND / 10), Ns(7 * SECOND))
    );
    // A ramp: the integral of 10 t / s is k at sqrt(k / 5) s.
    for arrival in check(&[(0.0, 100.0, 10.0)], 500) {
        let truth = (arrival.seq as f64 / 5.0).sqrt() * 1e9;
        assert!((arrival.at.0 as f64 - truth).abs() <= 1.0, "{arrival:?} {truth}");
    }
    // And down again: by symmetry arrival k comes as long before the end as the integral k' = 500 - k before it.
    for arrival in check(&[(100.0, 0.0, 10.0)], 500) {
        let truth = (10.0 - ((500 - arrival.seq) as f64 / 5.0).sqrt()) * 1e9;
        assert!((arrival.at.0 as f64 - truth).abs() <= 100.0, "{arrival:?} {truth}");
    }
}

#[test]
fn a_day_of_load_does_not_drift_and_is_counted_at_once() {
    let day = Curve::constant(30_000.0, Ns::from_secs(86_400));
    assert_eq!(expected(&day, Spacing::Even, 7), 2_592_000_000);
    // One of a million shares passes the whole day in 2,592 arrivals.
    let share = Share { index: 999_999, of: 1_000_000 };
    let arrivals = all(Arrivals::new(&day, Spacing::Even, 7, share, &Mix::new(&[1.0]), None));
    assert_eq!(arrivals.len(), 2592);
    for arrival in arrivals {
        let truth = (u128::from(arrival.seq) * 1_000_000_000 + 15_000) / 30_000;
        assert!(arrival.at.0.abs_diff(truth as u64) <= 1, "{arrival:?} {truth}");
    }
    // Poisson: within five standard deviations.
    let counted = expected(&day, Spacing::Poisson, 7);
    assert!(counted.abs_diff(2_592_000_000) < 5 * 50_912, "{counted}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn shares_and_scenarios_are_a_partition(
        pieces in prop::collection::vec((0.0f64..300.0, 0.0f64..300.0, 0.0f64..4.0), 1..5),
        seed in any::<u64>(),
        poisson in any::<bool>(),
        weights in prop::collection::vec(0.1f64..10.0, 1..4),
    ) {
        let rate = curve(&pieces);
        let spacing = if poisson { Spacing::Poisson } else { Spacing::Even };
        let mix = Mix::new(&weights);
        let whole = all(stream(&rate, spacing, seed));
        prop_assert_eq!(whole.len() as u64, expected(&rate, spacing, seed));
        prop_assert!(whole.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].seq + 1 == pair[1].seq));
        prop_assert!(whole.iter().all(|arrival| arrival.at <= rate.length()));
        for of in [1, 2, 3, 7] {
            let mut union = Vec::new();
            for index in 0..of {
                let share = Share { index, of };
                let mine = all(Arrivals::new(&rate, spacing, seed, share, &mix, None));
                prop_assert_eq!(mine.len() as u64, share.count_of(whole.len() as u64));
                for scenario in 0..weights.len() {
                    let part = all(Arrivals::new(&rate, spacing, seed, share, &mix, Some(scenario)));
                    let mut wanted = mine.iter().filter(|a| mix.scenario_of_arrival(seed, a.seq) == scenario);
                    prop_assert!(part.iter().all(|arrival| wanted.next() == Some(arrival)) && wanted.next().is_none());
                    union.extend(part);
                }
            }
            union.sort_by_key(|arrival| arrival.seq);
            prop_assert_eq!(&union, &whole);
        }
    }

    #[test]
    fn even_arrivals_lie_where_the_integral_reaches_their_number(
        pieces in prop::collection::vec((0.0f64..500.0, 0.0f64..500.0, 0.1f64..4.0), 1..6),
    ) {
        let rate = curve(&pieces);
        for arrival in all(stream(&rate, Spacing::Even, 0)) {
            // Integral up to the arrival's instant, piece by piece.
            let (mut area, mut start) = (0.0, 0.0);
            for piece in &rate.pieces {
                let length = piece.length.as_secs_f64();
                let t = (arrival.at.as_secs_f64() - start).clamp(0.0, length);
                area += piece.from * t + (piece.to - piece.from) / length * t * t / 2.0;
                start += length;
            }
            prop_assert!((area - arrival.seq as f64).abs() < 2e-5, "{:?}: {}", arrival, area);
        }
    }
}

/// Integral of 200/s for 20 s, a ramp to 600/s in 10 s, 600/s for 10 s.
fn mixed() -> Curve {
    curve(&[(200.0, 200.0, 20.0), (200.0, 600.0, 10.0), (600.0, 600.0, 10.0)])
}

fn mixed_integral(t: f64) -> f64 {
    let ramp = (t - 20.0).clamp(0.0, 10.0);
    200.0 * t.min(20.0) + 200.0 * ramp + 20.0 * ramp * ramp + 600.0 * (t - 30.0).max(0.0)
}

/// Kolmogorov's distance of sorted values in 0..1 from the uniform distribution.
fn distance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    values
        .iter()
        .enumerate()
        .map(|(i, v)| (v - i as f64 / n).abs().max(((i + 1) as f64 / n - v).abs()))
        .fold(0.0, f64::max)
}

#[test]
fn both_spacings_follow_the_curve() {
    // Kolmogorov and Smirnov at alpha = 0.001: 1.949 / sqrt(n).
    for seed in [1, 42, 4711] {
        let arrivals = all(stream(&mixed(), Spacing::Poisson, seed));
        let n = arrivals.len() as f64;
        let shares: Vec<f64> =
            arrivals.iter().map(|a| mixed_integral(a.at.as_secs_f64()) / 14_000.0).collect();
        assert!((n - 14_000.0).abs() < 3.3 * 14_000f64.sqrt(), "{n}");
        assert!(distance(&shares) < 1.949 / n.sqrt(), "{}", distance(&shares));
        // The gaps are exponential with mean 1 in the schedule's own time ...
        let mut last = 0.0;
        let mut gaps: Vec<f64> = shares
            .iter()
            .map(|share| {
                let gap = share * 14_000.0 - last;
                last += gap;
                1.0 - (-gap).exp()
            })
            .collect();
        // ... independent of the one before (correlation at alpha = 0.001: 3.29 / sqrt(n)) ...
        let product: f64 = gaps.windows(2).map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5)).sum();
        assert!((product / n * 12.0).abs() < 3.29 / n.sqrt(), "{product}");
        gaps.sort_by(f64::total_cmp);
        assert!(distance(&gaps) < 1.949 / n.sqrt(), "{}", distance(&gaps));
    }
    let even: Vec<f64> = all(stream(&mixed(), Spacing::Even, 1))
        .iter()
        .map(|arrival| mixed_integral(arrival.at.as_secs_f64()) / 14_000.0)
        .collect();
    assert!(even.len() == 14_000 && distance(&even) < 1.001 / 14_000.0, "{}", distance(&even));
}

#[test]
fn poisson_counts_vary_as_they_must() {
    // Counts in 2,000 windows of 10 expected arrivals each, against the Poisson probabilities: chi-square with 16 classes
    // (up to 4, 5, ..., 18, 19 and more), 15 degrees of freedom, alpha = 0.001: 37.7. Windows cross the seeded blocks.
    let rate = Curve::constant(100.0, Ns::from_secs(200));
    let mut windows = vec![0usize; 2000];
    for arrival in all(stream(&rate, Spacing::Poisson, 42)) {
        windows[(arrival.at.0 / (SECOND / 10)) as usize] += 1;
    }
    let mut probability = (-10.0f64).exp();
    let mut classes = [0.0; 16];
    for k in 0..100 {
        classes[usize::clamp(k, 4, 19) - 4] += probability;
        probability *= 10.0 / (k + 1) as f64;
    }
    let mut seen = [0.0; 16];
    windows.iter().for_each(|count| seen[(*count).clamp(4, 19) - 4] += 1.0);
    let chi: f64 = classes.iter().zip(seen).map(|(p, seen)| (seen - 2000.0 * p).powi(2) / (2000.0 * p)).sum();
    assert!(chi < 37.7, "{chi}");
    // Totals over many seeds: variance equals the mean (dispersion test, 999 degrees of freedom, alpha = 0.001: 858..1149).
    let short = Curve::constant(1000.0, Ns::from_secs(1));
    let totals: Vec<f64> = (0..1000).map(|seed| expected(&short, Spacing::Poisson, seed) as f64).collect();
    let mean = totals.iter().sum::<f64>() / 1000.0;
    let dispersion: f64 = totals.iter().map(|total| (total - mean).powi(2) / mean).sum();
    assert!((mean - 1000.0).abs() < 3.3 && (858.0..1149.0).contains(&dispersion), "{mean} {dispersion}");
}

/// FNV-1a over the numbers of the first 10,000 arrivals.
fn fingerprint(rate: &Curve, spacing: Spacing, mix: &Mix) -> u64 {
    let mut arrivals = Arrivals::new(rate, spacing, 42, Share::ALL, mix, None);
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for _ in 0..10_000 {
        let arrival = arrivals.next().expect("10,000 arrivals");
        for value in [arrival.seq, arrival.at.0, mix.scenario_of_arrival(42, arrival.seq) as u64] {
            for byte in value.to_le_bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}

/// A plan and a seed give the same arrivals for ever. If this fails, published experiments are no longer repeatable: do
/// not change the numbers, change the code back.
#[test]
fn the_streams_of_seed_42_never_change() {
    let shapes = [
        ("constant", curve(&[(1000.0, 1000.0, 20.0)])),
        ("ramp", curve(&[(0.0, 1000.0, 10.0), (1000.0, 1000.0, 10.0)])),
        ("stages", curve(&[(50.0, 50.0, 60.0), (900.0, 900.0, 10.0), (0.0, 0.0, 3.0), (400.0, 0.0, 40.0)])),
    ];
    let mix = Mix::new(&[70.0, 20.0, 10.0]);
    let mut told = String::new();
    for (name, rate) in &shapes {
        for spacing in [Spacing::Even, Spacing::Poisson] {
            told += &format!("{name} {spacing:?} {:016x}\n", fingerprint(rate, spacing, &mix));
        }
    }
    told += &format!("phase seeds {:016x} {:016x}\n", phase_seed(42, 0), phase_seed(42, 1));
    insta::assert_snapshot!(told, @r#"
constant Even fdbc35e7b64481f7
constant Poisson 8a0f75c90a8bbaea
ramp Even 0627e47d727740d6
ramp Poisson b664a67c4d73e3a4
stages Even c49d8e3ec2fb4f04
stages Poisson 00e0180df5180e56
phase seeds 3a8ed6e65e9ea517 572a1ad3db6f84e9
"#);
}

#[test]
fn after_the_end_there_is_nothing() {
    for spacing in [Spacing::Even, Spacing::Poisson] {
        let mut arrivals = stream(&Curve::constant(10.0, Ns(SECOND)), spacing, 3);
        while arrivals.next().is_some() {}
        assert!((0..2000).all(|_| arrivals.next().is_none()));
    }
}

#[test]
fn phases_have_unrelated_seeds() {
    let mut seeds: Vec<u64> =
        (0..1000).flat_map(|phase| [phase_seed(1, phase), phase_seed(2, phase)]).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 2000);
    assert_ne!(Rng::new(phase_seed(1, 0), "x", 0).next_u64(), Rng::new(1, "x", 0).next_u64());
}
