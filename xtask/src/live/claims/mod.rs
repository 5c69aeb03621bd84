//! The claims. One file and one row each.

mod duet;
mod limits;

use super::Claim;

/// All claims, in the order in which they are measured.
pub(super) const CLAIMS: &[Claim] = &[duet::EQUAL, duet::SLOWER, limits::GROUND, limits::FOREIGN];
