//! Timed spans over several operations: groups, transactions and their parts. Counted like operations, each in a row of
//! its own, so that conservation holds with them.

use crate::shard::Shard;
use crate::user::{Start, User};
use crate::walk::Level;
use crucible_core::{Clock, ErrorClass, Ns, Outcome, Sample, StepId, Worker};

impl<C: Clock, W: Worker> Shard<C, W> {
    /// Takes everything off the stack. Spans that were ok so far end with `outcome`.
    pub(crate) fn close_spans(&self, user: &mut User<W::Session>, at: Ns, with: Outcome, why: ErrorClass) {
        while let Some(level) = user.stack.last_mut() {
            if let Level::Span { outcome: outcome @ Outcome::Ok, class, .. } = level {
                (*outcome, *class) = (with, why);
            }
            self.end_span(user, at);
        }
    }

    /// A timed span begins.
    pub(crate) fn begin_span(&self, user: &mut User<W::Session>, row: StepId, start: Start) {
        self.frames.borrow_mut().steps[usize::from(row.0)].planned += 1;
        self.in_flight.set(self.in_flight.get() + 1);
        user.stack.push(Level::Span { row, start, outcome: Outcome::Ok, class: ErrorClass::None });
    }

    /// The innermost level ends; counted if it is a timed span.
    pub(crate) fn end_span(&self, user: &mut User<W::Session>, at: Ns) {
        let Some(Level::Span { row, start, outcome, class }) = user.stack.pop() else { return };
        self.in_flight.set(self.in_flight.get() - 1);
        self.frames.borrow_mut().steps[usize::from(row.0)].count(&Sample {
            intended: start.intended,
            ready: start.ready,
            started: start.started,
            first_byte: Ns::ZERO,
            finished: at.max(start.started),
            bytes_in: 0,
            bytes_out: 0,
            step: row,
            code: 0,
            outcome,
            class,
        });
    }

    /// Counts something that was planned and ended without being sent.
    pub(crate) fn count_unsent(
        &self,
        step: StepId,
        start: Start,
        length: Ns,
        outcome: Outcome,
        class: ErrorClass,
    ) {
        let frame = &mut self.frames.borrow_mut().steps[usize::from(step.0)];
        frame.planned += 1;
        frame.count(&Sample {
            intended: start.intended,
            ready: start.ready,
            started: start.started,
            first_byte: Ns::ZERO,
            finished: start.started + length,
            bytes_in: 0,
            bytes_out: 0,
            step,
            code: 0,
            outcome,
            class,
        });
    }
}
