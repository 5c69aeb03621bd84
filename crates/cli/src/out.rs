//! Writing to the terminal or a pipe. A closed pipe is the reader's choice, not an error.

use std::io::{IsTerminal, Write};

/// Writes text to standard output, as it is.
pub fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes a line to standard output.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Writes a line to standard error.
pub fn note(line: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{line}");
}

/// Whether standard output is a terminal that takes colour.
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && plain_environment("NO_COLOR").is_none()
}

/// Whether standard error is a terminal.
pub fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// A variable of the environment; empty counts as absent.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub fn plain_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
