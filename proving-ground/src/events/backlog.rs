//! A bug on demand: a queue without a bound in front of one slow consumer.
//!
//! Whoever accepts more than can be done looks well for as long as memory lasts: the rate of acknowledgements says
//! nothing about the rate of completions. The consumer serves in order of arrival; its time is counted from the end
//! of the event before, so that what one wake-up loses does not add up.

use crate::clock::{Watch, nap};
use crate::metrics::{counter, gauge};
use crucible_core::Ns;
use crucible_events::{Event, EventBus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

/// The queue and its counts.
pub(super) struct Backlog {
    sender: mpsc::Sender<(Ns, Event)>,
    clock: Watch,
    accepted: AtomicU64,
    completed: Arc<AtomicU64>,
}

impl Backlog {
    /// Starts the consumer: after `time` for each event it is published on `bus`.
    pub(super) fn start(time: Ns, bus: Arc<dyn EventBus>) -> Result<Backlog, String> {
        let (sender, receiver) = mpsc::channel::<(Ns, Event)>();
        let clock = Watch::start();
        let completed = Arc::new(AtomicU64::new(0));
        let done = Arc::clone(&completed);
        let consume = move || {
            let mut free = Ns::ZERO;
            for (arrived, event) in receiver {
                free = free.max(arrived) + time;
                nap(free.since(clock.elapsed()).into());
                // without a bound in front, nobody is left to tell that the bus had no room
                let _ = bus.publish(event);
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name("consumer".into()).spawn(consume);
        thread.map_err(|e| format!("cannot start the consumer: {e}"))?;
        Ok(Backlog { sender, clock, accepted: AtomicU64::new(0), completed })
    }

    /// Accepts an event, whatever waits already.
    pub(super) fn push(&self, event: Event) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        // the consumer lives as long as this sender
        let _ = self.sender.send((self.clock.elapsed(), event));
    }

    /// Appends accepted, completed and waiting.
    pub(super) fn write(&self, out: &mut String) {
        // read first, so that the difference is never negative
        let completed = self.completed.load(Ordering::Relaxed);
        let accepted = self.accepted.load(Ordering::Relaxed);
        counter(out, "backlog_accepted_total", "Events acknowledged into the unbounded queue.", accepted);
        counter(out, "backlog_completed_total", "Events that its one consumer has done.", completed);
        gauge(
            out,
            "backlog_length",
            "Events that wait for it or are in its hand.",
            accepted.saturating_sub(completed),
        );
    }
}
