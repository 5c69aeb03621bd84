//! Scenarios, tasks and steps.
//!
//! A step is a table with exactly one opener of one grammar; the rest of it is that grammar's business, but for the
//! few keys that every step may have.

use crate::model::{Scenario, StepRole};
use crate::program::{Draw, Op, Program};
use crate::think;
use crate::{Think, names};
use crucible_core::protocol::StepContext;
use crucible_core::{
    Diagnostics, Fields, Key, MeasureId, MeasureSpec, Node, NodeKind, Position, ScenarioId, StepGrammar,
    StepId, StepSpec, fields,
};

/// Most steps in a plan: ids have 16 bits, and the last few are kept back.
const STEPS_MAX: usize = 65_000;
/// Most measures in a plan: each holds a histogram.
const MEASURES_MAX: usize = 1_000;
/// Most scenarios in a plan.
const SCENARIOS_MAX: usize = 10_000;

const STEPS: &str =
    r##"{"oneOf": [{"$ref": "#/$defs/step"}, {"type": "array", "items": {"$ref": "#/$defs/step"}}]}"##;

/// Keys of a scenario; without `scenarios`, those but `weight` may stand at the top of the plan.
pub(crate) const SCENARIO_KEYS: &[Key] = &[
    Key {
        name: "weight",
        schema: r##"{"$ref": "#/$defs/weight"}"##,
        doc: "Its share of the users or arrivals, relative to the other scenarios; 1 unless given.",
        example: "70",
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
];

/// Keys that every step may have, whatever its protocol.
pub(crate) const STEP_KEYS: &[Key] = &[
    Key {
        name: "name",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "What the step is called in thresholds and reports; unique in the plan.",
        example: "run python",
    },
    Key {
        name: "think",
        schema: r##"{"$ref": "#/$defs/think"}"##,
        doc: "Pause after it, instead of the scenario's.",
        example: "500ms",
    },
];

/// Keys of a task that has several steps.
pub(crate) const TASK_KEYS: &[Key] = &[
    Key {
        name: "weight",
        schema: r##"{"$ref": "#/$defs/weight"}"##,
        doc: "How often it is drawn, relative to the other tasks; 1 unless given.",
        example: "5",
    },
    Key {
        name: "name",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "Tells its steps from those of the same name elsewhere.",
        example: "buy",
    },
    Key { name: "steps", schema: STEPS, doc: "Its steps, in order.", example: "[{get: /cart}, {get: /pay}]" },
];

/// A step that has been read; its name is settled when all are there.
pub(crate) struct Draft {
    pub(crate) at: Position,
    pub(crate) path: String,
    /// The name that the plan gives.
    pub(crate) given: Option<String>,
    /// Name of the task that it stands in.
    pub(crate) task: Option<String>,
    pub(crate) scenario: ScenarioId,
    pub(crate) role: StepRole,
    pub(crate) protocol: &'static str,
    pub(crate) think: Option<Think>,
    pub(crate) measures: Vec<MeasureId>,
    pub(crate) spec: StepSpec,
}

/// Where a step stands while it is read.
#[derive(Clone)]
struct Place {
    scenario: ScenarioId,
    role: StepRole,
    task: Option<String>,
}

/// Reads all scenarios and collects their steps.
pub(crate) struct ScenarioReader<'a> {
    grammars: &'a [&'a dyn StepGrammar],
    context: &'a StepContext,
    diagnostics: &'a Diagnostics,
    drafts: Vec<Draft>,
    measures: Vec<MeasureSpec>,
    full: bool,
}

