//! The times of an access log: those in brackets of the common log format, or ISO 8601 times anywhere on the line.
//! Arrivals are counted by the second, which is as fine as such logs are.

use super::Level;
use crucible_core::Ns;

/// Lines that are looked at to tell a log from a table.
const LOOK: usize = 20;
/// Longest stretch of a log, in seconds.
const SECONDS_MAX: u64 = 366 * 86_400;
/// Seconds that are kept one by one; longer logs are counted in larger pieces.
const COUNTS_MAX: u64 = 200_000;

/// Whether most of the first lines have a time of a log, and more than the two columns of a table.
pub(super) fn looks_like_one(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(LOOK).collect();
    let logged = lines.iter().filter(|line| !super::table::is_point(line) && find(line).is_some()).count();
    2 * logged > lines.len()
}

/// Counts the lines by the second. The error is for people.
pub(super) fn read(text: &str) -> Result<Vec<Level>, String> {
    let mut seconds: Vec<u64> = text.lines().filter_map(find).map(|at| at.0 / 1_000_000_000).collect();
    // logs are written at the end of a request, so they are not quite in order
    seconds.sort_unstable();
    let (Some(first), Some(last)) = (seconds.first().copied(), seconds.last().copied()) else {
        return Err("no line has a time".into());
    };
    let length = last - first + 1;
    if length > SECONDS_MAX {
        return Err("it covers more than a year".into());
    }
    let grain = length.div_ceil(COUNTS_MAX);
    let mut counts = vec![0u64; length.div_ceil(grain) as usize];
    for second in &seconds {
        counts[((second - first) / grain) as usize] += 1;
    }
    Ok(counts.into_iter().map(|count| (Ns::from_secs(grain), count as f64 / grain as f64)).collect())
}

/// The first time on a line.
fn find(line: &str) -> Option<Ns> {
    if let Some(start) = line.find('[')
        && let Some(at) = common(&line[start + 1..])
    {
        return Some(at);
    }
    let bytes = line.as_bytes();
    let begins = |at: &usize| {
        bytes[*at..].len() >= 19
            && bytes[*at].is_ascii_digit()
            && bytes[at + 4] == b'-'
            && line.is_char_boundary(*at)
    };
    (0..bytes.len().min(400)).filter(begins).find_map(|at| instant(line.get(at..)?))
}

/// `10/Oct/2000:13:55:36 -0700`.
fn common(text: &str) -> Option<Ns> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let month = MONTHS.iter().position(|month| text.get(3..6) == Some(month))? as i64 + 1;
    let seconds = seconds(part(7, 11)?, month, part(0, 2)?, part(12, 14)?, part(15, 17)?, part(18, 20)?)?;
    let offset = match text.get(21..26) {
        Some(zone) => offset(zone).unwrap_or(0),
        None => 0,
    };
    u64::try_from(seconds - offset).ok().map(Ns::from_secs)
}

/// `2000-10-10T13:55:36.25+02:00` (or a blank instead of the T) at the begin of a text; without a zone UTC.
pub(super) fn instant(text: &str) -> Option<Ns> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let shaped = byte(4) == Some(b'-') && byte(7) == Some(b'-') && matches!(byte(10), Some(b'T' | b' '));
    if !shaped || byte(13) != Some(b':') || byte(16) != Some(b':') {
        return None;
    }
    let seconds =
        seconds(part(0, 4)?, part(5, 7)?, part(8, 10)?, part(11, 13)?, part(14, 16)?, part(17, 19)?)?;
    let rest = text.get(19..).unwrap_or("");
    let digits =
        rest.strip_prefix(['.', ',']).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let zone = if digits > 0 { rest.get(1 + digits..).unwrap_or("") } else { rest };
    let fraction: f64 = if digits > 0 { format!("0.{}", &rest[1..1 + digits]).parse().ok()? } else { 0.0 };
    let zone: String = zone.chars().take(6).filter(|c| *c != ':').collect();
    let whole = u64::try_from(seconds - offset(&zone).unwrap_or(0)).ok()?;
    Some(Ns::from_secs(whole) + Ns::from_secs_f64(fraction))
}

/// `+0200` in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = zone.get(1..3)?.parse::<i64>().ok()?;
    let minutes = zone.get(3..5)?.parse::<i64>().ok()?;
    Some(sign * (hours * 3600 + minutes * 60))
}

/// Seconds since the Unix epoch. Days by H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013.
fn seconds(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    let sane = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sane || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}
