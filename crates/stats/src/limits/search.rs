//! Finding the rules that explain a log: proposals made from its features, and small changes of those that fit.
//!
//! Features are runs of admitted requests, the instants at which refusing began and ended. A limit is nearly always the
//! length of a run, a window the distance of two instants; so proposals drawn from these hit the truth soon, and changes
//! of a few per mille then follow the ridge. Source of the idea: independence and random-walk proposals of a
//! Metropolis-Hastings sampler (Hastings 1970); here only the best are kept, per class.

use super::change::change;
use super::features::Features;
use super::likelihood::{Particle, explain};
use super::propose::propose;
use super::rule::{Class, Rule};
use super::seen::Log;
use crucible_core::Rng;
use std::collections::HashSet;

/// Rules kept of each class.
pub(crate) const KEPT: usize = 48;
/// Proposals, and changes, of one class in one round.
const TRIES: (usize, usize) = (250, 350);
/// A rule that fits worse than the best of its class by this is dropped.
pub(crate) const BEHIND: f64 = 9.0;
/// A second lock that is not longer by this factor is as long.
const GROWS: f64 = 1.2;

fn sound(rule: &Rule) -> bool {
    let time = |t: f64| t.is_finite() && t > 1e-5;
    // with a limit of one these are minimum spacing
    let one = matches!(rule.class, Class::TokenBucket | Class::FixedFirst | Class::SlidingLog);
    let bucket = !one || rule.limit > 1;
    let lock = rule.class != Class::Lockout || time(rule.lock);
    let grows = rule.class != Class::GrowingLock
        || rule.limit > 1
            && rule.locks[0] > 0.0
            && (rule.locks[1] == 0.0 || rule.locks[1] > GROWS * rule.locks[0]);
    let lump = rule.class != Class::IntervalRefill || rule.lump < rule.limit;
    let second = rule.class != Class::TwoTier
        || time(rule.second.window)
            && rule.second.window > 1.5 * rule.window
            && rule.second.limit > rule.limit
            && (rule.second.limit as f64 / rule.second.window) < rule.limit as f64 / rule.window;
    time(rule.window) && bucket && lock && grows && lump && second && rule.phase.is_finite()
}

/// Improves the population of one class by the whole log. `single` are the rules of one fixed window.
pub(crate) fn improve(
    class: Class,
    population: &mut Vec<Particle>,
    log: &Log,
    features: &Features,
    single: &[Particle],
    rng: &mut Rng,
) {
    let mut kept: Vec<Particle> =
        population.drain(..).map(|particle| explain(&particle.rule, log, f64::NEG_INFINITY)).collect();
    let mut best = kept.iter().map(|particle| particle.fit).fold(f64::NEG_INFINITY, f64::max);
    let two = class == Class::TwoTier;
    // a short tier that was found once is kept while the long one is looked for
    let known: Vec<Particle> = single.iter().chain(kept.iter().take(6)).filter(|_| two).cloned().collect();
    let (proposals, changes) = if two { (3 * TRIES.0, 2 * TRIES.1) } else { TRIES };
    let even = sweep(class, kept.first().map(|particle| particle.rule), features, log);
    let swept = even.len();
    for index in 0..swept + proposals + changes {
        let rule = if let Some(rule) = even.get(index) {
            *rule
        } else if index < swept + proposals || kept.is_empty() {
            propose(class, features, log, &known, rng)
        } else {
            // half of the changes start from the best ones
            let few = kept.len().min(if rng.unit() < 0.5 { 4 } else { KEPT });
            change(&kept[rng.between(0, few as u64 - 1) as usize].rule, features, log, rng)
        };
        if !sound(&rule) {
            continue;
        }
        let particle = explain(&rule, log, best - 3.0 * BEHIND);
        if particle.fit == f64::NEG_INFINITY {
            continue;
        }
        best = best.max(particle.fit);
        kept.push(particle);
        if kept.len() > 3 * KEPT || index == swept + proposals {
            thin(&mut kept);
        }
    }
    thin(&mut kept);
    *population = kept;
}

/// Windows of a sweep.
const SWEPT: usize = 64;

/// Most windows of a lock-out that are tried.
const LAPSES: usize = 600;

/// Rules of one window with all windows that there can be, in even ratios: where it ends is not seen in every log.
fn sweep(class: Class, best: Option<Rule>, features: &Features, log: &Log) -> Vec<Rule> {
    if let Some(best) = best.filter(|best| best.class == Class::TwoTier) {
        return long_windows(&best, features, log);
    }
    let swept = [Class::FixedFirst, Class::SlidingLog, Class::LogWithRejects, Class::Lockout];
    let (Some(first), true) = (features.runs.first(), swept.contains(&class)) else { return Vec::new() };
    let rule = match best {
        Some(best) => best,
        None if class == Class::Lockout => return Vec::new(),
        None => Rule::new(class, first.count, 1.0),
    };
    let least = (first.to - first.from).max(1e-3 * features.end).max(1e-4);
    let ratio = (2.0 * features.end / least).max(1.1);
    let window = |index: usize| least * ratio.powf(index as f64 / (SWEPT - 1) as f64);
    let even = (0..SWEPT).map(window);
    if class != Class::Lockout {
        return even.map(|window| Rule { window, ..rule }).collect();
    }
    // only how many pass tells when a window ended: between two requests that passed, after any run's begin
    let mut windows: Vec<f64> = even.collect();
    for run in &features.runs {
        let passed = log.events.iter().filter(|event| event.key == 0 && event.passed && event.at >= run.from);
        let instants: Vec<f64> = passed.map(|event| event.at - run.from).collect();
        let gaps = instants.windows(2).filter(|pair| pair[1] - pair[0] > 0.002 * pair[1]);
        windows.extend(gaps.map(|pair| 0.5 * (pair[0] + pair[1])));
    }
    let step = windows.len().div_ceil(LAPSES);
    windows.into_iter().step_by(step.max(1)).map(|window| Rule { window, ..rule }).collect()
}

