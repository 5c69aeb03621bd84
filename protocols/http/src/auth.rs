//! Credentials: ready as a header, or worked out from what the server asks for (Digest, RFC 7616).

use crate::head;
use crate::origin::Origin;
use crate::pattern::Pattern;
use crucible_core::{Rng, Scope, Template};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::sync::Arc;

/// Longest list of challenges that is read, and longest part of one that is sent back.
const CHALLENGE_LIMIT: usize = 4 << 10;

/// Credentials of a step, or of all steps.
#[derive(Clone, Debug)]
pub struct Auth(pub(crate) Credentials);

#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// The value of `Authorization`.
    Header(Pattern),
    /// User and password, sent as a digest once the server has asked.
    Digest(Box<UserPassword>),
}

/// A user and a password, which may differ between requests.
#[derive(Clone, Debug)]
pub(crate) struct UserPassword {
    pub user: Template,
    pub password: Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

/// What a server asked for; kept by the user, so that its nonce serves further requests.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub origin: Arc<Origin>,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The server's own word for the algorithm, if it said one.
    word: Option<&'static str>,
    session: bool,
    qop: bool,
    /// Requests made with this nonce.
    count: u32,
}

impl Challenge {
    /// The first digest challenge of an answer that can be met; the error says what cannot. `None` if there is none.
    pub(crate) fn of(head: &[u8], origin: &Arc<Origin>) -> Option<Result<Challenge, &'static str>> {
        let mut refused = None;
        for value in head::values(head, "www-authenticate") {
            let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= CHALLENGE_LIMIT);
            for (scheme, parameters) in text.map(challenges).unwrap_or_default() {
                if !scheme.eq_ignore_ascii_case("digest") {
                    continue;
                }
                match Challenge::read(&parameters, origin) {
                    Ok(challenge) => return Some(Ok(challenge)),
                    Err(text) => refused = Some(Err(text)),
                }
            }
        }
        refused
    }

    fn read(parameters: &[(&str, String)], origin: &Arc<Origin>) -> Result<Challenge, &'static str> {
        let get =
            |name: &str| parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|p| &p.1);
        let known = [
            ("MD5", Algorithm::Md5, false),
            ("MD5-sess", Algorithm::Md5, true),
            ("SHA-256", Algorithm::Sha256, false),
            ("SHA-256-sess", Algorithm::Sha256, true),
        ];
        let (word, algorithm, session) = match get("algorithm") {
            None => (None, Algorithm::Md5, false),
            Some(asked) => {
                let found = known.iter().find(|(word, ..)| word.eq_ignore_ascii_case(asked));
                let (word, algorithm, session) =
                    *found.ok_or("the server asks for a digest that is neither MD5 nor SHA-256")?;
                (Some(word), algorithm, session)
            }
        };
        let qop = match get("qop") {
            None => false,
            Some(list) if list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => {
                return Err("the server asks for a digest over the body (auth-int), which is not supported");
            }
        };
        Ok(Challenge {
            origin: Arc::clone(origin),
            realm: get("realm").ok_or("the server's digest challenge names no realm")?.clone(),
            nonce: get("nonce").ok_or("the server's digest challenge holds no nonce")?.clone(),
            opaque: get("opaque").cloned(),
            algorithm,
            word,
            session,
            qop,
            count: 0,
        })
    }

    /// The value of `Authorization` for a request (RFC 7616 3.4). The client nonce follows from the
    /// user's random stream.
    pub(crate) fn answer(
        &mut self,
        credentials: &UserPassword,
        method: &str,
        target: &str,
        scope: &mut Scope,
    ) -> Result<String, String> {
        let mut text = |template: &Template| -> Result<String, String> {
            let mut out = Vec::new();
            template.render(scope, &mut out)?;
            if crate::encode::has_line_end(&out) {
                return Err("a value for a header holds a line end".to_owned());
            }
            Ok(String::from_utf8_lossy(&out).into_owned())
        };
        let (user, password) = (text(&credentials.user)?, text(&credentials.password)?);
        self.count += 1;
        // beside the user's stream, so that the values of a request do not depend on its credentials
        let seed = scope.rng.clone().next_u64();
        let cnonce = format!("{:016x}", Rng::new(seed, "cnonce", u64::from(self.count)).next_u64());
        Ok(self.respond(&user, &password, method, target, &cnonce))
    }

    fn respond(&self, user: &str, password: &str, method: &str, target: &str, cnonce: &str) -> String {
        let hash = |text: &str| match self.algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        };
        let Challenge { realm, nonce, count, .. } = self;
        let mut secret = hash(&format!("{user}:{realm}:{password}"));
        if self.session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let what = hash(&format!("{method}:{target}"));
        let response = match self.qop {
            true => hash(&format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{what}")),
            false => hash(&format!("{secret}:{nonce}:{what}")),
        };
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(user),
            quoted(realm),
            quoted(nonce),
            quoted(target)
        );
        if let Some(word) = self.word {
            out.push_str(&format!(", algorithm={word}"));
        }
        if self.qop {
            out.push_str(&format!(", qop=auth, nc={count:08x}"));
        }
        if self.qop || self.session {
            out.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The challenges of a `WWW-Authenticate` value with their parameters (RFC 9110 11.6.1); what cannot be read ends the
/// list.
fn challenges(text: &str) -> Vec<(&str, Vec<(&str, String)>)> {
    let mut list: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !c.is_ascii() || !head::is_token_byte(c as u8)).unwrap_or(rest.len());
        if end == 0 {
            return list;
        }
        let (word, after) = rest.split_at(end);
        rest = after.trim_start_matches([' ', '\t']);
        let Some(value) = rest.strip_prefix('=') else {
            list.push((word, Vec::new()));
            continue;
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, after) = match value.strip_prefix('"') {
            Some(inner) => unquote(inner),
            None => {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        rest = after;
        if let Some((_, parameters)) = list.last_mut() {
            parameters.push((word, value));
        }
    }
}

/// The text of a quoted string whose first quote is gone, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return (out, &text[index + 1..]),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    (out, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(header: &str) -> Result<Challenge, &'static str> {
        let head = format!("HTTP/1.1 401 X\r\nWWW-Authenticate: {header}\r\n\r\n");
        let origin = Origin { secure: false, host: "www.example.org".into(), port: 80 };
        Challenge::of(head.as_bytes(), &Arc::new(origin)).unwrap_or(Err("none"))
    }

    /// The example of RFC 7616 3.9.1.
    #[test]
    fn the_examples_of_the_rfc_come_out() {
        let parameters = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let check = |algorithm: &str, response: &str| {
            let mut challenge =
                challenge(&format!("Basic realm=\"x\", Digest {parameters}, algorithm={algorithm}")).unwrap();
            challenge.count = 1;
            let said = challenge.respond("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce);
            assert!(said.contains(&format!("response=\"{response}\"")), "{said}");
            assert!(said.contains("nc=00000001") && said.contains("opaque=\"FQhe"), "{said}");
        };
        check("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        check("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn what_cannot_be_met_is_told() {
        assert!(challenge("Basic realm=x").is_err_and(|text| text == "none"));
        assert!(challenge("Digest realm=x, nonce=y, algorithm=SHA-512-256").is_err());
        assert!(
            challenge("Digest realm=x, nonce=y, qop=\"auth-int\"")
                .is_err_and(|text| text.contains("auth-int"))
        );
        assert!(
            challenge("Digest realm=\"a\\\"b\", nonce=y").is_ok_and(|told| told.realm == "a\"b" && !told.qop)
        );
        for junk in ["Digest", "Digest realm", "Digest realm=\"x", "=,=\"", "\u{fc}"] {
            assert!(challenge(junk).is_err(), "{junk}");
        }
    }
}
