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

/// Whether only ASCII can be shown, by what the environment says of the user's language. Nothing said is no reason to.
pub fn ascii() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| plain_environment(name));
    said.is_some_and(|said| {
        let said = said.to_lowercase();
        !said.contains("utf-8") && !said.contains("utf8")
    })
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
