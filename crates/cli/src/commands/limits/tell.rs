//! A finding in words, at 80 columns, and as JSON.

use super::expect::Judged;
use crucible_analysis::Verdict;
use crucible_core::{Ns, units};
use crucible_stats::limits::{Class, Finding, Outcome, Rule};
use serde_json::{Value, json};
use std::fmt::Write;

/// A finding and what it is about.
pub(super) struct Told<'a> {
    pub subject: &'a str,
    pub finding: &'a Finding,
    /// What each variant differs in, by its number.
    pub labels: &'a [&'a str],
    pub judged: Option<&'a Judged>,
}

/// Likelihood ratio, as a logarithm, beyond which a key is decided.
const KEY: f64 = 5.0;
/// A lock that is known to this share is not told with its bracket.
const SHARP: f64 = 0.02;
/// Column at which values begin, and the width of all.
const INDENT: usize = 15;
const WIDTH: usize = 79;

/// Seconds as people write them.
pub(super) fn seconds(seconds: f64) -> String {
    units::show_duration(Ns::from_secs_f64(seconds))
}

/// The figures of a rule in one phrase.
pub(super) fn figures(rule: &Rule) -> String {
    let n = rule.limit;
    match rule.class {
        Class::TokenBucket => {
            format!(
                "{n} at once, refilled at {n} in {} (one each {})",
                seconds(rule.window),
                seconds(rule.window / n as f64)
            )
        }
        Class::Spacing => format!("1 each {}", seconds(rule.window)),
        Class::IntervalRefill => format!(
            "{n} at once, then {} more each {}",
            rule.lump,
            seconds(rule.window * rule.lump as f64 / n as f64)
        ),
        Class::Lockout => {
            format!("{n} in {}; one more locks for {}", seconds(rule.window), seconds(rule.lock))
        }
        Class::GrowingLock => {
            let locks: Vec<String> = rule.seen_locks().map(seconds).collect();
            format!("{n}, then each that passes locks: for {}", locks.join(", then "))
        }
        Class::LeakyQueue if rule.lump >= u64::MAX - 1 => {
            format!("1 each {}, further ones wait, however many", seconds(rule.window))
        }
        Class::LeakyQueue => format!("1 each {}, {} may wait", seconds(rule.window), rule.lump),
        Class::Concurrency => format!("{n} under way at once"),
        Class::TwoTier => format!(
            "{n} in {}, and {} in {}",
            seconds(rule.window),
            rule.second.limit,
            seconds(rule.second.window)
        ),
        _ => format!("{n} in {}", seconds(rule.window)),
    }
}

/// How long it takes until requests pass again once the limit is used up.
fn recovery(rule: &Rule) -> Option<String> {
    let window = seconds(rule.window);
    Some(match rule.class {
        Class::FixedWall => format!("all at once, at the next begin of a window, at most {window}"),
        Class::FixedFirst => format!("all at once, {window} after the window's first request"),
        Class::SlidingLog => format!("each place {window} after its request"),
        Class::LogWithRejects => format!("only for who is silent: after {window} without any request"),
        Class::SlidingCounter => {
            format!("evenly, from the next window on, within {}", seconds(2.0 * rule.window))
        }
        Class::TokenBucket | Class::IntervalRefill => format!("whole again after {window}"),
        Class::Lockout => format!(
            "{} after the violation{}",
            seconds(rule.lock),
            if rule.extends {
                "; asking meanwhile begins it anew"
            } else {
                "; asking meanwhile changes nothing"
            }
        ),
        Class::GrowingLock => {
            let locks: Vec<f64> = rule.seen_locks().collect();
            let stays = locks.len() > 2 && locks[locks.len() - 1] < 1.05 * locks[locks.len() - 2];
            let more = if stays { "; the last one stays" } else { "; further ones were not seen" };
            format!("each lock is longer than the one before: {} were seen{more}", locks.len())
        }
        Class::TwoTier => {
            format!("at the next begin of the fuller window, at most {}", seconds(rule.second.window))
        }
        _ => return None,
    })
}

