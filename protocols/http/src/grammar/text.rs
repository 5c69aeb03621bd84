//! Text with `${...}` places in it: encoding what stands between the places, and telling mistakes at their place.

use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Template};

/// Applies `encode` to the literal text and to the words of `choice(...)`, and leaves the places alone.
pub(super) fn encode_around(text: &str, encode: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            // `$${` stands for a literal `${`
            out.push_str(&encode(&rest[..start - 1]));
            out.push_str(&encode("${").replace("${", "$${"));
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&encode(&rest[..start]));
        let end = rest[start..].find('}').map_or(rest.len(), |end| start + end + 1);
        let place = &rest[start..end];
        match place.strip_prefix("${").map(str::trim_start).and_then(|p| p.strip_prefix("choice(")) {
            Some(words) => {
                let words = words.trim_end_matches('}').trim_end().trim_end_matches(')');
                let words: Vec<String> = words.split(',').map(|word| encode(word.trim())).collect();
                out.push_str(&format!("${{choice({})}}", words.join(",")));
            }
            None => out.push_str(place),
        }
        rest = &rest[end..];
    }
    out.push_str(&encode(rest));
    out
}

/// Percent-encodes all but unreserved characters (RFC 3986 2.3): for values in a query or a form.
pub(super) fn encode_value(text: &str) -> String {
    percent(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Percent-encodes what may not stand in a path and query (RFC 3986 3.3, 3.4); what is encoded already stays.
pub(super) fn encode_path(text: &str) -> String {
    percent(text, |byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%[]|".contains(&byte))
}

fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Compiles the value of `key`, noting a mistake at its place.
pub(super) fn template(
    context: &StepContext,
    fields: &Fields<'_>,
    key: &str,
    text: &str,
) -> Option<Template> {
    let at = fields.all().find(|(name, ..)| *name == key).map_or(fields.at, |(_, _, node)| node.at);
    context.symbols.reading(at, &fields.path_of(key));
    match Template::parse(text, &context.symbols) {
        Ok(template) => Some(template),
        Err(hint) => {
            fields.error(key, format!("{text:?} cannot be read here"), hint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_around_places_is_encoded() {
        let check =
            |text: &str, expected: &str| assert_eq!(encode_around(text, &encode_value), expected, "{text}");
        check("a b", "a%20b");
        check("a&${random(1, 9)} =", "a%26${random(1, 9)}%20%3D");
        check("${choice(a b, c&d)}", "${choice(a%20b,c%26d)}");
        check("$${x}", "%24%7Bx%7D");
        check("${vu", "${vu");
    }
}
