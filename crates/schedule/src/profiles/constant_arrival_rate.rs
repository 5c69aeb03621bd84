//! Open load: a fixed rate for a fixed time, with ramps if wanted.

use super::keys::{ARRIVALS, DOWN, FOR, GRACEFUL_STOP, HOLD, MAX_VUS, PATIENCE, RAMP, RATE_ONE, START_DELAY};
use super::reading::{self, Files, Open};
use super::{Profile, is_list};
use crate::{Load, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "constant-arrival-rate",
    doc: "a fixed arrival rate for a fixed time, with an optional ramp up and down",
    example: "{rate: 50/s, for: 60s}",
    keys: &[RATE_ONE, FOR, HOLD, RAMP, DOWN, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| {
        let shaped = ["stages", "burst", "swing"].iter().any(|key| fields.has(key));
        fields.has("rate") && !is_list(fields, "rate") && !shaped
    },
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let rate = reading::value(fields, "rate", |text| reading::parse_rate(text, false));
    let shape = reading::ramp_hold_down(fields, rate, words::rate);
    let open = Open::read(fields);
    let phase = rate
        .zip(shape)
        .zip(open)
        .map(|((rate, (curve, marks)), open)| vec![open.phase(words::rate(rate), curve, rate, marks)]);
    reading::load(PROFILE.name, fields, phase)
}
