//! Levels and lengths as people write them: `50 users`, `90/m`, `1m30s`.

use crucible_core::Ns;
use crucible_core::units::group;

/// `1 user`, `50 users`.
pub(crate) fn users(count: f64) -> String {
    let count = count.ceil();
    if count == 1.0 { "1 user".into() } else { format!("{} users", group(count as i64)) }
}

/// A rate in the unit in which it is a whole number, else with three decimals per second.
pub(crate) fn rate(per_second: f64) -> String {
    for (factor, unit) in [(1.0, "s"), (60.0, "m"), (3600.0, "h")] {
        let value = per_second * factor;
        if (value - value.round()).abs() < 1e-6 && (value >= 1.0 || value == 0.0) {
            return format!("{}/{unit}", group(value.round() as i64));
        }
    }
    let text = format!("{per_second:.3}");
    format!("{}/s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1m30s`, `1.5s`, `250ms`.
pub(crate) fn span(ns: Ns) -> String {
    const SECOND: u64 = 1_000_000_000;
    if ns.0 < SECOND || !ns.0.is_multiple_of(SECOND) {
        return match ns.0 {
            0 => "0s".into(),
            1..1_000 => format!("{}ns", ns.0),
            1_000..1_000_000 => format!("{}us", ns.0 as f64 / 1e3),
            1_000_000..SECOND => format!("{}ms", ns.0 as f64 / 1e6),
            _ if ns.0 < 60 * SECOND => format!("{}s", ns.0 as f64 / 1e9),
            _ => ns.to_string(),
        };
    }
    let mut rest = ns.0 / SECOND;
    let mut text = String::new();
    for (size, unit) in [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        if rest >= size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    text
}

/// The items with commas; the middle of a long list is left out.
pub(crate) fn list(items: &[String]) -> String {
    match items.len() {
        0..=8 => items.join(", "),
        n => format!("{}, ..., {} ({n} levels)", items[..6].join(", "), items[n - 1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_lengths_read_as_written() {
        let rates = [50.0, 1.5, 0.25, 1.0 / 3600.0, 10_000.0, 0.0, 33.333].map(rate);
        assert_eq!(rates, ["50/s", "90/m", "15/m", "1/h", "10,000/s", "0/s", "33.333/s"]);
        let spans = [0, 250_000_000, 1_500_000_000, 90_000_000_000, 7_200_000_000_000].map(|ns| span(Ns(ns)));
        assert_eq!(spans, ["0s", "250ms", "1.5s", "1m30s", "2h"]);
        assert_eq!([users(1.0), users(1000.0), users(2.5)], ["1 user", "1,000 users", "3 users"]);
        let many: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
        assert_eq!(list(&many), "1, 2, 3, 4, 5, 6, ..., 20 (20 levels)");
    }
}
