//! Limiters in virtual time, of which everything is known: the class, the figures, the key, the lies.
//!
//! The fast part of claim T19; `cargo xtask truth T19` asks many more, made by another hand.

use crucible_core::Rng;
use crucible_stats::limits::sim::{Range, Said, by_rule};
use crucible_stats::limits::{Class, Finding, Hints, Options, Outcome, Prober, Rule, Tier};

const SEED: u64 = 7;

fn probe(server: impl FnMut(u8, f64, usize) -> Said, service: f64, options: Options) -> Finding {
    let mut range = Range::new(server, 0.004, 0.001, service, SEED);
    let mut now = 11.3;
    let mut prober = Prober::new(options, now);
    while let Some(experiment) = prober.next(now) {
        let (seen, end) = range.play(&experiment, now);
        prober.observe(seen, end);
        now = end;
    }
    prober.finding()
}

fn options() -> Options {
    Options { within: 1e5, press: 0, seed: SEED, ..Options::default() }
}

fn near(found: f64, truth: f64) -> bool {
    (found / truth - 1.0).abs() < 0.02
}

/// Probes a server that keeps to the rule, and holds what is found against it.
#[track_caller]
fn check(truth: Rule) {
    let press = if truth.class == Class::TwoTier { 12 } else { 0 };
    let finding = probe(by_rule(truth, |_| 0), 0.002, Options { press, ..options() });
    let found = finding.rule.unwrap_or_else(|| panic!("{:?}: {:?}", truth.class, finding.outcome));
    assert_eq!((found.class, found.limit), (truth.class, truth.limit), "{finding:?}");
    assert!(near(found.window, truth.window), "{finding:?}");
    assert!(finding.windows().is_some_and(|windows| windows <= 7.0), "{finding:?}");
    match truth.class {
        Class::Lockout => assert!(near(found.lock, truth.lock), "{finding:?}"),
        Class::IntervalRefill => assert_eq!(found.lump, truth.lump),
        Class::TwoTier => {
            assert_eq!(found.second.limit, truth.second.limit);
            assert!(near(found.second.window, truth.second.window), "{finding:?}");
        }
        _ => {}
    }
}

#[test]
fn a_window_of_the_servers_clock() {
    check(Rule { phase: 3.1, ..Rule::new(Class::FixedWall, 20, 10.0) });
}

#[test]
fn a_window_from_the_first_request() {
    check(Rule::new(Class::FixedFirst, 10, 4.0));
}

#[test]
fn a_sliding_log() {
    check(Rule::new(Class::SlidingLog, 12, 6.0));
}

#[test]
fn a_sliding_log_that_counts_refused_requests() {
    check(Rule::new(Class::LogWithRejects, 10, 5.0));
}

#[test]
fn a_sliding_counter() {
    check(Rule { phase: 1.0, ..Rule::new(Class::SlidingCounter, 20, 8.0) });
}

#[test]
fn a_token_bucket() {
    check(Rule::new(Class::TokenBucket, 20, 12.0));
}

#[test]
fn refills_at_intervals() {
    check(Rule { lump: 5, ..Rule::new(Class::IntervalRefill, 20, 12.0) });
}

#[test]
fn a_lock_out() {
    check(Rule { lock: 12.0, ..Rule::new(Class::Lockout, 20, 8.0) });
}

#[test]
fn minimum_spacing() {
    check(Rule::new(Class::Spacing, 1, 0.7));
}

#[test]
fn two_tiers() {
    let second = Tier { limit: 30, window: 15.0, phase: 4.0 };
    check(Rule { phase: 0.3, second, ..Rule::new(Class::TwoTier, 8, 1.5) });
}

/// Lets one request pass each interval and makes so many wait.
fn holding_back(interval: f64, places: f64) -> impl FnMut(u8, f64, usize) -> Said + 'static {
    let mut free = 0.0f64;
    move |_, at, _| {
        let delay = (free - at).max(0.0);
        if delay > places * interval {
            return Said { status: 429, ..Said::default() };
        }
        free = free.max(at) + interval;
        Said { status: 200, delay, ..Said::default() }
    }
}

