//! Every kind against a model that looks at the whole history, and the laws that all kinds share.

use super::keyed::KEYS;
use super::*;
use proptest::prelude::*;

const W: u64 = 1_000_000_000;

fn rule(kind: Kind, requests: u64) -> Rule {
    Rule { kind, requests, window: Ns(W) }
}

fn kinds(requests: u64) -> Vec<Kind> {
    vec![
        Kind::FixedWall,
        Kind::FixedFirst,
        Kind::SlidingLog,
        Kind::LogWithRejects,
        Kind::SlidingCounter,
        Kind::TokenBucket { burst: requests.div_ceil(2) },
        Kind::IntervalRefill { steps: 1 },
        Kind::Lockout { lock: Ns(3 * W) },
        Kind::Leaky { queue: 2 },
        Kind::Spacing,
        Kind::TwoTier { requests: 2, window: Ns(W / 8) },
    ]
}

/// What the definition says about a request at `now` after `history` of (instant, passed): the delay, or a refusal.
fn model(rule: &Rule, history: &[(u64, bool)], now: u64) -> Option<u64> {
    let limit = rule.requests as usize;
    let passed = |from: u64| history.iter().filter(|(at, ok)| *ok && *at >= from).count();
    let yes = |is: bool| is.then_some(0);
    match rule.kind {
        Kind::FixedWall => yes(passed(now - now % W) < limit),
        Kind::FixedFirst => yes(passed(first_window(history, now)) < limit),
        Kind::SlidingLog => yes(history.iter().filter(|(at, ok)| *ok && at + W > now).count() < limit),
        Kind::LogWithRejects => yes(history.iter().filter(|(at, _)| at + W > now).count() < limit),
        Kind::SlidingCounter => {
            let begin = now - now % W;
            let before = history.iter().filter(|(at, ok)| *ok && *at < begin && at + W >= begin).count();
            let inside = now % W;
            let weight = before as u64 * (W - inside) + (passed(begin) as u64 + 1) * W;
            yes(weight <= rule.requests * W)
        }
        Kind::TokenBucket { burst } => {
            // a bucket is the rule that no stretch holds more than burst + rate * length
            let stretches = history.iter().map(|(at, _)| *at).chain([now]);
            yes(stretches
                .into_iter()
                .all(|from| (passed(from) as u64 + 1) * W <= burst * W + (now - from) * rule.requests))
        }
        Kind::IntervalRefill { .. } => {
            let first = history.first().map_or(now, |(at, _)| *at);
            let begin = now - (now - first) % W;
            yes(passed(begin) < limit)
        }
        Kind::Lockout { lock } => lockout(history, limit, lock.0, now),
        Kind::Leaky { queue } => {
            let interval = W / rule.requests;
            let mut free = 0;
            for (at, _) in history.iter().filter(|(_, ok)| *ok) {
                free = free.max(*at) + interval;
            }
            let delay = free.saturating_sub(now);
            (delay <= queue * interval).then_some(delay)
        }
        Kind::Spacing => {
            let last = history.iter().rev().find(|(_, ok)| *ok);
            yes(last.is_none_or(|(at, _)| now - at >= W / rule.requests))
        }
        Kind::TwoTier { requests, window } => {
            let short = passed(now - now % window.0) < requests as usize;
            yes(short && passed(now - now % W) < limit)
        }
        Kind::Concurrency => unreachable!("has a test of its own"),
    }
}

fn first_window(history: &[(u64, bool)], now: u64) -> u64 {
    let instants = history.iter().map(|(at, _)| *at).chain([now]);
    let mut begin = None;
    for at in instants {
        if begin.is_none_or(|begin| at >= begin + W) {
            begin = Some(at);
        }
    }
    begin.unwrap()
}

fn lockout(history: &[(u64, bool)], limit: usize, lock: u64, now: u64) -> Option<u64> {
    let (mut begin, mut used, mut until) = (None, 0, 0);
    for at in history.iter().map(|(at, _)| *at).chain([now]) {
        let locked = at < until;
        if !locked {
            if until > 0 || begin.is_none_or(|begin| at >= begin + W) {
                (begin, used, until) = (Some(at), 0, 0);
            }
            used += 1;
            if used > limit {
                until = at + lock;
            }
        }
    }
    (now >= until).then_some(0)
}

fn run(rule: &Rule, instants: &[u64]) -> Vec<(u64, Decision)> {
    let mut state = State::new(rule);
    instants.iter().map(|at| (*at, state.ask(rule, Ns(*at), 1))).collect()
}

