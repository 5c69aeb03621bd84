//! The promises, held by both architectures alike. Every test here runs once for each.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use crucible_core::clock::Now;
use crucible_core::{Ns, Rng};
use crucible_events::{
    BreakerState, CentralRouter, Coordinator, Event, EventBus, EventMix, Failure, Family, Handler, Injected,
    Injection, Interest, ManualClock, MonotonicClock, Name, Priority, Receipt, ServiceSpec,
    ServiceStatistics, Settings, Statistics, Targets, WhenFull,
};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Long enough on any machine; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(60);

type Make = fn(Settings, Arc<ManualClock>) -> Box<dyn EventBus>;

const BOTH: [Make; 2] = [
    |settings, clock| Box::new(Coordinator::with_clock(settings, clock)),
    |settings, clock| Box::new(CentralRouter::with_clock(settings, clock).unwrap()),
];

fn each(settings: Settings, test: impl Fn(&dyn EventBus, &ManualClock)) {
    for make in BOTH {
        let clock = Arc::new(ManualClock::default());
        test(make(settings, Arc::clone(&clock)).as_ref(), &clock);
    }
}

type Log = Arc<Mutex<Vec<(u64, Name, Priority)>>>;

/// A handler that writes down what it gets.
fn logger(log: &Log) -> impl FnMut(&Event) -> Result<(), Failure> + Send + use<> {
    let log = Arc::clone(log);
    move |event: &Event| {
        log.lock().unwrap().push((event.id, event.source, event.priority));
        Ok(())
    }
}

fn ids(log: &Log) -> Vec<u64> {
    log.lock().unwrap().iter().map(|(id, ..)| *id).collect()
}

fn event(id: u64) -> Event {
    Event::new(id, Family::Database, Arc::from(id.to_le_bytes().as_slice()))
}

fn everything(name: &str) -> ServiceSpec {
    ServiceSpec::new(name, Interest::everything())
}

/// A gate that a handler waits at until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// A handler that tells when it is in, and stays there until the gate is open.
fn held(gate: &Arc<Gate>, log: &Log) -> (Box<dyn Handler>, Receiver<()>) {
    let (entered, wait): (SyncSender<()>, _) = sync_channel(100_000);
    let (gate, mut write) = (Arc::clone(gate), logger(log));
    let handler = Box::new(move |event: &Event| {
        // the test may look no longer
        let _ = entered.send(());
        gate.pass();
        write(event)
    });
    (handler, wait)
}

fn service<'a>(statistics: &'a Statistics, name: &str) -> &'a ServiceStatistics {
    statistics.services.iter().find(|s| s.name == name).unwrap()
}

/// The laws of the counts.
fn add_up(statistics: &Statistics) {
    let total = statistics.accepted + statistics.refused + statistics.duplicates + statistics.unrouted;
    assert_eq!(statistics.received, total, "{statistics:?}");
    for s in &statistics.services {
        assert_eq!(s.received, s.processed + s.failed + s.dropped + s.duplicates + s.pending, "{s:?}");
        assert_eq!(s.latency.count(), s.processed, "{}", s.name);
        assert!(s.expired + s.short_circuited <= s.failed);
    }
}

#[test]
fn each_subscriber_gets_each_event_once_and_in_order() {
    each(Settings::default(), |bus, _| {
        let logs: Vec<Log> = (0..5).map(|_| Log::default()).collect();
        for (index, log) in logs.iter().enumerate() {
            bus.register(everything(&format!("s{index}")), Box::new(logger(log))).unwrap();
        }
        // three publishers, each a source of its own
        std::thread::scope(|scope| {
            for publisher in 0..3u64 {
                scope.spawn(move || {
                    for number in 0..2_000 {
                        let mut event = event(publisher * 10_000 + number);
                        event.source = Name(publisher);
                        let receipt = bus.publish(event);
                        assert_eq!(receipt, Receipt { accepted: 5, refused: 0, duplicate: false });
                    }
                });
            }
        });
        assert!(bus.drain(LONG));
        for log in &logs {
            let log = log.lock().unwrap();
            assert_eq!(log.len(), 6_000, "{}", bus.architecture());
            for publisher in 0..3u64 {
                let own: Vec<u64> = log
                    .iter()
                    .filter(|(_, source, _)| *source == Name(publisher))
                    .map(|(id, ..)| *id)
                    .collect();
                let expected: Vec<u64> = (0..2_000).map(|number| publisher * 10_000 + number).collect();
                assert_eq!(own, expected, "{}", bus.architecture());
            }
        }
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!((statistics.accepted, statistics.sum(|s| s.processed)), (6_000, 30_000));
    });
}

