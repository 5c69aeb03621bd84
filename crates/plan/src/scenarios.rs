//! Scenarios: what one kind of user does, and how it comes and goes.

use crate::journey::{self, Flows};
use crate::model::{Scenario, StepRole};
use crate::program::{Lifetime, Op, Program, Refresh};
use crate::steps::{Draft, FAIL, Place, weight};
use crate::{names, think};
use crucible_core::protocol::StepContext;
use crucible_core::{Diagnostics, FeederId, Fields, Key, MeasureSpec, NodeKind, ScenarioId, StepGrammar};

/// Most scenarios in a plan.
const SCENARIOS_MAX: usize = 10_000;

const STEPS: &str = journey::STEPS_SCHEMA;

/// Keys of a scenario; without `scenarios`, those but `weight` may stand at the top of the plan.
pub(crate) const SCENARIO_KEYS: &[Key] = &[
    Key {
        name: "weight",
        schema: r##"{"$ref": "#/$defs/weight"}"##,
        doc: "Its share of the users or arrivals, relative to the other scenarios; 1 unless given.",
        example: "70",
    },
    Key {
        name: "users",
        schema: r##"{"$ref": "#/$defs/count"}"##,
        doc: "Exactly so many of the users of closed load; weights deal out the rest.",
        example: "5",
    },
    Key {
        name: "lifetime",
        schema: r##"{"$ref": "#/$defs/lifetime"}"##,
        doc: "How long a user lives before a new one takes its place; under open load each arrival then is a new user.",
        example: "{iterations: 10}",
    },
    Key {
        name: "think",
        schema: r##"{"$ref": "#/$defs/think"}"##,
        doc: "Pause after each step, unless the step says otherwise.",
        example: "1s..3s",
    },
    Key {
        name: "pacing",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Least time from the start of an iteration to the start of the next (closed load).",
        example: "5s",
    },
    Key {
        name: "setup",
        schema: STEPS,
        doc: "Steps that each user does once, before its first iteration.",
        example: "[{post: /login, form: {user: a}}]",
    },
    Key {
        name: "steps",
        schema: STEPS,
        doc: "Steps of an iteration, all of them in order. Either this or `tasks`.",
        example: "[{get: /}, {get: /news}]",
    },
    Key {
        name: "tasks",
        schema: r##"{"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}}"##,
        doc: "Tasks of which an iteration does one, drawn by weight. Either this or `steps`.",
        example: "[{weight: 5, get: /}, {weight: 1, name: buy, steps: [{get: /cart}, {get: /pay}]}]",
    },
    Key {
        name: "teardown",
        schema: STEPS,
        doc: "Steps that each user does once, after its last iteration.",
        example: "[{get: /logout}]",
    },
    Key {
        name: "refresh",
        schema: r##"{"$ref": "#/$defs/refresh"}"##,
        doc: "Steps that keep the user's session good.",
        example: "{every: 14m, on: [401], steps: [{post: /login}]}",
    },
    FAIL,
];

/// Keys of a scenario that make no sense without others beside it.
pub(crate) const AMONG_OTHERS: [&str; 2] = ["weight", "users"];

/// Keys of `lifetime`.
pub(crate) const LIFETIME_KEYS: &[Key] = &[
    Key {
        name: "iterations",
        schema: r##"{"$ref": "#/$defs/count"}"##,
        doc: "So many iterations.",
        example: "10",
    },
    Key {
        name: "for",
        schema: r##"{"$ref": "#/$defs/think"}"##,
        doc: "So long, drawn for each user; the iteration under way then is its last.",
        example: "1m..3m",
    },
];

/// Keys of `refresh`.
pub(crate) const REFRESH_KEYS: &[Key] = &[
    Key {
        name: "every",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Done before the next operation when so much time has passed since it was last done.",
        example: "14m",
    },
    Key {
        name: "on",
        schema: r#"{"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}"#,
        doc: "Done after an operation with one of these codes, which keeps its outcome.",
        example: "[401]",
    },
    Key { name: "steps", schema: STEPS, doc: "What is done.", example: "[{post: /login}]" },
];

