//! JSON Schema of plans, made from the rows that the readers use: the plan's own, the load profiles' and the
//! grammars'. Editors complete and check plans with it; what it lets through is still read and judged by
//! [`crate::read()`].

use crate::model::LatenessBudget;
use crate::{
    components, feeds, journey, read, scenarios, steps, suites, test_table, think, thresholds, until, yaml,
};
use crucible_core::{Diagnostics, Key, Node, NodeKind, StepGrammar};
use crucible_schedule::PROFILES;
use serde_json::{Map, Value, json};

/// JSON Schema (draft 2020-12) of a plan whose steps may be of these protocols.
pub fn schema(grammars: &[&dyn StepGrammar]) -> Value {
    let mut top = properties(read::TOP_KEYS);
    top.extend(properties(components::TOP_KEYS));
    // without `scenarios`, the keys of the only one stand at the top, but for its weight
    top.extend(scenarios::own_keys().map(|key| (key.name.to_owned(), property(key))));
    for grammar in grammars {
        top.extend(properties(grammar.settings_keys()));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Crucible plan",
        "type": "object",
        "properties": top,
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
        "required": ["tests"],
        "$defs": definitions(grammars),
    })
}

fn definitions(grammars: &[&dyn StepGrammar]) -> Value {
    let budget = LatenessBudget::default();
    json!({
        "env": {"type": "string", "pattern": r"\$\{\s*env\."},
        "count": {"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9][0-9_]*$"},
            {"$ref": "#/$defs/env"},
        ]},
        "weight": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"$ref": "#/$defs/env"}]},
        "duration": {"anyOf": [
            {"type": "string", "pattern": r"^\s*([0-9][0-9._]*\s*(ns|us|µs|ms|s|m|h|d)\s*)+$"},
            {"$ref": "#/$defs/env"},
        ]},
        "share": {"anyOf": [{"type": "string", "pattern": r"^[0-9.]+\s*%$"}, {"$ref": "#/$defs/env"}]},
        "think": {"anyOf": [
            {"type": "string", "pattern": r"^[0-9].*[a-zµ]\s*(\.\.\s*[0-9].*[a-zµ])?$"},
            {"$ref": "#/$defs/env"},
            table(properties(think::THINK_KEYS)),
        ]},
        "normal": table(properties(think::NORMAL_KEYS)),
        "scenario": table(properties(scenarios::SCENARIO_KEYS)),
        "lifetime": table(properties(scenarios::LIFETIME_KEYS)),
        "refresh": required(table(properties(scenarios::REFRESH_KEYS)), "steps"),
        "condition": {"type": ["string", "boolean"]},
        "step": item(grammars, &[]),
        "task": item(grammars, &[WEIGHT]),
        "until": step(grammars, until::UNTIL_KEYS),
        "times": table(properties(until::TIMES_KEYS)),
        "reread": required(table(properties(until::REREAD_KEYS)), "after"),
        "data": {"anyOf": feeds::KIND_KEYS.iter().map(data).collect::<Vec<_>>()},
        "test": test(),
        "thresholds": {
            "type": "object",
            "properties": {"*": {"$ref": "#/$defs/demands"}, "each": {"$ref": "#/$defs/demands"}},
            "additionalProperties": {"anyOf": [
                {"$ref": "#/$defs/demands"},
                {"$ref": "#/$defs/values"},
                {"type": "array", "items": {"$ref": "#/$defs/values"}},
            ]},
        },
        "demands": {"anyOf": [
            {"$ref": "#/$defs/measures"},
            {"type": "string"},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/measures"}]}},
        ]},
        "values": {
            "description": "Figures of a measure of the plan's own, or of what is read of a component.",
            "examples": [{"avg": "70%", "above 70%": "5m"}, {"celery": {"share": "45%..55%"}}],
            "type": "object",
            "additionalProperties": {"anyOf": [
                {"type": ["string", "number", "null"]},
                {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "object"]}},
            ]},
        },
        "measures": {
            "type": "object",
            "patternProperties": {
                r"^(service\.)?(p[0-9]+(\.[0-9]+)?|med|median)$": {"$ref": "#/$defs/limits"},
                r"^(avg|min|max|stddev|errors|throughput|checks|dropped)$": {"$ref": "#/$defs/limits"},
                r"^errors\.[a-z_]+$": {"$ref": "#/$defs/limits"},
            },
            "additionalProperties": false,
        },
        "limits": {
            "description": "One value, or bands from the best to the last acceptable one.",
            "examples": ["500ms", {"target": "500ms", "acceptable": "1s"}],
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": properties(thresholds::OPTION_KEYS),
                    "additionalProperties": {"type": "string"},
                },
            ],
        },
        "component": table(properties(components::COMPONENT_KEYS)),
        "componentLimits": table(properties(components::LIMIT_KEYS)),
        "monitor": table(properties(components::MONITOR_KEYS)),
        "ground": table(properties(suites::GROUND_KEYS)),
        "generator": table(properties(read::GENERATOR_KEYS)),
        "lateness": described(
            table(properties(read::LATENESS_KEYS)),
            &format!("Unless given: {} and {}%.", budget.floor, budget.share * 100.0),
        ),
    })
}

