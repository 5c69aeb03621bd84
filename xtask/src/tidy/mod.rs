//! The laws of the house that a compiler does not know. Every finding names its place, what is wrong and what to do.

mod callers;
mod docs;
mod edges;
mod lengths;
mod slices;
mod source;
mod words;

use crate::{Failure, flag, root};
use source::Source;
use std::path::Path;
use std::process::Command;

/// Something against a law.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    /// From 1; 0 for the whole file.
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }
}

/// Runs all rules. `--list` shows the long functions that are still allowed, too.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let files = tracked()?;
    let sources: Vec<Source> = files
        .iter()
        .filter(|file| file.ends_with(".rs"))
        .filter_map(|file| Some(Source::new(file, &std::fs::read_to_string(root().join(file)).ok()?)))
        .collect();
    let mut findings = Vec::new();
    edges::check(&mut findings)?;
    slices::check(&mut findings);
    callers::check(&sources, &mut findings);
    lengths::check(&sources, flag(arguments, "--list"), &mut findings);
    words::check(&sources, &mut findings);
    docs::check(&files, &mut findings);
    if findings.is_empty() {
        return Ok(());
    }
    let told: Vec<String> =
        findings.iter().map(|f| format!("{}:{}: {}: {}", f.file, f.line, f.what, f.remedy)).collect();
    Err(format!("{}\ntidy: {} findings", told.join("\n"), findings.len()))
}

/// Files that git tracks or would track, relative to the root.
fn tracked() -> Result<Vec<String>, Failure> {
    let out = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| format!("failed to run git: {error}"))?;
    if !out.status.success() {
        return Err(format!("failed to list files: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let names = String::from_utf8_lossy(&out.stdout);
    Ok(names.lines().filter(|name| root().join(Path::new(name)).is_file()).map(str::to_owned).collect())
}
