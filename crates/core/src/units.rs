//! Units as people write and read them: durations, rates, sizes, shares.
//!
//! A bare number is never a duration: `500` is a mistake, `500ms` is not.

use crate::Ns;

const TIME_UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads `250ms`, `1.5s`, `1h30m`. The error is a hint that fits behind the value.
pub fn parse_duration(text: &str) -> Result<Ns, String> {
    let text = text.trim();
    let mut rest = text;
    let mut total = 0.0;
    if rest.is_empty() {
        return Err("write a duration such as 500ms, 2s or 1h30m".into());
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(|| duration_hint(text))?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = unit.trim();
        let factor = if unit == "d" {
            86_400e9
        } else {
            TIME_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|u| u.1)
                .ok_or_else(|| duration_hint(text))?
        };
        total += number * factor;
        rest = next;
    }
    if total > 366.0 * 86_400e9 {
        return Err("durations end at one year".into());
    }
    Ok(Ns(total.round() as u64))
}

fn duration_hint(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(_) => format!("add a unit: {text}ms, {text}s or {text}m"),
        Err(_) => "write a number and a unit (ns, us, ms, s, m, h, d), as in 500ms or 1h30m".into(),
    }
}

fn leading_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let digits: String = text[..end].chars().filter(|c| *c != '_').collect();
    Some((digits.parse().ok()?, &text[end..]))
}

/// Reads `100/s`, `0.5/s`, `90/m`, `1000/h` as operations per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let hint = || match text.trim().parse::<f64>() {
        Ok(_) => format!("say per what: {0}/s, {0}/m or {0}/h", text.trim()),
        Err(_) => "write a number per unit of time, as in 50/s or 90/m".into(),
    };
    let (number, unit) = text.split_once('/').ok_or_else(hint)?;
    let number: f64 = match leading_number(number.trim()) {
        Some((value, "")) => value,
        Some((value, "k")) => value * 1e3,
        _ => return Err(hint()),
    };
    let per_second = match unit.trim() {
        "s" | "sec" | "second" => number,
        "m" | "min" | "minute" => number / 60.0,
        "h" | "hour" => number / 3600.0,
        _ => return Err(hint()),
    };
    Ok(per_second)
}

/// Reads `512`, `10KB` (10,000), `64KiB` (65,536), `2MB` as bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let hint = || "write bytes with an optional unit (B, KB, KiB, MB, MiB, GB, GiB), as in 64KiB".to_owned();
    let (number, unit) = leading_number(text.trim()).ok_or_else(hint)?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "KB" | "kB" | "k" | "K" => 1e3,
        "KiB" => 1024.0,
        "MB" | "M" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        "GB" | "G" => 1e9,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(hint()),
    };
    Ok((number * factor).round() as u64)
}

/// Reads `0.5%` as 0.005. A bare number is a mistake: it could mean either.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let number =
        text.trim().strip_suffix('%').ok_or_else(|| format!("write a percentage, as in {}%", text.trim()))?;
    match leading_number(number.trim()) {
        Some((value, "")) if value <= 100.0 => Ok(value / 100.0),
        _ => Err("write a percentage from 0% to 100%".into()),
    }
}

/// Three significant digits in the unit that reads best.
pub fn show_duration(ns: Ns) -> String {
    let value = ns.0 as f64;
    match ns.0 {
        0 => "0".into(),
        1..1_000 => format!("{}ns", ns.0),
        1_000..1_000_000 => format!("{}us", three(value / 1e3)),
        1_000_000..1_000_000_000 => format!("{}ms", three(value / 1e6)),
        1_000_000_000..60_000_000_000 => format!("{}s", three(value / 1e9)),
        _ => {
            let secs = (value / 1e9).round() as u64;
            if secs < 3600 {
                format!("{}m{:02}s", secs / 60, secs % 60)
            } else {
                format!("{}h{:02}m", secs / 3600, secs % 3600 / 60)
            }
        }
    }
}

/// A count or rate with three significant digits below 1,000 and grouped digits above.
pub fn show_number(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    if value.abs() < 999.5 { three(value) } else { group(value.round() as i64) }
}

/// `1234567` as `1,234,567`.
pub fn group(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as a percentage with digits enough to tell 0.01 % from nothing.
pub fn show_share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent == 100.0 {
        format!("{percent:.0}%")
    } else if percent < 0.1 {
        format!("{percent:.3}%")
    } else if percent < 99.9 {
        format!("{percent:.2}%")
    } else {
        format!("{percent:.3}%")
    }
}

/// Bytes in the decimal unit that reads best.
pub fn show_bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{} {unit}", three(value)) };
        }
        value /= 1000.0;
    }
    format!("{} TB", three(value))
}

fn three(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".into()
    } else if size < 9.995 {
        format!("{value:.2}")
    } else if size < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_add_up() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let got = parse_duration(text).map(|ns| ns.0);
            match expected {
                Ok(ns) => assert_eq!(got, Ok(ns), "{text}"),
                Err(part) => assert!(got.clone().is_err_and(|e| e.contains(part)), "{text}: {got:?}"),
            }
        };
        check("500ms", Ok(500_000_000));
        check("1.5s", Ok(1_500_000_000));
        check("1h30m", Ok(5_400_000_000_000));
        check("1m 30s", Ok(90_000_000_000));
        check("250us", Ok(250_000));
        check("2d", Ok(172_800_000_000_000));
        check("500", Err("500ms"));
        check("", Err("such as"));
        check("5 parsecs", Err("a number and a unit"));
        check("-5s", Err("a number and a unit"));
        check("9999d", Err("one year"));
    }

    #[test]
    fn rates_sizes_and_shares() {
        assert_eq!(parse_rate("90/m"), Ok(1.5));
        assert_eq!(parse_rate("10k/s"), Ok(10_000.0));
        assert!(parse_rate("50").is_err_and(|e| e.contains("50/s")));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("10KB"), Ok(10_000));
        assert!(parse_size("10 furlongs").is_err());
        assert_eq!(parse_share("0.5%"), Ok(0.005));
        assert!(parse_share("0.5").is_err_and(|e| e.contains("0.5%")));
        assert!(parse_share("101%").is_err());
    }

    #[test]
    fn what_people_read() {
        let shown: Vec<String> =
            [0, 840, 12_500, 3_400_000, 999_999_999, 1_200_000_000, 125_000_000_000, 5_400_000_000_000]
                .map(|ns| show_duration(Ns(ns)))
                .into();
        assert_eq!(shown, ["0", "840ns", "12.5us", "3.40ms", "1000ms", "1.20s", "2m05s", "1h30m"]);
        assert_eq!(show_number(1234567.4), "1,234,567");
        assert_eq!(show_number(12.345), "12.3");
        assert_eq!(show_share(0.0001), "0.010%");
        assert_eq!(show_share(0.99995), "99.995%");
        assert_eq!(show_bytes(1_234_567.0), "1.23 MB");
    }
}
