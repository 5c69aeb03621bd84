//! The rows that help, reference and JSON Schema are generated from.

use crucible_core::Key;

const fn key(name: &'static str, schema: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, schema, doc, example }
}

const TEXT: &str = r#"{"type":"string"}"#;
const TABLE: &str = r#"{"type":"object"}"#;
const DURATION: &str = r#"{"type":"string","examples":["500ms","30s"]}"#;
const SCALARS: &str = r#"{"type":"object","additionalProperties":{"type":["string","number","boolean"]}}"#;

/// Keys of which one makes a step one on a socket or an event stream. A step may have several: it opens, sends, waits and
/// closes, in this order.
pub(crate) const OPENERS: [Key; 6] = [
    key(
        "ws",
        TEXT,
        "Opens a WebSocket: a path of the target, or a ws://, wss://, http:// or https:// URL.",
        "/ws?token=${token}",
    ),
    key(
        "send",
        r#"{"type":["string","object"]}"#,
        "Sends a message: text, or {text: ...}, {json: ...}, {base64: ...}.",
        "{json: {action: ping}}",
    ),
    key(
        "expect",
        TABLE,
        "Waits for a message that meets all conditions (text, json.PATH, size; event, id of server-sent events), or for {close: CODE}.",
        "{json.type: pong}",
    ),
    key("receive", r#"{"type":["integer","string"]}"#, "Waits for so many messages.", "10"),
    key("hold", DURATION, "Stays connected for so long and takes what comes.", "30s"),
    key(
        "close",
        r#"{"type":["integer","boolean"]}"#,
        "Closes: with this code (1000 or 3000-4999) and the peer's answer to it, or true.",
        "1000",
    ),
];

/// Further keys of such a step.
pub(crate) const STEP: [Key; 15] = [
    key("as", TEXT, "Name of the socket that is opened, if a user has several.", "logs"),
    key(
        "on",
        TEXT,
        "Name of the socket or stream that the step is about; needed if a user has several.",
        "logs",
    ),
    key(
        "query",
        SCALARS,
        "Query parameters of the handshake, percent-encoded and added to the path.",
        "{token: abc}",
    ),
    key("headers", SCALARS, "Headers of the handshake.", "{Cookie: sid=abc}"),
    key("auth", TABLE, "Credentials: {bearer: TOKEN} or {basic: {user: U, password: P}}.", "{bearer: abc}"),
    key(
        "subprotocols",
        r#"{"type":["string","array"],"items":{"type":"string"}}"#,
        "Subprotocols to offer; the server must choose one of them.",
        "[graphql-transport-ws]",
    ),
    key(
        "compress",
        r#"{"type":"boolean"}"#,
        "Whether per-message deflate is offered; true unless the settings say otherwise.",
        "false",
    ),
    key("reconnect", r#"{"type":"boolean"}"#, "Whether a later step opens it again if it is gone.", "true"),
    key("within", DURATION, "Time limit of the waiting.", "5s"),
    key("timeout", DURATION, "Time limit of the whole step, a `hold` not counted.", "10s"),
    key(
        "ignore",
        r#"{"type":["boolean","object"]}"#,
        "Messages that are not waited for are forgotten instead of kept for later steps: all of them, or those that meet these conditions.",
        "{json.type: heartbeat}",
    ),
    key(
        "check",
        TABLE,
        "Demands: `status` and header.NAME on the handshake; text, json.PATH, size on the message that was waited for.",
        "{json.ok: true}",
    ),
    key(
        "save",
        TABLE,
        "Values to keep from the message: json.PATH, text, size, header.NAME, event, id.",
        "{id: json.id}",
    ),
    key(
        "latency",
        r#"{"type":["string","object"]}"#,
        "Where a message says when it was sent: feeds a trend in ms. {from: json.PATH, name: NAME}",
        "{from: json.timestamp}",
    ),
    key("count", TEXT, "Name of the counter of messages that this step feeds.", "log lines"),
];

/// Keys at the top of a plan.
pub(crate) const SETTINGS: [Key; 1] = [key(
    "websocket",
    r#"{"type":"object","additionalProperties":false,"properties":{"compress":{"type":"boolean"},"max_message":{"type":["string","integer"]}}}"#,
    "Compression, and the largest message that is taken (1MiB unless given).",
    "{compress: false, max_message: 64KB}",
)];
