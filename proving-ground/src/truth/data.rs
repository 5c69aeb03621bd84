//! Where data comes from: the cache in front of the database, the seed of everything drawn.

use super::Switch;
use crucible_core::Ns;
use crucible_core::units::parse_duration;

pub(super) const CACHE: Switch = Switch {
    name: "cache",
    doc: "how long the cache in front of the database keeps an answer; off: it keeps none",
    example: "30s",
    implies: "an answer is at most this old; one question per TIME and key reaches the database",
    set: |truth, value| {
        truth.cache = if value == "off" { Ns::ZERO } else { parse_duration(value)? };
        Ok(())
    },
};

pub(super) const SEED: Switch = Switch {
    name: "seed",
    doc: "seed of everything drawn",
    example: "7",
    implies: "the same seed draws the same times and places",
    set: |truth, value| {
        truth.seed = value.parse().map_err(|_| "write a whole number, as in 7".to_owned())?;
        Ok(())
    },
};
