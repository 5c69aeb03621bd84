//! What answers say about a limit, read leniently: fields that are malformed say nothing.
//!
//! Sources: RFC 9110 (5.6.7 dates, 10.2.3 `Retry-After`); draft-ietf-httpapi-ratelimit-headers, in its present form
//! (`RateLimit-Policy: "name";q=100;w=60`, `RateLimit: "name";r=50;t=30`) and its older ones (`RateLimit-Limit`,
//! `-Remaining`, `-Reset`, `RateLimit-Policy: 100;w=60`); the `X-RateLimit-*` that came before.

/// What one answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// Seconds until one may come back.
    pub retry_after: Option<f64>,
    /// Requests allowed.
    pub limit: Option<u64>,
    /// Requests that are left.
    pub remaining: Option<u64>,
    /// Seconds until the allowance is whole again.
    pub reset: Option<f64>,
    /// Stated policies: requests, and seconds if told.
    pub policies: Vec<(u64, Option<f64>)>,
    /// Names of the fields that were there, in lower case.
    pub fields: Vec<&'static str>,
}

const FIELDS: &[&str] = &[
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-rate-limit-limit",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
];

/// A reset of more seconds than this is an instant of the Unix clock.
const EPOCH: f64 = 1e8;
/// Longest field that is read, bytes.
const LONGEST: usize = 1024;

impl Hints {
    /// Reads the headers of an answer. `unix` is our own wall clock in seconds since the Unix epoch; the answer's `Date`
    /// goes before it, so that clocks that differ do no harm.
    pub fn read<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>, unix: f64) -> Hints {
        let mut hints = Hints::default();
        let mut date = None;
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in headers.filter(|(_, value)| value.len() <= LONGEST).take(512) {
            if name.eq_ignore_ascii_case("date") {
                date = parse_date(value);
            } else if let Some(field) = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)) {
                found.push((field, value.trim().to_owned()));
            }
        }
        let now = date.unwrap_or(unix);
        for (field, value) in found {
            if hints.take(field, &value, now) {
                hints.fields.push(field);
            }
        }
        hints
    }

    /// Whether anything was said.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn take(&mut self, field: &str, value: &str, now: f64) -> bool {
        // several values in one field: the first one is the limit in force
        let first = value.split([',', ';']).next().unwrap_or("").trim();
        match field.rsplit('-').next().unwrap_or("") {
            "after" => {
                let wait = count(value).or_else(|| parse_date(value).map(|at| at - now));
                set(&mut self.retry_after, wait.map(|wait| wait.max(0.0)))
            }
            "limit" if field != "ratelimit" => {
                // an old draft put the policies behind the limit: 10, 10;w=1, 100;w=60
                let more: Vec<_> = value.split(',').skip(1).filter_map(policy).collect();
                self.policies.extend(more.into_iter().filter(|p| p.1.is_some()));
                set(&mut self.limit, count(first).map(|n| n as u64))
            }
            "remaining" => set(&mut self.remaining, count(first).map(|n| n as u64)),
            "reset" => {
                let told = count(first).or_else(|| parse_date(value).map(|at| at - now));
                set(&mut self.reset, told.map(|t| if t > EPOCH { (t - now).max(0.0) } else { t.max(0.0) }))
            }
            "policy" => {
                let policies: Vec<_> = value.split(',').filter_map(policy).collect();
                let any = !policies.is_empty();
                self.policies.extend(policies);
                any
            }
            _ => {
                let item = value;
                let left = parameter(item, "r").or_else(|| parameter(item, "remaining"));
                let reset = parameter(item, "t").or_else(|| parameter(item, "reset"));
                if let Some(limit) = parameter(item, "limit") {
                    self.limit.get_or_insert(limit as u64);
                }
                let any = left.is_some() || reset.is_some();
                set(&mut self.remaining, left.map(|n| n as u64));
                set(&mut self.reset, reset);
                any
            }
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let found = value.is_some();
    if place.is_none() {
        *place = value;
    }
    found
}

/// A number that is not negative, as people write it into these fields.
fn count(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse::<f64>().ok().filter(|_| plain)
}

/// `"name";q=100;w=60` or `100;w=60`.
fn policy(item: &str) -> Option<(u64, Option<f64>)> {
    let quota = parameter(item, "q").or_else(|| count(item.split(';').next()?.trim()))?;
    Some((quota as u64, parameter(item, "w")))
}

/// The parameter `name` of a structured item; also of the `limit=10, remaining=3` that was once written.
fn parameter(item: &str, name: &str) -> Option<f64> {
    item.split([';', ' ', ','])
        .find_map(|part| count(part.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim()))
}

/// Seconds since the Unix epoch of an HTTP date in its present form: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse_date(text: &str) -> Option<f64> {
    const MONTHS: &[&str] =
        &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split([' ', ':', ',']).filter(|part| !part.is_empty()).collect();
    let [_, day, month, year, hour, minute, second, _zone] = parts.as_slice() else { return None };
    let number = |text: &str, most: i64| text.parse::<i64>().ok().filter(|n| (0..=most).contains(n));
    let month = MONTHS.iter().position(|name| name == month)? as i64 + 1;
    let (day, year) = (number(day, 31)?, number(year, 9999)?);
    let (hour, minute, second) = (number(hour, 23)?, number(minute, 59)?, number(second, 60)?);
    // days from the civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
    let year_of_march = year - i64::from(month <= 2);
    let era = year_of_march.div_euclid(400);
    let of_era = year_of_march.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Hints {
        Hints::read(headers.iter().copied(), 784_111_777.0)
    }

    #[test]
    fn all_forms_are_read() {
        let old = read(&[("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "99")]);
        assert_eq!((old.limit, old.remaining), (Some(100), Some(99)));
        let epoch = read(&[("x-ratelimit-reset", "784111787")]);
        assert_eq!(epoch.reset, Some(10.0));
        let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let later = read(&[date, ("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")]);
        assert_eq!(later.retry_after, Some(60.0));
        assert_eq!(read(&[("retry-after", "7")]).retry_after, Some(7.0));
        let draft = read(&[
            ("RateLimit-Policy", "\"burst\";q=10;w=1, \"day\";q=100;w=60"),
            ("RateLimit", "\"burst\";r=3;t=1"),
        ]);
        assert_eq!(draft.policies, [(10, Some(1.0)), (100, Some(60.0))]);
        assert_eq!((draft.remaining, draft.reset), (Some(3), Some(1.0)));
        let seven = read(&[("RateLimit-Limit", "10, 10;w=1, 100;w=60"), ("RateLimit-Reset", "1")]);
        assert_eq!((seven.limit, seven.policies.len(), seven.reset), (Some(10), 2, Some(1.0)));
        let combined = read(&[("ratelimit", "limit=10, remaining=3, reset=5")]);
        assert_eq!(combined.limit, Some(10));
    }

    #[test]
    fn nonsense_says_nothing() {
        for value in ["", "-1", "soon", "1e9", "NaN", "9999999999999999999", "Sun, 99 Nov 1994 08:49:37 GMT"]
        {
            let told =
                read(&[("Retry-After", value), ("RateLimit-Limit", value), ("RateLimit-Policy", value)]);
            assert_eq!(told, Hints::default(), "{value}");
        }
    }
}
