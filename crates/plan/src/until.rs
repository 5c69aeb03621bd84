//! `until`: the work of a step goes on after its answer, and this says how one learns of its end.

use crate::journey::{condition, template};
use crate::model::StepRole;
use crate::names;
use crate::program::{Backoff, Op, Reread, Span, Transaction};
use crate::scenarios::ScenarioReader;
use crate::steps::{Draft, Place};
use crucible_core::{Fields, Key, Node, NodeKind, Ns, Slot, StepId, Template, units};

/// Keys of `until`, beside those of the step that asks.
pub(crate) const UNTIL_KEYS: &[Key] = &[
    Key {
        name: "name",
        schema: r#"{"type": "string", "minLength": 1}"#,
        doc: "What the step that asks is called.",
        example: "ask for the result",
    },
    Key {
        name: "every",
        schema: r##"{"$ref": "#/$defs/think"}"##,
        doc: "Time from an answer to the next question; `50ms..2s` doubles it each time. 100ms unless given.",
        example: "100ms",
    },
    Key {
        name: "within",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "Longest time from the answer of the step to the end of the job.",
        example: "30s",
    },
    Key {
        name: "done",
        schema: r##"{"$ref": "#/$defs/condition"}"##,
        doc: "The job is done if the answer is ok and this holds; without it, an answer that is ok (its checks hold) is enough.",
        example: "state == 'completed'",
    },
    Key {
        name: "failed",
        schema: r##"{"$ref": "#/$defs/condition"}"##,
        doc: "The job has failed.",
        example: "state == 'failed'",
    },
    Key {
        name: "begun",
        schema: r##"{"$ref": "#/$defs/condition"}"##,
        doc: "The job has begun; one that is late and never had is told apart as stuck.",
        example: "state == 'running'",
    },
    Key {
        name: "lost",
        schema: r#"{"type": "object", "properties": {"status": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}}, "additionalProperties": false}"#,
        doc: "Codes that say that the job is not known any more; 404 and 410 unless given.",
        example: "{status: [404]}",
    },
    Key {
        name: "times",
        schema: r##"{"$ref": "#/$defs/times"}"##,
        doc: "Timestamps in the answers (saved variables) between which spans lie.",
        example: "{queue: [\"${created_at}\", \"${started_at}\"], execution: [\"${started_at}\", \"${completed_at}\"]}",
    },
    Key {
        name: "reread",
        schema: r##"{"anyOf": [{"$ref": "#/$defs/duration"}, {"$ref": "#/$defs/reread"}]}"##,
        doc: "Reads the final state again after this long; one that has changed is an outcome of its own.",
        example: "2s",
    },
];

const PAIR: &str = r#"{"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "string"}}"#;

/// Keys of `until.times`.
pub(crate) const TIMES_KEYS: &[Key] = &[
    Key {
        name: "queue",
        schema: PAIR,
        doc: "From the making of the job to its begin.",
        example: "[\"${created_at}\", \"${started_at}\"]",
    },
    Key {
        name: "execution",
        schema: PAIR,
        doc: "From its begin to its end.",
        example: "[\"${started_at}\", \"${completed_at}\"]",
    },
    Key {
        name: "total",
        schema: PAIR,
        doc: "From its making to its end; from `queue` and `execution` unless given.",
        example: "[\"${created_at}\", \"${completed_at}\"]",
    },
];

/// Keys of `until.reread`.
pub(crate) const REREAD_KEYS: &[Key] = &[
    Key {
        name: "after",
        schema: r##"{"$ref": "#/$defs/duration"}"##,
        doc: "How long after the first time.",
        example: "2s",
    },
    Key {
        name: "same",
        schema: r#"{"type": "array", "items": {"type": "string"}}"#,
        doc: "Variables that must be the same then; all that the step saves unless given.",
        example: "[state, result]",
    },
];

/// Codes that say that a job is not known, unless the plan says otherwise.
const LOST: [u16; 2] = [404, 410];

/// Most codes of `lost`.
const LOST_MAX: usize = 64;

