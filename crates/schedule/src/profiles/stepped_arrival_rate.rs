//! Open load in steps of equal time, one phase each.

use super::keys::{ARRIVALS, FOR_LEVEL, GRACEFUL_STOP, MAX_VUS, PATIENCE, RATE_LEVELS, START_DELAY};
use super::reading::{self, Files, Open};
use super::{Profile, is_list};
use crate::{Curve, Load, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "stepped-arrival-rate",
    doc: "arrival rates, each for the same time and reported as a phase of its own",
    example: "{rate: [100/s, 200/s, 400/s], for: 30s}",
    keys: &[RATE_LEVELS, FOR_LEVEL, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| is_list(fields, "rate") && !fields.has("stages"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let levels = reading::items(fields, "rate", |text| reading::parse_rate(text, false));
    let length = reading::span(fields, "for", "say how long each level lasts: `for: 30s`");
    let open = Open::read(fields);
    let phases = levels.zip(length).zip(open).map(|((levels, length), open)| {
        // One pool for all levels, so that they differ in their rate alone.
        let peak = levels.iter().copied().fold(0.0, f64::max);
        let phase =
            |rate: &f64| open.phase(words::rate(*rate), Curve::constant(*rate, length), peak, Vec::new());
        levels.iter().map(phase).collect()
    });
    reading::load(PROFILE.name, fields, phases)
}
