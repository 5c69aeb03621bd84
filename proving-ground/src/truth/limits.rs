//! The rate limiter in front of the API: its kind, its figures, its key, what its headers say.

use super::{Switch, on_off};
use crate::limit::{Kind, Rule};
use crucible_core::Ns;
use crucible_core::units::{parse_duration, parse_rate};

/// Largest limit of the kinds that remember each request.
const LOGGED: u64 = 10_000;
const KINDS: &str = "fixed-wall, fixed-first, sliding-log, sliding-log-rejects, sliding-counter, \
     token-bucket[:BURST], interval-refill[:STEPS], lockout[:TIME], leaky[:QUEUE], spacing, concurrency or two-tier[:RATE]";

pub(super) const LIMIT: Switch = Switch {
    name: "limit",
    doc: "API requests allowed per key in each window: N/s, N/m, N/h or N/TIME; beyond it 429",
    example: "100/m",
    implies: "a client that asks faster gets N answers per window and 429 for the rest; see limit-kind",
    set: |truth, value| {
        truth.limit.rate = Some(rate(value)?);
        Ok(())
    },
};

pub(super) const KIND: Switch = Switch {
    name: "limit-kind",
    doc: "how the limiter counts: fixed-wall (unless told), fixed-first, sliding-log, sliding-log-rejects, \
          sliding-counter, token-bucket[:BURST], interval-refill[:STEPS], lockout[:TIME], leaky[:QUEUE], \
          spacing, concurrency or two-tier[:RATE]",
    example: "token-bucket:20",
    implies: "with N/W, asked without pause: fixed windows N at each window's begin (up to 2N within W over an \
              edge); sliding log N in any W; log with rejects N, then nothing for ever; sliding counter N per W, \
              spread; bucket BURST, then one each W/N; refill N, then N/STEPS each W/STEPS; lockout N, then nothing \
              for TIME; leaky one each W/N, the others delayed up to QUEUE W/N, then 429; spacing one each W/N, the \
              others 429; concurrency N under way (a client sees N / service time); two-tier the tighter of both",
    set: |truth, value| {
        truth.limit.kind = kind(value)?;
        Ok(())
    },
};

pub(super) const KEY: Switch = Switch {
    name: "limit-key",
    doc: "who is counted apart: user (unless told; the address of those without a token), token, address, \
          route or all",
    example: "address",
    implies: "user: two tokens of one user share; token: they do not; route: all clients of a route share",
    set: |truth, value| {
        truth.limit.key = match value {
            "user" => Key::User,
            "token" => Key::Token,
            "address" => Key::Address,
            "route" => Key::Route,
            "all" => Key::All,
            _ => return Err("write user, token, address, route or all".into()),
        };
        Ok(())
    },
};

pub(super) const HEADERS: Switch = Switch {
    name: "limit-headers",
    doc: "what answers say: honest (X-RateLimit-* and RateLimit-*, Retry-After; unless told), x, draft, none, or \
          lying:FACTOR, which states FACTOR times the limit and 1/FACTOR of the wait",
    example: "lying:2",
    implies: "lying:2 at 100/m: X-RateLimit-Limit 200, 429 from the 101st, Retry-After half as long as needed",
    set: |truth, value| {
        truth.limit.headers = match value {
            "honest" => Headers { x: true, draft: true, lie: 1.0 },
            "x" => Headers { x: true, draft: false, lie: 1.0 },
            "draft" => Headers { x: false, draft: true, lie: 1.0 },
            "none" => Headers { x: false, draft: false, lie: 1.0 },
            _ => {
                let factor = value.strip_prefix("lying:").and_then(|f| f.parse().ok());
                let lie = factor.filter(|f| (0.01..=100.0).contains(f));
                let lie = lie.ok_or("write honest, x, draft, none or lying:2 (0.01 to 100)")?;
                Headers { x: true, draft: true, lie }
            }
        };
        Ok(())
    },
};

pub(super) const TWICE: Switch = Switch {
    name: "limiter-counts-twice",
    doc: "on: every limiter counts each request twice, while its headers state the whole limit",
    example: "on",
    implies: "N/2 (rounded down) pass where the headers promise N; spacing and leaky run at half the pace",
    set: |truth, value| {
        truth.limit.twice = on_off(value)?;
        Ok(())
    },
};

pub(super) const OWN: Switch = Switch {
    name: "user-limits",
    doc: "off: the classroom does without its own limits per user (60 saves, 20 runs, 30 marks a minute)",
    example: "off",
    implies: "on (unless told): a sliding log per user, refused requests not counted",
    set: |truth, value| {
        truth.own_limits = on_off(value)?;
        Ok(())
    },
};

