//! Rules drawn from the features of a log.

use super::features::{Features, Run, pick};
use super::likelihood::Particle;
use super::rule::{Class, LOCKS, Rule};
use super::seen::Log;
use crucible_core::Rng;

/// A rule of this class, drawn from the features.
pub(crate) fn propose(
    class: Class,
    features: &Features,
    log: &Log,
    known: &[Particle],
    rng: &mut Rng,
) -> Rule {
    let mut rule = Rule::new(class, features.count(rng), features.span(rng));
    rule.phase = features.edge(rng).unwrap_or(features.end);
    match class {
        Class::SlidingCounter => counter(&mut rule, features, rng),
        Class::TokenBucket | Class::Spacing => bucket(&mut rule, features, rng),
        Class::IntervalRefill => refill(&mut rule, features, rng),
        Class::Lockout => {
            rule.lock = match (features.edge(rng), pick(&features.falls, rng)) {
                (Some(edge), Some(fall)) if edge > *fall => edge - fall,
                _ => features.span(rng),
            };
            match features.lapse(log, rng).filter(|_| rng.unit() < 0.7) {
                Some(lapse) => rule.window = lapse,
                None => {
                    let run = pick(&features.runs, rng).map_or(0.1, |run| run.to - run.from);
                    let least = run.max(1e-3);
                    let most = (features.end * 2.0).max(2.0 * least);
                    rule.window = least * ((most / least).ln() * rng.unit()).exp();
                }
            }
            rule.extends = rng.unit() < 0.2;
        }
        Class::GrowingLock => growing(&mut rule, features, rng),
        Class::TwoTier => two_tiers(&mut rule, features, log, known, rng),
        _ => {}
    }
    rule
}

/// The pause between two edges, and requests admitted from the first to just before the second.
fn pace(features: &Features, rng: &mut Rng) -> Option<(f64, u64)> {
    let index = rng.between(0, (features.edges.len() as u64).checked_sub(2)?) as usize;
    let further = if rng.unit() < 0.7 { 1 } else { rng.between(1, 6) as usize };
    let (from, to) = (features.edges.get(index)?, features.edges.get(index + further)?);
    let inside = |run: &&Run| run.from >= from.1 && run.from < to.1;
    let count: u64 = features.runs.iter().filter(inside).map(|run| run.count).sum();
    let within = |edge: &(f64, f64), rng: &mut Rng| edge.0 + (edge.1 - edge.0) * rng.unit();
    Some((within(to, rng) - within(from, rng), count.max(1)))
}

/// Behind an edge of the windows requests pass one by one, a window divided by the count before apart.
fn counter(rule: &mut Rule, features: &Features, rng: &mut Rng) {
    match pace(features, rng).filter(|_| rng.unit() < 0.8) {
        Some((pause, count)) => {
            let one = pause / count as f64;
            rule.window = one * rule.limit as f64;
            rule.phase -= one * rng.between(0, 3) as f64;
        }
        None => rule.window *= (rng.unit() * 2.4 - 1.6).exp(),
    }
}

/// Lumps come at even intervals; the first run is the size, and what was added while it lasted.
fn refill(rule: &mut Rule, features: &Features, rng: &mut Rng) {
    let (interval, lump) = match pace(features, rng).filter(|_| rng.unit() < 0.8) {
        Some((pause, count)) if rng.unit() < 0.8 => (pause, count),
        Some((pause, _)) => (pause, features.count(rng)),
        None => (features.span(rng), features.count(rng)),
    };
    let times = rng.between(1, 3);
    let (interval, lump) = if rng.unit() < 0.3 && lump % times == 0 {
        (interval / times as f64, lump / times)
    } else {
        (interval, lump)
    };
    let longest = features.runs.iter().map(|run| run.count).max().unwrap_or(rule.limit);
    let first = if rng.unit() < 0.5 { longest } else { features.count(rng) };
    let added = if rng.unit() < 0.5 { 0 } else { lump * rng.between(1, 4) };
    rule.limit = first.saturating_sub(added).max(lump).max(1);
    rule.lump = lump.clamp(1, rule.limit);
    if rng.unit() < 0.6 {
        rule.limit -= rule.limit % rule.lump;
    }
    rule.window = interval * rule.limit as f64 / rule.lump as f64;
    if rng.unit() < 0.4 {
        rule.phase = features.runs.first().map_or(0.0, |run| run.from);
    }
}

