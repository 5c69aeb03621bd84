use crate::model::{StepRole, Think};
use crate::program::Op;
use crate::testing::{EVERYTHING, options, plan, told};
use crate::{ReadOptions, read};
use crucible_core::{Ns, StepId};
use proptest::prelude::*;

const TESTS: &str = "tests: {t: {rate: 10/s, for: 30s}}";

#[test]
fn a_plan_that_uses_everything() {
    let plan = plan(EVERYTHING);
    assert_eq!(
        (plan.name.as_str(), plan.seed, plan.target.as_deref()),
        ("classroom", 42, Some("https://localhost:8443"))
    );
    assert_eq!((plan.lateness.floor, plan.lateness.share), (Ns::from_millis(1), 0.05));
    assert_eq!(plan.remarks, ["certificates are not verified"]);
    let steps: Vec<String> =
        plan.steps.iter().map(|s| format!("{} {} {:?} {}", s.id.0, s.scenario.0, s.role, s.name)).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    0 0 Setup POST /api/auth/login
    1 0 Main GET /api/auth/me
    2 0 Main run python
    3 0 Main GET / (pupil, look around)
    4 0 Main GET /api/auth/me (look around)
    5 0 Teardown GET /logout
    6 1 Main GET /admin
    7 1 Main GET / (teacher)
    ");
    let pupil = &plan.scenarios[0];
    assert_eq!((pupil.weight, pupil.pacing), (70.0, Some(Ns::from_secs(5))));
    assert_eq!(pupil.think, Think::Uniform(Ns::from_secs(1), Ns::from_secs(3)));
    let Op::Draw(draw) = &pupil.flow.ops[0] else { panic!("{:?}", pupil.flow) };
    assert_eq!(draw.ends, [(5.0, 1), (7.0, 3), (8.0, 5)]);
    assert_eq!(pupil.flow.steps(), [1, 2, 3, 4].map(StepId));
    assert_eq!(plan.scenarios[1].think, Think::Exponential { mean: Ns::from_secs(2) });
    assert_eq!(
        plan.steps[2].think,
        Some(Think::Normal { mean: Ns::from_secs(2), deviation: Ns::from_millis(500) })
    );
    assert_eq!(plan.steps[0].role, StepRole::Setup);
    let tests: Vec<String> = plan
        .tests
        .iter()
        .map(|test| {
            let thresholds: Vec<String> = test.thresholds.iter().map(|t| format!("\n  {t}")).collect();
            format!("{} {:?}{}", test.name, test.scenarios, thresholds.concat())
        })
        .collect();
    insta::assert_snapshot!(tests.join("\n"), @r#"
    load [ScenarioId(0), ScenarioId(1)]
      * p95 target<=500ms acceptable<=1s
      * errors target<=0.1% acceptable<=1%
      each service.p99 target<=2s
      "run python" p95 target<=1s
      "run python" p99.9 good<=1s fair<=2s poor<=3s over 30s after 5s
      scenario "teacher" throughput target>=20/s acceptable>=10/s
      scenario "teacher" checks target>=99.9%
    open [ScenarioId(1)]
      each service.p99 target<=2s
      scenario "teacher" throughput target>=20/s acceptable>=10/s
      scenario "teacher" checks target>=99.9%
      * p95 target<=300ms over 30s
      * errors target<=2% abort after 10s
    "#);
}

#[test]
fn eight_and_more_mistakes_are_told_at_once() {
    let text = "\
name: many mistakes
targt: http://localhost
scenarios:
  reader:
    think: 500
    tasks:
      - {weight: 0, get: /a}
      - {weight: many, get: /b}
      - {get: /c, post: /d}
      - {gett: /e}
      - {name: nothing to do}
thresholds:
  GET /aa: {p95: 1s}
  \"*\": {p95: {target: 1s, acceptable: 500ms}, p101: 1s, errors: 5}
";
    insta::assert_snapshot!(told(text), @r#"
    1:1: error: tests: the plan has no tests (add one, for example `tests: {steady: {rate: 10/s, for: 30s}}`)
    2:1: error: targt: unknown key `targt` (did you mean `target`?)
    5:12: error: scenarios.reader.think: "500" cannot be read here (add a unit: 500ms, 500s or 500m)
    7:18: error: scenarios.reader.tasks[0].weight: with a weight of 0 it would never run (remove it, or give it a weight above 0)
    8:18: error: scenarios.reader.tasks[1].weight: this is no number (write a weight above 0, as in `weight: 3`)
    9:25: error: scenarios.reader.tasks[2].post: `get` and `post` stand in one step (a step does one thing; make two steps of it)
    10:10: error: scenarios.reader.tasks[3].gett: unknown key `gett` (did you mean `get`?)
    11:9: error: scenarios.reader.tasks[4]: this step does not say what to do (begin it with one of: get, post, tasks, if, repeat, while, foreach, group, parallel, pause, set, use, skip, stop_vu, steps)
    13:3: error: thresholds.GET /aa: there is no step or scenario "GET /aa" (did you mean `GET /a`?)
    14:9: error: thresholds.*.p95: target (1s) comes before acceptable (500ms) but is not better (bands go from the best to the last acceptable one: lower limits first)
    14:47: error: thresholds.*.p101: `p101` is no measure (percentiles lie above p0 and below p100; for the ends there are min and max)
    14:65: error: thresholds.*.errors: "5" is no limit of errors (write a percentage, as in 5%)
    "#);
    let impossible =
        "steps: [{get: /}]\ntests: {t: {rate: 10/s, stages: [{rate: 20/s}]}, u: {}, v: {vus: -1, for: 5}}";
    insta::assert_snapshot!(told(impossible), @r#"
    2:34: error: tests.t.stages[0].for: `for` is missing (say how long the stage lasts: `for: 30s`)
    2:53: error: tests.u: this test has no load (write `vus: 50` (users) or `rate: 50/s` (arrivals), and how long: `for: 1m`)
    2:66: error: tests.v.vus: "-1" cannot be read here (write a whole number, as in 50)
    2:75: error: tests.v.for: "5" cannot be read here (add a unit: 5ms, 5s or 5m)
    "#);
}

#[test]
fn each_mistake_has_its_words() {
    let check = |text: &str, part: &str| {
        let told = told(text);
        assert!(told.contains(part), "{text}\nis told as:\n{told}\nnot as: {part}");
    };
    let with = |body: &str| format!("steps: [{{get: /}}]\n{TESTS}\n{body}");
    check("", "the plan is empty");
    check("# nothing", "the plan is empty");
    check("- a", "1:1: error: this is a list");
    check("a: b: c", "put quotes around");
    check("a:\n\tb: 1", "spaces, not with tabs");
    check("a: \"x", "never closed");
    check("a: \0", "1:4: error: the character U+0000");
    check("a: 1\n---\nb: 1", "2:1: error: a second document");
    check("a: &a [*a]", "inside of what it stands for");
    check("a: *b", "define it before");
    check("[a, b]: c", "a key is needed");
    check(
        "name: a\nname: b",
        "2:1: error: name: this key stands twice (keep one of the two; the first stands on line 1)",
    );
    check("name: !include x", "the tag `!include` means nothing here");
    check("a: {<<: 5}", "`<<` takes tables");
    check("seed: 99999999999999999999", "does not fit into 64 bits");
    check(
        "steps: [{get: /}]",
        "1:1: error: tests: the plan has no tests (add one, for example `tests: {steady:",
    );
    check("steps: [{get: /}]\ntests: {}", "there is no test in it");
    check(TESTS, "no `scenarios` and no `steps`");
    check("scenarios: {}", "there is no scenario in it");
    check("scenarios: {a: {}}", "does nothing");
    check("scenarios: {a: {steps: []}}", "there is no step in it");
    check("scenarios: {a: {steps: [{get: /}], tasks: [{get: /}]}}", "of `tasks` one is drawn");
    check("scenarios: {a: {steps: [{weight: 1, get: /}]}}", "a step has no weight");
    check("scenarios: {a: {steps: [5]}}", "a table of keys is needed");
    check("scenarios: {a: {weight: -1, steps: [{get: /}]}}", "give it a weight above 0");
    check("scenarios: {a: {steps: [{get: /}]}}\nsteps: [{get: /}]", "move it into a scenario");
    check("scenarios: {a: {think: 3s..1s, steps: [{get: /}]}}", "the shorter one comes first: 1.00s..3.00s");
    check("scenarios: {a: {think: {}, steps: [{get: /}]}}", "this says no time");
    check("scenarios: {a: {think: {normal: {mean: 1s}}, steps: [{get: /}]}}", "a mean and a deviation");
    check("steps: [{name: a, get: /}, {name: a, get: /}]", "two steps are called \"a\" (rename one of them");
    check("steps: [{name: \"*\", get: /}]", "has a meaning in thresholds");
    check("steps: [{name: \"a\\nb\", get: /}]", "write it on one line");
    check("target: ${env.NOPE}", "1:9: error: target: the variable NOPE is not set");
    check(&with("generator: {lateness: {flor: 1ms}}"), "did you mean `floor`?");
    check(&with("generator: {lateness: {share: 0.1}}"), "write a percentage, as in 0.1%");
    check(&with("think: 007"), "read as the number 7");
    check(&with("thresholds: {plan: 5}"), "limits are needed");
    check(&with("thresholds: {GET /: {p95: 500}}"), "500ms");
    check(&with("thresholds: {GET /: {errors: 0.5}}"), "as in 0.5%");
    check(&with("thresholds: {GET /: {throughput: 50}}"), "50/s");
    check(&with("thresholds: {GET /: {p95: [1s]}}"), "a limit is needed");
    check(&with("thresholds: {GET /: {p95: {over: 5s}}}"), "there is no limit in it");
    check(&with("thresholds: {GET /: {p95: {target: 1s, over: 5ms}}}"), "shorter than a second");
    check(&with("thresholds: {GET /: {p95: {target: 1s, after: 5s}}}"), "`after` does nothing here");
    check(
        &with("thresholds: {GET /: {p95: {a: 2s, b: 1s}}}"),
        "a (2s) comes before b (1s) but is not better",
    );
    check(&with("thresholds: {GET /: {checks: {a: 90%, b: 95%}}}"), "higher limits first");
    check(&with("thresholds: {GET /: [p95 < 1s, p95 < 2s]}"), "demanded twice");
    check(&with("thresholds: {GET /: p95 > 1s}"), "less is better: write `p95 < ...`");
    check(&with("thresholds: {GET /: throughput < 9/s}"), "more is better: write `throughput > ...`");
    check(&with("thresholds: {GET /: p95 is good}"), "write it as in `p95 < 300ms over any 30s`");
    check(&with("thresholds: {GET /: p95 < 1s over any}"), "such as 500ms");
    check(&with("thresholds: {GET /: {errors.timeot: 1%}}"), "did you mean `timeout`?");
    check(&with("thresholds: {GET /x: {p95: 1s}}"), "did you mean `GET /`?");
    check("name: a\nsteps: [{name: a, get: /}]\nthresholds: {a: {p95: 1s}}", "both a step and a scenario");
    let two = "scenarios: {a: {steps: [{get: /}]}, b: {steps: [{get: /b}]}}\n";
    check(&format!("{two}tests: {{t: {{rate: 1/s, for: 5s, scenarios: [c]}}}}"), "there is no scenario `c`");
    check(&format!("{two}tests: {{t: {{rate: 1/s, for: 5s, scenarios: [a, a]}}}}"), "stands twice");
    check(&format!("{two}tests: {{t: {{rate: 1/s, for: 5s, scenarios: []}}}}"), "remove the key");
    check(
        &format!("{two}tests: {{t: {{rate: 1/s, for: 5s, scenarios: [a], thresholds: {{b: {{p95: 1s}}}}}}}}"),
        "scenario \"b\" takes no part in this test",
    );
}

#[test]
fn every_mistake_has_a_place() {
    for text in
        ["a: 1", "scenarios: 5", "steps: [{gett: /}]\ntests: {t: {vus: x}}", EVERYTHING.trim_end_matches('%')]
    {
        for told in read(text, &options()).err().unwrap_or_default() {
            assert!(told.at.line > 0 && told.at.column > 0, "{told}");
        }
    }
}

#[test]
fn the_example_in_the_hint_is_right() {
    let plan = plan(&format!("steps: [{{get: /}}]\n{}", crate::test_table::EXAMPLE));
    assert_eq!(plan.tests[0].name, "steady");
    assert_eq!(plan.scenarios[0].name, "plan");
}

#[test]
fn errors_are_judged_even_if_the_plan_is_silent() {
    let check = |thresholds: &str, expected: &[&str]| {
        let plan = plan(&format!("steps: [{{get: /}}]\n{TESTS}\nthresholds: {thresholds}"));
        let got: Vec<String> = plan.tests[0].thresholds.iter().map(ToString::to_string).collect();
        assert_eq!(got, expected);
    };
    check("{}", &["* errors target<=1% implied"]);
    check("{each: {p95: 1s}}", &["each p95 target<=1s", "* errors target<=1% implied"]);
    check("{\"*\": {errors: 5%}}", &["* errors target<=5%"]);
    check("{GET /: {errors: 5%}}", &["\"GET /\" errors target<=5%"]);
    check("{\"*\": {errors.timeout: 5%}}", &["* errors.timeout target<=5%", "* errors target<=1% implied"]);
}

#[test]
fn thresholds_of_absent_scenarios_do_not_reach_a_test() {
    let plan = plan(
        "scenarios: {a: {steps: [{get: /a}]}, b: {steps: [{get: /b}]}}\n\
         tests: {t: {rate: 1/s, for: 5s, scenarios: [a]}, u: {rate: 1/s, for: 5s}}\n\
         thresholds: {GET /b: {p95: 1s}, b: {p95: 2s}, GET /a: {p95: 3s}}",
    );
    assert_eq!(plan.tests[0].thresholds.len(), 2);
    assert_eq!(plan.tests[1].thresholds.len(), 4);
}

#[test]
fn names_are_told_apart() {
    let check = |text: &str, expected: &[&str]| {
        let plan = plan(&format!("{text}\n{TESTS}"));
        let got: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(got, expected, "{text}");
    };
    check("steps: [{get: /}, {get: /}, {get: /x}, {name: y, get: /}]", &["GET /", "GET / #2", "GET /x", "y"]);
    check("setup: [{get: /}]\nsteps: [{get: /}, {get: /}]", &["GET / (setup)", "GET /", "GET / #2"]);
    check(
        "scenarios: {a: {steps: [{get: /}]}, b: {steps: [{get: /}, {get: /b}]}}",
        &["GET / (a)", "GET / (b)", "GET /b"],
    );
    check("tasks: [{name: t, steps: [{get: /}]}, {name: u, steps: [{get: /}]}]", &["GET / (t)", "GET / (u)"]);
    check("steps: [{get: /}, {name: GET /, post: /}]", &["GET / #2", "GET /"]);
}

#[test]
fn the_environment_fills_in_values_of_any_kind() {
    let text = "steps: [{get: /}]\ntests: {t: {vus: \"${env.VUS}\", for: \"${env.LONG:-30s}\"}}\nseed: ${env.SEED:-9}";
    let plan = plan(text);
    assert_eq!(plan.seed, 9);
    assert!(plan.text.contains("${env.VUS}"), "{}", plan.text);
}

#[test]
fn target_and_seed_can_be_replaced() {
    let text = format!("target: a\nseed: 1\nsteps: [{{get: /}}]\n{TESTS}");
    let options = ReadOptions { target: Some("b".into()), seed: Some(2), ..options() };
    let plan = read(&text, &options).unwrap();
    assert_eq!((plan.target.as_deref(), plan.seed), (Some("b"), 2));
    assert_ne!(plan.hash, self::plan(&text).hash);
}

#[test]
fn hostile_texts_end_in_words() {
    let deep = |open: &str| open.repeat(100_000);
    let bomb = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1)
    });
    let merges = (1..40).fold("a0: &a0 {x: 1}\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} {{b: *a{0}, <<: [*a{0}, *a{0}]}}\n", n - 1)
    });
    let nested =
        (1..100).fold("a0: &a0 []\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{}]\n", n - 1));
    let check = |text: String, part: &str| {
        let told = told(&text);
        assert!(told.contains(part), "{}... is told as {:.300}", &text[..40], told);
    };
    check(deep("["), "levels of nesting");
    check(deep("{a: "), "levels of nesting");
    check(deep("- "), "levels of nesting");
    check(deep("? "), "key is needed");
    check((0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), "levels of nesting");
    check(bomb, "more values than can be read");
    check(merges, "more values than can be read");
    check(nested, "levels of nesting");
    check("a: 1\n".repeat(1_000_000), "this key stands twice");
    check((0..100_000).map(|n| format!("k{n}: 1\n")).collect(), "more than 10000 keys in one table");
    check(format!("steps: [{}]", "5, ".repeat(100_000)), "a table of keys is needed");
    check(format!("steps: [{}]", "{get: /}, ".repeat(70_000)), "more than 65000 steps");
    check(format!("a: \"{}\"", "x".repeat(10_000_000)), "unknown key `a`");
    check(format!("a: {}", "x".repeat(40_000_000)), "a plan ends at");
    check(format!("a: [{}]", "1,".repeat(4_000_000)), "more values than can be read");
}

