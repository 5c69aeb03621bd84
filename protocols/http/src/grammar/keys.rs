//! The rows that help, reference and JSON Schema are generated from.

use crucible_core::Key;

const fn key(name: &'static str, schema: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, schema, doc, example }
}

const TEXT: &str = r#"{"type":"string"}"#;
const DURATION: &str = r#"{"type":"string","examples":["500ms","30s"]}"#;
const SCALARS: &str = r#"{"type":"object","additionalProperties":{"type":["string","number","boolean"]}}"#;
const AUTH: &str = r#"{"oneOf":[{"const":"none"},{"type":"object","additionalProperties":false,"minProperties":1,"maxProperties":1,"properties":{"bearer":{"type":"string"},"basic":{"type":"object","additionalProperties":false,"required":["user"],"properties":{"user":{"type":"string"},"password":{"type":"string"}}},"digest":{"type":"object","additionalProperties":false,"required":["user"],"properties":{"user":{"type":"string"},"password":{"type":"string"}}}}}]}"#;
const TIMEOUTS: &str = r#"{"type":"object","additionalProperties":false,"properties":{"total":{"type":"string"},"resolve":{"type":"string"},"connect":{"type":"string"},"tls":{"type":"string"},"send":{"type":"string"},"first_byte":{"type":"string"},"receive":{"type":"string"}}}"#;

/// Keys that make a step an HTTP step.
pub(super) const OPENERS: [Key; 8] = [
    key("get", TEXT, "GET this path of the target, or this URL.", "/api/items?page=${random(1, 9)}"),
    key("post", TEXT, "POST to this path or URL.", "/api/items"),
    key("put", TEXT, "PUT to this path or URL.", "/api/items/${vu}"),
    key("patch", TEXT, "PATCH this path or URL.", "/api/items/1"),
    key("delete", TEXT, "DELETE this path or URL.", "/api/items/1"),
    key("head", TEXT, "HEAD of this path or URL.", "/api/items"),
    key("options", TEXT, "OPTIONS of this path or URL.", "/api/items"),
    key(
        "request",
        r#"{"type":"object","required":["method","url"],"additionalProperties":false,"properties":{"method":{"type":"string"},"url":{"type":"string"}}}"#,
        "Any method.",
        "{method: PURGE, url: /cache}",
    ),
];

