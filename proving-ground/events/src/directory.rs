//! Who is registered and who wants what: an immutable table that publishers read without waiting for anybody.

use crate::bus::{BusError, Handler, Receipt, ServiceId, ServiceSpec};
use crate::clock::{MonotonicClock, SharedClock};
use crate::dedup::{Dedup, IdHasher};
use crate::event::{Event, Family, Name, Targets};
use crate::room::{Room, lock};
use crate::service::{Offer, Service};
use crate::settings::{Settings, WhenFull};
use crate::statistics::{Health, Statistics};
use crate::strategy::choose;
use crucible_core::clock::Now;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Which events a service wants: those of any of its families, topics or sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    families: [bool; 6],
    names: Vec<Name>,
}

impl Interest {
    /// Nothing, unless addressed.
    pub fn nothing() -> Interest {
        Interest::default()
    }

    /// Everything.
    pub fn everything() -> Interest {
        Interest { families: [true; 6], names: Vec::new() }
    }

    /// These families.
    pub fn families(families: &[Family]) -> Interest {
        let mut interest = Interest::default();
        families.iter().for_each(|family| interest.families[*family as usize] = true);
        interest
    }

    /// This topic or source, too.
    pub fn and(mut self, name: Name) -> Interest {
        self.names.push(name);
        self
    }

    /// Whether the event is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        self.families[event.family as usize]
            || self.names.iter().any(|name| *name == event.topic || *name == event.source)
    }
}

/// The services at one moment.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) services: Vec<Arc<Service>>,
    by_family: [Vec<Arc<Service>>; 6],
    /// Those that want topics or sources; asked one by one.
    by_name: Vec<Arc<Service>>,
    by_id: HashMap<u64, Arc<Service>, BuildHasherDefault<IdHasher>>,
}

impl Table {
    fn of(services: Vec<Arc<Service>>) -> Table {
        let mut table = Table::default();
        for service in &services {
            for (wanted, list) in service.interest.families.iter().zip(&mut table.by_family) {
                if *wanted {
                    list.push(Arc::clone(service));
                }
            }
            if !service.interest.names.is_empty() {
                table.by_name.push(Arc::clone(service));
            }
            table.by_id.insert(u64::from(service.id.0), Arc::clone(service));
        }
        table.services = services;
        table
    }

    /// The service of this id.
    pub(crate) fn get(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.by_id.get(&u64::from(id.0))
    }

    fn each_interested<'a>(&'a self, event: &Event, mut give: impl FnMut(&'a Arc<Service>)) {
        let family = event.family as usize;
        self.by_family[family].iter().for_each(&mut give);
        let others = self.by_name.iter().filter(|s| !s.interest.families[family]);
        others.filter(|s| s.interest.matches(event)).for_each(give);
    }
}

/// What both architectures have in common: the table, the counts and how an event is spread.
pub(crate) struct Hub {
    pub(crate) settings: Settings,
    pub(crate) clock: SharedClock,
    table: RwLock<Arc<Table>>,
    /// Services that were removed, until their row is replaced.
    gone: Mutex<Vec<Arc<Service>>>,
    next_id: AtomicU32,
    turn: AtomicU64,
    closed: AtomicBool,
    received: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    duplicates: AtomicU64,
    unrouted: AtomicU64,
}

/// Rows of removed services that are kept.
const GONE: usize = 1_000;

impl Hub {
    pub(crate) fn new(settings: Settings, clock: SharedClock) -> Hub {
        let zero = AtomicU64::default;
        Hub {
            settings,
            clock,
            table: RwLock::default(),
            gone: Mutex::default(),
            next_id: AtomicU32::new(1),
            turn: zero(),
            closed: AtomicBool::new(false),
            received: zero(),
            accepted: zero(),
            refused: zero(),
            duplicates: zero(),
            unrouted: zero(),
        }
    }

