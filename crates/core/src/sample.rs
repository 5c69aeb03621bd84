//! What happened to one planned operation.

use crate::{ErrorClass, Ns, Outcome, StepId};

/// One planned operation with the instants that attribute its time. Plain data, at most 64 bytes.
///
/// - response time = `finished - intended`: what a user of the planned load would have seen;
/// - service time = `finished - started`: what the target took once the operation was sent;
/// - pool lag = `ready - intended`: nothing was free to do the work (the target's or the pool's doing);
/// - generator lag = `started - max(ready, intended)`: we woke late (our doing).
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When the schedule wanted the operation to start.
    pub intended: Ns,
    /// When a virtual user was free to do it.
    pub ready: Ns,
    /// When it was really started.
    pub started: Ns,
    /// When the first byte of the answer arrived; zero if none did.
    pub first_byte: Ns,
    /// When it ended, however it ended.
    pub finished: Ns,
    /// Bytes received, saturating.
    pub bytes_in: u32,
    /// Bytes sent, saturating.
    pub bytes_out: u32,
    /// Which step of the plan it was.
    pub step: StepId,
    /// The protocol's own result code (HTTP status), 0 if there was none.
    pub code: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not end well.
    pub class: ErrorClass,
}

const _: () = assert!(size_of::<Sample>() <= 64);

impl Sample {
    /// `finished - intended`.
    pub fn response(&self) -> Ns {
        self.finished.since(self.intended)
    }

    /// `finished - started`.
    pub fn service(&self) -> Ns {
        self.finished.since(self.started)
    }

    /// `ready - intended`, never negative.
    pub fn pool_lag(&self) -> Ns {
        self.ready.since(self.intended)
    }

    /// `started - max(ready, intended)`, never negative.
    pub fn gen_lag(&self) -> Ns {
        self.started.since(self.ready.max(self.intended))
    }
}
