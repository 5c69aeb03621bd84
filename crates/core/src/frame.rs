//! What is counted about one step, one scenario or one shard in one window. Mergeable.

use crate::histogram::Precision;
use crate::{ErrorClass, Histogram, Ns, Outcome, Phase, Probe, Sample};

/// Distinct result codes that a frame counts apart; further ones go to `other_codes`.
pub const CODES: usize = 24;

/// Counts and distributions of one step. Filled on the hot path; merged and swapped once a window.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Operations that were planned, counted when they were claimed from the schedule or begun, on a path of
    /// its own so that conservation is a real check.
    pub planned: u64,
    /// Ended operations by [`Outcome`].
    pub outcomes: [u64; 6],
    /// Ended operations by [`ErrorClass`].
    pub classes: [u64; ErrorClass::COUNT],
    /// Result codes and their counts, in order of first appearance.
    pub codes: Vec<(u16, u64)>,
    /// Operations whose code found no place in `codes`.
    pub other_codes: u64,
    /// Response time (from the planned instant) of `Ok` operations.
    pub response: Histogram,
    /// Service time (from the real start) of `Ok` operations.
    pub service: Histogram,
    /// Response time, so far, of operations that never got an answer (timed out, aborted): lower bounds.
    pub censored: Histogram,
    /// Response time of rejected and failed operations.
    pub failed: Histogram,
    /// Time in each [`Phase`], for all operations in which it happened.
    pub phases: [Histogram; Phase::COUNT],
    /// Exchanges before the last one (redirects), each on its own.
    pub hops: Histogram,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Connections opened.
    pub connections: u64,
    /// Per check of the step: (held, did not hold).
    pub checks: Vec<(u64, u64)>,
}

impl Frame {
    /// An empty frame for a step with `checks` checks.
    pub fn new(checks: usize) -> Frame {
        Frame {
            planned: 0,
            outcomes: [0; 6],
            classes: [0; ErrorClass::COUNT],
            codes: Vec::with_capacity(CODES),
            other_codes: 0,
            response: Histogram::new(Precision::Fine),
            service: Histogram::new(Precision::Fine),
            censored: Histogram::new(Precision::Coarse),
            failed: Histogram::new(Precision::Coarse),
            phases: [const { Histogram::new(Precision::Coarse) }; Phase::COUNT],
            hops: Histogram::new(Precision::Coarse),
            bytes_in: 0,
            bytes_out: 0,
            connections: 0,
            checks: vec![(0, 0); checks],
        }
    }

    /// Bytes that one fully used frame holds.
    pub const fn footprint() -> usize {
        2 * Histogram::footprint(Precision::Fine)
            + (3 + Phase::COUNT) * Histogram::footprint(Precision::Coarse)
            + size_of::<Frame>()
            + CODES * size_of::<(u16, u64)>()
    }

    /// Counts one ended operation.
    #[inline]
    pub fn record(&mut self, sample: &Sample, probe: &Probe<'_>) {
        self.count(sample);
        for (histogram, took) in self.phases.iter_mut().zip(&probe.phases) {
            if let Some(took) = took {
                histogram.record(*took);
            }
        }
        for hop in &probe.hops {
            self.hops.record(hop.took);
        }
        self.connections += u64::from(probe.connections);
        if probe.checks_passed | probe.checks_failed != 0 {
            for (index, (held, failed)) in self.checks.iter_mut().enumerate() {
                *held += probe.checks_passed >> index & 1;
                *failed += probe.checks_failed >> index & 1;
            }
        }
    }

    /// Counts one ended operation that has no probe (it was never sent).
    #[inline]
    pub fn count(&mut self, sample: &Sample) {
        self.outcomes[sample.outcome as usize] += 1;
        self.classes[sample.class as usize] += 1;
        self.bytes_in += u64::from(sample.bytes_in);
        self.bytes_out += u64::from(sample.bytes_out);
        if sample.code != 0 {
            self.count_code(sample.code, 1);
        }
        match sample.outcome {
            Outcome::Ok => {
                self.response.record(sample.response());
                self.service.record(sample.service());
            }
            Outcome::TimedOut | Outcome::Aborted => self.censored.record(sample.response()),
            Outcome::Rejected | Outcome::Failed => self.failed.record(sample.response()),
            Outcome::Dropped => {}
        }
    }

