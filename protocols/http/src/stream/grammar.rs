//! Reads a step on a line: the words are the same for sockets and streams of events.

use super::condition::{self, Conditions};
use super::part::Part;
use super::request;
use super::step::{Demand, Keep, Latency, Open, Outgoing, Payload, StreamStep, Wait};
use crate::status::StatusMatch;
use base64::Engine as _;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, MeasureKind, MeasureSpec, Node, NodeKind, StepSpec};

/// What differs between the protocols.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The key that opens a line.
    pub opener: &'static str,
    /// What a line is called if the plan gives no name.
    pub line: &'static str,
    /// Whether messages can be sent, and later steps are written in this grammar.
    pub sends: bool,
}

/// Keys that only make sense where a line is opened.
const OPENING: [&str; 7] = ["as", "query", "headers", "auth", "subprotocols", "compress", "reconnect"];

/// Reads a step; mistakes go to the fields' diagnostics.
pub fn read_step(fields: &Fields<'_>, context: &StepContext, words: Words) -> Option<StepSpec> {
    let mut step = StreamStep::default();
    let opens = fields.has(words.opener);
    let mut usable = true;
    if opens {
        step.open = open(fields, context, words);
        usable = step.open.is_some();
        step.line = fields.text("as");
    } else {
        for key in OPENING.into_iter().filter(|key| fields.has(key)) {
            fields.get(key);
            let hint = format!("write it beside `{}`", words.opener);
            fields.error(key, format!("`{key}` belongs to the step that opens"), hint);
        }
    }
    if words.sends {
        if let Some(on) = fields.text("on") {
            match opens {
                true => {
                    fields.error("on", "a step that opens gives the name with `as`", "write `as` instead")
                }
                false => step.line = Some(on),
            }
        }
        if fields.has("send") {
            step.send = send(fields, context);
            usable &= step.send.is_some();
        }
    }
    wait(fields, context, &mut step);
    step.close = close(fields);
    step.within = fields.duration("within");
    step.timeout = fields.duration("timeout");
    step.ignore = ignore(fields, context);
    demands(fields, context, &mut step);
    keeps(fields, context, &mut step);
    let line = step.line.clone().unwrap_or_else(|| words.line.to_owned());
    measures(fields, &mut step, &line);
    step.name = name(fields, &step, words);
    if step.demands.len() + step.keeps.len() > 64 {
        fields.error("check", "a step has at most 64 checks", "make it two steps");
        return None;
    }
    usable.then(|| step.into_step())
}

fn name(fields: &Fields<'_>, step: &StreamStep, words: Words) -> String {
    if step.open.is_some() {
        let text = fields.text(words.opener).unwrap_or_default();
        let path = text.split(['?', '#']).next().unwrap_or_default();
        return format!("{} {}", words.opener.to_uppercase(), if path.is_empty() { "/" } else { path });
    }
    let act = match (&step.send, &step.wait) {
        (Some(_), _) => "send",
        (None, Wait::Expect(_) | Wait::Closed(_)) => "expect",
        (None, Wait::Receive(_)) => "receive",
        (None, Wait::Hold(_)) => "hold",
        (None, Wait::Nothing) => "close",
    };
    match &step.line {
        Some(line) => format!("{act} on {line}"),
        None => act.to_owned(),
    }
}

fn open(fields: &Fields<'_>, context: &StepContext, words: Words) -> Option<Open> {
    let text = fields.text(words.opener);
    let mut subprotocols = Vec::new();
    if words.sends {
        for node in fields.list("subprotocols").unwrap_or_default() {
            match node.scalar().filter(|word| crate::spec::is_token(word)) {
                Some(word) => subprotocols.push(word),
                None => {
                    let hint = "write words without spaces";
                    fields.error("subprotocols", "this is not the name of a subprotocol", hint);
                }
            }
        }
    }
    let compress = if words.sends { fields.flag("compress") } else { None };
    let reconnect = fields.flag("reconnect").unwrap_or(false);
    let text = text?;
    // sockets have schemes of their own for the same thing
    let address = match text.trim().split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => text,
    };
    let request = request::read_get(fields, words.opener, &address, context)?;
    Some(Open { word: words.opener, request, subprotocols, compress, reconnect })
}

