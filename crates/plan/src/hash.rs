//! The hash of a plan: the identity of an experiment.
//!
//! It is SHA-256 over a canonical form of the tree, so comments, white space, quoting, anchors and the order of keys
//! have no part in it; nor has the plan's name. The order of `scenarios` and `tests` has: it decides which random
//! draws each gets, and when each runs. Values of secret-looking keys enter as they are written (`${env.TOKEN}`),
//! so that a new password is not a new experiment.

use crate::{mask, read};
use crucible_core::{Node, NodeKind};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Changes whenever the canonical form does.
const VERSION: &str = "crucible plan 1";

/// The hash of a tree with variables filled in (`root`) and its like without (`raw`), in hexadecimal.
pub(crate) fn of(root: &Node, raw: Option<&Node>, target: Option<&str>, seed: u64) -> String {
    let mut out = format!("{VERSION}\nseed {seed}\ntarget ");
    text(&mask::without_credentials(target.unwrap_or("")), &mut out);
    out.push('\n');
    if let Some(map) = root.as_map() {
        let mut keys: Vec<&str> = map.entries.iter().map(|(key, _, _)| key.as_str()).collect();
        keys.retain(|key| !matches!(*key, "name" | "target" | "seed") && !read::is_private(key));
        keys.sort_unstable();
        for key in keys {
            let Some(node) = map.get(key) else { continue };
            let raw = raw.and_then(|raw| raw.as_map()).and_then(|map| map.get(key));
            text(key, &mut out);
            out.push(' ');
            let secret = mask::is_secret(key);
            value(node, raw, secret, matches!(key, "scenarios" | "tests"), &mut out);
            out.push('\n');
        }
    }
    digest(&out)
}

/// SHA-256 of a text, 64 hexadecimal digits: the identity of an experiment that is described otherwise than by a plan.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // writing to a String cannot fail
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn value(node: &Node, raw: Option<&Node>, secret: bool, keep_order: bool, out: &mut String) {
    let node = if secret { raw.unwrap_or(node) } else { node };
    match &node.kind {
        NodeKind::Null => out.push('~'),
        NodeKind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        NodeKind::Int(value) => {
            let _ = write!(out, "{value}");
        }
        NodeKind::Float(value) => {
            let _ = write!(out, "{value}");
        }
        NodeKind::Text(value) => text(value, out),
        NodeKind::List(items) => {
            let raw = raw.and_then(Node::as_list);
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                value(item, raw.and_then(|raw| raw.get(index)), secret, false, out);
                out.push(',');
            }
            out.push(']');
        }
        NodeKind::Map(map) => {
            let raw = raw.and_then(Node::as_map);
            let mut entries: Vec<(&str, &Node)> =
                map.entries.iter().map(|(key, _, node)| (key.as_str(), node)).collect();
            if !keep_order {
                entries.sort_unstable_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (key, node) in entries {
                text(key, out);
                out.push(':');
                let raw = raw.and_then(|raw| raw.get(key));
                value(node, raw, secret || mask::is_secret(key), false, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// In quotes, with its length: no two different trees have the same form.
fn text(value: &str, out: &mut String) {
    let _ = write!(out, "{}\"{value}\"", value.len());
}

#[cfg(test)]
mod tests;