    #[inline]
    fn count_code(&mut self, code: u16, times: u64) {
        if let Some(slot) = self.codes.iter_mut().find(|slot| slot.0 == code) {
            slot.1 += times;
        } else if self.codes.len() < CODES {
            self.codes.push((code, times));
        } else {
            self.other_codes += times;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Frame) {
        self.planned += other.planned;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        for (code, times) in &other.codes {
            self.count_code(*code, *times);
        }
        self.other_codes += other.other_codes;
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.censored.merge(&other.censored);
        self.failed.merge(&other.failed);
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.merge(theirs);
        }
        self.hops.merge(&other.hops);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.connections += other.connections;
        if self.checks.len() < other.checks.len() {
            self.checks.resize(other.checks.len(), (0, 0));
        }
        for (mine, theirs) in self.checks.iter_mut().zip(&other.checks) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.planned = 0;
        self.outcomes = [0; 6];
        self.classes = [0; ErrorClass::COUNT];
        self.codes.clear();
        self.other_codes = 0;
        self.response.clear();
        self.service.clear();
        self.censored.clear();
        self.failed.clear();
        self.phases.iter_mut().for_each(Histogram::clear);
        self.hops.clear();
        self.bytes_in = 0;
        self.bytes_out = 0;
        self.connections = 0;
        self.checks.fill((0, 0));
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.planned == 0 && self.ended() == 0
    }

    /// Operations that ended, however they ended.
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Operations with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Operations that count as errors: rejected, failed, timed out, dropped. Aborted ones are neither errors nor
    /// successes: we cut them off. Nor are those that we failed ourselves because the plan asks for it.
    pub fn errors(&self) -> u64 {
        let errors = self.of(Outcome::Rejected)
            + self.of(Outcome::Failed)
            + self.of(Outcome::TimedOut)
            + self.of(Outcome::Dropped);
        errors.saturating_sub(self.injected())
    }

    /// Operations that errors are a share of: all that ended, but for those that we cut off or failed ourselves.
    pub fn judged(&self) -> u64 {
        self.ended().saturating_sub(self.of(Outcome::Aborted)).saturating_sub(self.injected())
    }

    /// Operations that we failed ourselves, unsent, because the plan asks for it.
    pub fn injected(&self) -> u64 {
        self.classes[ErrorClass::Injected as usize]
    }

    /// Errors as a share of all that are judged; `None` if there are none.
    pub fn error_rate(&self) -> Option<f64> {
        let judged = self.judged();
        (judged > 0).then(|| self.errors() as f64 / judged as f64)
    }
}

/// Iterations of one scenario in one window.
#[derive(Clone, Debug, Default)]
pub struct IterationFrame {
    /// Claimed from the schedule or begun.
    pub planned: u64,
    /// Done, every step ok.
    pub completed: u64,
    /// Done or given up, some step not ok.
    pub failed: u64,
    /// Never begun.
    pub dropped: u64,
    /// Cut off by us.
    pub aborted: u64,
    /// From the planned instant to the end, of completed ones.
    pub duration: Histogram,
}

impl IterationFrame {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &IterationFrame) {
        self.planned += other.planned;
        self.completed += other.completed;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.aborted += other.aborted;
        self.duration.merge(&other.duration);
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        let mut duration = std::mem::take(&mut self.duration);
        duration.clear();
        *self = IterationFrame { duration, ..IterationFrame::default() };
    }

    /// Iterations that ended, however they ended.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed + self.dropped + self.aborted
    }
}

/// The generator's own lateness in one window, one per shard.
#[derive(Clone, Debug)]
pub struct LagFrame {
    /// `started - max(ready, intended)`: we woke late.
    pub generator: Histogram,
    /// `ready - intended`: nothing was free.
    pub pool: Histogram,
    /// Lateness of a regular heartbeat of the shard's loop: how long ready work waits inside us.
    pub heartbeat: Histogram,
    /// CPU time of the shard's thread in this window.
    pub cpu: Ns,
    /// Time in which the shard's thread wanted a CPU and had none, in this window.
    pub cpu_wait: Ns,
    /// Length of the window.
    pub wall: Ns,
}

impl Default for LagFrame {
    fn default() -> LagFrame {
        LagFrame {
            generator: Histogram::new(Precision::Coarse),
            pool: Histogram::new(Precision::Coarse),
            heartbeat: Histogram::new(Precision::Coarse),
            cpu: Ns::ZERO,
            cpu_wait: Ns::ZERO,
            wall: Ns::ZERO,
        }
    }
}

impl LagFrame {
    /// Adds all of `other`; the times add up over shards and windows alike.
    pub fn merge(&mut self, other: &LagFrame) {
        self.generator.merge(&other.generator);
        self.pool.merge(&other.pool);
        self.heartbeat.merge(&other.heartbeat);
        self.cpu += other.cpu;
        self.cpu_wait += other.cpu_wait;
        self.wall += other.wall;
    }

    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.generator.clear();
        self.pool.clear();
        self.heartbeat.clear();
        (self.cpu, self.cpu_wait, self.wall) = (Ns::ZERO, Ns::ZERO, Ns::ZERO);
    }
}
