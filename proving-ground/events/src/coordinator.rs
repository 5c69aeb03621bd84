//! The per-service coordinator: every service has a queue, a memory of ids and a thread of its own; a publisher puts
//! the event straight into the queue of each service that wants it. There is nothing in the middle.

use crate::bus::{BusError, EventBus, Handler, Receipt, ServiceId, ServiceSpec};
use crate::clock::{MonotonicClock, SharedClock};
use crate::dedup::Dedup;
use crate::directory::Hub;
use crate::event::Event;
use crate::room::Room;
use crate::service::{Scratch, Service};
use crate::settings::Settings;
use crate::statistics::{Health, Statistics};
use crucible_core::Ns;
use std::sync::Arc;
use std::time::Duration;

/// The coordinator.
pub struct Coordinator {
    hub: Hub,
}

impl Coordinator {
    /// One on the machine's clock.
    pub fn new(settings: Settings) -> Coordinator {
        Coordinator::with_clock(settings, Arc::new(MonotonicClock::start()))
    }

    /// One on this clock.
    pub fn with_clock(settings: Settings, clock: SharedClock) -> Coordinator {
        Coordinator { hub: Hub::new(settings, clock) }
    }
}

impl EventBus for Coordinator {
    fn architecture(&self) -> &'static str {
        "coordinator"
    }

    fn register(&self, spec: ServiceSpec, handler: Box<dyn Handler>) -> Result<ServiceId, BusError> {
        let settings = self.hub.settings;
        let dedup =
            (settings.dedup_window > Ns::ZERO).then(|| Dedup::new(settings.dedup_window, settings.dedup_ids));
        // its own room of no shared places: the reserved ones are its queue
        let parts = (Arc::new(Room::default()), dedup);
        let clock = Arc::clone(&self.hub.clock);
        self.hub.register(spec, handler, parts, |service, _| {
            service.reserve(settings.queue);
            let service = Arc::clone(service);
            std::thread::Builder::new()
                .name(service.name.clone())
                .spawn(move || serve(&service, &clock, &settings))
                .map(drop)
                .map_err(|e| BusError::Threads(e.to_string()))
        })
    }

    fn unregister(&self, id: ServiceId) -> bool {
        self.hub.unregister(id, |_| ())
    }

    fn set_health(&self, id: ServiceId, health: Health) -> bool {
        self.hub.set_health(id, health)
    }

    fn publish(&self, mut event: Event) -> Receipt {
        self.hub.count_received();
        event.accepted_at = self.hub.clock.now();
        self.hub.spread(&self.hub.table(), event, |service| service.tell())
    }

    fn drain(&self, limit: Duration) -> bool {
        self.hub.drain(limit)
    }

    fn statistics(&self) -> Statistics {
        self.hub.statistics(self.architecture(), 0)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.hub.close();
    }
}

fn serve(service: &Service, clock: &SharedClock, settings: &Settings) {
    let mut scratch = Scratch::default();
    while service.await_work() {
        while service.run_batch(clock, settings, &mut scratch) {}
    }
}
