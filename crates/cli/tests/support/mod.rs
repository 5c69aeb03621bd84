//! Running the binary, and places for its files.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that goes with the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The binary with words to come.
pub(crate) struct Words(Command);

pub(crate) fn crucible() -> Words {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crucible"));
    command.env_remove("CRUCIBLE_STORE").env("NO_COLOR", "1").stdin(Stdio::null());
    Words(command)
}

/// What it said.
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Told {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", self.stdout, self.stderr))
    }
}

impl Words {
    pub(crate) fn arg(mut self, word: impl AsRef<Path>) -> Words {
        self.0.arg(word.as_ref());
        self
    }

    pub(crate) fn args(mut self, words: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Words {
        self.0.args(words);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Words {
        self.0.env(name, value);
        self
    }

    pub(crate) fn output(mut self) -> Told {
        let output = self.0.output().unwrap();
        Told {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn spawn(mut self, stdout: Stdio, stderr: Stdio) -> Child {
        self.0.stdout(stdout).stderr(stderr).spawn().unwrap()
    }
}

/// Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: kill only sends a signal, to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
}

/// Asks until it holds, for at most a minute.
#[expect(clippy::disallowed_methods, reason = "waits for another process, which has no clock of ours")]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
