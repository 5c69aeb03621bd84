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

pub(super) const FILL: Switch = Switch {
    name: "fill",
    doc: "SIZE:TIME: a cache that fills, from the start on: ever more slowly, up to SIZE, with the time constant TIME",
    example: "100MB:2m",
    implies: "resident memory grows by SIZE x (1 - e^(-t/TIME)), 98 % of it after 4 x TIME, and then no more",
    set: |truth, value| {
        truth.burden.fill = Some(fill(value)?);
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

fn fill(value: &str) -> Result<Fill, String> {
    let (size, time) = value.split_once(':').ok_or("write SIZE:TIME, as in 100MB:2m")?;
    let (size, constant) = (parse_size(size)?, parse_duration(time)?);
    if !(1 << 20..=1 << 30).contains(&size) {
        return Err("the size lies from 1MiB to 1GiB".into());
    }
    if !(Ns::from_secs(1)..=Ns::from_secs(86_400)).contains(&constant) {
        return Err("the time lies from 1s to 1d".into());
    }
    Ok(Fill { size, constant })
}

/// A cache that fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    /// Bytes in the end.
    pub(crate) size: u64,
    /// Time after which a third (1/e) is missing.
    pub(crate) constant: Ns,
}

impl Fill {
    /// Bytes that are in it at `age` after the start.
    pub(crate) fn at(&self, age: Ns) -> u64 {
        let missing = (-age.as_secs_f64() / self.constant.as_secs_f64()).exp();
        (self.size as f64 * (1.0 - missing)) as u64
    }
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
    pub(crate) fill: Option<Fill>,
    pub(crate) fsync: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_fills_up_to_its_size() {
        let fill = fill("100MB:2m").unwrap();
        assert_eq!(fill.at(Ns::ZERO), 0);
        assert_eq!(fill.at(Ns::from_secs(120)), 63_212_055);
        assert!((98_000_000..100_000_000).contains(&fill.at(Ns::from_secs(480))));
        assert!(fill.at(Ns::from_secs(86_400)) <= 100_000_000);
    }
}
