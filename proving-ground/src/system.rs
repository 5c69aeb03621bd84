//! The table of systems and what starts one of them.
//!
//! Invariants: a system listens on loopback only; it announces itself once, when it can answer; `run` returns
//! after a signal (SIGTERM or Ctrl-C) when requests under way have been answered or the drain limit has passed.

use crate::truth::{self, Truth};
use crate::with::With;
use crate::{agents, classroom, evaluation, events, serve, stories};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A runnable system: one row of [`SYSTEMS`].
#[derive(Debug)]
pub struct System {
    /// The name on the command line.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Name of the folder under `suites/` with a plan for it.
    pub suite: &'static str,
    /// How it runs.
    pub(crate) build: Build,
}

/// What `System::run` does. The error of both fits "failed to start ...".
#[derive(Debug)]
pub(crate) enum Build {
    /// One process: makes the application on an existing, writable data folder.
    One(fn(&Path, Truth) -> Result<serve::Application, String>),
    /// The same behind TLS with a certificate of its own authority.
    Secure(fn(&Path, Truth) -> Result<serve::Application, String>),
    /// Several processes: supervises them until it is told to stop.
    Parts(fn(&System, GroundOptions) -> Result<(), String>),
}

/// All systems, in the order in which help shows them.
pub const SYSTEMS: &[System] =
    &[evaluation::SYSTEM, events::SYSTEM, agents::SYSTEM, classroom::SYSTEM, stories::SYSTEM];

/// The system of this name.
pub fn find(name: &str) -> Option<&'static System> {
    SYSTEMS.iter().find(|system| system.name == name)
}

/// How a system is to be started.
pub struct GroundOptions {
    /// TCP port on loopback; 0 takes a free one.
    pub port: u16,
    /// Folder for its data, made if missing; what lies there already is used again. `None`: a temporary folder,
    /// removed at the end.
    pub data: Option<PathBuf>,
    /// Switches of known truth, each `KEY=VALUE`; see [`crate::SWITCHES`].
    pub truth: Vec<String>,
    /// Services to use instead of the embedded ones, each `postgres=URL` or `redis=URL`.
    pub with: Vec<String>,
    /// Called once, when the system answers.
    pub announce: Box<dyn FnMut(&Announcement)>,
}

/// What a started system says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its name.
    pub system: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Base address for plans: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Process id of the server.
    pub pid: u32,
    /// Names and process ids of its further processes, for a system that has any.
    pub parts: Vec<(String, u32)>,
    /// Where its data lies.
    pub data: PathBuf,
    /// The certificate of its authority (PEM), for a system behind TLS.
    pub ca: Option<PathBuf>,
    /// The switches that are on, in canonical text.
    pub truth: Vec<String>,
}

impl System {
    /// Runs the system until SIGTERM or Ctrl-C. Blocks.
    ///
    /// Errors: an unknown or unreadable switch, a port that is taken, a data folder that cannot be written, a
    /// database that cannot be opened. The text fits "failed to run the system: ...".
    pub fn run(&self, options: GroundOptions) -> Result<(), String> {
        With::parse(&options.with)?.check(self.name)?;
        truth::check(self.name, &options.truth)?;
        match self.build {
            Build::One(build) => serve::run(self, build, false, options),
            Build::Secure(build) => serve::run(self, build, true, options),
            Build::Parts(supervise) => supervise(self, options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_complete_and_names_are_unique() {
        for (index, system) in SYSTEMS.iter().enumerate() {
            assert!(!system.about.is_empty() && !system.suite.is_empty());
            assert!(SYSTEMS[..index].iter().all(|other| other.name != system.name), "{}", system.name);
            assert!(find(system.name).is_some());
        }
        assert!(find("nothing").is_none());
    }
}