impl<'a> ScenarioReader<'a> {
    pub(crate) fn new(
        grammars: &'a [&'a dyn StepGrammar],
        context: &'a StepContext,
        diagnostics: &'a Diagnostics,
    ) -> ScenarioReader<'a> {
        ScenarioReader {
            grammars,
            context,
            diagnostics,
            drafts: Vec::new(),
            measures: Vec::new(),
            full: false,
        }
    }

    pub(crate) fn finish(self) -> (Vec<Draft>, Vec<MeasureSpec>) {
        (self.drafts, self.measures)
    }

    /// The scenarios of the plan, or the one whose keys stand at its top.
    pub(crate) fn read_all(&mut self, root: &Fields<'a>, plan_name: &str) -> Vec<Scenario> {
        root.expect(SCENARIO_KEYS);
        let short: Vec<&str> =
            SCENARIO_KEYS.iter().skip(1).map(|k| k.name).filter(|name| root.has(name)).collect();
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
        // at the top of a plan there is nothing that a weight could be relative to
        let weight = if fields.path.is_empty() { None } else { weight(fields) };
        let pacing = fields.duration("pacing").filter(|pacing| pacing.0 > 0);
        let place = |role| Place { scenario: id, role, task: None };
        let setup = self.steps(fields, "setup", &place(StepRole::Setup));
        let flow = self.flow(fields, &place(StepRole::Main));
        let teardown = self.steps(fields, "teardown", &place(StepRole::Teardown));
        Scenario {
            weight: weight.unwrap_or(1.0),
            think: think::read(fields).unwrap_or_default(),
            pacing,
            setup: Program::sequence(setup),
            flow,
            teardown: Program::sequence(teardown),
            ..Scenario::plain(id, name, [])
        }
    }

    fn flow(&mut self, fields: &Fields<'a>, place: &Place) -> Program {
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
            (None, Some([])) => fields.error("tasks", "there is no task in it", example),
            _ => {}
        }
        let steps = self.steps(fields, "steps", place);
        let Some(tasks) = fields.list("tasks") else { return Program::sequence(steps) };
        let mut drawn = Vec::new();
        for (index, node) in tasks.iter().enumerate() {
            if self.full {
                break;
            }
            let path = format!("{}[{index}]", fields.path_of("tasks"));
            drawn.extend(self.task(node, path, place));
        }
        one_of(drawn)
    }

    fn task(&mut self, node: &'a Node, path: String, place: &Place) -> Option<(f64, Vec<StepId>)> {
        let fields = Fields::new(node, path, self.diagnostics)?;
        let weight = weight(&fields);
        let steps = if fields.has("steps") {
            fields.expect(TASK_KEYS);
            let task = fields.text("name");
            if let Some(task) = &task {
                names::check(&fields, "name", task);
            }
            let steps = self.steps(&fields, "steps", &Place { task, ..place.clone() });
            if fields.list("steps").is_some_and(<[Node]>::is_empty) {
                fields.error("steps", "there is no step in it", "write `steps: [{get: /}]`");
            }
            fields.finish();
            steps
        } else {
            self.step(&fields, place).into_iter().collect()
        };
        Some((weight.unwrap_or(1.0), steps))
    }

    fn steps(&mut self, fields: &Fields<'a>, key: &'static str, place: &Place) -> Vec<StepId> {
        let Some(nodes) = fields.list(key) else { return Vec::new() };
        let mut ids = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if self.full {
                break;
            }
            let path = format!("{}[{index}]", fields.path_of(key));
            let Some(step) = Fields::new(node, path, self.diagnostics) else { continue };
            if step.get("weight").is_some() {
                let hint = "all steps are done, in order; weights belong to `tasks`";
                step.error("weight", "a step has no weight", hint);
            }
            ids.extend(self.step(&step, place));
        }
        ids
    }

    fn step(&mut self, fields: &Fields<'a>, place: &Place) -> Option<StepId> {
        if self.drafts.len() >= STEPS_MAX {
            self.full = true;
            let message = format!("more than {STEPS_MAX} steps in the plan");
            self.diagnostics.error(fields.at, &fields.path, message, "split the plan");
            return None;
        }
        let given = fields.text("name");
        let think = think::read(fields);
        let grammar = self.grammar_of(fields)?;
        fields.expect(STEP_KEYS);
        fields.expect(grammar.openers());
        fields.expect(grammar.step_keys());
        let spec = grammar.step(fields, self.context);
        fields.finish();
        if let Some(name) = &given {
            names::check(fields, "name", name);
        }
        let spec = spec?;
        let measures = spec.measures.iter().filter_map(|spec| self.measure(spec, fields)).collect();
        let id = StepId(self.drafts.len() as u16);
        self.drafts.push(Draft {
            at: fields.at,
            path: fields.path.clone(),
            given,
            task: place.task.clone(),
            scenario: place.scenario,
            role: place.role,
            protocol: grammar.protocol(),
            think,
            measures,
            spec,
        });
        Some(id)
    }

    /// The plan's measure of this name; made known if it is the first mention.
    fn measure(&mut self, spec: &MeasureSpec, fields: &Fields<'a>) -> Option<MeasureId> {
        if let Some(index) = self.measures.iter().position(|known| known.name == spec.name) {
            if self.measures[index] != *spec {
                let message = format!("the measure {:?} is described otherwise by another step", spec.name);
                self.diagnostics.error(
                    fields.at,
                    &fields.path,
                    message,
                    "give it the same kind and unit, or another name",
                );
            }
            return Some(MeasureId(index as u16));
        }
        if self.measures.len() >= MEASURES_MAX {
            let message = format!("more than {MEASURES_MAX} measures in the plan");
            self.diagnostics.error(fields.at, &fields.path, message, "remove some");
            return None;
        }
        self.measures.push(spec.clone());
        Some(MeasureId(self.measures.len() as u16 - 1))
    }

    /// The grammar whose opener stands in the step; notes a mistake if there is none, or more than one opener.
    fn grammar_of(&self, fields: &Fields<'a>) -> Option<&'a dyn StepGrammar> {
        let mut found: Vec<(&'a dyn StepGrammar, &'static str)> = Vec::new();
        for grammar in self.grammars {
            let openers = grammar.openers().iter().map(|key| key.name);
            found.extend(openers.filter(|name| fields.has(name)).map(|name| (*grammar, name)));
        }
        match found.as_slice() {
            [(grammar, _)] => Some(*grammar),
            [] => {
                self.no_opener(fields);
                None
            }
            [(_, first), (_, second), ..] => {
                let message = format!("`{first}` and `{second}` stand in one step");
                fields.error(second, message, "a step does one thing; make two steps of it");
                None
            }
        }
    }

    fn no_opener(&self, fields: &Fields<'a>) {
        let openers: Vec<&str> =
            self.grammars.iter().flat_map(|g| g.openers().iter().map(|key| key.name)).collect();
        let common = ["name", "think", "weight"];
        let known = |key: &str| {
            common.contains(&key) || self.grammars.iter().any(|g| g.step_keys().iter().any(|k| k.name == key))
        };
        let near = fields.all().filter(|(key, _, _)| !known(key)).find_map(|(key, at, _)| {
            let hint = fields::suggest(key, &openers);
            hint.starts_with("did you mean").then_some((key, at, hint))
        });
        match near {
            Some((key, at, hint)) => {
                self.diagnostics.error(at, &fields.path_of(key), format!("unknown key `{key}`"), hint);
            }
            None => {
                let hint = format!("begin it with one of: {}", openers.join(", "));
                self.diagnostics.error(fields.at, &fields.path, "this step does not say what to do", hint);
            }
        }
    }
}

