//! Comparison against systems whose truth is known, by seeds: the fast part of what `cargo xtask truth T9 T10 T11` measures.

#![allow(clippy::unwrap_used, reason = "tests")]

use crucible_core::{Histogram, Ns};
use crucible_stats::compare::{
    Better, Caveat, Change, Comparison, Evidence, Gauge, Lack, Metric, Needs, Pair, Settings, Slice, Trials,
    Unit, Verdict, compare,
};
use crucible_stats::processes::{NAMED, Process, pairs, runs};

fn quick() -> Settings {
    Settings { shift: false, self_checks: 0, ..Settings::default() }
}

fn of(evidence: &Evidence, settings: &Settings) -> Comparison {
    compare(evidence, settings).unwrap()
}

#[test]
fn equal_systems_are_not_called_different_whatever_their_law() {
    for (name, process) in NAMED {
        for seed in 0..3 {
            let found = of(&Evidence::interleaved(pairs(process, 200.0, 40, 1.0, 1.0, 300 + seed)), &quick());
            let different: Vec<_> = found.different().map(|row| (&row.metric, row.p)).collect();
            assert!(different.is_empty(), "{name}, seed {seed}: {different:?}");
        }
    }
}

#[test]
fn a_slower_service_is_found_and_called_worse_and_the_other_way_round_better() {
    let slow = pairs(Process::Queue(0.5), 1_000.0, 40, 1.0, 1.15, 7);
    let swapped = slow.iter().map(|pair| Pair { a: pair.b.clone(), b: pair.a.clone(), round: 0 }).collect();
    let (worse, better) =
        (of(&Evidence::interleaved(slow), &quick()), of(&Evidence::interleaved(swapped), &quick()));
    let verdict = |found: &Comparison, share| found.of(&Metric::Percentile(share)).unwrap().verdict;
    assert!(worse.any_worse() && !better.any_worse());
    for share in [0.5, 0.9] {
        assert_eq!(verdict(&worse, share), Verdict::Different(Change::Worse));
        assert_eq!(verdict(&better, share), Verdict::Different(Change::Better));
    }
    // seen from the other side every ratio is the inverse
    for (one, other) in worse.metrics.iter().zip(&better.metrics) {
        let product = one.ratio.unwrap_or(1.0) * other.ratio.unwrap_or(1.0);
        assert!((product - 1.0).abs() < 1e-6 && (one.p - other.p).abs() < 1e-9, "{one:?} {other:?}");
    }
}

#[test]
fn an_interval_holds_a_known_ratio_also_in_a_gap() {
    // half of the operations take 10 ms, half 50 ms: the median lies between, where nothing is
    for (process, ratio) in
        [(Process::Bimodal(0.5), 1.3), (Process::LogNormal(1.0), 0.8), (Process::Exponential, 1.1)]
    {
        let found = of(&Evidence::interleaved(pairs(process, 300.0, 40, 1.0, ratio, 11)), &quick());
        for row in
            found.metrics.iter().filter(|row| matches!(row.metric, Metric::Percentile(_) | Metric::Mean))
        {
            if let Some(interval) = row.interval {
                assert!(interval.holds(ratio), "{process:?} {row:?}");
            }
        }
        assert!(found.of(&Metric::Mean).unwrap().interval.is_some());
    }
}

#[test]
fn one_run_an_arm_is_told_to_be_one_and_several_are_the_unit() {
    let arm = |count, seed| runs(Process::LogNormal(0.5), 300.0, count, 20.0, 1.0, 0.02, seed);
    let single = of(&Evidence::runs(arm(1, 1), arm(1, 2)), &quick());
    assert_eq!((single.unit, single.units), (Unit::Windows, 20));
    assert!(single.caveats.contains(&Caveat::SingleRun));
    // what is known of the spread between runs widens the interval
    let known = Settings { run_spread: Some(0.05), ..quick() };
    let wide = of(&Evidence::runs(arm(1, 1), arm(1, 2)), &known);
    for (narrow, wide) in single.metrics.iter().zip(&wide.metrics) {
        if let (Some(narrow), Some(wide)) =
            (narrow.interval.filter(|_| narrow.metric == Metric::Mean), wide.interval)
        {
            assert!(wide.low < narrow.low * 0.95 && wide.high > narrow.high * 1.05);
        }
    }
    let several = of(&Evidence::runs(arm(6, 3), arm(6, 4)), &quick());
    assert_eq!((several.unit, several.units), (Unit::Runs, 6));
    assert!(several.different().next().is_none() && !several.caveats.contains(&Caveat::SingleRun));
}

