//! Histories whose truth is known.

use crucible_core::Rng;
use crucible_core::threshold::Better;
use crucible_stats::history::{Family, Figure, How, Settings, bound, family, most_errors};
use crucible_stats::trend::known::History;

/// `figures` figures of `runs` runs around 100 that share half of their noise; `shift` says what is added, in standard
/// deviations of 2.
fn history(seed: u64, runs: usize, figures: usize, shift: impl Fn(usize) -> f64) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(seed, "history", runs as u64);
    let shared: Vec<f64> = (0..runs).map(|_| rng.normal()).collect();
    let figure = |_| {
        (0..runs)
            .map(|run| 100.0 + 2.0 * (0.7 * shared[run] + 0.714 * rng.normal() + shift(run)))
            .collect::<Vec<f64>>()
    };
    (0..figures).map(figure).collect()
}

fn look(all: &[Vec<f64>]) -> Family {
    let figures: Vec<Figure<'_>> = all.iter().map(|values| Figure { values, least: 0.0 }).collect();
    family(&figures, &Settings { margin: 0.0, ..Settings::default() })
}

#[test]
fn a_history_in_which_nothing_happened_shows_nothing() {
    // at 1 % for all six figures together; 8 of 100 has a chance below 1 in 100,000
    for runs in [12, 40] {
        let invented = (0..100).filter(|seed| {
            let found = look(&history(*seed, runs, 6, |_| 0.0));
            found.figures.iter().any(|figure| !figure.steps.is_empty() || figure.drift.is_some())
        });
        let invented = invented.count();
        assert!(invented < 8, "{invented} of 100 histories of {runs} runs");
    }
    let found = look(&[vec![5.0; 40], vec![f64::NAN; 40]]);
    assert!(found.figures.iter().all(|figure| figure.steps.is_empty() && figure.drift.is_none()));
    assert_eq!(family(&[], &Settings::default()).figures.len(), 0);
}

#[test]
fn a_step_is_found_at_its_run_in_every_figure_and_is_no_drift() {
    let (mut found, mut near, mut drifts, mut histories) = (0, 0, 0, 0);
    for seed in 0..60 {
        let all = look(&history(seed, 24, 6, |run| if run >= 12 { 5.0 } else { 0.0 }));
        histories += u32::from(all.figures.iter().any(|figure| !figure.steps.is_empty()));
        for figure in &all.figures {
            drifts += u32::from(figure.drift.is_some());
            if let [step] = figure.steps.as_slice() {
                found += 1;
                near += u32::from(step.from <= 12 && 12 <= step.to);
                assert!(step.p <= 0.01 && step.from <= step.at && step.at <= step.to, "{step:?}");
            }
        }
    }
    // so few runs look as if they depended on each other now and then, and then it takes more of them
    let told = format!("{found} found, {near} near, {drifts} drifts of 360, in {histories} of 60 histories");
    assert!(found >= 320 && near + 4 >= found && drifts <= 8 && histories >= 59, "{told}");
}

#[test]
fn runs_that_depend_on_each_other_or_have_two_modes_invent_no_changes() {
    for (kind, name) in History::ALL {
        let invented = (0..40).filter(|seed| {
            let values = kind.series(100, 100, 0.0, &mut Rng::new(*seed, name, 5));
            let found = look(&[values]).figures.remove(0);
            !found.steps.is_empty() || found.drift.is_some()
        });
        let invented = invented.count();
        assert!(invented <= 4, "{name}: {invented} of 40");
    }
}

#[test]
fn a_drift_is_told_as_one_with_its_slope() {
    let (mut drifts, mut covered) = (0, 0);
    for seed in 0..40 {
        let all = look(&history(seed, 40, 3, |run| 0.15 * run as f64));
        for figure in &all.figures {
            let Some(drift) = figure.drift.filter(|_| figure.steps.is_empty()) else { continue };
            drifts += 1;
            covered += u32::from(drift.low <= 0.3 && 0.3 <= drift.high);
            assert!(figure.drifts_worse(Better::Lower) && !figure.drifts_worse(Better::Higher));
        }
    }
    assert!(
        drifts >= 108 && f64::from(covered) > 0.9 * f64::from(drifts),
        "{drifts} of 120, {covered} cover"
    );
}

