//! Switches of known truth: behaviour whose effect can be computed, so that a measurement can be checked.
//!
//! One row per switch in [`SWITCHES`]; help and tests walk the rows. Each family is a file of its own.

mod bugs;
mod burden;
mod data;
mod fits;
mod limits;
mod pools;
mod service;

use crate::evaluation::switches::{self as evaluation, Bugs};
use crate::with::With;
pub(crate) use burden::{Burden, Leak};
use crucible_core::units::parse_duration;
use crucible_core::{Ns, Rng};
pub(crate) use fits::check;
pub(crate) use limits::{Key, Limits};
pub(crate) use pools::Connections;
pub(crate) use service::{Pauses, Service, WarmUp};
use std::path::PathBuf;

/// One documented switch.
pub struct Switch {
    /// The key before `=`. Of a name that ends in `/PATH`, the path is the user's to fill in.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// A value that can be given.
    pub example: &'static str,
    /// What follows in closed form, for who checks a measurement; empty where there is none.
    pub implies: &'static str,
    set: fn(&mut Truth, &str) -> Result<(), String>,
}

/// All switches.
pub const SWITCHES: &[Switch] = &[
    service::SERVICE,
    service::SERVICE_OF,
    service::DOWNSTREAM,
    service::WARM_UP,
    service::PAUSES,
    pools::WORKERS,
    pools::CONNECTIONS,
    pools::HOLD,
    pools::PATIENCE,
    pools::SLOT_PER_SESSION,
    burden::CPU,
    burden::LOCK,
    burden::LEAK,
    burden::FSYNC,
    limits::LIMIT,
    limits::KIND,
    limits::KEY,
    limits::HEADERS,
    limits::TWICE,
    limits::OWN,
    limits::LOCKS,
    bugs::ERRORS,
    bugs::HEALTH,
    bugs::UNBOUNDED,
    pools::READERS,
    data::CACHE,
    data::SEED,
    Switch {
        name: "architecture",
        doc: "of the event daemon: router (one place for all) or coordinator (a queue and a thread per service)",
        example: "coordinator",
        implies: "",
        set: |truth, value| {
            truth.coordinator = match value {
                "router" => false,
                "coordinator" => true,
                _ => return Err("write router or coordinator".into()),
            };
            Ok(())
        },
    },
    Switch {
        name: "heartbeat-timeout",
        doc: "silence after which a worker of the multi-agent platform is offline and loses its work (120s unless told)",
        example: "10s",
        implies: "found within the timeout and a quarter of it, 30 s at most",
        set: |truth, value| {
            truth.heartbeat = parse_duration(value)?;
            Ok(())
        },
    },
    Switch {
        name: "split",
        doc: "share of the jobs that go to the new queue of the evaluation platform; the others go to the old one",
        example: "50%",
        implies: "",
        set: evaluation::set_split,
    },
    Switch {
        name: "runners",
        doc: "worker processes of each queue; of jobs that take S each a queue carries at most runners/S",
        example: "2",
        implies: "",
        set: evaluation::set_runners,
    },
    Switch {
        name: "lease",
        doc: "how long a queue waits for a sign of life of a worker before it delivers the job again",
        example: "2s",
        implies: "",
        set: evaluation::set_lease,
    },
    Switch {
        name: "lose",
        doc: "one job in each N of a queue is acknowledged and then exists nowhere: n jobs lose n/N",
        example: "1/50",
        implies: "",
        set: evaluation::set_lose,
    },
    Switch {
        name: "repeat",
        doc: "one job in each N of a queue has its effect twice: n jobs have n(1 + 1/N) effects",
        example: "1/50",
        implies: "",
        set: evaluation::set_repeat,
    },
    Switch {
        name: "reorder",
        doc: "on: a queue delivers any of its waiting jobs with equal chance instead of the oldest",
        example: "on",
        implies: "",
        set: evaluation::set_reorder,
    },
    Switch {
        name: "corrupt",
        doc: "one job in each N of a queue has one character of its output changed: n jobs give n/N wrong ones",
        example: "1/50",
        implies: "",
        set: evaluation::set_corrupt,
    },
    Switch {
        name: "ack-before-commit",
        doc: "a write (a queue: a job) is acknowledged at once and committed every TIME",
        example: "200ms",
        implies: "a kill loses the acknowledged writes of the last TIME/2 on average, TIME at most",
        set: evaluation::set_ack_before_commit,
    },
    Switch {
        name: "completed-before-output",
        doc: "a job is completed with an empty output; the output follows after TIME",
        example: "300ms",
        implies: "",
        set: evaluation::set_completed_before_output,
    },
    Switch {
        name: "late-status-overwrite",
        doc: "one finished job in each N of a queue turns from its final status back to running, for good, after 300 ms",
        example: "1/50",
        implies: "",
        set: evaluation::set_late_status,
    },
    Switch {
        name: "zombie-worker",
        doc: "on: a worker whose queue went away and came back stays alive and healthy, but takes no work any more",
        example: "on",
        implies: "",
        set: evaluation::set_zombie,
    },
    Switch {
        name: "stored-but-500",
        doc: "one write that succeeds in each N answers 500 although it is stored",
        example: "1/50",
        implies: "n writes give n/N answers 500 and n rows; a client that tries again stores n(1 + 1/N)",
        set: evaluation::set_stored_but_500,
    },
];

