//! Closed load that ends by count: users work through a number of iterations together.

use super::keys::{GRACEFUL_STOP, ITERATIONS, MAX_TIME, START_DELAY, VUS};
use super::reading::Files;
use super::{Profile, is_list, reading};
use crate::{Curve, Iterations, Load, LoadPhase, Pacing, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "shared-iterations",
    doc: "users work through a number of iterations together",
    example: "{vus: 10, iterations: 100}",
    keys: &[VUS, ITERATIONS, MAX_TIME, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("vus") && !is_list(fields, "vus") && fields.has("iterations"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let users = reading::value(fields, "vus", |text| reading::parse_users(text, 1));
    let count = reading::value(fields, "iterations", reading::parse_iterations);
    let length = reading::max_time(fields);
    if let (Some(users), Some(count)) = (users, count)
        && (count as f64) < users
    {
        let message =
            format!("{} share {count} iterations, so some of them will do nothing", words::users(users));
        fields.warning(
            "iterations",
            message,
            "write `iterations_per_vu` if each user is meant to do that many",
        );
    }
    let phase = users.zip(count).zip(length).map(|((users, count), length)| LoadPhase {
        name: words::users(users),
        length,
        pacing: Pacing::Closed {
            users: Curve::constant(users, length),
            iterations: Some(Iterations::Shared(count)),
        },
        marks: Vec::new(),
    });
    reading::load(PROFILE.name, fields, phase.map(|phase| vec![phase]))
}