/// One of these pieces, drawn by weight.
fn one_of(pieces: Vec<(f64, Vec<StepId>)>) -> Program {
    let whole: usize = 1 + pieces.iter().map(|(_, steps)| steps.len() + 1).sum::<usize>();
    let (mut ends, mut ops, mut sum) = (Vec::new(), vec![Op::Skip], 0.0);
    for (weight, steps) in pieces {
        sum += weight;
        ends.push((sum, ops.len() as i32));
        ops.extend(steps.into_iter().map(Op::Step));
        ops.push(Op::Jump((whole - ops.len()) as i32));
    }
    ops[0] = Op::Draw(Draw { ends });
    Program { ops }
}

/// A weight above 0; notes a mistake otherwise.
fn weight(fields: &Fields<'_>) -> Option<f64> {
    let node = fields.get("weight")?;
    let weight = match &node.kind {
        NodeKind::Int(value) => Some(*value as f64),
        NodeKind::Float(value) => Some(*value),
        NodeKind::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    match weight.filter(|weight| weight.is_finite()) {
        Some(weight) if weight > 0.0 => return Some(weight),
        Some(weight) => {
            let message = format!("with a weight of {weight} it would never run");
            fields.error("weight", message, "remove it, or give it a weight above 0");
        }
        None => fields.error("weight", "this is no number", "write a weight above 0, as in `weight: 3`"),
    }
    None
}
