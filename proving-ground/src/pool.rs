//! Database connections on threads of their own.
//!
//! Invariants: jobs run in order of arrival; at most [`QUEUE`] wait, further ones are refused at once, so that
//! a slow database shows as quick 503 answers rather than as memory; dropping the pool ends its threads.
//!
//! With [`Lazy`] the pool acknowledges before it commits: jobs run inside of one open transaction that is
//! committed now and then. That is the switch `ack-before-commit`, a bug on demand.

use crate::clock::Watch;
use crucible_core::Ns;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Jobs that may wait.
const QUEUE: usize = 2_000;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

struct Queue<C> {
    jobs: VecDeque<Job<C>>,
    closed: bool,
}

struct Shared<C> {
    queue: Mutex<Queue<C>>,
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
    /// The database cannot be reached.
    Gone(String),
}

impl From<rusqlite::Error> for PoolError {
    fn from(error: rusqlite::Error) -> PoolError {
        PoolError::Database(error.to_string())
    }
}

/// Acknowledging before committing: how often to commit, and how.
pub(crate) struct Lazy<C> {
    /// Time from the first job of a transaction to its commit.
    pub(crate) every: Ns,
    /// Opens the transaction.
    pub(crate) begin: fn(&mut C) -> Result<(), PoolError>,
    /// Commits it.
    pub(crate) commit: fn(&mut C) -> Result<(), PoolError>,
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Lazy<C> {
        *self
    }
}

impl<C> Copy for Lazy<C> {}

impl Lazy<rusqlite::Connection> {
    /// For SQLite, if it is asked for. Writes must use savepoints, which nest in the open transaction.
    pub(crate) fn sqlite(every: Option<Ns>) -> Option<Lazy<rusqlite::Connection>> {
        every.map(|every| Lazy {
            every,
            begin: |db: &mut rusqlite::Connection| Ok(db.execute_batch("BEGIN IMMEDIATE")?),
            commit: |db: &mut rusqlite::Connection| Ok(db.execute_batch("COMMIT")?),
        })
    }
}

/// Connections and the queue in front of them.
pub(crate) struct Pool<C = rusqlite::Connection> {
    shared: Arc<Shared<C>>,
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

impl<C: Send + 'static> Pool<C> {
    /// A thread for each connection.
    pub(crate) fn start(name: &str, connections: Vec<C>) -> Result<Pool<C>, String> {
        Pool::start_lazy(name, connections, None)
    }

    /// The same, acknowledging before committing if that is asked for.
    pub(crate) fn start_lazy(
        name: &str,
        connections: Vec<C>,
        lazy: Option<Lazy<C>>,
    ) -> Result<Pool<C>, String> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            changed: Condvar::new(),
            busy: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            query_ns: AtomicU64::new(0),
        });
        let pool = Pool { shared, size: connections.len() as u64 };
        for connection in connections {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || match lazy {
                    Some(lazy) => work_lazily(&shared, connection, lazy),
                    None => work(&shared, connection),
                })
                .map_err(|e| format!("cannot start a database thread: {e}"))?;
        }
        Ok(pool)
    }

    /// Runs `query` on the next free connection.
    pub(crate) async fn call<T: Send + 'static, E: Into<PoolError> + Send + 'static>(
        &self,
        query: impl FnOnce(&mut C) -> Result<T, E> + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, answered) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let job: Job<C> = Box::new(move |connection| {
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
            Ok(result) => result.map_err(E::into),
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

impl Pool {
    /// Runs `query` on the next free connection.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, PoolError> {
        self.call(query).await
    }
}

impl<C> Drop for Pool<C> {
    fn drop(&mut self) {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.changed.notify_all();
    }
}

impl<C> Shared<C> {
    fn run(&self, job: Job<C>, connection: &mut C) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        job(connection);
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }

    /// The next job; nothing when the pool is closed, or when `until` has passed and there is none.
    fn next(&self, open: Option<(Watch, Ns)>) -> Next<C> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = open.map(|(since, every)| every.since(since.elapsed()));
            if left == Some(Ns::ZERO) {
                return Next::Time;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Next::Job(job);
            }
            if queue.closed {
                return Next::Closed;
            }
            queue = match left {
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(queue, left.into()).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

enum Next<C> {
    Job(Job<C>),
    Time,
    Closed,
}

fn work<C>(shared: &Shared<C>, mut connection: C) {
    while let Next::Job(job) = shared.next(None) {
        shared.run(job, &mut connection);
    }
}

fn work_lazily<C>(shared: &Shared<C>, mut connection: C, lazy: Lazy<C>) {
    let mut open = None;
    loop {
        match shared.next(open.map(|since| (since, lazy.every))) {
            Next::Job(job) => {
                // where no transaction can be opened, the job commits for itself
                if open.is_none() && (lazy.begin)(&mut connection).is_ok() {
                    open = Some(Watch::start());
                }
                shared.run(job, &mut connection);
            }
            Next::Time => {
                // what cannot be committed is lost, as it would be in a system with this bug
                let _ = (lazy.commit)(&mut connection);
                open = None;
            }
            Next::Closed => {
                if open.is_some() {
                    let _ = (lazy.commit)(&mut connection);
                }
                return;
            }
        }
    }
}

impl std::fmt::Display for PoolError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PoolError::Full => f.write_str("too many queries wait"),
            PoolError::Database(why) | PoolError::Gone(why) => f.write_str(why),
        }
    }
}
