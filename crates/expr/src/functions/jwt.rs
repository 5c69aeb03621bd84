//! JSON Web Tokens (RFC 7519), signed as RFC 7515 and RFC 7518 say.

use super::call::{Call, Function, Prepared, row, text};
use crate::limits;
use crate::node::Node;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crucible_core::Value;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

pub(super) const ROWS: &[Function] = &[Function {
    prepare: Some(prepare),
    ..row(
        "jwt",
        &["claims", "key", "alg?", "headers?"],
        "A signed token of a table of claims. `alg` is HS256 (unless given), HS384 or HS512 with a secret, or RS256 or ES256 \
         with a private key in PEM; both must be plain texts. `headers` is a table of further headers, such as `kid`.",
        [
            "jwt({'sub': 'eve'}, 'secret')",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJldmUifQ.NwtqzJ20hqZOwpZWKxnIv_nela2ddaCVShJGS-IHkRw",
        ],
        jwt,
    )
}];

/// What signs a token.
pub(crate) enum Key {
    /// The algorithm's name, and the key that is the same for every token.
    Secret(&'static str, hmac::Key),
    /// As before, but the secret is an argument.
    Given(&'static str, hmac::Algorithm),
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

const SECRETS: [(&str, hmac::Algorithm); 3] =
    [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];

fn prepare(arguments: &[Option<Node>]) -> Result<Prepared, String> {
    let algorithm = match arguments.get(2) {
        Some(Some(Node::Constant(Value::Text(name)))) => &**name,
        Some(Some(_)) => return Err("`alg` must be a plain text, as in alg='HS256'".into()),
        _ => "HS256",
    };
    let constant = match arguments.get(1) {
        Some(Some(Node::Constant(Value::Text(key)))) => Some(&**key),
        _ => None,
    };
    if let Some((name, kind)) = SECRETS.into_iter().find(|(name, _)| *name == algorithm) {
        return Ok(Prepared::Key(match constant {
            Some(secret) => Key::Secret(name, hmac::Key::new(kind, secret.as_bytes())),
            None => Key::Given(name, kind),
        }));
    }
    let pem = match (algorithm, constant) {
        ("RS256" | "ES256", Some(pem)) => pem,
        ("RS256" | "ES256", None) => {
            return Err("the key must be a plain text, so that it can be checked beforehand".into());
        }
        _ => return Err(format!("`alg` is HS256, HS384, HS512, RS256 or ES256, not {algorithm:?}")),
    };
    private_key(algorithm, pem).map(Prepared::Key)
}

fn private_key(algorithm: &str, pem: &str) -> Result<Key, String> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| format!("{algorithm} takes a private key in PEM (-----BEGIN PRIVATE KEY-----)"))?;
    let unfit = |e: ring::error::KeyRejected| format!("{algorithm} cannot use this key: {e}");
    match (algorithm, &der) {
        ("RS256", PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        ("RS256", PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        (_, PrivateKeyDer::Pkcs8(der)) => {
            let key = der.secret_pkcs8_der();
            return EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new())
                .map(|key| Key::Ecdsa(Box::new(key)))
                .map_err(unfit);
        }
        _ => {
            return Err(format!(
                "{algorithm} cannot use this kind of key; convert it to PKCS#8 with openssl pkcs8"
            ));
        }
    }
    .map(|key| Key::Rsa(Box::new(key)))
    .map_err(unfit)
}

fn jwt(call: &mut Call<'_>) -> Result<Value, String> {
    let Prepared::Key(key) = call.prepared else { return Err("the key is missing".into()) };
    let Value::Table(claims) = call.get(0) else { return Err(call.unfit(0, "a table of claims")) };
    limits::check(call.get(0))?;
    let name = match key {
        Key::Secret(name, _) | Key::Given(name, _) => name,
        Key::Rsa(_) => "RS256",
        Key::Ecdsa(_) => "ES256",
    };
    let mut header = serde_json::json!({"alg": name, "typ": "JWT"});
    match call.get(3) {
        Value::Absent => {}
        Value::Table(more) => {
            limits::check(call.get(3))?;
            for (name, value) in more.iter() {
                header[name.as_str()] = value.to_json();
            }
        }
        _ => return Err(call.unfit(3, "a table of headers")),
    }
    let mut token = String::new();
    URL_SAFE_NO_PAD.encode_string(header.to_string(), &mut token);
    token.push('.');
    let claims: serde_json::Map<String, serde_json::Value> =
        claims.iter().map(|(name, value)| (name.clone(), value.to_json())).collect();
    URL_SAFE_NO_PAD.encode_string(serde_json::Value::Object(claims).to_string(), &mut token);
    let signature = sign(key, token.as_bytes(), call)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    text(token)
}

/// RSA's blinding and ECDSA's nonces come from the system: they must not be guessable, whatever the seed. RS256 is the
/// same for the same claims nevertheless, ES256 is not.
fn sign(key: &Key, message: &[u8], call: &Call<'_>) -> Result<Vec<u8>, String> {
    let failed = |_| "signing failed".to_owned();
    match key {
        Key::Secret(_, key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        Key::Given(_, algorithm) => {
            let key = hmac::Key::new(*algorithm, call.text(1)?.as_bytes());
            Ok(hmac::sign(&key, message).as_ref().to_vec())
        }
        Key::Rsa(key) => {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
            Ok(signature)
        }
        Key::Ecdsa(key) => Ok(key.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
    }
}
