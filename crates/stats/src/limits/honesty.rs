//! Headers against behaviour: what was promised, and what came.
//!
//! Each promise is compared with what the found rule does, which is what was seen: the limit; the requests that are left;
//! how long a refused one has to wait. A field is called a lie if most of what it said is wrong, not for one answer.

use super::likelihood::margins;
use super::rule::{Class, Rule};
use super::seen::{Log, Seen, Verdict};

/// What one field said.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its name, or the kind of statement.
    pub field: &'static str,
    /// What it says.
    pub says: String,
    /// What is.
    pub is: String,
    /// Whether that is the same, within the rounding that such fields have.
    pub true_enough: bool,
}

/// A wait beyond this is that of a lock whose end was not seen, seconds.
const UNSEEN: f64 = -1e8;
/// Fewest statements that are judged.
const FEWEST: usize = 2;

/// Compares the headers of all plain answers with the rule; empty if they say nothing or there is no rule.
pub(crate) fn check(rule: Option<&Rule>, seen: &[Seen], log: &Log) -> Vec<Told> {
    let Some(rule) = rule else { return Vec::new() };
    let plain: Vec<&Seen> = seen.iter().filter(|s| s.key == 0 && s.verdict != Verdict::Broken).collect();
    let mut told = Vec::new();
    told.extend(limit(rule, &plain));
    told.extend(policy(rule, &plain));
    if !matches!(rule.class, Class::Concurrency | Class::LeakyQueue) {
        told.extend(remaining(&plain));
        told.extend(retry_after(rule, &plain, log));
    }
    told
}

/// The value that most answers state.
fn usual<T: PartialEq + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let values: Vec<T> = values.collect();
    values.iter().max_by_key(|value| values.iter().filter(|other| other == value).count()).copied()
}

/// Limits that are true of a rule: what passes at once, and what passes in a second, a minute, an hour, a window.
fn true_limits(rule: &Rule) -> Vec<u64> {
    let mut limits = vec![rule.limit, rule.burst()];
    if rule.class == Class::TwoTier {
        limits.push(rule.second.limit);
    }
    if let Some(rate) = rule.rate()
        && matches!(rule.class, Class::TokenBucket | Class::Spacing | Class::LeakyQueue)
    {
        limits.extend([1.0, 60.0, 3600.0].map(|window| (rate * window).round() as u64));
    }
    limits
}

/// Whether `limit` in `window` seconds is what the rule does.
fn keeps(rule: &Rule, limit: u64, window: f64) -> bool {
    // whole seconds: a window below one second is stated as one
    let near = |own: f64| (own - window).abs() <= 0.03 * own || own < 1.0 && window <= 1.0;
    match rule.class {
        Class::TokenBucket | Class::Spacing | Class::LeakyQueue => {
            rule.rate().is_some_and(|rate| (rate * window / limit as f64 - 1.0).abs() < 0.03)
                || limit == rule.limit && near(rule.window)
        }
        Class::TwoTier => {
            limit == rule.limit && near(rule.window) || limit == rule.second.limit && near(rule.second.window)
        }
        Class::Lockout => limit == rule.limit && (near(rule.window) || near(rule.lock)),
        Class::Concurrency => limit == rule.limit,
        _ => limit == rule.limit && near(rule.window),
    }
}

fn limit(rule: &Rule, plain: &[&Seen]) -> Option<Told> {
    let stated = usual(plain.iter().filter_map(|seen| seen.hints.limit))?;
    // a pace is stated over a window: then the policy is what can be checked
    let by_policy = plain
        .iter()
        .flat_map(|seen| &seen.hints.policies)
        .any(|(limit, window)| *limit == stated && window.is_some_and(|window| keeps(rule, *limit, window)));
    let near = |limit: &u64| limit.abs_diff(stated) as f64 <= 0.02 * stated as f64 && by_rate(rule);
    let holds = by_policy || true_limits(rule).iter().any(|limit| *limit == stated || near(limit));
    Some(Told { field: "limit", says: stated.to_string(), is: rule.burst().to_string(), true_enough: holds })
}

