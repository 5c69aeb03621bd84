//! `--expect "100/m burst 20"`: what should be there, against what was found.

use crucible_analysis::Verdict;
use crucible_core::units;
use crucible_stats::limits::{Class, Finding, Outcome, Rule};

/// What somebody believes in.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expected {
    /// No limiter.
    None,
    /// So many requests under way at once.
    Concurrency(u64),
    /// So many requests in so many seconds; with so many at once if told.
    Rate { requests: u64, window: f64, burst: Option<u64> },
    /// After so many the next ones are locked out, first for so long in seconds, then for longer, as far as told.
    Lock { requests: u64, locks: Vec<f64> },
}

/// An expectation judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub verdict: Verdict,
    /// What was expected, in words.
    pub expected: String,
    /// Why.
    pub why: String,
}

const FORM: &str = "write 100/m, 100/30s burst 20, concurrency 8, lockout 5 30s 2m or none";
/// Share by which a window may differ.
const NEAR: f64 = 0.02;

impl Expected {
    /// Reads it. The error is a hint.
    pub(super) fn parse(text: &str) -> Result<Expected, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let count = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| FORM.to_owned());
        match words.as_slice() {
            ["none"] => Ok(Expected::None),
            ["concurrency", n] => Ok(Expected::Concurrency(count(n)?)),
            ["lockout", n, locks @ ..] => {
                let locks = locks.iter().map(|text| Ok(units::parse_duration(text)?.as_secs_f64()));
                Ok(Expected::Lock { requests: count(n)?, locks: locks.collect::<Result<_, String>>()? })
            }
            [rate] => Expected::rate(rate, None),
            [rate, "burst", n] => Expected::rate(rate, Some(count(n)?)),
            _ => Err(FORM.into()),
        }
    }

    fn rate(text: &str, burst: Option<u64>) -> Result<Expected, String> {
        let (requests, unit) = text.split_once('/').ok_or(FORM)?;
        let requests = requests.parse::<u64>().ok().filter(|n| *n > 0).ok_or(FORM)?;
        let window = match unit {
            "s" | "sec" | "second" => 1.0,
            "m" | "min" | "minute" => 60.0,
            "h" | "hour" => 3600.0,
            "d" | "day" => 86_400.0,
            _ => units::parse_duration(unit)?.as_secs_f64(),
        };
        if window > 0.0 { Ok(Expected::Rate { requests, window, burst }) } else { Err(FORM.into()) }
    }

    fn words(&self) -> String {
        match self {
            Expected::None => "no limiter".into(),
            Expected::Concurrency(n) => format!("at most {n} at once"),
            Expected::Lock { requests, locks } => {
                let times: Vec<String> = locks.iter().map(|lock| super::tell::seconds(*lock)).collect();
                let times =
                    if times.is_empty() { String::new() } else { format!(": for {}", times.join(", then ")) };
                format!("locked out after {requests}{times}")
            }
            Expected::Rate { requests, window, burst } => {
                let burst = burst.map(|n| format!(", {n} at once")).unwrap_or_default();
                format!("{requests} in {}{burst}", super::tell::seconds(*window))
            }
        }
    }

    /// Whether what was found is what was expected.
    pub(super) fn judge(&self, finding: &Finding) -> Judged {
        let (verdict, why) = self.weigh(finding);
        Judged { verdict, expected: self.words(), why }
    }

    fn weigh(&self, finding: &Finding) -> (Verdict, String) {
        let rate = units::show_number(finding.rate);
        match (&finding.outcome, finding.rule.as_ref()) {
            (Outcome::None, _) if *self == Expected::None => {
                (Verdict::Pass, format!("nothing limits, up to {rate}/s"))
            }
            (Outcome::None, _) => {
                let enough = match self {
                    Expected::Rate { requests, .. } => finding.requests > 2 * requests,
                    _ => true,
                };
                let why = format!("nothing limits {} requests, up to {rate}/s", finding.requests);
                if enough {
                    (Verdict::Fail, why)
                } else {
                    (Verdict::Inconclusive, why + "; try --most with more")
                }
            }
            (Outcome::Limiter, Some(rule)) => self.against(rule, finding),
            _ => (Verdict::Inconclusive, "it is not known what limits".into()),
        }
    }

    fn against(&self, rule: &Rule, finding: &Finding) -> (Verdict, String) {
        if finding.probability < 0.95 {
            return (Verdict::Inconclusive, format!("the class is known to {:.2} only", finding.probability));
        }
        if !finding.known() {
            return (Verdict::Inconclusive, "the figures are not settled; --within allows more time".into());
        }
        let found = super::tell::figures(rule);
        let holds = match self {
            Expected::None => false,
            Expected::Concurrency(n) => rule.class == Class::Concurrency && rule.limit == *n,
            Expected::Lock { requests, locks } => rule.limit == *requests && locked_for(rule, locks),
            Expected::Rate { requests, window, burst } => {
                keeps(rule, *requests, *window) && burst.is_none_or(|burst| burst == rule.burst())
            }
        };
        let lies = finding.headers.iter().find(|told| !told.true_enough);
        match (holds, lies) {
            (false, _) => (Verdict::Fail, format!("it is {found}")),
            (true, Some(told)) => (Verdict::Fail, format!("it is, but the header `{}` lies", told.field)),
            (true, None) => (Verdict::Pass, format!("it is {found}")),
        }
    }
}

