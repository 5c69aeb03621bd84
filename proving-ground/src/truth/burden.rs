//! What requests cost the machine: processor, lock, memory, disk.

use super::{Switch, on_off};
use crucible_core::Ns;
use crucible_core::units::{parse_duration, parse_share, parse_size};

pub(super) const CPU: Switch = Switch {
    name: "cpu",
    doc: "processor time burnt by every API request on a thread of the server",
    example: "500us",
    implies: "capacity (threads of the server) / TIME; one thread for each two cores",
    set: |truth, value| {
        truth.burden.cpu = second(value)?;
        Ok(())
    },
};

pub(super) const LOCK: Switch = Switch {
    name: "lock",
    doc: "time for which every API request holds the one lock of the server, in order of arrival",
    example: "200us",
    implies: "capacity 1 / TIME, however many workers there are (USL contention sigma = TIME / service time)",
    set: |truth, value| {
        truth.burden.lock = second(value)?;
        Ok(())
    },
};

pub(super) const LEAK: Switch = Switch {
    name: "leak",
    doc: "memory that is never given back: SIZE per API request, or SHARE/m:BASE, a share of a base per minute",
    example: "10KB",
    implies: "resident memory grows by requests x SIZE, or by SHARE x BASE a minute in a straight line; ends at 4 GiB",
    set: |truth, value| {
        truth.burden.leak = Some(leak(value)?);
        Ok(())
    },
};

pub(super) const FSYNC: Switch = Switch {
    name: "fsync",
    doc: "on: every writing request (POST, PUT, PATCH, DELETE) appends to a file and waits until the disk has it",
    example: "on",
    implies: "writes cannot be faster than the disk's flush; one flush at a time: capacity 1 / flush time",
    set: |truth, value| {
        truth.burden.fsync = on_off(value)?;
        Ok(())
    },
};

fn second(value: &str) -> Result<Ns, String> {
    let time = parse_duration(value)?;
    if time <= Ns::from_secs(1) { Ok(time) } else { Err("a second is the most".into()) }
}

fn leak(value: &str) -> Result<Leak, String> {
    let Some((share, base)) = value.split_once("/m:") else {
        let size = parse_size(value)?;
        if !(1..=64 << 20).contains(&size) {
            return Err("write 1B to 64MiB per request".into());
        }
        return Ok(Leak::PerRequest(size));
    };
    let (share, base) = (parse_share(share)?, parse_size(base)?);
    if !(1 << 20..=1 << 30).contains(&base) {
        return Err("the base lies from 1MiB to 1GiB".into());
    }
    Ok(Leak::PerMinute { base, bytes: (share * base as f64).round() as u64 })
}

/// How memory is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leak {
    /// Bytes with each API request.
    PerRequest(u64),
    /// Evenly with time.
    PerMinute {
        /// Bytes that are taken at the start and kept.
        base: u64,
        /// Bytes lost in a minute.
        bytes: u64,
    },
}

/// What every API request costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Burden {
    pub(crate) cpu: Ns,
    pub(crate) lock: Ns,
    pub(crate) leak: Option<Leak>,
    pub(crate) fsync: bool,
}
