//! The central router: one place that knows the rules, remembers the ids, bounds all queues together and lends its
//! workers to whichever service has events.
//!
//! An event is looked up once, put into the lane of each of its services, and a lane that has events stands in one
//! ready list. A worker takes a lane from its front, handles a batch and puts it back at the end, so that lanes take
//! turns; a lane is in the hands of one worker at a time, which keeps its order. Workers are few while they get on,
//! and more, up to the concurrency setting, when handlers hold them up.

mod pool;
mod rules;

pub use rules::{Route, Rule};

use crate::bus::{BusError, EventBus, Handler, Receipt, ServiceId, ServiceSpec};
use crate::clock::{MonotonicClock, SharedClock};
use crate::dedup::Dedup;
use crate::directory::Hub;
use crate::event::{Event, Targets};
use crate::room::{Room, lock};
use crate::service::Service;
use crate::settings::Settings;
use crate::statistics::{Health, Statistics};
use crucible_core::Ns;
use crucible_core::rng::mix;
use pool::Pool;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Parts of the memory of ids, so that publishers seldom meet.
const SHARDS: usize = 16;

/// The central router.
pub struct CentralRouter {
    hub: Hub,
    pool: Pool,
    room: Arc<Room>,
    ids: Vec<Mutex<Dedup>>,
    rules: RwLock<Arc<[Rule]>>,
    /// Whether there are any; spares most events the look at them.
    ruled: AtomicBool,
}

impl CentralRouter {
    /// One on the machine's clock. Errors if the machine gives no threads.
    pub fn start(settings: Settings) -> Result<CentralRouter, BusError> {
        CentralRouter::with_clock(settings, Arc::new(MonotonicClock::start()))
    }

    /// One on this clock.
    pub fn with_clock(settings: Settings, clock: SharedClock) -> Result<CentralRouter, BusError> {
        let shards = if settings.dedup_window > Ns::ZERO { SHARDS.min(settings.dedup_ids.max(1)) } else { 0 };
        let each = |_| Mutex::new(Dedup::new(settings.dedup_window, settings.dedup_ids / shards.max(1)));
        Ok(CentralRouter {
            pool: Pool::start(Arc::clone(&clock), settings)?,
            hub: Hub::new(settings, clock),
            room: Arc::new(Room::default()),
            ids: (0..shards).map(each).collect(),
            rules: RwLock::new(Arc::from([])),
            ruled: AtomicBool::new(false),
        })
    }

    /// Replaces the routing rules. The first that matches decides where an event goes that names no targets; if none
    /// does, the services' interests decide.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        let mut all = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        self.ruled.store(!rules.is_empty(), Ordering::Release);
        *all = rules.into();
    }

    /// Routes one event; the same as [`EventBus::publish`].
    pub fn route_event(&self, mut event: Event) -> Receipt {
        self.hub.count_received();
        event.accepted_at = self.hub.clock.now();
        let (id, at) = (event.id, event.accepted_at);
        let shard = if self.ids.is_empty() { None } else { self.ids.get(mix(id) as usize % self.ids.len()) };
        if shard.is_some_and(|shard| !lock(shard).is_new(id, at)) {
            return self.hub.duplicate();
        }
        if self.ruled.load(Ordering::Acquire) && event.targets == Targets::Interested {
            let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
            match rules.iter().find(|rule| rule.matches(&event)).map(|rule| &rule.route) {
                Some(Route::Discard) => return self.hub.discarded(),
                Some(Route::To(targets)) => event.targets = targets.clone(),
                None => {}
            }
        }
        let receipt = self.hub.spread(&self.hub.table(), event, |service| self.pool.ready(service));
        if receipt.accepted == 0
            && let Some(shard) = shard
        {
            // nobody has it: whoever tries again is not a duplicate
            lock(shard).forget(id);
        }
        receipt
    }

    /// Shares the places out: half in equal parts, the rest for all.
    fn share(&self, services: &[Arc<Service>]) {
        let queue = self.hub.settings.queue.max(services.len());
        let each = (queue / (2 * services.len().max(1))).max(1);
        services.iter().for_each(|service| service.reserve(each));
        self.room.resize(queue - each * services.len());
    }
}

impl EventBus for CentralRouter {
    fn architecture(&self) -> &'static str {
        "router"
    }

    fn register(&self, spec: ServiceSpec, handler: Box<dyn Handler>) -> Result<ServiceId, BusError> {
        self.hub.register(spec, handler, (Arc::clone(&self.room), None), |_, services| {
            self.share(services);
            Ok(())
        })
    }

    fn unregister(&self, id: ServiceId) -> bool {
        self.hub.unregister(id, |services| self.share(services))
    }

    fn set_health(&self, id: ServiceId, health: Health) -> bool {
        self.hub.set_health(id, health)
    }

    fn publish(&self, event: Event) -> Receipt {
        self.route_event(event)
    }

    fn drain(&self, limit: Duration) -> bool {
        self.hub.drain(limit)
    }

    fn statistics(&self) -> Statistics {
        let forgotten = self.ids.iter().map(|shard| lock(shard).forgotten_early()).sum();
        self.hub.statistics(self.architecture(), forgotten)
    }
}

impl Drop for CentralRouter {
    fn drop(&mut self) {
        self.hub.close();
        self.pool.close();
    }
}
