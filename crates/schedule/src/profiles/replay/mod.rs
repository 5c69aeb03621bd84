//! Open load as it was recorded: a table of times and rates, or the times of an access log.

mod log;
mod table;

use super::Profile;
use super::keys::{ARRIVALS, GRACEFUL_STOP, MAX_VUS, PATIENCE, REPLAY, SCALE, SPEED, START_DELAY};
use super::reading::{self, Files, MAX_RATE, Open};
use crate::{Curve, Load, Piece, words};
use crucible_core::{Fields, Ns};

pub(super) const PROFILE: Profile = Profile {
    name: "replay",
    doc: "the arrival rate of a recording: a table `time,rate`, or an access log",
    example: "{replay: traffic.csv}",
    keys: &[REPLAY, SPEED, SCALE, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("replay"),
    read,
};

/// Most pieces of a recording.
const PIECES_MAX: usize = 400_000;

/// A piece of a recording: how long, and how many arrivals a second.
type Level = (Ns, f64);

fn read(fields: &Fields<'_>, files: Files<'_>) -> Option<Load> {
    let name = fields.text("replay");
    let speed = factor(fields, "speed");
    let scale = factor(fields, "scale");
    let open = Open::read(fields);
    let levels = name.as_ref().and_then(|name| {
        let text = match files(name) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("failed to read {name:?}: {why}");
                fields.error("replay", message, "file names start from the plan's folder");
                return None;
            }
        };
        let levels = if log::looks_like_one(&text) { log::read(&text) } else { table::read(&text) };
        let levels = levels.and_then(|levels| match levels.len() {
            0 => Err("nothing in it".into()),
            n if n > PIECES_MAX => Err(format!("more than {PIECES_MAX} pieces of time in it")),
            _ => Ok(levels),
        });
        levels
            .map_err(|why| {
                let hint = "write lines such as `0s,50/s`, or give an access log with a time on each line";
                fields.error("replay", format!("{name:?} cannot be replayed: {why}"), hint);
            })
            .ok()
    });
    let phase = (|| {
        let (name, levels, speed, scale, open) = (name?, levels?, speed?, scale?, open?);
        let pieces: Vec<Piece> = levels
            .iter()
            .map(|(length, rate)| {
                Piece::flat(rate * scale * speed, Ns((length.0 as f64 / speed).round() as u64))
            })
            .filter(|piece| piece.length > Ns::ZERO)
            .collect();
        let curve = Curve { pieces };
        let peak = curve.max();
        if !(peak > 0.0 && peak <= MAX_RATE) {
            let message = format!("{name:?} has a rate of {} at most", words::rate(peak));
            fields.error("replay", message, "a rate above 0 and not above 10,000,000/s is needed");
            return None;
        }
        Some(vec![open.phase(format!("replay of {name}"), curve, peak, Vec::new())])
    })();
    reading::load(PROFILE.name, fields, phase)
}

/// A factor above 0; 1 unless given.
fn factor(fields: &Fields<'_>, key: &'static str) -> Option<f64> {
    if fields.get(key).is_none() {
        return Some(1.0);
    }
    let factor = fields.number(key)?;
    if (1e-6..=1e6).contains(&factor) {
        return Some(factor);
    }
    fields.error(key, format!("a factor of {factor}"), "write a number above 0, as in 2 or 0.5");
    None
}