#[test]
fn a_queue_that_holds_requests_back() {
    let (interval, places) = (0.05, 10.0);
    let server = holding_back(interval, places);
    let finding = probe(server, 0.002, options());
    let found = finding.rule.expect("a queue");
    assert_eq!((found.class, found.lump), (Class::LeakyQueue, 10), "{finding:?}");
    assert!(near(found.window, interval), "{finding:?}");
}

#[test]
fn a_cap_on_requests_under_way() {
    let server =
        |_: u8, _: f64, busy: usize| Said { status: if busy >= 12 { 429 } else { 200 }, ..Said::default() };
    let finding = probe(server, 0.1, options());
    let found = finding.rule.expect("a cap");
    assert_eq!((found.class, found.limit), (Class::Concurrency, 12), "{finding:?}");
}

#[test]
fn overloaded_servers_have_no_limiter() {
    let mut rng = Rng::new(SEED, "overload", 0);
    let mut chance = move |share: f64| rng.unit() < share;
    let said = |status: u16| Said { status, ..Said::default() };
    let mut second = chance.clone();
    // slow: one worker, everything waits its turn
    let mut free = 0.0f64;
    let slow = move |_: u8, at: f64, _: usize| {
        let delay = (free - at).max(0.0) + 0.03;
        free = at + delay;
        Said { status: 200, delay, ..Said::default() }
    };
    let finding = probe(slow, 0.0, Options { most: 200, ..options() });
    assert_eq!((finding.outcome.clone(), finding.rule), (Outcome::None, None), "slow: {finding:?}");
    let full =
        probe(move |_, _, busy| said(if busy > 4 || chance(0.4) { 503 } else { 200 }), 0.01, options());
    let broken = probe(move |_, _, _| said(if second(0.6) { 500 } else { 200 }), 0.002, options());
    let forbidden = probe(move |_, _, _| said(405), 0.002, options());
    let mut count = 0;
    let resets = probe(
        move |_, _, _| {
            count += 1;
            said(if count % 3 == 0 { 200 } else { 0 })
        },
        0.002,
        options(),
    );
    for (name, finding) in [("503", full), ("500", broken), ("405", forbidden), ("resets", resets)] {
        let outcome = &finding.outcome;
        assert!(matches!(outcome, Outcome::Overload | Outcome::Untestable), "{name}: {finding:?}");
        assert_eq!(finding.rule, None, "{name}");
    }
}

#[test]
fn refusals_by_chance_are_no_rule() {
    let mut rng = Rng::new(SEED, "chance", 0);
    let server = move |_: u8, _: f64, _: usize| Said {
        status: if rng.unit() < 0.4 { 429 } else { 200 },
        ..Said::default()
    };
    let finding = probe(server, 0.002, Options { within: 60.0, ..options() });
    assert!(matches!(finding.outcome, Outcome::Unknown(_)), "{finding:?}");
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let finding = probe(|_, _, _| Said { status: 200, ..Said::default() }, 0.002, options());
    assert_eq!(finding.outcome, Outcome::None);
    assert!(finding.rate > 50.0 && finding.requests > 2_000, "{finding:?}");
}

/// A window of the server's clock, 20 in 10 s, with headers that state `factor` times what is.
fn with_headers(factor: f64) -> Finding {
    let rule = Rule::new(Class::FixedWall, 20, 10.0);
    let (mut index, mut used) = (-1.0, 0u64);
    let server = move |_: u8, at: f64, _: usize| {
        let window = (at / 10.0).floor();
        if window != index {
            (index, used) = (window, 0);
        }
        let passes = used < rule.limit;
        used += u64::from(passes);
        let left = (window + 1.0) * 10.0 - at;
        let stated = |count: u64| (count as f64 * factor).round() as u64;
        let hints = Hints {
            limit: Some(stated(20)),
            remaining: Some(stated(rule.limit - used)),
            retry_after: (!passes).then(|| (left / factor).ceil().max(1.0)),
            fields: vec!["ratelimit-limit"],
            ..Hints::default()
        };
        Said { status: if passes { 200 } else { 429 }, delay: 0.0, hints }
    };
    probe(server, 0.002, options())
}

#[test]
fn lying_headers_are_named() {
    let honest = with_headers(1.0);
    assert!(!honest.lies() && honest.headers.len() == 3, "{:?}", honest.headers);
    let lying = with_headers(2.0);
    let fields: Vec<&str> = lying.headers.iter().filter(|t| !t.true_enough).map(|t| t.field).collect();
    assert_eq!(fields, ["limit", "retry-after"], "{:?}", lying.headers);
}

