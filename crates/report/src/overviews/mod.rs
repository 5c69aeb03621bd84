//! The table of overviews: documents over several records.

mod readiness;
mod requirements;
mod scaling;
#[cfg(test)]
mod tests;

use crate::page::{Page, Row, Table};
use crate::survey::{Survey, mark};
use crate::text::utc;
use crucible_analysis::{Verdict, requirements as requirements_of};
use serde_json::{Value, json};

/// An overview: one row of [`OVERVIEWS`].
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    /// The name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    make: fn(&Survey<'_>) -> Told,
}

/// What an overview says: a verdict, and three ways to write it.
pub struct Told {
    /// The worst of what it says; a pass only if everything was shown to hold.
    pub verdict: Verdict,
    /// For machines. Shapes: `docs/reference/overviews-json.md`.
    pub json: Value,
    page: Page,
    options: crate::Options,
}

/// All overviews, in the order in which help shows them.
pub const OVERVIEWS: &[Overview] = &[requirements::OVERVIEW, readiness::OVERVIEW, scaling::OVERVIEW];

/// The overview of this name.
pub fn find_overview(name: &str) -> Option<&'static Overview> {
    OVERVIEWS.iter().find(|overview| overview.name == name)
}

impl Overview {
    /// Makes it.
    pub fn of(&self, survey: &Survey<'_>) -> Told {
        (self.make)(survey)
    }
}

impl Told {
    /// At most 80 columns; only commands to copy may be longer.
    pub fn text(&self) -> String {
        self.page.terminal(self.options)
    }

    /// GitHub Markdown.
    pub fn markdown(&self) -> String {
        self.page.markdown()
    }
}

/// The records that marks such as `[1]` stand for.
fn traces(survey: &Survey<'_>, page: &mut Page) {
    page.heading("Traces");
    let row = |(index, run): (usize, &crate::Report<'_>)| {
        let started = &run.view.started;
        let row = Row::new([
            mark(index),
            started.run.clone(),
            started.plan.clone(),
            started.seed.to_string(),
            utc(started.started_unix_ms),
        ]);
        row.says(format!("plan {}", started.plan_hash))
            .says(format!("target {}, crucible {}", started.target, started.tool))
    };
    page.table(Table {
        head: vec!["", "run", "plan", "seed", "started"],
        right: Vec::new(),
        rows: survey.runs.iter().enumerate().map(row).collect(),
        beneath: "hash, target, tool",
    });
}

/// The records for machines.
fn runs_json(survey: &Survey<'_>) -> Value {
    let run = |run: &crate::Report<'_>| {
        let started = &run.view.started;
        json!({
            "run": started.run, "plan": started.plan, "plan_hash": started.plan_hash, "plan_file": started.plan_file,
            "seed": started.seed, "target": started.target, "started_unix_ms": started.started_unix_ms,
            "tool": started.tool, "verdict": requirements_of::verdict(run.assessment).name(),
        })
    };
    survey.runs.iter().map(run).collect::<Vec<_>>().into()
}

/// A number that JSON can hold.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}
