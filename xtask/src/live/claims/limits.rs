//! `crucible limits` against running limiters: the proving ground's of every kind, its login lock-out, its headers, and
//! limiters that others wrote.
//!
//! A limiter is asked several times. Each answer is right (class, counts exact, times within two percent), undecided
//! (the tool says itself that it does not know), or wrong; a wrong one fails the row, however many are right.

use crate::Failure;
use crate::live::foreign::{self, Foreign};
use crate::live::ground::Ground;
use crate::live::{Claim, Settings};
use crate::truth::table::Row;
use serde_json::Value;

pub(in crate::live) const GROUND: Claim =
    Claim { name: "limits-ground", about: "all limiters of the proving ground are named", rows: ground };

pub(in crate::live) const FOREIGN: Claim =
    Claim { name: "limits-foreign", about: "limiters that others wrote are named", rows: foreign_rows };

/// What is known of a limiter. Times in seconds.
#[derive(Clone, Copy)]
struct Known {
    class: &'static str,
    limit: u64,
    /// Its window; of a queue the time between two that leave. Nothing if the class has none.
    window: Option<f64>,
    /// Further figures: their places in the JSON, and their values.
    counts: &'static [(&'static str, u64)],
    times: &'static [(&'static str, f64)],
    /// Whether a header lies; nothing if that depends on the instant.
    lies: Option<bool>,
}

const fn known(class: &'static str, limit: u64, window: f64) -> Known {
    Known { class, limit, window: Some(window), counts: &[], times: &[], lies: Some(false) }
}

/// How near a time must come.
const NEAR: f64 = 0.02;
/// How often each limiter is asked.
const TRIES: usize = 5;