#[test]
fn the_key_is_named() {
    let rule = Rule::new(Class::FixedFirst, 10, 4.0);
    // variant 1 has another token, variant 2 another header that nobody reads
    let server = by_rule(rule, |variant| u8::from(variant == 1));
    let finding = probe(server, 0.002, Options { keys: vec![1, 2], ..options() });
    let told: Vec<(u8, bool)> = finding.keys.iter().map(|(key, told)| (*key, *told > 5.0)).collect();
    assert_eq!(told, [(1, true), (2, false)], "{:?}", finding.keys);
    assert!(finding.keys[1].1 < -5.0, "{:?}", finding.keys);
}

#[test]
fn unrelated_errors_do_not_hide_a_limiter() {
    let rule = Rule::new(Class::FixedFirst, 30, 8.0);
    let mut inner = by_rule(rule, |_| 0);
    let mut rng = Rng::new(SEED, "errors", 0);
    // the errors come from behind the limiter, or from before it
    let server = move |key: u8, at: f64, busy: usize| {
        let draw = rng.unit();
        if draw < 0.005 {
            return Said { status: 500, ..Said::default() };
        }
        inner(key, at, busy)
    };
    let finding = probe(server, 0.002, options());
    let found = finding.rule.expect("a limiter");
    assert_eq!((found.class, found.limit), (Class::FixedFirst, 30), "{finding:?}");
}

/// Probes a server behind a machine that holds up the first request, and then one request in thirty.
fn on_a_busy_machine(truth: Rule, seed: u64) -> Finding {
    let mut range = Range::new(by_rule(truth, |_| 0), 0.0005, 0.0002, 0.0002, seed);
    let mut now = 11.3;
    let mut prober = Prober::new(Options { within: 150.0, press: 0, seed, ..Options::default() }, now);
    range.held_up = (0.2, 0.6);
    while let Some(experiment) = prober.next(now) {
        let (seen, end) = range.play(&experiment, now);
        range.held_up = (0.03, 0.4);
        prober.observe(seen, end);
        now = end;
    }
    prober.finding()
}

/// Probes a server that keeps to the rule with several seeds: nothing wrong may be told as if it were known.
#[track_caller]
fn never_surely_wrong(truth: Rule, seeds: std::ops::Range<u64>) {
    let (mut known, all) = (0, seeds.end - seeds.start);
    let mut wrong = Vec::new();
    for seed in seeds {
        let finding = on_a_busy_machine(truth, seed);
        let found = finding.rule.filter(|_| finding.known());
        known += u64::from(found.is_some());
        if let Some(found) = found.filter(|found| !found.agrees(&truth, 0.05)) {
            wrong.push((seed, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(2 * known >= all, "known {known} of {all}");
}

#[test]
fn late_answers_make_no_false_certainty_about_a_bucket() {
    never_surely_wrong(Rule::new(Class::TokenBucket, 10, 3.0), 0..4);
}

#[test]
fn late_answers_make_no_false_certainty_about_refills() {
    never_surely_wrong(Rule { lump: 5, phase: 11.6, ..Rule::new(Class::IntervalRefill, 20, 4.0) }, 0..4);
}

#[test]
fn a_queue_on_a_busy_machine_is_not_taken_for_a_cap() {
    let (interval, places) = (0.1, 6.0);
    let mut found = 0;
    for seed in 0..30 {
        let server = holding_back(interval, places);
        let mut range = Range::new(server, 0.0005, 0.0002, 0.0002, seed);
        range.held_up = (0.1, 0.15);
        let mut now = 11.3;
        let mut prober = Prober::new(Options { within: 60.0, seed, ..options() }, now);
        while let Some(experiment) = prober.next(now) {
            let (seen, end) = range.play(&experiment, now);
            prober.observe(seen, end);
            now = end;
        }
        let finding = prober.finding();
        let class = finding.rule.filter(|_| finding.known()).map(|rule| rule.class);
        assert!(matches!(class, None | Some(Class::LeakyQueue)), "seed {seed}: {finding:?}");
        found += u64::from(class.is_some());
    }
    assert!(found >= 15, "found {found} of 30");
}
