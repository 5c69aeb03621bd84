//! A pool of connections that requests, sessions and WebSockets take from, in order of arrival.

use crate::clock::Timer;
use crate::metrics;
use crucible_core::Ns;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A connection that is taken; given back when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held, not read")] Option<Arc<OwnedSemaphorePermit>>);

/// The pool, if there is one.
pub(super) struct Slots {
    pool: Option<(Arc<Semaphore>, usize)>,
    kept: Mutex<HashMap<String, Slot>>,
    waiting: AtomicU64,
    exhausted: AtomicU64,
}

impl Slots {
    pub(super) fn new(size: Option<usize>) -> Slots {
        Slots {
            pool: size.map(|size| (Arc::new(Semaphore::new(size)), size)),
            kept: Mutex::default(),
            waiting: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
        }
    }

    pub(super) fn exist(&self) -> bool {
        self.pool.is_some()
    }

    /// A connection, or nothing after `patience`.
    pub(super) async fn take(&self, timer: &Timer, patience: Ns) -> Option<Slot> {
        let Some((pool, _)) = &self.pool else { return Some(Slot(None)) };
        if let Ok(permit) = Arc::clone(pool).try_acquire_owned() {
            return Some(Slot(Some(Arc::new(permit))));
        }
        let _waiting = super::Waiting::new(&self.waiting);
        tokio::select! {
            permit = Arc::clone(pool).acquire_owned() => permit.ok().map(|p| Slot(Some(Arc::new(p)))),
            () = timer.hold(patience) => {
                self.exhausted.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    pub(super) fn keep(&self, id: &str, slot: Slot) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), slot);
    }

    pub(super) fn give_back(&self, id: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(super) fn write(&self, out: &mut String) {
        let Some((pool, size)) = &self.pool else { return };
        let busy = size.saturating_sub(pool.available_permits()) as u64;
        metrics::gauge(out, "connections_size", "Connections of the pool.", *size as u64);
        metrics::gauge(out, "connections_busy", "Connections that are taken.", busy);
        let waiting = self.waiting.load(Ordering::Relaxed);
        metrics::gauge(out, "connections_waiting", "Requests that wait for a connection.", waiting);
        let exhausted = self.exhausted.load(Ordering::Relaxed);
        metrics::counter(out, "connections_exhausted_total", "Requests that waited in vain.", exhausted);
    }
}
