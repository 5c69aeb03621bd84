//! T6: no evidence is no pass.

use crate::Failure;
use crate::truth::product::Told;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::Ns;
use crucible_testkit::servers::{Answer, Behaviour, Route, TruthConfig, TruthServer};

pub(super) const CLAIM: Claim =
    Claim { id: "T6", about: "no evidence is no pass", needs: Needs::Product, rows };

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let route = |path: &str, status| Route {
        path: path.into(),
        behaviour: Behaviour::at_once(Answer::Status(status)),
    };
    let config = TruthConfig {
        routes: vec![route("/403", 403), route("/405", 405), route("/429", 429)],
        ..TruthConfig::of(Behaviour::delayed(crucible_testkit::Law::Fixed(Ns::from_millis(1))))
    };
    let server = TruthServer::start(config).map_err(|error| format!("failed to start a server: {error}"))?;
    let mut rows = Vec::new();
    for status in ["403", "405", "429"] {
        let url = server.url(status);
        let told = settings.product.bench(&[&url, "-r", "100", "-d", "2s", "-c", "10"], None)?;
        rows.push(row(&format!("every answer is {status}"), &told));
    }
    let target = format!("http://{}", server.addr());
    let plan = |name: &str, task: &str, load: &str, thresholds: &str| {
        let text = format!(
            "name: {name}\ntarget: {target}\nscenarios:\n  user:\n    tasks:\n{task}\ntests:\n  load: {{{load}}}\nthresholds:\n{thresholds}\n"
        );
        settings.product.plan(name, &text)
    };
    let usual = "      - {get: /}";
    let control = plan("control", usual, "rate: 200/s, for: 5s", "  \"*\": {p95: 500ms}")?;
    let holds = control.ended.code == 0 && control.verdict() == "pass";
    let measured = format!("{}, exit {}{}", control.verdict(), control.ended.code, why(&control));
    rows.push(Row::new("control: all is well", measured, "pass, exit 0", holds));
    let never =
        "      - {weight: 1, get: /}\n      - {weight: 0.000001, name: rare, get: /, check: {status: 200}}";
    let cases = [
        ("check-never-ran", never, "rate: 100/s, for: 2s", "  rare: {checks: 99%}", "a check that never ran"),
        (
            "no-samples",
            never,
            "rate: 100/s, for: 2s",
            "  rare: {p95: 1s}",
            "a threshold on a step without samples",
        ),
        ("p99-of-10", usual, "vus: 1, iterations: 10", "  \"*\": {p99: 1s}", "a P99 from 10 samples"),
    ];
    for (name, task, load, thresholds, claim) in cases {
        rows.push(
            plan(name, task, load, thresholds)
                .map_or_else(|why| Row::new(claim, why, "not a pass", false), |told| row(claim, &told)),
        );
    }
    Ok(rows)
}

fn row(claim: &str, told: &Told) -> Row {
    let measured = format!("{}, exit {}", told.verdict(), told.ended.code);
    // a report must have been written: a crash is no pass either, but proves nothing
    let holds = matches!(told.ended.code, 97..=99) && !told.verdict().is_empty() && told.verdict() != "pass";
    Row::new(claim, measured, "not a pass", holds)
}

/// Why a verdict is not a pass, for the control.
fn why(told: &Told) -> String {
    let judgements = told.json.pointer("/tests/0/judgements").and_then(serde_json::Value::as_array);
    let bad = judgements.into_iter().flatten().find(|judgement| judgement["verdict"] != "pass");
    bad.and_then(|judgement| judgement["why"].as_str()).map(|text| format!(": {text}")).unwrap_or_default()
}
