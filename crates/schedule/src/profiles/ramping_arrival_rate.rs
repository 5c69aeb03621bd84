//! Open load in stages: the rate follows ramps, spikes and plateaus.

use super::Profile;
use super::keys::{
    ARRIVALS, FOR_FIRST, GRACEFUL_STOP, MAX_VUS, PATIENCE, RATE_FIRST, STAGES_RATE, START_DELAY,
};
use super::reading::stages::{self, Unit};
use super::reading::{self, Files, Open};
use crate::{Load, words};
use crucible_core::{Fields, Ns};

pub(super) const PROFILE: Profile = Profile {
    name: "ramping-arrival-rate",
    doc: "an arrival rate that follows stages: ramps, spikes and plateaus",
    example: "{rate: 50/s, for: 60s, stages: [{spike: 500/s, for: 10s}, {hold: 30s}]}",
    keys: &[RATE_FIRST, FOR_FIRST, STAGES_RATE, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("rate") && fields.has("stages"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let unit = Unit { key: "rate", parse: |text| reading::parse_rate(text, true), tell: words::rate };
    let first = reading::value(fields, "rate", unit.parse);
    let hold = if fields.get("for").is_some() { reading::span(fields, "for", "") } else { Some(Ns::ZERO) };
    let shape = stages::read(fields, &unit, first, hold);
    let open = Open::read(fields);
    let phase = shape.zip(open).map(|((curve, marks), open)| {
        let peak = curve.max();
        let is_all_spike = curve.pieces.iter().all(|piece| piece.from == peak && piece.to == peak);
        if is_all_spike && first.is_some_and(|first| first > 0.0 && first < peak) {
            let hint = "add `for: 60s` to have the first rate before the spike, or `{hold: 60s}` behind it";
            fields.warning("stages", "the whole load is the spike: nothing is left to compare it with", hint);
        }
        vec![open.phase(format!("up to {}", words::rate(peak)), curve, peak, marks)]
    });
    reading::load(PROFILE.name, fields, phase)
}
