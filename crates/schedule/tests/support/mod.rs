//! A reader of YAML's flow style, enough for one test's table on one line, and the profiles on top of it.

use crucible_core::{Diagnostics, Fields, Map, Node, NodeKind, Position};
use crucible_schedule::Load;

/// Reads a table such as `{vus: [1, 2], for: 30s}`.
pub(crate) fn table(text: &str) -> Node {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let node = value(&chars, &mut at);
    assert_eq!(at, chars.len(), "rest of {text}");
    node
}

fn skip(chars: &[char], at: &mut usize) {
    while chars.get(*at).is_some_and(|c| *c == ' ' || *c == ',') {
        *at += 1;
    }
}

fn value(chars: &[char], at: &mut usize) -> Node {
    skip(chars, at);
    let position = Position { line: 1, column: *at as u32 + 1 };
    let kind = match chars[*at] {
        '{' => {
            *at += 1;
            let mut map = Map::default();
            loop {
                skip(chars, at);
                if chars[*at] == '}' {
                    *at += 1;
                    break NodeKind::Map(map);
                }
                let place = Position { line: 1, column: *at as u32 + 1 };
                let start = *at;
                while chars[*at] != ':' {
                    *at += 1;
                }
                let key: String = chars[start..*at].iter().collect();
                *at += 1;
                map.entries.push((key, place, value(chars, at)));
            }
        }
        '[' => {
            *at += 1;
            let mut items = Vec::new();
            loop {
                skip(chars, at);
                if chars[*at] == ']' {
                    *at += 1;
                    break NodeKind::List(items);
                }
                items.push(value(chars, at));
            }
        }
        _ => {
            let start = *at;
            while chars.get(*at).is_some_and(|c| !",]}".contains(*c)) {
                *at += 1;
            }
            let text: String = chars[start..*at].iter().collect();
            match (text.trim(), text.trim().parse()) {
                ("~", _) => NodeKind::Null,
                (_, Ok(number)) => NodeKind::Int(number),
                (text, _) => NodeKind::Text(text.to_owned()),
            }
        }
    };
    Node { at: position, kind }
}

/// Reads a load as the plan reader does; the mistakes and warnings are lines of text.
pub(crate) fn read(node: &Node) -> (Option<Load>, Vec<String>) {
    let diagnostics = Diagnostics::new();
    let load = Fields::new(node, "tests.t", &diagnostics).and_then(|fields| {
        let load = Load::read(&fields, &recording);
        fields.finish();
        load
    });
    assert!(load.is_some() || diagnostics.has_errors(), "nothing was said about {node:?}");
    (load, diagnostics.into_sorted().iter().map(ToString::to_string).collect())
}

/// Reads a load that must be right.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn load(text: &str) -> Load {
    let (load, told) = read(&table(text));
    assert!(told.is_empty(), "{text}: {told:?}");
    load.expect("a load without mistakes")
}

/// The recordings that tests replay.
pub(crate) fn recording(name: &str) -> Result<String, String> {
    match name {
        "traffic.csv" => Ok("time,rate\n0s,50/s\n10s,100/s\n15s,0\n20s,20/s\n".into()),
        "access.log" => {
            let line = |second: u64| {
                format!("1.2.3.4 - - [10/Oct/2000:13:55:{second:02} -0700] \"GET / HTTP/1.1\" 200 12\n")
            };
            Ok([5, 5, 5, 6, 9, 8].map(line).concat())
        }
        "app.log" => Ok("INFO 2024-02-29T23:59:59.5Z started\nINFO 2024-03-01T00:00:01+00:00 done\n".into()),
        _ => Err("no such file".into()),
    }
}
