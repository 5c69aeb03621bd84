//! Switches of known truth: behaviour whose effect can be computed, so that a measurement can be checked.
//!
//! One row per switch in [`SWITCHES`]; help and tests walk the rows.

use crate::evaluation::switches::{self as evaluation, Bugs};
use crucible_core::units::{parse_duration, parse_rate};
use crucible_core::{Ns, Rng};

/// One documented switch.
pub struct Switch {
    /// The key before `=`.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// A value that can be given.
    pub example: &'static str,
    set: fn(&mut Truth, &str) -> Result<(), String>,
}

/// All switches.
pub const SWITCHES: &[Switch] = &[
    Switch {
        name: "service",
        doc: "time added to the work of every API route: fixed:TIME, exponential:MEAN or lognormal:MEDIAN:SIGMA",
        example: "lognormal:5ms:0.5",
        set: set_service,
    },
    Switch {
        name: "workers",
        doc: "API requests that are worked on at once; the others wait in order of arrival",
        example: "8",
        set: set_workers,
    },
    Switch {
        name: "errors",
        doc: "one API request in N answers 500: exactly one in each N, at a place drawn from the seed",
        example: "1/100",
        set: set_errors,
    },
    Switch {
        name: "limit",
        doc: "API requests allowed per user or address in each window of the wall clock; beyond it 429",
        example: "100/m",
        set: set_limit,
    },
    Switch {
        name: "readers",
        doc: "database connections that read (a request waits when all are busy)",
        example: "4",
        set: set_readers,
    },
    Switch {
        name: "cache",
        doc: "how long the cache in front of the database keeps an answer; off: it keeps none",
        example: "30s",
        set: set_cache,
    },
    Switch {
        name: "split",
        doc: "share of the jobs that go to the new queue of the evaluation platform; the others go to the old one",
        example: "50%",
        set: evaluation::set_split,
    },
    Switch {
        name: "runners",
        doc: "worker processes of each queue; with a fixed service time S a queue carries at most runners/S",
        example: "2",
        set: evaluation::set_runners,
    },
    Switch {
        name: "lease",
        doc: "how long a queue waits for a sign of life of a worker before it delivers the job again",
        example: "2s",
        set: evaluation::set_lease,
    },
    Switch {
        name: "lose",
        doc: "one job in each N of a queue is acknowledged and then exists nowhere: n jobs lose n/N",
        example: "1/50",
        set: evaluation::set_lose,
    },
    Switch {
        name: "repeat",
        doc: "one job in each N of a queue has its effect twice: n jobs have n(1 + 1/N) effects",
        example: "1/50",
        set: evaluation::set_repeat,
    },
    Switch {
        name: "reorder",
        doc: "on: a queue delivers any of its waiting jobs with equal chance instead of the oldest",
        example: "on",
        set: evaluation::set_reorder,
    },
    Switch {
        name: "corrupt",
        doc: "one job in each N of a queue has one character of its output changed: n jobs give n/N wrong ones",
        example: "1/50",
        set: evaluation::set_corrupt,
    },
    Switch {
        name: "ack-before-commit",
        doc: "a queue acknowledges at once and commits every TIME: a kill loses the jobs of TIME/2 on average",
        example: "200ms",
        set: evaluation::set_ack_before_commit,
    },
    Switch {
        name: "completed-before-output",
        doc: "a job is completed with an empty output; the output follows after TIME",
        example: "300ms",
        set: evaluation::set_completed_before_output,
    },
    Switch {
        name: "late-status-overwrite",
        doc: "one finished job in each N of a queue turns from its final status back to running, for good, after 300 ms",
        example: "1/50",
        set: evaluation::set_late_status,
    },
    Switch {
        name: "zombie-worker",
        doc: "on: a worker whose queue went away and came back stays alive and healthy, but takes no work any more",
        example: "on",
        set: evaluation::set_zombie,
    },
    Switch {
        name: "stored-but-500",
        doc: "one submission in each N answers 500 although the job is stored and will run",
        example: "1/50",
        set: evaluation::set_stored_but_500,
    },
    Switch { name: "seed", doc: "seed of everything drawn", example: "7", set: set_seed },
];