/// A table with these keys and no others.
fn table(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn required(mut table: Value, key: &str) -> Value {
    table["required"] = json!([key]);
    table
}

fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = text.into();
    schema
}

/// How often a task is drawn.
const WEIGHT: Key = Key {
    name: "weight",
    schema: r##"{"$ref": "#/$defs/weight"}"##,
    doc: "How often it is drawn, relative to the other tasks; 1 unless given.",
    example: "5",
};

/// What may stand in a list of steps: a step, one of the words, or a word without a table.
fn item(grammars: &[&dyn StepGrammar], more: &[Key]) -> Value {
    let mut forms =
        vec![step(grammars, &[steps::STEP_KEYS, more].concat()), json!({"enum": ["skip", "stop_vu"]})];
    for word in journey::WORDS {
        forms.push(required(table(properties(&[word.keys, more].concat())), word.keys[0].name));
    }
    json!({"anyOf": forms})
}

/// A source of rows of one kind; its own options are not known here.
fn data(kind: &Key) -> Value {
    let mut keys = properties(feeds::FEED_KEYS);
    keys.insert(kind.name.to_owned(), property(kind));
    json!({"type": "object", "properties": keys, "required": [kind.name]})
}

/// A step of any of the grammars: one of its openers, its own keys, and the common ones.
fn step(grammars: &[&dyn StepGrammar], common: &[Key]) -> Value {
    let one = |grammar: &&dyn StepGrammar| {
        let mut keys = properties(common);
        keys.extend(properties(grammar.openers()));
        keys.extend(properties(grammar.step_keys()));
        let mut step = table(keys);
        let openers = grammar.openers().iter().map(|key| json!({"required": [key.name]}));
        step["oneOf"] = openers.collect();
        step
    };
    match grammars {
        [grammar] => one(grammar),
        _ => json!({"anyOf": grammars.iter().map(one).collect::<Vec<_>>()}),
    }
}

/// A test: the keys of all profiles, a key of several with all its forms.
fn test() -> Value {
    let mut keys = properties(test_table::TEST_KEYS);
    for key in PROFILES.iter().flat_map(|profile| profile.keys) {
        let schema = property(key);
        match keys.get_mut(key.name) {
            None => {
                keys.insert(key.name.to_owned(), schema);
            }
            Some(known) if *known == schema => {}
            Some(known) => {
                if let Some(forms) = known.get_mut("anyOf").and_then(Value::as_array_mut) {
                    if !forms.contains(&schema) {
                        forms.push(schema);
                    }
                } else {
                    *known = json!({"anyOf": [known.clone(), schema]});
                }
            }
        }
    }
    let mut test = table(keys);
    test["examples"] = PROFILES.iter().filter_map(|profile| from_yaml(profile.example)).collect();
    test
}

fn properties(keys: &[Key]) -> Map<String, Value> {
    keys.iter().map(|key| (key.name.to_owned(), property(key))).collect()
}

/// The schema of one key's value, described. A row whose schema is no JSON gives one that allows everything: a test
/// walks the rows.
fn property(key: &Key) -> Value {
    let schema = serde_json::from_str(key.schema).unwrap_or(Value::Bool(true));
    let mut property = Map::new();
    property.insert("description".into(), key.doc.into());
    property.extend(from_yaml(key.example).map(|example| ("examples".to_owned(), json!([example]))));
    let narrow = ["pattern", "enum", "minimum", "const"].iter().any(|word| schema.get(word).is_some())
        || matches!(schema["type"].as_str(), Some("integer" | "number" | "boolean"));
    match schema {
        // whatever a value must look like, it may come from the environment
        schema if narrow => {
            property.insert("oneOf".into(), json!([schema, {"$ref": "#/$defs/env"}]));
        }
        Value::Object(schema) => property.extend(schema),
        _ => {}
    }
    Value::Object(property)
}

fn from_yaml(text: &str) -> Option<Value> {
    let diagnostics = Diagnostics::new();
    let tree = yaml::parse(text, &|_| Ok(None), &diagnostics)?;
    Some(to_json(&tree))
}

/// A tree as JSON; numbers that JSON does not have become nothing.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(value) => (*value).into(),
        NodeKind::Int(value) => (*value).into(),
        NodeKind::Float(value) => (*value).into(),
        NodeKind::Text(text) => text.as_str().into(),
        NodeKind::List(items) => items.iter().map(to_json).collect(),
        NodeKind::Map(map) => map.entries.iter().map(|(key, _, node)| (key.clone(), to_json(node))).collect(),
    }
}

#[cfg(test)]
mod tests;