/// A system of the proving ground, how it is asked, and what is true of it.
type Case = (&'static str, &'static [&'static str], Known);

const KINDS: &[Case] = &[
    ("fixed wall", &["limit=20/3s", "limit-kind=fixed-wall"], known("fixed_wall", 20, 3.0)),
    ("fixed first", &["limit=20/3s", "limit-kind=fixed-first"], known("fixed_first", 20, 3.0)),
    ("sliding log", &["limit=20/3s", "limit-kind=sliding-log"], known("sliding_log", 20, 3.0)),
    (
        "log with rejects",
        &["limit=20/3s", "limit-kind=sliding-log-rejects"],
        known("sliding_log_rejects", 20, 3.0),
    ),
    ("sliding counter", &["limit=20/4s", "limit-kind=sliding-counter"], known("sliding_counter", 20, 4.0)),
    ("token bucket", &["limit=20/6s", "limit-kind=token-bucket:10"], known("token_bucket", 10, 3.0)),
    (
        "interval refill",
        &["limit=20/4s", "limit-kind=interval-refill:4"],
        Known { counts: &[("/limiter/lump", 5)], ..known("interval_refill", 20, 4.0) },
    ),
    (
        "lock-out",
        &["limit=20/4s", "limit-kind=lockout:4s"],
        Known { times: &[("/limiter/lock_seconds", 4.0)], ..known("lockout", 20, 4.0) },
    ),
    (
        "leaky queue",
        &["limit=10/1s", "limit-kind=leaky:6"],
        Known { counts: &[("/limiter/lump", 6)], ..known("leaky_queue", 1, 0.1) },
    ),
    ("spacing", &["limit=2/1s", "limit-kind=spacing"], known("spacing", 1, 0.5)),
    (
        "concurrency",
        // requests must be under way for a while to be counted
        &["limit=6/1s", "limit-kind=concurrency", "service=fixed:60ms"],
        Known { window: None, ..known("concurrency", 6, 0.0) },
    ),
    (
        "two tiers",
        &["limit=20/4s", "limit-kind=two-tier:5/500ms"],
        Known {
            counts: &[("/limiter/second/limit", 20)],
            times: &[("/limiter/second/window_seconds", 4.0)],
            ..known("two_tier", 5, 0.5)
        },
    ),
];

const HEADERS: &[Case] = &[
    ("headers, honest", &["limit=20/3s", "limit-headers=honest"], known("fixed_wall", 20, 3.0)),
    ("headers, X- only", &["limit=20/3s", "limit-headers=x"], known("fixed_wall", 20, 3.0)),
    ("headers, draft only", &["limit=20/3s", "limit-headers=draft"], known("fixed_wall", 20, 3.0)),
    (
        "headers that lie",
        &["limit=20/3s", "limit-headers=lying:2"],
        Known { lies: Some(true), ..known("fixed_wall", 20, 3.0) },
    ),
    (
        "headers too modest",
        &["limit=20/3s", "limit-headers=lying:0.5"],
        Known { lies: Some(true), ..known("fixed_wall", 20, 3.0) },
    ),
    (
        "counts twice",
        &["limit=20/3s", "limiter-counts-twice=on"],
        Known { lies: Some(true), ..known("fixed_wall", 10, 3.0) },
    ),
];

/// Starts a server that others wrote.
type Start<'a> = Box<dyn Fn() -> Result<Foreign, Failure> + 'a>;

/// What a try came to.
enum Said {
    Right,
    Undecided,
    Wrong(String),
}

fn ground(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (name, truth, known) in KINDS.iter().chain(HEADERS) {
        let tries = |turn| {
            let switches: Vec<&str> = truth.iter().copied().chain(["limit-key=address"]).collect();
            let system = Ground::start(settings, "agents", &switches)?;
            // without a token: what passes the limiter is answered 401
            ask(settings, &format!("{}/api/v1/tasks", system.url), &["--status", "401"], turn, known)
        };
        rows.push(row(name, settings, tries)?);
    }
    rows.push(lock_out(settings)?);
    Ok(rows)
}

/// The classroom's login: five wrong passwords, then locks that grow; at a tenth of their length.
fn lock_out(settings: &Settings) -> Result<Row, Failure> {
    let known = Known {
        window: None,
        times: &[
            ("/limiter/locks_seconds/0", 3.0),
            ("/limiter/locks_seconds/1", 12.0),
            ("/limiter/locks_seconds/2", 30.0),
            ("/limiter/locks_seconds/3", 60.0),
            ("/limiter/locks_seconds/4", 60.0),
        ],
        ..known("lockout_growing", 5, 0.0)
    };
    row("login lock-out", settings, |turn| {
        let system = Ground::start(settings, "classroom", &["lock-times=0.1"])?;
        let url = format!("{}/api/auth/login", system.url);
        let body = r#"{"username": "pupil1", "password": "wrong"}"#;
        let login = ["-b", body, "-H", "Content-Type: application/json", "-k", "--lockout"];
        ask(settings, &url, &login, turn, &known)
    })
}

fn foreign_rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let delayed = Known { counts: &[("/limiter/lump", 6)], ..known("leaky_queue", 1, 0.1) };
    let cases: Vec<(&str, Start<'_>, &[&str], Known)> = vec![
        // the documented status of a refusal is 503, without a word on when to come back
        (
            "nginx limit_req nodelay",
            Box::new(|| foreign::nginx("limit_req zone=r burst=9 nodelay;", None)),
            &["--refused", "503"],
            known("token_bucket", 10, 2.0),
        ),
        (
            "nginx limit_req burst",
            Box::new(|| foreign::nginx("limit_req zone=q burst=6;", None)),
            &["--refused", "503"],
            delayed,
        ),
        (
            "nginx limit_conn",
            Box::new(|| {
                let slow = Ground::start(settings, "agents", &["service=fixed:60ms"])?;
                foreign::nginx("limit_conn c 6;", Some(slow))
            }),
            &["--refused", "503", "--status", "401"],
            Known { window: None, ..known("concurrency", 6, 0.0) },
        ),
        // it rounds the wait down: a client that obeys `retry-after: 0` is refused again
        (
            "tower_governor",
            Box::new(|| foreign::governor(200, 10)),
            &[],
            Known { lies: Some(true), ..known("token_bucket", 10, 2.0) },
        ),
        // it states the end in whole seconds and then rounds the wait down: early, or not, by where the second begins
        (
            "Flask-Limiter, fixed",
            Box::new(|| foreign::flask("fixed-window", "20 per 4 seconds")),
            &[],
            Known { lies: None, ..known("fixed_first", 20, 4.0) },
        ),
        (
            "Flask-Limiter, moving",
            Box::new(|| foreign::flask("moving-window", "20 per 4 seconds")),
            &[],
            Known { lies: None, ..known("sliding_log", 20, 4.0) },
        ),
        ("express-rate-limit", Box::new(|| foreign::express(20, 4_000)), &[], known("fixed_first", 20, 4.0)),
    ];
    let mut rows = Vec::new();
    for (name, start, flags, known) in &cases {
        let tries = |turn| {
            let server = start()?;
            ask(settings, &server.url, flags, turn, known)
        };
        rows.push(row(name, settings, tries).unwrap_or_else(|why| Row::new(*name, why, "measured", false)));
    }
    Ok(rows)
}

fn row(
    name: &str,
    settings: &Settings,
    mut one: impl FnMut(usize) -> Result<Said, Failure>,
) -> Result<Row, Failure> {
    let tries = settings.tries.unwrap_or(TRIES);
    let (mut right, mut undecided, mut wrong) = (0, 0, Vec::new());
    for turn in 0..tries {
        match one(turn)? {
            Said::Right => right += 1,
            Said::Undecided => undecided += 1,
            Said::Wrong(what) => wrong.push(what),
        }
    }
    eprintln!("  {name}: {right} right, {undecided} undecided, {} wrong {wrong:?}", wrong.len());
    let measured = format!("{right}/{tries} right, {undecided} undecided, {} wrong", wrong.len());
    // noise may keep one of them from being decided, and none may be wrong
    Ok(Row::new(name, measured, "none wrong, >= 80 %", wrong.is_empty() && right * 5 >= tries * 4))
}

fn ask(settings: &Settings, url: &str, flags: &[&str], turn: usize, known: &Known) -> Result<Said, Failure> {
    let seed = (turn + 1).to_string();
    let mut arguments =
        vec!["limits", url, "--no-record", "--within", "4m", "--json", "--quiet", "--seed", &seed];
    arguments.extend(flags);
    let told = settings.product.told(&arguments)?;
    let json = &told.json;
    if told.ended.code == 98 {
        return Ok(Said::Undecided);
    }
    Ok(match wrong(json, known) {
        None => Said::Right,
        Some(what) => Said::Wrong(what),
    })
}

/// What is not as it is known to be.
fn wrong(json: &Value, known: &Known) -> Option<String> {
    let limiter = &json["limiter"];
    if limiter["class"] != known.class || limiter["limit"] != known.limit {
        return Some(format!("{} of {}", limiter["class"], limiter["limit"]));
    }
    let time = |place: &str, truth: f64| {
        let found = json.pointer(place).and_then(Value::as_f64);
        let near = found.is_some_and(|found| (found / truth - 1.0).abs() <= NEAR);
        (!near).then(|| format!("{place} {found:?}, not {truth}"))
    };
    let window = known.window.and_then(|window| time("/limiter/window_seconds", window));
    let count = known.counts.iter().find(|(place, truth)| json.pointer(place) != Some(&Value::from(*truth)));
    let lies = json["headers"].as_array().is_some_and(|told| told.iter().any(|told| told["true"] == false));
    window
        .or_else(|| known.times.iter().find_map(|(place, truth)| time(place, *truth)))
        .or_else(|| count.map(|(place, _)| format!("{place} is {:?}", json.pointer(place))))
        .or_else(|| {
            known
                .lies
                .is_some_and(|known| known != lies)
                .then(|| format!("lies: {lies}: {}", json["headers"]))
        })
}
