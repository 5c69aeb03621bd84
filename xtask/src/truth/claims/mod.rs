//! The claims. One file and one row each.

mod capacity;
mod comparison;
mod conservation;
mod floor;
mod limiters;
mod memory;
mod no_evidence;
mod percentiles;
mod scalability;
mod schedule;
mod slo;
mod stall;
mod starved;
mod steady;
mod trends;

use super::Claim;

/// All claims, in the order in which they are begun: memory first, while this process is still small; coverage last, because
/// it looks at the comparisons that the claim about equal systems makes.
pub(super) const CLAIMS: &[Claim] = &[
    memory::CLAIM,
    percentiles::CLAIM,
    stall::CLAIM,
    schedule::CLAIM,
    floor::CLAIM,
    starved::CLAIM,
    no_evidence::CLAIM,
    conservation::CLAIM,
    comparison::EQUAL,
    comparison::POWER,
    slo::CLAIM,
    steady::CLAIM,
    capacity::CLAIM,
    scalability::CLAIM,
    limiters::CLAIM,
    trends::CHANGES,
    trends::LEAKS,
    comparison::COVERAGE,
];
