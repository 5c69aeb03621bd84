use crate::program::{Given, Lifetime, Op, Pick, Rounds};
use crate::testing::{plan, told};
use crate::{StepRole, Think};
use crucible_core::Ns;
use std::fmt::Write;

const TESTS: &str = "tests: {t: {vus: 5, for: 30s}}";

/// A program, one operation on each line.
fn listing(ops: &[Op]) -> String {
    let mut text = String::new();
    for (index, op) in ops.iter().enumerate() {
        let to = |by: &i32| index as i32 + by;
        let line = match op {
            Op::Step(step) => format!("step {}", step.0),
            Op::Transaction(t) => {
                format!("transaction {} asks {} counts in {}", t.step.0, t.follow.0, t.whole.0)
            }
            Op::Parallel(p) => {
                format!("parallel {:?} most {}", p.steps.iter().map(|s| s.0).collect::<Vec<_>>(), p.most)
            }
            Op::Pause(think) => format!("pause {think:?}"),
            Op::Set(slot, Given::Value(value)) => format!("set {} = {value}", slot.0),
            Op::Set(slot, Given::Template(_)) => format!("set {} = ...", slot.0),
            Op::Jump(by) => format!("jump {}", to(by)),
            Op::JumpUnless(_, by) => format!("jump unless {}", to(by)),
            Op::Draw(draw) => {
                let ends: Vec<String> =
                    draw.ends.iter().map(|(sum, by)| format!("{sum} -> {}", to(by))).collect();
                format!("draw {}", ends.join(", "))
            }
            Op::LoopBegin(rounds, by) => {
                let rounds = match rounds {
                    Rounds::Times(times) => format!("{times} times"),
                    Rounds::Value(_, most) => format!("value, most {most}"),
                    Rounds::While(_, most) => format!("while, most {most}"),
                    Rounds::Each { slot, most, .. } => format!("each as {}, most {most}", slot.0),
                };
                format!("loop {rounds}, past {}", to(by))
            }
            Op::LoopEnd(by) => format!("again {}", to(by)),
            Op::GroupBegin(row) => format!("group {}", row.0),
            Op::GroupEnd => "group end".into(),
            Op::Skip => "skip".into(),
            Op::Stop => "stop".into(),
        };
        writeln!(text, "{index} {line}").unwrap();
    }
    text
}

fn rows(text: &str) -> String {
    let rows: Vec<String> =
        plan(text).steps.iter().map(|step| format!("{} {:?} {}", step.id.0, step.role, step.name)).collect();
    rows.join("\n")
}

const EVERYTHING: &str = r#"
flows:
  login: [{post: /login}, {get: /me}]
scenarios:
  shopper:
    steps:
      - use: login
      - group: browse
        steps:
          - tasks:
              - {weight: 3, get: /a}
              - weight: 1
                steps: [{get: /b}, {pause: 1s..3s}, {get: /c}]
              - skip
      - if: "${ok}"
        then: [{get: /d}, stop_vu]
        else: [{set: {page: 2, name: "u-${vu}"}}]
      - {repeat: 3, steps: [{get: /e}]}
      - {repeat: "${page}", most: 9, steps: [{get: /e2}]}
      - {while: "${ok}", most: 20, steps: [{get: /f}]}
      - {foreach: {item: "${name}"}, steps: [{get: /g}]}
      - {parallel: [{get: /h}, {get: /i}], most: 2}
"#;

#[test]
fn every_word_becomes_operations() {
    let text = format!("{EVERYTHING}{TESTS}");
    let plan = plan(&text);
    insta::assert_snapshot!(listing(&plan.scenarios[0].flow.ops));
    insta::assert_snapshot!(rows(&text));
}

#[test]
fn jumps_stay_inside_and_pieces_nest() {
    let plan = plan(&format!("{EVERYTHING}{TESTS}"));
    let ops = &plan.scenarios[0].flow.ops;
    for (index, op) in ops.iter().enumerate() {
        let by = match op {
            Op::Jump(by) | Op::JumpUnless(_, by) | Op::LoopBegin(_, by) | Op::LoopEnd(by) => vec![*by],
            Op::Draw(draw) => draw.ends.iter().map(|end| end.1).collect(),
            _ => vec![],
        };
        assert!(by.iter().all(|by| (0..=ops.len() as i32).contains(&(index as i32 + by))), "{index} {op:?}");
    }
    assert_eq!(plan.scenarios[0].flow.depth(), 1);
}

