//! What is said in words: judgements, texts of failures, notes.

use super::{WIDTH, named, paint};
use crate::figures;
use crate::report::{Options, Report};
use crate::searched;
use crate::text::{clean, cut, wrap};
use crucible_analysis::{Judgement, TestAssessment, Verdict};
use crucible_core::units::group;
use crucible_record::NoteKind;
use std::fmt::{self, Write};

/// Judgements of the same test that are told in full.
const TOLD: usize = 12;
/// Judgements of the same test that hold and are shown.
const HELD: usize = 20;
/// Error texts that are shown.
const ERRORS: usize = 8;

/// The judgements on a test: those that hold in a line, the others with reason and remedy.
pub(super) fn judgements(options: Options, assessment: &TestAssessment, out: &mut dyn Write) -> fmt::Result {
    let (passed, others): (Vec<_>, Vec<_>) =
        assessment.judgements.iter().partition(|j| j.verdict == Verdict::Pass);
    let held: Vec<_> = passed.iter().filter(|j| j.threshold.is_some()).collect();
    for judgement in held.iter().take(HELD) {
        let band = judgement.band.as_deref().map_or(String::new(), |b| format!(", band {}", clean(b)));
        let what = format!("{} of {}", clean(&judgement.measure), named(&judgement.subject, options));
        let figures = match (judgement.value, judgement.limit) {
            (None, None) => format!(": {}", clean(&judgement.why)),
            _ => format!(" {}{}{}{band}", judgement.shown(), interval(judgement), limit(judgement)),
        };
        let text = format!("{what}{figures}{}", beside(judgement));
        let lead = format!("  {} ", paint(options, Verdict::Pass, "pass"));
        wrap(out, &lead, 7, WIDTH, &text)?;
    }
    if held.len() > HELD {
        writeln!(out, "  ... and {} more hold", held.len() - HELD)?;
    }
    for judgement in others.iter().take(TOLD) {
        let lead = judgement.verdict.name();
        let text = format!(
            "{} of {}: {}{}",
            clean(&judgement.measure),
            named(&judgement.subject, options),
            clean(&judgement.why),
            beside(judgement),
        );
        writeln!(out, "  {}", paint(options, judgement.verdict, lead))?;
        wrap(out, "", 7, WIDTH, &text)?;
        if !judgement.remedy.is_empty() {
            wrap(out, "       ->", 10, WIDTH, &clean(&judgement.remedy))?;
        }
    }
    if others.len() > TOLD {
        writeln!(out, "  ... and {} more; `--format md` tells all", others.len() - TOLD)?;
    }
    Ok(())
}

/// What is told beside a judgement: whose demand it is, and what the warm-up does to it.
fn beside(judgement: &Judgement) -> String {
    let demanded = if judgement.implied { " (demanded by default)" } else { "" };
    match judgement.warm_up_told() {
        told if told.is_empty() => demanded.to_owned(),
        told => format!("{demanded} ({told})"),
    }
}

fn interval(judgement: &Judgement) -> String {
    match judgement.interval {
        Some((low, high)) if low != high => {
            format!(" ({} to {})", judgement.unit.show(low), judgement.unit.show(high))
        }
        _ => String::new(),
    }
}

fn limit(judgement: &Judgement) -> String {
    judgement.limit.map_or(String::new(), |_| format!(", limit {}", judgement.limit_shown()))
}

/// What the failures said.
pub(super) fn errors(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let list = figures::errors_of(report.view);
    if list.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nwhat the failures said")?;
    for note in list.iter().take(ERRORS) {
        let text = format!(
            "{} x {} ({}): {}",
            group(note.times as i64),
            named(figures::step_name(report.view, note.step), report.options),
            clean(&note.class),
            cut(&note.text, 160, report.options.ascii),
        );
        wrap(out, "", 2, WIDTH, &text)?;
    }
    if list.len() > ERRORS {
        writeln!(out, "  ... and {} further texts", list.len() - ERRORS)?;
    }
    Ok(())
}

/// What a search found: the trials below are its evidence.
pub(super) fn searched(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    for (_, lines) in searched::sections(report.view) {
        writeln!(out)?;
        for (label, text) in lines {
            wrap(out, &format!("  {:<14}", clean(&label)), 17, WIDTH, &clean(&text))?;
        }
    }
    Ok(())
}

/// Judgements on the run as a whole, remarks, warnings, gaps.
pub(super) fn notes(report: &Report<'_>, out: &mut dyn Write) -> fmt::Result {
    let view = report.view;
    let run = report.assessment.run.iter().filter(|j| j.verdict != Verdict::Pass);
    let mut lines: Vec<(String, String)> = run
        .map(|j| {
            let remedy = if j.remedy.is_empty() { String::new() } else { format!("; {}", clean(&j.remedy)) };
            (j.verdict.name().to_owned(), format!("{}: {}{remedy}", clean(&j.subject), clean(&j.why)))
        })
        .collect();
    lines.extend(view.started.remarks.iter().map(|text| ("remark".to_owned(), clean(text))));
    for note in view.notes.iter().filter(|note| note.kind != NoteKind::Info) {
        lines.push((note_word(note.kind).to_owned(), format!("at {}: {}", note.at, clean(&note.text))));
    }
    for gap in &view.gaps {
        lines.push(("gap".to_owned(), format!("{} to {}: {}", gap.from, gap.to, clean(&gap.text))));
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for (word, text) in lines {
        wrap(out, &word, word.len() + 2, WIDTH, &text)?;
    }
    Ok(())
}

fn note_word(kind: NoteKind) -> &'static str {
    match kind {
        NoteKind::Info => "note",
        NoteKind::Warning => "warning",
        NoteKind::Invalid => "invalid",
    }
}
