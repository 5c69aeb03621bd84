//! The way from text to [`Plan`], and what it depends on.
//!
//! Order: text -> tree ([`crate::yaml`], variables filled in) -> scenarios and steps -> names -> thresholds -> tests.
//! Every reader notes its mistakes and goes on with what it has, so that all mistakes are told at once; a plan is
//! handed out only if there was none.

use crate::journey::Flows;
use crate::model::{LatenessBudget, Plan, Step};
use crate::program::OpenFeeder;
use crate::scenarios::ScenarioReader;
use crate::thresholds::Names;
use crate::{components, env, feeds, hash, mask, names, suites, test_table, thresholds, yaml};
use crucible_core::protocol::StepContext;
use crucible_core::symbols::BUILT_IN;
use crucible_core::{
    Diagnostic, Diagnostics, Expressions, Fields, Key, Node, NodeKind, Ns, Severity, StepGrammar, Symbols,
    fields,
};
use crucible_schedule::Files;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// What a plan is read with. Nothing else reaches the reader: it does no I/O.
pub struct ReadOptions<'a> {
    /// The protocols whose steps may stand in a plan.
    pub grammars: &'a [&'a dyn StepGrammar],
    /// Looks a variable up for `${env.NAME}`.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Folder that relative file names in the plan start from.
    pub folder: PathBuf,
    /// The language of `${...}` beyond plain names.
    pub expressions: Option<Arc<dyn Expressions>>,
    /// Makes feeders of their descriptions.
    pub open_feeder: OpenFeeder<'a>,
    /// Gives the text of a file that is named in the plan (a recording). The error is for people.
    pub read_file: Files<'a>,
    /// Used instead of the plan's `target`.
    pub target: Option<String>,
    /// Used instead of the plan's `seed`.
    pub seed: Option<u64>,
}

/// For plans without feeders: says that none can be made.
pub const NO_FEEDERS: OpenFeeder<'static> = &|_| Err("no source of rows is known here".into());

/// For plans that name no files.
pub const NO_FILES: Files<'static> = &|_| Err("no files are read here".into());

/// The seed of a plan that names none: runs repeat unless one asks for others.
pub const DEFAULT_SEED: u64 = 1;

/// What paths are read against while the plan's own system has not been started: no request can reach it.
const NOT_STARTED: &str = "http://127.0.0.1:0";

/// Most mistakes that are told.
const TOLD_MAX: usize = 1_000;

/// Keys at the top of a plan, without those of the protocols and of the shorthand.
pub(crate) const TOP_KEYS: &[Key] = &[
    Key {
        name: "name",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "What the plan is called in reports.",
        example: "classroom",
    },
    Key {
        name: "target",
        schema: r#"{"type": "string"}"#,
        doc: "Base address of the system under test; a plan with a `ground` can do without.",
        example: "https://localhost:8443",
    },
    Key {
        name: "seed",
        schema: r##"{"$ref": "#/$defs/count"}"##,
        doc: "Seed of everything random; 1 unless given.",
        example: "42",
    },
    Key {
        name: "scenarios",
        schema: r##"{"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/scenario"}}"##,
        doc: "What the kinds of users do, by name. With one kind, `steps` or `tasks` may stand at the top instead.",
        example: "{reader: {steps: [{get: /}]}}",
    },
    Key {
        name: "data",
        schema: r##"{"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/data"}}"##,
        doc: "Sources of rows by name; `${name.column}` is a value of the user's row.",
        example: "{pupils: {csv: pupils.csv, pick: unique}}",
    },
    Key {
        name: "flows",
        schema: r##"{"type": "object", "minProperties": 1, "additionalProperties": {"oneOf": [{"$ref": "#/$defs/step"}, {"type": "array", "items": {"$ref": "#/$defs/step"}}]}}"##,
        doc: "Steps that several scenarios share, by name; `use: NAME` does them.",
        example: "{login: [{post: /login}]}",
    },
    Key {
        name: "tests",
        schema: r##"{"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/test"}}"##,
        doc: "The tests by name, run in this order.",
        example: "{steady: {rate: 10/s, for: 30s}}",
    },
    Key {
        name: "thresholds",
        schema: r##"{"$ref": "#/$defs/thresholds"}"##,
        doc: "What is demanded in every test, by subject: `*` (all together), `each` (every step), a step or a scenario.",
        example: r#"{"*": {p95: {target: 500ms, acceptable: 1s}, errors: 1%}}"#,
    },
    Key {
        name: "suites",
        schema: r#"{"type": "object", "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}}}"#,
        doc: "Selections of tests by name, for `--suite`.",
        example: "{quick: [steady], full: [steady, spike]}",
    },
    Key {
        name: "ground",
        schema: r##"{"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/ground"}]}"##,
        doc: "The proving-ground system that is started for it, unless a target is given on the command line.",
        example: "classroom",
    },
    Key {
        name: "generator",
        schema: r##"{"$ref": "#/$defs/generator"}"##,
        doc: "What is demanded of the load generator itself.",
        example: "{lateness: {floor: 2ms, share: 10%}}",
    },
];