/// Whether the rule locks out for so long, and then for so long, as far as both are told.
fn locked_for(rule: &Rule, locks: &[f64]) -> bool {
    let found: Vec<f64> = match rule.class {
        Class::Lockout => vec![rule.lock],
        Class::GrowingLock => rule.seen_locks().collect(),
        _ => return false,
    };
    locks.iter().zip(found).all(|(lock, found)| (lock - found).abs() <= NEAR * lock)
}

/// Whether the rule lets through `requests` in `window` seconds, and no more.
fn keeps(rule: &Rule, requests: u64, window: f64) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= NEAR * b;
    let pace = rule.rate().is_some_and(|rate| near(rate, requests as f64 / window));
    match rule.class {
        Class::Concurrency | Class::GrowingLock => false,
        // these have a pace; over which window it is told makes no difference
        Class::TokenBucket | Class::Spacing | Class::LeakyQueue | Class::IntervalRefill => pace,
        Class::TwoTier => {
            rule.limit == requests && near(rule.window, window)
                || rule.second.limit == requests && near(rule.second.window, window)
        }
        _ => rule.limit == requests && near(rule.window, window),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read() {
        let check =
            |text: &str, expected: Expected| assert_eq!(Expected::parse(text), Ok(expected), "{text}");
        check("none", Expected::None);
        check("concurrency 8", Expected::Concurrency(8));
        check("100/m", Expected::Rate { requests: 100, window: 60.0, burst: None });
        check("lockout 5 30s 2m", Expected::Lock { requests: 5, locks: vec![30.0, 120.0] });
        check("lockout 5", Expected::Lock { requests: 5, locks: Vec::new() });
        check("5/30s burst 2", Expected::Rate { requests: 5, window: 30.0, burst: Some(2) });
        for wrong in
            ["", "100", "0/m", "100/m burst", "burst 3", "100/0s", "concurrency x", "lockout", "lockout 5 x"]
        {
            assert!(Expected::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pace_is_a_pace_over_any_window_and_a_lock_is_none() {
        let bucket = Rule::new(Class::TokenBucket, 20, 12.0);
        assert!(keeps(&bucket, 100, 60.0) && !keeps(&bucket, 90, 60.0));
        let fixed = Rule::new(Class::FixedWall, 100, 60.3);
        let lock = Rule { lock: 30.3, ..Rule::new(Class::Lockout, 5, 60.0) };
        assert!(locked_for(&lock, &[30.0]) && locked_for(&lock, &[]) && !locked_for(&lock, &[20.0]));
        assert!(!locked_for(&fixed, &[]));
        assert!(keeps(&fixed, 100, 60.0) && !keeps(&fixed, 50, 30.0) && !keeps(&fixed, 99, 60.0));
    }
}