#[test]
fn errors_are_compared_by_incidents_not_by_their_number() {
    let slice = |errors: u64| Slice {
        ok: 1_000 - errors,
        errors,
        operations: 1_000,
        seconds: 1.0,
        ..Slice::default()
    };
    let of_pairs = |b: &dyn Fn(usize) -> u64| {
        let pairs = (0..40).map(|index| Pair { a: slice(10), b: slice(b(index)), round: 0 }).collect();
        let found = of(&Evidence::interleaved(pairs), &quick());
        found.of(&Metric::Errors).unwrap().clone()
    };
    // 800 more in one slice are one incident; 800 more over all slices are a difference
    assert!(matches!(of_pairs(&|index| if index == 17 { 810 } else { 10 }).verdict, Verdict::Undecided(_)));
    assert_eq!(of_pairs(&|_| 30).verdict, Verdict::Different(Change::Worse));
    assert!(matches!(of_pairs(&|index| 9 + index as u64 % 3).verdict, Verdict::Equivalent { .. }));
    let none = Pair { a: slice(0), b: slice(0), round: 0 };
    let found = of(&Evidence::interleaved(vec![none; 40]), &quick());
    let row = found.of(&Metric::Errors).unwrap();
    assert!(
        matches!(row.verdict, Verdict::Equivalent { within } if within > 0.0 && within < 0.001),
        "{row:?}"
    );
    assert_eq!(row.ratio, None);
}

#[test]
fn gauges_are_compared_and_missing_readings_leave_their_pair_out() {
    let slice = |cpu: f64, memory: f64| Slice {
        ok: 100,
        operations: 100,
        seconds: 1.0,
        readings: vec![memory, cpu],
        ..Slice::default()
    };
    let wave = |index: usize| 1.0 + 0.01 * (index as f64 * 2.4).sin();
    let pairs = (0..30).map(|index| {
        let cpu = if index == 4 { f64::NAN } else { 0.55 * wave(index + 3) };
        Pair { a: slice(0.5 * wave(index), 2e8), b: slice(cpu, 2e8 * wave(index)), round: 0 }
    });
    let evidence = Evidence {
        gauges: [Gauge::memory(), Gauge::cpu()].map(|gauge| Gauge { start_spread: 0.0, ..gauge }).into(),
        trials: Trials::Interleaved(pairs.collect()),
    };
    let found = of(&evidence, &quick());
    let (memory, cpu) = (found.of(&Metric::Gauge(0)).unwrap(), found.of(&Metric::Gauge(1)).unwrap());
    assert!(matches!(memory.verdict, Verdict::Equivalent { within } if within < 0.01), "{memory:?}");
    assert_eq!((cpu.verdict, cpu.better), (Verdict::Different(Change::Worse), Better::Lower));
    assert!((cpu.ratio.unwrap() - 1.1).abs() < 0.005 && (cpu.a - 0.005).abs() < 1e-4);
}

#[test]
fn what_a_process_settled_on_at_its_start_is_no_difference_of_systems() {
    let slice = |memory: f64| Slice { seconds: 1.0, readings: vec![memory], ..Slice::default() };
    // every start of a system settles on a level of its own, up to 5 % off, and keeps it
    let level =
        |round: u32, arm: u32| 1e8 * (1.0 + 0.05 * f64::from(round * 2 + arm).mul_add(2.4, 0.3).sin());
    let memory_of = |rounds: u32, more: f64| {
        let pairs = (0..30).map(|index| {
            let round = index * rounds / 30;
            Pair { a: slice(level(round, 0)), b: slice(more * level(round, 1)), round }
        });
        let evidence =
            Evidence { gauges: vec![Gauge::memory()], trials: Trials::Interleaved(pairs.collect()) };
        of(&evidence, &quick()).of(&Metric::Gauge(0)).unwrap().clone()
    };
    let once = memory_of(1, 1.03);
    assert!(matches!(once.verdict, Verdict::Undecided(Needs { lack: Lack::Starts, .. })), "{once:?}");
    assert_eq!(memory_of(1, 1.6).verdict, Verdict::Different(Change::Worse));
    let often = memory_of(10, 1.0);
    assert!(matches!(often.verdict, Verdict::Undecided(Needs { lack: Lack::Precision, .. })), "{often:?}");
    assert_eq!(memory_of(10, 1.2).verdict, Verdict::Different(Change::Worse));
}

