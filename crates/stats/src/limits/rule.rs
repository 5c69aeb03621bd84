//! What a rate limiter can be: its class and its figures. Times are seconds, instants seconds since the probing began.

/// How a limiter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `limit` in each window of a clock of the server's own; `phase` is the begin of one of them.
    FixedWall,
    /// `limit` in a window that begins with the first request after the last one ended.
    FixedFirst,
    /// `limit` admitted in any stretch of `window`.
    SlidingLog,
    /// `limit` asked for in any stretch of `window`: refused requests count, too.
    LogWithRejects,
    /// Two windows of the server's clock, the older one weighted by its share of the last `window`.
    SlidingCounter,
    /// A bucket of `limit` tokens that is filled evenly in `window`. GCRA is the same from outside.
    TokenBucket,
    /// A bucket of `limit` tokens to which `lump` are added at once, so that `window` fills it; `phase` is such an instant.
    IntervalRefill,
    /// As [`Class::FixedFirst`], but the request that is too much locks for `lock`.
    Lockout,
    /// `limit` pass, however long that takes; then each that passes locks, for the next one of `locks`.
    GrowingLock,
    /// Requests leave one by one, `window` apart; `lump` of them may wait, further ones are refused.
    LeakyQueue,
    /// At least `window` between two admitted requests: a bucket of one token.
    Spacing,
    /// `limit` under way at once.
    Concurrency,
    /// Two windows of the server's clock at once: `limit` in `window`, and `second`.
    TwoTier,
}

impl Class {
    /// Number of classes.
    pub const COUNT: usize = 13;
    /// All of them.
    pub const ALL: [Class; Self::COUNT] = [
        Class::FixedWall,
        Class::FixedFirst,
        Class::SlidingLog,
        Class::LogWithRejects,
        Class::SlidingCounter,
        Class::TokenBucket,
        Class::IntervalRefill,
        Class::Lockout,
        Class::GrowingLock,
        Class::LeakyQueue,
        Class::Spacing,
        Class::Concurrency,
        Class::TwoTier,
    ];

    /// The words used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Class::FixedWall => "fixed window (server's clock)",
            Class::FixedFirst => "fixed window (from the first request)",
            Class::SlidingLog => "sliding log",
            Class::LogWithRejects => "sliding log that counts refused requests",
            Class::SlidingCounter => "sliding counter",
            Class::TokenBucket => "token bucket (or GCRA)",
            Class::IntervalRefill => "refill at intervals",
            Class::Lockout => "lock-out",
            Class::GrowingLock => "lock-out that grows",
            Class::LeakyQueue => "leaky queue",
            Class::Spacing => "minimum spacing",
            Class::Concurrency => "concurrency cap",
            Class::TwoTier => "two fixed windows",
        }
    }

    /// The word used by machines.
    pub const fn word(self) -> &'static str {
        match self {
            Class::FixedWall => "fixed_wall",
            Class::FixedFirst => "fixed_first",
            Class::SlidingLog => "sliding_log",
            Class::LogWithRejects => "sliding_log_rejects",
            Class::SlidingCounter => "sliding_counter",
            Class::TokenBucket => "token_bucket",
            Class::IntervalRefill => "interval_refill",
            Class::Lockout => "lockout",
            Class::GrowingLock => "lockout_growing",
            Class::LeakyQueue => "leaky_queue",
            Class::Spacing => "spacing",
            Class::Concurrency => "concurrency",
            Class::TwoTier => "two_tier",
        }
    }
}

/// A second limit beside the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tier {
    /// Requests.
    pub limit: u64,
    /// Its window, seconds.
    pub window: f64,
    /// Begin of one of its windows.
    pub phase: f64,
}

/// Locks of one limiter that are told apart.
pub(crate) const LOCKS: usize = 6;

