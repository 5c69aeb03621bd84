//! The claims. One file and one row each.

mod duet;
mod leak;

use super::Claim;

/// All claims, in the order in which they are measured.
pub(super) const CLAIMS: &[Claim] = &[duet::EQUAL, duet::SLOWER, leak::LEAK];
