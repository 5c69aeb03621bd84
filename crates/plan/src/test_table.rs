//! The `tests` table: a load, the scenarios that take part, and the thresholds that hold for that test.

use crate::journey::STEPS_SCHEMA;
use crate::model::{Scenario, Test};
use crate::names;
use crate::program::Program;
use crate::scenarios::ScenarioReader;
use crate::thresholds::{self, Names, Placed};
use crucible_core::threshold::{Band, Measure, Subject, Threshold};
use crucible_core::{Diagnostics, FeederId, Fields, Key, Node, NodeKind, Ns, Position, ScenarioId, WarmUp};
use crucible_core::{fields, units};
use crucible_schedule::{Files, Load};

/// Keys of a test, without those of the load.
pub(crate) const TEST_KEYS: &[Key] = &[
    Key {
        name: "scenarios",
        schema: r#"{"type": "array", "minItems": 1, "items": {"type": "string"}}"#,
        doc: "The scenarios that take part; all of them unless given.",
        example: "[pupil, teacher]",
    },
    Key {
        name: "setup",
        schema: STEPS_SCHEMA,
        doc: "Done once before the load, by a user of its own; every user begins with what it saves.",
        example: "[{post: /items, save: {item: json.id}}]",
    },
    Key {
        name: "teardown",
        schema: STEPS_SCHEMA,
        doc: "Done once after the load, by the same user.",
        example: "[{delete: \"/items/${item}\"}]",
    },
    Key {
        name: "warmup",
        schema: r##"{"anyOf": [{"enum": ["auto", "keep"]}, {"$ref": "#/$defs/duration"}]}"##,
        doc: "What counts for percentiles, means and throughput: `auto` (unless given) finds where the figures become steady and leaves out what is before, `keep` keeps all, `10s` leaves out so much. Errors and checks always count.",
        example: "10s",
    },
    Key {
        name: "thresholds",
        schema: r##"{"$ref": "#/$defs/thresholds"}"##,
        doc: "What is demanded in this test; replaces what the plan demands of the same subject and measure.",
        example: r#"{"*": {p95: 2s}}"#,
    },
];

/// What a test does around its load.
#[derive(Default)]
pub(crate) struct Around {
    setup: Program,
    teardown: Program,
    feeds: Vec<FeederId>,
}

/// Reads `setup` and `teardown` of all tests, by test: their steps are steps of the plan like all others, so they are
/// read before names are given. They count as steps of the test's first scenario.
pub(crate) fn around<'a>(
    root: &Fields<'a>,
    scenarios: &[Scenario],
    reader: &mut ScenarioReader<'a>,
) -> Vec<Around> {
    let Some(NodeKind::Map(tests)) = root.get("tests").map(|node| &node.kind) else { return Vec::new() };
    let read = |(name, _, node): &'a (String, Position, Node)| {
        let mut around = Around::default();
        let silent =
            !matches!(&node.kind, NodeKind::Map(map) if map.get("setup").or(map.get("teardown")).is_some());
        if silent {
            return around;
        }
        let Some(fields) = Fields::new(node, format!("tests.{name}"), reader.diagnostics) else {
            return around;
        };
        let chosen = fields.list("scenarios").unwrap_or_default().iter().find_map(|node| {
            let name = node.scalar()?;
            scenarios.iter().find(|scenario| scenario.name == name)
        });
        let id = chosen.map_or(ScenarioId(0), |scenario| scenario.id);
        let (setup, mut feeds) = reader.of_test(&fields, "setup", id);
        let (teardown, more) = reader.of_test(&fields, "teardown", id);
        feeds.extend(more);
        feeds.sort_unstable();
        feeds.dedup();
        around = Around { setup, teardown, feeds };
        around
    };
    tests.entries.iter().map(read).collect()
}

/// Most tests in a plan: their indices have 16 bits in records.
const TESTS_MAX: usize = 10_000;

/// Errors that are tolerated where a plan says nothing of them.
const IMPLIED_ERRORS: f64 = 0.01;

/// What to add to a plan without tests.
pub(crate) const EXAMPLE: &str = "tests: {steady: {rate: 10/s, for: 30s}}";

/// All tests in the order of the text. `common` are the plan's own thresholds.
pub(crate) fn read_all(
    root: &Fields<'_>,
    names: &Names,
    common: &[Placed],
    around: Vec<Around>,
    files: Files<'_>,
    diagnostics: &Diagnostics,
) -> Vec<Test> {
    let missing = |at, message: &str| {
        diagnostics.error(at, "tests", message, format!("add one, for example `{EXAMPLE}`"));
    };
    let Some(node) = root.get("tests") else {
        missing(root.at, "the plan has no tests");
        return Vec::new();
    };
    let Some(table) = Fields::new(node, "tests", diagnostics) else { return Vec::new() };
    let mut tests = Vec::new();
    let mut empty = true;
    let mut around = around.into_iter();
    for (name, at, node) in table.all() {
        empty = false;
        let around = around.next().unwrap_or_default();
        let path = table.path_of(name);
        if tests.len() >= TESTS_MAX {
            diagnostics.error(at, &path, format!("more than {TESTS_MAX} tests"), "split the plan");
            break;
        }
        names::check_at(diagnostics, at, &path, name);
        let test = read_one(name, node, path, names, common, files, diagnostics);
        let Around { setup, teardown, feeds } = around;
        tests.extend(test.map(|test| Test { setup, teardown, feeds, ..test }));
    }
    if empty {
        missing(node.at, "there is no test in it");
    }
    tests
}

