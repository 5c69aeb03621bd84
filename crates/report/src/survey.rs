//! What an overview is given: several records, comparisons made of records, and what the user asked for.

use crate::Report;
use crate::comparison::Compared;
use crate::report::Options;
use crucible_record::RunStarted;

/// A load that the user wants to carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// Operations or arrivals a second.
    Rate(f64),
    /// Users at once.
    Users(f64),
}

/// What the user asked for beside the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Instances, cores or the like of each record, in their order.
    pub at: Vec<f64>,
    /// The label (or name of the environment) whose value is that number.
    pub by: Option<String>,
    /// The load to plan for.
    pub wanted: Option<Wanted>,
    /// Instances that the system ran on when it was measured, where nothing else says so.
    pub instances: Option<f64>,
    /// Of several records of a test only the newest counts.
    pub newest_only: bool,
}

/// A comparison that was made of stored runs.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Identifiers of the runs that it rests on.
    pub runs: Vec<String>,
    /// Test by test.
    pub compared: Vec<Compared>,
}

/// Several records and what is to be said of them together.
#[derive(Clone, Copy, Debug)]
pub struct Survey<'a> {
    /// The records in the order in which they were named.
    pub runs: &'a [Report<'a>],
    /// Comparisons with a baseline.
    pub baselines: &'a [Baseline],
    /// What was asked.
    pub asked: &'a Asked,
    /// How text for people is to look.
    pub options: Options,
}

/// What a record was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `crucible run`, `bench`: tests under load, judged by their thresholds.
    Load,
    /// `crucible capacity`.
    Capacity,
    /// `crucible compare --duet`.
    Duet,
    /// `crucible limits`.
    Limits,
}

/// What a record with these tests and kinds of findings was made for.
pub fn kind<'n>(
    tests: impl IntoIterator<Item = &'n str>,
    findings: impl IntoIterator<Item = &'n str>,
) -> Kind {
    for finding in findings {
        match finding {
            "capacity" => return Kind::Capacity,
            "comparison" | "duet" => return Kind::Duet,
            "limits" => return Kind::Limits,
            _ => {}
        }
    }
    let tests: Vec<&str> = tests.into_iter().collect();
    let slice_of = |arm: &str| {
        tests
            .iter()
            .any(|test| test.strip_prefix(arm).is_some_and(|rest| rest.is_empty() || rest.starts_with(',')))
    };
    match slice_of("A 1") && slice_of("B 1") {
        true => Kind::Duet,
        // a search that was killed before it found anything
        false if tests.first().is_some_and(|name| name.starts_with("trial 1: ")) => Kind::Capacity,
        false => Kind::Load,
    }
}

impl Report<'_> {
    /// What the record was made for.
    pub fn kind(&self) -> Kind {
        let tests = self.view.started.tests.iter().map(|test| test.name.as_str());
        kind(tests, self.view.findings.iter().map(|finding| finding.kind.as_str()))
    }
}

impl Survey<'_> {
    /// Records made for `wanted`, with their place.
    pub(crate) fn of(&self, wanted: Kind) -> impl Iterator<Item = (usize, &Report<'_>)> {
        self.runs.iter().enumerate().filter(move |(_, run)| run.kind() == wanted)
    }

    /// The number that stands for a record when several are compared by instances or cores.
    pub(crate) fn at(&self, index: usize) -> Option<f64> {
        match &self.asked.by {
            Some(key) => number(label(&self.runs[index].view.started, key)?),
            None => self.asked.at.get(index).copied(),
        }
    }
}

/// The value of a label, or of what is known of the machine.
fn label<'a>(started: &'a RunStarted, key: &str) -> Option<&'a str> {
    let mut all = started.labels.iter().chain(&started.environment);
    all.find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The number that a value begins with.
pub(crate) fn number(value: &str) -> Option<f64> {
    let digits: String = value.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
}

/// The reference of a record within an overview, as in `[2]`.
pub(crate) fn mark(index: usize) -> String {
    format!("[{}]", index + 1)
}

/// The plan as a command names it: its file where the record knows it.
pub(crate) fn plan_word(started: &RunStarted) -> String {
    if started.plan_file.is_empty() { "PLAN".into() } else { quoted(&started.plan_file) }
}

/// A word for a POSIX shell.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_a_shell_as_they_are() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("suites/stories", "suites/stories");
        check("sustained (quick)", "'sustained (quick)'");
        check("it's", "'it'\\''s'");
        check("", "''");
    }

    #[test]
    fn a_record_is_known_by_its_findings_then_by_its_tests() {
        let check = |tests: &[&str], findings: &[&str], expected| {
            assert_eq!(
                kind(tests.iter().copied(), findings.iter().copied()),
                expected,
                "{tests:?} {findings:?}"
            );
        };
        check(&["load"], &[], Kind::Load);
        check(&[], &[], Kind::Load);
        check(&["trial 1: 1.00/s"], &[], Kind::Capacity);
        check(&["load"], &["capacity"], Kind::Capacity);
        check(&["A 1", "B 1"], &[], Kind::Duet);
        check(&["A 1"], &[], Kind::Load);
        check(&[], &["limits"], Kind::Limits);
        check(&["load"], &["something newer"], Kind::Load);
    }

    #[test]
    fn numbers_are_taken_from_the_beginning_of_a_value() {
        assert_eq!(
            (number("4"), number("2.5 cores"), number("x4"), number("0")),
            (Some(4.0), Some(2.5), None, None)
        );
    }
}
