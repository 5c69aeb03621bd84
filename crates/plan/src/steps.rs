//! Steps: a table with exactly one opener of one grammar; the rest of it is that grammar's business, but for the few
//! keys that every step may have.

use crate::model::StepRole;
use crate::program::Op;
use crate::scenarios::ScenarioReader;
use crate::{Think, journey, names, think, until};
use crucible_core::{
    Fields, Key, MeasureId, MeasureSpec, Node, NodeKind, Position, ScenarioId, StepGrammar, StepId, StepSpec,
    fields,
};

/// Most steps in a plan: ids have 16 bits, and the last few are kept back.
const STEPS_MAX: usize = 65_000;
/// Most measures in a plan: each holds a histogram.
const MEASURES_MAX: usize = 1_000;

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
    FAIL,
    Key {
        name: "until",
        schema: r##"{"$ref": "#/$defs/until"}"##,
        doc: "The work goes on after the answer: how one learns of its end. Makes the step a transaction.",
        example: "{get: \"/jobs/${id}\", every: 100ms, within: 30s, check: {status: 200}}",
    },
];

/// `fail`, of steps and scenarios.
pub(crate) const FAIL: Key = Key {
    name: "fail",
    schema: r##"{"$ref": "#/$defs/share"}"##,
    doc: "Share of the operations that are failed on our side, unsent, as an exercise; told in every report.",
    example: "5%",
};

/// A step that has been read; its name is settled when all are there.
pub(crate) struct Draft {
    pub(crate) at: Position,
    pub(crate) path: String,
    /// The name that the plan gives.
    pub(crate) given: Option<String>,
    /// Takes the name of another step, with these words behind it.
    pub(crate) of: Option<(StepId, &'static str)>,
    /// Name of the task that it stands in.
    pub(crate) task: Option<String>,
    pub(crate) scenario: ScenarioId,
    pub(crate) role: StepRole,
    pub(crate) protocol: &'static str,
    pub(crate) think: Option<Think>,
    pub(crate) fail: Option<f64>,
    pub(crate) measures: Vec<MeasureId>,
    pub(crate) spec: StepSpec,
}

/// Where a step stands while it is read.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) scenario: ScenarioId,
    pub(crate) role: StepRole,
    pub(crate) task: Option<String>,
    /// Flows that are being used, the outermost first.
    pub(crate) flows: Vec<String>,
}

impl Place {
    pub(crate) fn new(scenario: ScenarioId, role: StepRole) -> Place {
        Place { scenario, role, task: None, flows: Vec::new() }
    }
}