fn read_one(
    name: &str,
    node: &Node,
    path: String,
    names: &Names,
    common: &[Placed],
    files: Files<'_>,
    diagnostics: &Diagnostics,
) -> Option<Test> {
    let fields = Fields::new(node, path, diagnostics)?;
    fields.expect(TEST_KEYS);
    // read already, in `around`
    let _ = (fields.get("setup"), fields.get("teardown"));
    let scenarios = scenarios(&fields, names);
    let own = match fields.get("thresholds") {
        Some(node) => thresholds::read(node, &fields.path_of("thresholds"), names, diagnostics),
        None => Vec::new(),
    };
    for placed in own.iter().filter(|placed| !names.takes_part(&placed.threshold.subject, &scenarios)) {
        let message = format!("{} takes no part in this test", placed.threshold.subject);
        let hint = "remove the threshold, or add its scenario to the test's `scenarios`";
        diagnostics.error(placed.at, &placed.path, message, hint);
    }
    let load = Load::read(&fields, files);
    let warm_up = warm_up(&fields, load.as_ref());
    fields.finish();
    let thresholds = join(common, own, |subject| names.takes_part(subject, &scenarios));
    Some(Test { thresholds, warm_up, ..Test::plain(name, scenarios, load?) })
}

/// `auto`, `keep` or a time that leaves something of the load.
fn warm_up(fields: &Fields<'_>, load: Option<&Load>) -> WarmUp {
    if fields.get("warmup").is_none() {
        return WarmUp::Auto;
    }
    let read = |text: &str| match text {
        "auto" => Ok(WarmUp::Auto),
        "keep" => Ok(WarmUp::Keep),
        text => units::parse_duration(text)
            .map(WarmUp::First)
            .map_err(|_| "write auto, keep, or a time, as in 10s".to_owned()),
    };
    let warm_up = fields.parse("warmup", read).unwrap_or_default();
    if let (WarmUp::First(length), Some(load)) = (warm_up, load)
        && length >= load.length().since(load.start_delay)
    {
        let hint = "leave out less, or make the test longer";
        fields.error("warmup", "it leaves nothing of the test", hint);
    }
    warm_up
}

fn scenarios(fields: &Fields<'_>, names: &Names) -> Vec<ScenarioId> {
    let Some(nodes) = fields.list("scenarios") else { return names.all_scenarios() };
    let mut chosen: Vec<ScenarioId> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("{}[{index}]", fields.path_of("scenarios"));
        let Some(name) = node.scalar() else {
            let message = format!("this is {}, the name of a scenario is needed", node.kind_name());
            fields.diagnostics().error(node.at, &path, message, "");
            continue;
        };
        match names.scenario(&name) {
            Some(id) if chosen.contains(&id) => {
                let message = format!("the scenario `{name}` stands twice");
                fields.diagnostics().error(node.at, &path, message, "to do it more often, raise its weight");
            }
            Some(id) => chosen.push(id),
            None => {
                let message = format!("there is no scenario `{name}`");
                let hint = fields::suggest(&name, &names.scenario_names());
                fields.diagnostics().error(node.at, &path, message, hint);
            }
        }
    }
    if nodes.is_empty() {
        fields.error("scenarios", "there is no scenario in it", "remove the key to have all of them");
    }
    chosen.sort_unstable();
    chosen
}

/// The plan's thresholds that concern this test, the test's own in their stead where both speak of the same, and
/// one on errors if nothing is said of them: a test in which everything fails must not pass.
fn join(common: &[Placed], own: Vec<Placed>, takes_part: impl Fn(&Subject) -> bool) -> Vec<Threshold> {
    let same = |a: &Threshold, b: &Threshold| a.subject == b.subject && a.measure == b.measure;
    let mut list: Vec<Threshold> = common
        .iter()
        .map(|placed| &placed.threshold)
        .filter(|common| takes_part(&common.subject))
        .filter(|common| !own.iter().any(|own| same(common, &own.threshold)))
        .cloned()
        .collect();
    list.extend(own.into_iter().map(|placed| placed.threshold));
    if !list.iter().any(|threshold| threshold.measure == Measure::Errors) {
        list.push(Threshold {
            subject: Subject::All,
            measure: Measure::Errors,
            bands: vec![Band { name: "target".into(), limit: IMPLIED_ERRORS }],
            over: None,
            abort: false,
            after: Ns::ZERO,
            implied: true,
        });
    }
    list
}

#[cfg(test)]
mod tests {
    use crate::testing::{plan, told};
    use crucible_core::{Ns, WarmUp};

    #[test]
    fn the_warm_up_is_found_unless_the_plan_says_otherwise() {
        let read = |warm_up: &str| {
            plan(&format!("steps: [{{get: /}}]\ntests: {{t: {{rate: 1/s, for: 30s{warm_up}}}}}")).tests[0]
                .warm_up
        };
        assert_eq!(read(""), WarmUp::Auto);
        assert_eq!(read(", warmup: auto"), WarmUp::Auto);
        assert_eq!(read(", warmup: keep"), WarmUp::Keep);
        assert_eq!(read(", warmup: 10s"), WarmUp::First(Ns::from_secs(10)));
        for (warm_up, part) in
            [("some", "write auto, keep, or a time"), ("30s", "leaves nothing of the test")]
        {
            let text =
                format!("steps: [{{get: /}}]\ntests: {{t: {{rate: 1/s, for: 30s, warmup: {warm_up}}}}}");
            assert!(told(&text).contains(part), "{}", told(&text));
        }
    }
}