/// Instants from a start in the middle of a window, with gaps around the scale of the window.
fn instants() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![
        4 => 0..W / 20,
        2 => 0..W / 2,
        1 => Just(0),
        1 => Just(W / 4),
        1 => Just(W),
        1 => W..4 * W,
    ];
    (10 * W..12 * W, prop::collection::vec(gap, 1..80)).prop_map(|(start, gaps)| {
        gaps.iter()
            .scan(start, |at, gap| {
                Some({
                    *at += gap;
                    *at
                })
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_keeps_to_its_definition(instants in instants(), requests in 1u64..12) {
        for kind in kinds(requests) {
            let rule = rule(kind, requests);
            let mut history = Vec::new();
            for (at, decision) in run(&rule, &instants) {
                let expected = model(&rule, &history, at);
                let got = match decision.pass {
                    Pass::Now => Some(0),
                    Pass::After(delay) => Some(delay.0),
                    Pass::No => None,
                };
                prop_assert_eq!(got, expected, "{:?} at {} after {:?}", rule, at, history);
                history.push((at, decision.passes()));
            }
        }
    }

    #[test]
    fn who_waits_as_told_passes_and_who_comes_earlier_does_not(instants in instants(), requests in 1u64..12) {
        for kind in kinds(requests) {
            let rule = rule(kind, requests);
            let mut state = State::new(&rule);
            for at in &instants {
                let decision = state.ask(&rule, Ns(*at), 1);
                if decision.passes() {
                    prop_assert_eq!(decision.retry_after, Ns::ZERO);
                    continue;
                }
                let wait = decision.retry_after.0;
                prop_assert!(wait > 0, "{:?}", rule);
                prop_assert!(state.clone().ask(&rule, Ns(at + wait), 1).passes(), "{:?} waits {}", rule, wait);
                prop_assert!(!state.clone().ask(&rule, Ns(at + wait - 1), 1).passes(), "{:?} less than {}", rule, wait);
            }
        }
    }

    #[test]
    fn what_remains_passes_at_once_and_no_more(instants in instants(), requests in 1u64..12) {
        for kind in kinds(requests) {
            let rule = rule(kind, requests);
            let mut state = State::new(&rule);
            for at in &instants {
                let mut after = state.clone();
                let decision = after.ask(&rule, Ns(*at), 1);
                state = after.clone();
                let mut more = 0;
                while after.ask(&rule, Ns(*at), 1).passes() { more += 1; }
                prop_assert_eq!(decision.remaining, more, "{:?}", rule);
            }
        }
    }

    #[test]
    fn forgetting_the_idle_changes_nothing(instants in instants(), requests in 1u64..12) {
        for kind in kinds(requests) {
            let rule = rule(kind, requests);
            let (mut kept, mut forgotten) = (State::new(&rule), State::new(&rule));
            for at in &instants {
                if forgotten.is_idle(&rule, Ns(*at)) {
                    forgotten = State::new(&rule);
                }
                prop_assert_eq!(kept.ask(&rule, Ns(*at), 1), forgotten.ask(&rule, Ns(*at), 1), "{:?}", rule);
            }
        }
    }

    #[test]
    fn counting_twice_halves_a_burst(requests in 1u64..40) {
        for kind in [Kind::FixedWall, Kind::FixedFirst, Kind::SlidingLog, Kind::SlidingCounter,
            Kind::TokenBucket { burst: requests }, Kind::IntervalRefill { steps: 1 }, Kind::Concurrency] {
            let rule = rule(kind, requests);
            let mut state = State::new(&rule);
            let passed = (0..100).filter(|_| state.ask(&rule, Ns(20 * W), 2).passes()).count();
            prop_assert_eq!(passed as u64, requests / 2, "{:?}", rule);
        }
    }
}

#[test]
fn refills_come_in_lumps() {
    let rule = rule(Kind::IntervalRefill { steps: 4 }, 8);
    let mut state = State::new(&rule);
    let mut passed = |at: u64| (0..20).filter(|_| state.ask(&rule, Ns(at), 1).passes()).count();
    let at = 5 * W + 17;
    let got = [passed(at), passed(at + W / 4 - 1), passed(at + W / 4), passed(at + W), passed(at + 9 * W)];
    assert_eq!(got, [8, 0, 2, 6, 8]);
}

#[test]
fn places_are_taken_and_given_back() {
    let limiter = Limiter::new(rule(Kind::Concurrency, 2), 1);
    let ask = || limiter.ask("a", Ns(W)).passes();
    assert_eq!([ask(), ask(), ask()], [true, true, false]);
    limiter.leave("a");
    assert_eq!([ask(), ask()], [true, false]);
    assert!(limiter.ask("b", Ns(W)).passes(), "keys are counted apart");
}

#[test]
fn a_lock_is_not_made_longer_by_those_who_knock() {
    let rule = rule(Kind::Lockout { lock: Ns(3 * W) }, 2);
    let mut state = State::new(&rule);
    let told: Vec<u64> =
        [0, 0, 0, 1, 2].map(|secs| state.ask(&rule, Ns((50 + secs) * W), 1).retry_after.0 / W).into();
    assert_eq!(told, [0, 0, 3, 2, 1]);
    assert!(state.ask(&rule, Ns(53 * W), 1).passes());
}

#[test]
fn keys_without_number_cost_bounded_memory_and_old_ones_are_forgotten() {
    let limiter = Limiter::new(rule(Kind::FixedWall, 1), 1);
    for key in 0..KEYS + 100 {
        limiter.ask(&key.to_string(), Ns(W));
    }
    assert_eq!(limiter.keys(), KEYS);
    assert!(!limiter.ask("one more", Ns(W)).passes(), "shares its state with a hundred others");
    assert!(limiter.ask("one more", Ns(3 * W)).passes());
    assert_eq!(limiter.keys(), 1);
}
