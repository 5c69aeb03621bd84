//! Systems whose response times follow a law that is known, for the tests of comparison and of verdicts on limits.
//!
//! One [`Source`] is one system. Its state (backlog, level, next pause) lives on from slice to slice, as that of a real system
//! does between its turns. What happens to both systems at once (drift of the machine, a slow hour) comes in from
//! outside, as a factor.

use crate::compare::{Pair, Slice};
use crate::special::normal_quantile;
use crucible_core::{Histogram, Ns, Rng};

/// A law of response times. Times are around 10 ms, except in queues, where they follow from the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Process {
    /// Independent, exponential.
    Exponential,
    /// Independent, log-normal with this sigma.
    LogNormal(f64),
    /// Independent, log-normal of sigma 0.1: around 10 ms, and with this share around 50 ms.
    Bimodal(f64),
    /// Sojourn times of M/M/1 at this load.
    Queue(f64),
    /// Sojourn times of M/G/1 at this load with Pareto service times (index 2.5: the variance exists, the third moment
    /// does not).
    HeavyQueue(f64),
    /// Log-normal noise of sigma 0.5 on a level (standard deviation 0.1) that wanders from request to request as a
    /// first-order process with this memory.
    Wander(f64),
    /// Exponential, with pauses of 50 to 150 ms at random instants, so many a second, in which arrivals wait.
    Pauses(f64),
    /// Exponential, while the machine under both systems becomes slower by this share over the whole test.
    Drift(f64),
    /// Log-normal of sigma 0.5, while the state of the machine under both systems changes from pair to pair by this
    /// share (standard deviation).
    Unsteady(f64),
}

impl Process {
    /// The response time in seconds that the share `p` (above one half) does not exceed, at this rate of requests; `None` where
    /// there is no closed form.
    pub fn quantile(self, p: f64, rate: f64) -> Option<f64> {
        let z = normal_quantile(1.0 - p);
        match self {
            Process::Exponential => Some(-MEAN * (1.0 - p).ln()),
            Process::LogNormal(sigma) => Some(MEAN * (sigma * z).exp()),
            Process::Wander(_) => Some(MEAN * (0.26_f64.sqrt() * z).exp()),
            // the modes lie sixteen sigma apart
            Process::Bimodal(share) if p > 1.0 - share => {
                let tail = (1.0 - p) / share;
                let z = if tail < 0.5 { normal_quantile(tail) } else { -normal_quantile(1.0 - tail) };
                Some(5.0 * MEAN * (0.1 * z).exp())
            }
            Process::Queue(load) => Some(-(1.0 - p).ln() * load / rate / (1.0 - load)),
            _ => None,
        }
    }
}

/// The ten processes that the claims name.
pub const NAMED: [(&str, Process); 10] = [
    ("exponential", Process::Exponential),
    ("log-normal", Process::LogNormal(1.0)),
    ("bimodal", Process::Bimodal(0.2)),
    ("M/M/1 at .5", Process::Queue(0.5)),
    ("M/M/1 at .8", Process::Queue(0.8)),
    ("M/G/1, heavy tail", Process::HeavyQueue(0.5)),
    ("AR", Process::Wander(0.995)),
    ("GC pauses", Process::Pauses(0.5)),
    ("drift", Process::Drift(0.2)),
    ("2 % run effect", Process::Unsteady(0.02)),
];

const MEAN: f64 = 0.010;
const TAIL_INDEX: f64 = 2.5;

/// One system under load. See the module text.
#[derive(Clone, Debug)]
pub struct Source {
    process: Process,
    /// Requests a second.
    rate: f64,
    /// Factor on every service time.
    slower: f64,
    rng: Rng,
    /// Seconds of load so far.
    now: f64,
    /// When the next request arrives.
    next: f64,
    /// When the backlog is gone, or the present pause over.
    free: f64,
    /// When the next pause begins.
    pause: f64,
    level: f64,
}

impl Source {
    /// A system in its steady state.
    pub fn new(process: Process, rate: f64, slower: f64, rng: Rng) -> Source {
        let mut source = Source {
            process,
            rate,
            slower,
            rng,
            now: 0.0,
            next: 0.0,
            free: 0.0,
            pause: f64::INFINITY,
            level: 0.0,
        };
        match process {
            Process::Queue(load) => {
                let load = load * slower;
                if source.rng.unit() < load {
                    source.free = source.rng.exponential() * load / rate / (1.0 - load);
                }
            }
            Process::HeavyQueue(_) => {
                // no closed form: let it run for a while
                for _ in 0..20_000 {
                    source.response();
                }
                source.free -= source.next;
                source.next = 0.0;
            }
            Process::Wander(_) => source.level = source.rng.normal(),
            Process::Pauses(each) => source.pause = source.rng.exponential() / each,
            _ => {}
        }
        source
    }

