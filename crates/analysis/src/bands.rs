//! Which band a value belongs to.
//!
//! Bands are ordered cut points: the first band whose limit a value meets owns it, and values beyond the last limit
//! belong to the failure. So every value has exactly one owner: there are no holes and no overlaps.

use crucible_core::threshold::{Band, Better};

/// Index of the band that owns `value`; `None` beyond the last one. Not-a-number is beyond the last one.
pub fn owner(value: f64, bands: &[Band], better: Better) -> Option<usize> {
    bands.iter().position(|band| meets(value, band.limit, better))
}

/// Whether `value` is on the good side of `limit`, or on it.
pub fn meets(value: f64, limit: f64, better: Better) -> bool {
    match better {
        Better::Lower => value <= limit,
        Better::Higher => value >= limit,
    }
}
