//! The load profiles: how a test's table becomes a [`Load`]. One file and one row each.

use crate::Load;
use crucible_core::{Fields, Key};

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
    /// Reads such a table; notes every mistake.
    pub read: fn(&Fields<'_>) -> Option<Load>,
}

/// All profiles.
pub const PROFILES: &[Profile] = &[];

impl Load {
    /// Reads the load of a test's table: picks the row of [`PROFILES`] by the keys that stand in it. Notes every mistake
    /// and then gives `None`. Asks for the keys of the load only; the caller calls [`Fields::finish`].
    pub fn read(fields: &Fields<'_>) -> Option<Load> {
        fields.error("", "no load can be read yet", "");
        None
    }
}
