//! Signed tokens, password hashes and identifiers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crucible_core::Rng;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};

/// Rounds of the password hash: little for a vault, enough that a login costs more than a read.
const ROUNDS: u32 = 1_000;
/// Longest token that is looked at, bytes.
const LONGEST: usize = 2_048;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// User id.
    pub(crate) sub: i64,
    /// User name.
    pub(crate) name: String,
    /// Session id.
    pub(crate) sid: i64,
    /// End of validity, Unix seconds.
    pub(crate) exp: u64,
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of every length
    Hmac::new_from_slice(key).ok()
}

/// A JSON Web Token (RFC 7519) with HS256 (RFC 7518).
pub(crate) fn sign(secret: &[u8], claims: &Claims) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let payload = serde_json::to_vec(claims).unwrap_or_default();
    let text = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(&payload));
    let Some(mut mac) = mac(secret) else { return text };
    mac.update(text.as_bytes());
    format!("{text}.{}", encode(&mac.finalize().into_bytes()))
}

/// The claims of a token that this secret signed and that is still valid. The algorithm that the token names is not
/// asked: there is only one.
pub(crate) fn verify(secret: &[u8], token: &str, now_secs: u64) -> Option<Claims> {
    if token.len() > LONGEST {
        return None;
    }
    let (text, signature) = token.rsplit_once('.')?;
    let mut mac = mac(secret)?;
    mac.update(text.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (_, payload) = text.split_once('.')?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    (now_secs < claims.exp).then_some(claims)
}

/// PBKDF2 (RFC 8018) with HMAC-SHA-256, one block.
fn derive(password: &[u8], salt: &[u8], rounds: u32) -> Option<[u8; 32]> {
    let keyed = mac(password)?;
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut last: [u8; 32] = first.finalize().into_bytes().into();
    let mut sum = last;
    for _ in 1..rounds {
        let mut next = keyed.clone();
        next.update(&last);
        last = next.finalize().into_bytes().into();
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(sum)
}

/// What is stored instead of a password.
pub(crate) fn hash_password(password: &str, salt: &str) -> String {
    derive(password.as_bytes(), salt.as_bytes(), ROUNDS)
        .map(|hash| URL_SAFE_NO_PAD.encode(hash))
        .unwrap_or_default()
}

/// What is stored instead of a random secret.
pub(crate) fn hash_secret(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Makes identifiers in the form of random UUIDs (RFC 9562, version 4). Not for secrets.
pub(crate) struct Ids(Mutex<Rng>);

impl Ids {
    /// From a seed that differs from start to start.
    pub(crate) fn new(seed: u64) -> Ids {
        Ids(Mutex::new(Rng::new(seed, "ids", 0)))
    }

    /// A new one.
    pub(crate) fn next(&self) -> String {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (high, low) = (rng.next_u64(), rng.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_is_that_of_the_standard() {
        // RFC 7914, section 11: the first 32 of 64 bytes
        let derived = derive(b"passwd", b"salt", 1).unwrap();
        let hex: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    }

    #[test]
    fn only_an_untouched_valid_token_is_taken() {
        let claims = Claims { sub: 7, name: "ann".into(), sid: 3, exp: 1_000 };
        let token = sign(b"secret", &claims);
        assert_eq!(verify(b"secret", &token, 999), Some(claims.clone()));
        assert_eq!(verify(b"secret", &token, 1_000), None, "it has run out");
        assert_eq!(verify(b"other", &token, 0), None);
        let forged = sign(b"other", &Claims { sub: 1, ..claims });
        let (payload, _) = forged.rsplit_once('.').unwrap();
        let (_, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(verify(b"secret", &format!("{payload}.{signature}"), 0), None);
        for hostile in ["", ".", "..", "a.b.c", "🦀.🦀.🦀", &"x".repeat(10_000)] {
            assert_eq!(verify(b"secret", hostile, 0), None, "{hostile}");
        }
    }

    #[test]
    fn ids_look_like_uuids_and_differ() {
        let ids = Ids::new(1);
        let all: std::collections::BTreeSet<String> = (0..1_000).map(|_| ids.next()).collect();
        assert_eq!(all.len(), 1_000);
        for id in &all {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }
}