/// Further keys of an HTTP step.
pub(super) const STEP: [Key; 17] = [
    key("query", SCALARS, "Query parameters, percent-encoded and added to the path.", "{page: 2, q: a b}"),
    key("headers", SCALARS, "Headers of this request.", "{X-CSRF-Token: abc}"),
    key(
        "auth",
        AUTH,
        "Credentials: {bearer: TOKEN}, {basic: {user: U, password: P}}, {digest: {user: U, password: P}}; none for none.",
        "{bearer: \"${token}\"}",
    ),
    key("body", TEXT, "Body as text.", "hello"),
    key("json", "{}", "Body as JSON.", "{title: hello}"),
    key("form", SCALARS, "Body as an HTML form.", "{user: anna}"),
    key(
        "multipart",
        r#"{"type":"object"}"#,
        "Body as multipart/form-data; a part is text or {file: PATH}.",
        "{avatar: {file: a.png}}",
    ),
    key("file", TEXT, "Body from a file.", "payload.bin"),
    key(
        "check",
        r#"{"type":"object"}"#,
        "Conditions on the answer: status, header.NAME, body, json.PATH, size, latency, and `that` on saved values.",
        "{status: 200, json.user: \"${vu}\", header.etag: {exists: true}}",
    ),
    key(
        "save",
        r#"{"type":"object","additionalProperties":{"oneOf":[{"type":"string"},{"type":"object","additionalProperties":false,"properties":{"from":{"type":"string"},"json":{"type":"string"},"header":{"type":"string"},"cookie":{"type":"string"},"css":{"type":"string"},"attribute":{"type":"string"},"regex":{"type":"string"},"group":{"type":["string","integer"]},"pick":{"enum":["first","last","random","all","count"]},"default":{},"optional":{"type":"boolean"}}}]}}"#,
        "Values of the answer to keep: json.PATH, header.NAME, cookie.NAME, body, status, size, latency, or {regex|css: ...}.",
        "{csrf: json.csrf_token, id: {header: Location, regex: '/items/([0-9]+)'}}",
    ),
    key(
        "measure",
        r#"{"type":"object","additionalProperties":{"oneOf":[{"type":"string"},{"type":"object","additionalProperties":false,"properties":{"from":{"type":"string"},"that":{"type":"string"},"json":{"type":"string"},"header":{"type":"string"},"cookie":{"type":"string"},"css":{"type":"string"},"attribute":{"type":"string"},"regex":{"type":"string"},"group":{"type":["string","integer"]},"pick":{"enum":["first","last","random","all","count"]},"kind":{"enum":["trend","gauge","counter","rate"]},"unit":{"type":"string"},"optional":{"type":"boolean"}}}]}}"#,
        "Values of the answer that become series of their own: a trend unless `kind` says gauge, counter or rate.",
        "{queue_length: json.length, db_time: {from: json.timings.db, kind: trend, unit: ms}}",
    ),
    key(
        "split",
        r#"{"type":["object","array"],"properties":{"name":{"type":"string"},"by":{"type":["string","object"]},"expect":{"type":["object","array"]},"optional":{"type":"boolean"}}}"#,
        "Which of several parts of the target answered, and the shares that are expected.",
        "{name: backend, by: header.X-Backend, expect: {old: 50%, new: 50%}}",
    ),
    key("timeout", DURATION, "Time limit of the whole operation.", "10s"),
    key("timeouts", TIMEOUTS, "Time limits of its parts.", "{connect: 1s, first_byte: 5s}"),
    key("follow", r#"{"type":"boolean"}"#, "Whether redirects are followed.", "false"),
    key("redirects", r#"{"type":"integer","minimum":0}"#, "Most redirects that are followed.", "3"),
    key("content_type", TEXT, "Content-Type of the body, if not the usual one.", "application/xml"),
];

/// Keys at the top of a plan.
pub(super) const SETTINGS: [Key; 6] = [
    key("headers", SCALARS, "Headers of every request.", "{Accept: application/json}"),
    key(
        "tls",
        r#"{"type":"object","additionalProperties":false,"properties":{"ca":{"type":"string"},"cert":{"type":"string"},"key":{"type":"string"},"verify":{"type":"boolean"},"server_name":{"type":"string"}}}"#,
        "Own authority, client certificate, verification, server name.",
        "{ca: ./ca.pem}",
    ),
    key(
        "http",
        r#"{"type":"object","additionalProperties":false,"properties":{"keep_alive":{"type":"boolean"},"pool":{"enum":["vu","shared"]},"redirects":{"type":"integer","minimum":0},"cookies":{"enum":[true,false,"keep"]},"decompress":{"type":"boolean"},"accept_encoding":{"type":"string"},"max_body":{"type":["string","integer"]},"user_agent":{"type":"string"},"local_addresses":{"type":["array","string"],"items":{"type":"string"}},"unix_socket":{"type":"string"},"resolve":{"type":"object","additionalProperties":{"type":"string"}},"dns":{"type":"object","additionalProperties":false,"properties":{"policy":{"enum":["any","ipv4","ipv6","prefer_ipv4","prefer_ipv6"]},"select":{"enum":["first","random","round_robin"]},"ttl":{"type":"string"}}}}}"#,
        "Connections, redirects, cookies, names.",
        "{keep_alive: true, redirects: 10}",
    ),
    key(
        "auth",
        AUTH,
        "Credentials of every request to the target that names none of its own.",
        "{basic: {user: anna, password: secret}}",
    ),
    key("timeout", DURATION, "Time limit of every HTTP operation; 60s unless given.", "30s"),
    key("timeouts", TIMEOUTS, "Time limits of the parts of an operation.", "{connect: 2s}"),
];
