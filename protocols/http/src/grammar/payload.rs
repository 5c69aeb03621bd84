//! Bodies of requests: text, JSON, forms, parts, files.

use super::text::{encode_around, encode_value, template};
use crate::prepare::has_line_end;
use crate::spec::{Payload, Piece};
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Node, NodeKind};
use std::path::Path;
use std::sync::Arc;

/// Separates parts. Fixed, so that a request is the same each time; long enough not to stand in a file by chance.
const BOUNDARY: &str = "crucible-7d1c9a52e04b4f6fa3b8d65e0f21c7aa";
/// Largest file that is sent: it is held in memory once.
const FILE_LIMIT: u64 = 1 << 30;

/// The body that stands in the step, and its usual `Content-Type`.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Option<(Payload, String)> {
    let known = ["body", "json", "form", "multipart", "file"];
    let present: Vec<&str> = known.into_iter().filter(|key| fields.has(key)).collect();
    if let [_, second, ..] = present.as_slice() {
        fields.error(second, "a request has one body", format!("keep one of {}", present.join(", ")));
    }
    let text = fields.text("body").and_then(|text| template(context, fields, "body", &text));
    let json = fields.get("json").and_then(|node| template(context, fields, "json", &json(node)));
    let form = form(fields, context);
    let multipart = multipart(fields, context);
    let file = fields.text("file").and_then(|name| file(fields, "file", &name, context));
    let single = |piece: Piece| Payload { pieces: vec![piece] };
    if let Some(text) = text {
        return Some((single(Piece::Text(text)), "text/plain; charset=utf-8".to_owned()));
    }
    if let Some(json) = json {
        return Some((single(Piece::Text(json)), "application/json".to_owned()));
    }
    if let Some(form) = form {
        return Some((form, "application/x-www-form-urlencoded".to_owned()));
    }
    if let Some(parts) = multipart {
        return Some((parts, format!("multipart/form-data; boundary={BOUNDARY}")));
    }
    file.map(|bytes| (single(Piece::Bytes(bytes)), "application/octet-stream".to_owned()))
}

/// A node as JSON text; places stay as they are.
pub(super) fn json(node: &Node) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match &node.kind {
        NodeKind::Null => "null".to_owned(),
        NodeKind::Bool(value) => value.to_string(),
        NodeKind::Int(value) => value.to_string(),
        NodeKind::Float(value) => serde_json::Value::from(*value).to_string(),
        NodeKind::Text(value) => text(value),
        NodeKind::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        NodeKind::Map(map) => {
            let entries: Vec<String> =
                map.entries.iter().map(|(name, _, node)| format!("{}:{}", text(name), json(node))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn form(fields: &Fields<'_>, context: &StepContext) -> Option<Payload> {
    let table = fields.table("form")?;
    let mut out = String::new();
    for (name, _, node) in table.all() {
        for value in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let Some(text) = value.scalar() else {
                table.error(name, format!("this is {}, one value is needed", value.kind_name()), "");
                continue;
            };
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&format!("{}={}", encode_value(name), encode_around(&text, &encode_value)));
        }
    }
    let text = template(context, fields, "form", &out)?;
    Some(Payload { pieces: vec![Piece::Text(text)] })
}

/// RFC 7578.
fn multipart(fields: &Fields<'_>, context: &StepContext) -> Option<Payload> {
    let table = fields.table("multipart")?;
    let mut pieces = Vec::new();
    for (name, _, node) in table.all() {
        let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
        let content = match &node.kind {
            NodeKind::Map(_) => {
                let part = Fields::new(node, table.path_of(name), table.diagnostics())?;
                let path = part.text("file");
                let shown = part.text("name");
                let kind = part.text("type");
                let text = part.text("text");
                part.finish();
                if path.is_some() || shown.is_some() {
                    let own = path
                        .as_deref()
                        .and_then(|path| Path::new(path).file_name()?.to_str().map(str::to_owned));
                    let shown = shown.or(own).unwrap_or_default();
                    head.push_str(&format!("; filename=\"{}\"", quoted(&shown)));
                }
                let kind = kind.or(path.is_some().then(|| "application/octet-stream".to_owned()));
                if let Some(kind) = kind.filter(|kind| !has_line_end(kind)) {
                    head.push_str(&format!("\r\nContent-Type: {kind}"));
                }
                match (path, text) {
                    (Some(path), None) => file(&part, "file", &path, context).map(Piece::Bytes),
                    (None, Some(text)) => template(context, &part, "text", &text).map(Piece::Text),
                    _ => {
                        table.error(name, "a part has one content", "write {file: PATH} or {text: ...}");
                        None
                    }
                }
            }
            _ => match node.scalar() {
                Some(text) => template(context, &table, name, &text).map(Piece::Text),
                None => {
                    table.error(
                        name,
                        format!("this is {}, text or {{file: PATH}} is needed", node.kind_name()),
                        "",
                    );
                    None
                }
            },
        };
        head.push_str("\r\n\r\n");
        pieces.push(Piece::Bytes(head.into_bytes().into()));
        pieces.extend(content);
        pieces.push(Piece::Bytes(b"\r\n".as_slice().into()));
    }
    pieces.push(Piece::Bytes(format!("--{BOUNDARY}--\r\n").into_bytes().into()));
    Some(Payload { pieces })
}

/// A name between quotes, escaped as browsers do (HTML, multipart/form-data encoding).
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn file(fields: &Fields<'_>, key: &str, name: &str, context: &StepContext) -> Option<Arc<[u8]>> {
    let path = context.folder.join(name);
    let size = std::fs::metadata(&path).map(|data| data.len());
    let read = match size {
        Ok(size) if size > FILE_LIMIT => {
            fields.error(key, format!("{name} is larger than 1 GiB"), "send a smaller file");
            return None;
        }
        _ => std::fs::read(&path),
    };
    match read {
        Ok(bytes) => Some(bytes.into()),
        Err(error) => {
            let hint = "names of files are relative to the plan's folder";
            fields.error(key, format!("{name} cannot be read: {error}"), hint);
            None
        }
    }
}
