//! Monitors of the machine and of processes, from what Linux tells in `/proc`.
//!
//! Place in the flow: the cli pulls each monitor on the run's clock, from a thread of its own, and emits what comes as
//! readings. Invariants: counters are read as the kernel keeps them and told as differences; a counter that went
//! backwards gives no value; what happened before the first call is no part of any value; files are read into one
//! buffer that is kept.

mod counters;
#[cfg(target_os = "linux")]
mod find;
#[cfg(target_os = "linux")]
mod host;
mod monitors;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod stat;
#[cfg(target_os = "linux")]
mod tree;

pub use monitors::{MONITORS, Open, Row, open};
