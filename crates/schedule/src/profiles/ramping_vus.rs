//! Closed load in stages: the number of users follows ramps, jumps and plateaus.

use super::keys::{GRACEFUL_STOP, STAGES_VUS, START_DELAY, VUS_FIRST};
use super::reading::Files;
use super::reading::stages::{self, Unit};
use super::{Profile, reading};
use crate::{Load, words};
use crucible_core::{Fields, Ns};

pub(super) const PROFILE: Profile = Profile {
    name: "ramping-vus",
    doc: "a number of users that follows stages",
    example: "{vus: 0, stages: [{vus: 20, for: 30s}, {hold: 1m}, {vus: 0, for: 10s}]}",
    keys: &[VUS_FIRST, STAGES_VUS, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("stages") && (fields.has("vus") || !fields.has("rate")),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let unit = Unit { key: "vus", parse: |text| reading::parse_users(text, 0), tell: words::users };
    let first = match fields.get("vus") {
        None => Some(0.0),
        Some(_) => fields.parse("vus", unit.parse),
    };
    let shape = stages::read(fields, &unit, first, Some(Ns::ZERO));
    let phase = shape.map(|(curve, marks)| {
        let name = format!("up to {}", words::users(curve.max()));
        vec![reading::closed(name, curve, marks)]
    });
    reading::load(PROFILE.name, fields, phase)
}
