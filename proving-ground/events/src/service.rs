//! One registered service: its queue, its handler, its counts. Both architectures use it and differ in who calls.

use crate::breaker::Breaker;
use crate::bus::{Handler, ServiceId, ServiceSpec};
use crate::clock::SharedClock;
use crate::dedup::Dedup;
use crate::directory::Interest;
use crate::event::Event;
use crate::lane::Lane;
use crate::room::{Room, lock};
use crate::settings::Settings;
use crate::statistics::{Health, ServiceStatistics};
use crucible_core::{Histogram, Ns};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Events taken from a queue at once: what more urgent events may have to wait for.
const BATCH: usize = 64;

/// How often a service's own thread looks again before it sleeps, each time giving way to others.
const YIELDS: u32 = 4;

/// What became of an event at a queue.
pub(crate) enum Offer {
    /// It is in; with `wake`, somebody must be told that there is work.
    Taken { wake: bool },
    /// No room.
    Full(Event),
    /// The service is going away.
    Closed,
}

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    processed: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    duplicates: AtomicU64,
    refused: AtomicU64,
    retried: AtomicU64,
    expired: AtomicU64,
    short_circuited: AtomicU64,
    panicked: AtomicU64,
    forgotten: AtomicU64,
    /// processed + failed + dropped + duplicates.
    finished: AtomicU64,
}

/// Counts of one batch.
#[derive(Default)]
struct Tally {
    processed: u64,
    failed: u64,
    duplicates: u64,
    retried: u64,
    expired: u64,
    short_circuited: u64,
    panicked: u64,
}

struct Work {
    handler: Box<dyn Handler>,
    breaker: Breaker,
    dedup: Option<Dedup>,
}

/// What a thread that works on batches keeps between them.
#[derive(Default)]
pub(crate) struct Scratch {
    batch: Vec<Event>,
    took: Vec<Ns>,
}

/// A registered service.
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) name: String,
    pub(crate) interest: Interest,
    pub(crate) weight: u32,
    pub(crate) rank: u32,
    health: AtomicU8,
    open_until: AtomicU64,
    lane: Mutex<Lane>,
    /// Where a thread of its own waits for work.
    work_came: Condvar,
    room: Arc<Room>,
    quiet: Room,
    work: Mutex<Work>,
    latency: Mutex<Histogram>,
    breaker: Mutex<crate::breaker::BreakerState>,
    counts: Counts,
}

