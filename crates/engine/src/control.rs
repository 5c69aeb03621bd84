//! How a run is stopped from outside: once to drain, twice to abort.

use crucible_record::StopReason;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What the shards are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Go on.
    Run,
    /// Begin nothing new; let what is under way end within the graceful stop.
    Drain,
    /// Cut off what is under way.
    Abort,
}

/// A handle on a running (or not yet started) run; clones share it.
#[derive(Clone)]
pub struct Control {
    sender: Arc<watch::Sender<Signal>>,
    reason: Arc<Mutex<Option<StopReason>>>,
}

impl Default for Control {
    fn default() -> Control {
        Control { sender: Arc::new(watch::Sender::new(Signal::Run)), reason: Arc::default() }
    }
}

impl Control {
    /// A handle that says [`Signal::Run`].
    pub fn new() -> Control {
        Control::default()
    }

    /// Drains, or aborts if it was draining already. The first reason given stays.
    pub fn stop(&self, reason: StopReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.sender.send_modify(|signal| {
            *signal = match *signal {
                Signal::Run => Signal::Drain,
                Signal::Drain | Signal::Abort => Signal::Abort,
            }
        });
    }

    /// Cuts everything off.
    pub fn abort(&self, reason: StopReason) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.sender.send_replace(Signal::Abort);
    }

    /// Drains, but never goes further than that: for our own reasons, which may come up again each second.
    pub fn drain(&self, reason: StopReason) {
        if *self.sender.borrow() == Signal::Run {
            self.stop(reason);
        }
    }

    /// What the shards are told now.
    pub fn signal(&self) -> Signal {
        *self.sender.borrow()
    }

    /// Why, if it was stopped.
    pub fn reason(&self) -> Option<StopReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Signal> {
        self.sender.subscribe()
    }
}