    /// The services now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a service; `start` is called before anybody can publish to it and may refuse.
    pub(crate) fn register(
        &self,
        spec: ServiceSpec,
        handler: Box<dyn Handler>,
        (room, dedup): (Arc<Room>, Option<Dedup>),
        start: impl FnOnce(&Arc<Service>, &[Arc<Service>]) -> Result<(), BusError>,
    ) -> Result<ServiceId, BusError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::SeqCst) {
            return Err(BusError::Closed);
        }
        if table.services.iter().any(|service| service.name == spec.name) {
            return Err(BusError::NameTaken(spec.name));
        }
        lock(&self.gone).retain(|service| service.name != spec.name);
        let id = ServiceId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let service = Arc::new(Service::new(id, spec, handler, &self.settings, (room, dedup)));
        let mut services = table.services.clone();
        services.push(Arc::clone(&service));
        start(&service, &services)?;
        *table = Arc::new(Table::of(services));
        Ok(id)
    }

    /// Removes a service; `left` is told who is left.
    pub(crate) fn unregister(&self, id: ServiceId, left: impl FnOnce(&[Arc<Service>])) -> bool {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let Some(service) = table.get(id).cloned() else { return false };
        service.close();
        let mut services = table.services.clone();
        services.retain(|other| other.id != id);
        left(&services);
        *table = Arc::new(Table::of(services));
        let mut gone = lock(&self.gone);
        if gone.len() >= GONE {
            gone.remove(0);
        }
        gone.push(service);
        true
    }

    pub(crate) fn set_health(&self, id: ServiceId, health: Health) -> bool {
        self.table().get(id).map(|service| service.set_health(health)).is_some()
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.table().services.iter().for_each(|service| service.close());
    }

    /// Counts an event that comes in.
    pub(crate) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// The receipt of a duplicate.
    pub(crate) fn duplicate(&self) -> Receipt {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
        Receipt { duplicate: true, ..Receipt::default() }
    }

    /// The receipt of an event that a rule discards.
    pub(crate) fn discarded(&self) -> Receipt {
        self.unrouted.fetch_add(1, Ordering::Relaxed);
        Receipt::default()
    }

    /// Puts the event into the queues of its targets; `wake` is called for each service that must be told.
    pub(crate) fn spread(&self, table: &Table, mut event: Event, wake: impl Fn(&Arc<Service>)) -> Receipt {
        let mut spread = Spread { hub: self, wake, receipt: Receipt::default(), waiting: Vec::new() };
        let targets = std::mem::take(&mut event.targets);
        // the last target gets the event itself, those before it a clone
        let mut last: Option<&Arc<Service>> = None;
        let mut give = |service| {
            if let Some(before) = last.replace(service) {
                spread.offer(before, event.clone());
            }
        };
        match &targets {
            Targets::Interested => table.each_interested(&event, &mut give),
            Targets::One(id) => table.get(*id).into_iter().for_each(&mut give),
            Targets::Each(ids) => {
                let first = |at: usize| !ids[..at].contains(&ids[at]);
                (0..ids.len()).filter(|at| first(*at)).filter_map(|at| table.get(ids[at])).for_each(give);
            }
            Targets::OneOf(ids) => {
                let members: Vec<&Arc<Service>> = ids.iter().filter_map(|id| table.get(*id)).collect();
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let with = (turn, self.settings.seed);
                match choose(&members, self.settings.strategy, with, event.accepted_at) {
                    Some(service) => give(service),
                    None => spread.receipt.refused = u32::from(!members.is_empty()),
                }
            }
        }
        if let Some(service) = last {
            spread.offer(service, event);
        }
        let receipt = spread.finish();
        let count = match receipt {
            Receipt { accepted: 1.., .. } => &self.accepted,
            Receipt { refused: 1.., .. } => &self.refused,
            _ => &self.unrouted,
        };
        count.fetch_add(1, Ordering::Relaxed);
        receipt
    }

    pub(crate) fn drain(&self, limit: Duration) -> bool {
        let clock = MonotonicClock::start();
        let late = || Duration::from(clock.now()) >= limit;
        let mut all = self.table().services.clone();
        all.extend(lock(&self.gone).iter().cloned());
        all.iter().all(|service| service.await_quiet(late))
    }

    pub(crate) fn statistics(&self, architecture: &'static str, forgotten: u64) -> Statistics {
        let mut services = self.table().services.clone();
        services.extend(lock(&self.gone).iter().cloned());
        services.sort_by_key(|service| service.id);
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Statistics {
            architecture,
            received: get(&self.received),
            accepted: get(&self.accepted),
            refused: get(&self.refused),
            duplicates: get(&self.duplicates),
            unrouted: get(&self.unrouted),
            forgotten_early: forgotten + services.iter().map(|s| s.forgotten_early()).sum::<u64>(),
            services: services.iter().map(|service| service.statistics()).collect(),
        }
    }
}

/// One event on its way to its targets.
struct Spread<'a, W> {
    hub: &'a Hub,
    wake: W,
    receipt: Receipt,
    waiting: Vec<(Arc<Service>, Event)>,
}

impl<W: Fn(&Arc<Service>)> Spread<'_, W> {
    fn offer(&mut self, service: &Arc<Service>, event: Event) {
        let when_full = self.hub.settings.when_full;
        match service.offer(event, when_full == WhenFull::DropOldest) {
            Offer::Full(event) if when_full == WhenFull::Block => {
                self.waiting.push((Arc::clone(service), event));
            }
            done => self.done(service, &done),
        }
    }

    fn done(&mut self, service: &Arc<Service>, offer: &Offer) {
        match offer {
            Offer::Taken { wake } => {
                self.receipt.accepted += 1;
                if *wake {
                    (self.wake)(service);
                }
            }
            Offer::Full(_) | Offer::Closed => {
                self.receipt.refused += 1;
                service.refuse();
            }
        }
    }

    /// Waits for the full ones, after all others have been served.
    fn finish(mut self) -> Receipt {
        for (service, event) in std::mem::take(&mut self.waiting) {
            let until = event.accepted_at + self.hub.settings.event_timeout;
            let late = || self.hub.clock.now() >= until;
            let offer = service.offer_patiently(event, late);
            self.done(&service, &offer);
        }
        self.receipt
    }
}
