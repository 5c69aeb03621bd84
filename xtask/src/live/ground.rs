//! A system of the proving ground, started by the binary under test and ended when dropped.

use super::Settings;
use crate::{Failure, machine};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Child;

/// See the module text.
pub(super) struct Ground {
    child: Child,
    /// Its address, without a slash at the end.
    pub(super) url: String,
    /// Its process.
    pub(super) pid: u32,
}

impl Ground {
    /// `crucible ground NAME --truth ...`, with its announcement read.
    pub(super) fn start(settings: &Settings, name: &str, truth: &[&str]) -> Result<Ground, Failure> {
        let mut command = settings.product.command(&["ground", name, "--json"]);
        for switch in truth {
            command.args(["--truth", switch]);
        }
        let mut child = machine::start(&mut command, None)?;
        let mut line = String::new();
        let said = child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut ground = Ground { child, url: String::new(), pid: 0 };
        let (Some(Ok(_)), Some(url), Some(pid)) = (said, told["url"].as_str(), told["pid"].as_u64()) else {
            return Err(format!("the proving ground's {name} {truth:?} did not start: {line}"));
        };
        ground.url = url.trim_end_matches('/').to_owned();
        ground.pid = u32::try_from(pid).unwrap_or(0);
        Ok(ground)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its own parts; it may have ended already.
        // SAFETY: kill only sends a signal, to a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
