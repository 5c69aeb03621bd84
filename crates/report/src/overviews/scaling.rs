//! How throughput grows with load and with instances, where it ends, and what follows for scaling.

mod advice;
mod law;

use super::{Overview, Told, number, runs_json, traces};
use crate::found::{self, Answer, Capacity, Edge};
use crate::growth::{Growth, over_instances, over_load, short};
use crate::page::{Page, Row, Table};
use crate::survey::{Kind, Survey, mark, plan_word};
use crucible_analysis::Verdict;
use crucible_core::units::show_share;
use serde_json::{Value, json};

/// The row.
pub(super) const OVERVIEW: Overview = Overview {
    name: "scaling",
    about: "capacity, how throughput grows with load and instances, and what follows for scaling",
    make,
};

fn make(survey: &Survey<'_>) -> Told {
    let ((load, silent), instances) = (over_load(survey), over_instances(survey));
    let capacities: Vec<(usize, Capacity)> =
        survey.of(Kind::Capacity).filter_map(|(index, run)| Some((index, found::capacity(run)?))).collect();
    let advice = advice::advice(survey, &load, instances.as_ref(), &capacities);
    // what was asked is how it scales: without a law over anything it was not answered
    let lawful = load.iter().chain(&instances).any(|growth| growth.scaling.lawful().is_some());
    let verdict = if lawful { Verdict::Pass } else { Verdict::Inconclusive };

    let mut page = Page { title: "Capacity and scaling".into(), ..Page::default() };
    current(survey, &capacities, &mut page);
    // by instances is what was asked then; the ladders of each record stand in reports of their own
    let shown = instances.iter().chain(load.iter().filter(|_| instances.is_none()));
    shown.for_each(|growth| law::write(growth, &mut page));
    if load.is_empty() && instances.is_none() {
        page.heading("How throughput grows");
        let plan = survey.runs.first().map_or("PLAN".into(), |run| plan_word(&run.view.started));
        page.text("Not known: none of these records has several steady levels of load.");
        page.list(silent);
        page.blocks.push(crate::page::Block::Command(format!("crucible capacity {plan} --within 5m")));
    }
    page.heading("Scaling recommendations");
    for section in &advice {
        page.table(Table {
            head: vec![section.title, ""],
            right: Vec::new(),
            rows: section.rows.iter().map(advice::Line::row).collect(),
            beneath: "follows from",
        });
    }
    traces(survey, &mut page);
    let json = json!({
        "schema": 1, "overview": "scaling", "verdict": verdict.name(), "runs": runs_json(survey),
        "capacity": capacities.iter().map(|(run, it)| capacity_json(*run, it, survey)).collect::<Vec<_>>(),
        "over_instances": instances.as_ref().map(|growth| law::json(growth, survey)),
        "over_load": load.iter().map(|growth| law::json(growth, survey)).collect::<Vec<_>>(),
        "recommendations": advice.iter().map(advice::Section::json).collect::<Vec<_>>(),
    });
    Told { verdict, json, page, options: survey.options }
}

/// The documents' table of current capacity.
fn current(survey: &Survey<'_>, capacities: &[(usize, Capacity)], page: &mut Page) {
    page.heading("Current capacity");
    if capacities.is_empty() {
        let plan = survey.runs.first().map_or("PLAN".into(), |run| plan_word(&run.view.started));
        page.text("Not known: none of these records is a search for the capacity.");
        page.blocks.push(crate::page::Block::Command(format!("crucible capacity {plan} --within 5m")));
        return;
    }
    let mut rows = Vec::new();
    for (run, capacity) in capacities {
        let at = survey.at(*run).map_or(String::new(), |at| {
            format!(", {} {}", short(at), survey.asked.by.as_deref().unwrap_or("instances"))
        });
        rows.extend(capacity_rows(*run, capacity, &at));
    }
    page.table(Table {
        head: vec!["metric", "value", "confidence"],
        right: vec![1],
        rows,
        beneath: "evidence",
    });
}

fn capacity_rows(run: usize, capacity: &Capacity, at: &str) -> Vec<Row> {
    let interval =
        |edge: &Edge| format!("{} to {} at 95 %", capacity.show(edge.low), capacity.show(edge.high));
    let what = if capacity.users { "max concurrent users" } else { "max arrivals a second" };
    let of = capacity.test.as_ref().map_or(String::new(), |test| format!(" ({test})"));
    let most = Row::new([format!("{what}{of}{at}"), capacity.words(), capacity.sure()]);
    let most = match &capacity.answer {
        Answer::Edge(edge) => {
            let shape = if edge.cliff { "a cliff" } else { "a slope" };
            most.says(format!("{}; {} gives way first, {shape}", interval(edge), edge.predicate))
        }
        _ => most,
    };
    let must = format!("must hold: {}; {} trials, {}", capacity.targets(), capacity.trials, mark(run));
    let mut rows = vec![most.says(must)];
    if matches!(capacity.answer, Answer::Invalid(_)) {
        return rows;
    }
    rows.push(match &capacity.breaking {
        Some(edge) => Row::new(["breaking point".into(), capacity.show(edge.estimate), interval(edge)])
            .says(format!("from there on not {}", edge.predicate)),
        None => Row::new(["breaking point".into(), "not reached".into(), "-".into()])
            .says("no load of the search broke it"),
    });
    rows.push(match capacity.recommended {
        Some(load) => Row::new(["recommended max load".into(), capacity.show(load), capacity.sure()])
            .says(format!("{} below the safe end of the interval", show_share(capacity.headroom))),
        None => Row::new(["recommended max load".into(), "none".into(), "-".into()]),
    });
    rows
}

fn capacity_json(run: usize, capacity: &Capacity, survey: &Survey<'_>) -> Value {
    let edge = |edge: &Edge| {
        json!({"estimate": number(edge.estimate), "low": number(edge.low), "high": number(edge.high),
            "predicate": edge.predicate, "shape": if edge.cliff { "cliff" } else { "slope" }})
    };
    json!({
        "run": survey.runs[run].view.started.run, "test": capacity.test,
        "unit": if capacity.users { "users" } else { "arrivals per second" },
        "value": capacity.words(), "confidence": capacity.sure(),
        "edge": match &capacity.answer { Answer::Edge(found) => edge(found), _ => Value::Null },
        "breaking": capacity.breaking.as_ref().map(edge), "recommended": capacity.recommended.map(number),
        "headroom": number(capacity.headroom), "predicates": capacity.predicates, "trials": capacity.trials,
    })
}

/// The growth over load that tells most: the one with the most levels.
pub(super) fn best(growths: &[Growth]) -> Option<&Growth> {
    growths
        .iter()
        .max_by_key(|growth| (growth.scaling.lawful().is_some(), growth.scaling.levels.levels.len()))
}