#[test]
fn what_samples_do_not_carry_is_undecided_and_says_what_it_needs() {
    let found = of(&Evidence::interleaved(pairs(Process::Exponential, 50.0, 12, 1.0, 1.0, 5)), &quick());
    let row = found.of(&Metric::Percentile(0.999)).unwrap();
    let Verdict::Undecided(needs) = row.verdict else { panic!("{row:?}") };
    assert!(needs.lack == Lack::Samples && needs.units.is_some() && row.interval.is_none());
    let row = found.of(&Metric::Percentile(0.5)).unwrap();
    let Verdict::Undecided(needs) = row.verdict else { panic!("{row:?}") };
    assert_eq!((needs.lack, needs.seconds), (Lack::Precision, needs.units.map(|units| units as f64)));
    assert!(row.detectable.unwrap() > 0.05);
    // no errors in some hundred operations of an arm say little of one in a thousand, and how much less than they might
    let row = found.of(&Metric::Errors).unwrap();
    let Verdict::Undecided(needs) = row.verdict else { panic!("{row:?}") };
    assert_eq!((row.a, row.b, needs.lack), (0.0, 0.0, Lack::Samples));
    let (may, seconds) = (-(0.5 * quick().alpha).ln() / 0.001, needs.seconds.unwrap());
    assert!((50.0 * (12.0 + seconds) / may - 1.0).abs() < 0.15, "{seconds} s more for {may} operations");
    // nothing at all, and a single pair
    let empty = of(&Evidence::interleaved(vec![Pair { a: idle(), b: idle(), round: 0 }; 3]), &quick());
    assert!(empty.metrics.iter().all(|row| !matches!(row.verdict, Verdict::Different(_))));
    let one = of(&Evidence::interleaved(pairs(Process::Exponential, 50.0, 1, 1.0, 9.0, 5)), &quick());
    assert!(one.different().next().is_none());
}

fn idle() -> Slice {
    Slice { seconds: 1.0, ..Slice::default() }
}

#[test]
fn the_shift_function_shows_where_the_distribution_moved() {
    // only what is slow becomes slower
    let mut slices = pairs(Process::Bimodal(0.3), 400.0, 30, 1.0, 1.0, 3);
    for pair in &mut slices {
        let mut moved = Histogram::default();
        for (value, count) in pair.b.latency.buckets() {
            let factor = if value.0 > 25_000_000 { 1.2 } else { 1.0 };
            moved.record_many(Ns((value.0 as f64 * factor) as u64), count);
        }
        pair.b.latency = moved;
    }
    let settings = Settings { self_checks: 30, ..Settings::default() };
    let found = of(&Evidence::interleaved(slices), &settings);
    assert_eq!(found.shift.len(), 9);
    for point in &found.shift {
        let truth = if point.share > 0.7 { 1.2 } else { 1.0 };
        assert!(point.band.holds(truth) || (point.share - 0.7).abs() < 0.01, "{point:?}");
        assert!(point.share < 0.75 || point.band.low > 1.1, "{point:?}");
    }
    let check = found.self_check.unwrap();
    assert!(check.made == 30 && check.differed <= 2, "{check:?}");
    assert!(
        found.caveats.contains(&Caveat::SingleStart) && !found.caveats.contains(&Caveat::UnequalToItself)
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let bad =
        Slice { ok: 5, errors: 1, operations: 4, seconds: 0.0, readings: vec![-1.0], ..Slice::default() };
    let evidence = Evidence::interleaved(vec![Pair { a: bad, b: idle(), round: 0 }]);
    let settings = Settings { alpha: 2.0, percentiles: vec![99.0], ..Settings::default() };
    let told: Vec<String> =
        compare(&evidence, &settings).unwrap_err().iter().map(|problem| problem.to_string()).collect();
    assert_eq!(
        told,
        [
            "alpha: it is 2 (choose it between 0 and 0.5)",
            "percentiles: it is 99 (choose it between 0 and 1)",
            "pair 0, arm a: its length is 0 s (give the seconds that it lasted, more than 0)",
            "pair 0, arm a: 5 ok and 1 errors of 4 operations (count as operations all that ended)",
            "pair 0, arm a: 1 readings for 0 gauges (give one reading a gauge, NaN where there was none)",
            "pair 0, arm a: a reading is -1 (readings are finite and not below 0)",
        ]
    );
    assert_eq!(compare(&Evidence::runs(Vec::new(), vec![Vec::new()]), &quick()).unwrap_err().len(), 2);
}

#[test]
fn the_same_evidence_gives_the_same_answer() {
    let evidence = Evidence::interleaved(pairs(Process::Pauses(0.5), 100.0, 24, 1.0, 1.02, 8));
    let settings = Settings { self_checks: 20, ..Settings::default() };
    assert_eq!(of(&evidence, &settings), of(&evidence, &settings));
}
