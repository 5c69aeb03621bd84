//! Simulated stations whose capacity is known in closed form, for tests and for the table of claims.
//!
//! Requests are served first come, first served by `servers` equal servers (Kiefer and Wolfowitz: an arrival takes the
//! server that is free first, so its response time is known when it arrives). The state lives on between trials, as that
//! of a real system does: a trial after an overload begins with the backlog.

use crate::capacity::{Reading, Trial, TrialResult, Window, near};
use crucible_core::{Histogram, Ns, Rng};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// How long one request keeps a server busy, in seconds.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    /// Always the same.
    Fixed(f64),
    /// Exponential with this mean.
    Exponential(f64),
    /// Log-normal with this mean and this sigma of the logarithm.
    LogNormal(f64, f64),
}

impl Service {
    fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Service::Fixed(mean) => mean,
            Service::Exponential(mean) => mean * rng.exponential(),
            Service::LogNormal(mean, sigma) => mean * (sigma * rng.normal() - sigma * sigma / 2.0).exp(),
        }
    }
}

/// A simulated system.
#[derive(Clone, Debug)]
pub struct Station {
    /// Number of servers.
    pub servers: usize,
    /// Their service time.
    pub service: Service,
    /// Time before the queue that needs no server (a stage with room for all), in seconds.
    pub before: f64,
    /// Places, those in service included; an arrival that finds none is refused. `None` is without a bound.
    pub places: Option<usize>,
    /// A client that has no answer after this time tries again, so many times; the server works on all of them.
    pub retry: Option<(f64, u32)>,
    /// A response slower than this is bad, in seconds; refused ones are always bad.
    pub limit: f64,
    /// Whether windows hold histograms (slower).
    pub histograms: bool,
}

impl Station {
    /// `servers` exponential servers without a bound on the queue.
    pub fn new(servers: usize, service: Service, limit: f64) -> Station {
        Station { servers, service, before: 0.0, places: None, retry: None, limit, histograms: false }
    }
}

#[derive(Clone, Debug, Default)]
struct Tally {
    of: u64,
    bad: u64,
    near: u64,
    done: u64,
    response: Histogram,
}

/// A station at work: put trials on it one after the other.
#[derive(Clone, Debug)]
pub struct Running {
    station: Station,
    rng: Rng,
    now: f64,
    /// Bits of the times at which servers become free; positive floats order as their bits.
    free: BinaryHeap<Reverse<u64>>,
    /// Starts of service to come, rising.
    waiting: VecDeque<f64>,
    /// Attempts to come: time bits, first attempt's time bits, attempts left.
    again: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// Windows from `first` on, by the end of the operation.
    tallies: VecDeque<Tally>,
    first: u64,
    window: f64,
    /// An operation that takes longer is near the limit, in seconds.
    near: f64,
}

impl Running {
    /// An idle station, with windows of this length in seconds.
    pub fn new(station: Station, seed: u64, window: f64) -> Running {
        let free = (0..station.servers).map(|_| Reverse(0u64)).collect();
        let near = near(Ns::from_secs_f64(station.before), Ns::from_secs_f64(station.limit)).as_secs_f64();
        Running {
            station,
            rng: Rng::new(seed, "station", 0),
            now: 0.0,
            free,
            waiting: VecDeque::new(),
            again: BinaryHeap::new(),
            tallies: VecDeque::new(),
            first: 0,
            window,
            near,
        }
    }

    /// Seconds since the start.
    pub fn now(&self) -> f64 {
        self.now
    }

    /// Makes a trial with Poisson arrivals. `stop` is asked after each window.
    pub fn trial(&mut self, trial: Trial, stop: impl Fn(&TrialResult) -> bool) -> TrialResult {
        let mut result = TrialResult { trial, windows: Vec::new(), ended_early: false };
        let windows = (trial.length.as_secs_f64() / self.window).round().max(1.0) as u64;
        for index in 1..=windows {
            let tally = self.step(trial.load);
            result.windows.push(Window {
                length: Ns::from_secs_f64(self.window),
                readings: vec![Reading::Share { of: tally.of, bad: tally.bad, near: tally.near }],
                done: tally.done,
                response: tally.response,
            });
            if index < windows && stop(&result) {
                result.ended_early = true;
                break;
            }
        }
        result
    }

    /// One window at this arrival rate: what ended in it.
    fn step(&mut self, rate: f64) -> Tally {
        let end = (self.first + 1) as f64 * self.window;
        let mut next = self.now + self.rng.exponential() / rate;
        loop {
            let retried = self.again.peek().map_or(f64::INFINITY, |Reverse(one)| f64::from_bits(one.0));
            if next.min(retried) >= end {
                break;
            }
            if retried < next {
                if let Some(Reverse((at, began, left))) = self.again.pop() {
                    self.attempt(f64::from_bits(at), f64::from_bits(began), left);
                }
            } else {
                let left = self.station.retry.map_or(0, |(_, times)| times);
                self.attempt(next, next, left);
                next += self.rng.exponential() / rate;
            }
        }
        self.now = end;
        self.first += 1;
        self.tallies.pop_front().unwrap_or_default()
    }

