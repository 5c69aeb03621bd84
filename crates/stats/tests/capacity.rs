//! The search against systems whose edge is known, and against systems that have none.
#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::{Histogram, Ns};
use crucible_stats::capacity::{
    Answer, Edge, Finding, Limit, Predicate, Proposal, Purpose, Reading, Scale, Search, Settings, Shape,
    TrialResult, Window,
};
use crucible_stats::queues::{Running, Service, Station, edge, erlang_b, mmc_slower};

const MS: f64 = 1e-3;

fn settings(scale: Scale, seconds: u64) -> Settings {
    let within = Ns::from_secs(seconds);
    Settings {
        within,
        start: 10.0,
        ..Settings::new(scale, vec![Predicate::target("target", Limit::Share(0.01))])
    }
}

/// Drives a search over a queue and checks what every caller may rely on.
fn on_queue(settings: Settings, station: Station, seed: u64) -> Finding {
    let within = settings.within;
    let mut search = Search::new(settings).unwrap();
    let mut station = Running::new(station, seed, 1.0);
    for number in 1..500 {
        assert_eq!(search.propose(), search.propose());
        match search.propose() {
            Proposal::Done(finding) => {
                assert!(finding.spent <= within + Ns::from_secs(1), "{} of {within}", finding.spent);
                return *finding;
            }
            Proposal::Trial(trial) => {
                assert_eq!(trial.number, number);
                search.observe(station.trial(trial, |part| search.hopeless(part) || search.recovered(part)));
            }
        }
    }
    panic!("the search does not end");
}

/// A system without randomness: so many bad operations of so many at this load, in each window, by the first predicate; the
/// others see none.
fn scripted(settings: Settings, bad: impl Fn(f64) -> (u64, u64)) -> Finding {
    let others = settings.predicates.len() - 1;
    let mut search = Search::new(settings).unwrap();
    for _ in 0..500 {
        let trial = match search.propose() {
            Proposal::Done(finding) => return *finding,
            Proposal::Trial(trial) => trial,
        };
        let mut result = TrialResult { trial, windows: Vec::new(), ended_early: false };
        while result.took() < trial.length {
            let (bad, of) = bad(trial.load);
            let mut readings = vec![Reading::Share { of, bad, near: bad }];
            readings.extend((0..others).map(|_| Reading::Share { of, bad: 0, near: 0 }));
            result.windows.push(Window {
                length: Ns::from_secs(1),
                readings,
                done: of - bad,
                response: Histogram::default(),
            });
            if search.hopeless(&result) || search.recovered(&result) {
                result.ended_early = true;
                break;
            }
        }
        search.observe(result);
    }
    panic!("the search does not end");
}

#[test]
fn a_target_that_is_never_missed_does_not_open_the_interval() {
    // one in a hundred is slow at 500, and the odds rise twentyfold with each tenth of the load
    let slow = |load: f64| {
        let odds = 0.01 * f64::exp(30.0 * (load / 500.0 - 1.0));
        ((load * odds / (1.0 + odds)).round() as u64, load as u64)
    };
    let alone = scripted(settings(Scale::Rate, 120), slow);
    let mut both = settings(Scale::Rate, 120);
    both.predicates.push(Predicate::target("errors", Limit::Share(0.01)));
    let beside = scripted(both, slow);
    let (alone, beside) = (edge_of(&alone), edge_of(&beside));
    assert_eq!(beside.name, "target");
    assert!(alone.low > 450.0 && alone.high < 550.0, "{alone:?}");
    assert!((beside.low / alone.low - 1.0).abs() < 0.02, "{alone:?} {beside:?}");
}

