//! The checklist of production readiness: a row for each question, answered from records or not at all.
//!
//! A question is one row of [`ITEMS`]. Invariants: what no record shows is "not tested", never "yes", and names the command
//! that would show it; the whole is ready only if every row says yes.

mod items;
mod resources;

use super::{Overview, Told, runs_json, traces};
use crate::demanded::Status;
use crate::page::{Page, Row, Table};
use crate::survey::{Survey, mark, plan_word};
use crucible_analysis::Verdict;
use serde_json::{Value, json};

/// The row.
pub(super) const OVERVIEW: Overview = Overview {
    name: "readiness",
    about: "the production-readiness checklist, each row with its evidence or the command that would bring it",
    make,
};

/// One question.
pub(super) struct Item {
    /// As the checklist has it.
    name: &'static str,
    answer: fn(&Survey<'_>) -> Answer,
}

/// What is said to a question.
pub(super) struct Answer {
    status: Status,
    /// What was found, and how.
    said: Vec<String>,
    method: &'static str,
    /// Records that it rests on.
    runs: Vec<usize>,
    /// What would answer it, or answer it better.
    command: Option<String>,
}

impl Answer {
    fn new(status: Status, method: &'static str, runs: Vec<usize>, said: Vec<String>) -> Answer {
        Answer { status, said, method, runs, command: None }
    }

    fn not_tested(why: impl Into<String>) -> Answer {
        Answer::new(Status::NotTested, "", Vec::new(), vec![why.into()])
    }

    fn by(mut self, command: impl Into<String>) -> Answer {
        self.command = Some(command.into());
        self
    }
}

/// The checklist.
const ITEMS: &[Item] = &[
    Item { name: "performance targets met", answer: items::targets },
    Item { name: "every requirement tested", answer: items::coverage },
    Item { name: "capacity documented", answer: items::capacity },
    Item { name: "scaling strategy defined", answer: items::scaling },
    Item { name: "no regression against the baseline", answer: items::regression },
    Item { name: "limits verified", answer: items::limits },
    Item { name: "resources within limits", answer: resources::within },
    Item { name: "no leaks", answer: resources::leaks },
    Item { name: "bottlenecks identified", answer: items::bottlenecks },
    Item { name: "failures survived", answer: items::failures },
    Item { name: "monitoring configured", answer: resources::monitoring },
];

fn make(survey: &Survey<'_>) -> Told {
    let answers: Vec<(&Item, Answer)> = ITEMS.iter().map(|item| (item, (item.answer)(survey))).collect();
    let verdict = Verdict::worst(answers.iter().map(|(_, answer)| answer.status.verdict()));
    let word = match verdict {
        Verdict::Pass => "yes",
        Verdict::Inconclusive => "not shown yet",
        Verdict::Fail => "NO",
        Verdict::Invalid => "not shown: a measurement is invalid",
    };
    let mut page = Page { title: format!("Ready for production: {word}"), ..Page::default() };
    let count = |wanted: Status| answers.iter().filter(|(_, answer)| answer.status == wanted).count();
    page.text(format!(
        "{} of {} yes, {} no, {} not decided, {} not tested, {} invalid.",
        count(Status::Yes),
        answers.len(),
        count(Status::No),
        count(Status::NotDecided),
        count(Status::NotTested),
        count(Status::Invalid)
    ));
    page.table(Table {
        head: vec!["criterion", "status", "rests on"],
        right: Vec::new(),
        rows: answers.iter().map(|(item, answer)| row(item, answer)).collect(),
        beneath: "notes",
    });
    traces(survey, &mut page);
    let json = json!({
        "schema": 1, "overview": "readiness", "verdict": verdict.name(), "runs": runs_json(survey),
        "criteria": answers.iter().map(|(item, answer)| item_json(item, answer, survey)).collect::<Vec<_>>(),
    });
    Told { verdict, json, page, options: survey.options }
}

fn row(item: &Item, answer: &Answer) -> Row {
    let marks: Vec<String> = answer.runs.iter().map(|run| mark(*run)).collect();
    let rests = match (answer.method, marks.is_empty()) {
        ("", true) => String::new(),
        (method, true) => method.to_owned(),
        (method, false) => format!("{method} {}", marks.join(" ")),
    };
    let row = Row::new([item.name.to_owned(), answer.status.shown().to_owned(), rests]);
    Row { said: answer.said.clone(), command: answer.command.clone(), ..row }
}

fn item_json(item: &Item, answer: &Answer, survey: &Survey<'_>) -> Value {
    let trace = |run: &usize| {
        let started = &survey.runs[*run].view.started;
        json!({"run": started.run, "plan_hash": started.plan_hash, "seed": started.seed})
    };
    json!({
        "criterion": item.name, "status": answer.status.word(), "notes": answer.said, "method": answer.method,
        "traces": answer.runs.iter().map(trace).collect::<Vec<_>>(), "command": answer.command,
    })
}

/// The plan of these records as a command names it.
fn plan(survey: &Survey<'_>) -> String {
    let known = survey.runs.iter().map(|run| plan_word(&run.view.started));
    known.max_by_key(|word| word != "PLAN").unwrap_or_else(|| "PLAN".into())
}
