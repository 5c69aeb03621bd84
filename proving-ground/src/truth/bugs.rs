//! Bugs that systems of this kind were seen to have, the same for all: injected errors, health that always says ok.

use super::{Switch, on_off, one_in};

pub(super) const ERRORS: Switch = Switch {
    name: "errors",
    doc: "one API request in N answers 500: exactly one in each N, at a place drawn from the seed",
    example: "1/100",
    implies: "n requests that reach a worker give floor(n/N) or one more errors",
    set: |truth, value| {
        truth.errors = Some(one_in(value)?);
        Ok(())
    },
};

pub(super) const HEALTH: Switch = Switch {
    name: "health-always-ok",
    doc: "on: health routes say ok whatever is broken, without looking",
    example: "on",
    implies: "health answers 200 while every other route fails",
    set: |truth, value| {
        truth.health_always_ok = on_off(value)?;
        Ok(())
    },
};
