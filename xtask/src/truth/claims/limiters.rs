//! T19: limiters of every class are found and measured from outside, and none where servers merely fail.
//!
//! The servers here are written for this claim, in whole nanoseconds and without the finder's own models, so that a
//! mistake in those cannot hide in both.

use crate::Failure;
use crate::truth::table::Row;
use crate::truth::{Claim, Settings};
use crucible_core::Rng;
use crucible_stats::limits::sim::{Range, Said};
use crucible_stats::limits::{Class, Finding, Hints, Options, Outcome, Prober, Rule};
use std::collections::VecDeque;

pub(super) const CLAIM: Claim =
    Claim { id: "T19", about: "limiters are found, and only where they are", needs_product: false, rows };

type Server = Box<dyn FnMut(u8, f64, usize) -> Said>;

/// What a server is known to do; times in seconds.
#[derive(Clone, Copy, Debug)]
struct Truth {
    limit: u64,
    window: f64,
    lock: f64,
    lump: u64,
    second: (u64, f64),
    /// Locks that grow, in order; the last one stays.
    locks: [f64; 4],
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// A server that refuses by the instant alone; `shift` puts the probing anywhere on its clock.
fn by_time(shift: f64, mut passes: impl FnMut(u64) -> bool + 'static) -> Server {
    Box::new(move |_, at, _| {
        let status = if passes(ns(at + shift)) { 200 } else { 429 };
        Said { status, ..Said::default() }
    })
}

/// Takes one of `limit` if there is one left.
fn take(used: &mut u64, limit: u64) -> bool {
    let passes = *used < limit;
    *used += u64::from(passes);
    passes
}

fn windows(class: Class, t: Truth, shift: f64) -> Server {
    let (window, limit) = (ns(t.window), t.limit);
    if class == Class::FixedWall {
        let (mut index, mut used) = (0, 0);
        return by_time(shift, move |now| {
            if now / window != index {
                (index, used) = (now / window, 0);
            }
            take(&mut used, limit)
        });
    }
    if class == Class::FixedFirst {
        let (mut end, mut used) = (0, 0);
        return by_time(shift, move |now| {
            if now >= end {
                (end, used) = (now + window, 0);
            }
            take(&mut used, limit)
        });
    }
    if class == Class::SlidingCounter {
        let (mut index, mut before, mut used) = (0, 0u64, 0u64);
        return by_time(shift, move |now| {
            if now / window != index {
                before = if now / window == index + 1 { used } else { 0 };
                (index, used) = (now / window, 0);
            }
            let weighted = u128::from(before) * u128::from(window - now % window)
                + u128::from(used + 1) * u128::from(window);
            let passes = weighted <= u128::from(limit) * u128::from(window);
            used += u64::from(passes);
            passes
        });
    }
    let (long, most) = (ns(t.second.1), t.second.0);
    let (mut at, mut used) = ((0, 0), (0, 0));
    by_time(shift, move |now| {
        if now / window != at.0 {
            (at.0, used.0) = (now / window, 0);
        }
        if now / long != at.1 {
            (at.1, used.1) = (now / long, 0);
        }
        let passes = used.0 < limit && used.1 < most;
        used = (used.0 + u64::from(passes), used.1 + u64::from(passes));
        passes
    })
}

fn others(class: Class, t: Truth, shift: f64) -> Server {
    let (window, limit) = (ns(t.window), t.limit);
    match class {
        Class::SlidingLog | Class::LogWithRejects => {
            let mut log: VecDeque<u64> = VecDeque::new();
            by_time(shift, move |now| {
                while log.front().is_some_and(|at| at + window <= now) {
                    log.pop_front();
                }
                let passes = (log.len() as u64) < limit;
                if passes || class == Class::LogWithRejects {
                    log.push_back(now);
                }
                passes
            })
        }
        Class::TokenBucket | Class::Spacing => {
            // missing tokens, in parts of one window
            let (mut missing, mut last) = (0u128, 0);
            by_time(shift, move |now| {
                missing = missing.saturating_sub(u128::from(now - last) * u128::from(limit));
                last = now;
                let passes = missing + u128::from(window) <= u128::from(limit) * u128::from(window);
                missing += if passes { u128::from(window) } else { 0 };
                passes
            })
        }
        Class::IntervalRefill => {
            let interval = window * t.lump / limit;
            let (mut ticks, mut tokens) = (0, limit);
            by_time(shift, move |now| {
                tokens = limit.min(tokens + (now / interval - ticks).min(limit) * t.lump);
                ticks = now / interval;
                let passes = tokens > 0;
                tokens -= u64::from(passes);
                passes
            })
        }
        _ => {
            let (mut end, mut used, mut until) = (0, 0, 0);
            by_time(shift, move |now| {
                if now < until {
                    return false;
                }
                if until > 0 || now >= end {
                    (end, used, until) = (now + window, 0, 0);
                }
                let passes = take(&mut used, limit);
                if !passes {
                    until = now + ns(t.lock);
                }
                passes
            })
        }
    }
}

fn server(class: Class, t: Truth, shift: f64) -> Server {
    match class {
        Class::FixedWall | Class::FixedFirst | Class::SlidingCounter | Class::TwoTier => {
            windows(class, t, shift)
        }
        Class::LeakyQueue => {
            let (interval, mut free) = (t.window, 0.0f64);
            Box::new(move |_, at, _| {
                let delay = (free - at).max(0.0);
                if delay > t.lump as f64 * interval {
                    return Said { status: 429, ..Said::default() };
                }
                free = free.max(at) + interval;
                Said { status: 200, delay, ..Said::default() }
            })
        }
        Class::GrowingLock => {
            // failures so far, and when the present lock ends
            let (mut failures, mut until) = (0u64, 0u64);
            by_time(shift, move |now| {
                if now < until {
                    return false;
                }
                failures += 1;
                if failures >= t.limit {
                    until = now + ns(t.locks[(failures - t.limit).min(3) as usize]);
                }
                true
            })
        }
        Class::Concurrency => Box::new(move |_, _, busy| Said {
            status: if busy as u64 >= t.limit { 429 } else { 200 },
            ..Said::default()
        }),
        _ => others(class, t, shift),
    }
}

/// Figures as they occur, on all scales that can be asked for over a network with milliseconds of jitter.
fn draw(class: Class, rng: &mut Rng) -> Truth {
    let limit = [5, 10, 15, 20, 30, 60, 100][rng.between(0, 6) as usize];
    let window = 1.5 * (rng.unit() * 3.7).exp() * (limit as f64 / 30.0).max(1.0);
    let mut truth = Truth { limit, window, lock: 0.0, lump: 1, second: (1, 1.0), locks: [0.0; 4] };
    match class {
        Class::IntervalRefill => truth.lump = limit / 5,
        Class::Lockout => truth.lock = window * (0.4 + 1.6 * rng.unit()),
        Class::GrowingLock => {
            truth.limit = rng.between(2, 10);
            truth.locks[0] = 2.0 + 28.0 * rng.unit();
            for step in 1..4 {
                truth.locks[step] = truth.locks[step - 1] * (1.5 + 3.0 * rng.unit());
            }
        }
        Class::Spacing => truth.limit = 1,
        Class::TwoTier => {
            truth.limit = limit.min(20);
            let times = rng.between(2, 5);
            truth.second = (truth.limit * times, window * (times + rng.between(2, 5)) as f64);
        }
        Class::LeakyQueue => {
            (truth.limit, truth.lump) = (1, rng.between(2, 25));
            truth.window = 0.04 + 0.3 * rng.unit();
        }
        Class::Concurrency => (truth.limit, truth.window) = (rng.between(2, 40), 1.0),
        _ => {}
    }
    truth
}

fn probe(server: Server, service: f64, seed: u64, options: Options) -> Finding {
    let mut rng = Rng::new(seed, "network", 0);
    let (trip, jitter) = (0.001 + 0.006 * rng.unit(), 0.002 * rng.unit());
    let mut range = Range::new(server, trip, jitter, service, seed);
    let mut now = 100.0 * rng.unit();
    let mut prober = Prober::new(options, now);
    while let Some(experiment) = prober.next(now) {
        let (seen, end) = range.play(&experiment, now);
        prober.observe(seen, end);
        now = end;
    }
    prober.finding()
}

fn near(found: f64, truth: f64) -> bool {
    (found / truth - 1.0).abs() <= 0.02
}

/// Whether class, limit and windows are found as they are.
fn right(class: Class, truth: Truth, found: &Rule) -> [bool; 3] {
    let same = found.class == class;
    let limit = found.limit == truth.limit
        && (class != Class::IntervalRefill && class != Class::LeakyQueue || found.lump == truth.lump)
        && (class != Class::TwoTier || found.second.limit == truth.second.0);
    let window = match class {
        Class::Concurrency => true,
        Class::GrowingLock => {
            let locks: Vec<f64> = found.seen_locks().collect();
            locks.len() >= 4 && locks.iter().zip(truth.locks).all(|(found, truth)| near(*found, truth))
        }
        Class::Lockout => near(found.window, truth.window) && near(found.lock, truth.lock),
        Class::TwoTier => near(found.window, truth.window) && near(found.second.window, truth.second.1),
        _ => near(found.window, truth.window),
    };
    [same, same && limit, same && window]
}

fn of_class(class: Class, seeds: u64) -> Row {
    let (mut counts, mut windows, mut most) = ([0u64; 3], 0, 0.0f64);
    for seed in 0..seeds {
        let mut rng = Rng::new(seed, class.word(), 19);
        let truth = draw(class, &mut rng);
        let shift = 1e4 * (1.0 + rng.unit());
        let service = if class == Class::Concurrency { 0.05 + 0.2 * rng.unit() } else { 0.002 };
        let press = if class == Class::TwoTier { 12 } else { 0 };
        let login = class == Class::GrowingLock;
        let options = Options { within: 1e6, press, seed, login, ..Options::default() };
        let finding = probe(server(class, truth, shift), service, seed, options);
        let Some(found) = finding.rule else { continue };
        let good = right(class, truth, &found);
        for (count, good) in counts.iter_mut().zip(good) {
            *count += u64::from(good);
        }
        // counted in windows of the truth, so that a wrong window cannot help itself
        let memory = match class {
            Class::Lockout => truth.window + truth.lock,
            Class::TwoTier => truth.second.1,
            Class::GrowingLock => truth.locks[3],
            _ => truth.window,
        };
        let used = finding.decided.unwrap_or(f64::MAX) / memory;
        let timeless = matches!(class, Class::Concurrency | Class::LeakyQueue | Class::Spacing);
        windows += u64::from(timeless || used <= 6.0);
        most = if timeless { most } else { most.max(used) };
    }
    let measured = format!(
        "class {}/{seeds}, limit {}/{seeds}, window {}/{seeds}, in six windows {windows}/{seeds} (most {most:.1})",
        counts[0], counts[1], counts[2]
    );
    // one row of figures in twenty may be unlucky
    let enough = seeds - seeds / 20;
    let holds = counts.iter().all(|count| *count >= enough) && windows >= enough;
    Row::new(class.name(), measured, ">= 95 % each", holds)
}

fn overloaded(seeds: u64) -> Row {
    let mut claimed = Vec::new();
    for seed in 0..seeds {
        let mut rng = Rng::new(seed, "overload", 19);
        let said = |status: u16| Said { status, ..Said::default() };
        let (mut free, mut count) = (0.0f64, 0u64);
        let (mut first, mut second) = (rng.clone(), rng.clone());
        let each = 2 + rng.between(0, 3);
        let servers: Vec<(&str, Server)> = vec![
            (
                "slow",
                Box::new(move |_, at, _| {
                    let delay = (free - at).max(0.0) + 0.04;
                    free = at + delay;
                    Said { status: 200, delay, ..Said::default() }
                }),
            ),
            ("503", Box::new(move |_, _, busy| said(if busy > 3 || first.unit() < 0.5 { 503 } else { 200 }))),
            ("500", Box::new(move |_, _, _| said(if second.unit() < 0.5 { 500 } else { 200 }))),
            ("403 and 405", Box::new(move |_, _, _| said(if seed % 2 == 0 { 403 } else { 405 }))),
            (
                "resets",
                Box::new(move |_, _, _| {
                    count += 1;
                    said(if count.is_multiple_of(each) { 200 } else { 0 })
                }),
            ),
        ];
        for (name, server) in servers {
            let options = Options { within: 600.0, most: 400, seed, ..Options::default() };
            let finding = probe(server, 0.01, seed, options);
            if finding.rule.is_some() || finding.outcome == Outcome::Limiter {
                claimed.push(name);
            }
        }
    }
    let measured = format!("{} claimed on {} servers {claimed:?}", claimed.len(), 5 * seeds);
    Row::new("overloaded servers", measured, "none", claimed.is_empty())
}

/// A window of the server's clock whose headers state `factor` times what is.
fn telling(truth: Truth, factor: f64) -> Server {
    let (mut index, mut used) = (-1.0, 0);
    Box::new(move |_, at, _| {
        let window = (at / truth.window).floor();
        if window != index {
            (index, used) = (window, 0);
        }
        let passes = take(&mut used, truth.limit);
        let left = (window + 1.0) * truth.window - at;
        let stated = |count: u64| (count as f64 * factor).round() as u64;
        let hints = Hints {
            limit: Some(stated(truth.limit)),
            remaining: Some(stated(truth.limit - used)),
            retry_after: (!passes).then(|| (left / factor).ceil().max(1.0)),
            ..Hints::default()
        };
        Said { status: if passes { 200 } else { 429 }, delay: 0.0, hints }
    })
}

fn headers(seeds: u64) -> Row {
    let (mut named, mut slandered) = (0, 0);
    for seed in 0..seeds {
        let mut rng = Rng::new(seed, "headers", 19);
        let truth = Truth { window: 20.0 + 40.0 * rng.unit(), ..draw(Class::FixedWall, &mut rng) };
        let options = || Options { within: 1e6, press: 0, seed, ..Options::default() };
        let factor = if seed % 2 == 0 { 2.0 } else { 0.5 };
        named += u64::from(probe(telling(truth, factor), 0.002, seed, options()).lies());
        slandered += u64::from(probe(telling(truth, 1.0), 0.002, seed, options()).lies());
    }
    let measured = format!("{named}/{seeds} lies named, {slandered}/{seeds} honest ones called lies");
    Row::new("headers", measured, "all, and none", named == seeds && slandered == 0)
}

fn keys(seeds: u64) -> Row {
    let mut good = 0;
    for seed in 0..seeds {
        let mut rng = Rng::new(seed, "keys", 19);
        let truth = draw(Class::FixedFirst, &mut rng);
        let (mut own, mut plain) =
            (server(Class::FixedFirst, truth, 9.0), server(Class::FixedFirst, truth, 9.0));
        let both: Server =
            Box::new(move |key, at, busy| if key == 1 { own(key, at, busy) } else { plain(key, at, busy) });
        let options = Options { within: 1e6, press: 0, seed, keys: vec![1, 2], ..Options::default() };
        let told = probe(both, 0.002, seed, options).keys;
        good += u64::from(matches!(told.as_slice(), [(1, a), (2, b)] if *a > 5.0 && *b < -5.0));
    }
    Row::new("keys", format!("{good}/{seeds} named"), "all", good == seeds)
}

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let seeds = if settings.fast { 4 } else { 20 };
    let mut rows: Vec<Row> = Class::ALL.iter().map(|class| of_class(*class, seeds)).collect();
    rows.extend([overloaded(seeds), headers(seeds.min(10)), keys(seeds.min(10))]);
    Ok(rows)
}
