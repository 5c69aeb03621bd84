//! Digests and message authentication.

use super::call::{Call, Function, row, text};
use super::encode::hex;
use base64::Engine as _;
use crucible_core::Value;
use md5::{Digest, Md5};
use ring::{digest, hmac};

pub(super) const ROWS: &[Function] = &[
    row(
        "md5",
        &["text"],
        "MD5 (RFC 1321) in hexadecimal.",
        ["md5('')", "d41d8cd98f00b204e9800998ecf8427e"],
        |call| text(hex(&Md5::digest(call.text(0)?.as_bytes()))),
    ),
    row(
        "sha1",
        &["text"],
        "SHA-1 (FIPS 180-4) in hexadecimal.",
        ["sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"],
        |call| digested(call, &digest::SHA1_FOR_LEGACY_USE_ONLY),
    ),
    row("sha256", &["text"], "SHA-256 in hexadecimal.", ["sha256('abc')[:16]", "ba7816bf8f01cfea"], |call| {
        digested(call, &digest::SHA256)
    }),
    row("sha512", &["text"], "SHA-512 in hexadecimal.", ["sha512('abc')[:16]", "ddaf35a193617aba"], |call| {
        digested(call, &digest::SHA512)
    }),
    row(
        "hmac",
        &["text", "key", "alg?", "as?"],
        "HMAC (RFC 2104) with `alg` sha1, sha256 (unless given), sha384 or sha512, `as` hex (unless given), base64 or \
         base64url.",
        ["hmac('what do ya want for nothing?', 'Jefe')[:16]", "5bdcc146bf60754e"],
        |call| {
            let algorithm = match &*call.text_or(2, "sha256")? {
                "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                "sha256" => hmac::HMAC_SHA256,
                "sha384" => hmac::HMAC_SHA384,
                "sha512" => hmac::HMAC_SHA512,
                _ => return Err("`alg` is sha1, sha256, sha384 or sha512".into()),
            };
            let key = hmac::Key::new(algorithm, call.text(1)?.as_bytes());
            let tag = hmac::sign(&key, call.text(0)?.as_bytes());
            match &*call.text_or(3, "hex")? {
                "hex" => text(hex(tag.as_ref())),
                "base64" => text(base64::engine::general_purpose::STANDARD.encode(tag)),
                "base64url" => text(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag)),
                _ => Err("`as` is hex, base64 or base64url".into()),
            }
        },
    ),
];

fn digested(call: &Call<'_>, algorithm: &'static digest::Algorithm) -> Result<Value, String> {
    text(hex(digest::digest(algorithm, call.text(0)?.as_bytes()).as_ref()))
}
