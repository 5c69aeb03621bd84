//! Requirements against actual figures: a row for each band of each threshold, with its trace.

use super::{Overview, Told, number, runs_json, traces};
use crate::demanded::{self, Carried, NotRun, Status, Tested, figure, rests_on};
use crate::page::{Page, Row, Table};
use crate::survey::{Survey, mark};
use crucible_analysis::Verdict;
use serde_json::{Value, json};

/// The row.
pub(super) const OVERVIEW: Overview = Overview {
    name: "requirements",
    about: "requirements against actual figures: met or not, on what evidence, with traces",
    make,
};

fn make(survey: &Survey<'_>) -> Told {
    let (tested, not_run) = (demanded::tested(survey), demanded::not_run(survey));
    let carried = demanded::carried(survey);
    let unmeasured = survey.asked.wanted.is_some() && carried.is_empty();
    let count = |wanted: Status| tested.iter().filter(|one| one.status == wanted).count();
    let untested: usize = not_run.iter().map(|test| test.demands.len()).sum();
    // a target that is missed where the acceptable is met does not fail a run, and does not fail this
    let rows = tested.iter().filter(|one| one.demand.decides).map(|one| one.status);
    let rest = (untested > 0 || unmeasured).then_some(Status::NotTested);
    let statuses: Vec<Status> = rows.chain(carried.iter().map(|one| one.status)).chain(rest).collect();
    let verdict = Verdict::worst(statuses.iter().map(|status| status.verdict()));

    let mut page =
        Page { title: format!("Requirements against actual: {}", verdict.name()), ..Page::default() };
    page.text(format!(
        "{} met, {} not met, {} not decided, {} invalid; {} not tested.",
        count(Status::Yes),
        count(Status::No),
        count(Status::NotDecided),
        count(Status::Invalid),
        untested + count(Status::NotTested),
    ));
    let mut methods: Vec<&'static str> = Vec::new();
    loads(&carried, unmeasured, survey, &mut page);
    for group in tested.chunk_by(|a, b| (a.run, &a.test) == (b.run, &b.test)) {
        page.heading(format!("{} {}", mark(group[0].run), group[0].test));
        if let Some(why) = &group[0].invalid {
            page.text(format!("The measurement is not valid: {why}."));
        }
        let rows = group.iter().map(|one| row(one, &mut methods)).collect();
        page.table(table(rows));
    }
    missing(&not_run, &mut page);
    if !methods.is_empty() {
        page.heading("How it was judged");
        page.list(methods.iter().enumerate().map(|(at, text)| format!("{}: {text}", letter(at))).collect());
    }
    traces(survey, &mut page);
    let json = json!({
        "schema": 1, "overview": "requirements", "verdict": verdict.name(), "runs": runs_json(survey),
        "requirements": tested.iter().map(|one| tested_json(one, survey)).collect::<Vec<_>>(),
        "loads": carried.iter().map(|one| load_json(one, survey)).collect::<Vec<_>>(),
        "not_tested": not_run.iter().map(not_run_json).collect::<Vec<_>>(),
    });
    Told { verdict, json, page, options: survey.options }
}

fn table(rows: Vec<Row>) -> Table {
    Table { head: vec!["requirement", "target", "actual", "met?"], right: vec![2], rows, beneath: "evidence" }
}

fn letter(at: usize) -> char {
    char::from(b'a' + u8::try_from(at).unwrap_or(25).min(25))
}

fn row(one: &Tested, methods: &mut Vec<&'static str>) -> Row {
    let (demand, judgement) = (&one.demand, &one.demand.judgement);
    let at = methods.iter().position(|method| *method == demand.method).unwrap_or_else(|| {
        methods.push(demand.method);
        methods.len() - 1
    });
    let band = if demand.band.is_empty() { String::new() } else { format!(" ({})", demand.band) };
    let implied = if judgement.implied { ", demanded by default" } else { "" };
    let mut row = Row::new([
        format!("{}{band}", figure(judgement)),
        demand.limit.clone(),
        judgement.shown(),
        one.status.shown().to_owned(),
    ])
    .says(format!("{}; {} {}{implied}", rests_on(judgement), mark(one.run), letter(at)));
    // why a test is invalid stands above all of its rows
    if one.status != Status::Yes && one.status != Status::Invalid {
        let remedy =
            if judgement.remedy.is_empty() { String::new() } else { format!("; {}", judgement.remedy) };
        row = row.says(format!("{}{remedy}", judgement.why));
    }
    row
}

fn loads(carried: &[Carried], unmeasured: bool, survey: &Survey<'_>, page: &mut Page) {
    if !carried.is_empty() || unmeasured {
        page.heading("Load to be carried");
    }
    if unmeasured {
        page.text("not tested: none of these records is a search for the capacity in that unit");
    }
    let row = |one: &Carried| {
        let subject = format!("load carried by {}", survey.runs[one.run].view.started.plan);
        Row::new([
            subject,
            format!("at least {}", one.demand),
            one.actual.clone(),
            one.status.shown().to_owned(),
        ])
        .says(format!("{}; {}", one.said, mark(one.run)))
    };
    page.table(table(carried.iter().map(row).collect()));
}

fn missing(not_run: &[NotRun], page: &mut Page) {
    if not_run.is_empty() {
        return;
    }
    page.heading("Not tested");
    for test in not_run {
        let bands = |bands: &[(String, String)]| {
            let one = |(name, limit): &(String, String)| format!("{limit} ({name})");
            bands.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let list = test
            .demands
            .iter()
            .map(|demand| format!("{} of {}: {}", demand.measure, demand.subject, bands(&demand.bands)));
        page.text(format!("{}: {} ({})", test.plan, test.test, test.load));
        page.list(list.collect());
        page.blocks.push(crate::page::Block::Command(test.command.clone()));
    }
}

fn tested_json(one: &Tested, survey: &Survey<'_>) -> Value {
    let (demand, judgement, started) =
        (&one.demand, &one.demand.judgement, &survey.runs[one.run].view.started);
    json!({
        "subject": judgement.subject, "measure": judgement.measure, "band": demand.band, "demand": demand.limit,
        "limit": judgement.limit.map(number), "unit": judgement.unit.name(), "value": judgement.value.map(number),
        "interval": judgement.interval.map(|(low, high)| json!([number(low), number(high)])),
        "samples": judgement.evidence, "status": one.status.word(),
        "why": one.invalid.as_ref().unwrap_or(&judgement.why), "remedy": judgement.remedy,
        "implied": judgement.implied, "decides": one.demand.decides,
        "trace": {
            "run": started.run, "test": one.test, "threshold": judgement.threshold, "method": demand.method,
            "plan_hash": started.plan_hash, "seed": started.seed,
        },
    })
}

fn load_json(one: &Carried, survey: &Survey<'_>) -> Value {
    let started = &survey.runs[one.run].view.started;
    json!({
        "demand": one.demand, "actual": one.actual, "status": one.status.word(), "why": one.said,
        "trace": {"run": started.run, "method": "search for the capacity", "plan_hash": started.plan_hash, "seed": started.seed},
    })
}

fn not_run_json(test: &NotRun) -> Value {
    let band = |(name, demand): &(String, String)| json!({"band": name, "demand": demand});
    let demand = |one: &crucible_analysis::requirements::Untested| json!({"subject": one.subject, "measure": one.measure, "bands": one.bands.iter().map(band).collect::<Vec<_>>()});
    json!({
        "plan": test.plan, "test": test.test, "status": Status::NotTested.word(), "command": test.command,
        "demands": test.demands.iter().map(demand).collect::<Vec<_>>(),
    })
}
