//! Identifiers that are dense indices into the plan's tables, and the share of a shard.

use std::fmt;

/// Index of a step in the plan's step table; also the index of its [`crate::Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u16);

/// Index of a scenario in the plan's scenario table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScenarioId(pub u16);

/// A virtual user, numbered from 0 over all shards of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VuId(pub u64);

/// The part of the work that one shard does: item `k` belongs to the shard with `k % of == index`.
///
/// A local run on one core is the share `0 of 1`, so there is one code path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// 0-based index, below `of`.
    pub index: u32,
    /// Number of shares, at least 1.
    pub of: u32,
}

impl Share {
    /// The whole.
    pub const ALL: Share = Share { index: 0, of: 1 };

    /// Whether item `k` belongs to this share.
    pub const fn owns(self, k: u64) -> bool {
        k % self.of as u64 == self.index as u64
    }

    /// How many of the items `0..total` belong to this share.
    pub const fn count_of(self, total: u64) -> u64 {
        let (of, index) = (self.of as u64, self.index as u64);
        total / of + if total % of > index { 1 } else { 0 }
    }
}

/// A place in a plan file, both numbers from 1; 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
