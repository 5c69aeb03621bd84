//! The switches of this system: how traffic is split, how many processes there are, and the bugs on demand.
//!
//! "One in each N" counts the jobs of one queue in the order of their durable numbers, so the choice survives
//! restarts: exactly one in each block of N, at a place drawn from the seed.

use crate::truth::{Truth, chosen, on_off, one_in, positive};
use crucible_core::Ns;
use crucible_core::units::{parse_duration, parse_share};

/// Settings and bugs of the evaluation platform.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bugs {
    /// Share of the jobs that go to the new queue, 0 to 1.
    pub(crate) split: f64,
    /// Worker processes of each queue.
    pub(crate) runners: usize,
    /// How long a delivery is valid without a sign of life.
    pub(crate) lease: Ns,
    pub(crate) lose: Option<u64>,
    pub(crate) repeat: Option<u64>,
    pub(crate) reorder: bool,
    pub(crate) corrupt: Option<u64>,
    /// Time between two commits of jobs that are acknowledged already.
    pub(crate) ack_before_commit: Option<Ns>,
    /// Time from the status to the output.
    pub(crate) completed_before_output: Option<Ns>,
    pub(crate) late_status: Option<u64>,
    pub(crate) zombie: bool,
    pub(crate) stored_but_500: Option<u64>,
}

impl Default for Bugs {
    fn default() -> Bugs {
        Bugs {
            split: 0.5,
            runners: 2,
            lease: Ns::from_secs(2),
            lose: None,
            repeat: None,
            reorder: false,
            corrupt: None,
            ack_before_commit: None,
            completed_before_output: None,
            late_status: None,
            zombie: false,
            stored_but_500: None,
        }
    }
}

/// Whether the bug of this rate strikes job `number` of a queue; the first is 1.
pub(crate) fn strikes(rate: Option<u64>, seed: u64, bug: &str, number: u64) -> bool {
    rate.is_some_and(|of| chosen(seed, bug, of, number.saturating_sub(1)))
}

fn short(value: &str) -> Result<Ns, String> {
    let time = parse_duration(value)?;
    let range = Ns::from_millis(1)..=Ns::from_secs(600);
    if range.contains(&time) { Ok(time) } else { Err("write a time from 1ms to 10m".into()) }
}

pub(crate) fn set_split(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.split = parse_share(value)?;
    Ok(())
}

pub(crate) fn set_runners(truth: &mut Truth, value: &str) -> Result<(), String> {
    let count = positive(value)?;
    if count > 64 {
        return Err("64 processes are the most".into());
    }
    truth.bugs.runners = count;
    Ok(())
}

pub(crate) fn set_lease(truth: &mut Truth, value: &str) -> Result<(), String> {
    let lease = short(value)?;
    if lease < Ns::from_millis(500) {
        return Err("500ms are the least: a worker gives a sign of life four times in a lease".into());
    }
    truth.bugs.lease = lease;
    Ok(())
}

pub(crate) fn set_lose(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.lose = Some(one_in(value)?);
    Ok(())
}

pub(crate) fn set_repeat(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.repeat = Some(one_in(value)?);
    Ok(())
}

pub(crate) fn set_reorder(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.reorder = on_off(value)?;
    Ok(())
}

pub(crate) fn set_corrupt(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.corrupt = Some(one_in(value)?);
    Ok(())
}

pub(crate) fn set_ack_before_commit(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.ack_before_commit = Some(short(value)?);
    Ok(())
}

pub(crate) fn set_completed_before_output(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.completed_before_output = Some(short(value)?);
    Ok(())
}

pub(crate) fn set_late_status(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.late_status = Some(one_in(value)?);
    Ok(())
}

pub(crate) fn set_zombie(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.zombie = on_off(value)?;
    Ok(())
}

pub(crate) fn set_stored_but_500(truth: &mut Truth, value: &str) -> Result<(), String> {
    truth.bugs.stored_but_500 = Some(one_in(value)?);
    Ok(())
}
