//! Reads a plan in a made-up protocol (`do: NAME`, `save: [VARIABLE]`) and lives it in virtual time.

#![allow(dead_code, reason = "not every test file needs all of it")]

use crucible_core::protocol::StepContext;
use crucible_core::{
    Feeder, Fields, Frame, IterationFrame, Key, NodeKind, Ns, Row, Slot, StepGrammar, StepId, StepSpec, Value,
};
use crucible_engine::{Control, Job, Options, spawn_on};
use crucible_plan::{FeederSpec, Plan, ReadOptions, read};
use crucible_record::{Finished, RunEvent, Window};
use crucible_testkit::sim::{Answer, Question, ScriptProtocol, Sim};
use std::any::Any;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

struct Act;

const fn key(name: &'static str) -> Key {
    Key { name, schema: "true", doc: "Made up.", example: "x" }
}

impl StepGrammar for Act {
    fn protocol(&self) -> &'static str {
        "act"
    }

    fn openers(&self) -> &'static [Key] {
        const { &[key("do")] }
    }

    fn step_keys(&self) -> &'static [Key] {
        const { &[key("save"), key("check")] }
    }

    fn settings_keys(&self) -> &'static [Key] {
        &[]
    }

    fn step(&self, fields: &Fields<'_>, context: &StepContext) -> Option<StepSpec> {
        fields.get("check");
        if let Some(NodeKind::Map(map)) = fields.get("save").map(|node| &node.kind) {
            map.entries.iter().for_each(|(name, _, _)| drop(context.symbols.define(name)));
        }
        let name = fields.text("do")?;
        crucible_core::Template::parse(&name, &context.symbols).unwrap();
        let default_name = name.split("${").next().unwrap_or(&name).to_owned();
        Some(StepSpec { default_name, checks: Vec::new(), measures: Vec::new(), body: Arc::new(()) })
    }

    fn settings(&self, _: &Fields<'_>, _: &StepContext) -> Arc<dyn Any + Send + Sync> {
        Arc::new(())
    }
}

#[derive(Debug)]
struct Numbers(Vec<Row>, Vec<String>);

impl Feeder for Numbers {
    fn columns(&self) -> &[String] {
        &self.1
    }

    fn rows(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn row(&self, index: u64) -> Result<Row, String> {
        Ok(Arc::clone(&self.0[index as usize]))
    }
}

fn open_feeder(spec: &FeederSpec) -> Result<Arc<dyn Feeder>, String> {
    let NodeKind::List(rows) = &spec.source.kind else { return Err("rows only".into()) };
    let number = |row: &crucible_core::Node| -> Row {
        let map = row.as_map().unwrap();
        map.entries.iter().map(|(_, _, node)| Value::Int(node.scalar().unwrap().parse().unwrap())).collect()
    };
    Ok(Arc::new(Numbers(rows.iter().map(number).collect(), vec!["n".into()])))
}

/// The plan of this text.
pub(crate) fn plan(text: &str) -> Plan {
    // `save: [a, b]` is short for a table
    let mut long = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("save: [") {
        let (head, tail) = rest.split_at(start);
        let end = tail.find(']').unwrap();
        let names: Vec<String> = tail[7..end].split(',').map(|name| format!("{}: x", name.trim())).collect();
        long += &format!("{head}save: {{{}}}", names.join(", "));
        rest = &tail[end + 1..];
    }
    long += rest;
    let options = ReadOptions {
        grammars: &[&Act],
        env: &|_| None,
        folder: PathBuf::new(),
        expressions: None,
        open_feeder: &open_feeder,
        read_file: crucible_plan::NO_FILES,
        target: None,
        seed: None,
    };
    match read(&long, &options) {
        Ok(plan) => plan,
        Err(told) => panic!("{told:#?}\n{long}"),
    }
}

/// The name that a step was given in the text.
pub(crate) fn name(plan: &Plan, step: StepId) -> &str {
    &plan.steps[usize::from(step.0)].spec.default_name
}

/// The place of a variable.
pub(crate) fn slot(plan: &Plan, name: &str) -> Slot {
    Slot(plan.variables.iter().position(|known| known == name).unwrap() as u16)
}

/// How a plan is lived.
pub(crate) struct Setting {
    pub(crate) shards: u32,
    pub(crate) control: Control,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting { shards: 1, control: Control::new() }
    }
}