#[test]
fn a_flow_that_two_scenarios_use_is_told_apart_and_one_used_twice_is_the_same() {
    let text = format!(
        "flows: {{login: [{{post: /login, name: log in}}]}}
scenarios:
  a: {{setup: [{{use: login}}], steps: [{{use: login}}, {{use: login}}]}}
  b: {{steps: [{{use: login}}]}}
{TESTS}"
    );
    insta::assert_snapshot!(rows(&text), @r"
    0 Setup log in (a, setup)
    1 Main log in (a)
    2 Main log in (b)
    ");
}

#[test]
fn a_transaction_has_rows_of_its_own() {
    let text = format!(
        r#"
scenarios:
  s:
    steps:
      - post: /jobs
        name: run
        save: {{id: json.id}}
        until:
          get: "/jobs/${{id}}"
          save: {{state: json.state, made: json.made, begun: json.begun, end: json.end}}
          every: 50ms..2s
          within: 30s
          done: "${{state}}"
          failed: "${{end}}"
          times: {{queue: ["${{made}}", "${{begun}}"], execution: ["${{begun}}", "${{end}}"]}}
          lost: {{status: [404]}}
          reread: {{after: 2s, same: [state]}}
{TESTS}
thresholds: {{run to the end: {{p95: 2s}}, run queue: {{p95: 1s}}}}"#
    );
    insta::assert_snapshot!(rows(&text), @r"
    0 Main run
    1 Follow GET /jobs/${id}
    2 Timed run to the end
    3 Timed run queue
    4 Timed run execution
    5 Timed run polling delay
    ");
    let plan = plan(&text);
    let Op::Transaction(transaction) = &plan.scenarios[0].flow.ops[0] else { panic!("a transaction") };
    assert_eq!((transaction.lost.as_slice(), transaction.forgets.len()), (&[404u16][..], 4));
    assert_eq!((transaction.every.first, transaction.every.most), (Ns::from_millis(50), Ns::from_secs(2)));
    assert_eq!(transaction.reread.as_ref().map(|reread| reread.same.len()), Some(1));
    assert_eq!(plan.steps[1].role, StepRole::Follow);
}

#[test]
fn users_come_and_go_as_the_plan_says() {
    let text = "data: {pupils: {rows: [{name: a}, {name: b}], pick: unique}, words: {rows: [{w: x}]}}
scenarios:
  a:
    users: 2
    lifetime: {for: 1m..3m}
    fail: 5%
    setup: [{post: \"/login/${pupils.name}\"}]
    refresh: {every: 14m, on: 401, steps: [{post: /again}]}
    steps: [{get: \"/${words.w}\"}, {get: /y, fail: 1%}]
tests:
  t: {vus: 2, for: 30s, setup: [{post: /items}], teardown: [{post: /clean}]}";
    let plan = plan(text);
    let a = &plan.scenarios[0];
    assert_eq!(a.users, Some(2));
    assert_eq!(a.lifetime, Some(Lifetime::Time(Think::Uniform(Ns::from_secs(60), Ns::from_secs(180)))));
    assert_eq!(a.feeds.iter().map(|(id, kept)| (id.0, *kept)).collect::<Vec<_>>(), [(0, true), (1, false)]);
    assert_eq!((plan.feeders[0].pick, plan.feeders[1].pick), (Pick::Unique, Pick::Sequential));
    let fail: Vec<f64> = plan.steps.iter().map(|step| step.fail).collect();
    assert_eq!(fail, [0.0, 0.05, 0.05, 0.01, 0.0, 0.0]);
    assert!(plan.remarks[0].contains("5% of"), "{:?}", plan.remarks);
    let refresh = a.refresh.as_ref().unwrap();
    assert_eq!((refresh.every, refresh.on.as_slice()), (Some(Ns::from_secs(840)), &[401u16][..]));
    assert_eq!((plan.tests[0].setup.steps().len(), plan.tests[0].teardown.steps().len()), (1, 1));
}

#[test]
fn mistakes_have_places_and_remedies() {
    let mut all = String::new();
    for body in [
        "steps: [{while: \"${ok}\", steps: [{get: /}]}]",
        "steps: [{use: logn}]\nflows: {login: [{get: /}]}",
        "steps: [{use: a}]\nflows: {a: [{use: b}], b: [{use: a}]}",
        "steps: [{parallel: [{get: /, save: {x: json.x}}, {pause: 1s}], most: 99}]",
        "steps: [{post: /, until: {get: /x}}]",
        "steps: [{post: /, until: {within: 3s, every: 0s, lost: {status: [x]}, times: {queue: [a]}}}]",
        "steps: [{post: /, until: {get: /, within: 3s, reread: {same: [a]}}}]",
        "steps: [{get: \"/${pupils.nam}\"}]\ndata: {pupils: {rows: [{name: a}]}}",
        "steps: [{if: \"${ok}\", get: /}]",
        "steps: [{if: \"${a\", then: [{get: /}]}]",
        "steps: [{if: \"${ok}\"}]",
        "steps: [{repeat: -1, steps: [{get: /}]}, {repeat: x, steps: []}]",
        "steps: [{foreach: {}, steps: [{get: /}]}]",
        "steps: [{pause: often}, {set: {}}, {set: {vu: 1}}, skp]",
        "steps: [{group: a, steps: [{get: /}]}, {group: a, steps: [{get: /}]}]",
        "steps: [{group: a, repeat: 2, steps: [{get: /}]}]",
        "steps: [{get: /}]\nlifetime: {iterations: 0}\nrefresh: {steps: [{get: /}]}",
        "steps: [{get: /}]\nflows: {unused: [{get: /}]}",
        "steps: [{get: /}]\ndata: {a: {csv: a.csv, json: b}, b: {rows: [{x: 1}], pick: any}, vu: {rows: []}}",
        "setup: [{get: \"/${a.x}\"}]\nsteps: [{get: /}]\ndata: {a: {rows: [{x: 1}], pick: unique}}",
        "scenarios: {a: {users: 0, steps: [{get: /}]}}",
    ] {
        let text = format!("{body}\n{TESTS}");
        writeln!(all, "{body}\n{}\n", told(&text)).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn flows_inside_flows_end_in_words() {
    let mut text = String::from("steps: [{use: f0}]\nflows:\n");
    for level in 0..200 {
        writeln!(text, "  f{level}: [{{use: f{0}}}, {{use: f{0}}}]", level + 1).unwrap();
    }
    writeln!(text, "  f200: [{{get: /}}]\n{TESTS}").unwrap();
    assert!(told(&text).contains("levels inside each other"), "{}", told(&text));
    let mut text = String::from("steps: [{use: f0}]\nflows:\n");
    for level in 0..30 {
        writeln!(text, "  f{level}: [{{use: f{0}}}, {{use: f{0}}}]", level + 1).unwrap();
    }
    writeln!(text, "  f30: [{{get: /}}]\n{TESTS}").unwrap();
    assert!(told(&text).contains("more than 200000 operations"), "{}", told(&text));
}
