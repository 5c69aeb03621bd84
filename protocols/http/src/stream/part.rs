//! Where a value is found in a message.

use super::message::Message;
use crucible_core::Value;
use crucible_core::fields::suggest;
use serde_json::Value as Json;
use serde_json_path::JsonPath;
use std::borrow::Cow;

const WORDS: [&str; 5] = ["json.PATH", "text", "size", "event", "id"];

/// A part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// What a path selects in a JSON message.
    Json(Box<JsonPath>),
    /// All of it, as text.
    Text,
    /// Its length in bytes.
    Size,
    /// The name of the event.
    Event,
    /// The event's id.
    Id,
}

impl Part {
    /// Reads `json.items[0].id`, `json` (all of it), `text`, `size`, `event`, `id`. The error is a hint.
    pub(crate) fn parse(text: &str) -> Result<Part, String> {
        let text = text.trim();
        match text.split_once('.').unwrap_or((text, "")) {
            ("json", path) => {
                let query = if path.starts_with('$') { path.to_owned() } else { dotted(path) };
                JsonPath::parse(&query)
                    .map(|path| Part::Json(Box::new(path)))
                    .map_err(|error| format!("{path:?} is not a JSON path: {error}"))
            }
            ("text" | "body", "") => Ok(Part::Text),
            ("size", "") => Ok(Part::Size),
            ("event", "") => Ok(Part::Event),
            ("id", "") => Ok(Part::Id),
            _ => Err(suggest(text, &WORDS)),
        }
    }

    /// The values found, as JSON.
    pub(crate) fn find<'m>(&self, message: &'m Message) -> Vec<Cow<'m, Json>> {
        let text = |bytes: &[u8]| Cow::Owned(Json::from(String::from_utf8_lossy(bytes).into_owned()));
        match self {
            Part::Json(path) => message
                .json()
                .map(|json| path.query(json).all().into_iter().map(Cow::Borrowed).collect())
                .unwrap_or_default(),
            Part::Text => vec![text(&message.data)],
            Part::Size => vec![Cow::Owned(Json::from(message.data.len()))],
            Part::Event => vec![text(message.event.as_bytes())],
            Part::Id if message.id.is_empty() => Vec::new(),
            Part::Id => vec![text(message.id.as_bytes())],
        }
    }

    /// The value to save: the first one found.
    pub(crate) fn value(&self, message: &Message) -> Option<Value> {
        self.find(message).first().map(|json| Value::from_json(json))
    }
}

/// `items.0.id` as `$['items'][0]['id']`.
fn dotted(path: &str) -> String {
    let mut query = "$".to_owned();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            query.push_str(&format!("[{name}]"));
        } else if !name.is_empty() {
            query.push_str(&format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        query.push_str(rest);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_path() {
        let message = Message::new(br#"{"type":"log","data":[{"id":7},{"id":8}]}"#.to_vec(), false);
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(Part::parse(path).unwrap().value(&message), expected, "{path}");
        };
        check("json.type", Some(Value::text("log")));
        check("json.data[1].id", Some(Value::Int(8)));
        check("json.data.0.id", Some(Value::Int(7)));
        check("json.$.data[*].id", Some(Value::Int(7)));
        check("json.nothing", None);
        check("size", Some(Value::Int(41)));
        check("id", None);
        assert!(Part::parse("jsn.type").is_err_and(|hint| hint.contains("json.PATH")));
    }
}
