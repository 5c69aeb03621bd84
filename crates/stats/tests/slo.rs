//! Verdicts on limits against systems whose truth is known: the fast part of what `cargo xtask truth T12` measures.

#![allow(clippy::unwrap_used, reason = "tests")]

use crucible_core::{Histogram, Ns, Rng};
use crucible_stats::processes::{Process, Source};
use crucible_stats::slo::{Answer, Count, Settings, Tally, judge};

struct System {
    source: Source,
    limit: Ns,
    tally: Tally,
}

impl System {
    fn new(process: Process, rate: f64, percentile: f64, distance: f64, seed: u64) -> System {
        let truth = process.quantile(percentile, rate).unwrap();
        System {
            source: Source::new(process, rate, 1.0, Rng::new(seed, "slo", 0)),
            limit: Ns((truth * distance * 1e9) as u64),
            tally: Tally::default(),
        }
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..seconds as u64 {
            let mut window = Histogram::default();
            self.source.run(1.0, 1.0, |response| window.record(response));
            self.tally.push(Count::latency(&window, self.limit, 1.0));
        }
    }
}

#[test]
fn two_percent_from_the_limit_it_is_decided_rightly_with_what_was_asked_for() {
    let cases = [
        (Process::Exponential, 0.95, 200.0),
        (Process::LogNormal(1.0), 0.9, 200.0),
        (Process::Bimodal(0.2), 0.95, 200.0),
        (Process::Queue(0.5), 0.9, 200.0),
    ];
    let mut undecided = 0;
    for (process, percentile, rate) in cases {
        for (distance, right) in [(1.02, Answer::Pass), (1.0 / 1.02, Answer::Fail)] {
            let mut system = System::new(process, rate, percentile, distance, 3);
            system.run(60.0);
            let mut judged = judge(&system.tally, 1.0 - percentile, &Settings::default());
            if let Some(more) = judged.more {
                assert_eq!(judged.answer, Answer::Inconclusive);
                assert!(more.seconds < 20_000.0, "{process:?}: {more:?}");
                system.run(more.seconds);
                judged = judge(&system.tally, 1.0 - percentile, &Settings::default());
            }
            undecided += u32::from(judged.answer == Answer::Inconclusive);
            assert!(
                judged.answer == right || judged.answer == Answer::Inconclusive,
                "{process:?} {judged:?}"
            );
        }
    }
    assert!(undecided <= 1, "{undecided} of 8");
}

#[test]
fn at_the_limit_neither_side_is_claimed_too_often() {
    let settings = Settings { tail: 0.05, ..Settings::default() };
    let (mut passes, mut fails) = (0, 0);
    for seed in 0..60 {
        let mut system = System::new(Process::Queue(0.8), 300.0, 0.9, 1.0, seed);
        system.run(40.0);
        match judge(&system.tally, 0.1, &settings).answer {
            Answer::Pass => passes += 1,
            Answer::Fail => fails += 1,
            Answer::Inconclusive => {}
        }
    }
    // 3 of 60 are expected on either side
    assert!(passes <= 9 && fails <= 9, "{passes} {fails}");
}

#[test]
fn a_share_of_errors_is_judged_by_its_clumps() {
    let of = |errors: &dyn Fn(u32) -> f64| {
        let mut tally = Tally::default();
        (0..120).for_each(|window| tally.push(Count::share(errors(window), 1_000.0, 1.0)));
        judge(&tally, 0.01, &Settings::default())
    };
    // 0.5 % of all operations either way: spread evenly that is shown, as three outages it is not
    assert_eq!(of(&|window| f64::from(4 + window % 3)).answer, Answer::Pass);
    let clumped = of(&|window| if window % 40 == 7 { 200.0 } else { 0.0 });
    assert_eq!((clumped.answer, clumped.share), (Answer::Inconclusive, 0.005));
    assert!(clumped.effective < 1_500.0 && clumped.more.is_some(), "{clumped:?}");
    assert_eq!(of(&|_| 15.0).answer, Answer::Fail);
}
