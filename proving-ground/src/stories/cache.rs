//! Answers kept in front of the database for a while.
//!
//! Invariants: at most [`ENTRIES`] are kept; an answer is never older than its time to live; a write forgets
//! what it made stale before it is acknowledged.

use crate::clock::Watch;
use axum::body::Bytes;
use crucible_core::Ns;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Answers kept at once.
const ENTRIES: usize = 5_000;

/// See the module text.
pub(crate) struct Cache {
    time_to_live: Ns,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Default)]
struct Entries {
    kept: HashMap<String, (Watch, Bytes)>,
    /// Raised by every write, so that an answer read before a write is not kept after it.
    generation: u64,
}

/// Figures of the cache at one instant.
pub(crate) struct CacheStatus {
    /// Answers kept.
    pub(crate) entries: u64,
    /// Questions answered since the start.
    pub(crate) hits: u64,
    /// Questions not answered since the start.
    pub(crate) misses: u64,
    /// Answers thrown out for lack of room since the start.
    pub(crate) evictions: u64,
}

impl Cache {
    /// An empty cache; a time to live of zero keeps nothing.
    pub(crate) fn new(time_to_live: Ns) -> Cache {
        Cache {
            time_to_live,
            entries: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// The answer, if it is fresh; else the generation to give to [`Cache::put`].
    pub(crate) fn get(&self, key: &str) -> Result<Bytes, u64> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.kept.get(key) {
            Some((since, answer)) if since.elapsed() < self.time_to_live => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                Ok(answer.clone())
            }
            _ => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                Err(entries.generation)
            }
        }
    }

    /// Keeps an answer, unless something was written since `generation`.
    pub(crate) fn put(&self, key: String, answer: Bytes, generation: u64) {
        if self.time_to_live == Ns::ZERO {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.generation != generation {
            return;
        }
        if entries.kept.len() >= ENTRIES && !entries.kept.contains_key(&key) {
            let before = entries.kept.len();
            entries.kept.retain(|_, (since, _)| since.elapsed() < self.time_to_live);
            if entries.kept.len() == before {
                // all are fresh: any one goes, which is what a cache without order can do at once
                let any = entries.kept.keys().next().cloned();
                any.and_then(|key| entries.kept.remove(&key));
            }
            self.evictions.fetch_add((before - entries.kept.len()) as u64, Ordering::Relaxed);
        }
        entries.kept.insert(key, (Watch::start(), answer));
    }

    /// Forgets all answers whose key begins with one of `prefixes`.
    pub(crate) fn forget(&self, prefixes: &[&str]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.generation += 1;
        entries.kept.retain(|key, _| !prefixes.iter().any(|prefix| key.starts_with(prefix)));
    }

    /// Figures now.
    pub(crate) fn status(&self) -> CacheStatus {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        CacheStatus {
            entries: self.entries.lock().unwrap_or_else(PoisonError::into_inner).kept.len() as u64,
            hits: get(&self.hits),
            misses: get(&self.misses),
            evictions: get(&self.evictions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_forgets_and_never_keeps_what_a_write_made_stale() {
        let cache = Cache::new(Ns::from_secs(3600));
        let generation = cache.get("story/a").unwrap_err();
        cache.put("story/a".into(), Bytes::from_static(b"1"), generation);
        assert_eq!(cache.get("story/a").unwrap(), "1");
        cache.forget(&["story/"]);
        let before_write = cache.get("story/a").unwrap_err();
        cache.forget(&["whispers"]);
        cache.put("story/a".into(), Bytes::from_static(b"old"), before_write);
        assert!(cache.get("story/a").is_err(), "read before the write, so it may be stale");
        let off = Cache::new(Ns::ZERO);
        off.put("k".into(), Bytes::new(), 0);
        assert!(off.get("k").is_err());
    }

    #[test]
    fn holds_no_more_than_its_entries() {
        let cache = Cache::new(Ns::from_secs(3600));
        for key in 0..ENTRIES + 10 {
            cache.put(key.to_string(), Bytes::new(), 0);
        }
        let status = cache.status();
        assert_eq!((status.entries, status.evictions), (ENTRIES as u64, 10));
    }
}
