//! Which queue: a million events of 1 KiB from one publisher to one consumer, bound 1000. The lanes of this crate are a
//! mutex around a `VecDeque` that the consumer empties in batches; the others are channels of well-known crates.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints its table")]

use crucible_core::clock::Now;
use crucible_events::{
    Coordinator, Event, EventBus, EventMix, Failure, Interest, MonotonicClock, ServiceSpec, Settings,
};
use std::hint::black_box;
use std::time::Duration;

const EVENTS: u64 = 1_000_000;
const BOUND: usize = 1_000;

fn report(name: &str, run: impl FnOnce()) {
    let clock = MonotonicClock::start();
    run();
    println!("{name:<24} {:>12.0} events/s", EVENTS as f64 / clock.now().as_secs_f64());
}

fn through(mut send: impl FnMut(Event), receive: impl FnMut() -> Option<Event> + Send) {
    std::thread::scope(|scope| {
        let consumer =
            scope.spawn(|| std::iter::from_fn(receive).fold(0, |n, e| n + u64::from(black_box(e.id) > 0)));
        let mut mix = EventMix::new(1, 1024..=1024);
        (0..EVENTS).for_each(|_| send(mix.draw()));
        drop(send);
        assert_eq!(consumer.join().unwrap(), EVENTS);
    });
}

fn main() {
    report("lanes (coordinator)", || {
        let bus = Coordinator::new(Settings { dedup_window: crucible_core::Ns::ZERO, ..Settings::default() });
        let handler = |event: &Event| -> Result<(), Failure> {
            black_box(event.id);
            Ok(())
        };
        bus.register(ServiceSpec::new("all", Interest::everything()), Box::new(handler)).unwrap();
        let mut mix = EventMix::new(1, 1024..=1024);
        for _ in 0..EVENTS {
            black_box(bus.publish(mix.draw()));
        }
        assert!(bus.drain(Duration::from_secs(60)));
    });
    report("crossbeam-channel", || {
        let (tx, rx) = crossbeam_channel::bounded::<Event>(BOUND);
        through(move |event| tx.send(event).unwrap(), move || rx.recv().ok());
    });
    report("flume", || {
        let (tx, rx) = flume::bounded::<Event>(BOUND);
        through(move |event| tx.send(event).unwrap(), move || rx.recv().ok());
    });
    report("std mpsc", || {
        let (tx, rx) = std::sync::mpsc::sync_channel::<Event>(BOUND);
        through(move |event| tx.send(event).unwrap(), move || rx.recv().ok());
    });
}