/// What came of it.
pub(crate) struct Run {
    plan: Arc<Plan>,
    pub(crate) windows: Vec<Window>,
    pub(crate) finished: Finished,
}

pub(crate) fn run(text: &str, script: impl Fn(Question<'_>, &Plan) -> Answer + Send + Sync + 'static) -> Run {
    run_with(text, Setting::default(), script)
}

pub(crate) fn run_with(
    text: &str,
    setting: Setting,
    script: impl Fn(Question<'_>, &Plan) -> Answer + Send + Sync + 'static,
) -> Run {
    let plan = Arc::new(plan(text));
    let known = Arc::clone(&plan);
    let protocol = ScriptProtocol::new(move |question| script(question, &known));
    let mut sim = Sim::new(1);
    let events = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&events);
    let Setting { shards, control } = setting;
    let job = Job {
        plan: Arc::clone(&plan),
        tests: (0..plan.tests.len()).collect(),
        protocol: Arc::new(protocol),
        options: Options { shards, pin: false, realtime: false, early: Ns::ZERO, window: Ns::from_secs(1) },
        control,
        unix_start: Ns::ZERO,
    };
    spawn_on(&sim.clock(), job, move |event| sink.borrow_mut().push(event)).unwrap();
    sim.run_to_end();
    let mut windows = Vec::new();
    let mut finished = None;
    for event in events.take() {
        match event {
            RunEvent::Window(window) => windows.push(*window),
            RunEvent::Finished(end) => finished = Some(end),
            _ => {}
        }
    }
    Run { plan, windows, finished: finished.expect("a run always says that it is over") }
}

impl Run {
    /// Everything that was counted of a step.
    pub(crate) fn step(&self, name: &str) -> Frame {
        let id = self.plan.steps.iter().find(|step| step.name == name);
        let id = id.unwrap_or_else(|| panic!("no step {name}")).id;
        let mut total = Frame::new(0);
        let frames = self.windows.iter().flat_map(|window| &window.steps).filter(|(step, _)| *step == id);
        frames.for_each(|(_, frame)| total.merge(frame));
        total
    }

    pub(crate) fn counts(&self, names: &[&str]) -> Vec<u64> {
        names.iter().map(|name| self.step(name).planned).collect()
    }

    pub(crate) fn total(&self) -> Frame {
        let mut total = Frame::new(0);
        self.windows.iter().flat_map(|window| &window.steps).for_each(|(_, frame)| total.merge(frame));
        total
    }

    pub(crate) fn iterations(&self) -> IterationFrame {
        let mut total = IterationFrame::default();
        self.windows.iter().flat_map(|window| &window.iterations).for_each(|(_, frame)| total.merge(frame));
        total
    }

    /// Conservation, window by window and by step, for steps, spans and iterations.
    pub(crate) fn assert_conserved(&self) {
        let (mut in_flight, mut iterating) = (0, 0);
        for window in &self.windows {
            let planned: u64 = window.steps.iter().map(|(_, frame)| frame.planned).sum();
            let ended: u64 = window.steps.iter().map(|(_, frame)| frame.ended()).sum();
            assert_eq!(in_flight + planned, ended + window.in_flight, "steps in window {:?}", window.from);
            in_flight = window.in_flight;
            let planned: u64 = window.iterations.iter().map(|(_, frame)| frame.planned).sum();
            let ended: u64 = window.iterations.iter().map(|(_, frame)| frame.ended()).sum();
            assert_eq!(
                iterating + planned,
                ended + window.iterations_in_flight,
                "iterations in {:?}",
                window.from
            );
            iterating = window.iterations_in_flight;
        }
        assert_eq!((in_flight, iterating), (0, 0), "nothing may be under way after the end");
        for step in &self.plan.steps {
            let frame = self.step(&step.name);
            assert_eq!(frame.planned, frame.ended(), "{}", step.name);
        }
    }
}
