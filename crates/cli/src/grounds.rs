//! A proving-ground system as a child process: started for a run, ended with it.

use crate::exit::CliError;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The system's process; ended when dropped.
pub struct Started {
    child: Child,
    /// Its base address.
    pub url: String,
    /// The certificate of its authority, for a system behind TLS.
    pub ca: Option<PathBuf>,
    /// Its parts and their processes, its own first.
    pub parts: Vec<(String, u64)>,
}

impl Drop for Started {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It drains on SIGTERM; if it is gone already there is nothing to end.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

impl Started {
    /// Variables for `${env.NAME}` that a plan may use: `GROUND_URL`, `GROUND_PORT`, and `GROUND_CA` behind TLS.
    pub fn variables(&self) -> Vec<String> {
        let port =
            self.url.rsplit(':').next().map(|port| format!("GROUND_PORT={}", port.trim_end_matches('/')));
        let ca = self.ca.iter().map(|ca| format!("GROUND_CA={}", ca.display()));
        std::iter::once(format!("GROUND_URL={}", self.url)).chain(port).chain(ca).collect()
    }
}

/// Starts a system with switches of known truth on a free port and waits until it says where it listens.
pub fn start(system: &str, truth: &[String]) -> Result<Started, CliError> {
    start_at(system, truth, 0)
}

/// The same on a given port, 0 for a free one.
pub fn start_at(system: &str, truth: &[String], port: u16) -> Result<Started, CliError> {
    let failed =
        |why: String| CliError::internal(format!("failed to start the proving ground's `{system}`: {why}"));
    let binary = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let mut command = Command::new(binary);
    command.args(["ground", system, "--port", &port.to_string(), "--json"]);
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    for switch in truth {
        command.args(["--truth", switch]);
    }
    // Ctrl-C on the terminal is for the run, which then ends the system itself.
    command.process_group(0);
    // SAFETY: prctl is async-signal-safe and touches nothing but the child's own death signal.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong, 0, 0, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let stdout = child.stdout.take();
    let mut started = Started { child, url: String::new(), ca: None, parts: Vec::new() };
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).map_err(|e| failed(e.to_string()))?;
    }
    let told: serde_json::Value =
        serde_json::from_str(&line).map_err(|_| failed("it ended before it said where it listens".into()))?;
    started.url =
        told["url"].as_str().ok_or_else(|| failed("it did not say where it listens".into()))?.to_owned();
    started.ca = told["ca"].as_str().map(PathBuf::from);
    started.parts = std::iter::once((system.to_owned(), told["pid"].as_u64().unwrap_or_default()))
        .chain(
            told["parts"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|part| Some((part["name"].as_str()?.to_owned(), part["pid"].as_u64()?))),
        )
        .collect();
    Ok(started)
}
