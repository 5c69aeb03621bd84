//! How text is written inside other forms: URLs and JSON strings.

/// Percent-encodes all but unreserved characters (RFC 3986 2.3): for values in a path, a query or a form.
pub(crate) fn value(text: &str) -> String {
    encoded(text, is_unreserved, percent)
}

/// Percent-encodes what may not stand in a path and query (RFC 3986 3.3, 3.4); what is encoded already stays.
pub(crate) fn path(text: &str) -> String {
    encoded(text, is_path, percent)
}

/// Escapes for the inside of a JSON string (RFC 8259 7).
pub(crate) fn json_text(text: &str) -> String {
    encoded(text, is_plain_json, json_escape)
}

fn encoded(text: &str, plain: fn(u8) -> bool, write: fn(u8, &mut Vec<u8>)) -> String {
    let mut out = text.as_bytes().to_vec();
    in_place(&mut out, 0, plain, write);
    // text stays text: only ASCII is replaced, and only whole bytes by ASCII
    String::from_utf8(out).unwrap_or_default()
}

/// Rewrites `out` from `start`: bytes that are not plain are written by `write`. Allocates only if there are such.
pub(crate) fn in_place(
    out: &mut Vec<u8>,
    start: usize,
    plain: impl Fn(u8) -> bool,
    write: impl Fn(u8, &mut Vec<u8>),
) {
    let Some(first) = out[start..].iter().position(|byte| !plain(*byte)) else { return };
    let rest = out.split_off(start + first);
    for byte in rest {
        if plain(byte) {
            out.push(byte);
        } else {
            write(byte, out);
        }
    }
}

/// Replaces what is no UTF-8 from `start` on by U+FFFD: JSON is text.
pub(crate) fn utf8(out: &mut Vec<u8>, start: usize) {
    if std::str::from_utf8(&out[start..]).is_err() {
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        out.extend_from_slice(text.as_bytes());
    }
}

/// RFC 3986 2.3.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// May stand in a path and query; `%` because it encodes.
pub(crate) fn is_path(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/?%[]|".contains(&byte)
}

/// Stands for itself in a JSON string.
pub(crate) fn is_plain_json(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Writes a byte percent-encoded.
pub(crate) fn percent(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Writes a byte as a JSON escape.
pub(crate) fn json_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[DIGITS[usize::from(other >> 4)], DIGITS[usize::from(other & 15)]]);
        }
    }
}

/// Whether a header would end inside these bytes.
pub(crate) fn has_line_end(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_not_plain_is_written_anew() {
        assert_eq!(value("a b/ü~"), "a%20b%2F%C3%BC~");
        assert_eq!(path("/a b?c=%20&d=é"), "/a%20b?c=%20&d=%C3%A9");
        assert_eq!(json_text("a\"\\\n\u{1}ü"), "a\\\"\\\\\\n\\u0001ü");
    }

    proptest! {
        #[test]
        fn encoded_values_come_back(text in any::<String>()) {
            let inside = format!("\"{}\"", json_text(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&inside).unwrap(), text.clone());
            let form = format!("x={}", value(&text));
            let back: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            prop_assert_eq!(&back, &[("x".to_owned(), text)]);
        }
    }
}