pub(super) const LOCKS: Switch = Switch {
    name: "lock-times",
    doc: "the classroom's locks after wrong passwords last FACTOR times as long (0.001 to 100)",
    example: "0.05",
    implies: "five wrong passwords lock an account for 30 s FACTOR, and each further one, after the lock, for 120 s, \
              300 s, then always 600 s FACTOR; Retry-After states that in whole seconds, rounded up",
    set: |truth, value| {
        let factor = value.parse().ok().filter(|factor| (0.001..=100.0).contains(factor));
        truth.lock_times = factor.ok_or("write a factor from 0.001 to 100, as in 0.05")?;
        Ok(())
    },
};

fn rate(value: &str) -> Result<(u64, Ns), String> {
    let (requests, unit) = value.split_once('/').ok_or("write a number per unit of time, as in 100/m")?;
    let requests: u64 = requests
        .trim()
        .parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or("write a whole number, as in 100/m")?;
    let unit = unit.trim();
    let window = match unit {
        "s" | "sec" | "second" => Ns::from_secs(1),
        "m" | "min" | "minute" => Ns::from_secs(60),
        "h" | "hour" => Ns::from_secs(3600),
        _ if unit.starts_with(|c: char| c.is_ascii_digit()) => parse_duration(unit)?,
        _ => return Err(parse_rate(value).err().unwrap_or_else(|| "write 100/m or 100/10s".into())),
    };
    let range = Ns::from_millis(10)..=Ns::from_secs(86_400);
    if range.contains(&window) { Ok((requests, window)) } else { Err("a window lies from 10ms to 1d".into()) }
}

fn kind(value: &str) -> Result<Asked, String> {
    let (name, figure) = match value.split_once(':') {
        Some((name, figure)) => (name, Some(figure)),
        None => (value, None),
    };
    let count = || match figure {
        None => Ok(None),
        Some(text) => {
            let count = text.parse::<u64>().ok().filter(|n| (1..=1_000_000).contains(n));
            count.map(Some).ok_or_else(|| "write a whole number behind the colon".to_owned())
        }
    };
    let bare = |asked: Asked| match figure {
        None => Ok(asked),
        Some(_) => Err(format!("{name} takes no figure")),
    };
    match name {
        "fixed-wall" => bare(Asked::FixedWall),
        "fixed-first" => bare(Asked::FixedFirst),
        "sliding-log" => bare(Asked::SlidingLog),
        "sliding-log-rejects" => bare(Asked::LogWithRejects),
        "sliding-counter" => bare(Asked::SlidingCounter),
        "spacing" => bare(Asked::Spacing),
        "concurrency" => bare(Asked::Concurrency),
        "token-bucket" => Ok(Asked::TokenBucket(count()?)),
        "interval-refill" => Ok(Asked::IntervalRefill(count()?.unwrap_or(4))),
        "leaky" => Ok(Asked::Leaky(count()?.unwrap_or(10))),
        "lockout" => {
            let lock = figure.map_or(Ok(Ns::from_secs(60)), parse_duration)?;
            if lock == Ns::ZERO || lock > Ns::from_secs(86_400) {
                return Err("a lock is longer than nothing and no longer than a day".into());
            }
            Ok(Asked::Lockout(lock))
        }
        "two-tier" => Ok(Asked::TwoTier(figure.map(rate).transpose()?)),
        _ => Err(format!("write {KINDS}")),
    }
}

/// A kind as it was asked for; some figures follow from the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    #[default]
    FixedWall,
    FixedFirst,
    SlidingLog,
    LogWithRejects,
    SlidingCounter,
    TokenBucket(Option<u64>),
    IntervalRefill(u64),
    Lockout(Ns),
    Leaky(u64),
    Spacing,
    Concurrency,
    TwoTier(Option<(u64, Ns)>),
}

/// Who is counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    /// The user, whatever his token; the address of those without one.
    #[default]
    User,
    /// The token; those without one share.
    Token,
    /// The address of the client.
    Address,
    /// The route.
    Route,
    /// Nobody: one count for all.
    All,
}

/// What answers say about the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Headers {
    /// `X-RateLimit-*`.
    pub(crate) x: bool,
    /// `RateLimit-*` of the IETF draft.
    pub(crate) draft: bool,
    /// The stated limit is this many times the real one.
    pub(crate) lie: f64,
}