    /// The response time of the next request, in seconds, and the time at which it arrives in `next`.
    fn response(&mut self) -> f64 {
        let rng = &mut self.rng;
        match self.process {
            Process::Exponential | Process::Drift(_) => {
                self.next += 1.0 / self.rate;
                MEAN * self.slower * rng.exponential()
            }
            Process::LogNormal(sigma) => {
                self.next += 1.0 / self.rate;
                MEAN * self.slower * (sigma * rng.normal()).exp()
            }
            Process::Unsteady(_) => {
                self.next += 1.0 / self.rate;
                MEAN * self.slower * (0.5 * rng.normal()).exp()
            }
            Process::Bimodal(share) => {
                self.next += 1.0 / self.rate;
                let mode = if rng.unit() < share { 5.0 } else { 1.0 };
                MEAN * self.slower * mode * (0.1 * rng.normal()).exp()
            }
            Process::Queue(load) => {
                self.next += rng.exponential() / self.rate;
                self.free = self.free.max(self.next) + rng.exponential() * load * self.slower / self.rate;
                self.free - self.next
            }
            Process::HeavyQueue(load) => {
                self.next += rng.exponential() / self.rate;
                let least = load / self.rate * (TAIL_INDEX - 1.0) / TAIL_INDEX;
                let service = least * (rng.exponential() / TAIL_INDEX).exp();
                self.free = self.free.max(self.next) + service * self.slower;
                self.free - self.next
            }
            Process::Wander(memory) => {
                self.next += 1.0 / self.rate;
                self.level = memory * self.level + (1.0 - memory * memory).sqrt() * rng.normal();
                MEAN * self.slower * (0.5 * rng.normal() + 0.1 * self.level).exp()
            }
            Process::Pauses(each) => {
                self.next += 1.0 / self.rate;
                while self.pause <= self.next {
                    self.free = self.pause + (0.05 + 0.1 * rng.unit()) * self.slower;
                    self.pause = self.free + rng.exponential() / each;
                }
                MEAN * self.slower * rng.exponential() + (self.free - self.next).max(0.0)
            }
        }
    }

    /// Response times of the next `seconds`, all of them times `factor`, as they come.
    pub fn run(&mut self, seconds: f64, factor: f64, mut each: impl FnMut(Ns)) {
        self.now += seconds;
        while self.next < self.now {
            let response = self.response();
            each(Ns((response * factor * 1e9) as u64));
        }
    }

    /// The next `seconds` as a slice.
    pub fn slice(&mut self, seconds: f64, factor: f64) -> Slice {
        let mut latency = Histogram::default();
        self.run(seconds, factor, |response| latency.record(response));
        Slice::timed(latency, seconds)
    }
}

/// Interleaved slices of two systems of which the second is slower by the factor `slower`, and which are otherwise alike.
pub fn pairs(process: Process, rate: f64, count: usize, seconds: f64, slower: f64, seed: u64) -> Vec<Pair> {
    let mut a = Source::new(process, rate, 1.0, Rng::new(seed, "process a", 0));
    let mut b = Source::new(process, rate, slower, Rng::new(seed, "process b", 0));
    let mut machine = Rng::new(seed, "process machine", 0);
    (0..count)
        .map(|index| {
            let b_first = machine.unit() < 0.5;
            let factor = |position: f64, state: f64| match process {
                Process::Drift(total) => 1.0 + total * (index as f64 + 0.5 * position) / count as f64,
                Process::Unsteady(spread) => (spread * state).exp(),
                _ => 1.0,
            };
            let state = machine.normal();
            let (at_a, at_b) = if b_first { (1.0, 0.0) } else { (0.0, 1.0) };
            Pair {
                a: a.slice(seconds, factor(at_a, state)),
                b: b.slice(seconds, factor(at_b, state)),
                round: 0,
            }
        })
        .collect()
}

/// Runs of one system, each in a state of its own (a factor of this relative standard deviation).
pub fn runs(
    process: Process,
    rate: f64,
    count: usize,
    seconds: f64,
    slower: f64,
    spread: f64,
    seed: u64,
) -> Vec<Vec<Slice>> {
    (0..count)
        .map(|index| {
            let mut rng = Rng::new(seed, "process run", index as u64);
            let state = (spread * rng.normal()).exp();
            let mut source = Source::new(process, rate, slower, rng);
            (0..seconds as usize).map(|_| source.slice(1.0, state)).collect()
        })
        .collect()
}