    fn attempt(&mut self, at: f64, began: f64, left: u32) {
        let arrived = at + self.station.before;
        if let Some(places) = self.station.places {
            while self.waiting.front().is_some_and(|start| *start <= arrived) {
                self.waiting.pop_front();
            }
            let all_busy = self.free.peek().is_some_and(|Reverse(bits)| f64::from_bits(*bits) > arrived);
            if all_busy && self.waiting.len() + self.station.servers >= places {
                return self.end(at, began, false);
            }
        }
        let service = self.station.service.draw(&mut self.rng);
        let Some(mut top) = self.free.peek_mut() else { return };
        let start = f64::from_bits(top.0).max(arrived);
        *top = Reverse((start + service).to_bits());
        drop(top);
        if self.station.places.is_some() && start > arrived {
            self.waiting.push_back(start);
        }
        let finish = start + service;
        match self.station.retry {
            Some((timeout, _)) if finish - at > timeout => {
                if left > 0 {
                    self.again.push(Reverse(((at + timeout).to_bits(), began.to_bits(), left - 1)));
                } else {
                    self.end(at + timeout, began, false);
                }
            }
            _ => self.end(finish, began, true),
        }
    }

    fn end(&mut self, finish: f64, began: f64, answered: bool) {
        let index = ((finish / self.window) as u64).saturating_sub(self.first) as usize;
        while self.tallies.len() <= index {
            self.tallies.push_back(Tally::default());
        }
        let tally = &mut self.tallies[index];
        tally.of += 1;
        tally.done += u64::from(answered);
        let slower = |limit: f64| u64::from(!answered || finish - began > limit);
        tally.bad += slower(self.station.limit);
        tally.near += slower(self.near);
        if answered && self.station.histograms {
            tally.response.record(Ns::from_secs_f64(finish - began));
        }
    }
}

/// Share of an M/M/c's requests that take longer than `limit` seconds, at this arrival rate and mean service time.
/// Source: Erlang (1917); with `d = c mu - lambda` and `C` the probability of waiting,
/// `P(T > t) = e^(-mu t) + C mu / (mu - d) (e^(-d t) - e^(-mu t))`.
pub fn mmc_slower(servers: usize, mean: f64, rate: f64, limit: f64) -> f64 {
    let (mu, c) = (1.0 / mean, servers as f64);
    if rate >= c * mu {
        return 1.0;
    }
    let blocked = erlang_b(servers, rate * mean);
    let waits = blocked / (1.0 - rate / (c * mu) * (1.0 - blocked));
    let gap = c * mu - rate;
    // where both rates meet the formula is 0 / 0: a hair beside it is exact enough
    let gap = if (gap - mu).abs() < 1e-7 * mu { gap + 1e-7 * mu } else { gap };
    (-mu * limit).exp() + waits * mu / (mu - gap) * ((-gap * limit).exp() - (-mu * limit).exp())
}

/// Share of calls refused by `servers` servers without a queue, at this load in Erlang.
/// Source: Erlang (1917), by the recursion over the number of servers.
pub fn erlang_b(servers: usize, erlang: f64) -> f64 {
    (1..=servers).fold(1.0, |blocked, n| erlang * blocked / (n as f64 + erlang * blocked))
}

/// The load at which a rising `share` reaches `allowed`, between `low` and `high`, by bisection.
pub fn edge(allowed: f64, low: f64, high: f64, share: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if share(middle) <= allowed {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Purpose;

    fn share(station: Station, rate: f64, seconds: u64) -> f64 {
        let length = Ns::from_secs(seconds);
        let trial =
            Trial { number: 1, purpose: Purpose::Measure, load: rate, length, settle: Ns::from_secs(5) };
        let result = Running::new(station, 3, 1.0).trial(trial, |_| false);
        let (mut all, mut worse) = (0, 0);
        for window in result.counted() {
            if let [Reading::Share { of, bad, .. }] = window.readings[..] {
                (all, worse) = (all + of, worse + bad);
            }
        }
        worse as f64 / all as f64
    }

    #[test]
    fn an_mm8_is_as_erlang_says() {
        let (told, truth) = (
            share(Station::new(8, Service::Exponential(0.01), 0.04), 600.0, 4_000),
            mmc_slower(8, 0.01, 600.0, 0.04),
        );
        assert!((told / truth - 1.0).abs() < 0.05, "{told} for {truth}");
    }

    #[test]
    fn the_known_capacity_of_an_mm8_comes_out() {
        let found = edge(0.01, 1.0, 800.0, |rate| mmc_slower(8, 0.01, rate, 0.1));
        assert!((found - 749.04).abs() < 0.01, "{found}");
    }

    #[test]
    fn a_station_without_a_queue_refuses_as_erlang_says() {
        let station = Station { places: Some(8), ..Station::new(8, Service::Exponential(0.01), 10.0) };
        let (told, truth) = (share(station, 500.0, 300), erlang_b(8, 5.0));
        assert!((told / truth - 1.0).abs() < 0.05, "{told} for {truth}");
    }
}
