//! Answers kept in front of the database for a while.
//!
//! In the process, or in Redis when there is one: then all processes share it, and while Redis is away every
//! question goes to the database. Invariants: at most [`ENTRIES`] are kept in the process; an answer is never
//! older than its time to live, unless the database is gone and the asker is told so; a write forgets what it
//! made stale before it is acknowledged.

mod remote;

use crate::clock::Watch;
use axum::body::Bytes;
use crucible_core::Ns;
use remote::Remote;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Answers kept at once.
const ENTRIES: usize = 5_000;

/// See the module text.
pub(crate) struct Cache {
    local: Local,
    remote: Option<Remote>,
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
}

/// What [`Cache::put`] needs to know: how often something was written before the question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missed {
    local: u64,
    remote: Option<u64>,
}

impl Cache {
    /// An empty cache in front of the database; a time to live of zero keeps nothing. `redis`: an address.
    pub(crate) fn new(time_to_live: Ns, redis: Option<&str>) -> Result<Cache, String> {
        let remote = redis.map(|url| Remote::new(url, time_to_live)).transpose()?;
        let count = || AtomicU64::new(0);
        Ok(Cache { local: Local::new(time_to_live), remote, hits: count(), misses: count(), stale: count() })
    }

    /// The answer, if it is fresh; else what to give to [`Cache::put`].
    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, Missed> {
        let found = match &self.remote {
            None => self.local.get(key).map_err(|local| Missed { local, remote: None }),
            Some(remote) => {
                let local = self.local.generation();
                remote.get(key).await.map_err(|remote| Missed { local, remote })
            }
        };
        let count = if found.is_ok() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps an answer, unless something was written since the question.
    pub(crate) async fn put(&self, key: String, answer: Bytes, missed: Missed) {
        if let (Some(remote), Some(generation)) = (&self.remote, missed.remote) {
            remote.put(&key, &answer, generation).await;
        }
        self.local.put(key, answer, missed.local);
    }

    /// The last answer known, however old: better than none when the database is gone.
    pub(crate) fn stale(&self, key: &str) -> Option<Bytes> {
        let found = self.local.stale(key);
        self.stale.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    /// Forgets all answers whose key begins with one of `families`.
    pub(crate) async fn forget(&self, families: &[&str]) {
        self.local.forget(families);
        if let Some(remote) = &self.remote {
            remote.forget(families).await;
        }
    }

    /// What stands behind the cache: in the process always well; Redis if it answers.
    pub(crate) async fn health(&self) -> Result<String, String> {
        match &self.remote {
            None => Ok(format!("{} entries in the process", self.local.len())),
            Some(remote) => remote.ping().await.map(|()| "redis answers".to_owned()),
        }
    }

    /// Figures now.
    pub(crate) fn status(&self) -> CacheStatus {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        CacheStatus {
            entries: self.local.len() as u64,
            hits: get(&self.hits),
            misses: get(&self.misses),
            stale: get(&self.stale),
            evictions: get(&self.local.evictions),
            errors: self.remote.as_ref().map_or(0, Remote::errors),
        }
    }
}

/// Answers in the process.
struct Local {
    time_to_live: Ns,
    entries: Mutex<Entries>,
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
    /// Old answers given because the database was gone, since the start.
    pub(crate) stale: u64,
    /// Answers thrown out for lack of room since the start.
    pub(crate) evictions: u64,
    /// Times that Redis did not answer since the start.
    pub(crate) errors: u64,
}

impl Local {
    fn new(time_to_live: Ns) -> Local {
        Local { time_to_live, entries: Mutex::default(), evictions: AtomicU64::new(0) }
    }

    fn generation(&self) -> u64 {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).generation
    }

    fn len(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).kept.len()
    }

    fn stale(&self, key: &str) -> Option<Bytes> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.kept.get(key).map(|(_, answer)| answer.clone())
    }

    /// The answer, if it is fresh; else the generation to give to [`Local::put`].
    fn get(&self, key: &str) -> Result<Bytes, u64> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.kept.get(key) {
            Some((since, answer)) if since.elapsed() < self.time_to_live => Ok(answer.clone()),
            _ => Err(entries.generation),
        }
    }

    /// Keeps an answer, unless something was written since `generation`.
    fn put(&self, key: String, answer: Bytes, generation: u64) {
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
    fn forget(&self, prefixes: &[&str]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.generation += 1;
        entries.kept.retain(|key, _| !prefixes.iter().any(|prefix| key.starts_with(prefix)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_forgets_and_never_keeps_what_a_write_made_stale() {
        let cache = Local::new(Ns::from_secs(3600));
        let generation = cache.get("story/a").unwrap_err();
        cache.put("story/a".into(), Bytes::from_static(b"1"), generation);
        assert_eq!(cache.get("story/a").unwrap(), "1");
        assert_eq!(cache.stale("story/a").unwrap(), "1");
        cache.forget(&["story/"]);
        let before_write = cache.get("story/a").unwrap_err();
        cache.forget(&["whispers"]);
        cache.put("story/a".into(), Bytes::from_static(b"old"), before_write);
        assert!(cache.get("story/a").is_err(), "read before the write, so it may be stale");
        let off = Local::new(Ns::ZERO);
        off.put("k".into(), Bytes::new(), 0);
        assert!(off.get("k").is_err());
    }

    #[test]
    fn holds_no_more_than_its_entries() {
        let cache = Local::new(Ns::from_secs(3600));
        for key in 0..ENTRIES + 10 {
            cache.put(key.to_string(), Bytes::new(), 0);
        }
        assert_eq!((cache.len(), cache.evictions.load(Ordering::Relaxed)), (ENTRIES, 10));
    }
}