/// Text that looks like a plan, with anything anywhere.
fn nearly_a_plan() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "name", "target", "scenarios", "steps", "tasks", "tests", "thresholds", "generator", "think", "weight",
            "get", "p95", "errors", "target", "over", "abort", "vus", "rate", "for", "stages", "*", "each", "'*'",
        ]).prop_map(str::to_owned),
        8 => prop::sample::select(vec![
            ": ", ":\n  ", ":\n    ", "\n", "\n  - ", "\n    - ", "{", "}", "[", "]", ", ", "- ", "\"", "'", "|\n",
            ">-\n", "&a ", "*a", "<<", "? ", "!!str ", "!x ", "# ", "---\n", "...\n", "%", "\t", "\r\n",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "1", "0", "-1", "1e309", "500ms", "1s..3s", "10/s", "5%", "true", "~", "${env.RATE}", "${env.", "${vu}",
            "p95 < 1s over any 30s", "999999999999999999999", ".nan", "-.inf", "0x", "0o8", "1e", "\u{feff}", "\u{85}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&String::from_utf8_lossy(&bytes), &options());
    }

    #[test]
    fn nothing_that_looks_like_a_plan_panics(text in nearly_a_plan()) {
        let _ = read(&text, &options());
        let _ = crate::mask::mask(&text);
    }

    #[test]
    fn no_damaged_plan_panics(from in 0usize..2_000, length in 0usize..40, with in nearly_a_plan()) {
        let mut text = EVERYTHING.to_owned();
        let from = from.min(text.len());
        let to = (from + length).min(text.len());
        text.replace_range(from..to, &with);
        match read(&text, &options()) {
            Ok(plan) => prop_assert!(plan.warnings.iter().all(|w| w.at.line > 0)),
            Err(told) => prop_assert!(!told.is_empty()),
        }
    }
}
