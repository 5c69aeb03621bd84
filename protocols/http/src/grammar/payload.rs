//! Bodies of requests: text, JSON, forms, parts, files.

use super::text::{pattern, template_at};
use crate::encode::has_line_end;
use crate::pattern::{Form, Pattern};
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Node, NodeKind};
use std::path::Path;

/// Separates parts. Fixed, so that a request is the same each time; long enough not to stand in a file by chance.
const BOUNDARY: &str = "crucible-7d1c9a52e04b4f6fa3b8d65e0f21c7aa";
/// Largest file that is sent: it is held in memory once.
const FILE_LIMIT: u64 = 1 << 30;

/// The body that stands in the step, and its usual `Content-Type`.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Option<(Pattern, String)> {
    let known = ["body", "json", "form", "multipart", "file"];
    let present: Vec<&str> = known.into_iter().filter(|key| fields.has(key)).collect();
    if let [_, second, ..] = present.as_slice() {
        fields.error(second, "a request has one body", format!("keep one of {}", present.join(", ")));
    }
    let text = fields.text("body").and_then(|text| pattern(context, fields, "body", &text, Form::Raw));
    let json = json(fields, context);
    let form = form(fields, context);
    let multipart = multipart(fields, context);
    let file = fields.text("file").and_then(|name| file(fields, "file", &name, context));
    let first = [
        (text, "text/plain; charset=utf-8"),
        (json, "application/json"),
        (form, "application/x-www-form-urlencoded"),
        (multipart, &format!("multipart/form-data; boundary={BOUNDARY}")),
        (file.map(Pattern::bytes), "application/octet-stream"),
    ];
    first.into_iter().find_map(|(body, kind)| Some((body?, kind.to_owned())))
}

/// The content of a message: `text` or `json`.
pub(crate) fn read_content(fields: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let text = fields.text("text").and_then(|text| read_text(fields, "text", &text, context));
    let json = json(fields, context);
    text.or(json)
}

/// Text with places, as it stands under a key.
pub(crate) fn read_text(
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    context: &StepContext,
) -> Option<Pattern> {
    pattern(context, fields, key, text, Form::Raw)
}

/// `json: ...`: a text that is one place becomes the value of that place with its own kind.
fn json(fields: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let node = fields.get("json")?;
    let mut writer =
        JsonWriter { fields, context, plain: Vec::new(), pattern: Pattern::default(), good: true };
    writer.value(node);
    writer.pattern.push_bytes(&writer.plain);
    writer.good.then_some(writer.pattern)
}

struct JsonWriter<'w, 'f> {
    fields: &'w Fields<'f>,
    context: &'w StepContext,
    /// What is behind the last place.
    plain: Vec<u8>,
    pattern: Pattern,
    good: bool,
}

impl JsonWriter<'_, '_> {
    fn value(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Null => self.plain.extend_from_slice(b"null"),
            NodeKind::Bool(value) => self.plain.extend_from_slice(value.to_string().as_bytes()),
            NodeKind::Int(value) => self.plain.extend_from_slice(value.to_string().as_bytes()),
            NodeKind::Float(value) => {
                self.plain.extend_from_slice(serde_json::Value::from(*value).to_string().as_bytes());
            }
            NodeKind::Text(text) => self.text(node, text, Form::Json),
            NodeKind::List(items) => {
                self.plain.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.plain.push(b',');
                    }
                    self.value(item);
                }
                self.plain.push(b']');
            }
            NodeKind::Map(map) => {
                self.plain.push(b'{');
                for (index, (name, _, node)) in map.entries.iter().enumerate() {
                    if index > 0 {
                        self.plain.push(b',');
                    }
                    self.text(node, name, Form::JsonText);
                    self.plain.push(b':');
                    self.value(node);
                }
                self.plain.push(b'}');
            }
        }
    }

    /// A string; `alone` is the form of one that is nothing but a place.
    fn text(&mut self, node: &Node, text: &str, alone: Form) {
        let path = self.fields.path_of("json");
        let Some(template) = template_at(self.context, self.fields, node.at, &path, text) else {
            self.good = false;
            return;
        };
        if let Some(text) = template.literal() {
            self.plain.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        } else if template.is_place() && alone == Form::Json {
            self.pattern.push_bytes(&std::mem::take(&mut self.plain));
            self.pattern.push(template, Form::Json);
        } else {
            self.plain.push(b'"');
            self.pattern.push_bytes(&std::mem::take(&mut self.plain));
            self.pattern.push(template, Form::JsonText);
            self.plain.push(b'"');
        }
    }
}

fn form(fields: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let table = fields.table("form")?;
    let mut out = Pattern::default();
    for (name, _, node) in table.all() {
        for value in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            let Some(text) = value.scalar() else {
                table.error(name, format!("this is {}, one value is needed", value.kind_name()), "");
                continue;
            };
            if !out.is_empty() {
                out.push_bytes(b"&");
            }
            out.extend(pattern(context, &table, name, name, Form::Url)?);
            out.push_bytes(b"=");
            out.extend(pattern(context, &table, name, &text, Form::Url)?);
        }
    }
    Some(out)
}

/// RFC 7578.
fn multipart(fields: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let table = fields.table("multipart")?;
    let mut pieces = Pattern::default();
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
                if let Some(kind) = kind.filter(|kind| !has_line_end(kind.as_bytes())) {
                    head.push_str(&format!("\r\nContent-Type: {kind}"));
                }
                match (path, text) {
                    (Some(path), None) => file(&part, "file", &path, context).map(Pattern::bytes),
                    (None, Some(text)) => pattern(context, &part, "text", &text, Form::Raw),
                    _ => {
                        table.error(name, "a part has one content", "write {file: PATH} or {text: ...}");
                        None
                    }
                }
            }
            _ => match node.scalar() {
                Some(text) => pattern(context, &table, name, &text, Form::Raw),
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
        pieces.push_bytes(head.as_bytes());
        content.into_iter().for_each(|content| pieces.extend(content));
        pieces.push_bytes(b"\r\n");
    }
    pieces.push_bytes(format!("--{BOUNDARY}--\r\n").as_bytes());
    Some(pieces)
}

/// A name between quotes, escaped as browsers do (HTML, multipart/form-data encoding).
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn file(fields: &Fields<'_>, key: &str, name: &str, context: &StepContext) -> Option<Vec<u8>> {
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
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let hint = "names of files are relative to the plan's folder";
            fields.error(key, format!("{name} cannot be read: {error}"), hint);
            None
        }
    }
}
