//! A first-come first-served station with `c` servers in virtual time.
//!
//! The departure of a visit is known the moment it arrives (the work ahead of it cannot change), so one visit
//! costs one timer and a station costs no task. The station goes on serving visits that nobody waits for any
//! more, as a real server does with a request whose client has gone.

use super::SimClock;
use crate::law::{Law, Stalls};
use crucible_core::{Histogram, Now, Ns, Rng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a station is like.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// Number of servers, at least 1.
    pub servers: usize,
    /// Service time of one visit.
    pub law: Law,
    /// When no server works.
    pub stalls: Option<Stalls>,
    /// Seed of the service times.
    pub seed: u64,
}

impl QueueConfig {
    /// M/D/1 or D/D/1: one server, fixed service time.
    pub fn fixed(service: Ns) -> QueueConfig {
        QueueConfig { servers: 1, law: Law::Fixed(service), stalls: None, seed: 1 }
    }

    /// M/M/c: exponential service times.
    pub fn exponential(servers: usize, mean: Ns) -> QueueConfig {
        QueueConfig { servers, law: Law::Exponential(mean), stalls: None, seed: 1 }
    }
}

/// The future of one arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// When a server turns to it.
    pub served_from: Ns,
    /// When it is done.
    pub departs: Ns,
}

/// What a station did: the truth that measurements are compared with.
#[derive(Clone, Debug, Default)]
pub struct QueueTruth {
    /// Arrivals.
    pub visits: u64,
    /// From arrival to departure, of all arrivals.
    pub response: Histogram,
}

/// A station. See the module text.
#[derive(Debug)]
pub struct Queue {
    config: QueueConfig,
    rng: Rng,
    /// When each server is free; the earliest on top. Holds `servers` entries.
    free_at: BinaryHeap<Reverse<Ns>>,
    truth: QueueTruth,
}

impl Queue {
    /// An idle station.
    pub fn new(config: QueueConfig) -> Queue {
        Queue {
            rng: Rng::new(config.seed, "queue", 0),
            free_at: (0..config.servers.max(1)).map(|_| Reverse(Ns::ZERO)).collect(),
            truth: QueueTruth::default(),
            config,
        }
    }

    /// Takes an arrival at `now`, which must not be earlier than the one before.
    pub fn arrive(&mut self, now: Ns) -> Visit {
        let work = self.config.law.draw(&mut self.rng);
        let free = self.free_at.pop().map_or(Ns::ZERO, |earliest| earliest.0);
        let served_from = now.max(free);
        let departs = match self.config.stalls {
            Some(stalls) => stalls.finish(served_from, work),
            None => served_from + work,
        };
        self.free_at.push(Reverse(departs));
        self.truth.visits += 1;
        self.truth.response.record(departs.since(now));
        Visit { served_from, departs }
    }

    /// Arrives now, and resolves on departure with the time spent here.
    pub async fn visit(queue: &std::cell::RefCell<Queue>, clock: &SimClock) -> Ns {
        let arrived = clock.now();
        let visit = queue.borrow_mut().arrive(arrived);
        clock.event_at(visit.departs).await;
        clock.now().since(arrived)
    }

    /// What it did so far.
    pub fn truth(&self) -> &QueueTruth {
        &self.truth
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sim, theory};
    use super::*;
    use crucible_core::Clock;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Poisson arrivals at `rate` into a station; response times in seconds as seen through the clock.
    fn drive(config: QueueConfig, rate: f64, arrivals: u64, seed: u64) -> Vec<f64> {
        let mut sim = Sim::new(seed);
        let clock = sim.clock();
        let queue = Rc::new(RefCell::new(Queue::new(config)));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (source, results) = (clock.clone(), seen.clone());
        clock.spawn(async move {
            let mut rng = Rng::new(seed, "arrivals", 0);
            let mut at = 0.0;
            for _ in 0..arrivals {
                at += rng.exponential() / rate;
                source.sleep_until(Ns::from_secs_f64(at)).await;
                let (clock, queue, results) = (source.clone(), queue.clone(), results.clone());
                source.spawn(async move {
                    let took = Queue::visit(&queue, &clock).await;
                    results.borrow_mut().push(took.as_secs_f64());
                });
            }
        });
        assert_eq!(sim.run_to_end(), 0);
        seen.take()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn fixed_service_at_80_percent_follows_pollaczek_khinchine() {
        let seen = drive(QueueConfig::fixed(Ns::from_millis(1)), 800.0, 1_000_000, 7);
        let ratio = mean(&seen) / theory::md1_mean_response(800.0, 0.001);
        assert!((ratio - 1.0).abs() < 0.01, "mean is {ratio} of theory");
    }

    #[test]
    fn general_service_follows_pollaczek_khinchine() {
        let law = Law::TwoPoint { low: Ns::from_micros(500), high: Ns::from_millis(5), share: 0.05 };
        let config = QueueConfig { law, ..QueueConfig::fixed(Ns::ZERO) };
        let seen = drive(config, 700.0, 1_000_000, 3);
        let ratio = mean(&seen) / theory::mg1_mean_response(700.0, law.mean(), law.second_moment());
        assert!((ratio - 1.0).abs() < 0.02, "mean is {ratio} of theory");
    }

    #[test]
    fn eight_servers_have_the_tail_of_theory() {
        let (lambda, mu) = (640.0, 100.0);
        let seen = drive(QueueConfig::exponential(8, Ns::from_millis(10)), lambda, 1_000_000, 11);
        for t in [0.005, 0.01, 0.03, 0.06] {
            let above = seen.iter().filter(|s| **s > t).count() as f64 / seen.len() as f64;
            let ratio = above / theory::mmc_tail(8, mu, lambda, t);
            assert!((ratio - 1.0).abs() < 0.06, "P(T > {t}) is {ratio} of theory");
        }
    }

    #[test]
    fn a_seed_gives_the_same_run_and_another_a_different_one() {
        let config = QueueConfig::exponential(2, Ns::from_millis(1));
        let first = drive(config, 1500.0, 20_000, 5);
        assert_eq!(first, drive(config, 1500.0, 20_000, 5));
        assert_ne!(first, drive(config, 1500.0, 20_000, 6));
    }

    #[test]
    fn arrivals_in_a_stall_leave_after_it() {
        let stalls = Stalls { every: Ns::from_secs(10), length: Ns::from_secs(1) };
        let config =
            QueueConfig { stalls: Some(stalls), servers: 100, ..QueueConfig::fixed(Ns::from_millis(5)) };
        let mut queue = Queue::new(config);
        let check = |queue: &mut Queue, at: u64, departs: u64| {
            assert_eq!(queue.arrive(Ns::from_millis(at)).departs, Ns::from_millis(departs), "at {at} ms");
        };
        check(&mut queue, 9_000, 9_005);
        check(&mut queue, 9_998, 11_003);
        check(&mut queue, 10_500, 11_005);
        check(&mut queue, 11_000, 11_005);
        assert_eq!(queue.truth().visits, 4);
    }
}
