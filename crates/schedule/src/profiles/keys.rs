//! The keys of load tables, each documented once.

use crucible_core::Key;

const DURATION: &str = r#"{"type": "string", "pattern": "^[0-9]"}"#;
const RATE: &str =
    r#"{"type": "string", "pattern": "^[0-9][0-9._]*k?\\s*/\\s*(s|sec|second|m|min|minute|h|hour)$"}"#;
const USERS: &str = r#"{"type": "integer", "minimum": 1, "maximum": 1000000}"#;
const COUNT: &str = r#"{"type": "integer", "minimum": 1}"#;

const fn key(name: &'static str, schema: &'static str, doc: &'static str, example: &'static str) -> Key {
    Key { name, schema, doc, example }
}

pub(super) const VUS: Key = key("vus", USERS, "virtual users", "50");
pub(super) const VUS_LEVELS: Key = key(
    "vus",
    r#"{"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 1000000}}"#,
    "virtual users, one phase for each level",
    "[5, 10, 20, 50]",
);
pub(super) const VUS_FIRST: Key = key(
    "vus",
    r#"{"type": "integer", "minimum": 0, "maximum": 1000000}"#,
    "virtual users at the begin of the first stage (default 0)",
    "0",
);
pub(super) const RATE_ONE: Key = key("rate", RATE, "arrivals per s, m or h", "50/s");
pub(super) const RATE_LEVELS: Key = key(
    "rate",
    r#"{"type": "array", "minItems": 1, "items": {"type": "string"}}"#,
    "arrivals per s, m or h, one phase for each level",
    "[100/s, 200/s, 400/s]",
);
pub(super) const RATE_FIRST: Key =
    key("rate", RATE, "arrivals per s, m or h at the begin of the first stage; may be 0/s", "50/s");
pub(super) const FOR: Key = key("for", DURATION, "how long the full load lasts", "2m");
pub(super) const FOR_LEVEL: Key = key("for", DURATION, "how long each level lasts", "30s");
pub(super) const FOR_FIRST: Key =
    key("for", DURATION, "how long the first rate lasts before the stages (default: not at all)", "60s");
pub(super) const HOLD: Key =
    key("hold", DURATION, "how long the full load lasts (another word for `for`)", "2m");
pub(super) const RAMP: Key =
    key("ramp", DURATION, "time in which the load rises from 0, before `hold`", "10s");
pub(super) const DOWN: Key = key("down", DURATION, "time in which the load falls to 0, after `hold`", "10s");
pub(super) const ITERATIONS: Key = key("iterations", COUNT, "iterations that the users share", "100");
pub(super) const ITERATIONS_LEVELS: Key = key(
    "iterations",
    r#"{"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}}"#,
    "iterations that the users of each level share",
    "[10, 20, 40, 100]",
);
pub(super) const ITERATIONS_PER_VU: Key = key("iterations_per_vu", COUNT, "iterations of each user", "5");
pub(super) const MAX_TIME: Key =
    key("max_time", DURATION, "a phase ends after this even if iterations are left (default 10m)", "10m");
pub(super) const STAGES_VUS: Key = key(
    "stages",
    r#"{"type": "array", "minItems": 1, "items": {"type": "object"}}"#,
    "`{vus, for}` ramps to a level (at once with `for: 0s`), `{spike, for}` jumps there and back, `{hold}` stays",
    "[{vus: 20, for: 30s}, {hold: 1m}, {vus: 0, for: 10s}]",
);
pub(super) const STAGES_RATE: Key = key(
    "stages",
    r#"{"type": "array", "minItems": 1, "items": {"type": "object"}}"#,
    "`{rate, for}` ramps to a rate (at once with `for: 0s`), `{spike, for}` jumps there and back, `{hold}` stays",
    "[{rate: 500/s, for: 10s}, {spike: 900/s, for: 5s}, {hold: 30s}]",
);
pub(super) const ARRIVALS: Key = key(
    "arrivals",
    r#"{"enum": ["even", "poisson"]}"#,
    "how arrivals lie in time: at equal distances, or at random as independent visitors come (default even)",
    "poisson",
);
pub(super) const MAX_VUS: Key = key(
    "max_vus",
    USERS,
    "most users that may be busy at once (default: two seconds' arrivals at the peak, from 100 to 10,000)",
    "200",
);
pub(super) const PATIENCE: Key = key(
    "patience",
    DURATION,
    "an arrival that no user could begin this long after its instant is dropped (default: waits to the phase's end)",
    "5s",
);
pub(super) const START_DELAY: Key = key("start_delay", DURATION, "wait before the load (default 0s)", "5s");
pub(super) const GRACEFUL_STOP: Key = key(
    "graceful_stop",
    DURATION,
    "how long operations under way at the end of a phase may still take (default 30s)",
    "10s",
);
pub(super) const BURST: Key = key("burst", RATE, "arrivals per s, m or h in a burst", "500/s");
pub(super) const LENGTH: Key = key("length", DURATION, "how long a burst lasts", "2s");
pub(super) const EVERY: Key = key("every", DURATION, "from the begin of a round to that of the next", "30s");
pub(super) const SWING: Key = key(
    "swing",
    r#"{"type": "string", "pattern": "^[0-9.]+\\s*%$"}"#,
    "how far the rate swings above and below its mean",
    "60%",
);
pub(super) const PERIOD: Key = key("period", DURATION, "how long one wave takes", "24h");
pub(super) const REPLAY: Key = key(
    "replay",
    r#"{"type": "string", "minLength": 1}"#,
    "a file of `time,rate` lines, or an access log",
    "traffic.csv",
);
pub(super) const SPEED: Key = key(
    "speed",
    r#"{"type": "number", "exclusiveMinimum": 0}"#,
    "how many times as fast as recorded: the rate rises as the time shrinks (default 1)",
    "10",
);
pub(super) const SCALE: Key = key(
    "scale",
    r#"{"type": "number", "exclusiveMinimum": 0}"#,
    "how many times as many arrivals as recorded (default 1)",
    "0.5",
);