/// The long tier with all windows that there can be, in even ratios, from each end of a long refusal.
fn long_windows(best: &Rule, features: &Features, log: &Log) -> Vec<Rule> {
    let mut rules = Vec::new();
    let ratio = (2.0 * features.end / (1.6 * best.window)).max(1.1);
    for (fall, edge) in features.long(best.window).into_iter().take(4) {
        for index in 0..SWEPT {
            let mut rule = *best;
            rule.second.window = 1.6 * best.window * ratio.powf(index as f64 / (SWEPT - 1) as f64);
            rule.second.phase = edge;
            rule.second.limit = features.admitted(log, edge - rule.second.window, fall).max(best.limit + 1);
            rules.push(rule);
        }
    }
    rules
}

/// Steps of a walk over the rules that explain as well as the best one.
const STEPS: u32 = 800;

/// The rule in the middle of those that explain a log as well as the best one: where an edge lies between two requests,
/// any place between them fits. A walk that keeps the counts (Metropolis-Hastings), and of its places the one that is
/// nearest to the mean of their times.
pub(crate) fn middle(best: &Particle, log: &Log, rng: &mut Rng) -> Rule {
    let mut here = best.clone();
    let mut walk = vec![best.rule];
    for _ in 0..STEPS {
        let size = 10f64.powi(-(rng.between(2, 4) as i32));
        let mut rule = here.rule;
        let before = rule.window;
        rule.window *= (size * rng.normal()).exp();
        rule.lock *= (size * rng.normal()).exp();
        rule.second.window *= (size * rng.normal()).exp();
        if rng.unit() < 0.5 {
            // around the end of the log, where the phase is known best
            let last = log.events.last().map_or(0.0, |event| event.at);
            let times = ((last - rule.phase) / before).floor();
            rule.phase += times * (before - rule.window);
        }
        rule.phase += size * rule.window * rng.normal();
        rule.second.phase += size * rule.second.window * rng.normal();
        if !sound(&rule) {
            continue;
        }
        let there = explain(&rule, log, here.fit.min(best.fit) - BEHIND);
        if there.fit >= here.fit || rng.unit() < (there.fit - here.fit).exp() {
            here = there;
        }
        walk.push(here.rule);
    }
    let mean = |time: fn(&Rule) -> f64| walk.iter().map(time).sum::<f64>() / walk.len() as f64;
    let (window, lock, second) = (mean(|r| r.window), mean(|r| r.lock), mean(|r| r.second.window));
    let off = |time: f64, mean: f64| if mean > 0.0 { (time / mean - 1.0).powi(2) } else { 0.0 };
    let far = |r: &Rule| off(r.window, window) + off(r.lock, lock) + off(r.second.window, second);
    walk.iter().min_by(|a, b| far(a).total_cmp(&far(b))).copied().unwrap_or(best.rule)
}

/// Keeps the best of each cell of the figures, and of the cells a spread that begins with the best.
pub(crate) fn thin(kept: &mut Vec<Particle>) {
    kept.sort_by(|a, b| b.fit.total_cmp(&a.fit));
    let best = kept.first().map_or(0.0, |particle| particle.fit);
    let mut cells: HashSet<Cell> = HashSet::new();
    kept.retain(|particle| particle.fit > best - 2.0 * BEHIND && cells.insert(cell(&particle.rule)));
    if kept.len() <= KEPT {
        return;
    }
    // the first third by fit, of the rest evenly from what fits well to what fits badly
    let first = KEPT / 3;
    let step = (kept.len() - first) as f64 / (KEPT - first) as f64;
    let spread: Vec<Particle> =
        (0..KEPT - first).map(|index| kept[first + (index as f64 * step) as usize].clone()).collect();
    kept.truncate(first);
    kept.extend(spread);
}

/// Figures that are told apart: counts exactly, times by about one in a hundred.
type Cell = (u64, i64, u64, i64, bool, u64, i64);

fn cell(rule: &Rule) -> Cell {
    let time = |seconds: f64| (seconds.max(1e-6).ln() * 120.0).round() as i64;
    let two = rule.class == Class::TwoTier;
    let second = if two { (rule.second.limit, time(rule.second.window)) } else { (0, 0) };
    let lock = match rule.class {
        Class::Lockout => time(rule.lock),
        Class::GrowingLock => rule.seen_locks().map(time).sum(),
        _ => 0,
    };
    (rule.limit, time(rule.window), rule.lump, lock, rule.extends, second.0, second.1)
}