fn by_rate(rule: &Rule) -> bool {
    matches!(rule.class, Class::TokenBucket | Class::Spacing | Class::LeakyQueue)
}

fn policy(rule: &Rule, plain: &[&Seen]) -> Option<Told> {
    let stated: Vec<(u64, f64)> = plain
        .iter()
        .rev()
        .find(|seen| seen.hints.policies.iter().any(|(_, window)| window.is_some()))?
        .hints
        .policies
        .iter()
        .filter_map(|(limit, window)| Some((*limit, (*window)?)))
        .collect();
    let says: Vec<String> = stated.iter().map(|(limit, window)| format!("{limit} in {window} s")).collect();
    Some(Told {
        field: "policy",
        says: says.join(", "),
        is: format!("{} in {:.3} s", rule.limit, rule.window),
        true_enough: stated.iter().any(|(limit, window)| keeps(rule, *limit, *window)),
    })
}

/// `remaining` n before a refusal that comes at once: n would have to be 0.
fn remaining(plain: &[&Seen]) -> Option<Told> {
    let mut promises = Vec::new();
    for pair in plain.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        if let Some(left) = before.hints.remaining
            && before.verdict == Verdict::Passed
            && after.verdict == Verdict::Refused
            && after.sent >= before.answered
        {
            promises.push(left);
        }
    }
    let broken = promises.iter().filter(|left| **left > 0).count();
    let usual = usual(promises.iter().copied())?;
    (promises.len() >= FEWEST).then(|| Told {
        field: "remaining",
        says: format!("{usual} left before a refusal"),
        is: "0 left".into(),
        true_enough: 2 * broken <= promises.len(),
    })
}

/// The stated wait against the one that the rule has, for each refusal.
fn retry_after(rule: &Rule, plain: &[&Seen], log: &Log) -> Option<Told> {
    let expected = margins(rule, log);
    let mut waits: Vec<(f64, f64)> = Vec::new();
    for seen in plain.iter().filter(|seen| seen.verdict == Verdict::Refused) {
        let Some(stated) = seen.hints.retry_after else { continue };
        let near = expected.iter().find(|(event, _)| event.at >= seen.sent && !event.passed);
        if let Some((event, margin)) = near.filter(|(_, margin)| *margin < 0.0 && *margin > UNSEEN) {
            let wait = if rule.counts_refused() { own_wait(rule, log, event.at) } else { -margin };
            waits.push((stated, wait));
        }
    }
    if waits.len() < FEWEST {
        return None;
    }
    // whole seconds, rounded up; a second more is nobody's lie
    let slack = |wait: f64| 0.05 * wait + 4.0 * log.noise + 0.02;
    let early = waits.iter().filter(|(stated, wait)| *stated < wait - slack(*wait)).count();
    let late = waits.iter().filter(|(stated, wait)| *stated > wait + 2.0 + 2.0 * slack(*wait)).count();
    // the one that is most wrong, in the direction in which most are
    let off = |pair: &(f64, f64)| if early >= late { pair.1 - pair.0 } else { pair.0 - pair.1 };
    let (stated, wait) = waits.iter().copied().max_by(|a, b| off(a).total_cmp(&off(b)))?;
    Some(Told {
        field: "retry-after",
        says: format!("{stated} s"),
        is: format!("{wait:.2} s"),
        true_enough: 3 * early.max(late) <= waits.len(),
    })
}

/// The wait of a refused request that counts itself, if nobody asks meanwhile.
fn own_wait(rule: &Rule, log: &Log, at: f64) -> f64 {
    if rule.class == Class::Lockout {
        return rule.lock;
    }
    let counted: Vec<f64> = log.events.iter().filter(|e| e.key == 0 && e.at <= at).map(|e| e.at).collect();
    match counted.len().checked_sub(rule.limit as usize) {
        Some(oldest) => (counted[oldest] + rule.window - at).max(0.0),
        None => 0.0,
    }
}