/// Everything about the limiter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Requests per window; `None`: there is no limiter.
    pub(crate) rate: Option<(u64, Ns)>,
    pub(crate) kind: Asked,
    pub(crate) key: Key,
    pub(crate) headers: Headers,
    /// Whether each request counts twice.
    pub(crate) twice: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        let headers = Headers { x: true, draft: true, lie: 1.0 };
        Limits { rate: None, kind: Asked::default(), key: Key::default(), headers, twice: false }
    }
}

impl Limits {
    /// How often a request counts.
    pub(crate) fn cost(&self) -> u64 {
        1 + u64::from(self.twice)
    }

    /// The rule, if there is a limiter. Errors: figures that do not fit each other.
    pub(crate) fn rule(&self) -> Result<Option<Rule>, String> {
        let Some((requests, window)) = self.rate else {
            let named = self.kind != Asked::FixedWall;
            return if named { Err("limit-kind wants a limit, as in limit=100/m".into()) } else { Ok(None) };
        };
        let kind = match self.kind {
            Asked::FixedWall => Kind::FixedWall,
            Asked::FixedFirst => Kind::FixedFirst,
            Asked::SlidingLog => Kind::SlidingLog,
            Asked::LogWithRejects => Kind::LogWithRejects,
            Asked::SlidingCounter => Kind::SlidingCounter,
            Asked::TokenBucket(burst) => Kind::TokenBucket { burst: burst.unwrap_or(requests) },
            Asked::IntervalRefill(steps) => Kind::IntervalRefill { steps },
            Asked::Lockout(lock) => Kind::Lockout { lock },
            Asked::Leaky(queue) => Kind::Leaky { queue },
            Asked::Spacing => Kind::Spacing,
            Asked::Concurrency => Kind::Concurrency,
            Asked::TwoTier(second) => {
                let (requests, window) = second.unwrap_or((requests.div_ceil(10), Ns::from_secs(1)));
                Kind::TwoTier { requests, window }
            }
        };
        let logged = matches!(kind, Kind::SlidingLog | Kind::LogWithRejects);
        if logged && requests > LOGGED {
            return Err(format!("a log keeps at most {LOGGED} instants"));
        }
        if let Kind::IntervalRefill { steps } = kind
            && !requests.is_multiple_of(steps)
        {
            return Err(format!(
                "interval-refill: {requests} requests cannot be given in {steps} equal steps"
            ));
        }
        Ok(Some(Rule { kind, requests, window }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::Truth;

    fn rule(texts: &[&str]) -> Result<Option<Rule>, String> {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        Truth::parse(&texts)?.limit.rule()
    }

    #[test]
    fn all_twelve_kinds_can_be_asked_for() {
        let check = |text: &str, expected: Kind| {
            let kind = format!("limit-kind={text}");
            assert_eq!(rule(&["limit=100/m", &kind]).map(|r| r.unwrap().kind), Ok(expected), "{text}");
        };
        check("fixed-wall", Kind::FixedWall);
        check("fixed-first", Kind::FixedFirst);
        check("sliding-log", Kind::SlidingLog);
        check("sliding-log-rejects", Kind::LogWithRejects);
        check("sliding-counter", Kind::SlidingCounter);
        check("token-bucket", Kind::TokenBucket { burst: 100 });
        check("token-bucket:20", Kind::TokenBucket { burst: 20 });
        check("interval-refill", Kind::IntervalRefill { steps: 4 });
        check("lockout:30s", Kind::Lockout { lock: Ns::from_secs(30) });
        check("leaky", Kind::Leaky { queue: 10 });
        check("spacing", Kind::Spacing);
        check("concurrency", Kind::Concurrency);
        check("two-tier", Kind::TwoTier { requests: 10, window: Ns::from_secs(1) });
        check("two-tier:5/500ms", Kind::TwoTier { requests: 5, window: Ns::from_millis(500) });
    }

    #[test]
    fn figures_that_do_not_fit_are_told() {
        let check = |texts: &[&str], part: &str| {
            let told = rule(texts).unwrap_err();
            assert!(told.contains(part), "{part} not in {told}");
        };
        check(&["limit-kind=spacing"], "wants a limit");
        check(&["limit=20000/h", "limit-kind=sliding-log"], "at most 10000");
        check(&["limit=10/s", "limit-kind=interval-refill:3"], "equal steps");
        check(&["limit=10/s", "limit-kind=spacing:3"], "no figure");
        check(&["limit=10/s", "limit-kind=magic"], "token-bucket");
        check(&["limit=10/1us"], "10ms to 1d");
        check(&["limit=0/s"], "whole number");
        check(&["limit-headers=lying:0"], "lying:2");
    }
}