#[test]
fn interests_and_targets_decide_who_receives() {
    each(Settings::default(), |bus, _| {
        let logs: Vec<Log> = (0..4).map(|_| Log::default()).collect();
        let interests = [
            Interest::families(&[Family::Database]),
            Interest::families(&[Family::Mcp, Family::System]),
            Interest::nothing().and(Name::of("orders")),
            Interest::families(&[Family::Mcp]).and(Name::of("watcher")),
        ];
        let mut numbers = Vec::new();
        for (index, interest) in interests.into_iter().enumerate() {
            let spec = ServiceSpec::new(format!("s{index}"), interest);
            numbers.push(bus.register(spec, Box::new(logger(&logs[index]))).unwrap());
        }
        let publish = |event| bus.publish(event).accepted;
        assert_eq!(publish(event(1)), 1);
        assert_eq!(publish(Event { family: Family::Mcp, ..event(2) }), 2);
        assert_eq!(publish(Event { topic: Name::of("orders"), ..event(3) }), 2);
        let both = Event { family: Family::Mcp, source: Name::of("watcher"), ..event(4) };
        assert_eq!(publish(both), 2, "once, although both conditions hold");
        assert_eq!(publish(Event { family: Family::External, ..event(5) }), 0);
        assert_eq!(publish(Event { targets: Targets::One(numbers[3]), ..event(6) }), 1);
        let twice = Arc::from([numbers[1], numbers[2], numbers[1]]);
        assert_eq!(publish(Event { targets: Targets::Each(twice), ..event(7) }), 2);
        assert!(bus.drain(LONG));
        assert_eq!(
            logs.iter().map(ids).collect::<Vec<_>>(),
            [vec![1, 3], vec![2, 4, 7], vec![3, 7], vec![2, 4, 6]]
        );
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!(statistics.unrouted, 1);
    });
}

#[test]
fn payloads_are_shared_and_never_copied() {
    each(Settings::default(), |bus, _| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        for index in 0..4 {
            let seen = Arc::clone(&seen);
            let handler = move |event: &Event| {
                seen.lock().unwrap().push(Arc::as_ptr(&event.payload) as *const u8 as usize);
                Ok(())
            };
            bus.register(everything(&format!("s{index}")), Box::new(handler)).unwrap();
        }
        let event = event(1);
        let address = Arc::as_ptr(&event.payload) as *const u8 as usize;
        bus.publish(event);
        assert!(bus.drain(LONG));
        assert_eq!(*seen.lock().unwrap(), [address; 4]);
    });
}

/// Fills the one service's queue while its handler is held; what was taken and what was refused.
fn fill(bus: &dyn EventBus, gate: &Arc<Gate>, log: &Log, extra: u64) -> (u64, u64) {
    let (handler, entered) = held(gate, log);
    bus.register(everything("slow"), handler).unwrap();
    bus.publish(event(1_000_000));
    // from now on the handler holds one batch of one event, and the queue is empty
    entered.recv_timeout(LONG).unwrap();
    let mut counts = (0, 0);
    for id in 0..10 + extra {
        let receipt = bus.publish(event(id));
        counts = (counts.0 + u64::from(receipt.accepted), counts.1 + u64::from(receipt.refused));
    }
    counts
}

#[test]
fn a_full_queue_rejects_when_told_to() {
    each(Settings { queue: 10, when_full: WhenFull::Reject, ..Settings::default() }, |bus, _| {
        let (gate, log) = (Arc::default(), Log::default());
        assert_eq!(fill(bus, &gate, &log, 7), (10, 7), "{}", bus.architecture());
        gate.open();
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log)[1..], (0..10).collect::<Vec<_>>());
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!((statistics.refused, service(&statistics, "slow").refused), (7, 7));
        // what nobody took is not a duplicate when it is tried again
        assert_eq!(bus.publish(event(12)).accepted, 1);
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log).last(), Some(&12));
    });
}

