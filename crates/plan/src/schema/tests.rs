use super::*;
use crate::testing::{EVERYTHING, Echo};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema(&[&Echo])).unwrap()
}

fn instance(text: &str) -> Value {
    let diagnostics = Diagnostics::new();
    to_json(&yaml::parse(text, &|_| Ok(None), &diagnostics).unwrap())
}

#[test]
fn the_schema_is_one() {
    assert!(jsonschema::meta::is_valid(&schema(&[&Echo])));
    assert!(jsonschema::meta::is_valid(&schema(&[&Echo, &Echo])));
}

#[test]
fn good_plans_fit_and_bad_ones_do_not() {
    let validator = validator();
    let check = |text: &str, fits: bool| {
        let errors: Vec<String> =
            validator.iter_errors(&instance(text)).map(|e| format!("{} {e}", e.instance_path())).collect();
        assert_eq!(errors.is_empty(), fits, "{text}\n{errors:#?}");
    };
    let with = |body: &str| format!("steps: [{{get: /}}]\ntests: {{t: {{rate: 10/s, for: 30s}}}}\n{body}");
    // merged keys are resolved by the reader of the text, as in editors
    check(EVERYTHING, true);
    check(&with(""), true);
    check(&with("x-mine: [1]"), true);
    check(&with("thinks: 1s"), false);
    check(&with("think: 500"), false);
    check(&with("think: 500ms"), true);
    check(&with("thresholds: {\"*\": {p95: 1s}}"), true);
    check(&with("thresholds: {\"*\": {p: 1s}}"), false);
    check("steps: [{get: /}]", false);
    check("steps: [{gett: /}]\ntests: {t: {rate: 10/s, for: 30s}}", false);
    check("steps: [{get: /, post: /}]\ntests: {t: {rate: 10/s, for: 30s}}", false);
    check("tasks: [{weight: 0, get: /}]\ntests: {t: {rate: 10/s, for: 30s}}", false);
    check("steps: {get: /}\ntests: {t: {rate: 10/s, foor: 30s}}", false);
    check("steps: {get: /}\ntests: {t: {vus: \"${env.VUS}\", for: 30s}}", true);
    let tests = "\ntests: {t: {rate: 10/s, for: 30s, setup: [{get: /}]}}";
    let journey = |steps: &str, fits: bool| check(&format!("steps: [{steps}]{tests}"), fits);
    journey("{if: ok, then: [skip, {get: /}]}, {repeat: 2, steps: [{get: /}]}, stop_vu", true);
    journey("{while: ok, most: 3, steps: [{foreach: {a: \"${b}\"}, steps: {get: /}}]}", true);
    journey(
        "{post: /, fail: 5%, until: {get: /, within: 3s, every: 50ms..2s, reread: 2s, times: {queue: [a, b]}}}",
        true,
    );
    journey(
        "{parallel: [{get: /}], most: 2}, {group: g, steps: [{get: /}]}, {set: {a: [1]}}, {pause: 1s}",
        true,
    );
    journey("{tasks: [{weight: 2, use: login}, {weight: 1, steps: [{get: /}]}]}", true);
    journey("{while: ok, most: 3, stepz: [{get: /}]}", false);
    journey("{post: /, until: {within: 3s}}", false);
    check(&with("data: {a: {rows: [{x: 1}], pick: unique}}\nlifetime: {iterations: 3}"), true);
    check(&with("data: {a: {pick: unique}}"), false);
    check(&with("refresh: {every: 14m, on: [401], steps: [{get: /}]}"), true);
    check(&with("refresh: {every: 14m}"), false);
}

#[test]
fn examples_of_loads_fit_and_can_be_read() {
    let validator = validator();
    for profile in PROFILES {
        let text = format!("steps: [{{get: /}}]\ntests: {{t: {}}}", profile.example);
        assert!(validator.is_valid(&instance(&text)), "{text}");
        let plan = crate::testing::plan(&text);
        assert_eq!(plan.tests[0].load.profile, profile.name, "{text}");
    }
}

#[test]
fn every_row_is_complete() {
    let own = [
        read::TOP_KEYS,
        components::TOP_KEYS,
        components::COMPONENT_KEYS,
        components::MONITOR_KEYS,
        read::GENERATOR_KEYS,
        read::LATENESS_KEYS,
        scenarios::SCENARIO_KEYS,
        scenarios::LIFETIME_KEYS,
        scenarios::REFRESH_KEYS,
        steps::STEP_KEYS,
        until::UNTIL_KEYS,
        until::TIMES_KEYS,
        until::REREAD_KEYS,
        feeds::FEED_KEYS,
        feeds::KIND_KEYS,
        test_table::TEST_KEYS,
        think::THINK_KEYS,
        think::NORMAL_KEYS,
        thresholds::OPTION_KEYS,
    ];
    let words = journey::WORDS.iter().flat_map(|word| word.keys);
    for key in own.into_iter().flatten().chain(words).chain(PROFILES.iter().flat_map(|profile| profile.keys))
    {
        assert!(serde_json::from_str::<Value>(key.schema).is_ok(), "{}: {}", key.name, key.schema);
        assert!(!key.doc.is_empty() && from_yaml(key.example).is_some(), "{}", key.name);
    }
}
