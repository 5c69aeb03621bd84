//! A rate limiter: a fixed window of the wall clock for each key.
//!
//! Invariant: memory is bounded; keys beyond [`KEYS`] in one window share one counter.

use crate::truth::Limit;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Keys that are counted apart in one window.
const KEYS: usize = 50_000;

/// What the limiter says to one request, and what the headers say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whether it may pass.
    pub(crate) allowed: bool,
    /// Requests allowed per window.
    pub(crate) limit: u64,
    /// Requests left in this window.
    pub(crate) remaining: u64,
    /// Begin of the next window, Unix seconds.
    pub(crate) reset: u64,
    /// Seconds until then, at least 1.
    pub(crate) retry_after: u64,
}

#[derive(Default)]
struct Counts {
    window: u64,
    used: HashMap<String, u64>,
    shared: u64,
}

/// Counts requests by key.
pub(crate) struct Limiter {
    limit: Limit,
    counts: Mutex<Counts>,
}

impl Limiter {
    /// A limiter that has seen nothing.
    pub(crate) fn new(limit: Limit) -> Limiter {
        Limiter { limit, counts: Mutex::default() }
    }

    /// Counts one request of `key` at `unix_ms`. Refused requests are not counted.
    pub(crate) fn ask(&self, key: &str, unix_ms: u64) -> Decision {
        let secs = unix_ms / 1000;
        let window = secs / self.limit.window_secs;
        let reset = (window + 1) * self.limit.window_secs;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.window != window {
            *counts = Counts { window, ..Counts::default() };
        }
        let full = counts.used.len() >= KEYS;
        let used = if full && !counts.used.contains_key(key) {
            &mut counts.shared
        } else {
            counts.used.entry(key.to_owned()).or_default()
        };
        let allowed = *used < self.limit.requests;
        *used += u64::from(allowed);
        let remaining = self.limit.requests - *used;
        let retry_after = reset.saturating_sub(secs).max(1);
        Decision { allowed, limit: self.limit.requests, remaining, reset, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_admits_its_limit_and_the_next_one_begins_anew() {
        let limiter = Limiter::new(Limit { requests: 3, window_secs: 60 });
        let at = 59_000;
        let allowed: Vec<bool> = (0..5).map(|_| limiter.ask("a", at).allowed).collect();
        assert_eq!(allowed, [true, true, true, false, false]);
        let refused = limiter.ask("a", at);
        assert_eq!((refused.remaining, refused.reset, refused.retry_after), (0, 60, 1));
        assert!(limiter.ask("b", at).allowed, "keys are counted apart");
        let next = limiter.ask("a", 60_000);
        assert_eq!((next.allowed, next.remaining, next.retry_after), (true, 2, 60));
    }

    #[test]
    fn keys_without_number_cost_bounded_memory() {
        let limiter = Limiter::new(Limit { requests: 1, window_secs: 3600 });
        for key in 0..KEYS + 100 {
            limiter.ask(&key.to_string(), 0);
        }
        assert_eq!(limiter.counts.lock().unwrap().used.len(), KEYS);
    }
}