/// Keys of `generator`.
pub(crate) const GENERATOR_KEYS: &[Key] = &[Key {
    name: "lateness",
    schema: r##"{"$ref": "#/$defs/lateness"}"##,
    doc: "How late the generator may be before a run is invalid.",
    example: "{floor: 2ms, share: 10%}",
}];

/// Keys of `generator.lateness`.
pub(crate) const LATENESS_KEYS: &[Key] = &[
    Key {
        name: "floor",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Lateness p99 that is always allowed; 2ms unless given.",
        example: "2ms",
    },
    Key {
        name: "share",
        schema: r##"{"$ref": "#/$defs/share"}"##,
        doc: "Lateness p99 that is allowed as a share of the response time p50; 10% unless given.",
        example: "10%",
    },
];

impl Default for LatenessBudget {
    /// 2 ms, and a tenth of the median response time.
    fn default() -> LatenessBudget {
        LatenessBudget { floor: Ns::from_millis(2), share: 0.1 }
    }
}

/// Reads and validates a plan. The error holds every mistake and warning of the text in its order; warnings of a
/// good plan are in [`Plan::warnings`]. Never panics, whatever the text.
pub fn read(text: &str, options: &ReadOptions<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let diagnostics = Diagnostics::new();
    let plan = read_text(text, options, &diagnostics);
    let broken = diagnostics.has_errors();
    let mut told = diagnostics.into_sorted();
    // a flow is read for each scenario that uses it
    told.dedup();
    if told.len() > TOLD_MAX {
        let more = told.len() - TOLD_MAX;
        told.truncate(TOLD_MAX);
        if let Some(last) = told.last() {
            let (at, path) = (last.at, String::new());
            let message = format!("{more} more mistakes are not shown");
            told.push(Diagnostic { severity: Severity::Error, at, path, message, hint: String::new() });
        }
    }
    match plan {
        Some(mut plan) if !broken => {
            plan.warnings = told;
            Ok(plan)
        }
        _ => Err(told),
    }
}