#[test]
fn what_came_back_does_not_stand_and_what_is_small_does_not_matter() {
    let values = |levels: &[f64]| -> Vec<f64> {
        let mut rng = Rng::new(3, "levels", 0);
        levels
            .iter()
            .flat_map(|level| (0..15).map(|_| level + 0.3 * rng.normal()).collect::<Vec<_>>())
            .collect()
    };
    let standing = |levels: &[f64], margin: f64| {
        let values = values(levels);
        let figure = Figure { values: &values, least: 0.0 };
        let settings = Settings { margin, ..Settings::default() };
        let found = family(&[figure], &settings).figures.remove(0);
        let stands = found.standing(Better::Lower, 0.0, margin).map(|step| step.at).collect::<Vec<_>>();
        (found.steps.iter().map(|step| step.at).collect::<Vec<_>>(), stands)
    };
    assert_eq!(standing(&[100.0, 110.0], 0.01), (vec![15], vec![15]));
    assert_eq!(standing(&[100.0, 110.0, 100.0], 0.01), (vec![15, 30], vec![]));
    assert_eq!(standing(&[100.0, 110.0, 104.0], 0.01), (vec![15, 30], vec![15]));
    assert_eq!(standing(&[110.0, 100.0, 105.0], 0.01), (vec![15, 30], vec![30]));
    assert_eq!(standing(&[100.0, 103.0], 0.05), (vec![], vec![]));
}

#[test]
fn runs_that_do_not_tell_a_figure_keep_their_place() {
    let mut values: Vec<f64> = (0..40).map(|run| if run < 25 { 100.0 } else { 120.0 }).collect();
    values.iter_mut().enumerate().for_each(|(run, value)| *value += (run * 7 % 5) as f64);
    (0..40).step_by(3).for_each(|run| values[run] = f64::NAN);
    let found = look(&[values]).figures.remove(0);
    let step = found.steps[0];
    assert_eq!((step.at, found.runs, found.level.from), (25, 26, 25));
}

#[test]
fn bounds_keep_their_promise_for_the_next_run() {
    for (n, coverage) in [(12, 0.95), (24, 0.95), (24, 0.99), (120, 0.99)] {
        let tries = 4_000;
        let mut kept = 0;
        for seed in 0..tries {
            let mut rng = Rng::new(seed, "bounds", n as u64);
            let values: Vec<f64> = (0..=n).map(|_| (0.2 * rng.normal()).exp()).collect();
            let found = bound(&values[..n], Better::Lower, coverage).unwrap();
            assert_eq!(matches!(found.how, How::Rank(_)), (1.0 - coverage) * (n + 1) as f64 >= 1.0 - 1e-9);
            kept += u64::from(values[n] <= found.value);
        }
        let share = kept as f64 / tries as f64;
        assert!(share > coverage - 0.01 && share < coverage + 0.04, "n {n}: {share} for {coverage}");
    }
    assert!(bound(&[1.0; 4], Better::Lower, 0.95).is_none());
    assert!(bound(&[1.0, 2.0, f64::NAN, 1.0, 1.0], Better::Lower, 0.95).is_none());
    let low = bound(&[9.0, 10.0, 11.0, 10.0, 10.0, 10.0], Better::Higher, 0.95).unwrap();
    assert!(low.value < 9.0 && low.value > 5.0 && low.how == How::Logarithms, "{low:?}");
}

#[test]
fn errors_that_never_came_are_not_taken_for_impossible() {
    // 0 of 10,000: up to about 5 in 10,000 fit, so a run of 1,000 may see one or two
    let few = most_errors(0.0, 10_000.0, 1_000.0, 0.99);
    assert!((0.001..=0.004).contains(&few), "{few}");
    let many = most_errors(1_000.0, 100_000.0, 1_000.0, 0.99);
    assert!((0.015..0.025).contains(&many), "{many}");
    let large = most_errors(1e6, 1e8, 1e6, 0.99);
    assert!((0.010..0.0105).contains(&large), "{large}");
    assert_eq!(most_errors(0.0, 0.0, 10.0, 0.99), 1.0);
}
