//! The rows that help, reference and JSON Schema are generated from.

use crucible_core::Key;

const fn key(name: &'static str, schema: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, schema, doc, example }
}

const TEXT: &str = r#"{"type":"string"}"#;
const TABLE: &str = r#"{"type":"object"}"#;
const DURATION: &str = r#"{"type":"string","examples":["500ms","30s"]}"#;
const SCALARS: &str = r#"{"type":"object","additionalProperties":{"type":["string","number","boolean"]}}"#;

/// The key that opens a stream of events.
pub(crate) const OPENERS: [Key; 1] =
    [key("sse", TEXT, "Opens a stream of server-sent events: a path of the target, or a URL.", "/events")];

/// Further keys of a step that opens one. Later steps on it are written as those on a socket.
pub(crate) const STEP: [Key; 15] = [
    key("as", TEXT, "Name of the stream that is opened, if a user has several.", "feed"),
    key(
        "expect",
        TABLE,
        "Waits for an event that meets all conditions: event, id, text, json.PATH, size.",
        "{event: done, json.id: 7}",
    ),
    key("receive", r#"{"type":["integer","string"]}"#, "Waits for so many events.", "10"),
    key("hold", DURATION, "Stays connected for so long and takes what comes.", "30s"),
    key("close", r#"{"type":["integer","boolean"]}"#, "Closes at the end of the step.", "true"),
    key("query", SCALARS, "Query parameters, percent-encoded and added to the path.", "{topic: news}"),
    key("headers", SCALARS, "Headers of the request.", "{Cookie: sid=abc}"),
    key("auth", TABLE, "Credentials: {bearer: TOKEN} or {basic: {user: U, password: P}}.", "{bearer: abc}"),
    key(
        "reconnect",
        r#"{"type":"boolean"}"#,
        "Whether it is opened again if it ends, with Last-Event-ID.",
        "true",
    ),
    key("within", DURATION, "Time limit of the waiting.", "5s"),
    key("timeout", DURATION, "Time limit of the whole step, a `hold` not counted.", "10s"),
    key(
        "ignore",
        r#"{"type":["boolean","object"]}"#,
        "Events that are not waited for are forgotten instead of kept for later steps: all of them, or those that meet these conditions.",
        "{event: heartbeat}",
    ),
    key(
        "check",
        TABLE,
        "Demands: `status` and header.NAME on the answer; event, id, text, json.PATH, size on the event that was waited for.",
        "{json.ok: true}",
    ),
    key(
        "save",
        TABLE,
        "Values to keep from the event: json.PATH, text, event, id, size, header.NAME.",
        "{id: json.id}",
    ),
    key(
        "latency",
        r#"{"type":["string","object"]}"#,
        "Where an event says when it was sent: feeds a trend in ms. {from: json.PATH, name: NAME}",
        "{from: json.timestamp}",
    ),
];