#[test]
fn a_full_queue_drops_the_oldest_when_told_to() {
    each(Settings { queue: 10, when_full: WhenFull::DropOldest, ..Settings::default() }, |bus, _| {
        let (gate, log) = (Arc::default(), Log::default());
        assert_eq!(fill(bus, &gate, &log, 7), (17, 0));
        let low = Event { priority: Priority::Low, ..event(500) };
        assert_eq!(bus.publish(low).refused, 1, "the more urgent are not thrown out for it");
        gate.open();
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log)[1..], (7..17).collect::<Vec<_>>());
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!(service(&statistics, "slow").dropped, 7);
    });
}

#[test]
fn a_full_queue_makes_the_publisher_wait_when_told_to() {
    each(Settings { queue: 10, when_full: WhenFull::Block, ..Settings::default() }, |bus, clock| {
        let (gate, log): (Arc<Gate>, _) = (Arc::default(), Log::default());
        assert_eq!(fill(bus, &gate, &log, 0), (10, 0));
        let (entered, wait) = sync_channel(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                entered.send(()).unwrap();
                bus.publish(event(77))
            });
            wait.recv_timeout(LONG).unwrap();
            gate.open();
            assert_eq!(waiting.join().unwrap().accepted, 1);
        });
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log).last(), Some(&77));
        // the wait has an end: the event timeout
        let (shut, more): (Arc<Gate>, _) = (Arc::default(), Log::default());
        let slow = bus.statistics().services[0].id;
        assert!(bus.unregister(slow));
        let (handler, inside) = held(&shut, &more);
        bus.register(everything("stuck"), handler).unwrap();
        bus.publish(event(2_000));
        inside.recv_timeout(LONG).unwrap();
        (0..10).for_each(|id| assert_eq!(bus.publish(event(2_100 + id)).accepted, 1));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| bus.publish(event(2_200)));
            while !waiting.is_finished() {
                clock.advance(Ns::from_secs(1));
                std::thread::yield_now();
            }
            assert_eq!(waiting.join().unwrap().refused, 1);
        });
        shut.open();
        assert!(bus.drain(LONG));
        add_up(&bus.statistics());
    });
}

#[test]
fn urgent_events_overtake_those_that_wait() {
    each(Settings::default(), |bus, _| {
        let (gate, log): (Arc<Gate>, _) = (Arc::default(), Log::default());
        let (handler, entered) = held(&gate, &log);
        bus.register(everything("s"), handler).unwrap();
        bus.publish(event(0));
        entered.recv_timeout(LONG).unwrap();
        for (id, priority) in [(1, 0), (2, 1), (3, 3), (4, 1), (5, 2), (6, 3)] {
            bus.publish(Event { priority: Priority::ALL[priority], ..event(id) });
        }
        gate.open();
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log), [0, 3, 6, 5, 2, 4, 1]);
    });
}

#[test]
fn who_fails_panics_or_hangs_does_not_keep_the_others() {
    each(Settings { when_full: WhenFull::Reject, queue: 10_000, ..Settings::default() }, |bus, _| {
        let (gate, log): (Arc<Gate>, _) = (Arc::default(), Log::default());
        let good = Log::default();
        // more that hang than there are cores
        for index in 0..8 {
            let (handler, _entered) = held(&gate, &log);
            bus.register(everything(&format!("hangs{index}")), handler).unwrap();
        }
        let fails = |_: &Event| Err(Failure("no".into()));
        bus.register(everything("fails"), Box::new(fails)).unwrap();
        let panics = Injection::new(logger(&Log::default()), Injected::Panic, 1, 1);
        bus.register(everything("panics"), Box::new(panics)).unwrap();
        let well = bus.register(everything("good"), Box::new(logger(&good))).unwrap();
        (0..400).for_each(|id| assert!(!bus.publish(event(id)).duplicate));
        let arrived = || bus.statistics().services.iter().find(|s| s.id == well).unwrap().processed == 400;
        // the good one finishes while the others hang: nothing has been opened yet
        let started = MonotonicClock::start();
        while !arrived() {
            assert!(Duration::from(started.now()) < LONG, "{}: {:?}", bus.architecture(), bus.statistics());
            std::thread::yield_now();
        }
        assert_eq!(ids(&good), (0..400).collect::<Vec<_>>(), "{}", bus.architecture());
        gate.open();
        assert!(bus.drain(LONG));
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!((service(&statistics, "fails").failed, service(&statistics, "panics").failed), (400, 400));
        assert_eq!(service(&statistics, "hangs7").processed, 400);
        assert_eq!(service(&statistics, "panics").panicked, 5 * 4, "four attempts until the breaker opens");
    });
}

