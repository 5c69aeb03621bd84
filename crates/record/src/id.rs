//! Names of runs.

/// A name for a run that began `unix_ms` milliseconds after the Unix epoch: `20261121-041533-k3f9`, UTC, sortable
/// by time; the last part is made of `random`.
pub fn new_run_id(unix_ms: u64, random: u64) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let seconds = unix_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let tail: String =
        (0..4).map(|place| char::from(LETTERS[(random >> (place * 5)) as usize % LETTERS.len()])).collect();
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}-{tail}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Year, month and day of a day counted from 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates_in_utc_and_sort_by_time() {
        let check =
            |unix_ms: u64, random: u64, expected: &str| assert_eq!(new_run_id(unix_ms, random), expected);
        check(0, 0, "19700101-000000-0000");
        check(951_782_400_000, 1, "20000229-000000-1000");
        check(1_795_234_533_999, u64::MAX, "20261121-041533-zzzz");
        let mut last = String::new();
        for day in 0..20_000u64 {
            let id = new_run_id(day * 86_400_000 + 86_399_999, 7);
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }
}