impl Told<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("limits of {}\n\n", self.subject);
        for (name, value) in self.rows() {
            wrap(&mut text, name, &value);
        }
        // writing to a String cannot fail
        let _ = writeln!(text, "\n  {:>7} {:>6} {:>7}  experiment", "at", "passed", "refused");
        for step in self.finding.steps.iter().filter(|step| step.sent > 0) {
            let _ = writeln!(
                text,
                "  {:>7} {:>6} {:>7}  {}",
                seconds(step.at),
                step.passed,
                step.refused,
                step.about
            );
        }
        text
    }

    /// What is said, label by label.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let finding = self.finding;
        let mut rows = vec![("found", self.outcome())];
        if let Some(rule) = &finding.rule {
            self.rule_rows(rule, &mut |name, value| rows.push((name, value)));
        }
        if let Some(judged) = self.judged {
            rows.push(("expected", judged.expected.clone()));
            let word = match judged.verdict {
                Verdict::Pass => "pass",
                Verdict::Inconclusive => "inconclusive",
                Verdict::Fail => "FAIL",
                Verdict::Invalid => "INVALID",
            };
            rows.push(("verdict", format!("{word}: {}", judged.why)));
        }
        let answers = finding.statuses.iter().map(|(status, n)| match status {
            0 => format!("{n} no answer"),
            status => format!("{n} of {status}"),
        });
        let windows =
            finding.windows().map(|w| format!(", decided within {w:.1} windows")).unwrap_or_default();
        let evidence = format!("{} requests in {}{windows}", finding.requests, seconds(finding.elapsed));
        rows.push(("evidence", evidence));
        rows.push(("answers", answers.collect::<Vec<_>>().join(", ")));
        rows
    }

    /// What it came to, in one phrase.
    pub(super) fn short(&self) -> String {
        match (&self.finding.outcome, &self.finding.rule) {
            (Outcome::Limiter, Some(rule)) => format!("{}: {}", rule.class.name(), figures(rule)),
            _ => self.outcome(),
        }
    }

    fn rule_rows(&self, rule: &Rule, row: &mut impl FnMut(&'static str, String)) {
        let finding = self.finding;
        row("limit", figures(rule));
        let (low, high) = finding.window;
        let first = finding.others.first().is_some_and(|(class, _)| *class == rule.class);
        if first && rule.class != Class::GrowingLock && high > low * 1.001 {
            row("window", format!("between {} and {}", seconds(low), seconds(high)));
        }
        for (low, high) in finding.locks.iter().filter(|(low, high)| high - low > SHARP * low) {
            row(
                "lock",
                format!(
                    "between {} and {}; its end was not seen more exactly",
                    seconds(*low),
                    seconds(*high)
                ),
            );
        }
        if !finding.known() {
            row("note", "this is not settled; --within allows more time".into());
        }
        let others: Vec<String> = finding
            .others
            .iter()
            .filter(|(class, share)| *class != rule.class && *share > 0.005)
            .map(|(class, share)| format!("{} {share:.3}", class.name()))
            .collect();
        if !others.is_empty() {
            row("or", others.join(", "));
        }
        if !matches!(rule.class, Class::Concurrency | Class::LeakyQueue) {
            let count = if rule.counts_refused() { "count, too" } else { "do not count" };
            row("refused", format!("requests that are refused {count}"));
        }
        if let Some(twice) = rule.over_an_edge().filter(|most| *most > rule.limit) {
            row("at an edge", format!("up to {twice} pass within one window"));
        }
        if let Some(recovery) = recovery(rule) {
            row("recovery", recovery);
        }
        for (key, told) in &finding.keys {
            let label = self.labels.get(usize::from(*key)).copied().unwrap_or("another");
            let says = match told {
                told if *told > KEY => "each has a count of its own",
                told if *told < -KEY => "makes no difference",
                _ => "not known",
            };
            row("key", format!("{label}: {says}"));
        }
        for told in &finding.headers {
            let word = match (told.true_enough, finding.known()) {
                (true, _) => "true",
                (false, true) => "A LIE",
                // what is not settled calls nobody a liar
                (false, false) => "not the same, but neither is it settled",
            };
            row("header", format!("{} says {}; it is {}: {word}", told.field, told.says, told.is));
        }
        if finding.headers.is_empty() {
            row("headers", "say nothing about a limit".into());
        }
        if !finding.pressed && matches!(rule.class, Class::FixedWall | Class::FixedFirst | Class::SlidingLog)
        {
            row("note", "a second, longer limit was not looked for; --within allows more time".into());
        }
    }

    fn outcome(&self) -> String {
        let finding = self.finding;
        let rate = units::show_number(finding.rate);
        match (&finding.outcome, &finding.rule) {
            (Outcome::Limiter, Some(rule)) => {
                format!("{}, probability {:.3}", rule.class.name(), finding.probability.min(0.999))
            }
            (Outcome::None | Outcome::Limiter, _) => {
                format!("no limiter, in {} requests and up to {rate} requests/s", finding.requests)
            }
            (Outcome::Overload, _) => {
                "no limiter: these are errors, as of a server that has too much to do".into()
            }
            (Outcome::Untestable, _) => {
                "nothing is known: no request passed. Statuses below 400 count as passed; \
                 name others with --status, refusals with --refused"
                    .into()
            }
            (Outcome::Unknown(why), _) => format!("nothing is certain: {why}"),
        }
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let finding = self.finding;
        let outcome = match finding.outcome {
            Outcome::Limiter => "limiter",
            Outcome::None => "none",
            Outcome::Overload => "overload",
            Outcome::Untestable => "untestable",
            Outcome::Unknown(_) => "unknown",
        };
        let rule = finding.rule.as_ref().map(|rule| {
            json!({
                "class": rule.class.word(), "limit": rule.limit, "window_seconds": (rule.class != Class::GrowingLock).then_some(rule.window),
                "burst": rule.burst(), "per_second": rule.rate(), "lump": rule.lump,
                "locks_seconds": (rule.class == Class::GrowingLock).then(|| rule.seen_locks().collect::<Vec<_>>()),
                "lock_seconds": (rule.class == Class::Lockout).then_some(rule.lock),
                "second": (rule.class == Class::TwoTier)
                    .then(|| json!({"limit": rule.second.limit, "window_seconds": rule.second.window})),
                "refused_count": rule.counts_refused(), "most_over_an_edge": rule.over_an_edge(),
            })
        });
        let keys: Vec<Value> = finding
            .keys
            .iter()
            .map(|(key, told)| {
                let own = if told.abs() < KEY { Value::Null } else { Value::Bool(*told > 0.0) };
                json!({"key": self.labels.get(usize::from(*key)), "own_count": own, "log_ratio": told})
            })
            .collect();
        json!({
            "schema": 1, "subject": self.subject, "said": self.rows(), "outcome": outcome, "limiter": rule,
            "probability": finding.probability,
            "classes": finding.others.iter().map(|(c, p)| json!({"class": c.word(), "probability": p})).collect::<Vec<_>>(),
            "window_between_seconds": [finding.window.0, finding.window.1],
            "locks_between_seconds": finding.locks.iter().map(|(low, high)| [*low, *high]).collect::<Vec<_>>(),
            "keys": keys,
            "headers": finding.headers.iter().map(|told| json!({
                "field": told.field, "says": told.says, "is": told.is,
                "true": (told.true_enough || finding.known()).then_some(told.true_enough),
            })).collect::<Vec<_>>(),
            "windows_used": finding.windows(), "requests": finding.requests,
            "elapsed_seconds": finding.elapsed, "known": finding.known(), "confirmed": finding.confirmed, "doubt": finding.doubt, "fastest_per_second": finding.rate,
            "statuses": finding.statuses.iter().map(|(s, n)| json!({"status": s, "count": n})).collect::<Vec<_>>(),
            "pressed_for_second_limit": finding.pressed,
            "experiments": finding.steps.iter().map(|step| json!({
                "about": step.about, "at_seconds": step.at, "took_seconds": step.took, "sent": step.sent,
                "passed": step.passed, "refused": step.refused,
            })).collect::<Vec<_>>(),
            "expected": self.judged.map(|judged| json!({
                "text": judged.expected, "verdict": format!("{:?}", judged.verdict).to_lowercase(), "why": judged.why,
            })),
        })
    }
}

/// A row with its value broken at spaces.
fn wrap(text: &mut String, name: &str, value: &str) {
    let mut line = format!("  {name:<width$}", width = INDENT - 2);
    let mut begun = false;
    for word in value.split(' ') {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(INDENT);
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