/// Distribution of added service time.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) enum Service {
    /// Nothing is added.
    #[default]
    None,
    /// Always the same.
    Fixed(Ns),
    /// Exponential with this mean.
    Exponential(Ns),
    /// Log-normal with this median and this standard deviation of the logarithm.
    LogNormal(Ns, f64),
}

impl Service {
    /// The time for request `number`; a pure function of seed and number. Cut off at ten minutes.
    pub(crate) fn draw(self, seed: u64, number: u64) -> Ns {
        let mut rng = Rng::new(seed, "service", number);
        let secs = match self {
            Service::None => return Ns::ZERO,
            Service::Fixed(time) => return time,
            Service::Exponential(mean) => mean.as_secs_f64() * rng.exponential(),
            Service::LogNormal(median, sigma) => median.as_secs_f64() * (sigma * rng.normal()).exp(),
        };
        Ns::from_secs_f64(secs.min(600.0))
    }
}

/// A limit of requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Requests allowed.
    pub(crate) requests: u64,
    /// Length of the window, seconds; windows begin at multiples of it since the Unix epoch.
    pub(crate) window_secs: u64,
}

/// All switches after reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) service: Service,
    pub(crate) workers: Option<usize>,
    /// One request in this many fails.
    pub(crate) errors: Option<u64>,
    pub(crate) limit: Option<Limit>,
    pub(crate) readers: usize,
    pub(crate) cache: Ns,
    pub(crate) seed: u64,
    /// Switches of the evaluation platform.
    pub(crate) bugs: Bugs,
    /// What was asked for, as it was written.
    pub(crate) given: Vec<String>,
}

impl Default for Truth {
    fn default() -> Truth {
        Truth {
            service: Service::None,
            workers: None,
            errors: None,
            limit: None,
            readers: 4,
            cache: Ns::from_secs(30),
            seed: 1,
            bugs: Bugs::default(),
            given: Vec::new(),
        }
    }
}

impl Truth {
    /// Reads `KEY=VALUE` texts; a later one replaces an earlier one of the same key. All mistakes are told.
    pub(crate) fn parse(texts: &[String]) -> Result<Truth, String> {
        let mut truth = Truth { given: texts.to_vec(), ..Truth::default() };
        let mut mistakes = Vec::new();
        for text in texts {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            match SWITCHES.iter().find(|switch| switch.name == name) {
                Some(switch) => {
                    if let Err(hint) = (switch.set)(&mut truth, value) {
                        mistakes.push(format!("switch {text:?}: {hint}"));
                    }
                }
                None => {
                    let known: Vec<&str> = SWITCHES.iter().map(|s| s.name).collect();
                    mistakes.push(format!("switch {text:?} is not known (there are: {})", known.join(", ")));
                }
            }
        }
        if mistakes.is_empty() { Ok(truth) } else { Err(mistakes.join("; ")) }
    }

    /// Whether request `number` is one of those that fail.
    pub(crate) fn fails(&self, number: u64) -> bool {
        self.errors.is_some_and(|of| chosen(self.seed, "errors", of, number))
    }
}

/// Whether `number` is the one of its block of `of` that is drawn for `purpose`.
pub(crate) fn chosen(seed: u64, purpose: &str, of: u64, number: u64) -> bool {
    Rng::new(seed, purpose, number / of).between(0, of - 1) == number % of
}

/// A number from 1 to 10000.
pub(crate) fn positive(value: &str) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|n| (1..=10_000).contains(n))
        .ok_or_else(|| "write a number from 1 to 10000".to_owned())
}

fn set_workers(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.workers = Some(positive(value)?);
    Ok(())
}

fn set_readers(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.readers = positive(value)?;
    Ok(())
}

fn set_seed(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.seed = value.parse().map_err(|_| "write a whole number, as in 7".to_owned())?;
    Ok(())
}

