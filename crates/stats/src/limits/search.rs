//! Finding the rules that explain a log: proposals made from its features, and small changes of those that fit.
//!
//! Features are runs of admitted requests, the instants at which refusing began and ended. A limit is nearly always the
//! length of a run, a window the distance of two instants; so proposals drawn from these hit the truth soon, and changes
//! of a few per mille then follow the ridge. Source of the idea: independence and random-walk proposals of a
//! Metropolis-Hastings sampler (Hastings 1970); here only the best are kept, per class.

use super::likelihood::{Particle, explain};
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

/// A run of admitted requests.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: f64,
    to: f64,
    count: u64,
    /// A refusal came at its end.
    ended: bool,
}

/// What a log shows at a glance.
#[derive(Debug, Default)]
pub(crate) struct Features {
    runs: Vec<Run>,
    /// Refused at the first instant, the next one admitted at the second.
    edges: Vec<(f64, f64)>,
    /// First refusals.
    falls: Vec<f64>,
    end: f64,
    total: u64,
}

impl Features {
    pub(crate) fn new(log: &Log) -> Features {
        let mut features = Features::default();
        let mut before: Option<(f64, bool)> = None;
        for event in log.events.iter().filter(|event| event.key == 0) {
            match (before, event.passed) {
                (Some((at, false)), true) => features.edges.push((at, event.at)),
                (Some((_, true)) | None, false) => {
                    features.falls.push(event.at);
                    if let Some(run) = features.runs.last_mut() {
                        run.ended = true;
                    }
                }
                _ => {}
            }
            if event.passed {
                match features.runs.last_mut() {
                    Some(run) if !run.ended => (run.to, run.count) = (event.at, run.count + 1),
                    _ => features.runs.push(Run { from: event.at, to: event.at, count: 1, ended: false }),
                }
                features.total += 1;
            }
            features.end = event.at;
            before = Some((event.at, event.passed));
        }
        features
    }

    /// Whether anything was ever refused.
    pub(crate) fn refused(&self) -> bool {
        !self.falls.is_empty()
    }

    fn edge(&self, rng: &mut Rng) -> Option<f64> {
        let (from, to) = *pick(&self.edges, rng)?;
        Some(from + (to - from) * rng.unit())
    }

    /// The distance of two instants that may be a window.
    fn span(&self, rng: &mut Rng) -> f64 {
        let far = (self.end - self.falls.first().copied().unwrap_or(0.0)).max(1e-3);
        let Some(edge) = self.edge(rng).filter(|_| rng.unit() < 0.95) else {
            return far * (rng.unit() * 3.0).exp();
        };
        let reference = match rng.between(0, 3) {
            0 => self.edge(rng),
            1 => pick(&self.falls, rng).copied(),
            2 => pick(&self.runs, rng).map(|run| run.from),
            _ => pick(&self.runs, rng).map(|run| run.to),
        };
        let span = (edge - reference.unwrap_or(0.0)).abs();
        if rng.unit() < 0.1 { span / rng.between(2, 3) as f64 } else { span }.max(1e-4)
    }

    fn count(&self, rng: &mut Rng) -> u64 {
        let ended: Vec<&Run> = self.runs.iter().filter(|run| run.ended).collect();
        let run = match (ended.first(), rng.unit() < 0.3) {
            (Some(first), true) => Some(*first),
            _ => pick(&ended, rng).copied(),
        };
        let count = run.map_or(self.total, |run| run.count);
        let shift = if rng.unit() < 0.15 { rng.between(0, 4) as i64 - 2 } else { 0 };
        count.saturating_add_signed(shift).max(1)
    }

    /// The time from the begin of a run to somewhere between two later requests: one of them may have begun a new window.
    fn lapse(&self, log: &Log, rng: &mut Rng) -> Option<f64> {
        let begin = pick(&self.runs, rng)?.from;
        let after = log.events.partition_point(|event| event.at <= begin);
        let index = rng.between(after as u64, (log.events.len() as u64).checked_sub(1)?) as usize;
        let (to, from) = (log.events.get(index)?.at, log.events.get(index.checked_sub(1)?)?.at);
        Some((from + (to - from) * rng.unit() - begin).max(1e-4))
    }

    /// Requests admitted between two instants.
    fn admitted(&self, log: &Log, from: f64, to: f64) -> u64 {
        let inside = |at: f64| at >= from && at < to;
        log.events.iter().filter(|event| event.key == 0 && event.passed && inside(event.at)).count() as u64
    }
}

fn pick<'a, T>(list: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    list.get(rng.between(0, (list.len() as u64).saturating_sub(1)) as usize)
}

