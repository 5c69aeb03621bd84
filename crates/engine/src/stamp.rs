//! Instants that answers tell: RFC 3339 (a missing offset counts as UTC), or Unix time in seconds, milliseconds,
//! microseconds or nanoseconds, told apart by their size.

use crucible_core::Value;

/// Nanoseconds since the Unix epoch. The error is for people.
pub(crate) fn instant(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(unix_whole(*number)),
        Value::Float(number) => unix(*number).ok_or_else(|| unreadable(value)),
        Value::Text(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse::<i64>() {
                return Ok(unix_whole(number));
            }
            if let Ok(number) = text.parse::<f64>() {
                return unix(number).ok_or_else(|| unreadable(value));
            }
            written(text).ok_or_else(|| unreadable(value))
        }
        Value::Absent | Value::Null => Err("a timestamp has no value: nothing has saved one".into()),
        _ => Err(unreadable(value)),
    }
}

fn unreadable(value: &Value) -> String {
    let text: String = value.to_string().chars().take(60).collect();
    format!("{text:?} is no timestamp: RFC 3339 or Unix time is needed")
}

/// What one unit is in nanoseconds: seconds reach the year 5138 before they would count as milliseconds.
fn unit(size: f64) -> i64 {
    match size.abs() {
        size if size < 1e11 => 1_000_000_000,
        size if size < 1e14 => 1_000_000,
        size if size < 1e17 => 1_000,
        _ => 1,
    }
}

fn unix_whole(number: i64) -> i64 {
    number.saturating_mul(unit(number as f64))
}

fn unix(number: f64) -> Option<i64> {
    // whole and fraction apart: together they are more digits than a float has
    let unit = unit(number);
    let fraction = (number.fract() * unit as f64).round() as i64;
    number.is_finite().then(|| (number.trunc() as i64).saturating_mul(unit).saturating_add(fraction))
}

/// RFC 3339, read strictly.
fn written(text: &str) -> Option<i64> {
    let whole = |timestamp: jiff::Timestamp| i64::try_from(timestamp.as_nanosecond()).ok();
    let date = text.get(..10)?.as_bytes();
    let shaped = |at: usize, byte: u8| date[at] == byte;
    if !shaped(4, b'-') || !shaped(7, b'-') || !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return whole(timestamp);
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    whole(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_usual_form() {
        let check = |value: Value, nanos: Option<i64>| {
            assert_eq!(instant(&value).ok(), nanos, "{value:?}");
        };
        let second = 1_700_000_000_000_000_000;
        check(Value::text("2023-11-14T22:13:20Z"), Some(second));
        check(Value::text("2023-11-14T23:13:20.5+01:00"), Some(second + 500_000_000));
        check(Value::text("2023-11-14T22:13:20.000001"), Some(second + 1_000));
        check(Value::text("2023-11-14 22:13:20"), Some(second));
        check(Value::Int(1_700_000_000), Some(second));
        check(Value::Int(1_700_000_000_000), Some(second));
        check(Value::Int(1_700_000_000_000_000), Some(second));
        check(Value::Int(second), Some(second));
        check(Value::Float(1_700_000_000.25), Some(second + 250_000_000));
        check(Value::text("1700000000.25"), Some(second + 250_000_000));
        for text in [
            "",
            "soon",
            "2023-11-14",
            "2023-13-14T00:00:00Z",
            "2023-11-14T22:13:20Zx",
            "NaN",
            "20231114T221320Z",
        ] {
            check(Value::text(text), None);
        }
        check(Value::Null, None);
        check(Value::Bool(true), None);
    }
}
