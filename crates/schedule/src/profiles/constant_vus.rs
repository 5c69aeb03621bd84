//! Closed load: a fixed number of users for a fixed time, with ramps if wanted.
//!
//! Ramps belong to the same phase as the full load, so that nobody has to stop between them; marks tell them apart.

use super::keys::{DOWN, FOR, GRACEFUL_STOP, HOLD, RAMP, START_DELAY, VUS};
use super::reading::Files;
use super::{Profile, is_list, reading};
use crate::{Load, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "constant-vus",
    doc: "a fixed number of users for a fixed time, with an optional ramp up and down",
    example: "{vus: 50, ramp: 10s, hold: 2m}",
    keys: &[VUS, FOR, HOLD, RAMP, DOWN, START_DELAY, GRACEFUL_STOP],
    reads: |fields| {
        fields.has("vus")
            && !is_list(fields, "vus")
            && !["stages", "iterations", "iterations_per_vu"].iter().any(|key| fields.has(key))
    },
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let users = reading::value(fields, "vus", |text| reading::parse_users(text, 1));
    let shape = reading::ramp_hold_down(fields, users, words::users);
    let phase =
        users.zip(shape).map(|(users, (curve, marks))| reading::closed(words::users(users), curve, marks));
    reading::load(PROFILE.name, fields, phase.map(|phase| vec![phase]))
}
