//! A circuit breaker: after some failures in a row it stays open for a while, then lets one event try.

use crucible_core::Ns;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Events pass; so many have failed in a row.
    Closed(u32),
    /// Nothing passes until then.
    Open(Ns),
    /// One event is trying.
    HalfOpen,
}

/// The state machine of Nygard, "Release It!" (2007), with time as a parameter.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: BreakerState,
    failures: u32,
    pause: Ns,
}

impl Breaker {
    /// Opens after `failures` (at least 1) failures in a row, for `pause`.
    pub fn new(failures: u32, pause: Ns) -> Breaker {
        Breaker { state: BreakerState::Closed(0), failures: failures.max(1), pause }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Whether an event may pass at `now`. The first one after the pause is the trial; its outcome must be told.
    pub fn allow(&mut self, now: Ns) -> bool {
        if let BreakerState::Open(until) = self.state {
            if now < until {
                return false;
            }
            self.state = BreakerState::HalfOpen;
        }
        true
    }

    /// Tells how an event that passed ended.
    pub fn outcome(&mut self, ok: bool, now: Ns) {
        self.state = match (self.state, ok) {
            (_, true) => BreakerState::Closed(0),
            (BreakerState::Closed(before), false) if before + 1 < self.failures => {
                BreakerState::Closed(before + 1)
            }
            (_, false) => BreakerState::Open(now + self.pause),
        };
    }

    /// Until when it is open; zero if it is not.
    pub(crate) fn open_until(&self) -> Ns {
        match self.state {
            BreakerState::Open(until) => until,
            _ => Ns::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_opens_pauses_tries_and_closes() {
        let second = Ns::from_secs;
        let mut breaker = Breaker::new(3, second(30));
        for at in 0..3 {
            assert!(breaker.allow(second(at)));
            breaker.outcome(false, second(at));
        }
        assert_eq!(breaker.state(), BreakerState::Open(second(32)));
        assert!(!breaker.allow(second(31)));
        assert!(breaker.allow(second(32)));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.outcome(false, second(33));
        assert_eq!(breaker.state(), BreakerState::Open(second(63)), "a failed trial opens it at once");
        assert!(breaker.allow(second(63)));
        breaker.outcome(true, second(63));
        assert_eq!(breaker.state(), BreakerState::Closed(0));
    }

    proptest! {
        #[test]
        fn it_is_open_exactly_after_that_many_failures_in_a_row(outcomes in prop::collection::vec(any::<bool>(), 0..60), limit in 1u32..6) {
            let mut breaker = Breaker::new(limit, Ns::from_secs(1));
            let mut run = 0;
            for ok in outcomes {
                prop_assert!(breaker.allow(Ns::ZERO));
                breaker.outcome(ok, Ns::ZERO);
                run = if ok { 0 } else { run + 1 };
                let open = matches!(breaker.state(), BreakerState::Open(_));
                prop_assert_eq!(open, run >= limit);
                if open {
                    break;
                }
            }
        }
    }
}