/// Reads `until` of the step `step` (`None` if that one is broken).
pub(crate) fn read<'a>(
    reader: &mut ScenarioReader<'a>,
    node: &'a Node,
    path: String,
    step: Option<StepId>,
    place: &Place,
) -> Option<Op> {
    let fields = Fields::new(node, path, reader.diagnostics)?;
    fields.expect(UNTIL_KEYS);
    let given = fields.text("name").filter(|name| names::check(&fields, "name", name));
    for key in ["think", "weight", "until", "fail"] {
        if fields.has(key) {
            fields.error(key, format!("`{key}` does not go with `until`"), "remove it");
            let _ = fields.get(key);
        }
    }
    let forgets = saved(reader, &fields);
    let grammar = reader.grammar_of(&fields);
    let spec = grammar.and_then(|grammar| reader.spec(grammar, &fields));
    let follow = grammar.zip(spec).and_then(|(grammar, spec)| {
        let draft = reader.draft(&fields, place, grammar.protocol(), spec);
        reader.keep(Draft { given, role: StepRole::Follow, ..draft })
    });
    let every = every(&fields);
    if !fields.has("within") {
        let hint = "say how long a job may take, as in `within: 30s`";
        fields.error("within", "`until` without `within` might wait for ever", hint);
    }
    let within = fields.duration("within");
    let done = condition(reader, &fields, "done");
    let failed = condition(reader, &fields, "failed");
    let begun = condition(reader, &fields, "begun");
    let lost = lost(&fields);
    let reread = reread(reader, &fields, &forgets);
    let row = |reader: &mut ScenarioReader<'a>, words: &'static str| {
        let draft = reader.timed(&fields, place, words);
        reader.keep(Draft { of: step.map(|step| (step, words)), ..draft })
    };
    let whole = row(reader, "to the end");
    let mut spans = Vec::new();
    let mut made_to_end = None;
    if let Some(table) = fields.table("times") {
        table.expect(TIMES_KEYS);
        let queue = pair(reader, &table, "queue");
        let execution = pair(reader, &table, "execution");
        let total = pair(reader, &table, "total");
        table.finish();
        made_to_end = match (total, &queue, &execution) {
            (Some(total), ..) => Some(total),
            (None, Some((made, _)), Some((_, end))) => Some((made.clone(), end.clone())),
            _ => None,
        };
        for (pair, words) in [(queue, "queue"), (execution, "execution")] {
            if let Some((from, to)) = pair {
                spans.extend(row(reader, words).map(|row| Span { row, from, to }));
            }
        }
    }
    let delay = if made_to_end.is_some() { row(reader, "polling delay") } else { None };
    fields.finish();
    Some(Op::Transaction(Box::new(Transaction {
        step: step?,
        follow: follow?,
        whole: whole?,
        delay,
        spans,
        made_to_end,
        every: every?,
        within: within?,
        done,
        failed,
        begun,
        lost: lost?,
        reread,
        forgets,
    })))
}

/// Variables that the step that asks saves.
fn saved(reader: &ScenarioReader<'_>, fields: &Fields<'_>) -> Vec<Slot> {
    let Some(NodeKind::Map(map)) = fields.get("save").map(|node| &node.kind) else { return Vec::new() };
    // what is wrong with a name is told by the grammar
    map.entries.iter().filter_map(|(name, _, _)| reader.context.symbols.define(name).ok()).collect()
}

fn every(fields: &Fields<'_>) -> Option<Backoff> {
    if !fields.has("every") {
        return Some(Backoff::constant(Ns::from_millis(100)));
    }
    fields.parse("every", |text| {
        let above_zero = |text: &str| match units::parse_duration(text)? {
            Ns::ZERO => Err("write a duration above 0, as in 100ms".to_owned()),
            span => Ok(span),
        };
        let Some((first, most)) = text.split_once("..") else {
            return above_zero(text).map(Backoff::constant);
        };
        let (first, most) = (above_zero(first)?, above_zero(most)?);
        if first > most {
            return Err(format!("the shorter one comes first: {most}..{first}"));
        }
        Ok(Backoff { first, most, factor: 2.0 })
    })
}

fn lost(fields: &Fields<'_>) -> Option<Vec<u16>> {
    if !fields.has("lost") {
        return Some(LOST.to_vec());
    }
    let table = fields.table("lost")?;
    let nodes = table.list("status").unwrap_or_default();
    let mut codes = Vec::new();
    for node in nodes.iter().take(LOST_MAX) {
        match &node.kind {
            NodeKind::Int(code) if (1..=i64::from(u16::MAX)).contains(code) => codes.push(*code as u16),
            _ => {
                table.error("status", "this is no code", "write codes as in `status: [404, 410]`");
                return None;
            }
        }
    }
    table.finish();
    Some(codes)
}

fn reread(reader: &ScenarioReader<'_>, fields: &Fields<'_>, saved: &[Slot]) -> Option<Reread> {
    let node = fields.get("reread")?;
    if !matches!(node.kind, NodeKind::Map(_)) {
        return fields.duration("reread").map(|after| Reread { after, same: saved.to_vec() });
    }
    let table = fields.table("reread")?;
    table.expect(REREAD_KEYS);
    let after = table.duration("after");
    if !table.has("after") {
        table.error("after", "`after` is missing", "write how long after, as in `after: 2s`");
    }
    let mut same = Vec::new();
    for node in table.list("same").unwrap_or_default() {
        let slot = node.scalar().and_then(|name| reader.context.symbols.define(&name).ok());
        match slot.filter(|slot| saved.contains(slot)) {
            Some(slot) => same.push(slot),
            None => {
                let hint = "name variables that stand in `save` beside it";
                table.error("same", "the step that asks does not save this", hint);
            }
        }
    }
    if !table.has("same") {
        same = saved.to_vec();
    }
    table.finish();
    Some(Reread { after: after?, same })
}

/// Two timestamps.
fn pair(reader: &ScenarioReader<'_>, table: &Fields<'_>, key: &'static str) -> Option<(Template, Template)> {
    let nodes = table.list(key)?;
    let [from, to] = nodes else {
        let hint = format!("write `{key}: [\"${{created_at}}\", \"${{started_at}}\"]`");
        table.error(key, "a begin and an end are needed", hint);
        return None;
    };
    let path = |index: usize| format!("{}[{index}]", table.path_of(key));
    template(reader, table, from, &path(0)).zip(template(reader, table, to, &path(1)))
}
