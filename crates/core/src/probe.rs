//! What a protocol tells about the operation that it is doing, without reading a clock or counting.

use crate::{ErrorClass, Now, Ns};

/// A part of an operation that is timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Resolving the target's name.
    Resolve = 0,
    /// Opening the connection.
    Connect = 1,
    /// Setting up the secure channel.
    Secure = 2,
    /// Writing the request.
    Send = 3,
    /// From the last byte written to the first byte of the answer.
    Wait = 4,
    /// From the first to the last byte of the answer.
    Receive = 5,
}

impl Phase {
    /// Number of phases.
    pub const COUNT: usize = 6;
    /// All phases in the order of their numbers.
    pub const ALL: [Phase; Self::COUNT] =
        [Phase::Resolve, Phase::Connect, Phase::Secure, Phase::Send, Phase::Wait, Phase::Receive];

    /// The word used in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Secure => "secure",
            Phase::Send => "send",
            Phase::Wait => "wait",
            Phase::Receive => "receive",
        }
    }
}

/// One further exchange inside an operation (a followed redirect), timed apart.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// From its start to its end.
    pub took: Ns,
    /// The protocol's result code of this hop.
    pub code: u16,
}

/// Longest failure text that is kept, in bytes.
pub const DETAIL_LIMIT: usize = 200;

/// Filled by a [`crate::Session`] during one operation and read by the loop after it. Reused, so that the hot
/// path does not allocate.
pub struct Probe<'c> {
    clock: &'c dyn Now,
    phase_since: Ns,
    /// Time in each phase; `None` where the phase did not happen (a kept connection has no connect).
    pub phases: [Option<Ns>; Phase::COUNT],
    /// When the first byte of the answer arrived; zero if none did.
    pub first_byte: Ns,
    /// Bytes read from the wire.
    pub bytes_in: u64,
    /// Bytes written to the wire.
    pub bytes_out: u64,
    /// New connections opened.
    pub connections: u32,
    /// The protocol's result code, 0 if there was none.
    pub code: u16,
    /// Why it did not end well.
    pub class: ErrorClass,
    /// Bit `k`: check `k` of the step held.
    pub checks_passed: u64,
    /// Bit `k`: check `k` of the step did not hold.
    pub checks_failed: u64,
    /// Values for the step's measures: index in [`crate::StepSpec::measures`], value.
    pub measures: Vec<(u16, f64)>,
    /// Exchanges before the last one.
    pub hops: Vec<Hop>,
    /// One line about the failure, for people; empty if there is nothing to say.
    pub detail: String,
    wants_detail: bool,
}

impl<'c> Probe<'c> {
    /// A probe on this clock.
    pub fn new(clock: &'c dyn Now) -> Probe<'c> {
        Probe {
            clock,
            phase_since: Ns::ZERO,
            phases: [None; Phase::COUNT],
            first_byte: Ns::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            connections: 0,
            code: 0,
            class: ErrorClass::None,
            checks_passed: 0,
            checks_failed: 0,
            measures: Vec::new(),
            hops: Vec::new(),
            detail: String::new(),
            wants_detail: true,
        }
    }

    /// Makes it ready for an operation that starts at `started`. The loop calls this.
    pub fn begin(&mut self, started: Ns, wants_detail: bool) {
        self.phase_since = started;
        self.phases = [None; Phase::COUNT];
        self.first_byte = Ns::ZERO;
        self.bytes_in = 0;
        self.bytes_out = 0;
        self.connections = 0;
        self.code = 0;
        self.class = ErrorClass::None;
        self.checks_passed = 0;
        self.checks_failed = 0;
        self.measures.clear();
        self.hops.clear();
        self.detail.clear();
        self.wants_detail = wants_detail;
    }

    /// Ends a phase now: the time since the last mark is its own (added up if it happens again).
    #[inline]
    pub fn mark(&mut self, phase: Phase) {
        let now = self.clock.now();
        let took = now.since(self.phase_since);
        let slot = &mut self.phases[phase as usize];
        *slot = Some(slot.unwrap_or(Ns::ZERO) + took);
        self.phase_since = now;
        if matches!(phase, Phase::Wait) {
            self.first_byte = now;
        }
    }

    /// Ends one exchange that another follows; `since` is the time at which it began, as told by
    /// [`Probe::marked_at`]. Returns the present instant.
    pub fn hop(&mut self, since: Ns, code: u16) -> Ns {
        let now = self.clock.now();
        self.hops.push(Hop { took: now.since(since), code });
        self.phase_since = now;
        now
    }

    /// The instant of the last mark (or the start).
    pub fn marked_at(&self) -> Ns {
        self.phase_since
    }

    /// The present instant, for time limits.
    pub fn now(&self) -> Ns {
        self.clock.now()
    }

    /// Notes the result of check `index` of the step (below 64).
    pub fn check(&mut self, index: usize, holds: bool) {
        let bit = 1u64 << (index & 63);
        if holds {
            self.checks_passed |= bit;
        } else {
            self.checks_failed |= bit;
        }
    }

    /// Notes a value for measure `index` of the step.
    pub fn measure(&mut self, index: usize, value: f64) {
        self.measures.push((index as u16, value));
    }

    /// Notes a failure; `text` is only made if somebody will read it.
    pub fn fail(&mut self, class: ErrorClass, text: impl FnOnce() -> String) {
        self.class = class;
        if self.wants_detail {
            self.detail = text();
            if self.detail.len() > DETAIL_LIMIT {
                let mut end = DETAIL_LIMIT;
                while !self.detail.is_char_boundary(end) {
                    end -= 1;
                }
                self.detail.truncate(end);
            }
        }
    }
}
