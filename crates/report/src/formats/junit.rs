//! JUnit XML, as CI servers read it: a suite for each test, a case for each threshold.
//!
//! A threshold that fails is a `failure`; one that could not be decided is a `failure` of type `inconclusive`, and an
//! invalid measurement an `error`: CI must not take either for a pass. Judgements other than thresholds appear only
//! when they are not a pass.

use super::Format;
use crate::Report;
use crate::text::{is_unsafe, utc};
use crucible_analysis::{Judgement, Verdict};
use std::fmt::{self, Write};

/// The row.
pub(super) const FORMAT: Format =
    Format { name: "junit", extension: "xml", about: "JUnit XML: a case for each threshold", render };

fn render(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let (view, assessment) = (report.view, report.assessment);
    let mut suites: Vec<(String, f64, Vec<&Judgement>)> = Vec::new();
    for (index, test) in assessment.tests.iter().enumerate() {
        let seconds = view.tests.get(index).map_or(0.0, |totals| totals.covered.as_secs_f64());
        suites.push((test.name.clone(), seconds, shown(&test.judgements)));
    }
    let run = shown(&assessment.run);
    if !run.is_empty() {
        suites.push(("(run)".to_owned(), 0.0, run));
    }
    let (cases, failures, errors) = sums(suites.iter().flat_map(|(_, _, list)| list.iter().copied()));
    let seconds: f64 = suites.iter().map(|(_, seconds, _)| seconds).sum();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\">",
        escape(&view.started.plan)
    )?;
    // the standard wants the time without a zone
    let stamp = utc(view.started.started_unix_ms).replace(" UTC", "").replace(' ', "T");
    for (name, seconds, list) in &suites {
        suite(name, *seconds, &stamp, list, out)?;
    }
    writeln!(out, "</testsuites>")
}

fn shown(judgements: &[Judgement]) -> Vec<&Judgement> {
    judgements.iter().filter(|j| j.threshold.is_some() || j.verdict != Verdict::Pass).collect()
}

fn sums<'a>(list: impl Iterator<Item = &'a Judgement>) -> (usize, usize, usize) {
    list.fold((0, 0, 0), |(all, failures, errors), j| match j.verdict {
        Verdict::Pass => (all + 1, failures, errors),
        Verdict::Inconclusive | Verdict::Fail => (all + 1, failures + 1, errors),
        Verdict::Invalid => (all + 1, failures, errors + 1),
    })
}

fn suite(name: &str, seconds: f64, stamp: &str, list: &[&Judgement], out: &mut dyn Write) -> fmt::Result {
    let (cases, failures, errors) = sums(list.iter().copied());
    let name = escape(name);
    writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{cases}\" failures=\"{failures}\" errors=\"{errors}\" \
         time=\"{seconds:.3}\" timestamp=\"{stamp}\">"
    )?;
    for judgement in list {
        let text = judgement
            .threshold
            .as_ref()
            .map_or_else(|| format!("{} of {}", judgement.measure, judgement.subject), Clone::clone);
        write!(out, "    <testcase classname=\"{name}\" name=\"{}\"", escape(&text))?;
        let element = match judgement.verdict {
            Verdict::Pass => {
                writeln!(out, "/>")?;
                continue;
            }
            Verdict::Inconclusive | Verdict::Fail => "failure",
            Verdict::Invalid => "error",
        };
        let (message, kind) = (escape(&judgement.why), judgement.verdict.name());
        writeln!(
            out,
            ">\n      <{element} type=\"{kind}\" message=\"{message}\">{}</{element}>",
            body(judgement)
        )?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

fn body(judgement: &Judgement) -> String {
    let mut text = format!("{}: {}", judgement.measure, judgement.shown());
    if judgement.limit.is_some() {
        text += &format!(", limit {}", judgement.limit_shown());
    }
    if !judgement.remedy.is_empty() {
        text += &format!("; {}", judgement.remedy);
    }
    escape(&text)
}

/// Text for elements and attributes. Characters that XML 1.0 forbids (and those that could mislead) are written out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if is_unsafe(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn text_can_neither_end_an_element_nor_an_attribute(text in proptest::prelude::any::<String>()) {
            let escaped = escape(&text);
            proptest::prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            // XML 1.0, production 2: the characters that a document may hold
            let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            proptest::prop_assert!(escaped.chars().all(allowed));
            for part in escaped.split('&').skip(1) {
                let known = ["amp;", "lt;", "gt;", "quot;", "apos;"].iter().any(|name| part.starts_with(name));
                proptest::prop_assert!(known, "{}", escaped);
            }
        }
    }
}