/// A rule of this class, drawn from the features.
fn propose(class: Class, features: &Features, log: &Log, known: &[Particle], rng: &mut Rng) -> Rule {
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
    let long: Vec<(f64, f64)> = features
        .falls
        .iter()
        .filter_map(|fall| {
            let edge = features.edges.iter().find(|edge| edge.1 > *fall)?;
            (edge.1 - fall > 1.1 * rule.window).then_some((*fall, edge.0 + (edge.1 - edge.0) * rng.unit()))
        })
        .collect();
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

/// A rule near this one.
fn change(rule: &Rule, features: &Features, rng: &mut Rng) -> Rule {
    let mut rule = *rule;
    let size = 10f64.powi(-(rng.between(1, 4) as i32));
    let near = |value: f64, rng: &mut Rng| value * (size * rng.normal()).exp();
    let step =
        |value: u64, rng: &mut Rng| value.saturating_add_signed(if rng.unit() < 0.5 { 1 } else { -1 }).max(1);
    match rng.between(0, 11) {
        10 | 11 => pin(&mut rule, features, rng),
        0 => rule.limit = step(rule.limit, rng),
        1 | 2 => rule.phase += size * rule.window * rng.normal(),
        3 => rule.phase = features.edge(rng).unwrap_or(rule.phase),
        4 => match rule.class {
            Class::Lockout => rule.lock = near(rule.lock, rng),
            Class::IntervalRefill if rng.unit() < 0.7 => {
                // another size, with the same lumps at the same instants
                let limit = if rng.unit() < 0.5 {
                    rule.limit + rule.lump
                } else {
                    rule.limit.saturating_sub(rule.lump)
                };
                let limit = limit.max(1);
                (rule.window, rule.limit) = (rule.window / rule.limit as f64 * limit as f64, limit);
                if rng.unit() < 0.7 {
                    pin(&mut rule, features, rng);
                }
            }
            Class::IntervalRefill => rule.lump = step(rule.lump, rng),
            Class::TwoTier if rng.unit() < 0.5 => {
                let more = rng.unit() < 0.5;
                let first = rule.limit;
                rule.second.limit = if more {
                    rule.second.limit + first
                } else {
                    rule.second.limit.saturating_sub(first).max(1)
                };
            }
            Class::TwoTier => rule.second.limit = step(rule.second.limit, rng),
            _ => rule.window = features.span(rng),
        },
        5 | 6 if rule.class == Class::TwoTier => {
            rule.second.window = near(rule.second.window, rng);
            rule.second.phase += size * rule.second.window * rng.normal();
        }
        5 | 6 if rule.class == Class::Lockout => rule.lock = near(rule.lock, rng),
        _ => {
            let before = rule.window;
            rule.window = near(rule.window, rng);
            if let Some(edge) = features.edge(rng).filter(|_| rng.unit() < 0.7) {
                // stretched around an edge, which stays where it is
                rule.phase = edge + (rule.phase - edge) * rule.window / before;
            }
            if rule.class == Class::TokenBucket && rng.unit() < 0.5 {
                // another size at the same pace
                let limit = step(rule.limit, rng);
                (rule.window, rule.limit) = (before / rule.limit as f64 * limit as f64, limit);
            }
        }
    }
    if rule.class == Class::Spacing {
        rule.limit = 1;
    }
    rule.lump = rule.lump.min(rule.limit);
    rule
}

/// Puts the clock of a rule through two edges, as many windows apart as it believes: the further apart they are, the
/// better they tell the window.
fn pin(rule: &mut Rule, features: &Features, rng: &mut Rng) {
    let narrow = |rng: &mut Rng| {
        let some = [pick(&features.edges, rng), pick(&features.edges, rng)];
        let sharp = some.into_iter().flatten().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
        Some(sharp.0 + (sharp.1 - sharp.0) * rng.unit())
    };
    let (Some(a), Some(b)) = (narrow(rng), narrow(rng)) else { return };
    let (from, to) = (a.min(b), a.max(b));
    let two = rule.class == Class::TwoTier && rng.unit() < 0.5;
    let parts = match rule.class {
        Class::IntervalRefill => rule.limit as f64 / rule.lump as f64,
        Class::SlidingCounter => rule.limit as f64,
        _ => 1.0,
    };
    let unit = if two { rule.second.window } else { rule.window / parts };
    let times = ((to - from) / unit).round();
    if times < 1.0 || to - from < 1e-4 {
        return;
    }
    let unit = (to - from) / times;
    if two {
        (rule.second.window, rule.second.phase) = (unit, from);
    } else {
        (rule.window, rule.phase) = (unit * parts, from);
        if rule.class == Class::SlidingCounter {
            rule.phase -= unit * rng.between(0, 3) as f64;
        }
    }
}

fn sound(rule: &Rule) -> bool {
    let time = |t: f64| t.is_finite() && t > 1e-5;
    // with a limit of one these are minimum spacing
    let one = matches!(rule.class, Class::TokenBucket | Class::FixedFirst | Class::SlidingLog);
    let bucket = !one || rule.limit > 1;
    let lock = rule.class != Class::Lockout || time(rule.lock);
    let lump = rule.class != Class::IntervalRefill || rule.lump < rule.limit;
    let second = rule.class != Class::TwoTier
        || time(rule.second.window)
            && rule.second.window > 1.5 * rule.window
            && rule.second.limit > rule.limit
            && (rule.second.limit as f64 / rule.second.window) < rule.limit as f64 / rule.window;
    time(rule.window) && bucket && lock && lump && second && rule.phase.is_finite()
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
    for index in 0..proposals + changes {
        let rule = if index < proposals || kept.is_empty() {
            propose(class, features, log, &known, rng)
        } else {
            // half of the changes start from the best ones
            let few = kept.len().min(if rng.unit() < 0.5 { 4 } else { KEPT });
            change(&kept[rng.between(0, few as u64 - 1) as usize].rule, features, rng)
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
        if kept.len() > 3 * KEPT || index == proposals {
            thin(&mut kept);
        }
    }
    thin(&mut kept);
    *population = kept;
}

/// Keeps the best of each cell of the figures, and of the cells a spread that begins with the best.
fn thin(kept: &mut Vec<Particle>) {
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
    let lock = if rule.class == Class::Lockout { time(rule.lock) } else { 0 };
    (rule.limit, time(rule.window), rule.lump, lock, rule.extends, second.0, second.1)
}