fn read_text(text: &str, options: &ReadOptions<'_>, diagnostics: &Diagnostics) -> Option<Plan> {
    let mut root = yaml::parse(text, &|scalar| env::expand(scalar, options.env), diagnostics)?;
    drop_private_keys(&mut root);
    let fields = Fields::new(&root, "", diagnostics)?;
    fields.expect(TOP_KEYS);
    fields.expect(components::TOP_KEYS);
    let name = fields.text("name");
    let name = name.and_then(|name| names::check(&fields, "name", &name).then_some(name));
    let target = options.target.clone().or(fields.text("target"));
    // read even if another one is used, so that a mistake in it is told
    let seed = fields.count("seed");
    let seed = options.seed.or(seed).unwrap_or(DEFAULT_SEED);
    let feeds = feeds::read(&fields, options.open_feeder, &options.folder, seed, diagnostics);
    let columns =
        feeds.iter().map(|placed| (placed.feed.name.clone(), placed.feed.source.columns().to_vec()));
    let symbols = Rc::new(Symbols::new(options.expressions.clone(), columns.collect()));
    let address = target.clone().or_else(|| fields.has("ground").then(|| NOT_STARTED.to_owned()));
    let context =
        StepContext { target: address, folder: options.folder.clone(), symbols: Rc::clone(&symbols) };

    let mut settings = BTreeMap::new();
    let mut remarks = Vec::new();
    for grammar in options.grammars {
        fields.expect(grammar.settings_keys());
        let read = grammar.settings(&fields, &context);
        remarks.extend(grammar.remarks(read.as_ref()));
        settings.insert(grammar.protocol(), read);
    }

    let flows = Flows::new(&fields, diagnostics);
    let mut reader = ScenarioReader::new(options.grammars, &context, flows, diagnostics);
    let plan_name = name.clone().unwrap_or_else(|| "plan".into());
    let scenarios = reader.read_all(&fields, &plan_name);
    let around = test_table::around(&fields, &scenarios, &mut reader);
    let (drafts, measures) = reader.finish();
    let steps = names::assign(drafts, &scenarios, diagnostics);
    tell_unknown(&symbols, diagnostics);

    let lateness = lateness(&fields);
    let (components, monitor_every) = components::read(&fields, diagnostics);
    let names = Names::new(&steps, &scenarios).with_values(&steps, &measures, &components);
    let common = fields.get("thresholds");
    let common = common.map(|node| thresholds::read(node, "thresholds", &names, diagnostics));
    let ground = suites::ground(&fields);
    let tests = test_table::read_all(
        &fields,
        &names,
        &common.unwrap_or_default(),
        around,
        options.read_file,
        diagnostics,
    );
    let mut scenarios = scenarios;
    feeds::settle(&mut scenarios, &tests, &feeds, seed, diagnostics);
    let suites = suites::read(&fields, &tests, diagnostics);
    fields.finish();
    if diagnostics.has_errors() {
        return None;
    }
    remarks.extend(injected(&steps));
    Some(Plan {
        hash: hash_of(text, &root, target.as_deref(), seed),
        text: mask::mask(text),
        name: plan_name,
        target,
        seed,
        scenarios,
        steps,
        measures,
        feeders: feeds.into_iter().map(|placed| placed.feed).collect(),
        variables: symbols.names(),
        tests,
        suites,
        ground,
        settings,
        lateness,
        components,
        monitor_every,
        remarks,
        file: String::new(),
        warnings: Vec::new(),
    })
}

/// What reports say of failures of our own making.
fn injected(steps: &[Step]) -> Vec<String> {
    let told = steps.iter().filter(|step| step.fail > 0.0);
    told.map(|step| {
        let percent = (step.fail * 1e6).round() / 1e4;
        format!("{percent}% of `{}` are failed on our side, unsent, as the plan asks", step.name)
    })
    .collect()
}

/// Variables that something uses and nothing saves.
fn tell_unknown(symbols: &Symbols, diagnostics: &Diagnostics) {
    let known = symbols.known();
    let known: Vec<&str> = known.iter().map(String::as_str).chain(BUILT_IN).collect();
    for unknown in symbols.unknown() {
        let name = &unknown.name;
        let hint = match fields::suggest(name, &known) {
            hint if hint.starts_with("did you mean") => hint,
            _ => format!("save it in a step before, as in `save: {{{name}: json.{name}}}`"),
        };
        diagnostics.error(unknown.at, &unknown.path, format!("nothing gives `${{{name}}}` a value"), hint);
    }
}

/// The hash sees variables filled in, except in secrets: a new password is not a new experiment.
fn hash_of(text: &str, root: &Node, target: Option<&str>, seed: u64) -> String {
    let raw = yaml::parse(text, &|_| Ok(None), &Diagnostics::new());
    hash::of(root, raw.as_ref(), target, seed)
}

/// Keys at the top that begin with `x-` are the user's own (places for anchors): dropped.
fn drop_private_keys(root: &mut Node) {
    if let NodeKind::Map(map) = &mut root.kind {
        map.entries.retain(|(key, _, _)| !is_private(key));
    }
}

/// Whether a key at the top of a plan is the user's own.
pub(crate) fn is_private(key: &str) -> bool {
    key.starts_with("x-")
}

fn lateness(fields: &Fields<'_>) -> LatenessBudget {
    let mut budget = LatenessBudget::default();
    let Some(generator) = fields.table("generator") else { return budget };
    generator.expect(GENERATOR_KEYS);
    if let Some(lateness) = generator.table("lateness") {
        lateness.expect(LATENESS_KEYS);
        budget.floor = lateness.duration("floor").unwrap_or(budget.floor);
        let share = lateness.parse("share", crucible_core::threshold::parse_share_exact);
        budget.share = share.unwrap_or(budget.share);
        lateness.finish();
    }
    generator.finish();
    budget
}

#[cfg(test)]
mod tests;