/// All switches after reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) service: Service,
    /// Service times of single routes, which replace `service` there.
    pub(crate) services: Vec<(String, Service)>,
    pub(crate) downstream: Service,
    pub(crate) warm_up: Option<WarmUp>,
    pub(crate) pauses: Option<Pauses>,
    pub(crate) workers: Option<usize>,
    pub(crate) connections: Connections,
    pub(crate) burden: Burden,
    pub(crate) limit: Limits,
    /// Whether a system keeps its own limits per user.
    pub(crate) own_limits: bool,
    /// The classroom's locks after wrong passwords last this many times as long.
    pub(crate) lock_times: f64,
    /// One request in this many fails.
    pub(crate) errors: Option<u64>,
    pub(crate) health_always_ok: bool,
    /// Time that the one consumer of the event daemon takes for an event.
    pub(crate) unbounded_queue: Option<Ns>,
    pub(crate) readers: usize,
    pub(crate) cache: Ns,
    pub(crate) seed: u64,
    /// Switches of the evaluation platform; the two about acknowledging are for writes of all systems.
    pub(crate) bugs: Bugs,
    /// The event daemon's architecture is the coordinator.
    pub(crate) coordinator: bool,
    /// Silence after which a worker of the multi-agent platform is offline.
    pub(crate) heartbeat: Ns,
    /// What was asked for, as it was written.
    pub(crate) given: Vec<String>,
    /// Folder for files that switches need; the folder of the data once a system runs.
    pub(crate) folder: PathBuf,
    /// Services outside of the process; no switch, but given in the same way.
    pub(crate) with: With,
}

impl Default for Truth {
    fn default() -> Truth {
        Truth {
            service: Service::None,
            services: Vec::new(),
            downstream: Service::None,
            warm_up: None,
            pauses: None,
            workers: None,
            connections: Connections::default(),
            burden: Burden::default(),
            limit: Limits::default(),
            own_limits: true,
            lock_times: 1.0,
            errors: None,
            health_always_ok: false,
            unbounded_queue: None,
            readers: 4,
            cache: Ns::from_secs(30),
            seed: 1,
            bugs: Bugs::default(),
            coordinator: false,
            heartbeat: Ns::from_secs(120),
            given: Vec::new(),
            folder: std::env::temp_dir(),
            with: With::default(),
        }
    }
}

impl Truth {
    /// Reads `KEY=VALUE` texts; a later one replaces an earlier one of the same key. All mistakes are told.
    pub(crate) fn parse(texts: &[String]) -> Result<Truth, String> {
        let mut truth = Truth { given: texts.to_vec(), ..Truth::default() };
        let mut mistakes = Vec::new();
        for text in texts {
            let Some((switch, value)) = find(text) else {
                let known: Vec<&str> = SWITCHES.iter().map(|s| s.name).collect();
                mistakes.push(format!("switch {text:?} is not known (there are: {})", known.join(", ")));
                continue;
            };
            if let Err(hint) = (switch.set)(&mut truth, value) {
                mistakes.push(format!("switch {text:?}: {hint}"));
            }
        }
        if let Err(hint) = truth.limit.rule() {
            mistakes.push(hint);
        }
        if mistakes.is_empty() { Ok(truth) } else { Err(mistakes.join("; ")) }
    }

