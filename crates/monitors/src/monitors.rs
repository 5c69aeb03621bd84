//! The table of monitors, and which of them a run has.

use crucible_core::Monitor;
use crucible_core::monitor::{Component, HOST, PROCESS, Series};

/// One kind of monitor.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// What it reads.
    pub series: &'static [Series],
    /// Makes one; `None` stands for the machine. `Err` says why this system cannot be watched.
    pub open: Open,
}

/// Makes a monitor, or says why that cannot be done here.
pub type Open = fn(Option<&Component>) -> Result<Box<dyn Monitor>, String>;

/// All kinds of monitors.
pub const MONITORS: &[Row] = &[
    Row { name: "host", doc: "the machine that the generator runs on", series: HOST, open: open_host },
    Row {
        name: "process",
        doc: "a process and its children, found by number, name or port",
        series: PROCESS,
        open: open_process,
    },
];

/// The monitor of a component, or of the machine.
pub fn open(component: Option<&Component>) -> Result<Box<dyn Monitor>, String> {
    match component {
        None => open_host(None),
        some => open_process(some),
    }
}

#[cfg(target_os = "linux")]
fn open_host(_: Option<&Component>) -> Result<Box<dyn Monitor>, String> {
    Ok(Box::new(crate::host::Host::new()))
}

#[cfg(target_os = "linux")]
fn open_process(component: Option<&Component>) -> Result<Box<dyn Monitor>, String> {
    match component {
        Some(component) => Ok(Box::new(crate::process::Process::new(component.target.clone()))),
        None => Err("no process is named".into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_host(_: Option<&Component>) -> Result<Box<dyn Monitor>, String> {
    Err("the machine is watched on Linux only".into())
}

#[cfg(not(target_os = "linux"))]
fn open_process(_: Option<&Component>) -> Result<Box<dyn Monitor>, String> {
    Err("processes are watched on Linux only".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_core::monitor::UNITS;

    #[test]
    fn rows_are_complete_and_names_unique() {
        for row in MONITORS {
            assert!(!row.name.is_empty() && !row.doc.is_empty() && !row.series.is_empty());
            for (index, series) in row.series.iter().enumerate() {
                assert!(UNITS.contains(&series.unit) && !series.doc.is_empty(), "{}", series.name);
                assert!(row.series[..index].iter().all(|other| other.name != series.name), "{}", series.name);
            }
        }
    }
}
