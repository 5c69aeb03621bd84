//! `suites`: selections of tests by name; `ground`: the proving-ground system that a plan runs against unless it is given
//! another target.

use crate::model::{Ground, Suite, Test};
use crucible_core::{Diagnostics, Fields, Key, fields};

/// Keys of `ground`.
pub(crate) const GROUND_KEYS: &[Key] = &[
    Key {
        name: "system",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "The system, as `crucible ground list` names it.",
        example: "classroom",
    },
    Key {
        name: "truth",
        schema: r#"{"type": "array", "items": {"type": "string"}}"#,
        doc: "Switches of known truth that it starts with.",
        example: r#"["service=fixed:5ms"]"#,
    },
];

/// Reads `ground`: a name, or a table.
pub(crate) fn ground(root: &Fields<'_>) -> Option<Ground> {
    let node = root.get("ground")?;
    if let Some(system) = node.scalar() {
        return Some(Ground { system, truth: Vec::new() });
    }
    let table = root.table("ground")?;
    table.expect(GROUND_KEYS);
    let system = table.text("system");
    if system.is_none() && !table.has("system") {
        root.error(
            "ground",
            "`system` is missing",
            "write `ground: classroom`; `crucible ground list` names them",
        );
    }
    let mut truth = Vec::new();
    for item in table.list("truth").unwrap_or_default() {
        match item.scalar().filter(|text| text.contains('=')) {
            Some(text) => truth.push(text),
            None => table.error("truth", "a switch is a text KEY=VALUE", "write for example [\"workers=2\"]"),
        }
    }
    table.finish();
    Some(Ground { system: system?, truth })
}

/// Reads `suites`: name -> list of tests.
pub(crate) fn read(root: &Fields<'_>, tests: &[Test], diagnostics: &Diagnostics) -> Vec<Suite> {
    let Some(table) = root.table("suites") else { return Vec::new() };
    let known: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    let mut suites = Vec::new();
    for (name, at, node) in table.all() {
        let path = table.path_of(name);
        let Some(items) = node.as_list() else {
            let message = format!("this is {}, a list of tests is needed", node.kind_name());
            diagnostics.error(at, &path, message, "write for example [steady, spike]");
            continue;
        };
        if items.is_empty() {
            diagnostics.error(at, &path, "there is no test in it", "name at least one test");
        }
        let mut chosen = Vec::new();
        for item in items {
            let test = item.scalar().unwrap_or_default();
            match known.iter().position(|name| *name == test) {
                Some(index) if chosen.contains(&index) => {
                    diagnostics.error(
                        item.at,
                        &path,
                        format!("the test `{test}` stands twice"),
                        "remove one",
                    );
                }
                Some(index) => chosen.push(index),
                None => {
                    let hint = fields::suggest(&test, &known);
                    diagnostics.error(item.at, &path, format!("there is no test `{test}`"), hint);
                }
            }
        }
        suites.push(Suite { name: name.to_owned(), tests: chosen });
    }
    table.finish();
    suites
}

/// The `ground` of a plan's text, as far as it can be read without reading the plan: for whoever must start the system
/// before the plan can be read against it.
pub fn ground_of(text: &str) -> Option<Ground> {
    let diagnostics = Diagnostics::new();
    let root = crate::yaml::parse(text, &|_| Ok(None), &diagnostics)?;
    ground(&Fields::new(&root, "", &diagnostics)?)
}

/// The name that a plan's text gives itself, as far as it can be read without reading the plan.
pub fn name_of(text: &str) -> Option<String> {
    let diagnostics = Diagnostics::new();
    let root = crate::yaml::parse(text, &|_| Ok(None), &diagnostics)?;
    Fields::new(&root, "", &diagnostics)?.get("name")?.scalar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::options;

    const PLAN: &str = "
target: http://localhost
steps: [{get: /a}]
tests: {one: {vus: 1, for: 1s}, two: {vus: 2, for: 1s}}
ground: {system: classroom, truth: [workers=2]}
suites: {quick: [two], full: [one, two]}
";

    #[test]
    fn selections_and_the_system_are_read() {
        let plan = crate::read(PLAN, &options()).unwrap();
        let quick = Suite { name: "quick".into(), tests: vec![1] };
        assert_eq!((plan.suites[0].clone(), plan.suites[1].tests.as_slice()), (quick, &[0, 1][..]));
        let ground = Ground { system: "classroom".into(), truth: vec!["workers=2".into()] };
        assert_eq!((plan.ground.as_ref(), ground_of(PLAN).as_ref()), (Some(&ground), Some(&ground)));
    }

    #[test]
    fn a_name_is_read_without_the_plan() {
        assert_eq!(name_of("name: shop\ntarget: ${env.NOWHERE}\n").as_deref(), Some("shop"));
        assert_eq!((name_of("target: x\n"), name_of("- a\n")), (None, None));
    }

    #[test]
    fn a_selection_of_unknown_tests_is_told() {
        let text = PLAN.replace("[two]", "[tow, one, one]").replace("[workers=2]", "[workers]");
        let told = crate::read(&text, &options()).unwrap_err();
        let told: Vec<String> = told.iter().map(|d| format!("{} {}", d.message, d.hint)).collect();
        for part in ["no test `tow` did you mean", "stands twice", "KEY=VALUE"] {
            assert!(told.iter().any(|line| line.contains(part)), "{part}: {told:?}");
        }
    }
}
