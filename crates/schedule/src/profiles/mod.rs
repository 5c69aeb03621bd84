//! The load profiles: how a test's table becomes a [`Load`]. One file and one row each.
//!
//! A table is of the profile whose keys stand in it; the user never writes the profile's name.

mod burst_arrival_rate;
mod constant_arrival_rate;
mod constant_vus;
mod keys;
mod per_vu_iterations;
mod ramping_arrival_rate;
mod ramping_vus;
mod reading;
mod replay;
mod shared_iterations;
mod stepped_arrival_rate;
mod stepped_iterations;
mod stepped_vus;
mod wave_arrival_rate;

pub use reading::Files;

use crate::Load;
use crucible_core::{Fields, Key, fields::suggest};

/// One way to write a load.
#[derive(Clone, Copy)]
pub struct Profile {
    /// Its name, as [`Load::profile`] tells it.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// A test's table, as YAML.
    pub example: &'static str,
    /// Every key that it reads.
    pub keys: &'static [Key],
    /// Whether a table is of this profile, by the keys that stand in it.
    pub reads: fn(&Fields<'_>) -> bool,
    /// Reads such a table; notes every mistake and then gives `None`.
    pub read: fn(&Fields<'_>, Files<'_>) -> Option<Load>,
}

/// All profiles. At most one of them reads a table that is right.
pub const PROFILES: &[Profile] = &[
    constant_vus::PROFILE,
    stepped_vus::PROFILE,
    ramping_vus::PROFILE,
    shared_iterations::PROFILE,
    per_vu_iterations::PROFILE,
    stepped_iterations::PROFILE,
    constant_arrival_rate::PROFILE,
    stepped_arrival_rate::PROFILE,
    ramping_arrival_rate::PROFILE,
    burst_arrival_rate::PROFILE,
    wave_arrival_rate::PROFILE,
    replay::PROFILE,
];

impl Load {
    /// Reads the load of a test's table: picks the row of [`PROFILES`] by the keys that stand in it. Notes every mistake
    /// and then gives `None`. Asks for the keys of loads only; the caller reads its own and calls [`Fields::finish`].
    /// `files` gives the text of recordings.
    pub fn read(fields: &Fields<'_>, files: Files<'_>) -> Option<Load> {
        for profile in PROFILES {
            fields.expect(profile.keys);
        }
        let fitting: Vec<&Profile> = PROFILES.iter().filter(|profile| (profile.reads)(fields)).collect();
        match fitting.as_slice() {
            [profile] => {
                let fits = strangers(fields, profile);
                (profile.read)(fields, files).filter(|_| fits)
            }
            [] => {
                ask_for_all(fields);
                let hint = "write `vus: 50` (users) or `rate: 50/s` (arrivals), and how long: `for: 1m`";
                reading::table_error(fields, "this test has no load", hint);
                None
            }
            several => {
                ask_for_all(fields);
                let message = match several {
                    _ if fields.has("vus") && fields.has("rate") => {
                        "`vus` and `rate` are two loads: users decide when to go on, or the schedule does"
                            .to_owned()
                    }
                    _ => {
                        let names: Vec<&str> = several.iter().map(|profile| profile.name).collect();
                        format!("the keys of this load fit {} at once", names.join(" and "))
                    }
                };
                let examples: Vec<&str> = several.iter().map(|profile| profile.example).collect();
                reading::table_error(fields, message, &format!("write one of {}", examples.join(" or ")));
                None
            }
        }
    }
}

/// Whether the value of a key is a list.
fn is_list(fields: &Fields<'_>, key: &'static str) -> bool {
    fields.get(key).is_some_and(|node| node.as_list().is_some())
}

/// Keys of all profiles, so that nobody is told that they are unknown.
fn ask_for_all(fields: &Fields<'_>) {
    for key in PROFILES.iter().flat_map(|profile| profile.keys) {
        let _ = fields.get(key.name);
    }
}

/// Notes the keys of other profiles. True if there are none.
fn strangers(fields: &Fields<'_>, profile: &Profile) -> bool {
    let own: Vec<&str> = profile.keys.iter().map(|key| key.name).collect();
    let mut told: Vec<&str> = Vec::new();
    for key in PROFILES.iter().flat_map(|other| other.keys) {
        if own.contains(&key.name) || told.contains(&key.name) || fields.get(key.name).is_none() {
            continue;
        }
        told.push(key.name);
        let message = format!("`{}` does not belong to a load such as {}", key.name, profile.example);
        let others: Vec<&str> = PROFILES
            .iter()
            .filter(|other| other.keys.iter().any(|k| k.name == key.name))
            .map(|other| other.example)
            .take(2)
            .collect();
        let near = suggest(key.name, &own);
        let hint = if near.starts_with("did you mean") {
            near
        } else {
            format!("it belongs to {}", others.join(" or "))
        };
        fields.error(key.name, message, hint);
    }
    told.is_empty()
}
