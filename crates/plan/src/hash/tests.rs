use crate::testing::{EVERYTHING, options, plan};
use crate::{ReadOptions, read};

const PLAN: &str = "\
name: a
target: http://localhost
scenarios:
  reader:
    weight: 2
    steps:
      - {get: /a, headers: {accept: text/html, x-b: c}, json: {n: 5}}
  writer:
    steps: [{post: /b, json: {text: \"x y\"}}]
tests:
  one: {rate: 10/s, for: 30s}
  two: {vus: 5, for: 10s}
";

const REFORMATTED: &str = "\
# a comment
tests:
  \"one\":
    for: \"30s\"
    rate: '10/s'      # another

  two: {for: 10s, vus: 5}
x-common: &headers {x-b: c, accept: text/html}
scenarios: {reader: {steps: {json: {n: 5},
    headers: *headers, get: '/a'},
  weight: 2.0}, writer:
    {steps: [{json: {text: >-
      x
      y
    }, post: /b}]}}
name: b
target: \"http://localhost\"
";

#[test]
fn the_same_plan_written_differently_has_the_same_hash() {
    // lists of one may be written without brackets, but that is another tree
    let reformatted = REFORMATTED.replace("steps: {json: {n: 5},\n    headers: *headers, get: '/a'}", {
        "steps: [{json: {n: 5},\n    headers: *headers, get: '/a'}]"
    });
    let reformatted = reformatted.replace(">-\n      x\n      y\n    ", "'x\n      y'");
    assert_eq!(plan(PLAN).hash, plan(&reformatted).hash);
    assert_eq!(plan(PLAN).hash.len(), 64);
    assert_eq!(plan(EVERYTHING).hash, plan(&EVERYTHING.replace("\n", " \r\n")).hash);
}

#[test]
fn another_experiment_has_another_hash() {
    let base = plan(PLAN).hash;
    let mut seen = vec![base];
    for (from, to) in [
        ("rate: 10/s", "rate: 11/s"),
        ("weight: 2", "weight: 3"),
        ("n: 5", "n: \"5\""),
        ("x y", "x  y"),
        ("target: http://localhost", "target: http://other"),
        ("tests:", "seed: 2\ntests:"),
        ("tests:", "thresholds: {\"*\": {p95: 1s}}\ntests:"),
        ("  one: {rate: 10/s, for: 30s}\n  two: {vus: 5, for: 10s}", {
            "  two: {vus: 5, for: 10s}\n  one: {rate: 10/s, for: 30s}"
        }),
    ] {
        let changed = PLAN.replace(from, to);
        assert_ne!(changed, PLAN);
        let hash = plan(&changed).hash;
        assert!(!seen.contains(&hash), "{from} -> {to}");
        seen.push(hash);
    }
}

#[test]
fn the_identity_is_stable() {
    // a change here makes all stored histories unequal to new runs: raise VERSION and say so
    assert_eq!(plan(PLAN).hash, "f076fb7522c4e175da40e9fdfa18025a03def12bcea7f49adc15fe46859abe98");
}

#[test]
fn secrets_and_credentials_have_no_part_in_it() {
    let text = "steps: [{get: /, headers: {authorization: \"${env.TOKEN}\", x-rate: \"${env.RATE}\"}}]\n\
                tests: {t: {rate: \"${env.RATE}\", for: 30s}}";
    let with = |token: &'static str, rate: &'static str| {
        let env = move |name: &str| match name {
            "TOKEN" => Some(token.to_owned()),
            _ => Some(rate.to_owned()),
        };
        read(text, &ReadOptions { env: &env, ..options() }).unwrap().hash
    };
    assert_eq!(with("a", "5/s"), with("b", "5/s"));
    assert_ne!(with("a", "5/s"), with("a", "6/s"));
    let target =
        |target: &str| read(PLAN, &ReadOptions { target: Some(target.into()), ..options() }).unwrap().hash;
    assert_eq!(target("http://a:b@host"), target("http://c:d@host"));
    assert_ne!(target("http://a:b@host"), target("http://a:b@other"));
}
