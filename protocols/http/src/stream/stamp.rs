//! Instants that messages carry: ISO 8601 text, or seconds, milli-, micro- or nanoseconds since 1970.

use crucible_core::Ns;
use serde_json::Value as Json;

/// The instant as time since the Unix epoch; `None` if it is none, or before 1970.
///
/// Text: RFC 3339, or the same without an offset (Python's `isoformat` of a naive time), which is taken as UTC. Numbers:
/// the unit follows from the size, so that instants from 1973 to 5138 are understood in each unit.
pub(crate) fn unix(value: &Json) -> Option<Ns> {
    match value {
        Json::Number(number) => match number.as_u64() {
            // whole numbers go past what a fraction's type holds exactly
            Some(whole) => Some(Ns(whole.saturating_mul(scale(whole as f64)?))),
            None => of_number(number.as_f64()?),
        },
        Json::String(text) => of_text(text.trim()),
        _ => None,
    }
}

/// Nanoseconds in the unit that an instant of this size is given in.
fn scale(number: f64) -> Option<u64> {
    match number {
        n if n.is_nan() || n <= 0.0 => None,
        n if n < 1e11 => Some(1_000_000_000),
        n if n < 1e14 => Some(1_000_000),
        n if n < 1e17 => Some(1_000),
        n if n < 1e19 => Some(1),
        _ => None,
    }
}

fn of_number(number: f64) -> Option<Ns> {
    let scale = scale(number)?;
    // apart, because the product of both has no room for nanoseconds
    let part = (number.fract() * scale as f64).round() as u64;
    Some(Ns((number.trunc() as u64).saturating_mul(scale).saturating_add(part)))
}

fn of_text(text: &str) -> Option<Ns> {
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).ok()
    })?;
    u64::try_from(stamp.as_nanosecond()).ok().map(Ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instants_are_understood_in_all_usual_forms() {
        let ms = |value: &Json| unix(value).map(|ns| ns.0 / 1_000_000);
        for value in [
            json!(1_700_000_000.25),
            json!(1_700_000_000_250u64),
            json!(1_700_000_000_250_000u64),
            json!(1_700_000_000_250_000_000u64),
            json!("2023-11-14T22:13:20.250Z"),
            json!("2023-11-14T23:13:20.250+01:00"),
            json!("2023-11-14T22:13:20.250000"),
            json!("2023-11-14 22:13:20.25"),
            json!("1700000000.25"),
        ] {
            assert_eq!(ms(&value), Some(1_700_000_000_250), "{value}");
        }
        for value in [json!("yesterday"), json!(-1), json!(null), json!("1969-01-01T00:00:00Z"), json!({})] {
            assert_eq!(ms(&value), None, "{value}");
        }
    }
}