/// A limiter with its figures; which of them mean something is said at [`Class`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// How it counts.
    pub class: Class,
    /// Requests, at least 1.
    pub limit: u64,
    /// Seconds, above 0.
    pub window: f64,
    /// Begin of one of the server's windows.
    pub phase: f64,
    /// Requests added at once, or that may wait.
    pub lump: u64,
    /// How long a violation locks, seconds.
    pub lock: f64,
    /// Lengths of the locks that were seen, in order, seconds; 0 behind the last one.
    pub locks: [f64; 6],
    /// Of a lock: whether requests during it begin it anew.
    pub extends: bool,
    /// The second tier.
    pub second: Tier,
}

impl Rule {
    /// A rule of this class with one limit and one window; the other figures say nothing yet.
    pub const fn new(class: Class, limit: u64, window: f64) -> Rule {
        let second = Tier { limit: u64::MAX, window: 1.0, phase: 0.0 };
        Rule {
            class,
            limit,
            window,
            phase: 0.0,
            lump: 1,
            lock: 0.0,
            locks: [0.0; LOCKS],
            extends: false,
            second,
        }
    }

    /// The longest time over which it remembers, seconds: the unit in which probing time is counted.
    pub fn memory(&self) -> f64 {
        match self.class {
            Class::Lockout => self.window + self.lock,
            Class::GrowingLock => self.locks.iter().copied().fold(self.window, f64::max),
            Class::TwoTier => self.window.max(self.second.window),
            Class::LeakyQueue => self.window * (self.lump + 1) as f64,
            _ => self.window,
        }
    }

    /// The time between two instants at which it lets more through, seconds.
    pub(crate) fn grain(&self) -> f64 {
        match self.class {
            Class::TokenBucket | Class::SlidingCounter => self.window / self.limit as f64,
            Class::IntervalRefill => self.window * self.lump as f64 / self.limit as f64,
            _ => self.window,
        }
    }

    /// Requests a second that it lets through for ever; `None` where that depends on how long they take.
    pub fn rate(&self) -> Option<f64> {
        let own = self.limit as f64 / self.window;
        match self.class {
            Class::Concurrency | Class::GrowingLock => None,
            Class::TwoTier => Some(own.min(self.second.limit as f64 / self.second.window)),
            Class::LeakyQueue => Some(1.0 / self.window),
            _ => Some(own),
        }
    }

    /// Requests that pass at once after a long rest.
    pub fn burst(&self) -> u64 {
        match self.class {
            Class::LeakyQueue => self.lump + 1,
            Class::TwoTier => self.limit.min(self.second.limit),
            _ => self.limit,
        }
    }

    /// Whether refused requests count against the client.
    pub fn counts_refused(&self) -> bool {
        self.class == Class::LogWithRejects || self.class == Class::Lockout && self.extends
    }

    /// The most requests that pass within one window, where that is more than the limit: twice as many over the edge
    /// of two fixed windows.
    pub fn over_an_edge(&self) -> Option<u64> {
        match self.class {
            Class::FixedWall | Class::TwoTier => Some(2 * self.limit),
            // the window begins with one request; the rest may come at its end
            Class::FixedFirst | Class::Lockout => (self.limit > 1).then(|| 2 * self.limit - 1),
            Class::TokenBucket | Class::IntervalRefill => Some(2 * self.limit),
            _ => None,
        }
    }

    /// Locks that were seen, in order.
    pub fn seen_locks(&self) -> impl Iterator<Item = f64> {
        self.locks.into_iter().take_while(|lock| *lock > 0.0)
    }

    /// Whether two rules say the same: class and counts alike, times within `share` of each other.
    pub fn agrees(&self, other: &Rule, share: f64) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= share * a.abs().max(b.abs());
        self.class == other.class
            && self.limit == other.limit
            && near(self.window, other.window)
            && match self.class {
                Class::Lockout => near(self.lock, other.lock) && self.extends == other.extends,
                // one may have seen more of them
                Class::GrowingLock => self.seen_locks().zip(other.seen_locks()).all(|(a, b)| near(a, b)),
                Class::IntervalRefill => self.lump == other.lump,
                Class::LeakyQueue => self.lump == other.lump,
                Class::TwoTier => {
                    self.second.limit == other.second.limit && near(self.second.window, other.second.window)
                }
                _ => true,
            }
    }
}