/// Reads all scenarios and collects their steps.
pub(crate) struct ScenarioReader<'a> {
    pub(crate) grammars: &'a [&'a dyn StepGrammar],
    pub(crate) context: &'a StepContext,
    pub(crate) diagnostics: &'a Diagnostics,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) measures: Vec<MeasureSpec>,
    pub(crate) flows: Flows<'a>,
    /// Whether a shared flow is being read.
    pub(crate) in_flow: bool,
    pub(crate) depth: usize,
    /// Whether there are too many steps.
    pub(crate) full: bool,
}

impl<'a> ScenarioReader<'a> {
    pub(crate) fn new(
        grammars: &'a [&'a dyn StepGrammar],
        context: &'a StepContext,
        flows: Flows<'a>,
        diagnostics: &'a Diagnostics,
    ) -> ScenarioReader<'a> {
        ScenarioReader {
            grammars,
            context,
            diagnostics,
            drafts: Vec::new(),
            measures: Vec::new(),
            flows,
            in_flow: false,
            depth: 0,
            full: false,
        }
    }

    pub(crate) fn finish(self) -> (Vec<Draft>, Vec<MeasureSpec>) {
        self.flows.finish(self.diagnostics);
        (self.drafts, self.measures)
    }

    /// The scenarios of the plan, or the one whose keys stand at its top.
    pub(crate) fn read_all(&mut self, root: &Fields<'a>, plan_name: &str) -> Vec<Scenario> {
        root.expect(SCENARIO_KEYS);
        let short: Vec<&str> = own_keys().map(|key| key.name).filter(|name| root.has(name)).collect();
        let Some(node) = root.get("scenarios") else {
            if short.is_empty() {
                let hint = "add for example `scenarios: {reader: {steps: [{get: /}]}}`";
                self.diagnostics.error(root.at, "scenarios", "no `scenarios` and no `steps`", hint);
                return Vec::new();
            }
            return vec![self.scenario(root, ScenarioId(0), plan_name)];
        };
        for key in short {
            // asked for, so that it is not called unknown as well
            for row in SCENARIO_KEYS.iter().filter(|row| row.name == key) {
                root.get(row.name);
            }
            root.error(key, format!("`{key}` stands beside `scenarios`"), "move it into a scenario");
        }
        let Some(table) = Fields::new(node, "scenarios", self.diagnostics) else { return Vec::new() };
        let mut scenarios = Vec::new();
        for (name, at, node) in table.all() {
            let path = table.path_of(name);
            if scenarios.len() >= SCENARIOS_MAX {
                let message = format!("more than {SCENARIOS_MAX} scenarios");
                self.diagnostics.error(at, &path, message, "join some");
                break;
            }
            names::check_at(self.diagnostics, at, &path, name);
            let id = ScenarioId(scenarios.len() as u16);
            if let Some(fields) = Fields::new(node, path, self.diagnostics) {
                scenarios.push(self.scenario(&fields, id, name));
                fields.finish();
            }
        }
        if scenarios.is_empty() && !self.diagnostics.has_errors() {
            let hint = "add one, as in `reader: {steps: [{get: /}]}`";
            self.diagnostics.error(node.at, "scenarios", "there is no scenario in it", hint);
        }
        scenarios
    }

    fn scenario(&mut self, fields: &Fields<'a>, id: ScenarioId, name: &str) -> Scenario {
        fields.expect(SCENARIO_KEYS);
        // at the top of a plan there is nothing that these could be relative to
        let alone = fields.path.is_empty();
        let weight = if alone { None } else { weight(fields) };
        let users = if alone { None } else { fields.count("users") };
        if users == Some(0) {
            fields.error("users", "without users it would never run", "write 1 or more, or leave it out");
        }
        let pacing = fields.duration("pacing").filter(|pacing| pacing.0 > 0);
        let first = self.drafts.len();
        self.context.symbols.take_drawn();
        let setup = self.steps(fields, "setup", &Place::new(id, StepRole::Setup));
        let refresh = self.refresh(fields, id);
        let kept = self.context.symbols.take_drawn();
        let flow = self.flow(fields, &Place::new(id, StepRole::Main));
        let teardown = self.steps(fields, "teardown", &Place::new(id, StepRole::Teardown));
        let drawn = self.context.symbols.take_drawn();
        let feeds = kept.iter().map(|feed| (*feed, true));
        let feeds: Vec<(FeederId, bool)> = feeds
            .chain(drawn.into_iter().filter(|feed| !kept.contains(feed)).map(|feed| (feed, false)))
            .collect();
        if let Some(fail) = fields.share("fail") {
            for draft in self.drafts[first..].iter_mut().filter(|draft| draft.role == StepRole::Main) {
                draft.fail.get_or_insert(fail);
            }
        }
        Scenario {
            weight: weight.unwrap_or(1.0),
            users,
            think: think::read(fields, "think").unwrap_or_default(),
            pacing,
            lifetime: lifetime(fields),
            setup: Program { ops: setup },
            flow: Program { ops: flow },
            teardown: Program { ops: teardown },
            refresh,
            feeds,
            ..Scenario::plain(id, name, [])
        }
    }

    fn flow(&mut self, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
        let example = "write `steps: [{get: /}]`, or `tasks:` with weights";
        match (fields.list("steps"), fields.list("tasks")) {
            (None, None) => {
                let at = fields.at;
                self.diagnostics.error(at, &fields.path, "a scenario without `steps` does nothing", example);
            }
            (Some(_), Some(_)) => {
                let hint = "`steps` are all done in order, of `tasks` one is drawn; keep one of the two";
                fields.error("tasks", "`steps` and `tasks` stand in one scenario", hint);
            }
            (Some([]), None) => fields.error("steps", "there is no step in it", example),
            _ => {}
        }
        let steps = self.steps(fields, "steps", place);
        if fields.has("tasks") { journey::tasks(self, fields, place) } else { steps }
    }

    fn refresh(&mut self, fields: &Fields<'a>, id: ScenarioId) -> Option<Refresh> {
        let table = fields.table("refresh")?;
        table.expect(REFRESH_KEYS);
        let every = table.duration("every").filter(|every| every.0 > 0);
        let mut on = Vec::new();
        for node in table.list("on").unwrap_or_default() {
            match &node.kind {
                NodeKind::Int(code) if (1..=i64::from(u16::MAX)).contains(code) => on.push(*code as u16),
                _ => table.error("on", "this is no code", "write codes as in `on: [401]`"),
            }
        }
        let ops = self.steps(&table, "steps", &Place::new(id, StepRole::Main));
        if ops.is_empty() && !table.has("steps") {
            table.error("steps", "`steps` is missing", "write what is done, as in `steps: [{post: /login}]`");
        }
        if !table.has("every") && !table.has("on") {
            let hint = "write `every: 14m`, or `on: [401]`, or both";
            fields.error("refresh", "this never happens", hint);
        }
        table.finish();
        Some(Refresh { every, on, program: Program { ops } })
    }

    /// The steps under `key` of a test, with the feeders that they use.
    pub(crate) fn of_test(
        &mut self,
        fields: &Fields<'a>,
        key: &'static str,
        id: ScenarioId,
    ) -> (Program, Vec<FeederId>) {
        self.context.symbols.take_drawn();
        let role = if key == "setup" { StepRole::Setup } else { StepRole::Teardown };
        let ops = self.steps(fields, key, &Place::new(id, role));
        (Program { ops }, self.context.symbols.take_drawn())
    }
}

/// Keys of a scenario that may stand at the top of a plan with one scenario.
pub(crate) fn own_keys() -> impl Iterator<Item = &'static Key> {
    SCENARIO_KEYS.iter().filter(|key| !AMONG_OTHERS.contains(&key.name))
}

fn lifetime(fields: &Fields<'_>) -> Option<Lifetime> {
    let table = fields.table("lifetime")?;
    table.expect(LIFETIME_KEYS);
    let iterations = table.count("iterations");
    let time = think::read(&table, "for");
    let lifetime = match (table.has("iterations"), table.has("for")) {
        (true, false) if iterations == Some(0) => {
            table.error("iterations", "such a user would do nothing", "write 1 or more");
            None
        }
        (true, false) => iterations.map(Lifetime::Iterations),
        (false, true) => time.map(Lifetime::Time),
        _ => {
            let hint = "write `{iterations: 10}` or `{for: 1m..3m}`";
            fields.error("lifetime", "one of `iterations` and `for` is needed", hint);
            None
        }
    };
    table.finish();
    lifetime
}
