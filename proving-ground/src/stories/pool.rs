//! Database connections on threads of their own.
//!
//! Invariants: jobs run in order of arrival; at most [`QUEUE`] wait, further ones are refused at once, so that
//! a slow database shows as quick 503 answers rather than as memory; dropping the pool ends its threads.

use crate::clock::Watch;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Jobs that may wait.
const QUEUE: usize = 2_000;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    busy: AtomicU64,
    queries: AtomicU64,
    failures: AtomicU64,
    query_ns: AtomicU64,
}

/// Why a query gave nothing.
#[derive(Debug)]
pub(crate) enum PoolError {
    /// Too many queries wait.
    Full,
    /// The database refused, or the pool is closing.
    Database(String),
}

/// Connections and the queue in front of them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    size: u64,
}

/// Figures of a pool at one instant.
pub(crate) struct PoolStatus {
    /// Connections.
    pub(crate) size: u64,
    /// Connections at work.
    pub(crate) busy: u64,
    /// Jobs that wait.
    pub(crate) waiting: u64,
    /// Queries done since the start.
    pub(crate) queries: u64,
    /// Queries that failed since the start.
    pub(crate) failures: u64,
    /// Time spent in queries since the start, seconds.
    pub(crate) query_secs: f64,
}

impl Pool {
    /// A thread for each connection.
    pub(crate) fn start(name: &str, connections: Vec<Connection>) -> Result<Pool, String> {
        let shared = Arc::new(Shared::default());
        let pool = Pool { shared, size: connections.len() as u64 };
        for connection in connections {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work(&shared, connection))
                .map_err(|e| format!("cannot start a database thread: {e}"))?;
        }
        Ok(pool)
    }

    /// Runs `query` on the next free connection.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let job: Job = Box::new(move |connection| {
            let watch = Watch::start();
            let result = query(connection);
            shared.query_ns.fetch_add(watch.elapsed().0, Ordering::Relaxed);
            shared.queries.fetch_add(1, Ordering::Relaxed);
            shared.failures.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
            // the request may have been given up meanwhile
            let _ = answer.send(result);
        });
        {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.jobs.len() >= QUEUE {
                return Err(PoolError::Full);
            }
            queue.jobs.push_back(job);
        }
        self.shared.changed.notify_one();
        match answered.await {
            Ok(result) => result.map_err(|e| PoolError::Database(e.to_string())),
            Err(_) => Err(PoolError::Database("the database is closing".into())),
        }
    }

    /// Figures now.
    pub(crate) fn status(&self) -> PoolStatus {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let waiting = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).jobs.len() as u64;
        PoolStatus {
            size: self.size,
            busy: get(&self.shared.busy),
            waiting,
            queries: get(&self.shared.queries),
            failures: get(&self.shared.failures),
            query_secs: get(&self.shared.query_ns) as f64 / 1e9,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.changed.notify_all();
    }
}

fn work(shared: &Shared, mut connection: Connection) {
    while let Some(job) = next(shared) {
        shared.busy.fetch_add(1, Ordering::Relaxed);
        job(&mut connection);
        shared.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            return Some(job);
        }
        if queue.closed {
            return None;
        }
        queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}