fn send(fields: &Fields<'_>, context: &StepContext) -> Option<Outgoing> {
    let node = fields.get("send")?;
    if node.as_map().is_none() {
        let text = fields.text("send")?;
        let content = request::read_text(fields, "send", &text, context)?;
        return Some(Outgoing { payload: Payload::Text(content) });
    }
    let table = fields.table("send")?;
    let contents = ["text", "json", "base64"].into_iter().filter(|key| table.has(key)).count();
    let content = request::read_content(&table, context);
    let binary = table.text("base64").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim());
        bytes.map_err(|error| table.error("base64", "this is not base64", error.to_string())).ok()
    });
    table.finish();
    if contents != 1 {
        let hint = "write one of {text: ...}, {json: ...}, {base64: ...}";
        fields.error("send", "a message has one content", hint);
        return None;
    }
    let payload = match binary {
        Some(bytes) => Payload::Binary(bytes.into()),
        None => Payload::Text(content?),
    };
    Some(Outgoing { payload })
}

fn wait(fields: &Fields<'_>, context: &StepContext, step: &mut StreamStep) {
    let mut found = Vec::new();
    if let Some(table) = fields.table("expect") {
        found.push(expect(&table, context, step));
    }
    if let Some(count) = fields.count("receive") {
        found.push(Wait::Receive(count.max(1)));
    }
    if let Some(time) = fields.duration("hold") {
        found.push(Wait::Hold(time));
    }
    if found.len() > 1 {
        let key = if fields.has("hold") { "hold" } else { "receive" };
        fields.error(key, "a step waits for one thing", "make it two steps");
    }
    step.wait = found.into_iter().next().unwrap_or_default();
}

fn expect(table: &Fields<'_>, context: &StepContext, step: &mut StreamStep) -> Wait {
    let mut conditions = Vec::new();
    let mut codes = None;
    for (key, _, node) in table.all() {
        if key == "close" {
            codes = Some(close_codes(table, node));
        } else {
            conditions.extend(condition::read(table, key, node, context));
        }
    }
    match codes {
        Some(codes) => {
            if !conditions.is_empty() {
                table.error("close", "a close is no message", "wait for the message in a step before");
            }
            step.demands.push(Demand::Closed(codes.clone()));
            Wait::Closed(codes)
        }
        None => Wait::Expect(conditions),
    }
}

/// `4001`, `[4001, 1008]`, or `true` for any.
fn close_codes(table: &Fields<'_>, node: &Node) -> Vec<u16> {
    if node.kind == NodeKind::Bool(true) {
        return Vec::new();
    }
    let mut codes = Vec::new();
    for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        match item.scalar().and_then(|text| text.parse().ok()).filter(|code| (1000..=4999).contains(code)) {
            Some(code) => codes.push(code),
            None => {
                let hint = "write a number from 1000 to 4999, or true for any";
                table.error("close", "this is not a close code", hint);
            }
        }
    }
    codes
}

/// Codes that a client may send (RFC 6455 7.4).
fn close(fields: &Fields<'_>) -> Option<u16> {
    let node = fields.get("close")?;
    match node.kind {
        NodeKind::Bool(true) => Some(1000),
        NodeKind::Int(code) if matches!(code, 1000..=1003 | 1007..=1011 | 3000..=4999) => Some(code as u16),
        _ => {
            let hint = "write 1000, or 3000 to 4999 for your own";
            fields.error("close", "this is not a code that can be sent", hint);
            None
        }
    }
}

fn ignore(fields: &Fields<'_>, context: &StepContext) -> Option<Conditions> {
    let node = fields.get("ignore")?;
    match node.kind {
        NodeKind::Bool(on) => on.then(Vec::new),
        _ => Some(condition::read_all(&fields.table("ignore")?, context)),
    }
}