/// Tokens come one by one: the time of one from the instants, the size from what the longest run took and got.
fn bucket(rule: &mut Rule, features: &Features, rng: &mut Rng) {
    let mut interval = features.span(rng);
    if rng.unit() < 0.5
        && let (Some(run), Some(edge)) = (pick(&features.runs, rng), features.edge(rng))
    {
        // so many were given between a run's end and an edge
        let given = features.runs.iter().filter(|r| r.from >= run.to && r.from <= edge).map(|r| r.count);
        let given: u64 = given.sum::<u64>().max(1);
        interval = (edge - run.to).abs().max(1e-4) / given as f64;
    }
    let run = features.runs.iter().max_by_key(|run| run.count);
    rule.limit = match run {
        Some(run) if rule.class == Class::TokenBucket => {
            let given = ((run.to - run.from) / interval).floor() as u64;
            run.count.saturating_sub(given).max(1)
        }
        _ => 1,
    };
    rule.window = interval * rule.limit as f64;
}

/// What passes first is the limit; each lock lasts from what passed before it to its end.
pub(crate) fn growing(rule: &mut Rule, features: &Features, rng: &mut Rng) {
    rule.limit = features.runs.first().map_or(1, |run| run.count);
    rule.locks = [0.0; LOCKS];
    let ends = features.edges.iter().map(|(from, to)| from + (to - from) * rng.unit());
    for (lock, (run, end)) in rule.locks.iter_mut().zip(features.runs.iter().zip(ends)) {
        *lock = end - run.to;
    }
    rule.window = rule.locks[0].max(1e-3);
}

/// The short tier as a window of its own would be; the long one from rests that the short one does not explain.
fn two_tiers(rule: &mut Rule, features: &Features, log: &Log, known: &[Particle], rng: &mut Rng) {
    if let Some(particle) = pick(known, rng).filter(|_| rng.unit() < 0.8) {
        (rule.limit, rule.window, rule.phase) =
            (particle.rule.limit, particle.rule.window, particle.rule.phase);
    } else {
        rule.limit = features.runs.iter().filter(|run| run.ended).map(|run| run.count).max().unwrap_or(1);
        // the shortest rest is at most the short window
        let rests = || features.edges.iter().map(|(_, to)| *to);
        let gaps: Vec<f64> = rests().zip(rests().skip(1)).map(|(a, b)| b - a).collect();
        if let Some(gap) = gaps.iter().copied().reduce(f64::min)
            && rng.unit() < 0.7
        {
            rule.window = gap * (0.9 + 0.2 * rng.unit());
        }
    }
    let ends = |(from, to, fall): (f64, f64, f64), rng: &mut Rng| (fall, from + (to - from) * rng.unit());
    let long: Vec<(f64, f64)> =
        features.refusals(rule.window).into_iter().map(|refusal| ends(refusal, rng)).collect();
    let Some((fall, edge)) = pick(&long, rng).copied() else {
        (rule.second.limit, rule.second.window) = (features.total, features.span(rng));
        return;
    };
    rule.second.phase = edge;
    let others: Vec<f64> = long.iter().map(|(_, other)| (other - edge).abs()).filter(|d| *d > 0.0).collect();
    rule.second.window = match pick(&others, rng) {
        Some(distance) if rng.unit() < 0.8 => *distance,
        _ => (edge - fall) * (1.0 + 3.0 * rng.unit()),
    };
    // counted up to the fall before this edge, or from it to a later one
    let later: Vec<f64> = long.iter().map(|(fall, _)| *fall).filter(|other| *other > edge).take(3).collect();
    rule.second.limit = match pick(&later, rng).filter(|_| rng.unit() < 0.6) {
        Some(later) => features.admitted(log, edge, *later),
        None => features.admitted(log, edge - rule.second.window, fall),
    }
    .max(rule.limit);
}
