//! Small changes of rules that fit.

use super::features::{Features, pick};
use super::propose::growing;
use super::rule::{Class, Rule};
use super::seen::Log;
use crucible_core::Rng;

/// A rule near this one.
pub(crate) fn change(rule: &Rule, features: &Features, log: &Log, rng: &mut Rng) -> Rule {
    let mut rule = *rule;
    if rule.class == Class::GrowingLock {
        growing(&mut rule, features, rng);
        return rule;
    }
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
        5 | 6 if rule.class == Class::Lockout => match features.lapse(log, rng) {
            Some(lapse) if rng.unit() < 0.5 => rule.window = lapse,
            _ => rule.lock = near(rule.lock, rng),
        },
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
    let mut times = ((to - from) / unit).round();
    if rng.unit() < 0.3 {
        // one window more or less between them fits both as well
        times += rng.between(0, 6) as f64 - 3.0;
    }
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
