//! Closed load in steps, each of which ends when its iterations are done.

use super::keys::{GRACEFUL_STOP, ITERATIONS_LEVELS, MAX_TIME, START_DELAY, VUS_LEVELS};
use super::reading::Files;
use super::{Profile, is_list, reading};
use crate::{Curve, Iterations, Load, LoadPhase, Pacing, words};
use crucible_core::Fields;

pub(super) const PROFILE: Profile = Profile {
    name: "stepped-iterations",
    doc: "levels of users, each until its own number of iterations is done; a phase each",
    example: "{vus: [5, 10, 20, 50], iterations: [10, 20, 40, 100]}",
    keys: &[VUS_LEVELS, ITERATIONS_LEVELS, MAX_TIME, START_DELAY, GRACEFUL_STOP],
    reads: |fields| is_list(fields, "vus") && fields.has("iterations"),
    read,
};

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let levels = reading::items(fields, "vus", |text| reading::parse_users(text, 1));
    let counts = reading::items(fields, "iterations", reading::parse_iterations);
    let length = reading::max_time(fields);
    let pairs = levels.zip(counts).filter(|(levels, counts)| {
        if levels.len() != counts.len() {
            let message = format!("{} levels of users, but {} of iterations", levels.len(), counts.len());
            fields.error("iterations", message, "write one number of iterations for each level of `vus`");
        }
        levels.len() == counts.len()
    });
    let phases = pairs.zip(length).map(|((levels, counts), length)| {
        let phase = |(users, count): (f64, u64)| LoadPhase {
            name: words::users(users),
            length,
            pacing: Pacing::Closed {
                users: Curve::constant(users, length),
                iterations: Some(Iterations::Shared(count)),
            },
            marks: Vec::new(),
        };
        levels.into_iter().zip(counts).map(phase).collect()
    });
    reading::load(PROFILE.name, fields, phases)
}
