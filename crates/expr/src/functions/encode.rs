//! Encodings of texts; decoding gives text again, so what is inside must be UTF-8.

use super::call::{Call, Function, row, text};
use crate::limits;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use crucible_core::Value;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const LAX: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

pub(super) const ROWS: &[Function] = &[
    row("base64", &["text"], "In Base64 (RFC 4648).", ["base64('a?>')", "YT8+"], |call| {
        text(general_purpose::STANDARD.encode(&*bounded(call)?))
    }),
    row(
        "base64url",
        &["text"],
        "In Base64 for URLs, without padding.",
        ["base64url('a?>') ~ base64url('a')", "YT8-YQ"],
        |call| text(general_purpose::URL_SAFE_NO_PAD.encode(&*bounded(call)?)),
    ),
    row(
        "unbase64",
        &["text"],
        "The text in Base64 of either kind, with or without padding.",
        ["unbase64('YT8-') ~ unbase64('YT8+')", "a?>a?>"],
        |call| {
            let all = call.text(0)?;
            let url = all.contains(['-', '_']);
            let alphabet = if url { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
            let bytes = GeneralPurpose::new(alphabet, LAX).decode(all.trim());
            decoded(bytes.map_err(|e| format!("the text is no Base64: {e}"))?)
        },
    ),
    row("hex", &["text"], "Its bytes in hexadecimal.", ["hex('az')", "617a"], |call| {
        text(hex(bounded(call)?.as_bytes()))
    }),
    row("unhex", &["text"], "The text whose bytes these are.", ["unhex('617A')", "az"], |call| {
        let all = call.text(0)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let bytes: Option<Vec<u8>> = all
            .trim()
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        decoded(bytes.ok_or("the text is not hexadecimal")?)
    }),
    row(
        "urlencode",
        &["text"],
        "For a part of an address: all but letters, digits and -._~ as %XX (RFC 3986).",
        ["urlencode('a b&c/ü')", "a%20b%26c%2F%C3%BC"],
        |call| text(percent_encoding::utf8_percent_encode(&bounded(call)?, RESERVED).to_string()),
    ),
    row("urldecode", &["text"], "With %XX read.", ["urldecode('a%20b')", "a b"], |call| {
        let all = call.text(0)?;
        decoded(percent_encoding::percent_decode_str(&all).collect())
    }),
];

/// The text to encode, if what it becomes can be a result: three bytes for one at most.
fn bounded<'a>(call: &Call<'a>) -> Result<std::borrow::Cow<'a, str>, String> {
    let all = call.text(0)?;
    limits::size(all.len()).map(|()| all)
}

fn decoded(bytes: Vec<u8>) -> Result<Value, String> {
    String::from_utf8(bytes).map_err(|_| "what it decodes to is not UTF-8 text".to_owned()).and_then(text)
}

/// Bytes in small hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
