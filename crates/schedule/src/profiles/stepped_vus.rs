//! Closed load in steps of equal time, one phase each.

use super::keys::{FOR_LEVEL, GRACEFUL_STOP, START_DELAY, VUS_LEVELS};
use super::reading::Files;
use super::{Profile, is_list, reading};
use crate::{Curve, Load, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "stepped-vus",
    doc: "levels of users, each for the same time and reported as a phase of its own",
    example: "{vus: [5, 10, 20, 50], for: 30s}",
    keys: &[VUS_LEVELS, FOR_LEVEL, START_DELAY, GRACEFUL_STOP],
    reads: |fields| is_list(fields, "vus") && !fields.has("iterations") && !fields.has("stages"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let levels = reading::items(fields, "vus", |text| reading::parse_users(text, 1));
    let length = reading::span(fields, "for", "say how long each level lasts: `for: 30s`");
    let phases = levels.zip(length).map(|(levels, length)| {
        let phase =
            |users: f64| reading::closed(words::users(users), Curve::constant(users, length), Vec::new());
        levels.into_iter().map(phase).collect()
    });
    reading::load(PROFILE.name, fields, phases)
}
