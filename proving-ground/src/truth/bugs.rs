//! Bugs that systems of this kind were seen to have, the same for all: injected errors, health that always says ok.

use super::{Switch, on_off, one_in};
use crucible_core::Ns;
use crucible_core::units::parse_duration;

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

pub(super) const UNBOUNDED: Switch = Switch {
    name: "unbounded-queue",
    doc: "of the event daemon: every event is acknowledged at once and put into a queue without a bound, in front of \
          one consumer that takes TIME for each; what waits at the end is lost",
    example: "10ms",
    implies: "r events/s are accepted whatever r is, min(r, 1/TIME) are completed; beyond 1/TIME the queue holds \
              t (r - 1/TIME) events after t, and an event accepted at t is done t (r TIME - 1) + TIME later",
    set: |truth, value| {
        let time = parse_duration(value)?;
        if time == Ns::ZERO || time > Ns::from_secs(600) {
            return Err("write a time longer than nothing, ten minutes at most".into());
        }
        truth.unbounded_queue = Some(time);
        Ok(())
    },
};