fn edge_of(finding: &Finding) -> &Edge {
    match &finding.answer {
        Answer::Edge(edge) => edge,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_edge_of_a_queue_is_found_without_knowing_any_bound() {
    // 800/s at most; a few seeds, each within four percent, and the interval mostly around the truth
    let station = Station::new(4, Service::Exponential(5.0 * MS), 30.0 * MS);
    let truth = edge(0.01, 1.0, 800.0, |rate| mmc_slower(4, 5.0 * MS, rate, 30.0 * MS));
    let mut covered = 0;
    for seed in 0..6 {
        let finding = on_queue(settings(Scale::Rate, 300), station.clone(), seed);
        let edge = edge_of(&finding);
        assert!((edge.estimate / truth - 1.0).abs() < 0.06, "seed {seed}: {} for {truth}", edge.estimate);
        assert!(edge.low <= edge.estimate && edge.estimate <= edge.high);
        covered += usize::from(edge.low <= truth && truth <= edge.high);
        assert_eq!(finding.recommended.is_some(), edge.low > 0.0, "{finding:?}");
        let recommended = finding.recommended.unwrap_or(0.0);
        assert!((recommended - edge.low * 0.8).abs() < 1e-9 * recommended.max(1.0));
        assert!(finding.curve.windows(2).all(|pair| pair[0].load < pair[1].load));
    }
    assert!(covered >= 4, "{covered} of 6");
}

#[test]
fn an_unlucky_trial_does_not_lead_the_search_astray() {
    // seeds with bad luck early on: a share that is bad at any load beside a curve so steep that a coarse scan steps over it,
    // and a backlog that a short overload left to the next trial
    let hidden = Station { before: 4.0 * MS, ..Station::new(20, Service::Exponential(8.0 * MS), 60.0 * MS) };
    let truth = edge(0.01, 1.0, 2500.0, |rate| mmc_slower(20, 8.0 * MS, rate, 56.0 * MS));
    let slow = Station::new(8, Service::Exponential(10.0 * MS), 100.0 * MS);
    let slow_truth = edge(0.01, 1.0, 800.0, |rate| mmc_slower(8, 10.0 * MS, rate, 100.0 * MS));
    // a load that held for five seconds by chance: the search came ever closer to it from above
    let one = Station::new(1, Service::Exponential(0.2 * MS), 2.0 * MS);
    let one_truth = edge(0.01, 1.0, 5000.0, |rate| mmc_slower(1, 0.2 * MS, rate, 2.0 * MS));
    let cases = [
        (&one, one_truth, 69),
        (&hidden, truth, 700_053),
        (&hidden, truth, 700_068),
        (&hidden, truth, 700_073),
        (&hidden, truth, 700_100),
        (&slow, slow_truth, 700_067),
        (&slow, slow_truth, 700_088),
    ];
    for (station, truth, seed) in cases {
        let finding = on_queue(settings(Scale::Rate, 300), station.clone(), seed);
        let edge = edge_of(&finding);
        assert!((edge.estimate / truth - 1.0).abs() < 0.025, "seed {seed}: {} for {truth}", edge.estimate);
        assert!(edge.low <= truth && truth <= edge.high, "seed {seed}: {edge:?} for {truth}");
    }
}

/// What a second predicate sees that is missed nowhere but by an operation now and then where far too much is asked for.
#[test]
fn a_stray_error_does_not_open_the_interval() {
    let targets = ["slow", "errors"].map(|name| Predicate::target(name, Limit::Share(0.01)));
    let slow = Station::new(8, Service::Exponential(10.0 * MS), 100.0 * MS);
    let mut open = 0;
    for seed in 0..8 {
        let wanted = Settings { predicates: targets.to_vec(), ..settings(Scale::Rate, 300) };
        let mut search = Search::new(wanted).unwrap();
        let mut station = Running::new(slow.clone(), seed, 0.5);
        let seen = |mut result: TrialResult| {
            for window in &mut result.windows {
                let Reading::Share { of, .. } = window.readings[0] else { continue };
                let bad = u64::from(result.trial.load > 1_000.0 && of.is_multiple_of(7));
                window.readings.push(Reading::Share { of, bad, near: bad });
            }
            result
        };
        while let Proposal::Trial(trial) = search.propose() {
            let ends = |part: &TrialResult| {
                let part = seen(part.clone());
                search.hopeless(&part) || search.recovered(&part)
            };
            let result = station.trial(trial, ends);
            search.observe(seen(result));
        }
        let finding = search.finding();
        let edge = edge_of(&finding);
        assert_eq!(edge.name, "slow", "seed {seed}");
        open += usize::from(edge.low < 0.8 * edge.estimate);
    }
    assert!(open <= 1, "{open} of 8");
}

#[test]
fn an_edge_beyond_what_is_done_at_most_is_found_where_many_may_fail() {
    // without a queue, 15 % of what comes may be refused: the edge lies above all that 32 servers can do
    let station = Station { places: Some(32), ..Station::new(32, Service::Exponential(20.0 * MS), 100.0) };
    let truth = edge(0.15, 0.1, 64.0, |erlang| erlang_b(32, erlang)) / (20.0 * MS);
    assert!(truth > 1600.0);
    let target = Predicate::target("target", Limit::Share(0.15));
    let wanted = Settings { predicates: vec![target], ..settings(Scale::Rate, 120) };
    let finding = on_queue(wanted, station, 5);
    let found = edge_of(&finding);
    assert!((found.estimate / truth - 1.0).abs() < 0.03, "{} of {truth}", found.estimate);
}

#[test]
fn an_edge_is_told_although_longer_trials_took_back_what_shorter_ones_said() {
    // 20 servers of 8 ms behind 4 ms; with this seed every load that a short trial missed was held by a longer one
    let station = Station { before: 4.0 * MS, ..Station::new(20, Service::Exponential(8.0 * MS), 60.0 * MS) };
    let truth = edge(0.01, 1.0, 2500.0, |rate| mmc_slower(20, 8.0 * MS, rate, 56.0 * MS));
    let finding = on_queue(settings(Scale::Rate, 300), station, 44);
    let found = edge_of(&finding);
    assert!((found.estimate / truth - 1.0).abs() < 0.02, "{} of {truth}", found.estimate);
    assert!(found.low < truth && truth < found.high, "{found:?}");
}

#[test]
fn held_connections_are_counted_exactly_and_the_cliff_is_called_one() {
    for places in [7, 50, 333] {
        let wanted = Settings { start: 1.0, ..settings(Scale::Users, 300) };
        // each of the users beyond the pool waits for ever; those within have a thousand operations a second
        let finding = scripted(wanted, |users| {
            let users = users as u64;
            (1000 * users.saturating_sub(places), 1000 * users)
        });
        let edge = edge_of(&finding);
        // with 333 places one more is 0.3 % of the users, and the target allows 1 %: 336 are 0.9 % bad, 337 are 1.2 %
        let truth = if places == 333 { 336.0 } else { places as f64 };
        assert_eq!(edge.estimate, truth, "{edge:?}");
        assert!(edge.low <= truth && truth <= edge.high);
        if places < 100 {
            assert_eq!((edge.shape, edge.low, edge.high), (Shape::Cliff, truth, truth));
        }
    }
}

#[test]
fn what_plainly_held_bounds_the_users_when_the_time_is_over() {
    let predicates = vec![
        Predicate::target("p99.9", Limit::Share(0.001)),
        Predicate::target("p95", Limit::Share(0.05)),
        Predicate::target("errors", Limit::Share(0.01)),
    ];
    // beyond 5,000 users all are slow; each asks once in five seconds
    let wanted = Settings { start: 1.0, predicates, ..settings(Scale::Users, 60) };
    let finding = scripted(wanted, |users| {
        let of = (users / 5.0).ceil() as u64;
        (if users > 5_000.0 { of } else { 0 }, of)
    });
    let edge = edge_of(&finding);
    assert!((3_000.0..=5_000.0).contains(&edge.low) && edge.high > 5_000.0, "{edge:?}");
    assert!(edge.low <= edge.estimate && edge.estimate <= edge.high && edge.name == "p99.9", "{edge:?}");
}

#[test]
fn no_edge_is_claimed_that_was_not_crossed() {
    let wanted = Settings { most: 500.0, ..settings(Scale::Rate, 300) };
    let finding = scripted(wanted, |rate| (0, rate as u64));
    assert_eq!(finding.answer, Answer::NoEdge { highest: 500.0 });
    assert!(finding.breaking.is_none() && finding.confidence.is_none());
}

#[test]
fn a_search_that_may_go_no_further_ends_there() {
    let mut search = Search::new(settings(Scale::Rate, 300)).unwrap();
    let finding = loop {
        let trial = match search.propose() {
            Proposal::Done(finding) => break finding,
            Proposal::Trial(trial) if trial.load > 1_500.0 => {
                search.cap(1_400.0);
                continue;
            }
            Proposal::Trial(trial) => trial,
        };
        let window = Window {
            length: trial.length,
            readings: vec![Reading::Share { of: 1_000, bad: 0, near: 0 }],
            done: 1_000,
            response: Histogram::default(),
        };
        search.observe(TrialResult { trial, windows: vec![window], ended_early: false });
    };
    assert!(
        matches!(finding.answer, Answer::NoEdge { highest } if highest == 1_400.0),
        "{:?}",
        finding.answer
    );
}

#[test]
fn a_target_that_never_held_is_named() {
    let finding = scripted(settings(Scale::Rate, 300), |rate| (rate as u64 / 2, rate as u64));
    assert_eq!(finding.answer, Answer::NeverHeld { lowest: 10.0, name: "target".into() });
    assert_eq!(finding.recommended, None);
}

#[test]
fn a_system_that_answers_nothing_above_its_edge_is_no_pass() {
    let finding =
        scripted(settings(Scale::Rate, 300), |rate| if rate <= 100.0 { (0, rate as u64) } else { (0, 0) });
    let edge = edge_of(&finding);
    assert!(edge.low <= 101.0 && edge.high >= 99.0, "{edge:?}");
    assert!((90.0..=110.0).contains(&edge.estimate), "{edge:?}");
}

#[test]
fn a_retry_storm_has_two_capacities_and_the_upper_one_is_not_safe() {
    // clients give up after 100 ms and try again three times: the server works on all four
    let station =
        Station { retry: Some((0.1, 3)), ..Station::new(4, Service::Exponential(5.0 * MS), 100.0 * MS) };
    let wanted = Settings { downward: true, ..settings(Scale::Rate, 500) };
    let finding = on_queue(wanted, station, 5);
    let up = edge_of(&finding).estimate;
    // 800/s at most, without any that come again
    assert!((600.0..800.0).contains(&up), "{up}");
    let way = finding.hysteresis.as_ref().unwrap();
    assert!(way.differs && way.down < 0.7 * up, "up {up}, {way:?}");
    assert!(finding.recommended.unwrap_or(0.0) <= way.down, "{finding:?}");
    assert!(finding.remarks.iter().any(|remark| remark.contains("not safe")), "{:?}", finding.remarks);
}

#[test]
fn without_hysteresis_none_is_claimed() {
    let station = Station::new(4, Service::Exponential(5.0 * MS), 50.0 * MS);
    let wanted = Settings { downward: true, ..settings(Scale::Rate, 300) };
    let finding = on_queue(wanted, station, 3);
    assert!(!finding.hysteresis.as_ref().unwrap().differs, "{:?}", finding.hysteresis);
}

#[test]
fn the_first_of_several_predicates_is_named_and_the_breaking_point_lies_above() {
    let predicates = vec![
        Predicate::target("errors <= 1 %", Limit::Share(0.01)),
        Predicate::target("cpu <= 70 %", Limit::Level(0.7)),
        Predicate::breaking("errors > 5 %", Limit::Share(0.05)),
    ];
    let wanted = Settings { start: 10.0, ..Settings::new(Scale::Rate, predicates) };
    let mut search = Search::new(wanted).unwrap();
    let mut rng = crucible_core::Rng::new(1, "cpu", 0);
    let finding = loop {
        let trial = match search.propose() {
            Proposal::Done(finding) => break *finding,
            Proposal::Trial(trial) => trial,
        };
        let mut result = TrialResult { trial, windows: Vec::new(), ended_early: false };
        while result.took() < trial.length && !search.hopeless(&result) && !search.recovered(&result) {
            // a thousand a second use the whole processor; above 900 errors rise steeply
            let cpu = (trial.load / 1000.0).min(1.0) * (1.0 + 0.02 * rng.normal());
            let share = (0.02 * ((trial.load - 900.0) / 20.0).exp()).min(1.0);
            let of = trial.load as u64;
            let bad = (of as f64 * share + rng.unit()) as u64;
            let errors = Reading::Share { of, bad: bad.min(of), near: bad.min(of) };
            result.windows.push(Window {
                length: Ns::from_secs(1),
                readings: vec![errors, Reading::Level(cpu), errors],
                done: of - bad.min(of),
                response: Histogram::default(),
            });
        }
        result.ended_early = result.took() < trial.length;
        search.observe(result);
    };
    let edge = edge_of(&finding);
    assert_eq!((edge.predicate, edge.name.as_str()), (1, "cpu <= 70 %"));
    assert!((edge.estimate / 700.0 - 1.0).abs() < 0.01 && edge.low < 700.0 && 700.0 < edge.high, "{edge:?}");
    let broken = finding.breaking.as_ref().unwrap();
    // 2 % at 900 and e-fold every 20: 5 % at 918
    assert!((broken.estimate / 918.3 - 1.0).abs() < 0.05, "{broken:?}");
    assert_eq!(broken.name, "errors > 5 %");
}

#[test]
fn a_hopeless_trial_is_cut_short_and_followed_by_recovery() {
    let mut search = Search::new(settings(Scale::Rate, 300)).unwrap();
    let mut running = Running::new(Station::new(1, Service::Fixed(0.01), 0.02), 1, 1.0);
    let mut cut = false;
    while let Proposal::Trial(trial) = search.propose() {
        if cut {
            assert_eq!(trial.purpose, Purpose::Recover);
            assert!(trial.load < 100.0);
            return;
        }
        let result = running.trial(trial, |part| search.hopeless(part));
        cut = result.ended_early;
        search.observe(result);
    }
    panic!("nothing was hopeless");
}

#[test]
fn all_mistakes_of_the_settings_are_told_at_once() {
    let wrong = Settings { start: 0.0, most: -1.0, ..Settings::new(Scale::Users, Vec::new()) };
    assert_eq!(Search::new(wrong).unwrap_err().len(), 4);
}

/// Eight servers whose ceiling (800/s) lies just below a load of the growth (810/s): it does not show there.
fn eight_slow() -> Station {
    Station::new(8, Service::Exponential(10.0 * MS), 100.0 * MS)
}

#[test]
fn what_is_done_at_most_is_looked_for_once_and_bounds_the_edge_from_below() {
    let (mut looked, mut wide) = (0, 0);
    for seed in 0..20 {
        let mut search = Search::new(settings(Scale::Rate, 300)).unwrap();
        let mut station = Running::new(eight_slow(), seed, 1.0);
        let mut overloads = Vec::new();
        let finding = loop {
            match search.propose() {
                Proposal::Done(finding) => break *finding,
                Proposal::Trial(trial) => {
                    let result = station.trial(trial, |part| search.hopeless(part) || search.recovered(part));
                    if trial.purpose == Purpose::Overload {
                        assert!(!result.ended_early && trial.length < Ns::from_secs(5), "{trial:?}");
                        overloads.push(trial.load);
                    }
                    search.observe(result);
                }
            }
        };
        let edge = edge_of(&finding);
        assert!(overloads.len() < 2 && overloads.iter().all(|load| *load > 850.0), "{overloads:?}");
        looked += overloads.len();
        wide += usize::from(edge.low < 0.88 * edge.estimate);
    }
    // the others have seen it by chance; before, half of the intervals reached further down than that
    assert!(looked > 8 && wide <= 4, "{looked} {wide}");
}

#[test]
fn an_overload_that_cannot_be_put_on_is_passed_over() {
    let mut search = Search::new(settings(Scale::Rate, 120)).unwrap();
    let mut station = Running::new(eight_slow(), 3, 1.0);
    let mut passed = 0;
    while let Proposal::Trial(trial) = search.propose() {
        if trial.purpose == Purpose::Overload {
            search.pass_over();
            passed += 1;
            continue;
        }
        search.observe(station.trial(trial, |part| search.hopeless(part) || search.recovered(part)));
    }
    assert_eq!(passed, 1);
    edge_of(&search.finding());
}
