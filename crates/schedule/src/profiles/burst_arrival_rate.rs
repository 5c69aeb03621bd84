//! Open load with bursts that come back: a base rate, and for a short time again and again a higher one.

use super::keys::{
    ARRIVALS, BURST, EVERY, FOR, GRACEFUL_STOP, LENGTH, MAX_VUS, PATIENCE, RATE_FIRST, START_DELAY,
};
use super::reading::{self, Files, Open};
use super::{Profile, is_list};
use crate::{Curve, Load, Piece, words};
use crucible_core::{Fields, Ns};

pub(super) const PROFILE: Profile = Profile {
    name: "burst-arrival-rate",
    doc: "a base rate with bursts that come back: so long, so often",
    example: "{rate: 10/s, burst: 500/s, length: 2s, every: 30s, for: 5m}",
    keys: &[RATE_FIRST, BURST, LENGTH, EVERY, FOR, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("burst") && !is_list(fields, "rate"),
    read,
};

/// Most bursts of a load.
const BURSTS_MAX: u64 = 50_000;

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let base = reading::value(fields, "rate", |text| reading::parse_rate(text, true));
    let burst = reading::value(fields, "burst", |text| reading::parse_rate(text, false));
    let length = reading::span(fields, "length", "say how long a burst lasts: `length: 2s`");
    let every = reading::span(fields, "every", "say how often a burst comes: `every: 30s`");
    let whole = reading::span(fields, "for", "say how long the load lasts: `for: 5m`");
    let open = Open::read(fields);
    let phase = (|| {
        let (base, burst, length, every, whole, open) = (base?, burst?, length?, every?, whole?, open?);
        if length >= every {
            fields.error("length", "the bursts leave no time between them", "write a `length` below `every`");
            return None;
        }
        if whole.0 / every.0 > BURSTS_MAX {
            fields.error("every", format!("more than {BURSTS_MAX} bursts"), "let them come less often");
            return None;
        }
        let (mut pieces, mut marks, mut at) = (Vec::new(), Vec::new(), Ns::ZERO);
        // each round is quiet first, so that there is something to compare the first burst with
        while at < whole {
            let quiet = (every - length).min(whole - at);
            pieces.push(Piece::flat(base, quiet));
            let loud = length.min(whole - at - quiet);
            if loud > Ns::ZERO {
                marks.push((at + quiet, "burst".to_owned()));
                pieces.push(Piece::flat(burst, loud));
                marks.push((at + quiet + loud, words::rate(base)));
            }
            at = at + quiet + loud;
        }
        // a boundary at every burst of a long soak would say nothing
        marks.retain(|(at, _)| *at < whole);
        marks.truncate(MARKS_MAX);
        let name = format!("{} with bursts of {}", words::rate(base), words::rate(burst));
        Some(vec![open.phase(name, Curve { pieces }, burst.max(base), marks)])
    })();
    reading::load(PROFILE.name, fields, phase)
}

/// Most marks that are told.
const MARKS_MAX: usize = 100;
