//! Closed load that ends by count: each user does a number of iterations of its own.

use super::keys::{GRACEFUL_STOP, ITERATIONS_PER_VU, MAX_TIME, START_DELAY, VUS};
use super::reading::Files;
use super::{Profile, reading};
use crate::{Curve, Iterations, Load, LoadPhase, Pacing, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "per-vu-iterations",
    doc: "each user does a number of iterations of its own",
    example: "{vus: 10, iterations_per_vu: 5}",
    keys: &[VUS, ITERATIONS_PER_VU, MAX_TIME, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("vus") && fields.has("iterations_per_vu"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let users = reading::value(fields, "vus", |text| reading::parse_users(text, 1));
    let count = reading::value(fields, "iterations_per_vu", reading::parse_iterations);
    let length = reading::max_time(fields);
    let phase = users.zip(count).zip(length).map(|((users, count), length)| LoadPhase {
        name: words::users(users),
        length,
        pacing: Pacing::Closed {
            users: Curve::constant(users, length),
            iterations: Some(Iterations::PerUser(count)),
        },
        marks: Vec::new(),
    });
    reading::load(PROFILE.name, fields, phase.map(|phase| vec![phase]))
}
