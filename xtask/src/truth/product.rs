//! The binary under test, run as its users run it.

use crate::Failure;
use crate::machine::{self, Ended};
use crucible_core::Ns;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// See the module text.
pub(crate) struct Product {
    binary: PathBuf,
    scratch: PathBuf,
}

/// What a run of it gave.
pub(crate) struct Told {
    pub(crate) ended: Ended,
    /// The JSON report; `Null` if it printed none.
    pub(crate) json: Value,
}

impl Product {
    /// The release binary of the workspace at `root`.
    pub(crate) fn new(root: PathBuf) -> Product {
        Product { binary: root.join("target/release/crucible"), scratch: root.join("target/truth") }
    }

    /// A command of it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments);
        command
    }

    /// `crucible bench ARGUMENTS --json --quiet`, on one CPU if asked for.
    pub(crate) fn bench(&self, arguments: &[&str], cpu: Option<usize>) -> Result<Told, Failure> {
        let mut command = self.command(&["bench"]);
        command.args(arguments).args(["--json", "--quiet"]);
        told(machine::measure(&mut command, cpu)?)
    }

    /// A command that prints JSON, run to its end.
    pub(crate) fn told(&self, arguments: &[&str]) -> Result<Told, Failure> {
        told(machine::measure(&mut self.command(arguments), None)?)
    }

    /// Writes a plan to the target folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let failed = |error: std::io::Error| format!("failed to write a plan: {error}");
        std::fs::create_dir_all(&self.scratch).map_err(failed)?;
        let file = self.scratch.join(format!("{name}.yaml"));
        std::fs::write(&file, text).map_err(failed)?;
        Ok(file)
    }

    /// Writes a plan and runs all its tests; the record goes to the target folder.
    pub(crate) fn plan(&self, name: &str, text: &str) -> Result<Told, Failure> {
        let file = self.write(name, text)?;
        let mut command = self.command(&["run"]);
        command.arg(&file).args(["--json", "--quiet", "--store"]).arg(self.scratch.join("runs.db"));
        told(machine::measure(&mut command, None)?)
    }
}

fn told(ended: Ended) -> Result<Told, Failure> {
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    if json.is_null() && !matches!(ended.code, 97..=99) {
        return Err(format!("ended with {} and no report: {}", ended.code, ended.stderr.trim()));
    }
    Ok(Told { ended, json })
}

impl Told {
    /// A number in the figures of the first test, by its path under `totals`.
    pub(crate) fn number(&self, path: &str) -> Option<f64> {
        self.json.pointer(&format!("/tests/0/totals/{path}"))?.as_f64()
    }

    /// The same, where a missing number means that the claim cannot be measured.
    pub(crate) fn figure(&self, path: &str) -> Result<f64, Failure> {
        self.number(path).ok_or_else(|| format!("the report has no {path}: {}", self.ended.stderr.trim()))
    }

    /// A time in the figures of the first test.
    pub(crate) fn time(&self, path: &str) -> Result<Ns, Failure> {
        Ok(Ns(self.figure(path)? as u64))
    }

    /// The verdict's word; empty without a report.
    pub(crate) fn verdict(&self) -> &str {
        self.json.get("verdict").and_then(Value::as_str).unwrap_or_default()
    }

    /// Sum of the outcomes of all steps.
    pub(crate) fn outcomes(&self) -> u64 {
        let outcomes = self.json.pointer("/tests/0/totals/all/outcomes").and_then(Value::as_object);
        outcomes.map_or(0, |all| all.values().filter_map(Value::as_u64).sum())
    }
}