    /// Whether request `number` is one of those that fail.
    pub(crate) fn fails(&self, number: u64) -> bool {
        self.errors.is_some_and(|of| chosen(self.seed, "errors", of, number))
    }

    /// The service time that a request gets, by its method, its raw path and the pattern of its route.
    pub(crate) fn service_of(&self, method: &str, path: &str, pattern: Option<&str>) -> &Service {
        let fits = |wanted: &str| {
            let route = match wanted.split_once(' ') {
                Some((verb, route)) if verb == method => route,
                Some(_) => return false,
                None => wanted,
            };
            route == path || Some(route) == pattern
        };
        self.services
            .iter()
            .rev()
            .find(|(route, _)| fits(route))
            .map_or(&self.service, |(_, service)| service)
    }
}

/// The switch of a text and the value for it. For a switch that ends in `/PATH` the value is `/the/path=value`.
fn find(text: &str) -> Option<(&'static Switch, &str)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if let Some(switch) = SWITCHES.iter().find(|s| s.name == name && !s.name.ends_with("/PATH")) {
        return Some((switch, value));
    }
    SWITCHES.iter().find_map(|switch| {
        let prefix = switch.name.strip_suffix("/PATH")?;
        let rest = text.strip_prefix(prefix)?;
        (rest.starts_with('/') || rest.contains(" /")).then_some((switch, rest))
    })
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

/// The N of `1/N`.
pub(crate) fn one_in(value: &str) -> Result<u64, String> {
    let of = value.strip_prefix("1/").and_then(|n| n.parse::<u64>().ok()).filter(|n| *n > 0);
    of.ok_or_else(|| "write 1/N, as in 1/100".into())
}

/// `on` or `off`.
pub(crate) fn on_off(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write on or off".into()),
    }
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
            let truth = parse(&[&text, "limit=7/s"]);
            assert!(truth.is_ok(), "{text}: {truth:?}");
            assert!(!switch.doc.is_empty());
            let names = SWITCHES.iter().filter(|other| other.name == switch.name);
            assert_eq!(names.count(), 1, "{}", switch.name);
        }
    }

    #[test]
    fn mistakes_are_all_told() {
        let told =
            parse(&["service=fixed:5", "colour=red", "workers=0", "errors=5", "limit=100"]).unwrap_err();
        for part in ["5ms", "\"colour=red\" is not known", "from 1 to 10000", "1/N", "100/m"] {
            assert!(told.contains(part), "{part} not in {told}");
        }
        for hostile in [
            "service=",
            "service=lognormal:5ms:NaN",
            "errors=1/0",
            "limit=-1/s",
            "=",
            "",
            "cache=9999d",
            "service./api=",
            "service.=fixed:5ms",
            "service.",
            "warm-up=0:1s",
            "pauses=2s/1s",
            "leak=1%/m:1KB",
            "service=bimodal:1ms:2ms:3",
            "cpu=2s",
            "connections=0",
            "limit=1/m/m",
        ] {
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
    fn routes_have_service_times_of_their_own() {
        let truth = parse(&[
            "service=fixed:1ms",
            "service./api/x/{id}=fixed:2ms",
            "service.POST /api/y=fixed:3ms",
            "service./api/x/7=fixed:4ms",
        ])
        .unwrap();
        let check = |method: &str, path: &str, pattern: Option<&str>, ms: u64| {
            assert_eq!(
                *truth.service_of(method, path, pattern),
                Service::Fixed(Ns::from_millis(ms)),
                "{path}"
            );
        };
        check("GET", "/api/z", Some("/api/z"), 1);
        check("GET", "/api/x/5", Some("/api/x/{id}"), 2);
        check("GET", "/api/x/7", Some("/api/x/{id}"), 4);
        check("POST", "/api/y", Some("/api/y"), 3);
        check("GET", "/api/y", None, 1);
    }
}