#[test]
fn failed_attempts_are_repeated_in_place() {
    each(Settings::default(), |bus, _| {
        let log = Log::default();
        // the first two attempts at every event fail
        let mut attempts: HashMap<u64, u32> = HashMap::new();
        let mut write = logger(&log);
        let handler = move |event: &Event| {
            let attempt = attempts.entry(event.id).or_default();
            *attempt += 1;
            if *attempt <= 2 { Err(Failure("not yet".into())) } else { write(event) }
        };
        bus.register(everything("s"), Box::new(handler)).unwrap();
        (0..100).for_each(|id| assert!(!bus.publish(event(id)).duplicate));
        assert!(bus.drain(LONG));
        assert_eq!(ids(&log), (0..100).collect::<Vec<_>>());
        let statistics = bus.statistics();
        add_up(&statistics);
        let s = service(&statistics, "s");
        assert_eq!((s.processed, s.failed, s.retried), (100, 0, 200));
    });
}

#[test]
fn retries_end() {
    for retries in [0, 1, 3] {
        each(Settings { retries, breaker_failures: 1_000, ..Settings::default() }, |bus, _| {
            let tried = Arc::new(Mutex::new(0));
            let count = Arc::clone(&tried);
            let handler = move |_: &Event| {
                *count.lock().unwrap() += 1;
                Err(Failure("never".into()))
            };
            bus.register(everything("s"), Box::new(handler)).unwrap();
            (0..10).for_each(|id| assert!(!bus.publish(event(id)).duplicate));
            assert!(bus.drain(LONG));
            let statistics = bus.statistics();
            add_up(&statistics);
            assert_eq!(*tried.lock().unwrap(), 10 * (retries + 1));
            assert_eq!(service(&statistics, "s").failed, 10);
        });
    }
}

#[test]
fn the_breaker_opens_pauses_and_closes() {
    let settings = Settings { retries: 0, breaker_failures: 5, ..Settings::default() };
    each(settings, |bus, clock| {
        let broken = Arc::new(Mutex::new(true));
        let state = Arc::clone(&broken);
        let handler =
            move |_: &Event| if *state.lock().unwrap() { Err(Failure("down".into())) } else { Ok(()) };
        bus.register(everything("s"), Box::new(handler)).unwrap();
        let send = |ids: std::ops::Range<u64>| {
            ids.for_each(|id| assert!(!bus.publish(event(id)).duplicate));
            assert!(bus.drain(LONG));
            let statistics = bus.statistics();
            add_up(&statistics);
            let s = service(&statistics, "s").clone();
            (s.processed, s.failed, s.short_circuited, s.breaker)
        };
        assert_eq!(send(0..4), (0, 4, 0, BreakerState::Closed(4)));
        assert_eq!(send(4..12), (0, 12, 7, BreakerState::Open(Ns::from_secs(30))));
        clock.advance(Ns::from_secs(30));
        assert_eq!(send(12..14), (0, 14, 8, BreakerState::Open(Ns::from_secs(60))), "one trial, failed");
        *broken.lock().unwrap() = false;
        assert_eq!(send(14..15), (0, 15, 9, BreakerState::Open(Ns::from_secs(60))));
        clock.advance(Ns::from_secs(30));
        assert_eq!(send(15..18), (3, 15, 9, BreakerState::Closed(0)));
    });
}

#[test]
fn an_id_is_known_for_the_window() {
    each(Settings::default(), |bus, clock| {
        let log = Log::default();
        bus.register(everything("s"), Box::new(logger(&log))).unwrap();
        let send = |id| {
            bus.publish(event(id));
            assert!(bus.drain(LONG));
        };
        send(1);
        send(1);
        clock.advance(Ns::from_millis(59_999));
        send(1);
        send(2);
        clock.advance(Ns::from_millis(1));
        send(1);
        send(2);
        assert_eq!(ids(&log), [1, 2, 1], "{}", bus.architecture());
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!(statistics.duplicates + statistics.sum(|s| s.duplicates), 3);
    });
}