fn set_service(truth: &mut Truth, value: &str) -> Result<(), String> {
    let hint = "write fixed:5ms, exponential:10ms or lognormal:5ms:0.5";
    let parts: Vec<&str> = value.split(':').collect();
    let limited = |text| {
        parse_duration(text).and_then(|time| {
            if time <= Ns::from_secs(600) { Ok(time) } else { Err("ten minutes are the most".to_owned()) }
        })
    };
    truth.service = match parts.as_slice() {
        ["none"] => Service::None,
        ["fixed", time] => Service::Fixed(limited(time)?),
        ["exponential", mean] => Service::Exponential(limited(mean)?),
        ["lognormal", median, sigma] => {
            let sigma =
                sigma.parse().ok().filter(|s| (0.0..=5.0).contains(s)).ok_or("sigma lies from 0 to 5")?;
            Service::LogNormal(limited(median)?, sigma)
        }
        _ => return Err(hint.into()),
    };
    Ok(())
}

fn set_errors(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.errors = Some(one_in(value)?);
    Ok(())
}

/// The N of `1/N`.
pub(crate) fn one_in(value: &str) -> Result<u64, String> {
    let of = value.strip_prefix("1/").and_then(|n| n.parse::<u64>().ok()).filter(|n| *n > 0);
    of.ok_or_else(|| "write 1/N, as in 1/100".into())
}

fn set_limit(truth: &mut Truth, value: &str) -> Result<(), String> {
    parse_rate(value)?;
    let (requests, unit) = value.split_once('/').ok_or("write a number per unit of time, as in 100/m")?;
    let requests =
        requests.trim().parse().ok().filter(|n| *n > 0).ok_or("write a whole number, as in 100/m")?;
    let window_secs = match unit.trim().as_bytes().first() {
        Some(b'm') => 60,
        Some(b'h') => 3600,
        _ => 1,
    };
    truth.limit = Some(Limit { requests, window_secs });
    Ok(())
}

fn set_cache(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.cache = if value == "off" { Ns::ZERO } else { parse_duration(value)? };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Truth, String> {
        Truth::parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_example_is_accepted_and_changes_something() {
        for switch in SWITCHES {
            let text = format!("{}={}", switch.name, switch.example);
            let truth = parse(&[&text]);
            assert!(truth.is_ok(), "{text}: {truth:?}");
            assert!(!switch.doc.is_empty());
        }
    }

    #[test]
    fn mistakes_are_all_told() {
        let told =
            parse(&["service=fixed:5", "colour=red", "workers=0", "errors=5", "limit=100"]).unwrap_err();
        for part in ["5ms", "\"colour=red\" is not known", "from 1 to 10000", "1/N", "100/s"] {
            assert!(told.contains(part), "{part} not in {told}");
        }
        for hostile in
            ["service=", "service=lognormal:5ms:NaN", "errors=1/0", "limit=-1/s", "=", "", "cache=9999d"]
        {
            assert!(parse(&[hostile]).is_err(), "{hostile}");
        }
    }

    #[test]
    fn one_request_in_n_fails_in_each_n() {
        let truth = parse(&["errors=1/50", "seed=9"]).unwrap();
        for block in 0..200 {
            assert_eq!((0..50).filter(|p| truth.fails(block * 50 + p)).count(), 1, "block {block}");
        }
        let places: std::collections::BTreeSet<u64> =
            (0..200).filter_map(|b| (0..50).find(|p| truth.fails(b * 50 + p))).collect();
        assert!(places.len() > 25, "the place is not drawn: {places:?}");
    }

    #[test]
    fn drawn_times_have_the_promised_centre() {
        let mean = |service: Service| {
            (0..20_000).map(|n| service.draw(3, n).as_millis_f64()).sum::<f64>() / 20_000.0
        };
        assert_eq!(mean(Service::Fixed(Ns::from_millis(5))), 5.0);
        // standard error of the mean: 10 / sqrt(20000) = 0.07
        assert!((mean(Service::Exponential(Ns::from_millis(10))) - 10.0).abs() < 0.3);
        // E = median * exp(sigma^2 / 2) = 5.666
        assert!((mean(Service::LogNormal(Ns::from_millis(5), 0.5)) - 5.666).abs() < 0.1);
    }
}
