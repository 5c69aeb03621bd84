//! The claims. One file and one row each.

mod capacity;
mod duet;
mod leak;
mod limits;

use super::Claim;

/// All claims, in the order in which they are measured.
pub(super) const CLAIMS: &[Claim] = &[
    duet::EQUAL,
    duet::SLOWER,
    capacity::QUEUE,
    capacity::CLIFF,
    limits::GROUND,
    limits::FOREIGN,
    leak::LEAK,
];