#[test]
fn what_waits_too_long_fails_unhandled() {
    each(Settings::default(), |bus, clock| {
        let (gate, log): (Arc<Gate>, _) = (Arc::default(), Log::default());
        let (handler, entered) = held(&gate, &log);
        bus.register(everything("s"), handler).unwrap();
        bus.publish(event(0));
        entered.recv_timeout(LONG).unwrap();
        bus.publish(event(1));
        clock.advance(Ns::from_secs(30));
        gate.open();
        assert!(bus.drain(LONG));
        let statistics = bus.statistics();
        add_up(&statistics);
        let s = service(&statistics, "s");
        assert_eq!(
            (s.processed, s.failed, s.expired),
            (0, 2, 2),
            "the first took too long, the second waited"
        );
        assert_eq!(ids(&log), [0]);
    });
}

#[test]
fn services_come_and_go() {
    each(Settings::default(), |bus, _| {
        let (a, b) = (Log::default(), Log::default());
        let first = bus.register(everything("a"), Box::new(logger(&a))).unwrap();
        assert!(bus.register(everything("a"), Box::new(logger(&b))).is_err(), "the name is taken");
        bus.register(everything("b"), Box::new(logger(&b))).unwrap();
        (0..100).for_each(|id| assert_eq!(bus.publish(event(id)).accepted, 2));
        assert!(bus.unregister(first));
        assert!(!bus.unregister(first));
        (100..200).for_each(|id| assert_eq!(bus.publish(event(id)).accepted, 1));
        assert!(bus.drain(LONG));
        assert_eq!((ids(&a).len(), ids(&b).len()), (100, 200), "what it had accepted it still handles");
        let statistics = bus.statistics();
        add_up(&statistics);
        assert_eq!(service(&statistics, "a").processed, 100);
        let again = bus.register(everything("a"), Box::new(logger(&a))).unwrap();
        assert_ne!(again, first);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever fails, whatever is full, whoever wants what: no event is lost without being counted, none is handled
    /// twice, order is kept.
    #[test]
    fn nothing_is_lost_or_repeated_without_being_counted(
        seed in any::<u64>(),
        queue in 1usize..60,
        services in 1usize..8,
        when_full in prop::sample::select(vec![WhenFull::Block, WhenFull::Reject, WhenFull::DropOldest]),
        fails in 2u64..9,
        repeat in 1u64..6,
    ) {
        let settings = Settings { queue, when_full, retries: 1, breaker_failures: 3, ..Settings::default() };
        for make in BOTH {
            let clock = Arc::new(ManualClock::default());
            let bus = make(settings, clock);
            let logs: Vec<Log> = (0..services).map(|_| Log::default()).collect();
            for (index, log) in logs.iter().enumerate() {
                let interest = Interest::families(&Family::ALL[index % 6..]);
                let handler = Injection::new(logger(log), Injected::Failure, fails, seed ^ index as u64);
                bus.register(ServiceSpec::new(format!("s{index}"), interest), Box::new(handler)).unwrap();
            }
            let mut mix = EventMix::new(seed, 8..=64);
            let mut rng = Rng::new(seed, "repeat", 0);
            let (mut taken, mut refused) = (0, 0);
            for _ in 0..400 {
                let event = mix.draw();
                let again = (rng.between(0, repeat) == 0).then(|| event.clone());
                for event in [Some(event), again].into_iter().flatten() {
                    let receipt = bus.publish(event);
                    taken += u64::from(receipt.accepted);
                    refused += u64::from(receipt.refused);
                }
            }
            prop_assert!(bus.drain(LONG));
            let statistics = bus.statistics();
            add_up(&statistics);
            prop_assert_eq!(statistics.sum(|s| s.received), taken);
            prop_assert_eq!(statistics.sum(|s| s.refused), refused);
            prop_assert_eq!(statistics.sum(|s| s.pending), 0);
            for (log, row) in logs.iter().zip(&statistics.services) {
                let seen = log.lock().unwrap();
                prop_assert_eq!(seen.len() as u64, row.processed);
                for priority in Priority::ALL {
                    let of: Vec<u64> = seen.iter().filter(|(_, _, p)| *p == priority).map(|(id, ..)| *id).collect();
                    prop_assert!(of.windows(2).all(|pair| pair[0] < pair[1]), "order or a repeat: {:?}", of);
                }
            }
        }
    }
}
