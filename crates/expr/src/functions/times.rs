//! Instants. The time is that of the operation's start, so that all values of a request agree.

use super::call::{Call, Function, row, text};
use crucible_core::Value;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub(super) const ROWS: &[Function] = &[
    row(
        "now",
        &["offset?", "format?"],
        "The present instant, moved by `offset` seconds, in RFC 3339; or in a `format` as of strftime, in UTC.",
        ["now(format='%Y-%m-%d') ~ ' ' ~ now(-0.5)", "2026-01-02 2026-01-02T03:04:05.178Z"],
        |call| {
            let instant = moved(call, 0)?;
            written(call, instant, 1)
        },
    ),
    row(
        "unix",
        &["offset?"],
        "Whole seconds since 1970, moved by `offset` seconds.",
        ["unix(3600)", "1767326645"],
        |call| Ok(Value::Int(moved(call, 0)?.as_second())),
    ),
    row(
        "unix_ms",
        &["offset?"],
        "Whole milliseconds since 1970, moved by `offset` seconds.",
        ["unix_ms()", "1767323045678"],
        |call| Ok(Value::Int(moved(call, 0)?.as_millisecond())),
    ),
    row(
        "rfc3339",
        &["unix", "format?"],
        "Seconds since 1970 as RFC 3339, or in a `format` as of strftime, in UTC.",
        ["rfc3339(0)", "1970-01-01T00:00:00Z"],
        |call| {
            let instant = after(Timestamp::UNIX_EPOCH, call.float(0)?)?;
            written(call, instant, 1)
        },
    ),
    row(
        "parse_time",
        &["text"],
        "Seconds since 1970 of an instant in RFC 3339.",
        ["parse_time('1970-01-02T00:00:00Z')", "86400"],
        |call| {
            let all = call.text(0)?;
            let instant: Timestamp =
                all.trim().parse().map_err(|_| format!("{} is no instant", shown(&all)))?;
            match instant.subsec_nanosecond() {
                0 => Ok(Value::Int(instant.as_second())),
                _ => Ok(Value::Float(instant.as_nanosecond() as f64 / 1e9)),
            }
        },
    ),
];

/// The operation's start, moved by as many seconds as the argument says.
fn moved(call: &Call<'_>, index: usize) -> Result<Timestamp, String> {
    let now = Timestamp::from_nanosecond(i128::from(call.scope.unix.0)).map_err(|_| beyond())?;
    if call.given(index) { after(now, call.float(index)?) } else { Ok(now) }
}

fn after(instant: Timestamp, seconds: f64) -> Result<Timestamp, String> {
    let offset = SignedDuration::try_from_secs_f64(seconds).map_err(|_| beyond())?;
    // what people mean by -0.1 s is not a nanosecond more or less
    let offset = SignedDuration::from_micros(
        i64::try_from((offset.as_nanos() + 500 * offset.as_nanos().signum()) / 1000).map_err(|_| beyond())?,
    );
    instant.checked_add(offset).map_err(|_| beyond())
}

fn beyond() -> String {
    "the instant is beyond the years 0 to 9999".into()
}

fn written(call: &Call<'_>, instant: Timestamp, format: usize) -> Result<Value, String> {
    if !call.given(format) {
        return text(instant.to_string());
    }
    let format = call.text(format)?;
    let local = instant.to_zoned(TimeZone::UTC);
    let made = jiff::fmt::strtime::format(&*format, &local);
    made.map_err(|_| format!("the format {} cannot be read", shown(&format))).and_then(text)
}

fn shown(all: &str) -> String {
    format!("{:?}", all.chars().take(40).collect::<String>())
}
