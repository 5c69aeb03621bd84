//! Who asks: the key under which a request is counted.

use crate::truth::Key;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Tokens whose users are remembered.
const TOKENS: usize = 50_000;
/// Longest token that is a key of its own, bytes.
const TOKEN: usize = 128;

/// Whose a token is, as far as a system has told.
#[derive(Default)]
pub(crate) struct Users {
    by_token: Mutex<HashMap<String, String>>,
    by_rule: OnceLock<fn(&str) -> Option<String>>,
}

impl Users {
    /// Tokens that tell by themselves whose they are. To be said before the first request.
    pub(crate) fn tell_by(&self, rule: fn(&str) -> Option<String>) {
        let _ = self.by_rule.set(rule);
    }

    /// A system has found out whose a token is.
    pub(crate) fn knows(&self, token: &str, user: &str) {
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        if by_token.get(token).is_some_and(|known| known == user) {
            return;
        }
        if by_token.len() >= TOKENS {
            by_token.clear();
        }
        by_token.insert(token.to_owned(), user.to_owned());
    }

    /// The key of a request.
    pub(super) fn key(&self, key: Key, request: &Request) -> String {
        let address = || match request.extensions().get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) => format!("address {}", peer.ip()),
            None => "unknown".into(),
        };
        let token = token_of(request.headers()).filter(|token| token.len() <= TOKEN);
        match key {
            Key::User => match token {
                Some(token) => {
                    if let Some(user) = self.by_rule.get().and_then(|rule| rule(token)) {
                        return format!("user {user}");
                    }
                    let by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
                    by_token
                        .get(token)
                        .map_or_else(|| format!("token {token}"), |user| format!("user {user}"))
                }
                None => address(),
            },
            Key::Token => token.map_or_else(|| "no token".into(), |token| format!("token {token}")),
            Key::Address => address(),
            Key::Route => {
                let pattern = request.extensions().get::<MatchedPath>();
                pattern.map_or("unmatched", MatchedPath::as_str).to_owned()
            }
            Key::All => String::new(),
        }
    }
}

/// The bearer token, or the session of the cookie.
pub(crate) fn token_of(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer =
        text(header::AUTHORIZATION).map(|value| value.split_once(' ').map_or(value, |(_, token)| token));
    bearer
        .map(str::trim)
        .or_else(|| text(header::COOKIE)?.split(';').find_map(|pair| pair.trim().strip_prefix("session=")))
}
