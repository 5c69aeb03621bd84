//! `time,rate` lines: a rate holds from its time on to the next line's; the last as long as the one before.
//!
//! Times are durations or seconds since the begin, or since any other zero: the first line's is taken as the begin.

use super::Level;
use crucible_core::{Ns, units};

/// Reads the lines. The error is for people.
pub(super) fn read(text: &str) -> Result<Vec<Level>, String> {
    let mut points: Vec<(Ns, f64)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let point = point(line);
        // the first line may hold the names of the columns
        let Some((at, rate)) = point else {
            if points.is_empty() && index == 0 {
                continue;
            }
            return Err(format!("line {} is not `time,rate`", index + 1));
        };
        if points.last().is_some_and(|(before, _)| at <= *before) {
            return Err(format!("the time on line {} is not later than the one before", index + 1));
        }
        points.push((at, rate));
    }
    let mut levels: Vec<Level> = points.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0].1)).collect();
    if let Some((_, rate)) = points.last() {
        let length = levels.last().map_or(Ns::from_secs(1), |(length, _)| *length);
        levels.push((length, *rate));
    }
    Ok(levels)
}

/// Whether a line is one of a table.
pub(super) fn is_point(line: &str) -> bool {
    point(line.trim()).is_some()
}

fn point(line: &str) -> Option<(Ns, f64)> {
    let (time, rate) = line.split_once([',', ';', '\t'])?;
    let (time, rate) = (time.trim().trim_matches('"'), rate.trim().trim_matches('"'));
    let time = match time.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && (0.0..1e11).contains(&seconds) => Ns::from_secs_f64(seconds),
        Ok(_) => return None,
        Err(_) => match units::parse_duration(time) {
            Ok(time) => time,
            Err(_) => super::log::instant(time)?,
        },
    };
    let rate = rate.parse::<f64>().ok().or_else(|| units::parse_rate(rate).ok())?;
    (rate.is_finite() && rate >= 0.0).then_some((time, rate))
}
