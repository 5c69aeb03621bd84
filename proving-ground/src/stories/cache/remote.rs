//! Answers in Redis.
//!
//! Keys carry the number of a family's last write, so that a write forgets a whole family by counting on. Redis
//! is never waited for longer than a quarter of a second, and after a failure it is left alone for a second:
//! the platform works without it. What could not be forgotten is forgotten before the next question.

use crate::clock::Watch;
use axum::body::Bytes;
use crucible_core::Ns;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest wait.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long Redis is left alone after a failure.
const REST: Ns = Ns::from_secs(1);
/// All families of keys.
const FAMILIES: [&str; 6] = ["feed/", "list/", "search/", "user/", "story/", "whispers"];

/// See the module text.
pub(super) struct Remote {
    client: Client,
    time_to_live: Ns,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    failed: Mutex<Option<Watch>>,
    unforgotten: AtomicBool,
    errors: AtomicU64,
}

fn family(key: &str) -> &str {
    key.find('/').map_or(key, |at| &key[..=at])
}

fn version_key(family: &str) -> String {
    format!("crucible:stories:version:{family}")
}

fn value_key(key: &str, version: u64) -> String {
    format!("crucible:stories:value:{version}:{key}")
}

impl Remote {
    /// Reads the address; the connection is made when it is needed.
    pub(super) fn new(url: &str, time_to_live: Ns) -> Result<Remote, String> {
        let client = Client::open(url).map_err(|e| format!("cannot read the address of Redis: {e}"))?;
        Ok(Remote {
            client,
            time_to_live,
            connection: tokio::sync::Mutex::new(None),
            failed: Mutex::new(None),
            // another process may have written while this one was away
            unforgotten: AtomicBool::new(true),
            errors: AtomicU64::new(0),
        })
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The answer; else the version to put one under, if Redis answers at all.
    pub(super) async fn get(&self, key: &str) -> Result<Bytes, Option<u64>> {
        if self.time_to_live == Ns::ZERO {
            return Err(None);
        }
        let Some(mut connection) = self.connection().await else { return Err(None) };
        let found = async {
            if self.unforgotten.swap(false, Ordering::Relaxed)
                && let Err(error) = count_on(&mut connection, &FAMILIES).await
            {
                self.unforgotten.store(true, Ordering::Relaxed);
                return Err(error);
            }
            let version: Option<u64> =
                redis::cmd("GET").arg(version_key(family(key))).query_async(&mut connection).await?;
            let version = version.unwrap_or(0);
            let value: Option<Vec<u8>> =
                redis::cmd("GET").arg(value_key(key, version)).query_async(&mut connection).await?;
            Ok((version, value))
        };
        match self.seen(found.await).await {
            Some((_, Some(value))) => Ok(value.into()),
            Some((version, None)) => Err(Some(version)),
            None => Err(None),
        }
    }

    pub(super) async fn put(&self, key: &str, answer: &Bytes, version: u64) {
        let Some(mut connection) = self.connection().await else { return };
        let millis = (self.time_to_live.0 / 1_000_000).max(1);
        let done: Result<(), RedisError> = redis::cmd("SET")
            .arg(value_key(key, version))
            .arg(answer.as_ref())
            .arg("PX")
            .arg(millis)
            .query_async(&mut connection)
            .await;
        self.seen(done).await;
    }

    pub(super) async fn forget(&self, families: &[&str]) {
        let done = match self.connection().await {
            Some(mut connection) => {
                let done = count_on(&mut connection, families).await;
                self.seen(done).await.is_some()
            }
            None => false,
        };
        if !done {
            self.unforgotten.store(true, Ordering::Relaxed);
        }
    }

    pub(super) async fn ping(&self) -> Result<(), String> {
        let Some(mut connection) = self.connection().await else {
            return Err("redis does not answer".into());
        };
        let pong: Result<String, RedisError> = redis::cmd("PING").query_async(&mut connection).await;
        let told = pong.as_ref().err().map(ToString::to_string);
        self.seen(pong).await.map(drop).ok_or_else(|| told.unwrap_or_default())
    }

    /// A connection, unless Redis has just failed.
    async fn connection(&self) -> Option<MultiplexedConnection> {
        let resting = |failed: &Option<Watch>| failed.is_some_and(|since| since.elapsed() < REST);
        if resting(&self.failed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return None;
        }
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Some(connection.clone());
        }
        // who waited for the lock meanwhile need not fail a second time
        if resting(&self.failed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return None;
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await;
        match made {
            Ok(connection) => {
                *kept = Some(connection.clone());
                Some(connection)
            }
            Err(_) => {
                drop(kept);
                self.fail();
                None
            }
        }
    }

    fn fail(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Watch::start());
    }

    /// What came back; after an error the connection is given up.
    async fn seen<T>(&self, result: Result<T, RedisError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(_) => {
                *self.connection.lock().await = None;
                self.fail();
                None
            }
        }
    }
}

async fn count_on(connection: &mut MultiplexedConnection, families: &[&str]) -> Result<(), RedisError> {
    for family in families {
        let _: u64 = redis::cmd("INCR").arg(version_key(family)).query_async(connection).await?;
    }
    Ok(())
}
