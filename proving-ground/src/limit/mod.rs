//! Rate limiters of every common kind, pure: time comes in as a parameter.
//!
//! Place in the flow: the gate asks a [`Limiter`] once per request; the classroom asks its own. The kinds are
//! those that a limiter finder must tell apart from outside. Instants are nanoseconds of one clock that begins
//! at the Unix epoch, so that windows "of the wall clock" begin at its multiples.
//!
//! Invariants: memory is bounded (at most [`keyed::KEYS`] keys are told apart; further ones share one state); the
//! same questions at the same instants get the same answers.

mod buckets;
mod keyed;
mod logs;
mod windows;

#[cfg(test)]
mod tests;

use crucible_core::Ns;
pub(crate) use keyed::Limiter;

/// How a limiter counts. `L` requests in a window `W` are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At most L in each window that begins at a multiple of W of the wall clock.
    FixedWall,
    /// At most L in a window that begins with the first request after the last one ended.
    FixedFirst,
    /// At most L admitted in any stretch of W.
    SlidingLog,
    /// As the sliding log, but refused requests count, too: a client that never pauses is never admitted again.
    LogWithRejects,
    /// Two wall-clock windows, the older one weighted by its share of the last W.
    SlidingCounter,
    /// A bucket of `burst` tokens, filled evenly with L per W. From outside the same as GCRA.
    TokenBucket {
        /// Size of the bucket.
        burst: u64,
    },
    /// A bucket of L tokens; every W/steps, counted from the first request, L/steps are added at once.
    IntervalRefill {
        /// Additions in W.
        steps: u64,
    },
    /// As the window from the first request, but the request that is too much locks for a time of its own.
    Lockout {
        /// How long everything is refused.
        lock: Ns,
    },
    /// Requests leave one by one, W/L apart; those that come early wait, at most `queue` of them.
    Leaky {
        /// Requests that may wait.
        queue: u64,
    },
    /// At least W/L between two admitted requests.
    Spacing,
    /// At most L under way at once; W means nothing.
    Concurrency,
    /// Two fixed windows of the wall clock at once: L per W, and a second limit.
    TwoTier {
        /// Requests of the second limit.
        requests: u64,
        /// Window of the second limit.
        window: Ns,
    },
}

/// A kind with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// How it counts.
    pub(crate) kind: Kind,
    /// L, at least 1.
    pub(crate) requests: u64,
    /// W, at least a millisecond.
    pub(crate) window: Ns,
}

impl Rule {
    /// W/L: the time that one request takes of the allowance.
    fn interval(&self) -> u64 {
        self.window.0 / self.requests.max(1)
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// It passes.
    Now,
    /// It passes after this time.
    After(Ns),
    /// It is refused.
    No,
}

/// The answer to one request, and what headers may say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whether it may pass.
    pub(crate) pass: Pass,
    /// Requests that would pass at once after this one.
    pub(crate) remaining: u64,
    /// Time until the allowance is whole again.
    pub(crate) reset: Ns,
    /// For a refused request: time until it would pass if nobody else asked; else zero.
    pub(crate) retry_after: Ns,
}

impl Decision {
    fn of(pass: bool, remaining: u64, reset: u64, retry_after: u64) -> Decision {
        Decision {
            pass: if pass { Pass::Now } else { Pass::No },
            remaining,
            reset: Ns(reset),
            retry_after: Ns(if pass { 0 } else { retry_after }),
        }
    }

    /// Whether it passes, at once or later.
    pub(crate) fn passes(&self) -> bool {
        self.pass != Pass::No
    }
}

/// What is remembered of one key.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Window(windows::Window),
    Counter(windows::Counter),
    Refill(windows::Refill),
    Log(logs::Log),
    Lock(logs::Lock),
    Two(logs::Two),
    Bucket(buckets::Bucket),
    Leaky(buckets::Leaky),
    Spacing(buckets::Spacing),
    Places(buckets::Places),
}

impl State {
    /// Nothing has been asked yet.
    pub(crate) fn new(rule: &Rule) -> State {
        match rule.kind {
            Kind::FixedWall | Kind::FixedFirst => State::Window(windows::Window::default()),
            Kind::SlidingCounter => State::Counter(windows::Counter::default()),
            Kind::IntervalRefill { .. } => State::Refill(windows::Refill::default()),
            Kind::SlidingLog | Kind::LogWithRejects => State::Log(logs::Log::default()),
            Kind::Lockout { .. } => State::Lock(logs::Lock::default()),
            Kind::TwoTier { .. } => State::Two(logs::Two::default()),
            Kind::TokenBucket { .. } => State::Bucket(buckets::Bucket::default()),
            Kind::Leaky { .. } => State::Leaky(buckets::Leaky::default()),
            Kind::Spacing => State::Spacing(buckets::Spacing::default()),
            Kind::Concurrency => State::Places(buckets::Places::default()),
        }
    }

    /// One request at `now` that counts `cost` times (1 for an honest limiter). `now` never goes back.
    pub(crate) fn ask(&mut self, rule: &Rule, now: Ns, cost: u64) -> Decision {
        let now = now.0;
        match self {
            State::Window(state) => match rule.kind {
                Kind::FixedWall => state.ask_wall(rule, now, cost),
                _ => state.ask_first(rule, now, cost),
            },
            State::Counter(state) => state.ask(rule, now, cost),
            State::Refill(state) => state.ask(rule, now, cost),
            State::Log(state) => state.ask(rule, now, cost),
            State::Lock(state) => state.ask(rule, now, cost),
            State::Two(state) => state.ask(rule, now, cost),
            State::Bucket(state) => state.ask(rule, now, cost),
            State::Leaky(state) => state.ask(rule, now, cost),
            State::Spacing(state) => state.ask(rule, now, cost),
            State::Places(state) => state.ask(rule, cost),
        }
    }

    /// A request that passed has been answered.
    pub(crate) fn leave(&mut self, cost: u64) {
        if let State::Places(places) = self {
            places.leave(cost);
        }
    }

    /// Whether forgetting this state changes no answer at `now` or later.
    pub(crate) fn is_idle(&self, rule: &Rule, now: Ns) -> bool {
        match self {
            State::Window(state) => state.is_idle(rule, now.0),
            State::Counter(state) => state.is_idle(rule, now.0),
            // the ticks are counted from the first request, which must be remembered
            State::Refill(_) => false,
            State::Log(state) => state.is_idle(rule, now.0),
            State::Lock(state) => state.is_idle(rule, now.0),
            State::Two(state) => state.is_idle(rule, now.0),
            State::Bucket(state) => state.is_idle(rule, now.0),
            State::Leaky(state) => state.is_idle(now.0),
            State::Spacing(state) => state.is_idle(rule, now.0),
            State::Places(state) => state.is_idle(),
        }
    }
}