impl<'a> ScenarioReader<'a> {
    /// The steps of a list, compiled; what else may stand among them is in [`journey`].
    pub(crate) fn steps(&mut self, fields: &Fields<'a>, key: &'static str, place: &Place) -> Vec<Op> {
        let Some(nodes) = fields.list(key) else { return Vec::new() };
        let mut ops = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if self.full {
                break;
            }
            let path = format!("{}[{index}]", fields.path_of(key));
            ops.extend(journey::item(self, node, path, place));
        }
        ops
    }

    /// One step and, if it is a transaction, what follows it.
    pub(crate) fn step(&mut self, fields: &Fields<'a>, place: &Place) -> Vec<Op> {
        if self.too_many(fields) {
            return Vec::new();
        }
        let given = fields.text("name");
        let think = think::read(fields, "think");
        let fail = fields.share("fail");
        let until = fields.get("until");
        let Some(grammar) = self.grammar_of(fields) else { return Vec::new() };
        fields.expect(STEP_KEYS);
        let spec = self.spec(grammar, fields);
        fields.finish();
        if let Some(name) = &given {
            names::check(fields, "name", name);
        }
        let step = spec.and_then(|spec| {
            let draft = Draft { given, think, fail, ..self.draft(fields, place, grammar.protocol(), spec) };
            self.keep(draft)
        });
        // what follows a broken step is read all the same: its mistakes are told too
        match until {
            Some(node) => until::read(self, node, fields.path_of("until"), step, place).into_iter().collect(),
            None => step.map(Op::Step).into_iter().collect(),
        }
    }

    /// What a grammar makes of a step; asks for all of its keys.
    pub(crate) fn spec(&self, grammar: &dyn StepGrammar, fields: &Fields<'a>) -> Option<StepSpec> {
        fields.expect(grammar.openers());
        fields.expect(grammar.step_keys());
        self.context.symbols.reading(fields.at, &fields.path);
        grammar.step(fields, self.context)
    }

    /// A draft without a name.
    pub(crate) fn draft(
        &mut self,
        fields: &Fields<'a>,
        place: &Place,
        protocol: &'static str,
        spec: StepSpec,
    ) -> Draft {
        let measures = spec.measures.iter().filter_map(|spec| self.measure(spec, fields)).collect();
        Draft {
            at: fields.at,
            path: fields.path.clone(),
            given: None,
            of: None,
            task: place.task.clone(),
            scenario: place.scenario,
            role: place.role,
            protocol,
            think: None,
            fail: None,
            measures,
            spec,
        }
    }

    /// A row for a span of time over several operations.
    pub(crate) fn timed(&mut self, fields: &Fields<'a>, place: &Place, name: &str) -> Draft {
        let spec = StepSpec {
            default_name: name.to_owned(),
            checks: Vec::new(),
            measures: Vec::new(),
            body: std::sync::Arc::new(()),
        };
        Draft { role: StepRole::Timed, ..self.draft(fields, place, "", spec) }
    }

    /// Gives a draft its number. In a shared flow a given name may stand in several scenarios, so it is told apart
    /// like one that nobody gave.
    pub(crate) fn keep(&mut self, mut draft: Draft) -> Option<StepId> {
        if self.drafts.len() >= STEPS_MAX {
            return None;
        }
        if self.in_flow
            && let Some(name) = draft.given.take()
        {
            draft.spec.default_name = name;
        }
        self.drafts.push(draft);
        Some(StepId(self.drafts.len() as u16 - 1))
    }

    fn too_many(&mut self, fields: &Fields<'_>) -> bool {
        if self.drafts.len() < STEPS_MAX {
            return false;
        }
        if !self.full {
            self.full = true;
            let message = format!("more than {STEPS_MAX} steps in the plan");
            self.diagnostics.error(fields.at, &fields.path, message, "split the plan");
        }
        true
    }

    /// The plan's measure of this name; made known if it is the first mention.
    fn measure(&mut self, spec: &MeasureSpec, fields: &Fields<'a>) -> Option<MeasureId> {
        if let Some(index) = self.measures.iter().position(|known| known.name == spec.name) {
            if self.measures[index] != *spec {
                let message = format!("the measure {:?} is described otherwise by another step", spec.name);
                let hint = "give it the same kind and unit, or another name";
                self.diagnostics.error(fields.at, &fields.path, message, hint);
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
    pub(crate) fn grammar_of(&self, fields: &Fields<'a>) -> Option<&'a dyn StepGrammar> {
        let found = self.openers_in(fields);
        let knows = |grammar: &dyn StepGrammar, name: &str| {
            grammar.openers().iter().chain(grammar.step_keys()).any(|key| key.name == name)
        };
        let joins = |grammar: &dyn StepGrammar| {
            grammar.combines() && found.iter().all(|(_, name)| knows(grammar, name))
        };
        if let Some((grammar, _)) = found.iter().find(|(grammar, _)| joins(*grammar)) {
            return Some(*grammar);
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

    /// Every opener of a protocol that stands in a table.
    pub(crate) fn openers_in(&self, fields: &Fields<'a>) -> Vec<(&'a dyn StepGrammar, &'static str)> {
        let mut found: Vec<(&'a dyn StepGrammar, &'static str)> = Vec::new();
        for grammar in self.grammars {
            let openers = grammar.openers().iter().map(|key| key.name);
            found.extend(openers.filter(|name| fields.has(name)).map(|name| (*grammar, name)));
        }
        found
    }

    fn no_opener(&self, fields: &Fields<'a>) {
        let openers = self.grammars.iter().flat_map(|g| g.openers().iter().map(|key| key.name));
        let openers: Vec<&str> = openers.chain(journey::openers()).collect();
        let common = ["name", "think", "weight", "fail", "until"];
        let known = |key: &str| {
            common.contains(&key)
                || until::UNTIL_KEYS.iter().any(|row| row.name == key)
                || self.grammars.iter().any(|g| g.step_keys().iter().any(|k| k.name == key))
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

/// A weight above 0; notes a mistake otherwise.
pub(crate) fn weight(fields: &Fields<'_>) -> Option<f64> {
    let node: &Node = fields.get("weight")?;
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