impl Service {
    pub(crate) fn new(
        id: ServiceId,
        spec: ServiceSpec,
        handler: Box<dyn Handler>,
        settings: &Settings,
        (room, dedup): (Arc<Room>, Option<Dedup>),
    ) -> Service {
        let breaker = Breaker::new(settings.breaker_failures, settings.breaker_pause);
        Service {
            id,
            name: spec.name,
            interest: spec.interest,
            weight: spec.weight,
            rank: spec.rank,
            health: AtomicU8::new(0),
            open_until: AtomicU64::new(0),
            lane: Mutex::default(),
            work_came: Condvar::new(),
            room,
            quiet: Room::default(),
            breaker: Mutex::new(breaker.state()),
            work: Mutex::new(Work { handler, breaker, dedup }),
            latency: Mutex::default(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn health(&self) -> Health {
        Health::from_u8(self.health.load(Ordering::Relaxed))
    }

    pub(crate) fn set_health(&self, health: Health) {
        self.health.store(health as u8, Ordering::Relaxed);
    }

    pub(crate) fn breaker_open_until(&self) -> Ns {
        Ns(self.open_until.load(Ordering::Relaxed))
    }

    /// Events in the queue or in hand.
    pub(crate) fn pending(&self) -> u64 {
        let finished = self.counts.finished.load(Ordering::Acquire);
        self.counts.received.load(Ordering::Acquire).saturating_sub(finished)
    }

    /// Sets the number of places kept for it.
    pub(crate) fn reserve(&self, places: usize) {
        let mut lane = lock(&self.lane);
        let before = lane.beyond() as i64;
        lane.reserved = places;
        self.room.correct(lane.beyond() as i64 - before);
    }

    /// Puts an event into the queue if there is room.
    pub(crate) fn offer(&self, event: Event, drop_oldest: bool) -> Offer {
        let mut lane = lock(&self.lane);
        if lane.closed {
            return Offer::Closed;
        }
        if lane.len() >= lane.reserved && !self.room.take() {
            if !drop_oldest || lane.drop_oldest(event.priority).is_none() {
                return Offer::Full(event);
            }
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            self.counts.finished.fetch_add(1, Ordering::Release);
        }
        lane.push(event);
        // only the holder of the lane's lock writes this one
        let received = self.counts.received.load(Ordering::Relaxed);
        self.counts.received.store(received + 1, Ordering::Release);
        Offer::Taken { wake: !std::mem::replace(&mut lane.scheduled, true) }
    }

    /// Waits for room, for as long as `give_up` says no.
    pub(crate) fn offer_patiently(&self, event: Event, give_up: impl FnMut() -> bool) -> Offer {
        let mut held = Some(event);
        let attempt = || match self.offer(held.take()?, false) {
            Offer::Full(event) => {
                held = Some(event);
                None
            }
            done => Some(done),
        };
        let done = self.room.wait(attempt, give_up);
        done.unwrap_or_else(|| held.map_or(Offer::Closed, Offer::Full))
    }

    /// Counts an event that found no room.
    pub(crate) fn refuse(&self) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        lock(&self.lane).closed = true;
        self.work_came.notify_all();
        self.room.wake();
    }

    /// Tells the thread that waits in [`Service::await_work`].
    pub(crate) fn tell(&self) {
        self.work_came.notify_one();
    }

    /// Waits for work; false if there will be none.
    pub(crate) fn await_work(&self) -> bool {
        // being awake when the next event comes is far cheaper than being woken for it
        for _ in 0..YIELDS {
            std::thread::yield_now();
            if lock(&self.lane).scheduled {
                return true;
            }
        }
        let nothing = |lane: &mut Lane| !lane.scheduled && !lane.closed;
        let lane = self.work_came.wait_while(lock(&self.lane), nothing);
        lane.unwrap_or_else(PoisonError::into_inner).scheduled
    }

    /// Handles a batch. False: the queue was empty, and the next event will be announced again.
    pub(crate) fn run_batch(&self, clock: &SharedClock, settings: &Settings, scratch: &mut Scratch) -> bool {
        {
            let mut lane = lock(&self.lane);
            let before = lane.beyond();
            lane.take(&mut scratch.batch, BATCH);
            if scratch.batch.is_empty() {
                lane.scheduled = false;
                return false;
            }
            let freed = before - lane.beyond();
            drop(lane);
            self.room.give(freed);
        }
        let mut tally = Tally::default();
        {
            let mut work = lock(&self.work);
            let mut now = clock.now();
            for event in scratch.batch.drain(..) {
                if self.one(&mut work, &event, (clock, settings), &mut now, &mut tally) {
                    scratch.took.push(now.since(event.accepted_at));
                }
            }
            if let Some(dedup) = &work.dedup {
                self.counts.forgotten.store(dedup.forgotten_early(), Ordering::Relaxed);
            }
        }
        self.settle(&tally, scratch);
        true
    }

    /// Deals with one event; whether it was handled with success.
    fn one(
        &self,
        work: &mut Work,
        event: &Event,
        (clock, settings): (&SharedClock, &Settings),
        now: &mut Ns,
        tally: &mut Tally,
    ) -> bool {
        let begin = *now;
        if work.dedup.as_mut().is_some_and(|dedup| !dedup.is_new(event.id, begin)) {
            tally.duplicates += 1;
            return false;
        }
        if begin.since(event.accepted_at) >= settings.event_timeout {
            tally.expired += 1;
            tally.failed += 1;
            return false;
        }
        if !work.breaker.allow(begin) {
            tally.short_circuited += 1;
            tally.failed += 1;
            return false;
        }
        let mut left = settings.retries;
        let mut ok = loop {
            let result = catch_unwind(AssertUnwindSafe(|| work.handler.handle(event)));
            *now = clock.now();
            tally.panicked += u64::from(result.is_err());
            if matches!(result, Ok(Ok(()))) {
                break true;
            }
            if left == 0 || now.since(begin) >= settings.event_timeout {
                break false;
            }
            left -= 1;
            tally.retried += 1;
        };
        if now.since(begin) >= settings.event_timeout {
            ok = false;
            tally.expired += 1;
        }
        let before = work.breaker.state();
        work.breaker.outcome(ok, *now);
        if work.breaker.state() != before {
            self.open_until.store(work.breaker.open_until().0, Ordering::Relaxed);
            *lock(&self.breaker) = work.breaker.state();
        }
        tally.processed += u64::from(ok);
        tally.failed += u64::from(!ok);
        ok
    }

    fn settle(&self, tally: &Tally, scratch: &mut Scratch) {
        {
            let mut latency = lock(&self.latency);
            scratch.took.drain(..).for_each(|took| latency.record(took));
        }
        let add = |count: &AtomicU64, by: u64| {
            if by > 0 {
                count.fetch_add(by, Ordering::Relaxed);
            }
        };
        let counts = &self.counts;
        add(&counts.processed, tally.processed);
        add(&counts.failed, tally.failed);
        add(&counts.duplicates, tally.duplicates);
        add(&counts.retried, tally.retried);
        add(&counts.expired, tally.expired);
        add(&counts.short_circuited, tally.short_circuited);
        add(&counts.panicked, tally.panicked);
        // last, so that whoever sees everything finished sees all counts
        counts.finished.fetch_add(tally.processed + tally.failed + tally.duplicates, Ordering::SeqCst);
        self.quiet.wake();
    }

    /// Waits until nothing is pending; false if `give_up` said yes before.
    pub(crate) fn await_quiet(&self, give_up: impl FnMut() -> bool) -> bool {
        self.quiet.wait(|| (self.pending() == 0).then_some(()), give_up).is_some()
    }

    /// Ids that its own deduplication forgot early.
    pub(crate) fn forgotten_early(&self) -> u64 {
        self.counts.forgotten.load(Ordering::Relaxed)
    }

    pub(crate) fn statistics(&self) -> ServiceStatistics {
        // under the lane's lock nothing is received or dropped meanwhile
        let lane = lock(&self.lane);
        let counts = &self.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Acquire);
        let received = get(&counts.received);
        let dropped = get(&counts.dropped);
        let (processed, failed, duplicates) =
            (get(&counts.processed), get(&counts.failed), get(&counts.duplicates));
        let row = ServiceStatistics {
            id: self.id,
            name: self.name.clone(),
            health: self.health(),
            breaker: *lock(&self.breaker),
            received,
            processed,
            failed,
            dropped,
            duplicates,
            refused: get(&counts.refused),
            retried: get(&counts.retried),
            expired: get(&counts.expired),
            short_circuited: get(&counts.short_circuited),
            panicked: get(&counts.panicked),
            pending: received.saturating_sub(processed + failed + dropped + duplicates),
            latency: Histogram::default(),
        };
        drop(lane);
        ServiceStatistics { latency: lock(&self.latency).clone(), ..row }
    }
}
