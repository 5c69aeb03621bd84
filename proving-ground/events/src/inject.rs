//! Failures on purpose.

use crate::bus::{Failure, Handler};
use crate::event::Event;
use crucible_core::Rng;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// The attempt fails.
    Failure,
    /// The handler panics.
    Panic,
}

/// A handler in front of another, of whose attempts exactly one in each `of` goes wrong, at a place drawn from the
/// seed.
pub struct Injection<H> {
    inner: H,
    what: Injected,
    of: u64,
    seed: u64,
    attempts: u64,
}

impl<H: Handler> Injection<H> {
    /// One attempt in `of` (at least 1) goes wrong.
    pub fn new(inner: H, what: Injected, of: u64, seed: u64) -> Injection<H> {
        Injection { inner, what, of: of.max(1), seed, attempts: 0 }
    }
}

impl<H: Handler> Handler for Injection<H> {
    fn handle(&mut self, event: &Event) -> Result<(), Failure> {
        let number = self.attempts;
        self.attempts += 1;
        let place = Rng::new(self.seed, "injection", number / self.of).between(0, self.of - 1);
        if place != number % self.of {
            return self.inner.handle(event);
        }
        match self.what {
            Injected::Failure => Err(Failure("injected".into())),
            Injected::Panic => std::panic::resume_unwind(Box::new("injected")),
        }
    }
}