fn demands(fields: &Fields<'_>, context: &StepContext, step: &mut StreamStep) {
    let Some(table) = fields.table("check") else { return };
    let (mut about_message, mut about_opening) = (false, false);
    for (key, _, node) in table.all() {
        match key.split_once('.').unwrap_or((key, "")) {
            ("status", "") => {
                let mut ranges = Vec::new();
                for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
                    match StatusMatch::parse(&item.scalar().unwrap_or_default()) {
                        Ok(status) => ranges.extend(status.ranges),
                        Err(hint) => table.error("status", "this is not a status", hint),
                    }
                }
                step.demands.push(Demand::Status(StatusMatch { ranges }));
                about_opening = true;
            }
            ("header", name) if crate::spec::is_token(name) => {
                let conditions = condition::read_as(&table, key, "text", node, context);
                step.demands.extend(conditions.into_iter().map(|test| Demand::Header(name.to_owned(), test)));
                about_opening = true;
            }
            _ => {
                let conditions = condition::read(&table, key, node, context);
                step.demands.extend(conditions.into_iter().map(Demand::Message));
                about_message = true;
            }
        }
    }
    if about_message && matches!(step.wait, Wait::Nothing | Wait::Closed(_)) {
        fields.error("check", "this step waits for no message", "add `expect` or `receive`");
    }
    if about_opening && step.open.is_none() {
        let hint = "move `status` and `header` to the step that does";
        fields.error("check", "this step opens nothing", hint);
    }
}

fn keeps(fields: &Fields<'_>, context: &StepContext, step: &mut StreamStep) {
    let Some(table) = fields.table("save") else { return };
    for (name, at, node) in table.all() {
        let text = node.scalar().unwrap_or_default();
        let from = match text.split_once('.') {
            Some(("header", header)) if crate::spec::is_token(header) => Some(Err(header.to_owned())),
            _ => match Part::parse(&text) {
                Ok(part) => Some(Ok(part)),
                Err(hint) => {
                    table.error(name, format!("{text:?} is no part of a message"), hint);
                    None
                }
            },
        };
        // a name whose source is wrong is still known: one mistake is told once
        match (context.symbols.define(name), from) {
            (Ok(slot), Some(from)) => step.keeps.push(Keep { name: name.to_owned(), slot, from, text }),
            (Ok(_), None) => {}
            (Err(hint), _) => {
                let path = table.path_of(name);
                table.diagnostics().error(at, &path, format!("nothing can be saved as {name:?}"), hint);
            }
        }
    }
}

fn measures(fields: &Fields<'_>, step: &mut StreamStep, line: &str) {
    if let Some(node) = fields.get("latency") {
        let (mut from, mut name) = (node.scalar(), None);
        if node.as_map().is_some()
            && let Some(table) = fields.table("latency")
        {
            (from, name) = (table.text("from"), table.text("name"));
            table.finish();
        }
        match Part::parse(from.as_deref().unwrap_or_default()) {
            Ok(from) => {
                let name = name.unwrap_or_else(|| format!("{line} latency"));
                step.latency = Some(Latency { from, measure: step.measures.len() });
                step.measures.push(MeasureSpec { name, kind: MeasureKind::Trend, unit: "ms".to_owned() });
            }
            Err(hint) => {
                let hint = format!("write {{from: json.PATH}}; {hint}");
                fields.error("latency", "it is not said where the instant is", hint);
            }
        }
    }
    // what a step that only stays connected saw would be lost without a counter
    let usual = || matches!(step.wait, Wait::Hold(_)).then(|| format!("{line} messages"));
    if let Some(name) = fields.text("count").or_else(usual) {
        step.count = Some(step.measures.len());
        step.measures.push(MeasureSpec { name, kind: MeasureKind::Counter, unit: "messages".to_owned() });
    }
}
